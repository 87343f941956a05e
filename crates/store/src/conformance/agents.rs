//! Attachments: whose word counts.

use mooring_core::id::BootId;
use uuid::Uuid;

use super::fixtures::{Reporter, agent, all_events, at, event, gateway_record, must};
use crate::{Changes, Committed, Store};

pub(super) async fn epochs_rise_and_older_ones_cannot_write(store: &dyn Store) {
    let mut old = Reporter::attach(store, "a").await;
    assert_eq!(old.epoch, 1);
    old.declare("g", &["i"]).await;
    let mut new = Reporter::attach(store, "a").await;
    assert_eq!(new.epoch, 2);
    let mut late = old.delta(Changes { gateways: vec![gateway_record("a/late")], ..Changes::default() });
    late.events.push(event("agents/a", "late", 1));
    late.synced = Some(true);
    assert_eq!(must(store.commit(&[late.clone()]).await), [Committed::StaleEpoch]);
    // An epoch that was never given out is no better.
    late.epoch = 9;
    assert_eq!(must(store.commit(&[late]).await), [Committed::StaleEpoch]);
    let mut stranger = Reporter { store, id: agent("b"), boot: old.boot, epoch: 1, sequence: 0 };
    let unheard = stranger.delta(Changes::default());
    assert_eq!(must(store.commit(&[unheard]).await), [Committed::StaleEpoch]);

    let fleet = must(store.load().await);
    assert_eq!(fleet.gateways.len(), 1, "{:?}", fleet.gateways);
    assert_eq!((fleet.agents.len(), fleet.agents[0].last_sequence, fleet.agents[0].synced), (1, 1, false));
    assert!(all_events(store).await.is_empty());
    new.sequence = 1;
    new.declare("h", &[]).await;
}

pub(super) async fn a_boot_resumes_only_what_it_synced(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let boot = agent.boot;
    assert_eq!(agent.attach_again(boot).await, None, "nothing was ever reported");
    // (what the report says of the snapshot, where the boot may resume after it)
    let story =
        [(Some(false), None), (None, None), (Some(true), Some(3)), (None, Some(4)), (Some(false), None)];
    for (synced, resume) in story {
        let mut delta = agent.delta(Changes::default());
        delta.synced = synced;
        assert_eq!(must(store.commit(&[delta]).await), [Committed::Durable]);
        assert_eq!(agent.attach_again(boot).await, resume, "after {synced:?}");
    }
    let mut delta = agent.delta(Changes::default());
    delta.synced = Some(true);
    must(store.commit(&[delta]).await);

    assert_eq!(agent.attach_again(BootId(Uuid::from_u128(2))).await, None, "a new boot needs everything");
    agent.sequence = 0;
    agent.declare("g", &[]).await;
    let record = must(store.agents().await).remove(0);
    assert_eq!((record.last_sequence, record.synced, record.boot.0.as_u128()), (1, false, 2));
    assert_eq!((record.node.as_str(), record.version.as_str()), ("node-1", "0.1.0"));
    assert_eq!((record.attached_at, record.offline_since), (at(0), None));
    assert_eq!(must(store.load().await).gateways.len(), 1, "sequences began anew");
}

pub(super) async fn an_agent_is_marked_offline_once(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let gone = event("agents/a", "gone", 10);
    let (id, epoch) = (agent.id.clone(), agent.epoch);
    assert!(must(store.offline(&id, epoch, at(10), &gone).await));
    assert!(must(store.offline(&id, epoch, at(11), &gone).await), "done already is done");
    assert_eq!(must(store.agents().await)[0].offline_since, Some(at(10)));
    let events = all_events(store).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, gone);

    let boot = agent.boot;
    agent.attach_again(boot).await;
    assert_eq!(must(store.agents().await)[0].offline_since, None);
    assert!(!must(store.offline(&id, epoch, at(12), &gone).await), "it has come back meanwhile");
    assert!(
        !must(store.offline(&super::fixtures::agent("b"), 1, at(12), &gone).await),
        "there is no such agent"
    );
    assert_eq!(all_events(store).await.len(), 1);
}

pub(super) async fn last_seen_only_moves_forward(store: &dyn Store) {
    Reporter::attach(store, "a").await;
    Reporter::attach(store, "b").await;
    must(store.touch(&[]).await);
    must(store.touch(&[(agent("b"), at(20)), (agent("a"), at(30)), (agent("unknown"), at(30))]).await);
    must(store.touch(&[(agent("a"), at(10))]).await);
    let seen: Vec<_> =
        must(store.agents().await).into_iter().map(|a| (a.id.to_string(), a.last_seen)).collect();
    assert_eq!(seen, [("a".to_owned(), at(30)), ("b".to_owned(), at(20))]);
}
