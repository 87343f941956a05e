//! `[gateway.relay]`: the relay before a gateway, as configured, and what it is started with.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mooring_relay::handover::MAX_LISTENERS;
use mooring_relay::{
    Hold, Instances, Keepalive, ListenAddress, ListenerConfig, Network, ProxyVersion, RelayConfig, Upstream,
    UpstreamAddress, UpstreamTls, Violations,
};
use mooring_runtime::config::{HumanDuration, Problem};
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::{ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig};
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};

use super::{ByteSize, GatewayConfig, address_of, join};
use crate::executor::sessions::MAX_SPREAD;

/// Longest close reason, bytes (RFC 6455 §5.5: a control frame's payload is at most 125, two of them are the code).
const MAX_REASON: usize = 123;

/// Longest that sessions may go on at the end.
const MAX_DRAIN: Duration = Duration::from_secs(3_600);

/// A relay before a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelaySection {
    /// Where clients come in: `127.0.0.1:8080`, `[::]:8080` or `unix:/run/chat.sock`.
    pub listen: Vec<String>,
    /// TLS for those who come in over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTlsConfig>,
    /// Mode of the Unix sockets, octal.
    pub socket_mode: String,
    /// Every connection must begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Where the gateway is, `host:port` or `unix:/path`. Default: the host and port of its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// TLS towards the gateway (used where the URL is `wss://`).
    pub upstream_tls: ClientTlsConfig,
    /// A PROXY protocol header towards the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_proxy_protocol: Option<ProxyTo>,
    /// Whether the gateway is told of the client in `X-Forwarded-*`.
    pub forwarded: bool,
    /// Proxies before this relay, `10.0.0.0/8`: what they say of the client is believed.
    pub trusted_proxies: Vec<String>,
    /// Origins from which browsers may open WebSockets. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<String>>,
    /// Whether a session that breaks RFC 6455 is closed with 1002 instead of being reported only.
    pub close_violations: bool,
    /// Code of the Close frame with which sessions are closed by order: 1012 (service restart), 1001 (going away), 1013
    /// (try again later) or 3000–4999.
    pub close_code: u16,
    /// Its reason text, at most 123 bytes.
    pub close_reason: String,
    /// Over how much time the sessions of an instance or gateway are closed, unless the order says otherwise.
    pub spread: HumanDuration,
    /// What happens to new connections while the gateway is away.
    pub hold: HoldSection,
    /// Pings of the relay's own towards a silent side.
    pub keepalive: KeepaliveSection,
    /// Bounds.
    pub limits: RelayLimits,
    /// How long open sessions may go on when the agent ends or hands its listeners over.
    pub drain: HumanDuration,
}

/// Version of the PROXY protocol towards the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyTo {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// New connections while the gateway is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldSection {
    /// Longest that one waits before it is answered with 503.
    pub time: HumanDuration,
    /// Most that wait at once.
    pub connections: u32,
    /// Whether they wait for a gateway that refuses connections, too, and not only during an ordered restart.
    pub when_refused: bool,
}

/// Pings of the relay's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveSection {
    /// Towards clients that have been silent for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<HumanDuration>,
    /// Towards the gateway, on sessions where it has been silent for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<HumanDuration>,
}

/// Bounds of a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayLimits {
    /// Largest request or answer head.
    pub head: ByteSize,
    /// Connections at once.
    pub connections: u32,
    /// Connections at once of one source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_source: Option<u32>,
    /// Connections at once that have not sent their first request in full.
    pub handshakes: u32,
    /// From accepting a connection to the end of its first request head.
    pub handshake: HumanDuration,
    /// A session without a byte for so long is closed. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<HumanDuration>,
    /// A side that takes nothing of what waits for it for so long counts as stalled.
    pub stalled: HumanDuration,
    /// A ping unanswered for so long is a missed heartbeat.
    pub pong: HumanDuration,
}

