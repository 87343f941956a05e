//! Persist, then believe, then acknowledge: also when the database comes and goes.

use mooring_core::id::{AgentId, BootId};
use mooring_core::time::Timestamp;
use mooring_store::memory::MemoryStore;
use mooring_store::{AgentRecord, AgentStore, Attach, Changes};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::fleet::Presence;

const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    store: Arc<MemoryStore>,
    fleet: Fleet,
    database: Database,
    journal: Journal,
    writer: JoinHandle<Result<(), StoreError>>,
    stop: CancellationToken,
}

fn agent() -> AgentId {
    "a".parse().unwrap()
}

fn delta(epoch: u64, sequence: u64) -> Delta {
    let changes = Changes::default();
    Delta { agent: agent(), epoch, sequence, synced: None, changes, events: Vec::new() }
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let boot = BootId(Uuid::from_u128(1));
        let attach =
            Attach { agent: agent(), boot, node: String::new(), version: String::new(), now: Timestamp(1) };
        let epoch = store.attach(&attach).await.unwrap().epoch;
        let (fleet, database) = (Fleet::default(), Database::default());
        let record = AgentRecord {
            id: agent(),
            boot,
            node: String::new(),
            version: String::new(),
            epoch,
            last_sequence: 0,
            synced: false,
            attached_at: Timestamp(1),
            last_seen: Timestamp(1),
            offline_since: None,
        };
        fleet.attached(record, Presence::Online);
        let (journal, writer) = journal();
        let stop = CancellationToken::new();
        let (_, reload) = tokio::sync::watch::channel(0);
        let tokens = Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload };
        let (s, f, d) = (Arc::clone(&store), fleet.clone(), database.clone());
        let writer = tokio::spawn(writer.run(s, f, d, Metrics::default(), tokens));
        Self { store, fleet, database, journal, writer, stop }
    }

    fn believed(&self) -> u64 {
        self.fleet.read().agent(&agent()).unwrap().record.last_sequence
    }

    async fn durable(&self) -> u64 {
        self.store.agents().await.unwrap()[0].last_sequence
    }

    async fn stopped(self) -> Result<(), StoreError> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.writer).await.expect("it stops").unwrap()
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_durable_and_believed() {
    let w = World::new().await;
    let answers: Vec<_> = (1..=50).map(|n| w.journal.write(delta(1, n))).collect();
    for (answer, n) in answers.into_iter().zip(1..) {
        assert_eq!(answer.await, Ok(Committed::Durable));
        assert!(w.believed() >= n && w.durable().await >= n);
    }
}

#[tokio::test]
async fn a_batch_waits_for_the_database_and_is_written_once() {
    let w = World::new().await;
    w.store.set_away(true);
    let mut first = w.journal.write(delta(1, 1));
    tokio::time::timeout(PATIENCE, w.database.watch().wait_for(Option::is_some)).await.unwrap().unwrap();
    assert!(first.try_recv().is_err());
    assert_eq!(w.believed(), 0, "not believed before it is durable");
    let second = w.journal.write(delta(1, 2));
    w.store.set_away(false);
    assert_eq!((first.await, second.await), (Ok(Committed::Durable), Ok(Committed::Durable)));
    assert_eq!((w.believed(), w.durable().await), (2, 2));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_durable_all_the_same() {
    let w = World::new().await;
    w.store.set_answers_lost(true);
    let answer = w.journal.write(delta(1, 1));
    tokio::time::timeout(PATIENCE, w.database.watch().wait_for(Option::is_some)).await.unwrap().unwrap();
    w.store.set_answers_lost(false);
    assert_eq!(answer.await, Ok(Committed::Durable));
    assert_eq!((w.believed(), w.durable().await), (1, 1));
}

#[tokio::test]
async fn an_older_attachment_writes_nothing_and_keeps_nobody_from_writing() {
    let w = World::new().await;
    let (stale, good) = (w.journal.write(delta(7, 9)), w.journal.write(delta(1, 1)));
    assert_eq!((stale.await, good.await), (Ok(Committed::StaleEpoch), Ok(Committed::Durable)));
    assert_eq!((w.believed(), w.durable().await), (1, 1));
}

#[tokio::test]
async fn it_stops_after_what_was_handed_in_is_written() {
    let w = World::new().await;
    w.stop.cancel();
    let answer = w.journal.write(delta(1, 1));
    let durable = match answer.await {
        Ok(Committed::Durable) => 1,
        // It had stopped taking anything by then, and says so by dropping the answer.
        Ok(Committed::StaleEpoch) | Err(_) => 0,
    };
    assert_eq!(w.durable().await, durable);
    w.stopped().await.unwrap();
}

#[tokio::test]
async fn it_stops_while_the_database_is_away_and_acknowledges_nothing() {
    let w = World::new().await;
    w.store.set_away(true);
    let answer = w.journal.write(delta(1, 1));
    tokio::time::timeout(PATIENCE, w.database.watch().wait_for(Option::is_some)).await.unwrap().unwrap();
    w.stopped().await.unwrap();
    assert!(answer.await.is_err(), "the agent keeps it");
}

fn entry(agent: &str, sequence: u64) -> Entry {
    let delta = Delta {
        agent: AgentId::new(agent).unwrap(),
        epoch: 1,
        sequence,
        synced: None,
        changes: Changes::default(),
        events: Vec::new(),
    };
    Entry { delta, done: oneshot::channel().0 }
}

#[test]
fn one_that_floods_does_not_keep_others_waiting() {
    let mut waiting = Waiting::default();
    for sequence in 1..=4 {
        waiting.push(entry("flood", sequence));
    }
    waiting.push(entry("calm", 1));
    let (batch, size) = waiting.batch();
    let order: Vec<(String, u64)> =
        batch.iter().map(|e| (e.delta.agent.to_string(), e.delta.sequence)).collect();
    let expected = [("flood", 1), ("calm", 1), ("flood", 2), ("flood", 3), ("flood", 4)];
    assert_eq!(order, expected.map(|(a, n)| (a.to_owned(), n)));
    assert_eq!(size, 5);
    assert!(waiting.batch().0.is_empty() && waiting.queues.is_empty());
}
