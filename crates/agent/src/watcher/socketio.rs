//! The kind `socketio`: a Socket.IO server, watched through a session of our own in one of its namespaces.
//!
//! A WebSocket that opens proves little here: the server must open a session, let us into the namespace, and go on
//! sending its pings. What it promises of those it says when the session is opened, and the tracker holds it to that, so
//! no pings of our own are sent. Messages are life and are not looked at: their content is other people's.
//!
//! A namespace that puts us out ends the session, though its transport stays open: nothing would come over it any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::observation::{Close, Observation};
use mooring_runtime::lifecycle::error_chain;
use mooring_socketio::client::{Client, Item, Options};
use mooring_socketio::endpoint::way_of;
use mooring_wire::{Life, Target};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, sleep_until};

use super::websocket::{QUEUE, reads_files, target, unusable};
use super::{Live, Seen, Sight, Watcher};
use crate::config::WatchConfig;

/// Largest message that is parsed, to see whether it puts us out: such a one is a few bytes and the namespace.
const KEEP: usize = 4096;
/// At most one sign of life in this time is passed on, as by the canary.
const LIFE_EVERY: Duration = Duration::from_millis(250);

/// What is dialled, and how.
type Way = (Target, Options);

struct SocketIo {
    config: Arc<WatchConfig>,
    /// The same from session to session, if nothing of it has to be read from files.
    fixed: Option<Arc<Way>>,
}

pub(super) fn watcher(config: &WatchConfig) -> Result<Box<dyn Watcher>, String> {
    let reads_files = reads_files(config) || config.expect.auth_file.is_some();
    let fixed = if reads_files { None } else { Some(Arc::new(way(config)?)) };
    Ok(Box::new(SocketIo { config: Arc::new(config.clone()), fixed }))
}

impl Watcher for SocketIo {
    fn dial(&self) -> BoxFuture<'static, Sight> {
        let (config, fixed) = (Arc::clone(&self.config), self.fixed.clone());
        async move {
            let way = match fixed {
                Some(way) => Ok(way),
                None => match tokio::task::spawn_blocking(move || way(&config)).await {
                    Ok(way) => way.map(Arc::new),
                    Err(_) => Err("reading the certificates and secrets panicked".to_owned()),
                },
            };
            match way {
                Ok(way) => open(&way).await,
                Err(why) => Sight { report: unusable(&why), known: Vec::new(), live: None },
            }
        }
        .boxed()
    }
}

async fn open(way: &Way) -> Sight {
    let client = match Box::pin(Client::connect(&way.0, &way.1)).await {
        Ok(client) => client,
        Err(error) => return Sight { report: error.report, known: Vec::new(), live: None },
    };
    let (report, opening) = (client.report().clone(), client.opening());
    let promise = Observation::Promise { interval: opening.ping_interval, timeout: opening.ping_timeout };
    let (sender, observations) = mpsc::channel(QUEUE);
    let task = tokio::spawn(watch(client, sender));
    Sight { report, known: vec![promise], live: Some(Live { observations, task }) }
}

/// Holds the session until it ends, or until nobody listens any more.
async fn watch(mut client: Client, observations: Sender<Seen>) {
    let mut life = Life::new(LIFE_EVERY);
    let opened = Instant::now();
    let mut heard = opened;
    // The namespace has just answered. A quiet server's next word is a ping, half a minute away.
    life.seen(opened);
    let close = loop {
        // With the channel full, what is newest waits: it is passed on as old as it then is.
        let due = life.due().filter(|_| observations.capacity() > 0);
        let item = tokio::select! {
            biased;
            item = client.next() => Some(item),
            () = observations.closed() => break None,
            () = sleep_until(due.unwrap_or(opened)), if due.is_some() => None,
        };
        let now = Instant::now();
        match item {
            Some(Item::Closed(close)) => break Some(close),
            Some(Item::Disconnected { namespace }) => {
                break Some(Close {
                    code: Some(1000),
                    reason: format!("put out of the namespace {namespace}"),
                    by_us: false,
                    age: now.duration_since(opened),
                    silent_for: now.duration_since(heard),
                    error: None,
                });
            }
            // Silence is the tracker's to judge, with this agent's own lag beside it.
            Some(Item::Overdue { .. }) | None => {}
            Some(_) => {
                heard = now;
                life.seen(now);
            }
        }
        if life.due().is_some_and(|at| at <= now)
            && let Ok(room) = observations.try_reserve()
            && let Some(age) = life.take(now)
        {
            room.send((now.into_std(), Observation::Life { age }));
        }
    };
    let last = async {
        if let Some(close) = close {
            // A consumer that is gone does not want the end either.
            let _ = observations.send((std::time::Instant::now(), Observation::Closed(close))).await;
        }
    };
    tokio::join!(last, client.close());
}

