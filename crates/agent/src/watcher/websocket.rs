//! The kind `websocket`: a plain RFC 6455 server, watched through a canary session.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::cause::Cause;
use mooring_core::handshake::{HandshakeReport, Refusal, Step, StepRecord};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Observation;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::ClientTls;
use mooring_wire::{CanaryConfig, Target, canary, dial};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use super::{Live, Sight, Watcher};
use crate::config::WatchConfig;

/// Observations that wait for the tracker. The canary keeps as many again, and thins them out then.
pub(super) const QUEUE: usize = 16;

struct WebSocket {
    config: Arc<WatchConfig>,
    /// What is dialled, if nothing of it has to be read from files.
    fixed: Option<Arc<Target>>,
}

pub(super) fn watcher(config: &WatchConfig) -> Result<Box<dyn Watcher>, String> {
    let fixed = if reads_files(config) { None } else { Some(Arc::new(target(config)?)) };
    Ok(Box::new(WebSocket { config: Arc::new(config.clone()), fixed }))
}

impl Watcher for WebSocket {
    fn dial(&self) -> BoxFuture<'static, Sight> {
        let (config, fixed) = (Arc::clone(&self.config), self.fixed.clone());
        async move {
            let target = match fixed {
                Some(target) => Ok(target),
                // Renewed certificates and credentials take effect with the next session.
                None => {
                    let config = Arc::clone(&config);
                    match tokio::task::spawn_blocking(move || target(&config)).await {
                        Ok(target) => target.map(Arc::new),
                        Err(_) => Err("reading the certificates and headers panicked".to_owned()),
                    }
                }
            };
            match target {
                Ok(target) => open(&target, &config).await,
                Err(why) => Sight { report: unusable(&why), known: Vec::new(), live: None },
            }
        }
        .boxed()
    }
}

async fn open(target: &Target, config: &WatchConfig) -> Sight {
    let dialled = dial(target).await;
    let known = config.heartbeat.promise.map(|promise| Observation::Promise {
        interval: promise.interval.get(),
        timeout: promise.timeout.get(),
    });
    let canary_config =
        CanaryConfig { ping_interval: config.heartbeat.ping_interval.get(), ..CanaryConfig::default() };
    let live = dialled.session.map(|session| {
        let (sender, observations) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            // Nothing is ever commanded: the session is closed by dropping the receiver of what it sees. The sender is
            // held so that the canary does not take its absence for a command.
            let (_commands, receiver) = mpsc::channel(1);
            canary::run(session, canary_config, sender, receiver).await;
        });
        Live { observations, task }
    });
    let known = live.is_some().then_some(known).flatten().into_iter().collect();
    Sight { report: dialled.report, known, live }
}

/// Whether something of what is dialled is in files, which may change.
pub(super) fn reads_files(config: &WatchConfig) -> bool {
    config.url.starts_with("wss:") || !config.expect.header_files.is_empty()
}

/// What to dial. Reads the files it names.
pub(super) fn target(config: &WatchConfig) -> Result<Target, String> {
    let expect = &config.expect;
    let says = |e: mooring_wire::TargetError| e.to_string();
    let url = match &expect.host {
        None => config.url.clone(),
        Some(host) => with_host(&config.url, host),
    };
    let mut target = Target::new(&url).map_err(says)?;
    if expect.host.is_some() {
        target = target.connect_to(authority(&config.url)).map_err(says)?;
    }
    for (name, value) in &expect.headers {
        target = target.header(name, value).map_err(says)?;
    }
    for (name, file) in &expect.header_files {
        let value = file.read().map_err(|e| format!("header `{name}`: {}", error_chain(&e)))?;
        target = target.header(name, value.expose_secret().trim_end()).map_err(says)?;
    }
    if let Some(subprotocol) = &expect.subprotocol {
        target = target.subprotocol(subprotocol).map_err(says)?.require_subprotocol(true);
    }
    if target.url().tls() {
        let tls = ClientTls::load(&expect.tls).map_err(|e| error_chain(&e))?;
        target = target.tls(tls.rustls(&[b"http/1.1"]).map_err(|e| error_chain(&e))?);
        if let Some(name) = tls.server_name() {
            target = target.server_name(name).map_err(says)?;
        }
    }
    let limits = &config.limits;
    // The two configured times bound the four of the dial: names and connection share one.
    let (connect, answer) = (limits.connect.get(), limits.answer.get());
    target.timeouts.resolve = connect.min(Duration::from_secs(2));
    target.timeouts.connect = connect;
    target.timeouts.tls = connect;
    target.timeouts.answer = answer;
    target.timeouts.first_frame = expect.first_frame.map(|t| t.get());
    target.limits.answer_head = limits.handshake.bytes();
    target.limits.frame = limits.frame.bytes();
    target.limits.message = limits.message.bytes();
    target.check().map_err(says)?;
    Ok(target)
}

