//! One measurement and one span per call, by the RPC conventions of OpenTelemetry.
//!
//! The duration runs until the last byte of the answer, so a watch is measured when it ends; its span ends with its
//! headers, since a span that lives for hours is exported only when it ends. The caller's trace is joined from
//! `traceparent`; baggage is not read. Methods that do not exist are all called `_OTHER`: a port scanner must not make
//! series. Errors made by the transport are completed here with the `ErrorInfo` that every error carries, and the time
//! limit is kept here rather than by tonic, whose own is outside of every layer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use mooring_runtime::telemetry::trace_context;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use prost::Message as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::status;

/// What the convention calls an unknown method.
const OTHER: &str = "_OTHER";
/// The convention's bucket boundaries, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Measures every call.
#[derive(Debug, Clone)]
pub struct ObserveLayer {
    /// Known methods by path.
    methods: Arc<HashMap<String, &'static str>>,
    duration: Histogram<f64>,
    limit: Duration,
}

impl ObserveLayer {
    /// A layer that knows the methods in these encoded descriptor sets. An answer must begin within `limit`.
    #[must_use]
    pub fn new(meter: &Meter, descriptors: &[&[u8]], limit: Duration) -> Self {
        let mut methods = HashMap::new();
        for bytes in descriptors {
            // They are built in; one that cannot be read would only mean that its methods are measured as `_OTHER`.
            let Ok(set) = prost_types::FileDescriptorSet::decode(*bytes) else { continue };
            for file in set.file {
                for service in &file.service {
                    for method in &service.method {
                        let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                        // Once per process and method: a few kilobytes that live as long as it does.
                        methods.insert(format!("/{name}"), &*Box::leak(name.into_boxed_str()));
                    }
                }
            }
        }
        let duration = meter
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of calls to the operator API, to the last byte of the answer")
            .with_boundaries(BUCKETS.to_vec())
            .build();
        Self { methods: Arc::new(methods), duration, limit }
    }

    fn method(&self, path: &str) -> &'static str {
        self.methods.get(path).copied().unwrap_or(OTHER)
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { layer: self.clone(), inner }
    }
}

/// See [`ObserveLayer`].
#[derive(Debug, Clone)]
pub struct Observe<S> {
    layer: ObserveLayer,
    inner: S,
}

impl<S> Service<http::Request<Body>> for Observe<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.layer.method(request.uri().path());
        let span = tracing::info_span!(
            "mooring.rpc",
            otel.name = method,
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.status_code = tracing::field::Empty
        );
        let parent = request.headers().get("traceparent").and_then(|v| v.to_str().ok());
        let span = trace_context::with_parent(span, parent);
        let call = Call { method, since: Instant::now(), duration: self.layer.duration.clone(), code: None };
        let answer = self.inner.call(request).instrument(span.clone());
        let limit = self.layer.limit;
        Box::pin(async move {
            let response = match tokio::time::timeout(limit, answer).await {
                Ok(response) => response?,
                Err(_) => status::timed_out(limit).into_http(),
            };
            let (mut parts, body) = response.into_parts();
            let mut call = call;
            // An error without a body stands in the headers.
            if let Some(given) = Status::from_header_map(&parts.headers) {
                let code = given.code();
                span.record("rpc.status_code", mooring_proto::code_name(code));
                call.code = Some(code);
                let bare = code != Code::Ok && given.details().is_empty();
                if bare {
                    let completed = status::complete(given);
                    // Only a message that is no header value could be refused, and this one came from a header.
                    let _ = completed.add_header(&mut parts.headers);
                }
            }
            Ok(http::Response::from_parts(parts, Body::new(Observed { body, call })))
        })
    }
}

/// The measurement of one call, taken when it is dropped.
struct Call {
    method: &'static str,
    since: Instant,
    duration: Histogram<f64>,
    /// Set once the status is known; a call that is dropped before was cancelled by the caller.
    code: Option<Code>,
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = mooring_proto::code_name(self.code.unwrap_or(Code::Cancelled));
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", self.method),
            KeyValue::new("rpc.status_code", code),
        ];
        if code != "OK" {
            attributes.push(KeyValue::new("error.type", code));
        }
        self.duration.record(self.since.elapsed().as_secs_f64(), &attributes);
    }
}

