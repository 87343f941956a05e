//! The API as its callers see it: over a loopback connection, with the store in memory, a real clerk behind the desk,
//! and a fleet fed by hand.

mod crowd;
mod diagnosis;
mod door;
mod events;
mod explain;
mod lists;
mod orders;
mod policies;
mod session_history;
mod session_orders;
mod sessions;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status as Answer};
use mooring_core::id::{AgentId, BootId, GatewayRef, InstanceRef};
use mooring_core::kind::Kind;
use mooring_core::planner::Abilities;
use mooring_core::session::Source;
use mooring_core::time::Timestamp;
use mooring_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use mooring_proto::v1::event_service_client::EventServiceClient;
use mooring_proto::v1::fleet_service_client::FleetServiceClient;
use mooring_proto::v1::order_service_client::OrderServiceClient;
use mooring_proto::v1::pause_service_client::PauseServiceClient;
use mooring_proto::v1::policy_service_client::PolicyServiceClient;
use mooring_proto::v1::session_service_client::SessionServiceClient;
use mooring_runtime::auth::TokenSet;
use mooring_runtime::lifecycle::Tokens;
use mooring_runtime::listener::{Limits, ListenAddr, Listener};
use mooring_store::memory::MemoryStore;
use mooring_store::{
    AgentRecord, AgentStore, Attach, Changes, Delta, FleetRecord, GatewayRecord, InstanceRecord,
    JournalStore, Store,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorInfo, StatusExt};
use uuid::Uuid;

use super::ApiParts;
use crate::config::ApiConfig;
use crate::database::{Database, now};
use crate::fleet::{Fleet, Presence};
use crate::link::Sessions;
use crate::metrics::Metrics;
use crate::orders::{Clerk, Desk, Parts, Warmup, desk};
use crate::policies::{Policies, PolicyFile};

/// Longer than anything here takes; a test that needs it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A controller's API with nothing around it.
struct World {
    store: Arc<MemoryStore>,
    fleet: Fleet,
    database: Database,
    sessions: Sessions,
    desk: Desk,
    channel: Channel,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    _stop_at_end: DropGuard,
}

#[derive(Default)]
struct Options {
    config: ApiConfig,
    tokens: Option<Arc<TokenSet>>,
    file: PolicyFile,
    sessions: Sessions,
}

fn tokens_of(stop: &CancellationToken) -> Tokens {
    let (_, reload) = tokio::sync::watch::channel(0);
    Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload }
}

impl World {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let stop = CancellationToken::new();
        let store = Arc::new(MemoryStore::new());
        let (fleet, database) = (Fleet::default(), Database::default());
        let policies = Policies::new(Vec::new(), options.file);
        let warmup = Warmup::begin(&fleet, Duration::from_secs(10), now());
        let (desk, slips) = desk();
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            database: database.clone(),
            fleet: fleet.clone(),
            sessions: options.sessions.clone(),
            policies: policies.clone(),
            warmup: warmup.clone(),
            metrics: Metrics::default(),
        };
        let clerk = Clerk::new(parts, slips, &FleetRecord::default(), 1);
        tokio::spawn(clerk.run(tokens_of(&stop)));
        tokio::spawn(database.clone().probe(Arc::clone(&store) as Arc<dyn Store>, tokens_of(&stop)));
        let api = ApiParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            database: database.clone(),
            fleet: fleet.clone(),
            sessions: options.sessions.clone(),
            desk: desk.clone(),
            policies,
            warmup,
            tokens: options.tokens,
            config: options.config,
        };
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&any.into(), Limits::default(), None).unwrap();
        let Ok(ListenAddr::Tcp(address)) = listener.local_addr() else { panic!("a TCP address was bound") };
        let serving = tokio::spawn(super::serve(listener, api, tokens_of(&stop)));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let guard = stop.clone().drop_guard();
        let sessions = options.sessions;
        Self { store, fleet, database, sessions, desk, channel, stop, serving, _stop_at_end: guard }
    }

    fn fleet_client(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel.clone())
    }

    fn order_client(&self) -> OrderServiceClient<Channel> {
        OrderServiceClient::new(self.channel.clone())
    }

    fn policy_client(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    fn pause_client(&self) -> PauseServiceClient<Channel> {
        PauseServiceClient::new(self.channel.clone())
    }

    fn session_client(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel.clone())
    }

    fn diagnosis_client(&self) -> DiagnosisServiceClient<Channel> {
        DiagnosisServiceClient::new(self.channel.clone())
    }

    fn event_client(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    /// The database goes; the prober finds it back once it is.
    fn database_goes(&self) {
        self.store.set_away(true);
        self.database.gone("switched off by the test");
    }

    async fn database_returns(&self) {
        self.store.set_away(false);
        let mut away = self.database.watch();
        tokio::time::timeout(PATIENCE, away.wait_for(Option::is_none)).await.unwrap().unwrap();
    }

    /// An agent attaches, online.
    async fn agent(&self, id: &str) -> Feed<'_> {
        let agent = AgentId::new(id).unwrap();
        let boot = BootId(Uuid::from_u128(1));
        let at = now();
        let attach = Attach {
            agent: agent.clone(),
            boot,
            node: format!("node-of-{id}"),
            version: "0.1.0".to_owned(),
            now: at,
        };
        let attached = self.store.attach(&attach).await.unwrap();
        let record = AgentRecord {
            id: agent.clone(),
            boot,
            node: attach.node,
            version: attach.version,
            epoch: attached.epoch,
            last_sequence: 0,
            synced: true,
            attached_at: at,
            last_seen: at,
            offline_since: None,
        };
        self.fleet.attached(record, Presence::Online);
        Feed { world: self, agent, epoch: attached.epoch, sequence: 0 }
    }
}

