//! Building the OpenTelemetry providers: resource, exporters, readers.
//!
//! Exporters connect lazily, so nothing here waits for a collector and none needs to be there. Batches are exported from
//! threads of the SDK's own; queues are bounded by the SDK and drop when full, which is the right way round for us.

use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::{EnvResourceDetector, ResourceDetector as _};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use opentelemetry_semantic_conventions::attribute::{SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION};
use secrecy::ExposeSecret as _;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};

use super::config::{Env, Signal, TelemetryConfig, endpoint};
use super::{ServiceInfo, TelemetryError};
use crate::config::SecretFile;

/// What describes this process in everything it exports. The environment wins over what we say ourselves.
pub(super) fn resource(service: &ServiceInfo, env: Env<'_>) -> Resource {
    let mut builder = Resource::builder()
        .with_attribute(KeyValue::new(SERVICE_NAME, service.name.clone()))
        .with_attribute(KeyValue::new(SERVICE_VERSION, service.version.clone()))
        .with_attribute(KeyValue::new(SERVICE_INSTANCE_ID, service.instance_id.clone()));
    let detected = EnvResourceDetector::new().detect();
    for (key, value) in &detected {
        builder = builder.with_attribute(KeyValue::new(key.clone(), value.clone()));
    }
    if let Some(name) = env("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
        builder = builder.with_attribute(KeyValue::new(Key::from_static_str(SERVICE_NAME), name));
    }
    builder.build()
}

/// How to reach the collector, the same for every signal.
pub(super) struct Exporting<'a> {
    pub(super) config: &'a TelemetryConfig,
    pub(super) env: Env<'a>,
    pub(super) headers: MetadataMap,
}

impl Exporting<'_> {
    fn endpoint(&self, signal: Signal) -> Option<String> {
        endpoint(self.config, signal, self.env)
    }

    /// What every exporter is given: where, how long, as whom, and trust in the system's certificates.
    fn set<B: WithExportConfig + WithTonicConfig>(&self, builder: B, endpoint: String) -> B {
        let plain = endpoint.starts_with("http://");
        let builder = builder
            .with_endpoint(endpoint)
            .with_timeout(self.config.timeout.get())
            .with_metadata(self.headers.clone());
        // Left to itself the exporter makes a TLS configuration that trusts nobody.
        if plain { builder } else { builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()) }
    }

    /// Spans. Without an endpoint they are still made, so that trace ids flow through orders and logs.
    pub(super) fn tracer(&self, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.config.sample_ratio)));
        let mut builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
        if let Some(endpoint) = self.endpoint(Signal::Traces) {
            let exporter = self.set(SpanExporter::builder().with_tonic(), endpoint).build()?;
            builder = builder.with_batch_exporter(exporter);
        }
        Ok(builder.build())
    }

    /// Metrics: always to the Prometheus registry if there is one, and to the collector if there is one.
    pub(super) fn meter(
        &self,
        resource: Resource,
        registry: Option<&prometheus::Registry>,
    ) -> Result<SdkMeterProvider, TelemetryError> {
        let mut builder = SdkMeterProvider::builder().with_resource(resource);
        if let Some(registry) = registry {
            let exporter = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                // On by default since 0.33, and three more labels on every series.
                .scope_info_enabled(false)
                .build()
                .map_err(|error| TelemetryError::Prometheus(error.to_string()))?;
            builder = builder.with_reader(exporter);
        }
        if let Some(endpoint) = self.endpoint(Signal::Metrics) {
            let exporter = self.set(MetricExporter::builder().with_tonic(), endpoint).build()?;
            let interval: Duration = self.config.metric_interval.into();
            builder = builder.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build());
        }
        Ok(builder.build())
    }

    /// Logs, only when there is a collector: standard error has them anyway.
    pub(super) fn logger(&self, resource: Resource) -> Result<Option<SdkLoggerProvider>, TelemetryError> {
        let Some(endpoint) = self.endpoint(Signal::Logs) else { return Ok(None) };
        let exporter = self.set(LogExporter::builder().with_tonic(), endpoint).build()?;
        Ok(Some(SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build()))
    }
}

/// Reads the collector's headers. Errors name the line, never its content.
pub(super) fn headers(file: Option<&SecretFile>) -> Result<MetadataMap, TelemetryError> {
    let mut map = MetadataMap::new();
    let Some(file) = file else { return Ok(map) };
    let text = file.read()?;
    for (index, line) in text.expose_secret().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || TelemetryError::Header { path: file.path().to_owned(), line: index + 1 };
        let (name, value) = line.split_once(['=', ':']).ok_or_else(bad)?;
        let name: MetadataKey<Ascii> = name.trim().to_ascii_lowercase().parse().map_err(|_| bad())?;
        let mut value: MetadataValue<Ascii> = value.trim().parse().map_err(|_| bad())?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}
