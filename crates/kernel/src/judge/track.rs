//! What is remembered of one connection between scans, in 88 bytes, and what it learns from a scan.
//!
//! Byte counts are kept by their low 32 bits: only whether they moved is asked. Two clocks serve several rules each, which
//! cannot hold at once: `stuck` runs while the gateway's data waits for the peer (or the peer for its probes), `unread`
//! while the peer's data waits for the gateway, and after the state has changed, since then.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::connection::{Connection, State, TcpInfo};

use super::clock::{Clock, Tick};
use super::finding::{Kinds, Who};
use super::habit::Habit;

/// Kernels before 4.1 count no bytes: then data has moved if its time did, by more than scans are apart from their `now`.
const MOVED: Tick = 50;

/// A remembered connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) cookie: u64,
    /// v4 as v4-mapped.
    peer: [u8; 16],
    /// When it was opened, or first known of.
    pub(super) opened: Tick,
    /// When data last came, and last went.
    pub(super) received_at: Tick,
    pub(super) sent_at: Tick,
    /// Since when the outgoing side waits; meant while `marks` has STUCK.
    stuck: Tick,
    /// Since when received data lies unread (UNREAD), or the state is what it is.
    unread: Tick,
    /// Low bits of bytes received, acknowledged by the peer, and read by the gateway.
    received: u32,
    acked: u32,
    consumed: u32,
    pub(super) habit_in: Habit,
    pub(super) habit_out: Habit,
    peer_port: u16,
    local_port: u16,
    /// The scan it was last seen in.
    pub(super) generation: u8,
    pub(super) findings: Kinds,
    /// The state in the upper half, tries without answer (at most 15) in the lower.
    last: u8,
    marks: u8,
}

/// It was there at the first scan.
const AT_LEAST: u8 = 1;
/// The `stuck` clock runs, for data.
const STUCK: u8 = 2;
/// The `stuck` clock runs, for probes on an idle connection.
const PROBING: u8 = 4;
/// The `unread` clock runs, for data.
const UNREAD: u8 = 8;
/// Data was seen to come; to go.
const HAS_RECEIVED: u8 = 16;
const HAS_SENT: u8 = 32;

/// A dialled connection's SYN counts as one acknowledged byte.
const SYN: u64 = 1;

/// What moved since the last scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub(super) received: bool,
    pub(super) sent: bool,
}

impl Track {
    /// A connection seen for the first time.
    pub(super) fn new(c: &Connection, clock: &Clock, at_least: bool) -> Self {
        let peer = match c.remote.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        // The kernel's clocks start with the connection: the longest of them is a bound on its age.
        let age = c.info.map_or(0, |i| i.last_data_recv.max(i.last_data_sent).max(i.last_ack_recv));
        let mut track = Self {
            cookie: c.cookie,
            peer: peer.octets(),
            opened: clock.ago(age),
            received_at: clock.now(),
            sent_at: clock.now(),
            stuck: clock.now(),
            unread: clock.now(),
            received: 0,
            acked: 0,
            consumed: 0,
            habit_in: Habit::default(),
            habit_out: Habit::default(),
            peer_port: c.remote.port(),
            local_port: c.local.port(),
            generation: 0,
            findings: Kinds::default(),
            last: (c.state as u8) << 4,
            marks: if at_least { AT_LEAST } else { 0 },
        };
        if let Some(info) = &c.info {
            track.received_at = clock.ago(info.last_data_recv);
            track.sent_at = clock.ago(info.last_data_sent);
            track.mark(HAS_RECEIVED, info.bytes_received.is_some_and(|bytes| bytes > 0));
            track.mark(HAS_SENT, info.bytes_acked.is_some_and(|bytes| bytes > SYN));
            track.count(c, info);
        }
        track
    }

    #[cfg(test)]
    pub(super) fn blank(cookie: u64) -> Self {
        let clock = Clock::new(mooring_core::time::Mono(0), None);
        Self::new(&super::fixture::connection(cookie), &clock, false)
    }

    pub(super) fn who(&self) -> Who {
        let ip = IpAddr::V6(Ipv6Addr::from(self.peer)).to_canonical();
        Who { cookie: self.cookie, local_port: self.local_port, remote: SocketAddr::new(ip, self.peer_port) }
    }