/// A body that knows when its last byte has gone.
struct Observed {
    body: Body,
    call: Call,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.code = Some(Status::from_header_map(trailers).map_or(Code::Unknown, |s| s.code()));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prometheus::{Encoder as _, Registry, TextEncoder};
    use tonic_types::StatusExt as _;
    use tower::{ServiceExt as _, service_fn};

    struct Measured {
        registry: Registry,
        provider: SdkMeterProvider,
    }

    impl Measured {
        fn new() -> Self {
            let registry = Registry::new();
            let exporter =
                opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
            Self { provider: SdkMeterProvider::builder().with_reader(exporter).build(), registry }
        }

        fn layer(&self, limit: Duration) -> ObserveLayer {
            ObserveLayer::new(&self.provider.meter("test"), &[mooring_proto::FILE_DESCRIPTOR_SET], limit)
        }

        /// How many calls of this method ended with this code.
        fn count(&self, method: &str, code: &str) -> usize {
            let mut text = Vec::new();
            TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let of = |l: &&str| {
                l.starts_with("rpc_server_call_duration_seconds_count")
                    && l.contains(&format!("rpc_method=\"{method}\""))
                    && l.contains(&format!("rpc_status_code=\"{code}\""))
            };
            text.lines().filter(of).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
                as usize
        }
    }

    /// A body of trailers and nothing else.
    struct Trailers(Option<HeaderMap>);

    impl http_body::Body for Trailers {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
        }
    }

    fn ends_with(code: &'static str) -> http::Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static(code));
        http::Response::new(Body::new(Trailers(Some(trailers))))
    }

    async fn call(
        layer: &ObserveLayer,
        path: &str,
        answer: impl Fn() -> http::Response<Body> + Clone + Send + 'static,
    ) -> http::Response<Body> {
        let inner =
            service_fn(move |_: http::Request<Body>| std::future::ready(Ok::<_, Infallible>(answer())));
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        layer.layer(inner).oneshot(request).await.unwrap()
    }

    async fn read(response: http::Response<Body>) {
        let mut body = response.into_body();
        while std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await.is_some()
        {
        }
    }

    const PATH: &str = "/mooring.v1.FleetService/GetFleet";
    const METHOD: &str = "mooring.v1.FleetService/GetFleet";

    #[test]
    fn only_methods_that_exist_have_a_name() {
        let layer = Measured::new().layer(Duration::from_secs(1));
        assert_eq!(layer.method(PATH), METHOD);
        for unknown in ["/", "/mooring.v1.FleetService/Nothing", "/admin.php", METHOD] {
            assert_eq!(layer.method(unknown), OTHER, "{unknown}");
        }
    }

    #[tokio::test]
    async fn each_call_is_measured_once_with_the_code_it_ended_with() {
        let measured = Measured::new();
        let layer = measured.layer(Duration::from_secs(60));
        read(call(&layer, PATH, || ends_with("0")).await).await;
        read(call(&layer, PATH, || ends_with("5")).await).await;
        // In the headers, without a body.
        read(call(&layer, PATH, || Status::unavailable("x").into_http()).await).await;
        // The caller loses interest before the end.
        drop(call(&layer, PATH, || ends_with("0")).await);
        read(call(&layer, "/wp-login.php", || Status::unimplemented("").into_http()).await).await;
        for (method, code) in [
            (METHOD, "OK"),
            (METHOD, "NOT_FOUND"),
            (METHOD, "UNAVAILABLE"),
            (METHOD, "CANCELLED"),
            (OTHER, "UNIMPLEMENTED"),
        ] {
            assert_eq!(measured.count(method, code), 1, "{method} {code}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_begin_in_time_is_an_error_with_a_reason() {
        let measured = Measured::new();
        let never = service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let request = http::Request::builder().uri(PATH).body(Body::empty()).unwrap();
        let answer = measured.layer(Duration::from_millis(10)).layer(never).oneshot(request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "DEADLINE_EXCEEDED");
        drop(answer);
        assert_eq!(measured.count(METHOD, "DEADLINE_EXCEEDED"), 1);
    }
}