impl Default for RelaySection {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            tls: None,
            socket_mode: "660".to_owned(),
            proxy_protocol: false,
            reuse_port: false,
            upstream: None,
            upstream_tls: ClientTlsConfig::default(),
            upstream_proxy_protocol: None,
            forwarded: true,
            trusted_proxies: Vec::new(),
            origins: None,
            close_violations: false,
            close_code: 1012,
            close_reason: "reconnect".to_owned(),
            spread: HumanDuration::from_secs(0),
            hold: HoldSection::default(),
            keepalive: KeepaliveSection::default(),
            limits: RelayLimits::default(),
            drain: HumanDuration::from_secs(10),
        }
    }
}

impl Default for HoldSection {
    fn default() -> Self {
        Self { time: HumanDuration::from_secs(30), connections: 10_000, when_refused: false }
    }
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            head: ByteSize::kib(16),
            connections: 100_000,
            per_source: None,
            handshakes: 10_000,
            handshake: HumanDuration::from_secs(10),
            idle: None,
            stalled: HumanDuration::from_secs(10),
            pong: HumanDuration::from_secs(30),
        }
    }
}

/// A relay, ready to be started.
#[derive(Debug)]
pub struct RelaySetup {
    /// What it is started with.
    pub config: RelayConfig,
    /// The certificate of its listeners, to be followed when it is renewed.
    pub tls: Option<Arc<ServerTls>>,
}

