//! Gates: what is counted, and what is remembered of a refusal.

use std::time::Duration;

use mooring_core::gate::{Gate, Pause, PauseScope};
use mooring_core::order::{Action, Origin, State};
use mooring_core::time::Timestamp;
use uuid::Uuid;

use super::fixtures::{Reporter, all_events, ask, at, end, event, group, made, must, order_id, shut, target};
use crate::rules::REFUSAL_SERIES;
use crate::{EventKind, NewPause, Store};

pub(super) async fn refusals_are_counted_and_remembered_once_a_series(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let mut wanted = ask(1, "a/g/i", Action::Reconnect, 0);
    wanted.belief.agent_online = false;
    for seconds in [0, 5, 10] {
        wanted.now = at(seconds);
        assert_eq!(shut(store, &wanted).await, [Gate::AgentOffline]);
    }
    let refusals = must(store.refusals(&target("a/g/i")).await);
    assert_eq!(refusals.len(), 1);
    let refusal = &refusals[0];
    assert_eq!((refusal.verdict.gate, refusal.verdict.open, refusal.count), (Gate::AgentOffline, false, 3));
    assert_eq!((refusal.first_at, refusal.last_at), (at(0), at(10)));
    assert_eq!(all_events(store).await.len(), 1, "one event for the series");

    // Another gate is another series; numbers, words and the time to ask again are those of the last time.
    wanted.policy.budget.in_flight = 0;
    wanted.backoff_until = Some(at(30));
    wanted.proposal.origin = Origin::Planner;
    wanted.now = at(20);
    assert_eq!(shut(store, &wanted).await, [Gate::AgentOffline, Gate::Backoff, Gate::GroupInFlight]);
    let mut refusals = must(store.refusals(&target("a/g/i")).await);
    refusals.sort_by_key(|r| r.verdict.gate);
    assert_eq!(refusals.iter().map(|r| r.count).collect::<Vec<_>>(), [4, 1, 1]);
    assert_eq!(refusals[1].verdict.retry_after, Some(Duration::from_secs(10)));
    assert!(refusals[1].verdict.numbers.contains(&("left".to_owned(), 10_000)), "{:?}", refusals[1]);
    assert!(!refusals[1].verdict.message.is_empty());
    let events = all_events(store).await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|e| e.event.kind == EventKind::Refusal));
    assert!(!events[1].event.message.contains("agent_offline"), "{}", events[1].event.message);
    assert!(events[1].event.message.contains("backoff"), "{}", events[1].event.message);

    // After a long silence a new series begins.
    wanted.now = at(21).after(REFUSAL_SERIES);
    shut(store, &wanted).await;
    assert_eq!(all_events(store).await.len(), 3);
    assert_eq!(must(store.order(order_id(1)).await), None);
    assert!(must(store.refusals(&target("a/g")).await).is_empty());
}

pub(super) async fn pauses_shut_what_they_cover(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    let pause = |number: u128, scope: PauseScope, until: Timestamp| NewPause {
        pause: Pause {
            id: Uuid::from_u128(number),
            scope,
            reason: "works".to_owned(),
            by: "ann".to_owned(),
            created_at: at(0),
            until,
        },
        request_id: None,
    };
    let scopes = [
        (PauseScope::All, vec!["a/g/x", "a/g/y", "a/g"]),
        (PauseScope::Group(group("lines")), vec!["a/g/x", "a/g/y", "a/g"]),
        (PauseScope::Group(group("others")), vec![]),
        (PauseScope::Target(target("a/g")), vec!["a/g/x", "a/g/y", "a/g"]),
        (PauseScope::Target(target("a/g/x")), vec!["a/g/x"]),
    ];
    for (number, (scope, covered)) in (1..).zip(scopes) {
        must(store.create_pause(&pause(number, scope.clone(), at(100)), &event("x", "paused", 0)).await);
        for short in ["a/g/x", "a/g/y", "a/g"] {
            let action = if short == "a/g" { Action::RestartGateway } else { Action::Reconnect };
            let mut wanted = ask(1, short, action, 99);
            wanted.validate_only = true;
            if covered.contains(&short) {
                assert_eq!(shut(store, &wanted).await, [Gate::Paused], "{scope:?} {short}");
            } else {
                made(store, &wanted).await;
            }
            wanted.now = at(100);
            made(store, &wanted).await;
        }
        let ended = store.end_pause(Uuid::from_u128(number), at(50), &event("x", "goes on", 0)).await;
        assert!(must(ended).is_some());
    }
    made(store, &ask(1, "a/g/x", Action::Reconnect, 99)).await;
}

pub(super) async fn the_cooldown_looks_at_the_targets_last_order(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    let cooling = |number, short: &str, seconds| {
        let mut wanted = ask(number, short, Action::Reconnect, seconds);
        wanted.policy.cooldown = Duration::from_secs(10);
        wanted
    };
    let order = made(store, &cooling(1, "a/g/x", 0)).await;
    end(store, &order, State::Failed, 5).await;
    assert_eq!(shut(store, &cooling(2, "a/g/x", 14)).await, [Gate::Cooldown]);
    made(store, &cooling(3, "a/g/y", 14)).await;
    made(store, &cooling(2, "a/g/x", 15)).await;
}

pub(super) async fn restarts_of_a_gateway_and_its_instances_are_counted(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    let by_planner = |number, short: &str, action, seconds| {
        let mut wanted = ask(number, short, action, seconds);
        wanted.proposal.origin = Origin::Planner;
        wanted.policy.restarts.count = 2;
        wanted.policy.restarts.window = Duration::from_secs(100);
        wanted
    };
    let asked = [
        (1, "a/g/x", Action::RestartInstance, 0),
        (2, "a/g/y", Action::Reconnect, 1),
        (4, "a/g", Action::RestartGateway, 3),
    ];
    for (number, short, action, seconds) in asked {
        let order = made(store, &by_planner(number, short, action, seconds)).await;
        end(store, &order, State::Succeeded, seconds).await;
    }
    // A neighbour's restart is none of y's: the gateway's is the only one that counts for it.
    let neighbour = made(store, &by_planner(3, "a/g/y", Action::RestartInstance, 40)).await;
    end(store, &neighbour, State::Succeeded, 41).await;
    let next = |seconds| by_planner(5, "a/g/x", Action::RestartInstance, seconds);
    assert_eq!(shut(store, &next(50)).await, [Gate::RestartBudget]);
    assert_eq!(shut(store, &next(99)).await, [Gate::RestartBudget]);
    made(store, &next(100)).await;
}
