//! Orders: what makes one, and how they are found.

use mooring_core::gate::Gate;
use mooring_core::id::Fence;
use mooring_core::order::{Action, State};

use super::fixtures::{
    Reporter, agent, all_events, ask, at, case, end, gateway, instance, made, must, order_id, shut, target,
};
use crate::{Admission, Changes, EventKind, Store};

pub(super) async fn an_order_is_made_with_event_and_case(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let mut wanted = ask(1, "a/g/i", Action::RestartInstance, 10);
    wanted.case = Some(case("a/g/i", 5));
    let order = made(store, &wanted).await;
    assert_eq!(order.proposal, wanted.proposal);
    assert_eq!((order.id, order.state, order.version), (order_id(1), State::Pending, 1));
    assert_eq!((order.created_at, order.expires_at), (at(10), at(10).after(wanted.policy.order_ttl)));
    assert_eq!(order.verify_within, wanted.policy.verify_within);
    assert!(order.fence >= Fence(1));

    assert_eq!(must(store.order(order_id(1)).await), Some(order.clone()));
    assert_eq!(must(store.order(order_id(2)).await), None);
    assert_eq!(must(store.live_orders(&agent("a")).await), std::slice::from_ref(&order));
    assert!(must(store.live_orders(&agent("b")).await).is_empty());
    let fleet = must(store.load().await);
    assert_eq!(fleet.live_orders, [order]);
    assert_eq!(fleet.cases, [case("a/g/i", 5)]);
    let events = all_events(store).await;
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!((event.kind, event.subject.as_str()), (EventKind::Order, "agents/a/gateways/g/instances/i"));
    assert_eq!((event.cause, event.at), (wanted.proposal.cause, at(10)));
    assert_eq!(event.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

pub(super) async fn fences_rise_even_over_the_end_of_the_target(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    agent.declare("g", &["i"]).await;
    let mut last = Fence(0);
    for (number, short) in [(1, "a/g/i"), (2, "a/g/i"), (3, "a/g"), (4, "a/g"), (5, "a/g/i")] {
        let action = if short == "a/g" { Action::RestartGateway } else { Action::Reconnect };
        let order = made(store, &ask(number, short, action, 10)).await;
        assert!(order.fence > last, "{:?} after {last:?}", order.fence);
        last = order.fence;
        end(store, &order, State::Succeeded, 11).await;
    }
    // The agent remembers fences for longer than the gateway is configured.
    agent.report(Changes { gateways_gone: vec![gateway("a/g")], ..Changes::default() }).await;
    agent.declare("g", &["i"]).await;
    let order = made(store, &ask(6, "a/g/i", Action::Reconnect, 20)).await;
    assert!(order.fence > last, "{:?} after {last:?}", order.fence);
}

pub(super) async fn one_live_order_per_target_and_across_its_gateway(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    agent.declare("g", &["x", "y"]).await;
    agent.declare("h", &["x"]).await;
    let on_x = made(store, &ask(1, "a/g/x", Action::Reconnect, 1)).await;
    for (short, action) in [("a/g/x", Action::RestartInstance), ("a/g", Action::RestartGateway)] {
        assert_eq!(shut(store, &ask(2, short, action, 1)).await, [Gate::LiveOrder], "{short}");
    }
    let on_y = made(store, &ask(3, "a/g/y", Action::Reconnect, 1)).await;
    let elsewhere = made(store, &ask(4, "a/h", Action::RestartGateway, 1)).await;
    assert_eq!(shut(store, &ask(5, "a/h/x", Action::Reconnect, 1)).await, [Gate::LiveOrder]);
    for order in [on_x, on_y, elsewhere] {
        end(store, &order, State::Failed, 2).await;
    }
    made(store, &ask(6, "a/g", Action::RestartGateway, 3)).await;
    assert_eq!(shut(store, &ask(7, "a/g/y", Action::Reconnect, 3)).await, [Gate::LiveOrder]);
    made(store, &ask(8, "a/h/x", Action::Reconnect, 3)).await;
}

pub(super) async fn orders_page_from_the_newest(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &["x", "y"]).await;
    Reporter::attach(store, "b").await.declare("g", &["x"]).await;
    let asked = [(1, "a/g/x"), (2, "a/g"), (3, "a/g/y"), (4, "b/g/x"), (5, "a/g/x")];
    for (number, short) in asked {
        let action = if short == "a/g" { Action::RestartGateway } else { Action::Reconnect };
        let order = made(store, &ask(number, short, action, 1)).await;
        if number < 4 {
            end(store, &order, State::Succeeded, 2).await;
        }
    }
    let ids = |orders: Vec<mooring_core::order::Order>| -> Vec<u128> {
        orders.into_iter().map(|o| o.id.0.as_u128()).collect()
    };
    assert_eq!(ids(must(store.orders_before(None, 2).await)), [5, 4]);
    assert_eq!(ids(must(store.orders_before(Some(order_id(4)), 2).await)), [3, 2]);
    assert_eq!(ids(must(store.orders_before(Some(order_id(2)), 2).await)), [1]);
    assert!(must(store.orders_before(Some(order_id(1)), 2).await).is_empty());
    assert_eq!(
        ids(must(store.orders_on(&target("a/g/x"), 10).await)),
        [5, 2, 1],
        "with those on its gateway"
    );
    assert_eq!(ids(must(store.orders_on(&target("a/g"), 10).await)), [2]);
    assert_eq!(ids(must(store.orders_on(&target("a/g/x"), 1).await)), [5]);
    assert_eq!(ids(must(store.live_orders(&agent("a")).await)), [5]);
    assert_eq!(ids(must(store.live_orders(&agent("b")).await)), [4]);
}

pub(super) async fn a_target_must_be_declared(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    agent.declare("g", &["i"]).await;
    agent.report(Changes { instances_gone: vec![instance("a/g/i")], ..Changes::default() }).await;
    for (short, action) in
        [("a/g/i", Action::Reconnect), ("a/h", Action::RestartGateway), ("a/h/i", Action::Reconnect)]
    {
        let answer = must(store.admit(&ask(1, short, action, 1)).await);
        assert_eq!(answer, Admission::NoTarget, "{short}");
    }
    assert_eq!(must(store.order(order_id(1)).await), None);
    assert!(all_events(store).await.is_empty());
}
