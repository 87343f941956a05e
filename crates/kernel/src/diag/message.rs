//! What the kernel answers: `struct inet_diag_msg` (`linux/inet_diag.h`) and, after it, attributes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::netlink::Attributes;
use super::{AF_INET, AF_INET6, info, u32_at};
use crate::connection::{Connection, Family, Listener, State, Timer};

/// `sizeof(struct inet_diag_msg)`.
const SIZE: usize = 72;
/// `INET_DIAG_INFO`.
const INFO: u16 = 2;

/// Parses the body of a `SOCK_DIAG_BY_FAMILY` answer. `None` for a family that is not IP or a message cut short.
pub(crate) fn parse(body: &[u8]) -> Option<Connection> {
    let family = match *body.first()? {
        AF_INET => Family::V4,
        AF_INET6 => Family::V6,
        _ => return None,
    };
    // 3: retrans, which tcp_info has as well; 4..52: struct inet_diag_sockid.
    let interface = u32_at(body, 40)?;
    let connection = Connection {
        cookie: u64::from(u32_at(body, 44)?) | u64::from(u32_at(body, 48)?) << 32,
        family,
        local: address(family, body.get(8..24)?, port(body, 4)?, interface)?,
        remote: address(family, body.get(24..40)?, port(body, 6)?, interface)?,
        interface,
        state: State::from_number(*body.get(1)?),
        timer: Timer::from_number(*body.get(2)?),
        expires: Duration::from_millis(u64::from(u32_at(body, 52)?)),
        rqueue: u32_at(body, 56)?,
        wqueue: u32_at(body, 60)?,
        uid: u32_at(body, 64)?,
        inode: u32_at(body, 68)?,
        info: Attributes(body.get(SIZE..)?)
            .find(|(kind, _)| *kind == INFO)
            .and_then(|(_, payload)| info::parse(payload)),
        orphan: false,
    };
    Some(connection)
}

/// A socket in LISTEN carries its accept queue where a connection carries its byte queues (`tcp_diag_get_info`).
pub(crate) fn listener(socket: &Connection) -> Listener {
    Listener {
        local: socket.local,
        family: socket.family,
        inode: socket.inode,
        waiting: socket.rqueue,
        backlog: socket.wqueue,
    }
}

fn port(body: &[u8], at: usize) -> Option<u16> {
    body.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn address(family: Family, octets: &[u8], port: u16, interface: u32) -> Option<SocketAddr> {
    let ip = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets.get(..4)?).ok()?)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)).to_canonical(),
    };
    Some(match ip {
        // A link-local address means something on one link only.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, interface).into(),
        ip => SocketAddr::new(ip, port),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(family: u8) -> Vec<u8> {
        let mut body = vec![family, 1, 4, 0];
        body.extend(8080u16.to_be_bytes());
        body.extend(40000u16.to_be_bytes());
        let mapped = |last| Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped().octets();
        if family == AF_INET {
            body.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            body.extend([192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        } else {
            body.extend(mapped(1));
            body.extend(mapped(2));
        }
        for word in [0u32, 5, 6, 1500, 7, 8, 1000, 9] {
            body.extend(word.to_ne_bytes());
        }
        // An attribute that is not known, then tcp_info.
        body.extend([5, 0, 8, 0, 3, 0, 0, 0]);
        body.extend(108u16.to_ne_bytes());
        body.extend(INFO.to_ne_bytes());
        body.extend([0; 104]);
        body
    }

    #[test]
    fn both_families_and_mapped() {
        for (number, family) in [(AF_INET, Family::V4), (AF_INET6, Family::V6)] {
            let found = parse(&sample(number)).expect("whole");
            assert_eq!(found.family, family);
            assert_eq!(found.local, "192.0.2.1:8080".parse().unwrap());
            assert_eq!(found.remote, "192.0.2.2:40000".parse().unwrap());
            assert_eq!(found.cookie, 5 | 6 << 32);
            assert_eq!((found.state, found.timer), (State::Established, Timer::ZeroWindow));
            assert_eq!(found.expires, Duration::from_millis(1500));
            assert_eq!((found.rqueue, found.wqueue, found.uid, found.inode), (7, 8, 1000, 9));
            assert!(found.info.is_some());
        }
        assert_eq!(parse(&sample(16)), None, "not IP");
        let short = &sample(AF_INET)[..SIZE];
        assert_eq!(parse(short).expect("no attributes").info, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(mut body in prop::collection::vec(any::<u8>(), 0..400), v6: bool) {
            if let Some(first) = body.first_mut() {
                *first = if v6 { AF_INET6 } else { AF_INET };
            }
            let parsed = parse(&body);
            prop_assert_eq!(parsed.is_some(), body.len() >= SIZE);
        }
    }
}
