//! Events: kept whole, found by number and by name, dropped when old.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::gate::Gate;
use mooring_core::order::{Action, State};

use super::fixtures::{Reporter, agent, all_events, ask, at, end, event, made, must, order_id, shut, target};
use crate::{EventKind, EventRecord, NewEvent, Retention, Store};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(super) async fn every_kind_of_event_comes_back(store: &dyn Store) {
    let mut events = Vec::new();
    for (seconds, kind) in (0..).zip(EventKind::ALL) {
        let plain = event("agents/a", "plain 网", seconds);
        events.push(NewEvent { kind, ..plain.clone() });
        events.push(NewEvent {
            kind,
            condition: Some((ConditionKind::Linked, Status::Unknown)),
            cause: Some(Cause::AgentSilent),
            evidence: vec![("z".to_owned(), "1".to_owned()), ("a".to_owned(), "\"2\"".to_owned())],
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            ..plain
        });
    }
    must(store.append_events(&[]).await);
    must(store.append_events(&events).await);
    let kept = all_events(store).await;
    assert_eq!(kept.iter().map(|e| e.event.clone()).collect::<Vec<_>>(), events);
    assert!(kept.windows(2).all(|w| w[0].number < w[1].number), "numbers rise in the order given");
    must(store.ping().await);
}

fn messages(events: Vec<EventRecord>) -> Vec<String> {
    events.into_iter().map(|e| e.event.message).collect()
}

pub(super) async fn events_page_both_ways(store: &dyn Store) {
    let events: Vec<NewEvent> = (0..5).map(|n| event("agents/a", &n.to_string(), n)).collect();
    must(store.append_events(&events).await);
    let newest = must(store.events_before(None, None, 2).await);
    assert_eq!(messages(newest.clone()), ["4", "3"]);
    let older = must(store.events_before(Some(newest[1].number), None, 10).await);
    assert_eq!(messages(older.clone()), ["2", "1", "0"]);
    assert_eq!(messages(must(store.events_before(None, Some(at(3)), 10).await)), ["4", "3"]);
    assert!(must(store.events_before(Some(older[2].number), None, 10).await).is_empty());
    assert_eq!(messages(must(store.events_after(older[0].number, 1).await)), ["3"]);
    assert_eq!(messages(must(store.events_after(older[0].number, 10).await)), ["3", "4"]);
    assert!(must(store.events_after(newest[0].number, 10).await).is_empty());
}

pub(super) async fn events_are_found_by_what_holds_their_subject(store: &dyn Store) {
    let subjects = [
        "agents/a",
        "agents/a/gateways/g",
        "agents/a/gateways/g/instances/x",
        "agents/a/gateways/g2",
        "agents/a/gateways/g_2/instances/x",
        "agents/a/gateways/gx2",
        "agents/a/gateways/g.2",
        "agents/a-b",
        "policies/g",
    ];
    let events: Vec<NewEvent> = subjects.iter().map(|s| event(s, s, 1)).collect();
    must(store.append_events(&events).await);
    let about = async |subject: &str, limit| messages(must(store.events_about(subject, limit).await));
    assert_eq!(about("agents/a/gateways/g", 10).await, [subjects[2], subjects[1]]);
    assert_eq!(about("agents/a/gateways/g_2", 10).await, [subjects[4]]);
    assert_eq!(about("agents/a", 10).await.len(), 7);
    assert_eq!(about("agents/a", 2).await, [subjects[6], subjects[5]]);
    assert_eq!(about("policies/g", 10).await, [subjects[8]]);
    assert!(about("agents/%", 10).await.is_empty());
    assert!(about("agents", 0).await.is_empty());
}

pub(super) async fn old_things_are_pruned_and_live_ones_kept(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y", "z"]).await;
    let order = made(store, &ask(1, "a/g/x", Action::Reconnect, 0)).await;
    end(store, &order, State::Succeeded, 10).await;
    made(store, &ask(2, "a/g/y", Action::Reconnect, 0)).await;
    let order = made(store, &ask(3, "a/g/x", Action::Reconnect, 50)).await;
    end(store, &order, State::Succeeded, 60).await;
    for (short, seconds) in [("a/g/x", 0), ("a/g/z", 60)] {
        let mut wanted = ask(4, short, Action::Reconnect, seconds);
        wanted.policy.dry_run = true;
        assert_eq!(shut(store, &wanted).await, [Gate::DryRun]);
    }
    // Events by now: made at 0, 0 and 50, refused at 0 and 60.
    let keep = Retention { events: Duration::from_secs(50), orders: Duration::from_secs(90), closes: YEAR };
    assert_eq!(must(store.prune(at(20), keep).await), 0);
    let keep_young =
        Retention { events: Duration::from_secs(50), orders: Duration::from_secs(80), closes: YEAR };
    assert_eq!(must(store.prune(at(100), keep_young).await), 5, "three events, a refusal and an order");
    assert_eq!(must(store.prune(at(100), keep_young).await), 0);
    assert_eq!(all_events(store).await.len(), 2);
    assert_eq!(must(store.order(order_id(1)).await), None);
    assert!(must(store.order(order_id(3)).await).is_some());
    assert_eq!(must(store.live_orders(&agent("a")).await).len(), 1);
    assert!(must(store.refusals(&target("a/g/x")).await).is_empty());
    assert_eq!(must(store.refusals(&target("a/g/z")).await).len(), 1);
}
