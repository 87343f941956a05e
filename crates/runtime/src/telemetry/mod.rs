//! Logs, traces and metrics: to standard error, to a Prometheus page, and to an OTLP collector when one is named.
//!
//! Telemetry must never hold up the control path, neither by its absence nor by its slowness nor at the end. Starting
//! therefore waits for nobody. Ending does not run on the runtime at all: in opentelemetry 0.33 `shutdown()` blocks its
//! thread until its own timeout when called on a Tokio worker that the exporter's connection needs, and a blocking-pool
//! thread would in turn hold up the end of the runtime. So each provider is shut down on a plain thread of its own, and
//! [`Telemetry::shutdown`] waits for them no longer than it was told; a thread that is stuck dies with the process.
//!
//! The tracing layers are filtered one by one: what is logged (`log_filter`) is a matter of taste, but the spans that
//! carry an order's trace from observation to verification exist regardless of it.

mod config;
mod export;
mod shutdown;
pub mod trace_context;

#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry};

pub use config::{LogFormat, TelemetryConfig, unsupported};
pub use shutdown::FlushReport;

use crate::config::{SecretFileError, Validate};

/// Who this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInfo {
    /// `service.name`: `mooring-agent`.
    pub name: String,
    /// `service.version`.
    pub version: String,
    /// `service.instance.id`: unique to this run of the process.
    pub instance_id: String,
}

impl ServiceInfo {
    /// A new instance of the service `name`.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), instance_id: uuid::Uuid::new_v4().to_string() }
    }
}

/// Why telemetry could not be set up. A collector that is away is not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be parsed.
    #[error("log filter `{filter}` is not valid")]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// An exporter's settings are wrong, such as an endpoint that is not a URL.
    #[error("cannot set up the OTLP exporter")]
    Exporter(#[from] ExporterBuildError),
    /// The Prometheus registry refused the exporter.
    #[error("cannot set up the Prometheus page: {0}")]
    Prometheus(String),
    /// The headers file cannot be read.
    #[error("cannot read the collector's headers")]
    Headers(#[from] SecretFileError),
    /// A line of the headers file is not a header.
    #[error("{path}:{line}: not a header, write `name=value`")]
    Header {
        /// The headers file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is no Tokio runtime to drive the exporters' connections.
    #[error("telemetry must be set up inside a Tokio runtime")]
    NoRuntime,
    /// Somebody has set a global subscriber before.
    #[error("logging has been set up already")]
    AlreadySet,
}

/// The telemetry of this process. Keep it to the end and call [`shutdown`](Self::shutdown) last.
#[derive(Debug)]
pub struct Telemetry {
    tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
    logger: Option<SdkLoggerProvider>,
    registry: Option<prometheus::Registry>,
}

impl Telemetry {
    /// The registry behind the Prometheus page, unless that is switched off.
    pub fn registry(&self) -> Option<prometheus::Registry> {
        self.registry.clone()
    }

    /// The meter provider, for those who do not want the global one.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meter
    }
}

/// Sets up telemetry for the process: global subscriber, propagator, tracer and meter providers, panic reports.
///
/// # Errors
///
/// Only for wrong settings, for a second call, and outside a Tokio runtime; never because a collector is away.
pub fn init(config: &TelemetryConfig, service: &ServiceInfo) -> Result<Telemetry, TelemetryError> {
    install(config, service, BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal())
}

/// As [`init`], with the log going to a file (opened for appending) instead of standard error: for a program that shows
/// something else there.
///
/// # Errors
///
/// As [`init`].
pub fn init_to_file(
    config: &TelemetryConfig,
    service: &ServiceInfo,
    file: std::fs::File,
) -> Result<Telemetry, TelemetryError> {
    install(config, service, BoxMakeWriter::new(std::sync::Arc::new(file)), false)
}

fn install(
    config: &TelemetryConfig,
    service: &ServiceInfo,
    writer: BoxMakeWriter,
    colours: bool,
) -> Result<Telemetry, TelemetryError> {
    let env = |name: &str| std::env::var(name).ok();
    let (telemetry, dispatch) = build(config, service, &env, writer, colours)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::AlreadySet)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(telemetry.tracer.clone());
    opentelemetry::global::set_meter_provider(telemetry.meter.clone());
    report_panics();
    for name in unsupported(&env) {
        tracing::warn!(variable = name, "{name} is set, but has no effect here");
    }
    Ok(telemetry)
}

/// Everything [`init`] does except what can be done only once in a process.
fn build(
    config: &TelemetryConfig,
    service: &ServiceInfo,
    env: config::Env<'_>,
    writer: BoxMakeWriter,
    colours: bool,
) -> Result<(Telemetry, Dispatch), TelemetryError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    crate::tls::install_provider();
    let resource = export::resource(service, env);
    let exporting =
        export::Exporting { config, env, headers: export::headers(config.headers_file.as_ref())? };
    let registry = config.prometheus.then(prometheus::Registry::new);
    let telemetry = Telemetry {
        tracer: exporting.tracer(resource.clone())?,
        meter: exporting.meter(resource.clone(), registry.as_ref())?,
        logger: exporting.logger(resource)?,
        registry,
    };
    let filter = || {
        EnvFilter::try_new(&config.log_filter)
            .map_err(|source| TelemetryError::Filter { filter: config.log_filter.clone(), source })
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).boxed(),
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(telemetry.tracer.tracer("mooring"))
        .with_filter(FilterFn::new(ours))
        .with_filter(LevelFilter::INFO);
    let records = match &telemetry.logger {
        Some(logger) => Some(
            OpenTelemetryTracingBridge::new(logger).with_filter(filter()?).with_filter(FilterFn::new(ours)),
        ),
        None => None,
    };
    let subscriber = Registry::default().with(lines.with_filter(filter()?)).with(spans).with(records);
    Ok((telemetry, Dispatch::new(subscriber)))
}

/// Whether something may be exported. Exporting what the exporter itself says would make it say more.
fn ours(metadata: &Metadata<'_>) -> bool {
    const TRANSPORT: [&str; 8] =
        ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "opentelemetry", "mio"];
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    !TRANSPORT.contains(&crate_name) && !crate_name.starts_with("opentelemetry")
}

/// Sends panics through the log as well: a collector that reads JSON lines should not miss the one that matters most.
fn report_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            panic.location = location,
            panic.thread = thread.name().unwrap_or("unnamed"),
            "a task panicked"
        );
        before(info);
    }));
}

impl Validate for TelemetryConfig {
    fn validate(&self) -> Vec<crate::config::Problem> {
        self.problems("telemetry")
    }
}
