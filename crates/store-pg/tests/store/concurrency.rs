//! Several controllers on one database.

use futures_util::StreamExt;
use futures_util::future::join_all;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{AgentId, BootId, InstanceRef};
use mooring_core::time::Timestamp;
use mooring_store::{
    AgentStore, Attach, Changes, Committed, Delta, EventKind, EventStore, JournalStore, NewEvent,
};
use mooring_store_pg::{Hint, PgStore, PoolSettings};
use uuid::Uuid;

use crate::Server;

fn event(message: String) -> NewEvent {
    NewEvent {
        at: Timestamp(1),
        kind: EventKind::Agent,
        subject: "agents/a".to_owned(),
        message,
        condition: None,
        cause: None,
        evidence: Vec::new(),
        trace_id: None,
    }
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

/// A reader that goes on from the last number it saw misses nothing, however commits overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_events_misses_none() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let server = Server::start().await;
    let store = server.store().await;
    let writing = join_all((0..WRITERS).map(|writer| {
        let store = store.clone();
        async move {
            for n in 0..EACH {
                let events = [event(format!("{writer}/{n}/0")), event(format!("{writer}/{n}/1"))];
                store.append_events(&events).await.unwrap();
            }
        }
    }));
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < WRITERS * EACH * 2 {
            let last = seen.last().map_or(0, |(number, _)| *number);
            let next = store.events_after(last, 1000).await.unwrap();
            seen.extend(next.into_iter().map(|e| (e.number, e.event.message)));
        }
        seen
    };
    let reading = tokio::time::timeout(std::time::Duration::from_secs(60), reading);
    let ((), seen) = futures_util::join!(async { drop(writing.await) }, reading);
    let seen = seen.expect("the reader missed some");
    let mut messages: Vec<&String> = seen.iter().map(|(_, message)| message).collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), WRITERS * EACH * 2);
}

/// Batches that name the same agents in opposite orders, beside touches of the same agents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_do_not_stop_each_other() {
    let server = Server::start().await;
    let store = server.store().await;
    let mut agents = Vec::new();
    for n in 0..20 {
        agents.push(attached(&store, &format!("agent-{n}")).await);
    }
    let delta = |(agent, epoch): &(AgentId, u64), sequence| {
        let gateway = format!("agents/{agent}/gateways/g");
        let instance: InstanceRef = format!("{gateway}/instances/i").parse().unwrap();
        let condition =
            Condition::unobserved(ConditionKind::Reachable, Timestamp(i64::try_from(sequence).unwrap()));
        Delta {
            agent: agent.clone(),
            epoch: *epoch,
            sequence,
            synced: None,
            changes: Changes {
                conditions: vec![(instance, Condition { status: Status::Unknown, ..condition })],
                ..Changes::default()
            },
            events: vec![event(format!("{agent}/{sequence}"))],
        }
    };
    let commits = (1..=10).map(|sequence| {
        let mut deltas: Vec<Delta> = agents.iter().map(|agent| delta(agent, sequence)).collect();
        if sequence % 2 == 0 {
            deltas.reverse();
        }
        let store = store.clone();
        async move { store.commit(&deltas).await.unwrap() }
    });
    let touches = (1..=10i64).map(|n| {
        let mut seen: Vec<_> = agents.iter().map(|(agent, _)| (agent.clone(), Timestamp(n + 1))).collect();
        if n % 2 == 0 {
            seen.reverse();
        }
        let store = store.clone();
        async move { store.touch(&seen).await.unwrap() }
    });
    let (committed, _) = futures_util::join!(join_all(commits), join_all(touches));
    assert!(committed.into_iter().flatten().all(|c| c == Committed::Durable));
    let agents = store.agents().await.unwrap();
    assert!(agents.iter().all(|a| a.last_sequence == 10 && a.last_seen == Timestamp(11)), "{agents:?}");
}

#[tokio::test]
async fn an_order_made_by_one_controller_is_heard_by_another() {
    use mooring_store::OrderStore;
    let server = Server::start().await;
    let database = server.database().await;
    let one = server.connect(&database, PoolSettings::default()).await;
    one.migrate().await.unwrap();
    let other = server.connect(&database, PoolSettings::default()).await;
    let mut hints = std::pin::pin!(other.listen_orders());
    assert_eq!(hints.next().await, Some(Hint::Reconnected));
    let (agent, epoch) = attached(&one, "a").await;
    let (declared, ask) = crate::cost::gateway_and_ask(&agent, epoch);
    one.commit(&[declared]).await.unwrap();
    let mut dry = ask.clone();
    dry.validate_only = true;
    one.admit(&dry).await.unwrap();
    one.admit(&ask).await.unwrap();
    assert_eq!(hints.next().await, Some(Hint::Order(agent)));
}