    pub(super) fn state(&self) -> State {
        State::from_number(self.last >> 4)
    }

    /// Retransmission timeouts or probes in a row without an answer, at most 15.
    pub(super) fn unanswered(&self) -> u8 {
        self.last & 0xf
    }

    pub(super) fn age_at_least(&self) -> bool {
        self.marks & AT_LEAST != 0
    }

    /// Since when the outgoing side waits for the peer.
    pub(super) fn stuck(&self) -> Option<Tick> {
        (self.marks & (STUCK | PROBING) != 0).then_some(self.stuck)
    }

    /// Since when received data lies unread.
    pub(super) fn unread(&self) -> Option<Tick> {
        (self.marks & UNREAD != 0).then_some(self.unread)
    }

    /// Since when it is in a state other than ESTABLISHED.
    pub(super) fn in_state(&self) -> Tick {
        self.unread
    }

    /// Takes in what a scan saw.
    pub(super) fn update(&mut self, c: &Connection, clock: &Clock) -> Moved {
        if self.state() != c.state {
            self.last = (c.state as u8) << 4;
            self.unread = clock.now();
            self.mark(UNREAD, false);
        }
        let Some(info) = &c.info else { return Moved { received: false, sent: false } };
        let (received, acked, consumed) = counts(c, info);
        let moved = Moved {
            received: match info.bytes_received {
                Some(_) => received != self.received,
                None => apart(clock.ago(info.last_data_recv), self.received_at) > MOVED,
            },
            sent: match info.bytes_acked {
                Some(_) => acked != self.acked,
                None => apart(clock.ago(info.last_data_sent), self.sent_at) > MOVED,
            },
        };
        if moved.received {
            let at = clock.ago(info.last_data_recv);
            if self.marks & HAS_RECEIVED != 0 && clock.trusts(self.received_at) {
                self.habit_in.learn(ahead(at, self.received_at));
            }
            self.received_at = at;
            self.mark(HAS_RECEIVED, true);
        }
        if moved.sent {
            let at = clock.ago(info.last_data_sent);
            if self.marks & HAS_SENT != 0 && clock.trusts(self.sent_at) {
                self.habit_out.learn(ahead(at, self.sent_at));
            }
            self.sent_at = at;
            self.mark(HAS_SENT, true);
        }
        let waiting = if c.wqueue > 0 || info.unacked > 0 {
            STUCK
        } else if info.probes > 0 {
            PROBING
        } else {
            0
        };
        if moved.sent || self.marks & (STUCK | PROBING) != waiting {
            self.stuck = clock.now();
            self.mark(STUCK | PROBING, false);
            self.mark(waiting, true);
        }
        if c.state == State::Established {
            let lies = c.rqueue > 0;
            if consumed != self.consumed || lies != (self.marks & UNREAD != 0) {
                self.unread = clock.now();
                self.mark(UNREAD, lies);
            }
        }
        self.count(c, info);
        moved
    }

    fn count(&mut self, c: &Connection, info: &TcpInfo) {
        (self.received, self.acked, self.consumed) = counts(c, info);
        self.last = (c.state as u8) << 4 | info.retransmits.max(info.probes).min(15);
    }

    fn mark(&mut self, bits: u8, there: bool) {
        self.marks = if there { self.marks | bits } else { self.marks & !bits };
    }
}

/// Low bits of bytes received, acknowledged and read. Where the kernel does not count them, the queue's length has to do:
/// whenever it changes, something was read.
fn counts(c: &Connection, info: &TcpInfo) -> (u32, u32, u32) {
    let low = |bytes: Option<u64>| bytes.unwrap_or(0) as u32;
    let received = low(info.bytes_received);
    (received, low(info.bytes_acked), received.wrapping_sub(c.rqueue))
}

/// How far apart two points are, whichever is first.
fn apart(a: Tick, b: Tick) -> Tick {
    a.wrapping_sub(b).min(b.wrapping_sub(a))
}

/// How far `a` is after `b`; nothing if it is before.
fn ahead(a: Tick, b: Tick) -> Tick {
    let gap = a.wrapping_sub(b);
    if gap > Tick::MAX / 2 { 0 } else { gap }
}
