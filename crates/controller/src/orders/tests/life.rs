//! From a sickness to a verified end, and the other ways an order can go.

use super::*;

#[tokio::test]
async fn a_sickness_leads_to_an_order_that_ends_with_its_effect_and_a_case_that_ends_with_stability() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    w.well("g/y").await;
    w.sick("g/x").await;
    w.drive().await;
    let order = w.only_order().await;
    assert_eq!((order.state, order.proposal.action), (State::Dispatched, Action::Reconnect));
    let sent = sent(&mut ear);
    assert_eq!(sent.iter().map(|o| (o.id, o.fence)).collect::<Vec<_>>(), [(order.id, order.fence)]);
    assert_eq!(w.case("g/x").await.unwrap().last_order, Some(order.id));
    // Nothing more while it is under way, whatever is seen.
    w.sick("g/x").await;
    w.drive().await;
    w.only_order().await;

    let began = now();
    w.receipt(order.id, Stage::Accepted, began).await;
    w.receipt(order.id, Stage::Started, began).await;
    w.receipt(order.id, Stage::Done, began).await;
    assert_eq!(w.state(order.id).await, State::Verifying);
    // True, but since before: that is what it was, not what the order did.
    w.say("g/x", Status::True, None, began.before(Duration::from_secs(1))).await;
    w.drive().await;
    assert_eq!(w.state(order.id).await, State::Verifying);
    w.say("g/x", Status::True, None, began).await;
    w.drive().await;
    assert_eq!(w.state(order.id).await, State::Succeeded);
    assert_eq!(w.live(), []);
    w.drive_until(|w| w.clerk.cases.all().is_empty()).await;
    assert_eq!(w.case("g/x").await, None);
    assert!(w.clerk.orders.is_empty() && w.clerk.sent.is_empty() && w.clerk.traces.is_empty());
}

#[tokio::test]
async fn the_end_of_an_order_is_counted_in_its_case() {
    let policy = Policy { stable_for: Duration::from_secs(600), ..quick() };
    let mut w = World::new(policy, &["x", "y"]).await;
    let _ear = w.stream();
    w.sick("g/x").await;
    w.drive().await;
    let order = w.only_order().await;
    let before = now();
    w.receipt(order.id, Stage::Failed, now()).await;
    let case = w.case("g/x").await.unwrap();
    assert_eq!((case.attempts, case.last_order), (1, None));
    assert!(case.not_before >= before.after(Duration::from_millis(50)), "the pause before the next try");
    w.drive_until(|w| w.clerk.orders.len() == 1).await;
    let next = w.orders().await.remove(0);
    assert_eq!(next.proposal.action, Action::ReconnectSlowly, "one step up");
    assert!(next.created_at >= case.not_before && next.fence > order.fence);
}

#[tokio::test]
async fn what_recovers_by_itself_takes_back_an_order_that_was_never_sent_and_no_other() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    w.sick("g/x").await;
    w.drive().await;
    let order = w.only_order().await;
    assert_eq!(order.state, State::Pending, "there is no stream");
    w.well("g/x").await;
    w.drive().await;
    assert_eq!(w.state(order.id).await, State::Cancelled);
    assert_eq!(w.case("g/x").await.map(|c| c.attempts).unwrap_or(0), 0, "that was no try");

    let _ear = w.stream();
    w.sick("g/y").await;
    w.drive().await;
    w.well("g/y").await;
    w.drive().await;
    let sent = w.orders().await.remove(0);
    assert_eq!(sent.state, State::Dispatched, "what is on the wire cannot be called back");
}

#[tokio::test]
async fn an_order_that_waited_for_a_stream_is_sent_and_known_to_be() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    w.sick("g/x").await;
    w.drive().await;
    let order = w.only_order().await;
    assert_eq!(order.state, State::Pending);
    let mut ear = w.stream();
    w.drive().await;
    assert_eq!(sent(&mut ear).len(), 1);
    // Pending, it could be called back although the agent has it, and would expire without the time a receipt takes.
    assert_eq!(w.state(order.id).await, State::Dispatched);
    w.drive().await;
    assert_eq!(sent(&mut ear).len(), 0, "repeated at leisure, not at each tick");
}

#[tokio::test]
async fn receipts_that_come_twice_late_or_from_others_change_nothing() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let _ear = w.stream();
    w.sick("g/x").await;
    w.drive().await;
    let id = w.only_order().await.id;
    let other: AgentId = "b".parse().unwrap();
    w.clerk.receipt(&other, receipt(id, Stage::Failed, now())).await.unwrap();
    assert_eq!(w.state(id).await, State::Dispatched, "an agent speaks for itself");
    w.clerk.receipt(&agent(), receipt(OrderId(Uuid::from_u128(7)), Stage::Done, now())).await.unwrap();
    w.receipt(id, Stage::Started, now()).await;
    let version = w.only_order().await.version;
    for stage in [Stage::Started, Stage::Accepted, Stage::Refused, Stage::Expired] {
        w.receipt(id, stage, now()).await;
    }
    assert_eq!(w.only_order().await.version, version, "twice, early ones late, and what contradicts");
    w.receipt(id, Stage::Failed, now()).await;
    let ended = w.only_order().await;
    for stage in [Stage::Failed, Stage::Done] {
        w.receipt(id, stage, now()).await;
    }
    assert_eq!(w.only_order().await, ended);
    assert_eq!(w.case("g/x").await.unwrap().attempts, 1, "counted once");
    assert!(w.clerk.orders.is_empty() && w.clerk.traces.is_empty(), "what is over is not kept");
}

