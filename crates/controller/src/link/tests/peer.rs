//! A controller's link with everything behind it, and an agent without any sense of its own.

use std::sync::Arc;
use std::time::Duration;

use mooring_proto::agent_v1::agent_service_client::AgentServiceClient;
use mooring_proto::agent_v1::agent_service_server::AgentServiceServer;
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::{Limits, ListenAddr, Listener};
use mooring_store::memory::MemoryStore;
use mooring_store::{FleetRecord, Store};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Status as Answer, Streaming};
use uuid::Uuid;

use super::super::{Context, Link, LinkConfig, Sessions};
use super::*;
use crate::config::AgentsConfig;
use crate::database::{Database, now};
use crate::fleet::{Fleet, Presence};
use crate::journal::journal;
use crate::metrics::Metrics;
use crate::orders::{Clerk, Desk, Parts, Warmup, desk};
use crate::policies::{Policies, PolicyFile};

/// Longer than anything here takes; a test that needs it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) fleet: Fleet,
    pub(super) database: Database,
    pub(super) sessions: Sessions,
    pub(super) desk: Desk,
    pub(super) address: String,
    _stop: DropGuard,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Sessions::default()).await
    }

    pub(super) async fn with(sessions: Sessions) -> Self {
        let stop = CancellationToken::new();
        let tokens = || {
            let (_, reload) = tokio::sync::watch::channel(0);
            Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload }
        };
        let store = Arc::new(MemoryStore::new());
        let (fleet, database) = (Fleet::default(), Database::default());
        let (journal, writer) = journal();
        let s = || Arc::clone(&store) as Arc<dyn Store>;
        tokio::spawn(writer.run(s(), fleet.clone(), database.clone(), Metrics::default(), tokens()));
        tokio::spawn(database.clone().probe(s(), tokens()));
        let (desk, slips) = desk();
        let parts = Parts {
            store: s(),
            database: database.clone(),
            fleet: fleet.clone(),
            sessions: sessions.clone(),
            policies: Policies::new(Vec::new(), PolicyFile::default()),
            warmup: Warmup::begin(&fleet, Duration::from_secs(10), now()),
            metrics: Metrics::default(),
        };
        tokio::spawn(Clerk::new(parts, slips, &FleetRecord::default(), 1).run(tokens()));
        let link = Link::new(
            LinkConfig {
                agents: AgentsConfig { window: 4, ..AgentsConfig::default() },
                tokens: None,
                controller: "test".to_owned(),
            },
            s(),
            database.clone(),
            sessions.clone(),
            Context { fleet: fleet.clone(), journal, desk: desk.clone(), metrics: Metrics::default() },
            stop.clone(),
            TaskTracker::new(),
        );
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&any.into(), Limits::default(), None).unwrap();
        let Ok(ListenAddr::Tcp(address)) = listener.local_addr() else { panic!("a TCP address was bound") };
        let incoming = listener.incoming(stop.clone());
        tokio::spawn(
            Server::builder().add_service(AgentServiceServer::new(link)).serve_with_incoming(incoming),
        );
        let address = format!("http://{address}");
        Self { store, fleet, database, sessions, desk, address, _stop: stop.drop_guard() }
    }

    pub(super) async fn attach(&self, boot: u128) -> (Peer, pb::Welcome) {
        self.welcomed(Peer::open(&self.address, boot).await.unwrap()).await
    }

    /// One that can be asked about its sessions.
    pub(super) async fn attach_able(&self, boot: u128) -> Peer {
        let able = vec!["something.newer".to_owned(), "sessions".to_owned(), "doctor".to_owned()];
        self.welcomed(Peer::open_with(&self.address, boot, able).await.unwrap()).await.0
    }

    async fn welcomed(&self, mut peer: Peer) -> (Peer, pb::Welcome) {
        match peer.next().await {
            Down::Welcome(welcome) => (peer, welcome),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn presence(&self, wanted: impl Fn(Presence) -> bool) {
        let mut changes = self.fleet.changes();
        let wait = async {
            while !self.fleet.read().agent(&agent()).is_some_and(|a| wanted(a.presence)) {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("another presence");
    }
}

/// An agent without any sense of its own.
pub(super) struct Peer {
    up: mpsc::Sender<pb::AttachRequest>,
    pub(super) down: Streaming<pb::AttachResponse>,
}

impl Peer {
    pub(super) async fn open(address: &str, boot: u128) -> Result<Self, Answer> {
        Self::open_with(address, boot, Vec::new()).await
    }

    async fn open_with(address: &str, boot: u128, capabilities: Vec<String>) -> Result<Self, Answer> {
        let (up, requests) = mpsc::channel(64);
        let hello = pb::Hello {
            agent_id: agent().to_string(),
            boot_id: Uuid::from_u128(boot).to_string(),
            capabilities,
            ..pb::Hello::default()
        };
        up.send(pb::AttachRequest { message: Some(Up::Hello(hello)) }).await.unwrap();
        let mut client = AgentServiceClient::connect(address.to_owned()).await.unwrap();
        let down = client.attach(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Self { up, down })
    }

    pub(super) async fn say(&self, message: Up) {
        self.up.send(pb::AttachRequest { message: Some(message) }).await.unwrap();
    }

    pub(super) async fn report(&self, report: pb::Report) {
        self.say(Up::Report(report)).await;
    }

    /// What it is told next, heartbeats aside.
    pub(super) async fn heard(&mut self) -> Result<Option<Down>, Answer> {
        loop {
            let heard =
                tokio::time::timeout(PATIENCE, self.down.message()).await.expect("nothing was said")?;
            match heard.and_then(|m| m.message) {
                Some(Down::Heartbeat(_)) => {}
                other => return Ok(other),
            }
        }
    }

    pub(super) async fn next(&mut self) -> Down {
        self.heard().await.unwrap().expect("the stream goes on")
    }

    /// What it is asked next.
    pub(super) async fn asked(&mut self) -> pb::SessionsQuestion {
        match self.next().await {
            Down::Sessions(question) => question,
            other => panic!("{other:?}"),
        }
    }

    /// What it is to examine next, or no longer.
    pub(super) async fn examination(&mut self) -> pb::ExamineQuestion {
        match self.next().await {
            Down::Examine(question) => question,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn acked(down: Down) -> u64 {
        match down {
            Down::Ack(ack) => ack.sequence,
            other => panic!("{other:?}"),
        }
    }
}
