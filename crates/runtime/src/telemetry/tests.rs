//! Telemetry against collectors that are not there, that say nothing, and with its output captured.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider as _;
use tracing::Instrument as _;

use super::*;
use crate::config::SecretFile;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn service() -> ServiceInfo {
    ServiceInfo { name: "mooring-test".into(), version: "1.2.3".into(), instance_id: "i-1".into() }
}

fn set_up(config: &TelemetryConfig) -> (Telemetry, Dispatch, Captured) {
    let captured = Captured::default();
    let writer = captured.clone();
    let writer = BoxMakeWriter::new(move || writer.clone());
    let (telemetry, dispatch) = build(config, &service(), &|_| None, writer, false).unwrap();
    (telemetry, dispatch, captured)
}

/// A collector that accepts connections and answers nothing, ever. It ends with the test process.
fn silent_collector() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    format!("http://{address}")
}

#[test]
fn shutdown_keeps_its_deadline_on_one_worker_while_the_collector_is_silent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let deadline = Duration::from_millis(300);
    let config = TelemetryConfig { otlp_endpoint: Some(silent_collector()), ..TelemetryConfig::default() };
    let started = Instant::now();
    // On the worker itself, as every task of ours is; `block_on` would run it on the test's own thread.
    let task = runtime.spawn(async move {
        let (telemetry, dispatch, _) = set_up(&config);
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info_span!("work").in_scope(|| tracing::info!("something to export"));
        });
        telemetry.meter_provider().meter("test").u64_counter("things").build().add(1, &[]);
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        // The control path: it must go on being scheduled while the flush is waited for.
        let control = tokio::spawn(async move {
            let mut turns = 0_u64;
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            loop {
                tokio::select! {
                    _ = tick.tick() => turns += 1,
                    _ = &mut stopped => return turns,
                }
            }
        });
        let report = telemetry.shutdown(deadline).await;
        stop.send(()).unwrap();
        (report, control.await.unwrap())
    });
    let (report, turns) = runtime.block_on(task).unwrap();
    drop(runtime);
    let elapsed = started.elapsed();
    assert!(matches!(report, FlushReport::TimedOut(_) | FlushReport::Failed(_)), "{report:?}");
    // A blocked worker gives it none at all; a busy machine gives it fewer than the 300 it could have.
    assert!(turns >= 10, "the control path had only {turns} turns");
    // Well under the 5 s that the SDK's own shutdown blocks for.
    assert!(elapsed < Duration::from_secs(3), "took {elapsed:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_stops_neither_the_start_nor_the_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (telemetry, dispatch, _) =
        set_up(&TelemetryConfig { otlp_endpoint: Some(endpoint), ..TelemetryConfig::default() });
    tracing::dispatcher::with_default(&dispatch, || tracing::info!("lost"));
    let started = Instant::now();
    telemetry.shutdown(Duration::from_secs(2)).await;
    assert!(started.elapsed() < Duration::from_secs(3));
}

/// Records the path and the authorization of every call, then lets tonic answer that it does not know it.
#[derive(Clone)]
struct Recorder<S>(S, tokio::sync::mpsc::UnboundedSender<(String, bool)>);

impl<S, B> tower::Service<http::Request<B>> for Recorder<S>
where
    S: tower::Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> S::Future {
        let authorised = request.headers().get("authorization").is_some_and(|value| value == "Bearer t0ken");
        let _ = self.1.send((request.uri().path().to_owned(), authorised));
        self.0.call(request)
    }
}

