//! What stands around every call: tokens, health, reflection, errors of the transport.

use mooring_proto::v1;
use mooring_runtime::config::SecretFile;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

use super::*;

const TOKEN: &str = "alice-0123456789abcdef";

async fn guarded() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    std::fs::write(&path, format!("alice:{TOKEN}\n")).unwrap();
    let tokens = TokenSet::load(&[SecretFile::new(path)], "operator").unwrap();
    World::with(Options { tokens: Some(tokens), ..Options::default() }).await
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

async fn health(world: &World, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(world.channel.clone()).check(request).await.unwrap().into_inner();
    answer.status()
}

#[tokio::test]
async fn without_a_token_there_is_health_and_nothing_else() {
    let world = guarded().await;
    small(&world).await;
    let mut client = world.fleet_client();
    let (status, info) = refused(client.get_fleet(v1::GetFleetRequest {}).await, Code::Unauthenticated);
    assert!(info.reason == "UNAUTHENTICATED" && status.message().contains("authorization: Bearer"));
    refused(
        client.get_fleet(with_token(v1::GetFleetRequest {}, "wrong-0123456789abcdef")).await,
        Code::Unauthenticated,
    );
    refused(client.watch(v1::WatchRequest::default()).await.map(|_| ()), Code::Unauthenticated);
    let mut reflection = ServerReflectionClient::new(world.channel.clone());
    let ask = tokio_stream::once(list_services());
    refused(reflection.server_reflection_info(ask).await.map(|_| ()), Code::Unauthenticated);
    assert_eq!(health(&world, "").await, ServingStatus::Serving);
    assert!(client.get_fleet(with_token(v1::GetFleetRequest {}, TOKEN)).await.is_ok());
    // What alice does is recorded as hers.
    let order = v1::CreateOrderRequest {
        target: name("a/g/x"),
        action: v1::OrderAction::Reconnect.into(),
        reason: "test".to_owned(),
        ..Default::default()
    };
    let order = world.order_client().create_order(with_token(order, TOKEN)).await.unwrap().into_inner();
    assert_eq!(order.requested_by, "operator:alice");
}

#[tokio::test]
async fn health_follows_the_database() {
    let world = World::start().await;
    let becomes = async |service: &str, want: ServingStatus| {
        let mut watch = HealthClient::new(world.channel.clone())
            .watch(HealthCheckRequest { service: service.to_owned() })
            .await
            .unwrap()
            .into_inner();
        let reached = async { while watch.message().await.unwrap().unwrap().status() != want {} };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    };
    becomes("mooring.v1.OrderService", ServingStatus::Serving).await;
    world.database_goes();
    becomes("mooring.v1.OrderService", ServingStatus::NotServing).await;
    becomes("mooring.v1.PauseService", ServingStatus::NotServing).await;
    for service in [
        "",
        "mooring.v1.FleetService",
        "mooring.v1.EventService",
        "mooring.v1.SessionService",
        "mooring.v1.DiagnosisService",
    ] {
        assert_eq!(health(&world, service).await, ServingStatus::Serving, "{service}");
    }
    world.database_returns().await;
    becomes("mooring.v1.OrderService", ServingStatus::Serving).await;
}

fn list_services() -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    }
}

async fn reflect(world: &World, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(world.channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer: ServerReflectionResponse = answers.message().await.unwrap().unwrap();
    answer.message_response.unwrap()
}

#[tokio::test]
async fn reflection_tells_the_services_in_both_versions_and_the_types_of_error_details() {
    let world = World::start().await;
    let MessageResponse::ListServicesResponse(list) =
        reflect(&world, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list of services")
    };
    let mut names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
    names.sort();
    for service in [
        "DiagnosisService",
        "EventService",
        "FleetService",
        "OrderService",
        "PauseService",
        "PolicyService",
        "SessionService",
    ] {
        assert!(names.contains(&format!("mooring.v1.{service}")), "{names:?}");
    }
    assert!(
        !names.iter().any(|n| n.contains("AgentService")),
        "the agents' link is not served here: {names:?}"
    );
    for symbol in
        ["google.rpc.ErrorInfo", "google.rpc.QuotaFailure", "mooring.v1.Instance", "grpc.health.v1.Health"]
    {
        let answer = reflect(&world, MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
    }
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(world.channel.clone());
    let mut answers = old.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let config = ApiConfig { reflection: false, ..ApiConfig::default() };
    let world = World::with(Options { config, ..Options::default() }).await;
    let mut client = ServerReflectionClient::new(world.channel.clone());
    let answer = client.server_reflection_info(tokio_stream::once(list_services())).await;
    refused(answer.map(|_| ()), Code::Unimplemented);
}

#[tokio::test]
async fn errors_of_the_transport_carry_an_error_info_too() {
    let world = World::start().await;
    let mut raw = tonic::client::Grpc::new(world.channel.clone());
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static("/mooring.v1.FleetService/DropEverything");
    let (_, info) = refused(raw.unary(Request::new(()), path, codec).await, Code::Unimplemented);
    assert_eq!(info.reason, "METHOD_UNKNOWN");
    let huge = v1::ListInstancesRequest { filter: "x".repeat(300 * 1024), ..Default::default() };
    let (_, info) = refused(world.fleet_client().list_instances(huge).await, Code::OutOfRange);
    assert_eq!(info.reason, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_server_ends_though_a_client_holds_a_stream_open() {
    let world = World::start().await;
    let mut health = HealthClient::new(world.channel.clone());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    world.stop.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    tokio::time::timeout(PATIENCE, world.serving).await.expect("it goes on serving").unwrap().unwrap();
}