/// What an agent reports, durable and believed when each call returns.
struct Feed<'a> {
    world: &'a World,
    agent: AgentId,
    epoch: u64,
    sequence: u64,
}

impl Feed<'_> {
    async fn report(&mut self, changes: Changes) {
        self.sequence += 1;
        let delta = Delta {
            agent: self.agent.clone(),
            epoch: self.epoch,
            sequence: self.sequence,
            synced: None,
            changes,
            events: Vec::new(),
        };
        self.world.store.commit(std::slice::from_ref(&delta)).await.unwrap();
        self.world.fleet.apply([&delta.changes], now());
    }

    async fn gateway(&mut self, name: &str, group: &str, instances: &[&str]) {
        let gateway = gateway(name);
        let record = GatewayRecord {
            gateway: gateway.clone(),
            handle: 1,
            kind: Some(Kind::Websocket),
            address: "ws://127.0.0.1:1/".to_owned(),
            group: group.parse().unwrap(),
            labels: [("zone".to_owned(), "eu-1".to_owned())].into(),
            abilities: Abilities::from_bits(u8::MAX),
            incarnation: None,
            watch: vec![Source::Canary, Source::Relay],
        };
        let instances = instances
            .iter()
            .map(|i| InstanceRecord { instance: gateway.instance(i.parse().unwrap()), handle: 2 });
        let instances = instances.collect();
        self.report(Changes { gateways: vec![record], instances, ..Changes::default() }).await;
    }

    async fn add(&mut self, name: &str) {
        let record = InstanceRecord { instance: instance(name), handle: 3 };
        self.report(Changes { instances: vec![record], ..Changes::default() }).await;
    }

    async fn remove(&mut self, name: &str) {
        self.report(Changes { instances_gone: vec![instance(name)], ..Changes::default() }).await;
    }

    async fn well(&mut self, name: &str) {
        self.condition(name, Answer::True, None).await;
    }

    async fn sick(&mut self, name: &str, cause: Cause) {
        self.condition(name, Answer::False, Some(cause)).await;
    }

    async fn condition(&mut self, name: &str, status: Answer, cause: Option<Cause>) {
        let condition = reachable(status, cause);
        self.report(Changes { conditions: vec![(instance(name), condition)], ..Changes::default() }).await;
    }
}

fn reachable(status: Answer, cause: Option<Cause>) -> Condition {
    let since = Timestamp(now().0 - 90_000_000);
    let message = cause.map_or_else(String::new, |_| "connect: refused".to_owned());
    Condition { kind: ConditionKind::Reachable, status, cause, message, evidence: Vec::new(), since }
}

/// `a/g` is a gateway.
fn gateway(short: &str) -> GatewayRef {
    let (agent, gateway) = short.split_once('/').unwrap();
    format!("agents/{agent}/gateways/{gateway}").parse().unwrap()
}

/// `a/g/i` is an instance.
fn instance(short: &str) -> InstanceRef {
    let (above, id) = short.rsplit_once('/').unwrap();
    gateway(above).instance(id.parse().unwrap())
}

fn name(short: &str) -> String {
    match short.matches('/').count() {
        1 => gateway(short).to_string(),
        _ => instance(short).to_string(),
    }
}

/// The refusal's `ErrorInfo`: there is exactly one, of our domain, and the code is as wanted.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) -> (Status, ErrorInfo) {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details_vec();
    let infos: Vec<ErrorInfo> = details
        .into_iter()
        .filter_map(|d| match d {
            ErrorDetail::ErrorInfo(info) => Some(info),
            _ => None,
        })
        .collect();
    let [info] = infos.as_slice() else { panic!("{} ErrorInfo in {status:?}", infos.len()) };
    assert_eq!(info.domain, super::status::DOMAIN);
    (status, info.clone())
}

/// A world with one gateway of two instances: `x` is refused, `y` is well.
async fn small(world: &World) -> Feed<'_> {
    let mut feed = world.agent("a").await;
    feed.gateway("a/g", "lines", &["x", "y"]).await;
    feed.sick("a/g/x", Cause::WrongPath).await;
    feed.well("a/g/y").await;
    feed
}
