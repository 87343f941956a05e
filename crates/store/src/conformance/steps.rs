//! Steps of orders: compare-and-set by version.

use std::time::Duration;

use mooring_core::order::{Action, State};

use super::fixtures::{Reporter, agent, all_events, ask, at, event, made, must, order_id, step};
use crate::{OrderWrite, Store};

fn told(mut write: OrderWrite, message: &str) -> OrderWrite {
    write.events = vec![event("agents/a", message, 1)];
    write
}

async fn told_messages(store: &dyn Store) -> Vec<String> {
    all_events(store).await.into_iter().skip(1).map(|e| e.event.message).collect()
}

pub(super) async fn a_step_applies_to_the_version_it_is_based_on(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let order = made(store, &ask(1, "a/g/i", Action::Reconnect, 1)).await;
    let ours = told(step(&order, State::Dispatched, 2), "sent");
    let theirs = told(step(&order, State::Cancelled, 2), "cancelled");
    let mut unknown = step(&order, State::Dispatched, 2);
    unknown.order.id = order_id(9);

    assert_eq!(must(store.save_orders(&[unknown, ours.clone()]).await), [false, true]);
    assert_eq!(must(store.save_orders(&[theirs]).await), [false], "another step was faster");
    assert_eq!(must(store.order(order.id).await), Some(ours.order.clone()));
    // After an unknown outcome the same write again is no conflict, and nothing is remembered twice.
    assert_eq!(must(store.save_orders(&[ours]).await), [true]);
    assert_eq!(told_messages(store).await, ["sent"]);
    assert!(must(store.save_orders(&[]).await).is_empty());
    assert_eq!(must(store.order(order_id(9)).await), None);
}

pub(super) async fn several_steps_in_one_call(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    let x = made(store, &ask(1, "a/g/x", Action::Reconnect, 1)).await;
    let y = made(store, &ask(2, "a/g/y", Action::Reconnect, 1)).await;
    let sent = told(step(&x, State::Dispatched, 2), "x sent");
    let accepted = told(step(&sent.order, State::Accepted, 3), "x accepted");
    let other = told(step(&y, State::Cancelled, 2), "y cancelled");
    let lost = told(step(&x, State::Cancelled, 3), "x cancelled");
    let writes = [sent, other.clone(), accepted.clone(), lost];
    assert_eq!(must(store.save_orders(&writes).await), [true, true, true, false]);
    assert_eq!(must(store.order(x.id).await), Some(accepted.order.clone()));
    assert_eq!(must(store.order(y.id).await), Some(other.order));
    assert_eq!(told_messages(store).await[1..], ["x sent", "y cancelled", "x accepted"]);
    assert_eq!(must(store.live_orders(&agent("a")).await), std::slice::from_ref(&accepted.order));
    assert_eq!(must(store.load().await).live_orders, [accepted.order]);
}

pub(super) async fn every_field_of_an_order_is_kept(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let mut wanted = ask(1, "a/g/i", Action::CloseSessions, 1);
    wanted.proposal.spread = Some(Duration::from_micros(90_000_001));
    let order = made(store, &wanted).await;
    assert_eq!(must(store.order(order.id).await), Some(order.clone()));
    let mut write = step(&order, State::Failed, 9);
    write.order.expires_at = at(100);
    write.order.verify_within = Duration::from_micros(1_234_567);
    write.order.accepted_at = Some(at(2));
    write.order.started_at = Some(at(3));
    write.order.deadline = Some(at(4));
    write.order.outcome = "not seen in time".to_owned();
    write.order.output = "line 1\nline 2 网".to_owned();
    write.order.proposal.traceparent = None;
    assert_eq!(must(store.save_orders(std::slice::from_ref(&write)).await), [true]);
    assert_eq!(must(store.order(order.id).await), Some(write.order));
}