#[tokio::test]
async fn all_three_signals_reach_a_collector_with_its_headers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let server = tonic::transport::Server::builder()
        .layer(tower::layer::layer_fn(move |inner| Recorder(inner, sender.clone())))
        .add_routes(tonic::service::Routes::default())
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    let _server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(server));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    std::fs::write(&path, "authorization=Bearer t0ken\n").unwrap();
    let (telemetry, dispatch, _) = set_up(&TelemetryConfig {
        otlp_endpoint: Some(endpoint),
        headers_file: Some(SecretFile::new(path)),
        ..TelemetryConfig::default()
    });
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info_span!("work").in_scope(|| tracing::info!("done"));
    });
    telemetry.meter_provider().meter("test").u64_counter("things").build().add(1, &[]);
    telemetry.shutdown(Duration::from_secs(10)).await;
    let mut paths = std::collections::BTreeSet::new();
    while let Ok((path, authorised)) = calls.try_recv() {
        assert!(authorised, "{path} came without its header");
        paths.insert(path);
    }
    let paths: Vec<&str> = paths.iter().filter_map(|path| path.rsplit('.').next()).collect();
    assert_eq!(paths, ["LogsService/Export", "MetricsService/Export", "TraceService/Export"]);
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_left_to_flush() {
    let (telemetry, _, _) = set_up(&TelemetryConfig::default());
    assert!(telemetry.logger.is_none());
    assert_eq!(telemetry.shutdown(Duration::from_secs(5)).await, FlushReport::Flushed);
}

#[tokio::test]
async fn the_prometheus_page_has_our_metrics_without_scope_labels() {
    let (telemetry, _, _) = set_up(&TelemetryConfig::default());
    let registry = telemetry.registry().unwrap();
    telemetry.meter_provider().meter("mooring").u64_counter("mooring.order.issued").build().add(2, &[]);
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(page.contains("mooring_order_issued_total 2"), "{page}");
    assert!(!page.contains("otel_scope"), "{page}");
    assert!(
        page.contains("service_name=\"mooring-test\"") && page.contains("service_instance_id=\"i-1\""),
        "{page}"
    );
    let off = TelemetryConfig { prometheus: false, ..TelemetryConfig::default() };
    assert!(set_up(&off).0.registry().is_none());
}

#[tokio::test]
async fn log_lines_follow_filter_and_format() {
    let config = TelemetryConfig {
        log_filter: "warn,mooring_runtime=info".into(),
        log_format: LogFormat::Json,
        ..TelemetryConfig::default()
    };
    let (_telemetry, dispatch, captured) = set_up(&config);
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info!(agent.id = "a-1", "attached");
        tracing::debug!("too much detail");
        tracing::info!(target: "elsewhere", "not asked for");
    });
    let text = captured.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((line["message"].as_str(), line["agent.id"].as_str()), (Some("attached"), Some("a-1")));
}

#[tokio::test]
async fn a_trace_goes_through_text_and_does_not_depend_on_the_log_filter() {
    let config = TelemetryConfig { log_filter: "error".into(), ..TelemetryConfig::default() };
    let (_telemetry, dispatch, _) = set_up(&config);
    let _default = tracing::dispatcher::set_default(&dispatch);
    assert_eq!(trace_context::current_traceparent(), None);
    let decided = async { (trace_context::current_traceparent(), trace_context::current_trace_id()) };
    let (traceparent, trace_id) = decided.instrument(tracing::info_span!("decide")).await;
    let (traceparent, trace_id) = (traceparent.unwrap(), trace_id.unwrap());
    assert_eq!((traceparent.len(), &traceparent[3..35]), (trace_context::TRACEPARENT_BYTES, &*trace_id));

    let executed = trace_context::with_parent(tracing::info_span!("execute"), Some(&traceparent));
    let child = trace_context::traceparent(&executed).unwrap();
    assert_eq!(child[3..35], traceparent[3..35], "same trace");
    assert_ne!(child[36..52], traceparent[36..52], "another span");

    let stranger = tracing::info_span!("stranger");
    for text in ["", "00-abc", &traceparent.replace("00-", "ff-"), &"0".repeat(55), &"é".repeat(40)] {
        assert!(!trace_context::set_parent(&stranger, text), "{text:?}");
        assert!(!trace_context::add_link(&stranger, text), "{text:?}");
    }
    assert!(trace_context::add_link(&stranger, &traceparent));
    assert_ne!(trace_context::traceparent(&stranger).unwrap()[3..35], traceparent[3..35]);
}

