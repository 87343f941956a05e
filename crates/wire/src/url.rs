//! WebSocket addresses: `ws://host[:port][/path][?query]` and `wss://…` (RFC 6455 §3).
//!
//! A parser of our own, because it is written by a person into a configuration file and deserves an answer that says
//! what to change, and because the general ones accept what a WebSocket client must refuse (fragments) or would leak
//! (user and password). The query is treated as a secret: tokens travel there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest accepted address, bytes.
pub const MAX_URL: usize = 4096;

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Longer than [`MAX_URL`].
    #[error("the url is {0} bytes long, at most {MAX_URL} are allowed")]
    TooLong(usize),
    /// Not `ws` or `wss`.
    #[error("the url must begin with ws:// or wss://{0}")]
    Scheme(&'static str),
    /// User and password in the url.
    #[error("the url must not hold a user or password; send them as a header")]
    UserInfo,
    /// A `#fragment`, which RFC 6455 §3 forbids.
    #[error("the url must not hold a fragment (#…); write %23 for a literal #")]
    Fragment,
    /// No host, or one that is neither a name nor an address.
    #[error("`{0}` is not a host: use a DNS name, an IPv4 address, or an IPv6 address in brackets ([::1])")]
    Host(String),
    /// Not a port.
    #[error("`{0}` is not a port: use 1 to 65535")]
    Port(String),
    /// Not a path.
    #[error("`{0}` is not a path: begin it with one /")]
    Path(String),
    /// A character that may not stand in a path or query unencoded.
    #[error("{0:?} may not stand in a path or query; percent-encode it")]
    Character(char),
}

/// The host part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower case.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl FromStr for Host {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let bad = || UrlError::Host(text.to_owned());
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(bad)?;
            return inner.parse::<Ipv6Addr>().map(|ip| Self::Ip(ip.into())).map_err(|_| bad());
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        // Underscores are no host name by the letter, but Docker and Compose name services so.
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let labels = text.strip_suffix('.').unwrap_or(text);
        let sound = labels.split('.').all(|l| !l.is_empty() && l.len() <= 63);
        // A last label of digits only is a broken IPv4 address, not a name.
        let numeric = labels.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if text.len() > 253 || !sound || numeric || !text.chars().all(allowed) {
            return Err(bad());
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// A parsed address. `Display` and `Debug` hide the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    host: Host,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Whether the scheme is `wss`.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's default where none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, beginning with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, without the question mark. May hold secrets.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The same scheme, host and port with another path and query.
    ///
    /// # Errors
    /// When it does not begin with one `/`, holds a fragment or a character that may not stand there, or is too long.
    pub fn at(&self, path_and_query: &str) -> Result<Self, UrlError> {
        if !path_and_query.starts_with('/') || path_and_query.starts_with("//") {
            return Err(UrlError::Path(path_and_query.chars().take(32).collect()));
        }
        format!("{}{path_and_query}", self.origin()).parse()
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "wss" } else { "ws" }, self.host_header())
    }

    /// The `Host` header: the port only where it is not the scheme's default.
    pub(crate) fn host_header(&self) -> String {
        if self.port == default_port(self.tls) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The request target: path and query.
    pub(crate) fn request_target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Splits `host[:port]`, with IPv6 addresses in brackets.
pub(crate) fn split_authority(text: &str) -> Result<(Host, Option<u16>), UrlError> {
    // The colon of a port stands after the bracket of an IPv6 address.
    let search_from = text.find(']').unwrap_or(0);
    let colon = text[search_from..].find(':').map(|i| i + search_from);
    let (host, port) = match colon {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let host = host.parse().map_err(|_| UrlError::Host(text.to_owned()))?;
    let port = match port {
        None => None,
        Some(p) => match p.parse::<u16>() {
            Ok(n) if n != 0 && p.bytes().all(|b| b.is_ascii_digit()) => Some(n),
            _ => return Err(UrlError::Port(p.to_owned())),
        },
    };
    Ok((host, port))
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong(text.len()));
        }
        let (scheme, rest) =
            text.split_once("://").ok_or(UrlError::Scheme(", e.g. ws://127.0.0.1:8080/ws"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" => return Err(UrlError::Scheme(": use ws:// for http://")),
            "https" => return Err(UrlError::Scheme(": use wss:// for https://")),
            _ => return Err(UrlError::Scheme("")),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        if let Some(c) = tail.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(UrlError::Character(c));
        }
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (tail, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { tls, host, port: port.unwrap_or(default_port(tls)), path: path.to_owned(), query })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        if self.query.is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn parts() {
        for (text, tls, host, port, target) in [
            ("ws://a.example", false, "a.example", 80, "/"),
            ("wss://A.Example/x", true, "a.example", 443, "/x"),
            ("ws://127.0.0.1:8080/a/b?c=d&e", false, "127.0.0.1:8080", 8080, "/a/b?c=d&e"),
            ("WS://[::1]:9000?EIO=4", false, "[::1]:9000", 9000, "/?EIO=4"),
            ("wss://[2001:db8::7]/", true, "[2001:db8::7]", 443, "/"),
            ("ws://my_service:80/?", false, "my_service", 80, "/?"),
        ] {
            let u = url(text);
            assert_eq!((u.tls(), u.host_header().as_str(), u.port()), (tls, host, port), "{text}");
            assert_eq!(u.request_target(), target, "{text}");
        }
    }

    #[test]
    fn refusals_say_what_to_change() {
        for (text, needle) in [
            ("a.example:80", "ws://127.0.0.1"),
            ("https://a/", "wss://"),
            ("ftp://a/", "must begin"),
            ("ws://u:p@a/", "header"),
            ("ws://a/#x", "fragment"),
            ("ws:///x", "not a host"),
            ("ws://a:0/", "not a port"),
            ("ws://a:+1/", "not a port"),
            ("ws://a:99999/", "not a port"),
            ("ws://::1/", "not a host"),
            ("ws://[::1/", "not a host"),
            ("ws://1.2.3.4.5/", "not a host"),
            ("ws://a b/", "not a host"),
            ("ws://a/x y", "percent-encode"),
            ("ws://a/网", "percent-encode"),
            ("ws://a/\r\nX: y", "percent-encode"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(needle), "{text}: {error}");
        }
        assert!(format!("ws://a/{}", "x".repeat(5000)).parse::<Url>().is_err());
    }

    #[test]
    fn the_query_is_not_shown() {
        let u = url("ws://a/x?token=s3cret");
        assert_eq!(u.to_string(), "ws://a/x?…");
        assert!(!format!("{u:?}").contains("s3cret"));
    }
}
