//! The `[telemetry]` section, and what is read from the `OTEL_*` variables besides it.
//!
//! Operators copy `OTEL_*` variables from other languages' manuals. Those that the Rust SDK (0.33) honours keep working;
//! for those it does not know, [`unsupported`] finds the ones that are set, so that they are warned about instead of
//! being ignored in silence.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::config::{HumanDuration, Problem, SecretFile};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// What is logged by default: our own words, and others' only when something is wrong.
const DEFAULT_FILTER: &str = "info,opentelemetry=warn,sqlx=warn";

/// The `[telemetry]` section of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged, in the syntax of tracing's filters: `info`, `info,mooring_agent=debug`.
    pub log_filter: String,
    /// How log lines look: `text` or `json`. They go to standard error.
    pub log_format: LogFormat,
    /// The OTLP/gRPC collector, `http://host:4317` or `https://host:4317`; without one (here or in
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`) nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// A file with headers for the collector, one `name=value` or `name: value` a line; its content is secret.
    pub headers_file: Option<SecretFile>,
    /// How long one export may take.
    pub timeout: HumanDuration,
    /// The share of traces kept when no caller has decided, 0.0 to 1.0.
    pub sample_ratio: f64,
    /// How often metrics are exported.
    pub metric_interval: HumanDuration,
    /// Whether `/metrics` serves a Prometheus page.
    pub prometheus: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_filter: DEFAULT_FILTER.into(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            headers_file: None,
            timeout: HumanDuration::from_secs(10),
            sample_ratio: 1.0,
            metric_interval: HumanDuration::from_secs(30),
            prometheus: true,
        }
    }
}

impl TelemetryConfig {
    /// What is wrong with this section; `prefix` is its key path (`telemetry`).
    pub fn problems(&self, prefix: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse =
            |key: &str, message: String| problems.push(Problem::new(format!("{prefix}.{key}"), message));
        if let Err(error) = EnvFilter::try_new(&self.log_filter) {
            refuse("log_filter", format!("not a log filter: {error}"));
        }
        if let Some(endpoint) = &self.otlp_endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            refuse("otlp_endpoint", format!("`{endpoint}` must begin with http:// or https://"));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            refuse("sample_ratio", format!("{} is not between 0.0 and 1.0", self.sample_ratio));
        }
        if self.timeout.get().is_zero() {
            refuse("timeout", "must be longer than 0s".into());
        }
        if self.metric_interval < HumanDuration::from_secs(1) {
            refuse("metric_interval", "must be at least 1s".into());
        }
        problems
    }
}

/// Reads one variable of the environment.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A kind of telemetry that has an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// Where a signal is exported to; `None`: nowhere. The configuration wins over the environment, as in the SDK.
pub(super) fn endpoint(config: &TelemetryConfig, signal: Signal, env: Env<'_>) -> Option<String> {
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    let own = match signal {
        Signal::Traces => "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        Signal::Metrics => "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        Signal::Logs => "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    };
    config.otlp_endpoint.clone().or_else(|| set(own)).or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

/// The `OTEL_*` variables that are set but that neither the SDK nor we act upon.
pub fn unsupported(env: &dyn Fn(&str) -> Option<String>) -> Vec<&'static str> {
    const IGNORED: [&str; 9] = [
        "OTEL_PROPAGATORS",
        "OTEL_TRACES_EXPORTER",
        "OTEL_METRICS_EXPORTER",
        "OTEL_LOGS_EXPORTER",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "OTEL_EXPORTER_PROMETHEUS_PORT",
    ];
    IGNORED.into_iter().filter(|name| env(name).is_some_and(|value| !value.is_empty())).collect()
}
