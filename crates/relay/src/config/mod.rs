//! What a relay is told: where it listens, where the gateway is, whom it believes, and every bound.
//!
//! Plain values with sane defaults; the caller reads them from wherever its configuration is. TLS comes ready-made
//! ([`rustls::ServerConfig`], [`rustls::ClientConfig`]), so that certificates are loaded and renewed in one place.

mod network;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::InstanceId;
use mooring_wire::frames::{PeekFor, ScanLimits};

pub use network::{Network, NetworkError};
pub use upstream::{ProxyVersion, Upstream, UpstreamAddress, UpstreamTls};

/// A relay in front of one gateway.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Where clients come in. Those that [`Relay::start`](crate::Relay::start) is handed by name are not bound anew.
    pub listeners: Vec<ListenerConfig>,
    /// The gateway.
    pub upstream: Upstream,
    /// Whose session it is.
    pub instances: Instances,
    /// Sources whose `X-Forwarded-*` and `Forwarded` are believed and added to. From all others they are replaced.
    /// These sources are proxies: they are exempt from the limit per source, too.
    pub trusted: Vec<Network>,
    /// Origins of which a browser may open a WebSocket, as the `Origin` header writes them (`https://chat.example`).
    /// `None`: any. A request without the header is no browser's and passes.
    pub origins: Option<Vec<String>>,
    /// What to do when a side breaks RFC 6455.
    pub violations: Violations,
    /// Heartbeats looked for in short text messages.
    pub peek: PeekFor,
    /// From which size on a frame or message is reported as a violation.
    pub scan: ScanLimits,
    /// Pings of our own.
    pub keepalive: Keepalive,
    /// Bounds in number and size.
    pub limits: Limits,
    /// Bounds in time.
    pub times: Times,
    /// What happens to new connections while the gateway is away.
    pub hold: Hold,
}

impl RelayConfig {
    /// One listener, one gateway, defaults for everything else.
    #[must_use]
    pub fn new(listen: ListenAddress, upstream: Upstream) -> Self {
        Self {
            listeners: vec![ListenerConfig::new("main", listen)],
            upstream,
            instances: Instances::Unknown,
            trusted: Vec::new(),
            origins: None,
            violations: Violations::Report,
            peek: PeekFor::Any,
            scan: ScanLimits::default(),
            keepalive: Keepalive::default(),
            limits: Limits::default(),
            times: Times::default(),
            hold: Hold::default(),
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP. An IPv6 address does not take IPv4 connections as well: name both.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Its path. A socket that nobody listens on any more is replaced.
        path: PathBuf,
        /// Its file mode, e.g. `0o660`.
        mode: u32,
    },
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One way in.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, by which a handover finds it again. Unique in a relay.
    pub name: String,
    /// Where.
    pub address: ListenAddress,
    /// TLS for those who come in.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Every connection begins with a PROXY protocol header (version 1 or 2) and is closed if it does not. Only for
    /// listeners that nobody but the proxy can reach: whoever can writes its own address.
    pub proxy: bool,
    /// `SO_REUSEPORT`: other processes may listen on the same address, and the kernel spreads connections over them.
    pub reuse_port: bool,
}

impl ListenerConfig {
    /// A plain listener.
    #[must_use]
    pub fn new(name: &str, address: ListenAddress) -> Self {
        Self { name: name.to_owned(), address, tls: None, proxy: false, reuse_port: false }
    }
}

/// Finds an instance by a path.
pub type FindInstance = Arc<dyn Fn(&str) -> Option<InstanceId> + Send + Sync>;

/// How a session's instance is found.
#[derive(Clone, Default)]
pub enum Instances {
    /// It is not.
    #[default]
    Unknown,
    /// The gateway is one instance.
    One(InstanceId),
    /// By the path of the upgrade request, without its query.
    ByPath(FindInstance),
}

impl Instances {
    pub(crate) fn of(&self, target: &str) -> Option<InstanceId> {
        match self {
            Self::Unknown => None,
            Self::One(instance) => Some(instance.clone()),
            Self::ByPath(find) => find(target.split('?').next().unwrap_or(target)),
        }
    }
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Unknown"),
            Self::One(instance) => write!(f, "One({instance})"),
            Self::ByPath(_) => f.write_str("ByPath(..)"),
        }
    }
}

/// What to do when a side breaks the WebSocket protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Violations {
    /// Forward the bytes as they are; count and report. A stream that can be followed no further is forwarded unseen.
    #[default]
    Report,
    /// End the session with 1002.
    Close,
}

/// Pings of our own, towards a side that has been silent for so long. `None`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Towards the client.
    pub client: Option<Duration>,
    /// Towards the gateway.
    pub gateway: Option<Duration>,
}

/// Bounds in number and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request or answer head, bytes.
    pub head: usize,
    /// Connections at once, of any kind.
    pub connections: usize,
    /// Connections at once of one source: an IPv4 address, or an IPv6 network of 64 bits. More are answered with 429;
    /// under TLS, where that would take a handshake, with nothing.
    pub per_source: Option<usize>,
    /// Connections at once that have not yet sent their first request in full.
    pub handshakes: usize,
    /// Connections to the gateway being opened at once.
    pub dials: usize,
    /// Connections held at once.
    pub held: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 16 * 1024,
            connections: 100_000,
            per_source: None,
            handshakes: 10_000,
            dials: 256,
            held: 10_000,
        }
    }
}

/// Bounds in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From accepting a connection to the last byte of its first request head, TLS included; and from a later request's
    /// first byte to the end of its head.
    pub handshake: Duration,
    /// Opening a connection to the gateway.
    pub dial: Duration,
    /// From the upgrade request to the gateway's answer.
    pub upgrade: Duration,
    /// From any other request to the first byte of the gateway's answer.
    pub answer: Duration,
    /// A peer that gives or takes not one byte of a body for so long is given up.
    pub body: Duration,
    /// A kept-alive connection waits so long for its next request.
    pub between_requests: Duration,
    /// A session without a byte in either direction for so long is closed with 1001. `None`: never.
    pub idle: Option<Duration>,
    /// After one end of a session has gone or both have said goodbye, the connections are given so long to end.
    pub ending: Duration,
    /// A side that takes nothing of what waits for it for so long is stalled.
    pub stalled: Duration,
    /// A ping unanswered for so long is a missed heartbeat.
    pub pong: Duration,
    /// Lateness granted to a promised heartbeat beyond what the protocol itself grants.
    pub beat_margin: Duration,
    /// How often all sessions are looked at.
    pub sweep: Duration,
    /// `SO_KEEPALIVE` on all TCP connections, after so long without a segment. `None`: off.
    pub tcp_keepalive: Option<Duration>,
}

impl Default for Times {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            handshake: s(10),
            dial: s(5),
            upgrade: s(10),
            answer: s(60),
            body: s(60),
            between_requests: s(60),
            idle: None,
            ending: s(10),
            stalled: s(10),
            pong: s(30),
            beat_margin: s(5),
            sweep: s(1),
            tcp_keepalive: Some(s(60)),
        }
    }
}

/// New connections while the gateway is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Longest that one is held before it is answered with 503.
    pub time: Duration,
    /// Whether a gateway that refuses connections is waited for. Without it that is a 503 at once, but for those who were
    /// held by an order already: they wait on.
    pub when_refused: bool,
}

impl Default for Hold {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), when_refused: false }
    }
}
