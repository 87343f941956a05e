//! One session with a Socket.IO server, in one namespace.
//!
//! The client does only what keeps a session alive and readable: it answers pings, counts attachments, and notes whether
//! the server keeps its promise. It judges nothing; a promise broken is told ([`Item::Overdue`]) and the session stays.
//! There is no task behind it: everything happens while somebody waits in [`Client::next`], so who stops asking stops
//! answering pings, and the server ends the session after its timeout.

mod connect;
mod link;
mod polling;
mod web;

use std::time::Duration;

use mooring_core::handshake::HandshakeReport;
use mooring_core::observation::Close;
use mooring_wire::Target;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::endpoint::Way;
use crate::open::Open;
use crate::packet::engine::Packet as Engine;
use crate::packet::socket::{self, Kind, MAIN, Packet};
pub use connect::{ConnectError, Opened, Why, open};
use link::{Heard, Link};

/// Most that [`Options::keep`] can be, bytes.
pub const MAX_KEEP: usize = 64 * 1024 * 1024;

/// How a session is opened and held.
#[derive(Clone)]
pub struct Options {
    /// The namespace to join; default `/`.
    pub namespace: String,
    /// What is sent along when joining. A secret.
    pub auth: Option<Value>,
    /// Query parameters beyond those of the target's own URL. Their values are secrets.
    pub query: Vec<(String, String)>,
    /// How packets travel; default WebSocket at once, without polling first.
    pub way: Way,
    /// From the end of the handshake to the opening packet; default 5 s.
    pub open_timeout: Duration,
    /// From asking for the namespace to its answer; default 10 s.
    pub join_timeout: Duration,
    /// Longest that a proper end is waited for; default 2 s.
    pub close_timeout: Duration,
    /// Largest message that is read, bytes; default 1 MiB, at most [`MAX_KEEP`]. Larger ones are passed over. Parsed JSON
    /// can take some ten times the memory of its text.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: MAIN.to_owned(),
            auth: None,
            query: Vec::new(),
            way: Way::default(),
            open_timeout: Duration::from_secs(5),
            join_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            keep: 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("namespace", &self.namespace)
            .field("auth", &self.auth.is_some())
            .field("query", &self.query.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("way", &self.way)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// Something that came.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An event. Binary data in its arguments is left out: the placeholders stay.
    Event {
        /// In which namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its arguments. They are other people's: not for logs.
        args: Vec<Value>,
        /// The number under which the server wants to hear of it.
        ack: Option<u64>,
    },
    /// The answer to an event of ours.
    Ack {
        /// To which.
        id: u64,
        /// What it says.
        args: Vec<Value>,
    },
    /// The server's heartbeat, answered.
    Ping,
    /// Anything else that shows life: a WebSocket ping, a packet without meaning here.
    Alive,
    /// A message that was not read: larger than [`Options::keep`], or not Socket.IO.
    Skipped {
        /// Its size in bytes, where known.
        size: usize,
        /// Why, in words.
        why: String,
    },
    /// No ping came within what the server promised. Told once per silence; the session stays.
    Overdue {
        /// Since the last ping, or since the session was opened.
        silent_for: Duration,
    },
    /// The server put us out of the namespace. The session stays, without use.
    Disconnected {
        /// Which.
        namespace: String,
    },
    /// The session is over. From then on it is this for ever.
    Closed(Close),
}

/// How the promise of pings was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beats {
    /// Pings that came.
    pub pings: u64,
    /// Longest time without one, as far as it is over.
    pub longest: Duration,
    /// How often none came in time.
    pub broken: u64,
}

/// An event whose attachments are still coming.
struct Pending {
    item: Item,
    left: u32,
}

/// An open session. Let [`Client::close`] end it: dropping it closes the socket at once.
pub struct Client {
    link: Link,
    open: Open,
    report: HandshakeReport,
    namespace: String,
    sid: Option<String>,
    close_timeout: Duration,
    beats: Beats,
    /// When the last ping came; the opening counts.
    beat: Instant,
    told: bool,
    pending: Option<Pending>,
    next_ack: u64,
    over: Option<Close>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("open", &self.open)
            .field("namespace", &self.namespace)
            .field("beats", &self.beats)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a session and joins the namespace.
    ///
    /// Takes at most what the dial takes plus both time limits of the options, and their third to end what was refused.
    /// Let it run to its end.
    ///
    /// # Errors
    /// Which layer refused, with every step up to there.
    pub async fn connect(target: &Target, options: &Options) -> Result<Self, Box<ConnectError>> {
        let opened = Box::pin(open(target, options)).await?;
        Box::pin(opened.join(options)).await
    }

