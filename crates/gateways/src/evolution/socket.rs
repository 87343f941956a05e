//! Listening over Socket.IO: one session in the global namespace, and one for each instance that has a namespace of its
//! own.
//!
//! A namespace comes to be with the first event that is sent into it, so `Invalid namespace` is no fault: it is asked for
//! again, seldom. The stock client never does, which is why listeners that start early hear nothing until they are started
//! anew. Whatever ends is opened again with growing pauses; what was missed meanwhile is the watch's to read from REST.
//!
//! The key travels in a header: in the query, as the gateway would take it, too, it would stand in the logs of every proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mooring_core::backoff::Backoff;
use mooring_runtime::tls::ClientTls;
use mooring_socketio::client::{Client, ConnectError, Item, Options, Why};
use mooring_socketio::packet::socket::is_namespace;
use mooring_wire::Target;
use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::events::{Events, Heard};
use super::rest::Rest;
use super::seen::Happened;
use super::settings::{EventsMode, Settings};

/// Most instances' own namespaces that are listened to, each with a connection of its own. More are a case for the global
/// mode, which the gateway's documentation advises anyway; those left out are watched by REST alone.
pub const MAX_NAMESPACES: usize = 256;
/// Events larger than this are passed over, unread: those that matter are small, messages with pictures are not.
const KEEP: usize = 256 * 1024;
/// A session that broke its promise of pings is given up after this long without any sign of life.
const GIVE_UP: Duration = Duration::from_secs(30);

/// Listens to one gateway.
#[derive(Debug, Clone)]
pub struct Socket {
    target: Target,
    mode: EventsMode,
    lost: Backoff,
    absent: Backoff,
}

impl Socket {
    /// By these settings; `None` when events are not wanted.
    ///
    /// # Errors
    /// In words, when the address or the TLS files cannot be used.
    pub fn new(settings: &Settings, rest: &Rest) -> Result<Option<Self>, String> {
        if settings.events == EventsMode::Off {
            return Ok(None);
        }
        let text = |e: &dyn std::fmt::Display| e.to_string();
        // http becomes ws, https becomes wss.
        let url = settings.url.replacen("http", "ws", 1);
        let mut target =
            Target::new(&format!("{}/socket.io/", url.trim_end_matches('/'))).map_err(|e| text(&e))?;
        if let Some(key) = rest.key() {
            target = target.header("apikey", key.expose_secret()).map_err(|e| text(&e))?;
        }
        if url.starts_with("wss:") {
            let tls = ClientTls::load(&settings.tls).map_err(|e| text(&e))?;
            target = target.tls(tls.rustls(&[b"http/1.1"]).map_err(|e| text(&e))?);
            if let Some(name) = tls.server_name() {
                target = target.server_name(name).map_err(|e| text(&e))?;
            }
        }
        target.check().map_err(|e| text(&e))?;
        let second = Duration::from_secs(1);
        let lost = Backoff::new(second, second * 30).map_err(|e| text(&e))?;
        let absent = Backoff::new(second * 5, second * 60).map_err(|e| text(&e))?;
        let absent = absent.with_floor(second * 5).map_err(|e| text(&e))?;
        Ok(Some(Self { target, mode: settings.events, lost, absent }))
    }

