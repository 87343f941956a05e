//! The database goes, answers get lost, the controller dies: nothing is done twice and nothing is forgotten.

use mooring_core::order::Event;
use mooring_store::{Admission, Ask, CaseStore, OrderWrite, StoreError};

use super::*;
use crate::orders::DeskError;

#[tokio::test]
async fn an_order_whose_making_was_not_answered_is_found_and_not_made_twice() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    w.sick("g/x").await;
    w.store.set_answers_lost(true);
    w.drive().await;
    assert!(w.clerk.away() && w.clerk.orders.is_empty());
    w.returns();
    let order = w.only_order().await;
    assert_eq!(order.state, State::Pending, "made, and nobody knows");
    w.drive().await;
    assert_eq!(w.only_order().await.state, State::Dispatched);
    assert_eq!(sent(&mut ear).iter().map(|o| o.id).collect::<Vec<_>>(), [order.id]);
    assert_eq!(w.case("g/x").await.unwrap().last_order, Some(order.id));
    w.receipt(order.id, Stage::Failed, now()).await;
    assert_eq!(w.case("g/x").await.unwrap().attempts, 1);
    assert!(w.clerk.doubtful.is_empty());
}

#[tokio::test]
async fn an_order_that_was_not_made_is_not_believed_in() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    w.sick("g/x").await;
    w.store.set_away(true);
    w.drive().await;
    assert!(w.clerk.away());
    w.drive().await;
    w.returns();
    assert_eq!(w.orders().await, []);
    w.drive().await;
    assert_eq!(w.clerk.orders.keys().copied().collect::<Vec<_>>(), [w.only_order().await.id]);
    assert!(w.clerk.doubtful.is_empty());
}

#[tokio::test]
async fn an_operators_order_whose_making_was_not_answered_is_carried_out() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    w.store.set_answers_lost(true);
    let target = Target::Instance(instance("g/x"));
    let lost = w.clerk.ask(wish(target.clone(), Action::Reconnect, Some("r1")), false).await;
    assert!(matches!(lost, Err(DeskError::Store(StoreError::Away(_)))), "{lost:?}");
    w.returns();
    // Asked again before the clock was looked at, as an impatient operator does.
    let again = w.clerk.ask(wish(target, Action::Reconnect, Some("r1")), false).await.unwrap();
    assert!(matches!(again, Admission::Already(_)), "{again:?}");
    w.drive().await;
    assert_eq!(w.only_order().await.state, State::Dispatched);
    assert_eq!(sent(&mut ear).len(), 1);
}

#[tokio::test]
async fn a_request_whose_order_another_controller_made_is_taken_over() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    let request = wish(Target::Instance(instance("g/x")), Action::Reconnect, Some("r1"));
    w.clerk.ask(request.clone(), false).await.unwrap();
    assert_eq!(sent(&mut ear).len(), 1);
    w.clerk.orders.clear();
    w.clerk.sent.clear();
    let again = w.clerk.ask(request, false).await.unwrap();
    assert!(matches!(again, Admission::Already(_)), "{again:?}");
    w.drive().await;
    assert_eq!(sent(&mut ear).len(), 1, "it is followed, not only told of");
}

#[tokio::test]
async fn an_end_that_was_stored_but_not_answered_is_counted() {
    let policy =
        Policy { stable_for: Duration::from_secs(600), order_ttl: Duration::from_millis(1), ..quick() };
    let mut w = World::new(policy, &["x", "y"]).await;
    w.sick("g/x").await;
    w.drive().await;
    let id = w.only_order().await.id;
    tokio::time::sleep(Duration::from_millis(5)).await;
    w.store.set_answers_lost(true);
    w.clerk.tick().await.unwrap();
    w.returns();
    assert_eq!(w.state(id).await, State::Expired);
    assert_eq!(w.live().len(), 1, "nobody here knows");
    w.clerk.tick().await.unwrap();
    assert_eq!(w.live(), [], "or nothing could ever be ordered for it again");
    let case = w.case("g/x").await.unwrap();
    assert_eq!((case.attempts, case.last_order), (1, None));
}

#[tokio::test]
async fn a_receipt_that_was_stored_but_not_answered_may_come_again() {
    let policy = Policy { stable_for: Duration::from_secs(600), ..quick() };
    let mut w = World::new(policy, &["x", "y"]).await;
    let _ear = w.stream();
    w.sick("g/x").await;
    w.drive().await;
    let id = w.only_order().await.id;
    w.store.set_answers_lost(true);
    let lost = w.clerk.receipt(&agent(), receipt(id, Stage::Failed, now())).await;
    assert!(matches!(lost, Err(DeskError::Store(StoreError::Away(_)))));
    let while_away = w.clerk.receipt(&agent(), receipt(id, Stage::Failed, now())).await;
    assert!(matches!(while_away, Err(DeskError::Store(StoreError::Away(_)))), "told at once");
    w.returns();
    // As the desk does it: again until it is durable.
    let mut again = w.clerk.receipt(&agent(), receipt(id, Stage::Failed, now())).await;
    if matches!(again, Err(DeskError::Store(StoreError::Conflict(_)))) {
        again = w.clerk.receipt(&agent(), receipt(id, Stage::Failed, now())).await;
    }
    again.unwrap();
    assert_eq!((w.state(id).await, w.live()), (State::Failed, vec![]));
    assert_eq!(w.case("g/x").await.unwrap().attempts, 1);
}

