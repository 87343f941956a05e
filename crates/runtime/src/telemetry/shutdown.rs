//! Flushing at the end, under a deadline, off the runtime; the module doc of [`super`] says why.

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use tokio::sync::mpsc;

use super::Telemetry;

/// What became of the telemetry still queued at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlushReport {
    /// All of it is out, or there was nowhere to send it to.
    Flushed,
    /// Some of it is lost, for these reasons.
    Failed(Vec<String>),
    /// The deadline passed first; these signals (traces, metrics, logs) were not done.
    TimedOut(Vec<&'static str>),
}

impl Telemetry {
    /// Flushes and ends exporting. Returns within `deadline` whatever the collector does, and never blocks the runtime.
    pub async fn shutdown(self, deadline: Duration) -> FlushReport {
        let (sender, mut results) = mpsc::channel(3);
        let mut waiting = Vec::new();
        let mut errors = Vec::new();
        let (tracer, meter, logger) = (self.tracer, self.meter, self.logger);
        let mut start = |name: &'static str, shutdown: Box<dyn FnOnce() -> OTelSdkResult + Send>| {
            let sender = sender.clone();
            let thread = std::thread::Builder::new().name(format!("flush-{name}")).spawn(move || {
                // Nobody listens any more once the deadline has passed.
                drop(sender.try_send((name, shutdown())));
            });
            match thread {
                Ok(_) => waiting.push(name),
                Err(error) => errors.push(format!("{name}: cannot start a thread: {error}")),
            }
        };
        start("traces", Box::new(move || tracer.shutdown_with_timeout(deadline)));
        start("metrics", Box::new(move || meter.shutdown_with_timeout(deadline)));
        if let Some(logger) = logger {
            start("logs", Box::new(move || logger.shutdown_with_timeout(deadline)));
        }
        drop(sender);
        let all = async {
            while let Some((name, result)) = results.recv().await {
                waiting.retain(|other| *other != name);
                if let Err(error) = result {
                    errors.push(format!("{name}: {error}"));
                }
            }
        };
        match tokio::time::timeout(deadline, all).await {
            Err(_) => FlushReport::TimedOut(waiting),
            Ok(()) if errors.is_empty() => FlushReport::Flushed,
            Ok(()) => FlushReport::Failed(errors),
        }
    }
}
