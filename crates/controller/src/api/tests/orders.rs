//! Orders by operators.

use mooring_core::cause::Cause;
use mooring_proto::v1;
use mooring_proto::v1::OrderAction as Act;
use mooring_store::EventStore;
use tonic::{Code, Request};

use super::*;

fn wish(target: &str, action: Act) -> v1::CreateOrderRequest {
    v1::CreateOrderRequest {
        target: name(target),
        action: action.into(),
        reason: "it is being tested".to_owned(),
        ..Default::default()
    }
}

async fn create(world: &World, request: v1::CreateOrderRequest) -> Result<v1::Order, Status> {
    world.order_client().create_order(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_order_is_made_once_per_request_id_and_leaves_an_event() {
    let world = World::start().await;
    small(&world).await;
    let request_id = Uuid::from_u128(5).to_string();
    let request = v1::CreateOrderRequest { request_id: request_id.clone(), ..wish("a/g/x", Act::Reconnect) };
    let order = create(&world, request.clone()).await.unwrap();
    assert_eq!((order.state(), order.requested_by.as_str()), (v1::OrderState::Pending, "operator:local"));
    assert_eq!((order.cause.as_str(), order.expected_condition.as_str()), ("WrongPath", "Reachable"));
    assert_eq!(create(&world, request.clone()).await.unwrap().name, order.name);
    let (_, info) = refused(
        create(&world, v1::CreateOrderRequest { reason: "another".to_owned(), ..request }).await,
        Code::InvalidArgument,
    );
    assert_eq!((info.reason.as_str(), &info.metadata["order"]), ("REQUEST_ID_REUSED", &order.name));
    let events = world.store.events_about(&name("a/g/x"), 10).await.unwrap();
    assert!(events.iter().any(|e| e.event.message.contains("operator:local")), "{events:?}");
}

#[tokio::test]
async fn a_shut_gate_is_told_with_its_numbers_and_in_the_callers_language() {
    let world = World::start().await;
    small(&world).await;
    let first = create(&world, wish("a/g/x", Act::Reconnect)).await.unwrap();
    let mut request = Request::new(wish("a/g", Act::RestartGateway));
    request.metadata_mut().insert("accept-language", "zh-CN,en;q=0.5".parse().unwrap());
    let (status, info) = refused(world.order_client().create_order(request).await, Code::FailedPrecondition);
    assert_eq!(info.reason, "GATE_LIVE_ORDER");
    assert!(
        info.metadata["gates"].contains("live_order") && info.metadata["live_order.used"] == "1",
        "{info:?}"
    );
    let details = status.get_error_details();
    assert!(!details.precondition_failure().unwrap().violations.is_empty());
    assert!(details.localized_message().unwrap().message.contains("未结束"));
    // In English nothing is added.
    let (status, _) = refused(create(&world, wish("a/g/x", Act::Reconnect)).await, Code::FailedPrecondition);
    assert!(status.get_error_details().localized_message().is_none());
    let mut client = world.order_client();
    let cancel = v1::CancelOrderRequest { name: first.name.clone(), reason: "enough".to_owned() };
    let cancelled = client.cancel_order(cancel).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), v1::OrderState::Cancelled);
    assert!(cancelled.outcome.contains("operator:local: enough"), "{}", cancelled.outcome);
}

#[tokio::test]
async fn validating_makes_nothing() {
    let world = World::start().await;
    small(&world).await;
    let request = v1::CreateOrderRequest { validate_only: true, ..wish("a/g", Act::RestartGateway) };
    let order = create(&world, request).await.unwrap();
    assert_eq!((order.name.as_str(), order.target.as_str()), ("", name("a/g").as_str()));
    assert!(order.expire_time.is_some());
    let list = world.order_client().list_orders(v1::ListOrdersRequest::default()).await.unwrap().into_inner();
    assert!(list.orders.is_empty());
}

