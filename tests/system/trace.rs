//! One trace leads from observation to decision to order to execution to verification, over both processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mooring_proto::v1::{OrderState, Phase};
use mooring_tests::gateway::{free_port, http, node_command};
use mooring_tests::postgres::fresh_database;
use mooring_tests::process::send;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use rustix::process::Signal;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A span, as far as this test cares.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    id: Vec<u8>,
    parent: Vec<u8>,
}

/// Keeps every span, by trace.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<BTreeMap<Vec<u8>, Vec<Span>>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let service =
                attributes.into_iter().find(|a| a.key == "service.name").and_then(|a| a.value?.value);
            let service = if let Some(Value::StringValue(name)) = service { name } else { String::new() };
            for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
                let kept = Span {
                    service: service.clone(),
                    name: span.name,
                    id: span.span_id,
                    parent: span.parent_span_id,
                };
                traces.entry(span.trace_id).or_default().push(kept);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn serve() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, endpoint)
    }

    /// The four spans of the one trace that has them all, in the order of what happened.
    fn whole(&self) -> Result<[Span; 4], String> {
        let steps = [
            ("mooring-agent", "observe"),
            ("mooring-controller", "decide"),
            ("mooring-agent", "execute"),
            ("mooring-controller", "verify"),
        ];
        let traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = traces.values().find_map(|spans| {
            let find = |(service, step): (&str, &str)| {
                spans.iter().find(|s| s.service == service && s.name.ends_with(&format!(".{step}"))).cloned()
            };
            let [a, b, c, d] = steps.map(find);
            Some([a?, b?, c?, d?])
        });
        all.ok_or_else(|| {
            let named = |s: &Span| format!("{}/{}", s.service, s.name);
            let ours =
                |s: &&Span| ["observe", "decide", "execute", "verify"].iter().any(|n| s.name.ends_with(n));
            let traces = traces.values().map(|t| t.iter().filter(ours).map(named).collect::<Vec<_>>());
            format!("{:#?}", traces.filter(|t| !t.is_empty()).collect::<Vec<_>>())
        })
    }
}

#[tokio::test]
async fn from_observation_to_verification_in_one_trace() {
    let (collector, endpoint) = Collector::serve().await;
    let port = free_port();
    let chat = Watched::supervised("chat", port, &node_command("ws-plain.js", port));
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    world.write_agent(std::slice::from_ref(&chat));
    for file in ["controller.toml", "agent.toml"] {
        world.set(file, "telemetry", &format!("otlp_endpoint = \"{endpoint}\""));
    }
    world.start_controller().await;
    world.start_agent();
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    let stats: serde_json::Value =
        serde_json::from_str(&http(&format!("127.0.0.1:{port}"), "GET", "/_stats").await).expect("JSON");
    send(u32::try_from(stats["pid"].as_u64().expect("a pid")).expect("a pid"), Signal::KILL);
    world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;

    let [observe, decide, execute, verify] =
        until("one trace with all four steps", || async { collector.whole() }).await;
    assert!(observe.parent.is_empty(), "the trace begins with the observation: {observe:?}");
    assert_eq!(decide.parent, observe.id, "{decide:?} follows from {observe:?}");
    assert_eq!(execute.parent, decide.id, "{execute:?} follows from {decide:?}");
    assert_eq!(verify.parent, execute.id, "{verify:?} follows from {execute:?}");

    // What people read leads to the same trace.
    let event = world.api.event_of(&chat.instance(), "ProcessKilled").await;
    assert_eq!(event.trace_id.len(), 32, "{event:?}");
}
