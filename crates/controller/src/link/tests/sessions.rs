//! A stream from `Hello` to its end, over a loopback connection.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::{BootId, Target};
use mooring_core::order::{Action, Origin, Proposal, Stage, State};
use mooring_proto::agent_v1::agent_service_client::AgentServiceClient;
use mooring_proto::agent_v1::agent_service_server::AgentServiceServer;
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::link::receipt_to_pb;
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::{Limits, ListenAddr, Listener};
use mooring_store::memory::MemoryStore;
use mooring_store::{Admission, AgentStore, FleetRecord, OrderStore, Store};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Code, Status as Answer, Streaming};
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

const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    store: Arc<MemoryStore>,
    fleet: Fleet,
    database: Database,
    sessions: Sessions,
    desk: Desk,
    address: String,
    _stop: DropGuard,
}

impl World {
    async fn new() -> Self {
        let stop = CancellationToken::new();
        let tokens = || {
            let (_, reload) = tokio::sync::watch::channel(0);
            Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload }
        };
        let store = Arc::new(MemoryStore::new());
        let (fleet, database, sessions) = (Fleet::default(), Database::default(), Sessions::default());
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

    async fn attach(&self, boot: u128) -> (Peer, pb::Welcome) {
        let mut peer = Peer::open(&self.address, boot).await.unwrap();
        match peer.next().await {
            Down::Welcome(welcome) => (peer, welcome),
            other => panic!("{other:?}"),
        }
    }

