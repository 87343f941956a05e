//! What to dial, and within which bounds. Everything is checked when it is put in, so that a dial cannot fail for a
//! reason that was written into the configuration.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::url::{Host, Url, UrlError, split_authority};

/// Most headers a target may add.
pub const MAX_HEADERS: usize = 32;
/// Most bytes of names and values of added headers together.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Most subprotocols a target may ask for.
pub const MAX_SUBPROTOCOLS: usize = 16;

/// Why a target was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A header's name.
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    /// A header's value; it is not repeated, as it may be a secret.
    #[error(
        "the value of header `{0}` holds a character that headers must not hold (line break, control character)"
    )]
    HeaderValue(String),
    /// A header that belongs to the handshake itself.
    #[error("header `{0}` is set by the handshake itself; remove it")]
    HeaderReserved(String),
    /// Too many headers, or too many bytes of them.
    #[error("too many headers: at most {MAX_HEADERS}, with {MAX_HEADER_BYTES} bytes together")]
    TooManyHeaders,
    /// Not a token of RFC 9110 §5.6.2, or asked for twice (RFC 6455 §4.1).
    #[error("`{0}` is not a subprotocol: use a name without spaces and separators, each once")]
    Subprotocol(String),
    /// Too many subprotocols.
    #[error("too many subprotocols: at most {MAX_SUBPROTOCOLS}")]
    TooManySubprotocols,
    /// Not a name or address that a certificate could be for.
    #[error("`{0}` is not a server name that a certificate could be for")]
    ServerName(String),
    /// A subprotocol is demanded, but none is asked for.
    #[error("a subprotocol is required, but none is asked for; name at least one")]
    NoSubprotocol,
    /// A TLS configuration that offers another protocol than HTTP/1.1.
    #[error(
        "the TLS configuration offers other protocols than http/1.1 (ALPN), which cannot carry this upgrade"
    )]
    Alpn,
    /// `wss://` without a TLS configuration.
    #[error("wss:// needs a TLS configuration (trusted certificates)")]
    NoTls,
}

/// How long each step may take. Each is a bound of its own: a slow resolver does not shorten the time for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution; default 2 s.
    pub resolve: Duration,
    /// TCP connect, all addresses together; default 3 s.
    pub connect: Duration,
    /// TLS handshake; default 5 s.
    pub tls: Duration,
    /// From the first byte of the request to the end of the answer's header block; default 5 s.
    pub answer: Duration,
    /// From the answer to the first text or binary frame; `None` (the default) expects none.
    pub first_frame: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            first_frame: None,
        }
    }
}

/// How much a peer can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Status line and headers of the answer, bytes; default 16 KiB.
    pub answer_head: usize,
    /// Headers of the answer; default 64.
    pub answer_headers: usize,
    /// Body of a refusing answer that is kept, bytes; default and most: 512.
    pub body_start: usize,
    /// Payload of one frame, bytes; default 1 MiB, at most 64 MiB.
    pub frame: usize,
    /// Payload of one message, bytes; default 4 MiB, at most 64 MiB.
    pub message: usize,
    /// Initial read buffer of a session, bytes; default 4 KiB. It grows to a frame's size and no further.
    pub read_buffer: usize,
    /// Pings and pongs that wait for a peer that does not read, bytes; default 16 KiB.
    pub write_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer_head: 16 * 1024,
            answer_headers: 64,
            body_start: 512,
            frame: 1024 * 1024,
            message: 4 * 1024 * 1024,
            read_buffer: 4 * 1024,
            write_buffer: 16 * 1024,
        }
    }
}

/// Which addresses may be dialled. It is asked of each address that a name has, at the dial itself: a name that has
/// another address the next time cannot get around it.
#[derive(Clone)]
pub struct Reach(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Reach {
    /// Those for which this is true. An IPv4 address inside an IPv6 one is asked about as what it is.
    pub fn new(admits: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(admits))
    }

    /// Whether this one may be.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        (self.0)(address.to_canonical())
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach")
    }
}

/// What to dial. `Debug` shows header names only, and no query.
#[derive(Clone)]
pub struct Target {
    url: Url,
    connect_to: Option<(Host, Option<u16>)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    subprotocols: Vec<String>,
    subprotocol_required: bool,
    tls: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    reach: Option<Reach>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Size limits.
    pub limits: Limits,
}