fn way(config: &WatchConfig) -> Result<Way, String> {
    let target = target(config)?;
    let limits = &config.limits;
    let expect = &config.expect;
    let mut options = Options {
        way: way_of(target.url().query())?,
        open_timeout: limits.answer.get(),
        join_timeout: limits.answer.get(),
        keep: KEEP,
        ..Options::default()
    };
    if let Some(namespace) = &expect.namespace {
        options.namespace.clone_from(namespace);
    }
    if let Some(file) = &expect.auth_file {
        let text = file.read().map_err(|e| format!("auth_file: {}", error_chain(&e)))?;
        // The parser's own words would show a part of it.
        let auth: Option<Value> = serde_json::from_str(text.expose_secret()).ok();
        let path = file.path().display();
        options.auth =
            Some(auth.filter(Value::is_object).ok_or(format!("auth_file: {path} holds no JSON object"))?);
    }
    Ok((target, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GatewayConfig;
    use mooring_core::cause::Cause;
    use mooring_core::id::GatewayId;
    use mooring_core::kind::Kind;
    use mooring_runtime::config::SecretFile;
    use std::path::Path;
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    use tokio::process::{Child, Command};

    fn config(url: &str) -> WatchConfig {
        let mut gateway = GatewayConfig::new(GatewayId::new("g").unwrap(), url);
        gateway.kind = Kind::Socketio;
        gateway.watch(&gateway.instances()[0])
    }

    /// The real server; killed when dropped.
    async fn server(flags: &[&str]) -> (Child, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateways/sio-server.js");
        let mut command = Command::new("node");
        command.arg(script).args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("npm ci --prefix tests/gateways");
        let said: Value = serde_json::from_str(&line).unwrap();
        (child, format!("ws://{}/socket.io/", said["listening"].as_str().unwrap()))
    }

    async fn dial(config: &WatchConfig) -> Sight {
        watcher(config).unwrap().dial().await
    }

    async fn next(live: &mut Live) -> Observation {
        let wait = tokio::time::timeout(Duration::from_secs(30), live.observations.recv());
        wait.await.expect("something in time").expect("the session tells its end").1
    }

    #[tokio::test]
    async fn a_session_its_promise_its_life_and_its_end() {
        for transport in ["", "?transport=polling"] {
            let (mut child, url) = server(&["--ping-interval", "300ms", "--ping-timeout", "20s"]).await;
            let sight = dial(&config(&format!("{url}{transport}"))).await;
            assert!(sight.report.outcome.is_ok(), "{:?}", sight.report);
            let promise = Observation::Promise {
                interval: Duration::from_millis(300),
                timeout: Duration::from_secs(20),
            };
            assert_eq!(sight.known, [promise]);
            let mut live = sight.live.unwrap();
            for _ in 0..3 {
                assert!(matches!(next(&mut live).await, Observation::Life { .. }));
            }
            child.kill().await.unwrap();
            let close = loop {
                match next(&mut live).await {
                    Observation::Life { .. } => {}
                    Observation::Closed(close) => break close,
                    other => panic!("{other:?}"),
                }
            };
            assert!(!close.by_us && close.code.is_none(), "{close:?}");
            live.close().await;
            let refusal = dial(&config(&url)).await.report.outcome.unwrap_err();
            assert_eq!(refusal.cause, Cause::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn namespaces_and_what_they_ask_for() {
        let (_child, url) = server(&[]).await;
        let mut config = config(&url);
        config.expect.namespace = Some("/late".to_owned());
        let sight = dial(&config).await;
        assert_eq!(sight.report.outcome.unwrap_err().cause, Cause::NamespaceNotReady);
        assert!(sight.live.is_none() && sight.known.is_empty());
        config.expect.namespace = Some("/admin".to_owned());
        assert_eq!(dial(&config).await.report.outcome.unwrap_err().cause, Cause::CredentialsRefused);
        let file = tempfile::NamedTempFile::new().unwrap();
        config.expect.auth_file = Some(SecretFile::new(file.path()));
        std::fs::write(file.path(), "s3cret, not JSON").unwrap();
        let refusal = dial(&config).await.report.outcome.unwrap_err();
        assert_eq!(refusal.cause, Cause::ObserverStalled);
        assert!(refusal.message.contains("no JSON object") && !refusal.message.contains("s3cret"));
        std::fs::write(file.path(), r#"{"token": "secret"}"#).unwrap();
        let sight = dial(&config).await;
        assert!(sight.report.outcome.is_ok(), "{:?}", sight.report);
        sight.live.unwrap().close().await;
    }

    /// At the default interval of 25 s: whoever has let us in lives.
    #[tokio::test]
    async fn being_let_in_is_life() {
        let (_child, url) = server(&[]).await;
        let mut config = config(&url);
        config.expect.namespace = Some("/".to_owned());
        let mut live = dial(&config).await.live.unwrap();
        assert!(matches!(next(&mut live).await, Observation::Life { age } if age < Duration::from_secs(5)));
        live.close().await;
    }

    #[tokio::test]
    async fn a_wrong_path_is_named() {
        let (_child, url) = server(&[]).await;
        let refusal = dial(&config(url.trim_end_matches('/'))).await.report.outcome.unwrap_err();
        assert_eq!(refusal.cause, Cause::WrongPath, "{}", refusal.message);
    }
}