#[tokio::test]
async fn a_crash_between_an_orders_end_and_its_case_is_made_good() {
    let policy = Policy { stable_for: Duration::from_secs(600), ..quick() };
    let mut w = World::new(policy, &["x", "y"]).await;
    w.sick("g/x").await;
    w.drive().await;
    let before = w.only_order().await;
    let mut order = before.clone();
    order.step(now(), Event::Receipt(receipt(order.id, Stage::Failed, now()))).unwrap();
    let write = OrderWrite { order, previous: before.version, events: Vec::new() };
    assert_eq!(w.store.save_orders(&[write]).await.unwrap(), [true]);
    w.restart().await;
    assert_eq!(w.case("g/x").await.unwrap().last_order, Some(before.id));
    w.drive().await;
    let case = w.case("g/x").await.unwrap();
    assert_eq!((case.attempts, case.last_order), (1, None));
    w.only_order().await;
}

#[tokio::test]
async fn a_case_that_waits_for_an_order_nobody_has_any_more_waits_no_longer() {
    let mut w = World::new(Policy { stable_for: Duration::from_secs(600), ..quick() }, &["x", "y"]).await;
    let mut case = Case::open(Target::Instance(instance("g/x")), Cause::SessionLost, now());
    case.last_order = Some(OrderId(Uuid::from_u128(9)));
    w.store.save_cases(&[case], &[]).await.unwrap();
    w.restart().await;
    w.drive().await;
    assert_eq!(w.case("g/x").await.unwrap().last_order, None);
}

#[tokio::test]
async fn a_restart_goes_on_with_live_orders() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let _ear = w.stream();
    w.sick("g/x").await;
    w.drive().await;
    let id = w.only_order().await.id;
    w.restart().await;
    let mut ear = w.stream();
    w.drive().await;
    assert_eq!(sent(&mut ear).iter().map(|o| o.id).collect::<Vec<_>>(), [id], "sent again");
    let began = now();
    w.receipt(id, Stage::Done, began).await;
    w.say("g/x", Status::True, None, began).await;
    w.drive().await;
    assert_eq!(w.only_order().await.state, State::Succeeded);
}

#[tokio::test]
async fn an_order_that_only_the_store_knows_is_really_cancelled() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let target = Target::Instance(instance("g/x"));
    let made = w.clerk.ask(wish(target, Action::Reconnect, None), false).await.unwrap();
    let Admission::Made(order, _) = made else { panic!("{made:?}") };
    // As if another controller had made it.
    w.clerk.orders.clear();
    let cancelled = w.clerk.cancel(order.id, "ann".to_owned()).await.unwrap();
    assert_eq!((cancelled.state, w.state(order.id).await), (State::Cancelled, State::Cancelled));
    let again = w.clerk.cancel(order.id, "ann".to_owned()).await.unwrap();
    assert_eq!(again.state, State::Cancelled);
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_asked_of_it_and_nothing_is_forgotten() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    w.goes();
    let target = Target::Instance(instance("g/x"));
    let asked = w.clerk.ask(wish(target, Action::Reconnect, None), false).await;
    assert!(matches!(asked, Err(DeskError::Store(StoreError::Away(_)))));
    assert!(w.clerk.doubtful.is_empty(), "it was not even asked");
    w.store.set_away(false);
    w.sick("g/x").await;
    w.drive().await;
    w.clerk.round();
    w.clerk.queue.push(gateway("g"));
    w.clerk.work().await.unwrap();
    assert_eq!(w.orders().await, [], "not before the prober says that it is back");
    w.returns();
    w.drive().await;
    w.only_order().await;
}

#[tokio::test]
async fn an_order_that_the_stores_own_second_try_found_made_is_ours() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let _ear = w.stream();
    let target = Target::Instance(instance("g/x"));
    let (id, at) = (OrderId(Uuid::from_u128(5)), now());
    let belief = w.fleet.read().belief(&"lines".parse().unwrap(), &target, Action::Reconnect);
    let mut case = Case::open(target.clone(), Cause::SessionLost, at);
    case.last_order = Some(id);
    let ask = Ask {
        id,
        proposal: Proposal { origin: Origin::Planner, ..wish(target, Action::Reconnect, None) },
        policy: quick(),
        group: "lines".parse().unwrap(),
        belief,
        backoff_until: None,
        case: Some(case),
        validate_only: false,
        now: at,
    };
    assert!(matches!(w.store.admit(&ask).await, Ok(Admission::Made(..))));
    assert!(matches!(w.clerk.admit(&ask).await, Ok(Admission::Already(_))));
    assert_eq!(w.only_order().await.state, State::Dispatched);
    assert_eq!(w.case("g/x").await.unwrap().last_order, Some(id));
}
