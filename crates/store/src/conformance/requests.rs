//! Asking twice: after an unknown outcome, by mistake, at the same time, or only to see.

use futures_util::future::join_all;
use mooring_core::gate::Gate;
use mooring_core::order::{Action, State};

use super::fixtures::{Reporter, all_events, ask, case, closed, end, made, must, order_id, shut, target};
use crate::{Admission, Ask, Store};

fn with_request(number: u128, short: &str, seconds: i64) -> Ask {
    let mut ask = ask(number, short, Action::Reconnect, seconds);
    ask.proposal.request_id = Some("req-1".to_owned());
    ask
}

pub(super) async fn the_same_id_is_the_same_order(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let wanted = ask(1, "a/g/i", Action::Reconnect, 1);
    let order = made(store, &wanted).await;
    assert_eq!(must(store.admit(&wanted).await), Admission::Already(Box::new(order.clone())));
    let ended = end(store, &order, State::Failed, 2).await;
    assert_eq!(must(store.admit(&wanted).await), Admission::Already(Box::new(ended)));
    assert_eq!(all_events(store).await.len(), 1);
    assert!(must(store.refusals(&target("a/g/i")).await).is_empty());
}

pub(super) async fn a_request_id_names_one_request(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    let order = made(store, &with_request(1, "a/g/x", 1)).await;

    // What the controller finds out by itself may differ between two tries.
    let mut again = with_request(2, "a/g/x", 9);
    again.proposal.traceparent = None;
    again.proposal.incarnation = None;
    assert_eq!(must(store.admit(&again).await), Admission::Already(Box::new(order.clone())));

    let mut other_reason = with_request(3, "a/g/x", 1);
    other_reason.proposal.reason = "something else".to_owned();
    for other in [with_request(4, "a/g/y", 1), other_reason] {
        assert_eq!(must(store.admit(&other).await), Admission::RequestIdReused(Box::new(order.clone())));
    }
    let ended = end(store, &order, State::Succeeded, 2).await;
    assert_eq!(must(store.admit(&with_request(5, "a/g/x", 9)).await), Admission::Already(Box::new(ended)));
    assert_eq!(must(store.orders_before(None, 10).await).len(), 1);
}

pub(super) async fn validating_writes_nothing(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let mut wanted = with_request(1, "a/g/i", 1);
    wanted.case = Some(case("a/g/i", 1));
    wanted.validate_only = true;
    for _ in 0..2 {
        let order = made(store, &wanted).await;
        assert_eq!((order.id, order.state, &order.proposal), (order_id(1), State::Pending, &wanted.proposal));
    }
    let mut refused = wanted.clone();
    refused.policy.dry_run = true;
    assert_eq!(shut(store, &refused).await, [Gate::DryRun]);
    assert_eq!(must(store.order(order_id(1)).await), None);
    assert!(must(store.load().await).cases.is_empty());
    assert!(must(store.refusals(&target("a/g/i")).await).is_empty());
    assert!(all_events(store).await.is_empty());

    wanted.validate_only = false;
    let order = made(store, &wanted).await;
    wanted.validate_only = true;
    assert_eq!(must(store.admit(&wanted).await), Admission::Already(Box::new(order)));
}

pub(super) async fn racing_tries_of_one_request_make_one_order(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    // Half of them aim elsewhere and in another group: nothing but the request id tells that they are the same.
    let asks: Vec<Ask> = (1..=12)
        .map(|n| {
            let mut ask = with_request(n, if n % 2 == 0 { "a/g/x" } else { "a/g/y" }, 1);
            ask.group = super::fixtures::group(if n % 2 == 0 { "even" } else { "odd" });
            ask
        })
        .collect();
    let answers = join_all(asks.iter().map(|ask| store.admit(ask))).await;
    let mut count = [0; 3];
    for answer in answers {
        match must(answer) {
            Admission::Made(..) => count[0] += 1,
            Admission::Already(_) => count[1] += 1,
            Admission::RequestIdReused(_) => count[2] += 1,
            Admission::Shut(verdicts) => panic!("refused: {:?}", closed(&verdicts)),
            Admission::NoTarget => panic!("no target"),
        }
    }
    assert_eq!(count, [1, 5, 6], "made, made already, used for something else");
    assert_eq!(must(store.orders_before(None, 100).await).len(), 1);
}
