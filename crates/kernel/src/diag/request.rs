//! What is asked of the kernel: `struct inet_diag_req_v2` (`linux/inet_diag.h`).

use std::net::{IpAddr, SocketAddr};

use super::netlink::{ACK, ATTRIBUTE, DUMP, HEADER, REQUEST};
use super::{AF_INET, AF_INET6};
use crate::connection::{Connection, Family};

/// `SOCK_DIAG_BY_FAMILY` (`linux/sock_diag.h`).
pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY` (`linux/sock_diag.h`).
pub(crate) const SOCK_DESTROY: u16 = 21;
/// `IPPROTO_TCP`.
const IPPROTO_TCP: u8 = 6;
/// `idiag_ext`: bit n-1 asks for attribute n; `INET_DIAG_INFO` is 2.
const WANT_INFO: u8 = 1 << (2 - 1);
/// `INET_DIAG_REQ_BYTECODE`.
const REQ_BYTECODE: u16 = 1;
/// `sizeof(struct inet_diag_req_v2)`: family, protocol, ext, pad, states u32, id (48 bytes).
const REQUEST_SIZE: usize = 56;

/// The states dumped, as bits by the kernel's numbers: all but those of half-made connections (SYN-RECEIVED, of which a
/// flood makes any number) and of sockets not connected (CLOSED).
pub(crate) const STATES: u32 =
    1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11;

/// Which socket is meant, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) family: Family,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) interface: u32,
    /// `None` asks for whichever socket has these addresses.
    pub(crate) cookie: Option<u64>,
}

impl Tuple {
    /// That of a connection as scanned.
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            family: connection.family,
            local: connection.local,
            remote: connection.remote,
            interface: connection.interface,
            cookie: Some(connection.cookie),
        }
    }

    /// Appends `struct inet_diag_sockid`: sport, dport (big-endian), src, dst (16 bytes each), if, cookie (low, high).
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.local.port().to_be_bytes());
        out.extend(self.remote.port().to_be_bytes());
        for address in [self.local.ip(), self.remote.ip()] {
            let mut octets = [0; 16];
            match (self.family, address) {
                (Family::V4, IpAddr::V4(v4)) => octets[..4].copy_from_slice(&v4.octets()),
                // Shown as v4, but the kernel's socket is v6 and its addresses are the mapped ones.
                (Family::V6, IpAddr::V4(v4)) => octets = v4.to_ipv6_mapped().octets(),
                (_, IpAddr::V6(v6)) => octets = v6.octets(),
            }
            out.extend(octets);
        }
        out.extend(self.interface.to_ne_bytes());
        // All ones is INET_DIAG_NOCOOKIE.
        let cookie = self.cookie.unwrap_or(u64::MAX);
        out.extend((cookie as u32).to_ne_bytes());
        out.extend(((cookie >> 32) as u32).to_ne_bytes());
    }
}

/// Asks for all TCP sockets of a family that pass the bytecode (empty: all).
pub(crate) fn dump(out: &mut Vec<u8>, family: Family, bytecode: &[u8], sequence: u32) {
    begin(out, SOCK_DIAG_BY_FAMILY, REQUEST | DUMP, sequence);
    fixed(out, family, WANT_INFO, STATES);
    out.resize(HEADER + REQUEST_SIZE, 0);
    if !bytecode.is_empty() {
        // Bounded by `filter`: far below what the 16 bits hold.
        out.extend(u16::try_from(ATTRIBUTE + bytecode.len()).unwrap_or(u16::MAX).to_ne_bytes());
        out.extend(REQ_BYTECODE.to_ne_bytes());
        out.extend(bytecode);
    }
    finish(out);
}

/// Asks for one socket.
pub(crate) fn one(out: &mut Vec<u8>, tuple: &Tuple, sequence: u32) {
    begin(out, SOCK_DIAG_BY_FAMILY, REQUEST, sequence);
    fixed(out, tuple.family, WANT_INFO, u32::MAX);
    tuple.encode(out);
    finish(out);
}

/// Destroys one socket.
pub(crate) fn destroy(out: &mut Vec<u8>, tuple: &Tuple, sequence: u32) {
    begin(out, SOCK_DESTROY, REQUEST | ACK, sequence);
    fixed(out, tuple.family, 0, u32::MAX);
    tuple.encode(out);
    finish(out);
}

fn begin(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32) {
    out.clear();
    out.extend(0u32.to_ne_bytes()); // the length, filled in at the end
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend(0u32.to_ne_bytes()); // to the kernel
}

fn fixed(out: &mut Vec<u8>, family: Family, ext: u8, states: u32) {
    let family = match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    };
    out.extend([family, IPPROTO_TCP, ext, 0]);
    out.extend(states.to_ne_bytes());
}

fn finish(out: &mut [u8]) {
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(..4) {
        place.copy_from_slice(&length.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::netlink::Messages;

    #[test]
    fn shapes() {
        let mut out = Vec::new();
        dump(&mut out, Family::V6, &[1, 2, 3, 4], 9);
        let message = Messages(&out).next().expect("whole");
        assert_eq!((message.kind, message.flags, message.sequence), (20, 0x301, 9));
        assert_eq!(message.body.len(), REQUEST_SIZE + 8);
        assert_eq!(message.body[..4], [AF_INET6, IPPROTO_TCP, WANT_INFO, 0]);

        let tuple = Tuple {
            family: Family::V6,
            local: "192.0.2.1:80".parse().unwrap(),
            remote: "192.0.2.2:4096".parse().unwrap(),
            interface: 3,
            cookie: Some(0x1_0000_0002),
        };
        destroy(&mut out, &tuple, 10);
        let message = Messages(&out).next().expect("whole");
        assert_eq!((message.kind, message.flags, message.body.len()), (21, 5, REQUEST_SIZE));
        assert_eq!(message.body[8..12], [0, 80, 16, 0], "ports are big-endian");
        assert_eq!(
            message.body[12 + 10..12 + 16],
            [0xff, 0xff, 192, 0, 2, 1],
            "mapped, as the kernel has it"
        );
        assert_eq!(message.body[44..48], 3u32.to_ne_bytes());
        assert_eq!(message.body[48..52], 2u32.to_ne_bytes());
        assert_eq!(message.body[52..56], 1u32.to_ne_bytes());

        one(&mut out, &Tuple { cookie: None, family: Family::V4, ..tuple }, 11);
        let message = Messages(&out).next().expect("whole");
        assert_eq!(message.flags, REQUEST);
        assert_eq!(message.body[12..16], [192, 0, 2, 1]);
        assert_eq!(message.body[48..56], [0xff; 8]);
    }
}