/// The part of a URL that says where to connect.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// The URL with another authority: what is asked for, where that is not where to connect.
fn with_host(url: &str, host: &str) -> String {
    let old = authority(url);
    match url.find(old) {
        Some(at) => format!("{}{host}{}", &url[..at], &url[at + old.len()..]),
        None => url.to_owned(),
    }
}

/// A dial that could not even begin, because of this host: it says nothing about the gateway.
pub(super) fn unusable(why: &str) -> HandshakeReport {
    let message = clip(&format!("the agent could not dial: {why}"), MAX_MESSAGE);
    let record = StepRecord {
        step: Step::Resolve,
        at: Duration::ZERO,
        took: Duration::ZERO,
        ok: false,
        detail: message.clone(),
    };
    HandshakeReport {
        steps: vec![record],
        answer: None,
        outcome: Err(Refusal { step: Step::Resolve, cause: Cause::ObserverStalled, message }),
        took: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GatewayConfig;
    use mooring_core::id::GatewayId;
    use mooring_runtime::config::{HumanDuration, SecretFile};

    fn config(url: &str) -> WatchConfig {
        let gateway = GatewayConfig::new(GatewayId::new("g").unwrap(), url);
        gateway.watch(&gateway.instances()[0])
    }

    #[test]
    fn another_host_is_asked_for_at_the_same_place() {
        assert_eq!(with_host("ws://10.0.0.7:9000/ws?x=1", "chat.example"), "ws://chat.example/ws?x=1");
        assert_eq!(authority("wss://[::1]:443"), "[::1]:443");
        let mut config = config("ws://10.0.0.7:9000/ws");
        config.expect.host = Some("chat.example".to_owned());
        let target = target(&config).unwrap();
        assert_eq!(target.url().to_string(), "ws://chat.example/ws");
        assert!(format!("{target:?}").contains("9000"));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_the_agents_fault() {
        let mut config = config("ws://127.0.0.1:1/ws");
        config.expect.header_files.insert("authorization".to_owned(), SecretFile::new("/nonexistent/token"));
        config.expect.first_frame = Some(HumanDuration::from_secs(1));
        let sight = watcher(&config).unwrap().dial().await;
        let refusal = sight.report.outcome.unwrap_err();
        assert_eq!(refusal.cause, Cause::ObserverStalled);
        assert!(refusal.message.contains("authorization") && refusal.message.contains("/nonexistent/token"));
        assert!(sight.live.is_none());
    }

    #[tokio::test]
    async fn a_gateway_is_dialled_and_a_closed_port_is_refused() {
        let options = mooring_sample_gateway::Options { path: "/ws".to_owned(), ..Default::default() };
        let mut gateway = mooring_sample_gateway::Gateway::start(options).await.unwrap();
        let watcher = watcher(&config(&format!("ws://{}/ws", gateway.local_addr()))).unwrap();
        let sight = watcher.dial().await;
        assert!(sight.report.outcome.is_ok(), "{:?}", sight.report);
        let mut live = sight.live.unwrap();
        let mut seen = Vec::new();
        while !seen.iter().any(|o| matches!(o, Observation::Answered { .. })) {
            let (_, observation) = live.observations.recv().await.expect("the session stays open");
            seen.push(observation);
        }
        live.close().await;
        gateway.terminate();
        gateway.wait().await.unwrap();
        let refusal = watcher.dial().await.report.outcome.unwrap_err();
        assert_eq!(refusal.cause, Cause::ConnectionRefused);
    }
}