#[tokio::test]
async fn an_order_given_up_and_carried_out_all_the_same_says_so() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let target = Target::Instance(instance("g/x"));
    let made = w.clerk.ask(wish(target, Action::Reconnect, None), false).await.unwrap();
    let mooring_store::Admission::Made(order, _) = made else { panic!("{made:?}") };
    w.clerk.cancel(order.id, "ann".to_owned()).await.unwrap();
    let traceparent = Some(format!("00-{:032x}-{:016x}-01", 1, 1));
    let late = Receipt { traceparent, ..receipt(order.id, Stage::Started, now()) };
    w.clerk.receipt(&agent(), late).await.unwrap();
    let order = w.only_order().await;
    assert_eq!((order.state, order.accepted_at.is_some()), (State::Cancelled, true));
    assert!(w.clerk.traces.is_empty() && w.clerk.orders.is_empty());
}

#[tokio::test]
async fn a_case_ends_with_its_instance() {
    let mut w = World::new(Policy { stable_for: Duration::from_secs(600), ..quick() }, &["x", "y"]).await;
    let _ear = w.stream();
    w.sick("g/x").await;
    w.drive().await;
    assert!(w.case("g/x").await.is_some());
    w.report(Changes { instances_gone: vec![instance("g/x")], ..Changes::default() }).await;
    w.drive().await;
    assert_eq!(w.case("g/x").await, None);
    w.sick("g/y").await;
    w.drive().await;
    w.report(Changes { gateways_gone: vec![gateway("g")], ..Changes::default() }).await;
    w.drive().await;
    assert_eq!(w.case("g/y").await, None, "or with its gateway");
}

#[tokio::test]
async fn a_human_is_called_once_and_nothing_is_ordered() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    w.say("g/x", Status::False, Some(Cause::WrongPath), now()).await;
    w.drive().await;
    w.say("g/x", Status::False, Some(Cause::WrongPath), now()).await;
    w.drive().await;
    assert_eq!(w.orders().await, []);
    let events = mooring_store::EventStore::events_after(&*w.store, 0, 1_000).await.unwrap();
    let calls = events.iter().filter(|e| e.event.kind == mooring_store::EventKind::Human).count();
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn what_is_spread_over_time_is_given_that_time_and_proven_by_its_receipt() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    let (spread, verify) = (Duration::from_secs(600), quick().verify_within);
    let wanted =
        Proposal { spread: Some(spread), ..wish(Target::Gateway(gateway("g")), Action::CloseSessions, None) };
    w.clerk.ask(wanted, false).await.unwrap();
    let sent = sent(&mut ear).remove(0);
    assert_eq!((sent.spread, sent.time_limit), (Some(spread), spread + verify * 2));
    let began = now();
    w.receipt(sent.id, Stage::Accepted, began).await;
    w.receipt(sent.id, Stage::Started, began).await;
    let running = w.only_order().await;
    assert_eq!(running.state, State::Running);
    assert!(running.deadline.unwrap() >= began.after(spread + verify * 2), "{running:?}");
    // Sick or well: what is seen of the instances neither proves nor takes back anything.
    w.sick("g/x").await;
    w.well("g/x").await;
    w.drive().await;
    assert_eq!(w.state(sent.id).await, State::Running);
    w.receipt(sent.id, Stage::Done, now()).await;
    assert_eq!(w.state(sent.id).await, State::Succeeded);
    assert!(w.clerk.orders.is_empty() && w.live().is_empty());
}

#[tokio::test]
async fn an_order_on_a_session_is_no_hindrance_to_the_instances() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut ear = w.stream();
    let session: Target = "agents/a/gateways/g/sessions/r1".parse().unwrap();
    w.clerk.ask(wish(session.clone(), Action::CloseSession, None), false).await.unwrap();
    assert_eq!(sent(&mut ear).remove(0).target, session);
    w.well("g/y").await;
    w.sick("g/x").await;
    w.drive().await;
    let reconnect = sent(&mut ear).remove(0);
    assert_eq!((reconnect.action, reconnect.target.instance()), (Action::Reconnect, Some(&instance("g/x"))));
    // The controller dies: both go on, and the session's is put on the wire again.
    w.restart().await;
    let mut ear = w.stream();
    w.clerk.repeat(now()).await.unwrap();
    let again: Vec<Target> = sent(&mut ear).into_iter().map(|o| o.target).collect();
    assert!(again.contains(&session) && again.len() == 2, "{again:?}");
}
