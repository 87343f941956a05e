//! The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): who the client is, told in front of its bytes.
//!
//! Pure: bytes to addresses and back. Which connections must begin with a header is the listener's setting and never
//! guessed from the bytes, since whoever may choose writes an address of its liking.

use std::net::{IpAddr, SocketAddr};

use crate::config::ProxyVersion;

/// The first bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with CR LF.
const MAX_LINE: usize = 107;
/// Longest header of version 2 that is taken: addresses and a few hundred bytes of additions.
const MAX_BINARY: usize = 16 + 1024;

/// A header that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid PROXY protocol header")]
pub(crate) struct NotProxy;

/// A header: its size, and the client's and the destination's address where it tells them (a proxy's own health check does
/// not).
type Header = (usize, Option<(SocketAddr, SocketAddr)>);

/// Reads a header. `None`: more bytes are needed.
///
/// # Errors
/// When these bytes begin no header.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let n = bytes.len().min(SIGNATURE.len());
    if bytes[..n] == SIGNATURE[..n] {
        return read_binary(bytes);
    }
    let n = bytes.len().min(6);
    if bytes[..n] == b"PROXY "[..n] {
        return read_line(bytes);
    }
    Err(NotProxy)
}

fn read_line(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let head = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        return if bytes.len() >= MAX_LINE { Err(NotProxy) } else { Ok(None) };
    };
    let line = head[..end].strip_suffix(b"\r").ok_or(NotProxy)?;
    let line = std::str::from_utf8(line).map_err(|_| NotProxy)?;
    let parts: Vec<&str> = line.split(' ').collect();
    let addresses = match parts.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().map_err(|_| NotProxy)?;
                let port = port.parse().map_err(|_| NotProxy)?;
                if ip.is_ipv4() == (*family == "TCP4") {
                    Ok(SocketAddr::new(ip, port))
                } else {
                    Err(NotProxy)
                }
            };
            Some((address(from, from_port)?, address(to, to_port)?))
        }
        _ => return Err(NotProxy),
    };
    Ok(Some((end + 1, addresses)))
}

fn read_binary(bytes: &[u8]) -> Result<Option<Header>, NotProxy> {
    let Some(&[command, family, high, low]) = bytes.get(12..16).and_then(|b| b.first_chunk::<4>()) else {
        return Ok(None);
    };
    let size = 16 + usize::from(u16::from_be_bytes([high, low]));
    if size > MAX_BINARY || command >> 4 != 2 {
        return Err(NotProxy);
    }
    let Some(rest) = bytes.get(16..size) else { return Ok(None) };
    let addresses = match (command & 0xf, family) {
        // LOCAL: the proxy speaks for itself. Families without an address tell none.
        (0, _) => None,
        (1, 0x11) => {
            let a = rest.first_chunk::<12>().ok_or(NotProxy)?;
            let ip = |i: usize| IpAddr::from([a[i], a[i + 1], a[i + 2], a[i + 3]]);
            let port = |i: usize| u16::from_be_bytes([a[i], a[i + 1]]);
            Some((SocketAddr::new(ip(0), port(8)), SocketAddr::new(ip(4), port(10))))
        }
        (1, 0x21) => {
            let (from, rest) = rest.split_first_chunk::<16>().ok_or(NotProxy)?;
            let (to, rest) = rest.split_first_chunk::<16>().ok_or(NotProxy)?;
            let [a, b, c, d] = *rest.first_chunk::<4>().ok_or(NotProxy)?;
            let port = |high, low| u16::from_be_bytes([high, low]);
            Some((SocketAddr::new((*from).into(), port(a, b)), SocketAddr::new((*to).into(), port(c, d))))
        }
        (1, _) => None,
        _ => return Err(NotProxy),
    };
    Ok(Some((size, addresses)))
}

/// A header for a connection from one address to another; without addresses it says that they are unknown.
pub(crate) fn write(version: ProxyVersion, addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    // Both addresses must be of one family.
    let both = addresses.map(|(from, to)| match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (IpAddr::V4(a), IpAddr::V4(b), from.port(), to.port()),
        (a, b) => {
            let wide = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
                v6 @ IpAddr::V6(_) => v6,
            };
            (wide(a), wide(b), from.port(), to.port())
        }
    });
    match version {
        ProxyVersion::V1 => match both {
            Some((from, to, fp, tp)) => {
                let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {from} {to} {fp} {tp}\r\n").into_bytes()
            }
            None => b"PROXY UNKNOWN\r\n".to_vec(),
        },
        ProxyVersion::V2 => {
            let mut out = SIGNATURE.to_vec();
            let mut body = Vec::new();
            let family = match both {
                Some((IpAddr::V4(from), IpAddr::V4(to), ..)) => {
                    body.extend_from_slice(&from.octets());
                    body.extend_from_slice(&to.octets());
                    0x11
                }
                Some((IpAddr::V6(from), IpAddr::V6(to), ..)) => {
                    body.extend_from_slice(&from.octets());
                    body.extend_from_slice(&to.octets());
                    0x21
                }
                _ => 0,
            };
            if let Some((.., from, to)) = both {
                body.extend_from_slice(&from.to_be_bytes());
                body.extend_from_slice(&to.to_be_bytes());
            }
            out.extend_from_slice(&[0x21, family, 0, body.len() as u8]);
            out.extend_from_slice(&body);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((from.parse().unwrap(), to.parse().unwrap()))
    }

    #[test]
    fn both_versions_both_families_any_prefix() {
        for addresses in
            [pair("192.0.2.1:5", "192.0.2.2:80"), pair("[2001:db8::1]:5", "[2001:db8::2]:80"), None]
        {
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                let mut bytes = write(version, addresses);
                let size = bytes.len();
                for n in 0..size {
                    assert_eq!(read(&bytes[..n]), Ok(None), "{n}");
                }
                bytes.extend_from_slice(b"GET /");
                assert_eq!(read(&bytes), Ok(Some((size, addresses))));
            }
        }
        let mixed = write(ProxyVersion::V1, pair("192.0.2.1:5", "[2001:db8::2]:80"));
        assert_eq!(mixed, b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5 80\r\n");
    }

    #[test]
    fn what_is_none() {
        for bad in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 1.2.3.4 1.2.3.4 5\r\n",
            b"PROXY TCP4 ::1 ::1 5 5\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 5 99999\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 5 6\n",
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        ] {
            assert_eq!(read(bad), Err(NotProxy), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(read(&[b"PROXY ".as_slice(), &[b'x'; 120]].concat()), Err(NotProxy));
        // A health check of the proxy itself, with additions.
        assert_eq!(read(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x03abc"), Ok(Some((19, None))));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), v2 in any::<bool>()) {
            let all = if v2 { [SIGNATURE.as_slice(), &bytes].concat() } else { bytes };
            let _ = read(&all);
        }
    }
}
