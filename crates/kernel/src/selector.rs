//! Which sockets are the gateway's.
//!
//! A selector is a conjunction: local port among these, and remote end among those, and held by this process. Any part
//! may be left out, but not all of them: a selector that names nothing selects nothing, for it also guards what may be
//! cut. Which parts to use: a gateway that serves is its listening ports; links it dials are the process, the far end, or
//! both. Ports and remote ends cost nothing per scan; a process costs a walk over its file descriptors.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::connection::Connection;
use crate::process::Process;

/// Names the sockets of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    pub(crate) ports: Vec<u16>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) process: Option<Process>,
}

impl Selector {
    /// Most ports, and most remote ends, that a selector takes.
    pub const MOST: usize = 256;

    /// Names nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections whose local port is this one (or another one added). Beyond [`Self::MOST`] it is not taken.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        if self.ports.len() < Self::MOST && !self.ports.contains(&port) {
            self.ports.push(port);
        }
        self
    }

    /// Connections whose far end is this one (or another one added). Beyond [`Self::MOST`] it is not taken.
    #[must_use]
    pub fn remote(mut self, remote: Remote) -> Self {
        if self.remotes.len() < Self::MOST && !self.remotes.contains(&remote) {
            self.remotes.push(remote);
        }
        self
    }

    /// Connections this process holds.
    #[must_use]
    pub fn process(mut self, process: Process) -> Self {
        self.process = Some(process);
        self
    }

    /// The local ports that are named.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.remotes.is_empty() && self.process.is_none()
    }

    /// Whether the addresses fit; who holds the socket is another question.
    #[must_use]
    pub fn matches_addresses(&self, connection: &Connection) -> bool {
        !self.is_empty()
            && (self.ports.is_empty() || self.ports.contains(&connection.local.port()))
            && (self.remotes.is_empty() || self.remotes.iter().any(|r| r.matches(connection.remote)))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut and = "";
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, list: &[String]| {
            if list.is_empty() {
                return Ok(());
            }
            let result = write!(f, "{and}{name} {}", list.join(" or "));
            and = ", ";
            result
        };
        let text = |items: &[Remote]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
        part(f, "local port", &self.ports.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        part(f, "remote", &text(&self.remotes))?;
        part(f, "process", &self.process.iter().map(|p| p.pid().to_string()).collect::<Vec<_>>())?;
        if self.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

/// A far end: addresses, a port, or both. Written `192.0.2.7`, `192.0.2.0/24`, `192.0.2.7:443`, `[2001:db8::7]:443`,
/// `2001:db8::/32`, `[2001:db8::/32]:443`, or `:443` for that port anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Remote {
    address: Option<IpAddr>,
    prefix: u8,
    port: Option<u16>,
}

impl Remote {
    /// One end.
    #[must_use]
    pub fn exactly(end: SocketAddr) -> Self {
        let address = end.ip().to_canonical();
        Self { address: Some(address), prefix: width(address), port: Some(end.port()) }
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) fn prefix(&self) -> u8 {
        self.prefix
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether `end` is one of these. v4-mapped addresses count as the v4 addresses they stand for.
    #[must_use]
    pub fn matches(&self, end: SocketAddr) -> bool {
        if self.port.is_some_and(|port| port != end.port()) {
            return false;
        }
        let shift = |bits: u32| bits.saturating_sub(u32::from(self.prefix));
        match (self.address, end.ip().to_canonical()) {
            (None, _) => true,
            (Some(IpAddr::V4(net)), IpAddr::V4(ip)) => {
                (net.to_bits() ^ ip.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (Some(IpAddr::V6(net)), IpAddr::V6(ip)) => {
                (net.to_bits() ^ ip.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is not a remote end; write e.g. 192.0.2.0/24, 192.0.2.7:443, [2001:db8::7]:443 or :443"
            )
        };
        let (net, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((net, "")) => (net, None),
            Some((net, port)) => (net, Some(port.strip_prefix(':').ok_or_else(bad)?)),
            // More than one colon without brackets is an IPv6 address.
            None if text.matches(':').count() == 1 => {
                text.split_once(':').map(|(net, port)| (net, Some(port))).ok_or_else(bad)?
            }
            None => (text, None),
        };
        let port = port.map(str::parse).transpose().map_err(|_| bad())?;
        if net.is_empty() {
            return if port.is_some() { Ok(Self { address: None, prefix: 0, port }) } else { Err(bad()) };
        }
        let (address, prefix) = match net.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| bad())?)),
            None => (net, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix = prefix.unwrap_or(width(address));
        if prefix > width(address) {
            return Err(bad());
        }
        let (address, prefix) = match address {
            IpAddr::V6(v6) if prefix >= 96 && v6.to_ipv4_mapped().is_some() => {
                (address.to_canonical(), prefix - 96)
            }
            _ => (address, prefix),
        };
        Ok(Self { address: Some(address), prefix, port })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            let net = if self.prefix == width(address) {
                address.to_string()
            } else {
                format!("{address}/{}", self.prefix)
            };
            if address.is_ipv6() && self.port.is_some() {
                write!(f, "[{net}]")?;
            } else {
                f.write_str(&net)?;
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_as_written() {
        for (text, inside, outside) in [
            ("192.0.2.7", "192.0.2.7:1", "192.0.2.8:1"),
            ("192.0.2.0/24", "192.0.2.255:1", "192.0.3.0:1"),
            ("192.0.2.7:443", "192.0.2.7:443", "192.0.2.7:444"),
            ("0.0.0.0/0", "255.1.2.3:9", "[2001:db8::7]:9"),
            ("2001:db8::/32", "[2001:db8:1::7]:9", "[2001:db9::7]:9"),
            ("[2001:db8::7]:443", "[2001:db8::7]:443", "[2001:db8::8]:443"),
            ("[2001:db8::/32]:443", "[2001:db8::8]:443", "[2001:db8::8]:80"),
            (":443", "[2001:db8::8]:443", "192.0.2.7:80"),
            ("192.0.2.7", "[::ffff:192.0.2.7]:5", "[::ffff:192.0.2.8]:5"),
        ] {
            let remote: Remote = text.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(remote.to_string(), text);
            assert!(remote.matches(inside.parse().unwrap()), "{text} has {inside}");
            assert!(!remote.matches(outside.parse().unwrap()), "{text} has not {outside}");
        }
        assert_eq!("::ffff:192.0.2.0/120".parse::<Remote>().unwrap().to_string(), "192.0.2.0/24");
        for bad in
            ["", "x", "192.0.2.7/33", "192.0.2.7:", "[2001:db8::7", "[2001:db8::7]443", ":", "host:443"]
        {
            assert!(bad.parse::<Remote>().is_err(), "{bad}");
        }
    }

    #[test]
    fn naming_nothing_selects_nothing() {
        let selector = Selector::new();
        assert!(selector.is_empty());
        assert_eq!(selector.to_string(), "nothing");
        let both = selector.port(80).port(80).remote(":443".parse().unwrap());
        assert_eq!(both.to_string(), "local port 80, remote :443");
    }
}
