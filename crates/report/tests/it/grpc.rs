//! The same calls as gRPC, on the socket and on the port.

use mooring_proto::report_v1 as v1;
use mooring_proto::report_v1::event::What;
use mooring_proto::report_v1::report_service_client::ReportServiceClient;
use mooring_report::meaning::Event;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use super::support::Served;

type Client = ReportServiceClient<Channel>;

pub async fn over_unix(served: &Served) -> Client {
    let path = served.socket.clone();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://agent").connect_with_connector(connector).await.unwrap();
    ReportServiceClient::new(channel)
}

fn open(instance: &str) -> v1::ReportRequest {
    let what = Some(What::Open(v1::Open::default()));
    let events = vec![v1::Event { what, ..v1::Event::default() }];
    v1::ReportRequest { instance: instance.to_owned(), events, ..v1::ReportRequest::default() }
}

#[tokio::test]
async fn the_socket_and_the_port_speak_it() {
    let mut served = Served::start().await;
    let tcp = ReportServiceClient::connect(format!("http://127.0.0.1:{}", served.port)).await.unwrap();
    for mut client in [over_unix(&served).await, tcp] {
        let answer = client.report(open("configured")).await.unwrap().into_inner();
        assert_eq!(answer.accepted, 1);
        assert!(matches!(served.next().await.event, Event::Open { .. }));
        let stranger = client.report(open("stranger")).await.unwrap_err();
        assert_eq!(stranger.code(), Code::NotFound);
        assert_eq!(stranger.get_details_error_info().unwrap().reason, "REGISTER_FIRST");
        assert!(stranger.message().contains("instances/stranger:register"), "{}", stranger.message());
    }
    let mut client = over_unix(&served).await;
    let request = v1::RegisterRequest { instance: "stranger".to_owned(), ..v1::RegisterRequest::default() };
    assert!(!client.register(request).await.unwrap().into_inner().known);
    assert!(client.report(open("stranger")).await.is_ok());
}

#[tokio::test]
async fn the_port_is_called_by_its_name_here_too() {
    let served = Served::start().await;
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", served.port))
        .unwrap()
        .origin("http://evil.example".parse().unwrap())
        .connect()
        .await
        .unwrap();
    let refused = ReportServiceClient::new(channel).report(open("configured")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("localhost")), (Code::PermissionDenied, true));
}

#[tokio::test]
async fn too_much_carries_when_to_come_again() {
    use mooring_report::{GatewayReport, ReportConfig, ReportLimits};
    let limits = ReportLimits { events_per_second: 1, burst: 500, ..ReportLimits::default() };
    let config = ReportConfig { limits, ..ReportConfig::default() };
    let served = Served::with(config, vec![super::support::bots(GatewayReport::default())], 2000).await;
    let mut client = over_unix(&served).await;
    let event = v1::Event { what: Some(What::Beat(v1::Beat::default())), ..v1::Event::default() };
    let events = vec![event; 400];
    let request =
        v1::ReportRequest { instance: "configured".to_owned(), events, ..v1::ReportRequest::default() };
    client.report(request.clone()).await.unwrap();
    let refused = client.report(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((295..=300).contains(&wait.as_secs()), "{wait:?}");
}