#[tokio::test]
async fn what_the_exporter_says_is_not_exported() {
    let captured = Captured::default();
    let writer = captured.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
    let subscriber = Registry::default().with(layer.with_filter(FilterFn::new(ours)));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "h2::codec", "x");
        tracing::info!(target: "opentelemetry_sdk", "x");
        tracing::info!(target: "tonic::transport", "x");
        tracing::info!(target: "mooring_agent::uplink", "x");
    });
    let text = captured.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("mooring_agent::uplink"), "{text}");
}

#[test]
fn the_environment_names_endpoints_and_the_service() {
    let config = TelemetryConfig::default();
    let env = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let both = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs"),
    ]);
    let of = |config: &TelemetryConfig, signal| config::endpoint(config, signal, &both);
    assert_eq!(of(&config, config::Signal::Traces).as_deref(), Some("http://all"));
    assert_eq!(of(&config, config::Signal::Logs).as_deref(), Some("http://logs"));
    let own = TelemetryConfig { otlp_endpoint: Some("http://own".into()), ..config.clone() };
    assert_eq!(of(&own, config::Signal::Metrics).as_deref(), Some("http://own"));
    let off = env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all"), ("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(config::endpoint(&config, config::Signal::Traces, &off), None);
    assert_eq!(config::endpoint(&config, config::Signal::Traces, &|_| None), None);
    assert_eq!(unsupported(&env(&[("OTEL_PROPAGATORS", "b3")])), ["OTEL_PROPAGATORS"]);
    let resource = export::resource(&service(), &env(&[("OTEL_SERVICE_NAME", "renamed")]));
    let get =
        |key: &'static str| resource.get(&opentelemetry::Key::from_static_str(key)).unwrap().to_string();
    assert_eq!((get("service.name").as_str(), get("service.version").as_str()), ("renamed", "1.2.3"));
}

#[test]
fn headers_are_read_from_a_file_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    std::fs::write(&path, "# for the collector\nAuthorization: Bearer hunter2\nx-scope-orgid=7\n").unwrap();
    let headers = export::headers(Some(&SecretFile::new(&path))).unwrap();
    assert_eq!(headers.get("authorization").unwrap(), "Bearer hunter2");
    assert_eq!(headers.get("x-scope-orgid").unwrap(), "7");
    assert!(!format!("{headers:?}").contains("hunter2"));
    std::fs::write(&path, "fine=1\nhunter2\n").unwrap();
    let error = export::headers(Some(&SecretFile::new(&path))).unwrap_err().to_string();
    assert!(error.ends_with("headers:2: not a header, write `name=value`"), "{error}");
}

#[test]
fn wrong_settings_are_named() {
    let config = TelemetryConfig {
        log_filter: "info,=,=".into(),
        otlp_endpoint: Some("collector:4317".into()),
        sample_ratio: f64::NAN,
        timeout: crate::config::HumanDuration::default(),
        metric_interval: crate::config::HumanDuration::from_millis(10),
        ..TelemetryConfig::default()
    };
    let keys: Vec<String> = config.validate().into_iter().map(|problem| problem.key).collect();
    assert_eq!(
        keys,
        ["log_filter", "otlp_endpoint", "sample_ratio", "timeout", "metric_interval"]
            .map(|key| format!("telemetry.{key}"))
    );
    assert!(TelemetryConfig::default().validate().is_empty());
}

#[test]
fn outside_a_runtime_it_refuses_instead_of_panicking() {
    let writer = BoxMakeWriter::new(std::io::sink);
    let refused = build(&TelemetryConfig::default(), &service(), &|_| None, writer, false);
    assert!(matches!(refused, Err(TelemetryError::NoRuntime)));
}