    /// Every step that led here.
    #[must_use]
    pub fn report(&self) -> &HandshakeReport {
        &self.report
    }

    /// What the server said when it opened the session.
    #[must_use]
    pub fn opening(&self) -> &Open {
        &self.open
    }

    /// Our id in the namespace. Servers of Socket.IO 2 say none.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// How the promise of pings was kept so far.
    #[must_use]
    pub fn beats(&self) -> Beats {
        self.beats
    }

    /// What comes next. Cancel-safe.
    pub async fn next(&mut self) -> Item {
        loop {
            if let Some(close) = &self.over {
                return Item::Closed(close.clone());
            }
            let heard = if self.told {
                self.link.hear().await
            } else {
                match timeout_at(self.beat + self.open.silence(), self.link.hear()).await {
                    Ok(heard) => heard,
                    Err(_) => {
                        self.told = true;
                        self.beats.broken += 1;
                        return Item::Overdue { silent_for: self.beat.elapsed() };
                    }
                }
            };
            if let Some(item) = self.take(heard) {
                return item;
            }
        }
    }

    fn take(&mut self, heard: Heard) -> Option<Item> {
        let packet = match heard {
            Heard::Packet(packet) => packet,
            Heard::Alive => return Some(Item::Alive),
            Heard::Dropped(size) => {
                // It may have been an attachment, or an event with some: what belongs together is not known any more.
                self.pending = None;
                return Some(Item::Skipped { size, why: "larger than what is read".to_owned() });
            }
            Heard::Unreadable(size, why) => return Some(Item::Skipped { size, why: why.to_string() }),
            Heard::Closed(close) => {
                self.over = Some(close.clone());
                return Some(Item::Closed(close));
            }
        };
        match packet {
            Engine::Ping(data) => {
                self.link.say(Engine::Pong(data));
                self.beats.pings += 1;
                self.beats.longest = self.beats.longest.max(self.beat.elapsed());
                self.beat = Instant::now();
                self.told = false;
                Some(Item::Ping)
            }
            Engine::Text(text) => self.message(&text),
            Engine::Binary(_) => match &mut self.pending {
                Some(pending) if pending.left > 1 => {
                    pending.left -= 1;
                    Some(Item::Alive)
                }
                Some(_) => self.pending.take().map(|pending| pending.item),
                None => Some(Item::Alive),
            },
            Engine::Open(_) | Engine::Pong(_) | Engine::Upgrade | Engine::Noop | Engine::Close => {
                Some(Item::Alive)
            }
        }
    }

    fn message(&mut self, text: &str) -> Option<Item> {
        // Text between a packet and its attachments breaks the packet off.
        self.pending = None;
        let packet = match Packet::decode(text) {
            Ok(packet) => packet,
            Err(why) => return Some(Item::Skipped { size: text.len(), why: why.to_string() }),
        };
        let left = packet.attachments();
        let item = match packet.kind {
            Kind::Event { id, name, args, .. } => {
                Item::Event { namespace: packet.namespace, name, args, ack: id }
            }
            Kind::Ack { id, args, .. } => Item::Ack { id, args },
            Kind::Disconnect => Item::Disconnected { namespace: packet.namespace },
            // A refusal after the joining, or one of another namespace.
            Kind::Connect(_) | Kind::ConnectError(_) => Item::Alive,
        };
        if left == 0 {
            return Some(item);
        }
        self.pending = Some(Pending { item, left });
        Some(Item::Alive)
    }

    /// Sends an event, without or with the wish for an answer, which then comes as [`Item::Ack`] with the number that is
    /// returned. `None`: it was not sent, as the name is reserved, too much waits already or the session is over.
    ///
    /// Only to servers whose events are known.
    pub fn emit(&mut self, name: &str, args: Vec<Value>, acked: bool) -> Option<u64> {
        if self.over.is_some() || !socket::is_event(name) {
            return None;
        }
        let number = self.next_ack;
        let kind = Kind::Event { id: acked.then_some(number), name: name.to_owned(), args, attachments: 0 };
        let packet = Packet { namespace: self.namespace.clone(), kind };
        if !self.link.say(Engine::Text(packet.encode())) {
            return None;
        }
        self.next_ack += u64::from(acked);
        Some(number)
    }

    /// Leaves the namespace and ends the session, as a client should. Returns how it ended.
    pub async fn close(mut self) -> Close {
        if self.over.is_none() {
            self.link.say(Engine::Text(Packet::disconnect(&self.namespace).encode()));
        }
        Box::pin(self.link.end(self.over, self.close_timeout)).await
    }
}
