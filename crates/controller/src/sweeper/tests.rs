//! Silence: within the grace, beyond it, and at another controller.

use mooring_core::cause::Cause;
use mooring_core::id::BootId;
use mooring_core::phase::Phase;
use mooring_store::memory::MemoryStore;
use mooring_store::{AgentRecord, AgentStore, Attach, Changes, EventStore, GatewayRecord, InstanceRecord};
use uuid::Uuid;

use super::*;

struct World {
    store: Arc<MemoryStore>,
    sweeper: Sweeper,
    epoch: u64,
}

fn agent() -> AgentId {
    "a".parse().unwrap()
}

fn attach() -> Attach {
    Attach {
        agent: agent(),
        boot: BootId(Uuid::from_u128(1)),
        node: String::new(),
        version: String::new(),
        now: now(),
    }
}

impl World {
    /// An agent that was lost a while ago, with one instance.
    async fn new(grace: Duration, ago: Duration) -> Self {
        let store = Arc::new(MemoryStore::new());
        let epoch = store.attach(&attach()).await.unwrap().epoch;
        let fleet = Fleet::default();
        fleet.attached(record(epoch), Presence::Online);
        let gateway = "agents/a/gateways/g".parse::<mooring_core::id::GatewayRef>().unwrap();
        let changes = Changes {
            gateways: vec![GatewayRecord {
                gateway: gateway.clone(),
                handle: 1,
                kind: None,
                address: String::new(),
                group: "lines".parse().unwrap(),
                labels: [].into(),
                abilities: mooring_core::planner::Abilities::default(),
                incarnation: None,
                watch: Vec::new(),
            }],
            instances: vec![InstanceRecord { instance: gateway.instance("x".parse().unwrap()), handle: 2 }],
            ..Changes::default()
        };
        fleet.apply([&changes], now());
        fleet.set_presence(&agent(), epoch, Presence::Lost(now().before(ago)));
        let retention = Retention {
            events: Duration::from_secs(3_600),
            orders: Duration::from_secs(3_600),
            closes: Duration::from_secs(3_600),
        };
        let sweeper = Sweeper {
            store: Arc::clone(&store) as _,
            database: Database::default(),
            fleet,
            grace,
            retention,
        };
        Self { store, sweeper, epoch }
    }

    fn presence(&self) -> Presence {
        self.sweeper.fleet.read().agent(&agent()).unwrap().presence
    }

    async fn events(&self) -> usize {
        self.store.events_after(0, 100).await.unwrap().len()
    }
}

fn record(epoch: u64) -> AgentRecord {
    AgentRecord {
        id: agent(),
        boot: BootId(Uuid::from_u128(1)),
        node: String::new(),
        version: String::new(),
        epoch,
        last_sequence: 0,
        synced: true,
        attached_at: now(),
        last_seen: now(),
        offline_since: None,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn within_its_grace_an_agent_is_only_missed() {
    let w = World::new(MINUTE, Duration::ZERO).await;
    w.sweeper.silence().await;
    assert!(matches!(w.presence(), Presence::Lost(_)));
    assert_eq!(w.events().await, 0);
}

#[tokio::test]
async fn beyond_it_its_instances_are_unknown_and_that_is_said_once() {
    let w = World::new(MINUTE, MINUTE * 2).await;
    w.sweeper.silence().await;
    w.sweeper.silence().await;
    assert!(matches!(w.presence(), Presence::Offline(_)));
    assert_eq!(w.events().await, 1);
    assert!(w.store.agents().await.unwrap()[0].offline_since.is_some());
    let name = "agents/a/gateways/g/instances/x".parse().unwrap();
    let full = w.sweeper.fleet.read().instance(&name).unwrap();
    assert_eq!(full.phase, Phase::Unknown);
    assert!(full.conditions.iter().all(|c| c.cause == Some(Cause::AgentSilent)));
}

#[tokio::test]
async fn one_that_is_attached_elsewhere_is_not_marked_and_not_asked_about_for_ever() {
    let w = World::new(MINUTE, MINUTE * 2).await;
    w.store.attach(&attach()).await.unwrap();
    w.sweeper.silence().await;
    assert_eq!(w.store.agents().await.unwrap()[0].offline_since, None, "the other controller's word counts");
    assert!(matches!(w.presence(), Presence::Offline(_)), "what is believed here is old all the same");
    // It comes here: its new epoch counts, whatever the sweeper was about to say of the old one.
    w.sweeper.fleet.attached(record(w.epoch + 2), Presence::Online);
    w.sweeper.silence().await;
    assert_eq!(w.presence(), Presence::Online);
}

#[tokio::test]
async fn while_the_database_is_away_nobody_is_given_up() {
    let w = World::new(MINUTE, MINUTE * 2).await;
    w.store.set_away(true);
    w.sweeper.silence().await;
    assert!(matches!(w.presence(), Presence::Lost(_)));
    assert!(w.sweeper.database.away_since().is_some());
    w.store.set_away(false);
    w.sweeper.silence().await;
    assert!(matches!(w.presence(), Presence::Offline(_)));
}

#[tokio::test]
async fn times_last_seen_are_stored_where_they_changed() {
    let w = World::new(MINUTE, Duration::ZERO).await;
    let later = now().after(MINUTE);
    w.sweeper.fleet.seen(&agent(), later);
    let mut last = Timestamp::default();
    w.store.set_away(true);
    w.sweeper.touch(&mut last).await;
    assert_eq!(last, Timestamp::default(), "tried again");
    w.store.set_away(false);
    w.sweeper.touch(&mut last).await;
    assert_eq!((last, w.store.agents().await.unwrap()[0].last_seen), (later, later));
}
