//! What a write costs, counted in rows by the server: the goal is two per health transition, none per heartbeat.

use std::collections::BTreeMap;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::gate::Belief;
use mooring_core::id::{AgentId, BootId, GatewayRef, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::kind::Kind;
use mooring_core::order::{Action, Origin, Proposal};
use mooring_core::planner::Abilities;
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;
use mooring_store::{
    AgentStore, Ask, Attach, Changes, Committed, Delta, EventKind, GatewayRecord, InstanceRecord,
    JournalStore, NewEvent,
};
use mooring_store_pg::{PgStore, PoolSettings};
use sqlx::ConnectOptions;
use uuid::Uuid;

use crate::Server;

fn gateway(agent: &AgentId) -> GatewayRef {
    format!("agents/{agent}/gateways/g").parse().unwrap()
}

fn instance(agent: &AgentId, n: usize) -> InstanceRef {
    gateway(agent).instance(format!("i{n}").parse().unwrap())
}

fn declare(agent: &AgentId, instances: usize) -> Changes {
    Changes {
        gateways: vec![GatewayRecord {
            gateway: gateway(agent),
            handle: 1,
            kind: Some(Kind::Websocket),
            address: "ws://127.0.0.1/".to_owned(),
            group: PolicyId::new("lines").unwrap(),
            labels: BTreeMap::new(),
            abilities: Abilities::from_bits(7),
            incarnation: None,
            watch: Vec::new(),
        }],
        instances: (0..instances)
            .map(|n| InstanceRecord { instance: instance(agent, n), handle: u32::try_from(n).unwrap() })
            .collect(),
        ..Changes::default()
    }
}

fn condition(status: Status, at: i64) -> Condition {
    Condition {
        kind: ConditionKind::Reachable,
        status,
        cause: (status != Status::True).then_some(Cause::ConnectionRefused),
        message: "refused".to_owned(),
        evidence: vec![("address".to_owned(), "127.0.0.1:8080".to_owned())],
        since: Timestamp(at),
    }
}

fn delta(agent: &AgentId, epoch: u64, sequence: u64, changes: Changes) -> Delta {
    Delta { agent: agent.clone(), epoch, sequence, synced: None, changes, events: Vec::new() }
}

/// For other tests: a report that declares a gateway, and an ask to which every gate is open.
pub fn gateway_and_ask(agent: &AgentId, epoch: u64) -> (Delta, Ask) {
    let ask = Ask {
        id: OrderId(Uuid::from_u128(1)),
        proposal: Proposal {
            target: Target::Gateway(gateway(agent)),
            action: Action::RestartGateway,
            origin: Origin::Operator("ann".to_owned()),
            cause: None,
            reason: "a test".to_owned(),
            expect: ConditionKind::Reachable,
            spread: None,
            incarnation: None,
            request_id: None,
            traceparent: None,
        },
        policy: Policy::default(),
        group: PolicyId::new("lines").unwrap(),
        belief: Belief {
            group_instances: 10,
            group_gateways: 1,
            agent_online: true,
            configured: true,
            ..Belief::default()
        },
        backoff_until: None,
        case: None,
        validate_only: false,
        now: Timestamp(1_790_000_000_000_000),
    };
    (delta(agent, epoch, 1, declare(agent, 1)), ask)
}

async fn attached(store: &PgStore, id: &str) -> (AgentId, u64) {
    let agent = AgentId::new(id).unwrap();
    let attach = Attach {
        agent: agent.clone(),
        boot: BootId(Uuid::from_u128(1)),
        node: String::new(),
        version: String::new(),
        now: Timestamp(1),
    };
    let epoch = store.attach(&attach).await.unwrap().epoch;
    (agent, epoch)
}

/// Rows written since the server began to count: inserted or updated, and of these updated in place.
async fn written(server: &Server, database: &str) -> BTreeMap<String, (i64, i64)> {
    let mut connection = server.postgres.connect_options(database).connect().await.unwrap();
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT relname::text, n_tup_ins + n_tup_upd + n_tup_del, n_tup_hot_upd FROM pg_stat_user_tables",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    rows.into_iter().map(|(table, all, hot)| (table, (all, hot))).collect()
}

/// A session hands in its counts when it ends; one that is being closed may still be about to.
async fn sessions_ended(server: &Server, database: &str) {
    let mut connection = server.postgres.connect_options("postgres").connect().await.unwrap();
    let ended = async {
        loop {
            let left: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
            )
            .bind(database)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if left == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.expect("the sessions end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reports_in_one_commit_write_two_rows_per_transition() {
    const AGENTS: usize = 10;
    const EACH: usize = 100;
    let server = Server::start().await;
    let database = server.database().await;
    let store = server.connect(&database, PoolSettings::default()).await;
    store.migrate().await.unwrap();
    let mut agents = Vec::new();
    for n in 0..AGENTS {
        let (agent, epoch) = attached(&store, &format!("agent-{n}")).await;
        let mut snapshot = declare(&agent, EACH);
        snapshot.conditions = (0..EACH).map(|n| (instance(&agent, n), condition(Status::True, 1))).collect();
        store.commit(&[delta(&agent, epoch, 1, snapshot)]).await.unwrap();
        agents.push((agent, epoch));
    }
    store.close().await;
    sessions_ended(&server, &database).await;
    let before = written(&server, &database).await;

    let store = server.connect(&database, PoolSettings::default()).await;
    let deltas: Vec<Delta> = (0..EACH)
        .flat_map(|n| agents.iter().map(move |agent| (n, agent)))
        .map(|(n, (agent, epoch))| {
            let changed = (instance(agent, n), condition(Status::False, 2));
            let event = NewEvent {
                at: Timestamp(2),
                kind: EventKind::Condition,
                subject: instance(agent, n).to_string(),
                message: "refused".to_owned(),
                condition: Some((ConditionKind::Reachable, Status::False)),
                cause: Some(Cause::ConnectionRefused),
                evidence: Vec::new(),
                trace_id: None,
            };
            let changes = Changes { conditions: vec![changed], ..Changes::default() };
            let sequence = u64::try_from(n).unwrap() + 2;
            Delta { events: vec![event], ..delta(agent, *epoch, sequence, changes) }
        })
        .collect();
    assert_eq!(deltas.len(), 1000);
    let committed = store.commit(&deltas).await.unwrap();
    assert!(committed.iter().all(|c| *c == Committed::Durable));
    // A resync repeats everything and changes nothing.
    for (agent, epoch) in &agents {
        let mut snapshot = declare(agent, EACH);
        snapshot.conditions = (0..EACH).map(|n| (instance(agent, n), condition(Status::False, 2))).collect();
        store.commit(&[delta(agent, *epoch, 1000, snapshot)]).await.unwrap();
    }
    store.close().await;
    sessions_ended(&server, &database).await;
    let after = written(&server, &database).await;

    let rows = |table: &str| after[table].0 - before[table].0;
    assert_eq!((rows("conditions"), rows("events")), (1000, 1000), "two rows per transition");
    assert_eq!(rows("agents"), 20, "one per agent and commit");
    let others = ["gateways", "instances", "orders", "cases", "refusals"].map(rows);
    assert_eq!(others, [0; 5]);
    assert_eq!(after["conditions"].1 - before["conditions"].1, 1000, "all of them in place (HOT)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_instances_fit_in_one_report() {
    const INSTANCES: usize = 100_000;
    let server = Server::start().await;
    let store = server.store().await;
    let (agent, epoch) = attached(&store, "a").await;
    let mut snapshot = declare(&agent, INSTANCES);
    snapshot.conditions = (0..INSTANCES).map(|n| (instance(&agent, n), condition(Status::True, 1))).collect();
    let report = Delta { synced: Some(true), ..delta(&agent, epoch, 1, snapshot) };
    assert_eq!(store.commit(&[report]).await.unwrap(), [Committed::Durable]);
    let fleet = store.load().await.unwrap();
    assert_eq!((fleet.instances.len(), fleet.conditions.len()), (INSTANCES, INSTANCES));
    let gone = Changes { gateways_gone: vec![gateway(&agent)], ..Changes::default() };
    store.commit(&[delta(&agent, epoch, 2, gone)]).await.unwrap();
    let fleet = store.load().await.unwrap();
    assert_eq!((fleet.gateways.len(), fleet.instances.len(), fleet.conditions.len()), (0, 0, 0));
}
