//! The clerk with the store in memory and an agent that is a channel, driven by hand: each test decides what happens
//! between which two of its steps.

mod asking;
mod faults;
mod life;

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{AgentId, BootId, GatewayRef, InstanceRef, OrderId, Target};
use mooring_core::kind::Kind;
use mooring_core::order::{Action, Order, Origin, Proposal, Receipt, Stage, State};
use mooring_core::planner::{Abilities, Case};
use mooring_core::policy::{BackoffPolicy, Budget, Policy, StoredPolicy};
use mooring_core::time::Timestamp;
use mooring_proto::link::OrderMessage;
use mooring_store::memory::MemoryStore;
use mooring_store::{
    AgentRecord, AgentStore, Attach, Changes, Delta, GatewayRecord, InstanceRecord, JournalStore, OrderStore,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Clerk, Desk, Parts, Warmup, desk};
use crate::database::{Database, now};
use crate::fleet::{Fleet, Presence};
use crate::link::{Command, SessionHandle, Sessions};
use crate::metrics::Metrics;
use crate::policies::{Policies, PolicyFile};

/// Longer than anything here takes; a test that needs it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A policy that acts at once, so that no test waits for one of its times without wanting to.
fn quick() -> Policy {
    Policy {
        act_after: Duration::ZERO,
        cooldown: Duration::ZERO,
        backoff: BackoffPolicy { base: Duration::from_millis(100), cap: Duration::from_millis(100) },
        stable_for: Duration::from_millis(1),
        order_ttl: Duration::from_secs(60),
        budget: Budget { in_flight: 1_000, in_flight_percent: 100, per_minute: 1_000 },
        ..Policy::default()
    }
}

struct World {
    store: Arc<MemoryStore>,
    fleet: Fleet,
    database: Database,
    sessions: Sessions,
    policies: Policies,
    clerk: Clerk,
    epoch: u64,
    sequence: u64,
    _desk: Desk,
}

impl World {
    /// One agent, online, with gateway `g` of these instances, and no stream to send orders on.
    async fn new(policy: Policy, instances: &[&str]) -> Self {
        let store = Arc::new(MemoryStore::new());
        let (fleet, database, sessions) = (Fleet::default(), Database::default(), Sessions::default());
        let stored = StoredPolicy { id: "default".parse().unwrap(), policy, version: 1, from_file: false };
        let policies = Policies::new(vec![stored], PolicyFile::default());
        let (clerk, desk) = clerk(&store, &fleet, &database, &sessions, &policies).await;
        let mut world =
            Self { store, fleet, database, sessions, policies, clerk, epoch: 0, sequence: 0, _desk: desk };
        world.attach().await;
        world.gateway("g", instances).await;
        world
    }

    /// The controller dies, and another one begins with what the store has.
    async fn restart(&mut self) {
        self.fleet = Fleet::default();
        self.fleet.load(self.store.load().await.unwrap(), now());
        self.sessions = Sessions::default();
        let (clerk, desk) =
            clerk(&self.store, &self.fleet, &self.database, &self.sessions, &self.policies).await;
        (self.clerk, self._desk) = (clerk, desk);
        self.attach().await;
    }

    async fn attach(&mut self) {
        let attach = Attach {
            agent: agent(),
            boot: BootId(Uuid::from_u128(1)),
            node: String::new(),
            version: String::new(),
            now: now(),
        };
        self.epoch = self.store.attach(&attach).await.unwrap().epoch;
        let record = AgentRecord {
            id: agent(),
            boot: attach.boot,
            node: String::new(),
            version: String::new(),
            epoch: self.epoch,
            last_sequence: self.sequence,
            synced: true,
            attached_at: attach.now,
            last_seen: attach.now,
            offline_since: None,
        };
        self.fleet.attached(record, Presence::Online);
    }

    /// The agent's stream: what is sent on it can be read from the channel.
    fn stream(&self) -> mpsc::Receiver<Command> {
        let (commands, ear) = mpsc::channel(64);
        let replaced = CancellationToken::new();
        let boot = BootId(Uuid::from_u128(1));
        assert!(self.sessions.put(
            agent(),
            SessionHandle {
                epoch: self.epoch,
                boot,
                commands,
                replaced,
                questions: None,
                examinations: None
            }
        ));
        ear
    }

    /// Something is reported: durable, then believed.
    async fn report(&mut self, changes: Changes) {
        self.sequence += 1;
        let (epoch, sequence) = (self.epoch, self.sequence);
        let delta = Delta { agent: agent(), epoch, sequence, synced: None, changes, events: Vec::new() };
        self.store.commit(std::slice::from_ref(&delta)).await.unwrap();
        self.fleet.apply([&delta.changes], now());
    }

