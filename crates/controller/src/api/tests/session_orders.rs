//! Orders on sessions, from the wish to the receipt.

use mooring_core::order::{Action, Receipt, Stage};
use mooring_core::session::SessionView;
use mooring_proto::v1::OrderAction as Act;
use mooring_proto::{duration, v1};
use tonic::Code;

use super::crowd::{Crowd, Manners, session};
use super::*;

async fn create(world: &World, request: v1::CreateOrderRequest) -> Result<v1::Order, Status> {
    world.order_client().create_order(request).await.map(tonic::Response::into_inner)
}

fn wish(target: String, action: Act) -> v1::CreateOrderRequest {
    let reason = "it is being tested".to_owned();
    v1::CreateOrderRequest { target, action: action.into(), reason, ..Default::default() }
}

fn on_session(id: &str) -> String {
    format!("{}/sessions/{id}", name("a/g"))
}

async fn with_sessions(world: &World, manners: Manners) -> Crowd {
    // Enough instances that a tenth of them is more than one order.
    let others: Vec<String> = (0..40).map(|i| format!("i{i}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    small(world).await.gateway("a/others", "lines", &others).await;
    let crowd = Crowd::attach(world, "a", manners);
    let sick = SessionView { cause: Some(Cause::HalfOpen), ..session("r1", Duration::from_secs(9)) };
    crowd.set("g", vec![sick, session("r2", Duration::from_secs(1))]);
    crowd
}

async fn receipt(world: &World, order: &mooring_proto::link::OrderMessage, stage: Stage, message: &str) {
    let receipt = Receipt {
        order: order.id,
        stage,
        at: now(),
        message: message.to_owned(),
        output: String::new(),
        traceparent: None,
    };
    world.desk.receipt("a".parse().unwrap(), receipt).await.unwrap();
}

async fn get(world: &World, name: &str) -> v1::Order {
    let request = v1::GetOrderRequest { name: name.to_owned() };
    world.order_client().get_order(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn closing_a_session_is_an_order_that_its_receipt_proves() {
    let world = World::start().await;
    let mut crowd = with_sessions(&world, Manners::Answers).await;
    let request_id = Uuid::from_u128(5).to_string();
    let request = v1::CreateOrderRequest { request_id, ..wish(on_session("r1"), Act::CloseSession) };
    let order = create(&world, request.clone()).await.unwrap();
    assert_eq!((order.cause.as_str(), order.expected_condition.as_str()), ("HalfOpen", ""));
    assert_eq!((order.target.clone(), order.spread), (on_session("r1"), None));
    let sent = tokio::time::timeout(PATIENCE, crowd.orders.recv()).await.unwrap().unwrap();
    assert_eq!(
        (sent.action, sent.target.to_string(), sent.spread),
        (Action::CloseSession, on_session("r1"), None)
    );
    // Another session of the gateway is nobody's business; the same one and its gateway are.
    create(&world, wish(on_session("r2"), Act::CloseSession)).await.unwrap();
    for (target, action) in [(on_session("r1"), Act::CloseSession), (name("a/g"), Act::Drain)] {
        let (_, info) = refused(create(&world, wish(target, action)).await, Code::FailedPrecondition);
        assert_eq!(info.reason, "GATE_LIVE_ORDER");
    }
    for stage in [Stage::Accepted, Stage::Started] {
        receipt(&world, &sent, stage, "").await;
    }
    assert_eq!(get(&world, &order.name).await.state(), v1::OrderState::Running);
    receipt(&world, &sent, Stage::Done, "closed with 1012").await;
    let ended = get(&world, &order.name).await;
    assert_eq!(ended.state(), v1::OrderState::Succeeded);
    assert!(ended.outcome.contains("closed with 1012"), "{}", ended.outcome);

    // The session is gone by now: the same request is answered with what it made, another one is not.
    crowd.set("g", vec![session("r2", Duration::from_secs(1))]);
    assert_eq!(create(&world, request.clone()).await.unwrap().name, order.name);
    let other = v1::CreateOrderRequest { reason: "another".to_owned(), ..request };
    let (_, info) = refused(create(&world, other).await, Code::InvalidArgument);
    assert_eq!(info.reason, "REQUEST_ID_REUSED");
    let anew = v1::CreateOrderRequest {
        request_id: Uuid::from_u128(6).to_string(),
        ..wish(on_session("r1"), Act::CloseSession)
    };
    let (status, info) = refused(create(&world, anew).await, Code::NotFound);
    assert_eq!((info.reason.as_str(), info.metadata["type"].as_str()), ("RESOURCE_NOT_FOUND", "Session"));
    assert!(status.message().contains(&on_session("r1")), "{status}");
    let list = v1::ListOrdersRequest { filter: "action = CLOSE_SESSION".to_owned(), ..Default::default() };
    assert_eq!(world.order_client().list_orders(list).await.unwrap().into_inner().orders.len(), 2);
}

#[tokio::test]
async fn a_session_that_nobody_can_vouch_for_is_not_closed() {
    let sessions = Sessions::new(Metrics::default(), Duration::from_millis(250));
    let world = World::with(Options { sessions, ..Options::default() }).await;
    small(&world).await;
    let close = || create(&world, wish(on_session("r1"), Act::CloseSession));
    let (_, info) = refused(close().await, Code::Unavailable);
    assert_eq!(info.reason, "AGENT_NOT_ATTACHED");
    let _crowd = with_sessions(&world, Manners::Silent).await;
    let (status, info) = refused(close().await, Code::Unavailable);
    assert_eq!(info.reason, "AGENT_NO_ANSWER");
    assert!(status.get_error_details().retry_info().is_some());
    // With a request id it is looked whether it was made before; it was not.
    let request_id = Uuid::from_u128(5).to_string();
    let again = v1::CreateOrderRequest { request_id, ..wish(on_session("r1"), Act::CloseSession) };
    let (_, info) = refused(create(&world, again).await, Code::Unavailable);
    assert_eq!(info.reason, "AGENT_NO_ANSWER");
    let elsewhere = wish("agents/a/gateways/z/sessions/r1".to_owned(), Act::CloseSession);
    refused(create(&world, elsewhere).await, Code::NotFound);
    let list = world.order_client().list_orders(v1::ListOrdersRequest::default()).await.unwrap().into_inner();
    assert!(list.orders.is_empty());
}

#[tokio::test]
async fn a_pause_of_the_gateway_holds_for_its_sessions() {
    let world = World::start().await;
    let _crowd = with_sessions(&world, Manners::Answers).await;
    let pause = |scope: String| v1::CreatePauseRequest {
        pause: Some(v1::Pause {
            scope,
            reason: "works".to_owned(),
            ttl: Some(duration(Duration::from_secs(60))),
            ..Default::default()
        }),
        ..Default::default()
    };
    let (status, _) =
        refused(world.pause_client().create_pause(pause(on_session("r1"))).await, Code::InvalidArgument);
    assert!(status.message().contains(&name("a/g")), "{status}");
    world.pause_client().create_pause(pause(name("a/g"))).await.unwrap();
    let (_, info) =
        refused(create(&world, wish(on_session("r1"), Act::CloseSession)).await, Code::FailedPrecondition);
    assert_eq!(info.reason, "GATE_PAUSED");
}

#[tokio::test]
async fn a_spread_is_kept_sent_and_only_where_it_means_something() {
    let world = World::start().await;
    let mut crowd = with_sessions(&world, Manners::Answers).await;
    let spread = |target: String, action, spread: i64| v1::CreateOrderRequest {
        spread: Some(prost_types::Duration { seconds: spread, nanos: 0 }),
        ..wish(target, action)
    };
    let order = create(&world, spread(name("a/g/y"), Act::CloseSessions, 600)).await.unwrap();
    assert_eq!(order.spread.map(|d| d.seconds), Some(600));
    let sent = tokio::time::timeout(PATIENCE, crowd.orders.recv()).await.unwrap().unwrap();
    assert_eq!(sent.spread, Some(Duration::from_secs(600)));
    assert!(sent.time_limit > Duration::from_secs(600), "{:?}", sent.time_limit);
    assert_eq!(get(&world, &order.name).await.spread.map(|d| d.seconds), Some(600));
    for (target, action, seconds, why) in [
        (name("a/g/x"), Act::Reconnect, 5, "means nothing to reconnect"),
        (on_session("r1"), Act::CloseSession, 5, "means nothing to close_session"),
        (name("a/g"), Act::Resume, 5, "means nothing to resume"),
        (name("a/g"), Act::Drain, 3_601, "more than an hour"),
        (name("a/g"), Act::Drain, -1, "not a valid duration"),
    ] {
        let (status, info) =
            refused(create(&world, spread(target, action, seconds)).await, Code::InvalidArgument);
        assert_eq!(info.metadata["field"], "spread");
        assert!(status.message().contains(why), "{status}");
    }
}

#[tokio::test]
async fn what_is_aimed_wrongly_is_said_with_what_was_meant() {
    let world = World::start().await;
    let _crowd = with_sessions(&world, Manners::Answers).await;
    for (target, action, meant) in [
        (on_session("r1"), Act::Reconnect, "close_session".to_owned()),
        (on_session("r1"), Act::RestartGateway, format!("use {}", name("a/g"))),
        (on_session("r1"), Act::Drain, format!("use {}", name("a/g"))),
        (on_session("r1"), Act::CloseSessions, format!("use {}", name("a/g"))),
        (name("a/g/x"), Act::CloseSession, "close_sessions".to_owned()),
        (name("a/g"), Act::CloseSession, "close_sessions".to_owned()),
        (name("a/g/x"), Act::Drain, format!("use {}", name("a/g"))),
        (name("a/g/x"), Act::Resume, format!("use {}", name("a/g"))),
    ] {
        let (status, info) =
            refused(create(&world, wish(target.clone(), action)).await, Code::InvalidArgument);
        assert_eq!(info.metadata["field"], "target");
        assert!(status.message().contains(&meant), "{target} {action:?}: {status}");
    }
    let both = create(
        &world,
        v1::CreateOrderRequest { validate_only: true, ..wish(name("a/g"), Act::CloseSessions) },
    );
    assert!(both.await.is_ok());
    for action in [Act::Drain, Act::Resume] {
        let only = v1::CreateOrderRequest { validate_only: true, ..wish(name("a/g"), action) };
        assert_eq!(create(&world, only).await.unwrap().expected_condition, "");
    }
}