#[tokio::test]
async fn what_does_not_fit_is_said_with_what_would() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    feed.gateway("a/one", "lines", &["only"]).await;
    let (status, _) = refused(create(&world, wish("a/one", Act::Reconnect)).await, Code::InvalidArgument);
    assert!(status.message().contains(&name("a/one/only")), "{}", status.message());
    let (status, _) =
        refused(create(&world, wish("a/g/x", Act::RestartGateway)).await, Code::InvalidArgument);
    assert!(status.message().contains(&format!("use {}", name("a/g"))), "{}", status.message());
    refused(create(&world, wish("a/g/z", Act::Reconnect)).await, Code::NotFound);
    refused(create(&world, wish("a/g/x", Act::Unspecified)).await, Code::InvalidArgument);
    for change in [
        (|r| r.reason = "  ".to_owned()) as fn(&mut v1::CreateOrderRequest),
        |r| r.reason = "x".repeat(1025),
        |r| r.request_id = "7".to_owned(),
        |r| r.target = "agents/a".to_owned(),
    ] {
        let mut request = wish("a/g/x", Act::Reconnect);
        change(&mut request);
        let (status, info) = refused(create(&world, request).await, Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, info.metadata["field"]);
    }
    let mut client = world.order_client();
    let missing = format!("orders/{}", Uuid::from_u128(9));
    refused(client.get_order(v1::GetOrderRequest { name: missing.clone() }).await, Code::NotFound);
    let cancel = v1::CancelOrderRequest { name: missing, reason: String::new() };
    refused(client.cancel_order(cancel).await, Code::NotFound);
    refused(
        client.get_order(v1::GetOrderRequest { name: "orders/x".to_owned() }).await,
        Code::InvalidArgument,
    );
}

#[tokio::test]
async fn orders_are_listed_newest_first_in_pages_and_from_memory_while_the_database_is_away() {
    let world = World::start().await;
    let mut feed = small(&world).await;
    let mut made = Vec::new();
    for i in 0..5 {
        let gateway = format!("a/g{i}");
        feed.gateway(&gateway, &format!("group{i}"), &["x"]).await;
        feed.sick(&format!("{gateway}/x"), Cause::WrongPath).await;
        made.insert(0, create(&world, wish(&gateway, Act::RestartGateway)).await.unwrap().name);
    }
    let mut client = world.order_client();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListOrdersRequest { page_size: 2, page_token: token, ..Default::default() };
        let page = client.list_orders(request).await.unwrap().into_inner();
        seen.extend(page.orders.into_iter().map(|o| o.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, made);
    let of = |filter: &str| v1::ListOrdersRequest { filter: filter.to_owned(), ..Default::default() };
    let some =
        client.list_orders(of("target : \"gateways/g3\" AND state = PENDING")).await.unwrap().into_inner();
    assert_eq!(some.orders.len(), 1);
    assert!(client.list_orders(of("age > 1h")).await.unwrap().into_inner().orders.is_empty());

    world.database_goes();
    let list = client.list_orders(v1::ListOrdersRequest::default()).await.unwrap();
    assert_eq!(list.metadata().get("mooring-stale").unwrap(), "true");
    assert_eq!(list.into_inner().orders.len(), 5);
    assert!(client.get_order(v1::GetOrderRequest { name: made[0].clone() }).await.is_ok());
    let unknown = v1::GetOrderRequest { name: format!("orders/{}", Uuid::from_u128(9)) };
    refused(client.get_order(unknown).await, Code::Unavailable);
    let (status, info) = refused(create(&world, wish("a/g/y", Act::Reconnect)).await, Code::Unavailable);
    assert_eq!(info.reason, "DATABASE_AWAY");
    assert!(status.get_error_details().retry_info().is_some());
    world.database_returns().await;
    assert!(create(&world, wish("a/g/y", Act::Reconnect)).await.is_ok());
}

#[tokio::test]
async fn an_order_shows_in_a_watch_and_on_its_instance() {
    let world = World::start().await;
    small(&world).await;
    let mut watch = world.fleet_client().watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    let order = create(&world, wish("a/g/x", Act::Reconnect)).await.unwrap();
    let shown = async {
        loop {
            let step = watch.message().await.unwrap().unwrap();
            if let Some(v1::watch_response::Item::Order(shown)) = step.item {
                return shown.name;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, shown).await.unwrap(), order.name);
    let get = v1::GetInstanceRequest { name: name("a/g/x") };
    let x = world.fleet_client().get_instance(get).await.unwrap().into_inner();
    assert_eq!(x.live_order, order.name);
    let list = v1::ListInstancesRequest { filter: "live_order : *".to_owned(), ..Default::default() };
    let list = world.fleet_client().list_instances(list).await.unwrap().into_inner();
    assert_eq!(list.instances.len(), 1);
}