    /// One namespace, for as long as it is wanted.
    async fn follow(self, instance: Option<String>, heard: mpsc::Sender<Heard>, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let ended = self.session(instance.as_deref(), &heard, &stop).await;
            let (law, word) = match ended {
                Ended::Stopped => return,
                Ended::Absent => (self.absent, Heard::Absent(instance.clone())),
                Ended::NeverOpen(why) => (self.lost, Heard::Lost { instance: instance.clone(), why }),
                Ended::Lost(why) => {
                    failures = 0;
                    (self.lost, Heard::Lost { instance: instance.clone(), why })
                }
            };
            let pause = law.equal(failures, &mut rand::rng());
            failures = failures.saturating_add(1);
            if !say(&heard, word, &stop).await || !wait(pause, &stop).await {
                return;
            }
        }
    }

    async fn session(
        &self,
        instance: Option<&str>,
        heard: &mpsc::Sender<Heard>,
        stop: &CancellationToken,
    ) -> Ended {
        let mut options = Options { keep: KEEP, ..Options::default() };
        if let Some(instance) = instance {
            options.namespace = format!("/{instance}");
        }
        let opening = Box::pin(Client::connect(&self.target, &options));
        let connected = tokio::select! {
            () = stop.cancelled() => return Ended::Stopped,
            connected = opening => connected,
        };
        let mut client = match connected {
            Ok(client) => client,
            Err(refused) => return not_open(&refused),
        };
        let (interval, timeout) = (client.opening().ping_interval, client.opening().ping_timeout);
        for word in [Heard::Open { interval, timeout }, Heard::Joined(instance.map(str::to_owned))] {
            if !say(heard, word, stop).await {
                drop(client.close().await);
                return Ended::Stopped;
            }
        }
        let mut overdue = false;
        let why = loop {
            let item = tokio::select! {
                () = stop.cancelled() => {
                    drop(client.close().await);
                    return Ended::Stopped;
                }
                item = client.next() => item,
                () = tokio::time::sleep(GIVE_UP), if overdue => break "no sign of life any more".to_owned(),
            };
            overdue = false;
            let word = match item {
                Item::Event { name, args, .. } => match args.first().and_then(|a| Happened::read(&name, a)) {
                    Some((named, happened)) => {
                        Heard::Event { instance: named, global: instance.is_none(), happened }
                    }
                    None => Heard::Life,
                },
                Item::Ping | Item::Alive | Item::Ack { .. } | Item::Skipped { .. } => Heard::Life,
                Item::Overdue { .. } => {
                    overdue = true;
                    continue;
                }
                Item::Disconnected { .. } => break "the gateway put us out of the namespace".to_owned(),
                Item::Closed(close) => {
                    let code = close.code.map_or("without a code".to_owned(), |code| code.to_string());
                    return Ended::Lost(format!("closed by the gateway ({code})"));
                }
            };
            if !say(heard, word, stop).await {
                drop(client.close().await);
                return Ended::Stopped;
            }
        };
        drop(client.close().await);
        Ended::Lost(why)
    }
}

/// How a session ended.
enum Ended {
    Stopped,
    Absent,
    NeverOpen(String),
    Lost(String),
}

fn not_open(refused: &ConnectError) -> Ended {
    match &refused.why {
        Why::Namespace(namespace) if namespace.unknown() => Ended::Absent,
        _ => Ended::NeverOpen(refused.to_string()),
    }
}

/// Says it; false when nobody wants to hear any more.
async fn say(heard: &mpsc::Sender<Heard>, word: Heard, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        sent = heard.send(word) => sent.is_ok(),
    }
}

async fn wait(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(pause) => true,
    }
}

impl Events for Socket {
    fn listen(
        self: Box<Self>,
        mut names: watch::Receiver<Vec<String>>,
        heard: mpsc::Sender<Heard>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut followed = FuturesUnordered::new();
            let mut stops: BTreeMap<String, CancellationToken> = BTreeMap::new();
            if self.mode != EventsMode::Instance {
                followed.push(Box::pin(Self::clone(&self).follow(None, heard.clone(), stop.child_token())));
            }
            let mut more = true;
            loop {
                let wanted: Vec<String> = names
                    .borrow_and_update()
                    .iter()
                    .filter(|name| is_namespace(&format!("/{name}")))
                    .take(MAX_NAMESPACES)
                    .cloned()
                    .collect();
                stops.retain(|name, stop| {
                    let kept = wanted.contains(name);
                    if !kept {
                        stop.cancel();
                    }
                    kept
                });
                for name in wanted {
                    if !stops.contains_key(&name) {
                        let stop = stop.child_token();
                        stops.insert(name.clone(), stop.clone());
                        followed.push(Box::pin(Self::clone(&self).follow(Some(name), heard.clone(), stop)));
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = names.changed(), if more => more = changed.is_ok(),
                    Some(()) = followed.next() => {}
                }
            }
            // Each closes its session properly, and soon.
            while followed.next().await.is_some() {}
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(url: &str, events: &str) -> Result<Option<Socket>, String> {
        let settings = format!(r#"{{"url": "{url}", "events": "{events}"}}"#);
        let settings: Settings = serde_json::from_str(&settings).unwrap();
        Socket::new(&settings, &Rest::new(&settings)?)
    }

    #[test]
    fn events_are_on_the_port_of_rest_and_below_its_path() {
        assert!(socket("http://127.0.0.1:8080", "off").unwrap().is_none());
        let target = |url| socket(url, "auto").unwrap().unwrap().target.url().path().to_owned();
        assert_eq!(target("http://127.0.0.1:8080"), "/socket.io/");
        assert_eq!(target("http://127.0.0.1:8080/evo/"), "/evo/socket.io/");
    }
}