impl Target {
    /// A target with default limits.
    ///
    /// # Errors
    /// When the url is not a WebSocket address.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Ok(Self {
            url: url.parse()?,
            connect_to: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            subprotocol_required: false,
            tls: None,
            server_name: None,
            reach: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        })
    }

    /// The same place, headers and limits with another path and query.
    ///
    /// # Errors
    /// When it is not a path that may stand in a URL, or too long.
    pub fn at(&self, path_and_query: &str) -> Result<Self, TargetError> {
        Ok(Self { url: self.url.at(path_and_query)?, ..self.clone() })
    }

    /// Connects to this `host[:port]` (IPv6 in brackets) while asking for the url's: a pod behind its service's name.
    ///
    /// # Errors
    /// When it is not a host, or the port is not one.
    pub fn connect_to(mut self, authority: &str) -> Result<Self, TargetError> {
        self.connect_to = Some(split_authority(authority)?);
        Ok(self)
    }

    /// Adds a request header. Its value is taken for a secret: it is sent, and never shown or recorded.
    ///
    /// # Errors
    /// When name or value are not what HTTP allows, the header belongs to the handshake, or there are too many.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, TargetError> {
        let parsed: HeaderName = name.parse().map_err(|_| TargetError::HeaderName(name.to_owned()))?;
        let reserved = ["host", "connection", "upgrade", "content-length", "transfer-encoding"];
        if reserved.contains(&parsed.as_str()) || parsed.as_str().starts_with("sec-websocket-") {
            return Err(TargetError::HeaderReserved(parsed.as_str().to_owned()));
        }
        let mut value: HeaderValue = value.parse().map_err(|_| TargetError::HeaderValue(name.to_owned()))?;
        value.set_sensitive(true);
        self.headers.push((parsed, value));
        let bytes: usize = self.headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
        if self.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            return Err(TargetError::TooManyHeaders);
        }
        Ok(self)
    }

    /// Asks for a subprotocol, in order of preference.
    ///
    /// # Errors
    /// When it is not a token, is asked for already, or there are too many.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, TargetError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty()
            || name.len() > 128
            || !name.bytes().all(token)
            || self.subprotocols.iter().any(|s| s == name)
        {
            return Err(TargetError::Subprotocol(name.to_owned()));
        }
        self.subprotocols.push(name.to_owned());
        if self.subprotocols.len() > MAX_SUBPROTOCOLS {
            return Err(TargetError::TooManySubprotocols);
        }
        Ok(self)
    }

    /// Demands that the peer choose one of the subprotocols.
    #[must_use]
    pub fn require_subprotocol(mut self, required: bool) -> Self {
        self.subprotocol_required = required;
        self
    }

    /// The TLS configuration for `wss`. Its ALPN list must be empty or `http/1.1`: this upgrade exists in HTTP/1.1 only.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// The name the certificate must be for, where it is not the url's host.
    ///
    /// # Errors
    /// When it is neither a DNS name nor an address.
    pub fn server_name(mut self, name: &str) -> Result<Self, TargetError> {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        let parsed =
            ServerName::try_from(bare.to_owned()).map_err(|_| TargetError::ServerName(name.to_owned()))?;
        self.server_name = Some(parsed);
        Ok(self)
    }

    /// Dials these addresses and no others, whatever the name resolves to.
    #[must_use]
    pub fn within(mut self, reach: Reach) -> Self {
        self.reach = Some(reach);
        self
    }

    /// Whether an address may be dialled.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.admits(address))
    }

    /// Checks what only the whole shows. A dial reports the same as a refusal; a configuration loader wants it early.
    ///
    /// # Errors
    /// When `wss` lacks a TLS configuration or a usable name, or a subprotocol is required but none asked for.
    pub fn check(&self) -> Result<(), TargetError> {
        if self.subprotocol_required && self.subprotocols.is_empty() {
            return Err(TargetError::NoSubprotocol);
        }
        if self.url.tls() {
            self.tls_parts()?;
        }
        Ok(())
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port to connect to.
    pub(crate) fn endpoint(&self) -> (&Host, u16) {
        match &self.connect_to {
            Some((host, port)) => (host, port.unwrap_or(self.url.port())),
            None => (self.url.host(), self.url.port()),
        }
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    pub(crate) fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    pub(crate) fn subprotocol_required(&self) -> bool {
        self.subprotocol_required
    }

    /// TLS configuration and server name for `wss`.
    pub(crate) fn tls_parts(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), TargetError> {
        let config = self.tls.as_ref().map(Arc::clone).ok_or(TargetError::NoTls)?;
        if config.alpn_protocols.iter().any(|p| p != b"http/1.1") {
            return Err(TargetError::Alpn);
        }
        let name = match (&self.server_name, self.url.host()) {
            (Some(name), _) => name.clone(),
            (None, Host::Ip(ip)) => ServerName::from(*ip),
            (None, Host::Name(name)) => {
                // A certificate's names have no trailing dot.
                let bare = name.strip_suffix('.').unwrap_or(name).to_owned();
                ServerName::try_from(bare).map_err(|_| TargetError::ServerName(name.clone()))?
            }
        };
        Ok((config, name))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("connect_to", &self.connect_to)
            .field("headers", &self.headers.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>())
            .field("subprotocols", &self.subprotocols)
            .field("subprotocol_required", &self.subprotocol_required)
            .field("tls", &self.tls.is_some())
            .field("server_name", &self.server_name)
            .field("timeouts", &self.timeouts)
            .field("limits", &self.limits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::new("ws://a.example/x?key=s3cret-query").unwrap()
    }

    #[test]
    fn headers_are_checked_and_hidden() {
        let t = target().header("Authorization", "Bearer s3cret-token").unwrap();
        let shown = format!("{t:?}");
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
        for (name, value, error) in [
            ("sec-websocket-key", "x", TargetError::HeaderReserved("sec-websocket-key".to_owned())),
            ("Host", "x", TargetError::HeaderReserved("host".to_owned())),
            ("a b", "x", TargetError::HeaderName("a b".to_owned())),
            ("x", "a\r\nb: c", TargetError::HeaderValue("x".to_owned())),
        ] {
            assert_eq!(target().header(name, value).unwrap_err(), error);
        }
        let flood = (0..=MAX_HEADERS).try_fold(target(), |t, i| t.header(&format!("x-{i}"), "y"));
        assert_eq!(flood.unwrap_err(), TargetError::TooManyHeaders);
        assert_eq!(target().header("x", &"y".repeat(9000)).unwrap_err(), TargetError::TooManyHeaders);
    }

    #[test]
    fn the_whole_is_checked() {
        assert_eq!(target().check(), Ok(()));
        assert_eq!(target().require_subprotocol(true).check(), Err(TargetError::NoSubprotocol));
        assert_eq!(Target::new("wss://a/").unwrap().check(), Err(TargetError::NoTls));
        assert!(target().subprotocol("a b").is_err() && target().subprotocol("").is_err());
        assert!(target().subprotocol("mqtt").unwrap().subprotocol("mqtt").is_err());
        assert!(target().server_name("not a name").is_err());
    }

    #[test]
    fn the_place_to_connect_to_may_differ() {
        let t = target().connect_to("[::1]:9000").unwrap();
        assert_eq!((t.endpoint().0.to_string(), t.endpoint().1), ("[::1]".to_owned(), 9000));
        let t = target().connect_to("10.0.0.7").unwrap();
        assert_eq!((t.endpoint().0.to_string(), t.endpoint().1), ("10.0.0.7".to_owned(), 80));
        assert!(target().connect_to("10.0.0.7:x").is_err());
    }

    #[test]
    fn the_path_may_change() {
        let t = target().header("x-key", "s3cret").and_then(|t| t.at("/other/?EIO=4")).unwrap();
        assert_eq!((t.url().path(), t.url().query()), ("/other/", Some("EIO=4")));
        assert_eq!(t.url().host().to_string(), "a.example");
        assert_eq!(t.headers().len(), 1);
        for wrong in ["", "other", "//b.example/", "/x y", "/x#y", "http://b.example/"] {
            assert!(target().at(wrong).is_err(), "{wrong}");
        }
    }
}