    async fn gateway(&mut self, id: &str, instances: &[&str]) {
        let gateway = gateway(id);
        let record = GatewayRecord {
            gateway: gateway.clone(),
            handle: 1,
            kind: Some(Kind::Websocket),
            address: String::new(),
            group: "lines".parse().unwrap(),
            labels: [].into(),
            abilities: Abilities::from_bits(u8::MAX),
            incarnation: None,
            watch: Vec::new(),
        };
        let instance =
            |i: &&str| InstanceRecord { instance: gateway.instance(i.parse().unwrap()), handle: 2 };
        let instances = instances.iter().map(instance).collect();
        self.report(Changes { gateways: vec![record], instances, ..Changes::default() }).await;
    }

    async fn say(&mut self, name: &str, status: Status, cause: Option<Cause>, since: Timestamp) {
        let kind = ConditionKind::Reachable;
        let message = cause.map_or_else(String::new, |c| format!("said: {c}"));
        let condition = Condition { kind, status, cause, message, evidence: Vec::new(), since };
        self.report(Changes { conditions: vec![(instance(name), condition)], ..Changes::default() }).await;
    }

    async fn sick(&mut self, name: &str) {
        self.say(name, Status::False, Some(Cause::SessionLost), now()).await;
    }

    async fn well(&mut self, name: &str) {
        self.say(name, Status::True, None, now()).await;
    }

    /// What the clerk does when it is woken: the clock, then everything that may have changed.
    async fn drive(&mut self) {
        self.clerk.tick().await.unwrap();
        self.clerk.queue.extend(self.fleet.take_dirty());
        while !self.clerk.queue.is_empty() && !self.clerk.away() {
            self.clerk.work().await.unwrap();
        }
    }

    /// Drives until something is so.
    async fn drive_until(&mut self, is_so: impl Fn(&World) -> bool) {
        let driving = async {
            while !is_so(self) {
                self.drive().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, driving).await.expect("it never was so");
    }

    /// The database goes without a word...
    fn goes(&self) {
        self.store.set_away(true);
        self.database.gone("switched off by the test");
    }

    /// ...and answers again.
    fn returns(&self) {
        self.store.set_away(false);
        self.store.set_answers_lost(false);
        self.database.back();
    }

    /// All orders ever made, newest first.
    async fn orders(&self) -> Vec<Order> {
        self.store.orders_before(None, 10_000).await.unwrap()
    }

    async fn only_order(&self) -> Order {
        let mut orders = self.orders().await;
        assert_eq!(orders.len(), 1, "{orders:#?}");
        orders.remove(0)
    }

    async fn state(&self, id: OrderId) -> State {
        self.store.order(id).await.unwrap().unwrap().state
    }

    async fn case(&self, name: &str) -> Option<Case> {
        let target = Target::Instance(instance(name));
        let stored = self.store.load().await.unwrap().cases.into_iter().find(|c| c.target == target);
        assert_eq!(stored.as_ref(), self.clerk.cases.get(&target), "what is believed is what is stored");
        stored
    }

    async fn receipt(&mut self, order: OrderId, stage: Stage, at: Timestamp) {
        self.clerk.receipt(&agent(), receipt(order, stage, at)).await.unwrap();
    }

    fn live(&self) -> Vec<Target> {
        self.fleet.read().live_targets(&gateway("g"))
    }
}

async fn clerk(
    store: &Arc<MemoryStore>,
    fleet: &Fleet,
    database: &Database,
    sessions: &Sessions,
    policies: &Policies,
) -> (Clerk, Desk) {
    let (desk, slips) = desk();
    let parts = Parts {
        store: Arc::clone(store) as _,
        database: database.clone(),
        fleet: fleet.clone(),
        sessions: sessions.clone(),
        policies: policies.clone(),
        warmup: Warmup::begin(fleet, Duration::from_secs(10), now()),
        metrics: Metrics::default(),
    };
    (Clerk::new(parts, slips, &store.load().await.unwrap(), 1), desk)
}

fn agent() -> AgentId {
    "a".parse().unwrap()
}

fn gateway(id: &str) -> GatewayRef {
    format!("agents/a/gateways/{id}").parse().unwrap()
}

/// `g/x` is an instance.
fn instance(name: &str) -> InstanceRef {
    let (g, i) = name.split_once('/').unwrap();
    gateway(g).instance(i.parse().unwrap())
}

fn receipt(order: OrderId, stage: Stage, at: Timestamp) -> Receipt {
    Receipt { order, stage, at, message: String::new(), output: String::new(), traceparent: None }
}

fn wish(target: Target, action: Action, request: Option<&str>) -> Proposal {
    Proposal {
        target,
        action,
        origin: Origin::Operator("ann".to_owned()),
        cause: None,
        reason: "because".to_owned(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: request.map(str::to_owned),
        traceparent: None,
    }
}

/// Everything that was put on the wire by now.
fn sent(ear: &mut mpsc::Receiver<Command>) -> Vec<OrderMessage> {
    let mut out = Vec::new();
    while let Ok(Command::Orders(orders)) = ear.try_recv() {
        out.extend(orders);
    }
    out
}