    async fn presence(&self, wanted: impl Fn(Presence) -> bool) {
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
struct Peer {
    up: mpsc::Sender<pb::AttachRequest>,
    down: Streaming<pb::AttachResponse>,
}

impl Peer {
    async fn open(address: &str, boot: u128) -> Result<Self, Answer> {
        let (up, requests) = mpsc::channel(64);
        let hello = pb::Hello {
            agent_id: agent().to_string(),
            boot_id: Uuid::from_u128(boot).to_string(),
            ..pb::Hello::default()
        };
        up.send(pb::AttachRequest { message: Some(Up::Hello(hello)) }).await.unwrap();
        let mut client = AgentServiceClient::connect(address.to_owned()).await.unwrap();
        let down = client.attach(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Self { up, down })
    }

    async fn say(&self, message: Up) {
        self.up.send(pb::AttachRequest { message: Some(message) }).await.unwrap();
    }

    async fn report(&self, report: pb::Report) {
        self.say(Up::Report(report)).await;
    }

    /// What it is told next, heartbeats aside.
    async fn heard(&mut self) -> Result<Option<Down>, Answer> {
        loop {
            let heard =
                tokio::time::timeout(PATIENCE, self.down.message()).await.expect("nothing was said")?;
            match heard.and_then(|m| m.message) {
                Some(Down::Heartbeat(_)) => {}
                other => return Ok(other),
            }
        }
    }

    async fn next(&mut self) -> Down {
        self.heard().await.unwrap().expect("the stream goes on")
    }

    #[track_caller]
    fn acked(down: Down) -> u64 {
        match down {
            Down::Ack(ack) => ack.sequence,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_durable_and_the_same_boot_goes_on_after_it() {
    let w = World::new().await;
    let (mut peer, welcome) = w.attach(1).await;
    assert!(welcome.snapshot && welcome.resume_after == 0);
    w.presence(|p| p == Presence::Syncing).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    assert_eq!(w.store.agents().await.unwrap()[0].last_sequence, 1);
    w.presence(|p| p == Presence::Online).await;
    drop(peer);
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!((welcome.snapshot, welcome.resume_after), (false, 1));
    w.presence(|p| p == Presence::Online).await;
    peer.report(rows(2, &[row(3, Status::False, Some(Cause::SessionLost), 20)])).await;
    assert_eq!(Peer::acked(peer.next().await), 2);
    let believed = w.fleet.read().believed(&instance("g/y"), ConditionKind::Reachable).unwrap();
    assert_eq!(believed.status, Status::False);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_database_is_away() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.store.set_away(true);
    peer.report(report(2)).await;
    // Durable already, so it is acknowledged again: but as what it is, not with the number of the newest.
    peer.report(report(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.store.set_away(false);
    assert_eq!(Peer::acked(peer.next().await), 2);
}

#[tokio::test]
async fn a_receipt_is_not_lost_with_the_stream_that_it_came_on() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    let mut whole = everything(1);
    whole.gateways[0].abilities = 7;
    peer.report(whole).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    let proposal = Proposal {
        target: Target::Instance(instance("g/x")),
        action: Action::Reconnect,
        origin: Origin::Operator("ann".to_owned()),
        cause: None,
        reason: "because".to_owned(),
        expect: ConditionKind::Reachable,
        incarnation: None,
        request_id: None,
        traceparent: None,
    };
    let Ok(Admission::Made(order, _)) = w.desk.ask(proposal, false).await else { panic!("no order") };
    let Down::Orders(orders) = peer.next().await else { panic!("no order came") };
    assert_eq!(orders.orders[0].order_id, order.id.0.to_string());
    // The clerk cannot store it, since it believes that the database is away; the journal does not ask.
    w.store.set_away(true);
    w.database.gone("switched off by the test");
    let receipt = mooring_core::order::Receipt {
        order: order.id,
        stage: Stage::Failed,
        at: Timestamp(1),
        message: String::new(),
        output: String::new(),
        traceparent: None,
    };
    let told = pb::Report { receipts: vec![receipt_to_pb(&receipt)], ..report(2) };
    peer.report(told.clone()).await;
    peer.report(report(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1, "it has been read");
    drop(peer);
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    w.store.set_away(false);
    tokio::time::timeout(PATIENCE, w.database.watch().wait_for(Option::is_none)).await.unwrap().unwrap();
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!(welcome.resume_after, 1, "or the agent would forget the receipt");
    peer.report(told).await;
    loop {
        match peer.next().await {
            Down::Ack(ack) => break assert_eq!(ack.sequence, 2),
            Down::Orders(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(w.store.order(order.id).await.unwrap().unwrap().state, State::Failed);
}

#[tokio::test]
async fn a_hole_leads_to_one_question_and_no_decision_until_it_is_answered() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    w.presence(|p| p == Presence::Online).await;
    peer.report(report(5)).await;
    peer.report(report(6)).await;
    assert!(matches!(peer.next().await, Down::Resync(_)));
    w.presence(|p| p == Presence::Syncing).await;
    peer.report(everything(7)).await;
    assert_eq!(Peer::acked(peer.next().await), 7, "asked once");
    w.presence(|p| p == Presence::Online).await;
}

#[tokio::test]
async fn a_window_is_kept_and_a_violation_ends_the_stream() {
    let w = World::new().await;
    let (mut peer, welcome) = w.attach(1).await;
    assert_eq!(welcome.window, 4);
    w.store.set_away(true);
    peer.report(everything(1)).await;
    for sequence in 2..=5 {
        peer.report(report(sequence)).await;
    }
    let status = peer.heard().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    w.presence(|p| matches!(p, Presence::Lost(_))).await;
    assert!(w.sessions.is_empty());
}

#[tokio::test]
async fn a_new_stream_of_the_same_boot_takes_over_and_the_old_ones_end_is_no_loss() {
    let w = World::new().await;
    let (mut old, first) = w.attach(1).await;
    old.report(everything(1)).await;
    assert_eq!(Peer::acked(old.next().await), 1);
    let (mut new, second) = w.attach(1).await;
    assert_eq!((first.session_epoch, second.session_epoch, second.resume_after), (1, 2, 1));
    let status = old.heard().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    new.report(report(2)).await;
    assert_eq!(Peer::acked(new.next().await), 2);
    assert_eq!(w.fleet.read().agent(&agent()).unwrap().presence, Presence::Online);
    assert_eq!(w.sessions.len(), 1);
}

#[tokio::test]
async fn a_second_agent_of_the_same_name_is_turned_away_while_the_first_answers() {
    let w = World::new().await;
    let (mut first, _) = w.attach(1).await;
    let opening = Peer::open(&w.address, 2);
    tokio::pin!(opening);
    let refused = loop {
        tokio::select! {
            opened = &mut opening => break opened.err().expect("it is turned away"),
            // The probe is a heartbeat, and is answered with one.
            _ = first.down.message() => first.say(Up::Heartbeat(pb::Heartbeat::default())).await,
        }
    };
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(w.fleet.read().agent(&agent()).unwrap().record.boot, BootId(Uuid::from_u128(1)));
}

#[tokio::test]
async fn a_goodbye_is_no_loss() {
    let w = World::new().await;
    let (mut peer, _) = w.attach(1).await;
    peer.report(everything(1)).await;
    assert_eq!(Peer::acked(peer.next().await), 1);
    peer.say(Up::Goodbye(pb::Goodbye { reason: "done".to_owned() })).await;
    w.presence(|p| matches!(p, Presence::Offline(_))).await;
    assert!(matches!(peer.heard().await, Ok(None)));
    let (_, welcome) = w.attach(1).await;
    assert_eq!(welcome.resume_after, 1);
}