impl RelaySection {
    /// What the relay is started with. Reads the files of certificates.
    ///
    /// # Errors
    /// In words, with the key, when something cannot be used.
    pub fn setup(&self, gateway: &GatewayConfig) -> Result<RelaySetup, String> {
        let tls = self.tls.as_ref().map(ServerTls::load).transpose();
        let tls = tls.map_err(|e| format!("relay.tls: {}", error_chain(&e)))?;
        let server = tls.as_ref().map(|tls| tls.following(&[b"http/1.1"]));
        let mut listeners = Vec::with_capacity(self.listen.len());
        for (index, text) in self.listen.iter().enumerate() {
            let address = self.listen_address(text)?;
            // The name is what a handover finds it by: the address, so that a reordered file changes nothing.
            let mut listener = ListenerConfig::new(&format!("{}/{text}", gateway.id), address);
            if matches!(listener.address, ListenAddress::Tcp(_)) {
                listener.tls.clone_from(&server);
            }
            listener.proxy = self.proxy_protocol;
            listener.reuse_port = self.reuse_port;
            tracing::debug!(gateway = %gateway.id, index, listen = text, "a relay listens");
            listeners.push(listener);
        }
        let mut config = RelayConfig::new(
            ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))),
            self.upstream(gateway)?,
        );
        config.listeners = listeners;
        config.instances = instances(gateway);
        config.trusted = self
            .trusted_proxies
            .iter()
            .map(|n| n.parse::<Network>())
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?;
        config.origins.clone_from(&self.origins);
        config.violations = if self.close_violations { Violations::Close } else { Violations::Report };
        let wish = |time: Option<HumanDuration>| time.map(HumanDuration::get);
        config.keepalive =
            Keepalive { client: wish(self.keepalive.client), gateway: wish(self.keepalive.gateway) };
        let limits = &self.limits;
        config.limits.head = limits.head.bytes();
        config.limits.connections = limits.connections as usize;
        config.limits.per_source = limits.per_source.map(|n| n as usize);
        config.limits.handshakes = limits.handshakes as usize;
        config.limits.held = self.hold.connections as usize;
        config.times.handshake = limits.handshake.get();
        config.times.idle = wish(limits.idle);
        config.times.stalled = limits.stalled.get();
        config.times.pong = limits.pong.get();
        config.hold = Hold { time: self.hold.time.get(), when_refused: self.hold.when_refused };
        Ok(RelaySetup { config, tls })
    }

    fn listen_address(&self, text: &str) -> Result<ListenAddress, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(ListenAddress::Unix { path: PathBuf::from(path), mode: self.mode()? });
        }
        let address = text.parse::<SocketAddr>();
        address.map(ListenAddress::Tcp).map_err(|_| {
            format!("`{text}` is not a place to listen on: write 0.0.0.0:8080, [::]:8080 or unix:/run/x.sock")
        })
    }

    /// Whether a place to listen on is the one that is dialled.
    fn is_upstream(&self, listen: &str, gateway: &GatewayConfig) -> bool {
        let (Ok(listen), Ok(upstream)) = (self.listen_address(listen), self.upstream_place(gateway)) else {
            return false;
        };
        match (listen, upstream) {
            (ListenAddress::Unix { path, .. }, UpstreamAddress::Unix(there)) => path == there,
            (ListenAddress::Tcp(here), UpstreamAddress::Tcp(there)) => {
                here.port() == there.port()
                    && (here.ip() == there.ip() || (here.ip().is_unspecified() && there.ip().is_loopback()))
            }
            (ListenAddress::Tcp(here), UpstreamAddress::Name { host, port }) => {
                here.port() == port
                    && host == "localhost"
                    && (here.ip().is_loopback() || here.ip().is_unspecified())
            }
            _ => false,
        }
    }

    fn mode(&self) -> Result<u32, String> {
        u32::from_str_radix(&self.socket_mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .ok_or_else(|| format!("`{}` is not a file mode: write e.g. 660", self.socket_mode))
    }

    /// Where the gateway is.
    fn upstream_place(&self, gateway: &GatewayConfig) -> Result<UpstreamAddress, String> {
        if let Some(text) = &self.upstream {
            return upstream_address(text);
        }
        let uri = address_of(&gateway.url, ["ws", "wss"])
            .map_err(|why| format!("`upstream` or the gateway's `url` is needed: {why}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
        Ok(named(host, port))
    }

    fn upstream(&self, gateway: &GatewayConfig) -> Result<Upstream, String> {
        let uri = address_of(&gateway.url, ["ws", "wss"]);
        let secure = uri.as_ref().is_ok_and(|uri| uri.scheme_str() == Some("wss"));
        let host = uri.as_ref().ok().and_then(|uri| uri.host()).unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        let address = self.upstream_place(gateway)?;
        let mut upstream = Upstream::new(address);
        upstream.forwarded = self.forwarded;
        upstream.proxy = self.upstream_proxy_protocol.map(|version| match version {
            ProxyTo::V1 => ProxyVersion::V1,
            ProxyTo::V2 => ProxyVersion::V2,
        });
        if secure {
            let tls = ClientTls::load(&self.upstream_tls)
                .map_err(|e| format!("relay.upstream_tls: {}", error_chain(&e)))?;
            let config =
                tls.rustls(&[b"http/1.1"]).map_err(|e| format!("relay.upstream_tls: {}", error_chain(&e)))?;
            let name = tls.server_name().unwrap_or(&host).to_owned();
            let name = ServerName::try_from(name).map_err(|_| {
                format!("relay.upstream_tls: `{host}` is not a name a certificate can have; set server_name")
            })?;
            upstream.tls = Some(UpstreamTls { config, name });
        }
        Ok(upstream)
    }

    pub(super) fn problems(&self, gateway: &GatewayConfig, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |name: &str, what: String| found.push(Problem::new(join(key, name), what));
        if self.listen.is_empty() {
            say("listen", "at least one address is needed".to_owned());
        }
        for (index, text) in self.listen.iter().enumerate() {
            if let Err(what) = self.listen_address(text) {
                say(&format!("listen.{index}"), what);
            }
        }
        if let Some(Err(what)) = self.upstream.as_deref().map(upstream_address) {
            say("upstream", what);
        }
        for network in &self.trusted_proxies {
            if let Err(bad) = network.parse::<Network>() {
                say("trusted_proxies", bad.to_string());
            }
        }
        if !matches!(self.close_code, 1001 | 1012 | 1013 | 3000..=4999) {
            say("close_code", format!("{} is not 1001, 1012, 1013 or 3000 to 4999", self.close_code));
        }
        if self.close_reason.len() > MAX_REASON {
            say("close_reason", format!("has {} bytes, at most {MAX_REASON} fit", self.close_reason.len()));
        }
        if self.spread.get() > MAX_SPREAD {
            say("spread", format!("{} is above {}", self.spread, HumanDuration(MAX_SPREAD)));
        }
        if self.limits.head < ByteSize(1024) || self.limits.head > ByteSize::mib(1) {
            say("limits.head", format!("{} is not between 1KiB and 1MiB", self.limits.head));
        }
        for (name, n) in [
            ("limits.connections", Some(self.limits.connections)),
            ("limits.handshakes", Some(self.limits.handshakes)),
            ("limits.per_source", self.limits.per_source),
            ("hold.connections", Some(self.hold.connections)),
        ] {
            if n.is_some_and(|n| n == 0 || n > 1_000_000) {
                say(name, "must be between 1 and 1000000".to_owned());
            }
        }
        let (least, most) = (HumanDuration::from_millis(100), HumanDuration::from_secs(86_400));
        for (name, time) in [
            ("limits.handshake", Some(self.limits.handshake)),
            ("limits.idle", self.limits.idle),
            ("limits.stalled", Some(self.limits.stalled)),
            ("limits.pong", Some(self.limits.pong)),
            ("keepalive.client", self.keepalive.client),
            ("keepalive.gateway", self.keepalive.gateway),
            ("hold.time", Some(self.hold.time)),
        ] {
            if let Some(time) = time.filter(|time| !(least..=most).contains(time)) {
                say(name, format!("{time} is not between {least} and {most}"));
            }
        }
        if let (Some(idle), Some(ping)) =
            (self.limits.idle, self.keepalive.client.max(self.keepalive.gateway))
            && ping >= idle
        {
            say("keepalive", format!("pings every {ping} cannot keep a session that is closed after {idle}"));
        }
        if let Some(own) = self.listen.iter().find(|listen| self.is_upstream(listen, gateway)) {
            say("listen", format!("{own} is where the gateway is looked for: the relay would dial itself"));
        }
        if self.drain.get() > MAX_DRAIN {
            say("drain", format!("{} is above {}", self.drain, HumanDuration(MAX_DRAIN)));
        }
        if self.listen.len() > MAX_LISTENERS {
            say("listen", format!("{} addresses, at most {MAX_LISTENERS}", self.listen.len()));
        }
        if let Err(what) = self.mode() {
            say("socket_mode", what);
        }
        found
    }
}

fn named(host: &str, port: u16) -> UpstreamAddress {
    match host.parse::<IpAddr>() {
        Ok(ip) => UpstreamAddress::Tcp(SocketAddr::new(ip, port)),
        Err(_) => UpstreamAddress::Name { host: host.to_owned(), port },
    }
}

/// An address to connect to.
fn upstream_address(text: &str) -> Result<UpstreamAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(UpstreamAddress::Unix(PathBuf::from(path)));
    }
    let bad = || format!("`{text}` is not an address: write host:port or unix:/path");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() || host.contains('/') || port == 0 {
        return Err(bad());
    }
    Ok(named(host, port))
}

/// Whose session it is: by the path of the request.
fn instances(gateway: &GatewayConfig) -> Instances {
    let all = gateway.instances();
    if let [only] = all.as_slice() {
        return Instances::One(only.id.clone());
    }
    let path = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
    let by_path: std::collections::HashMap<String, _> =
        all.iter().filter_map(|i| Some((path(i.path.as_deref()?), i.id.clone()))).collect();
    Instances::ByPath(Arc::new(move |asked: &str| by_path.get(asked).cloned()))
}
