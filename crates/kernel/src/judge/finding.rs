//! What a judge says: findings, ends, and a scan in numbers.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use mooring_core::session::Histogram;

use crate::connection::{Connection, State};

/// What is wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The peer does not answer: data or probes unacknowledged, sent again and again.
    HalfOpen = 0,
    /// The peer answers but does not read: its window is shut and what the gateway wrote does not drain.
    PeerStalled = 1,
    /// The gateway does not read: what the peer sent lies in the socket.
    GatewayStalled = 2,
    /// Nothing comes from the peer for longer than this connection's habit.
    PeerSilent = 3,
    /// Nothing goes to the peer for longer than this connection's habit.
    GatewaySilent = 4,
    /// The peer has closed and the gateway does not: a leaked descriptor.
    NotClosed = 5,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::HalfOpen,
        Self::PeerStalled,
        Self::GatewayStalled,
        Self::PeerSilent,
        Self::GatewaySilent,
        Self::NotClosed,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfOpen => "half_open",
            Self::PeerStalled => "peer_stalled",
            Self::GatewayStalled => "gateway_stalled",
            Self::PeerSilent => "peer_silent",
            Self::GatewaySilent => "gateway_silent",
            Self::NotClosed => "not_closed",
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Those in the set.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Puts one in or takes it out.
    pub(super) fn set(&mut self, kind: Kind, there: bool) {
        let bit = 1 << kind as u8;
        self.0 = if there { self.0 | bit } else { self.0 & !bit };
    }
}

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who {
    /// The kernel's name for the socket.
    pub cookie: u64,
    /// The gateway's port.
    pub local_port: u16,
    /// The peer.
    pub remote: SocketAddr,
}

/// Something wrong, with the facts it is concluded from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// For how long, at least.
    pub lasted: Duration,
    /// The limit that is exceeded.
    pub limit: Duration,
    /// The usual gap between data in that direction, where the finding is about a habit.
    pub usual: Option<Duration>,
    /// The connection as it was scanned.
    pub connection: Connection,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |d: Duration| d.as_secs_f64();
        let (lasted, limit, c) = (seconds(self.lasted), seconds(self.limit), &self.connection);
        let info = c.info.as_ref();
        match self.kind {
            Kind::HalfOpen => {
                let unanswered = info.map_or(0, |i| u32::from(i.retransmits.max(i.probes)));
                let ack = info.map_or(0.0, |i| f64::from(i.last_ack_recv) / 1e3);
                write!(
                    f,
                    "half open: no answer for {lasted:.1} s (limit {limit:.1} s), {} bytes unacknowledged, \
                     {unanswered} tries, last acknowledgement {ack:.1} s ago",
                    c.wqueue
                )
            }
            Kind::PeerStalled => write!(
                f,
                "the peer does not read: window shut and {} bytes waiting for {lasted:.1} s (limit {limit:.1} s)",
                c.wqueue
            ),
            Kind::GatewayStalled if c.inode == 0 => write!(
                f,
                "the gateway does not accept: {} bytes waiting in an unaccepted connection for {lasted:.1} s (limit \
                 {limit:.1} s)",
                c.rqueue
            ),
            Kind::GatewayStalled => write!(
                f,
                "the gateway does not read: {} bytes waiting for {lasted:.1} s (limit {limit:.1} s)",
                c.rqueue
            ),
            Kind::PeerSilent | Kind::GatewaySilent => {
                let what = if self.kind == Kind::PeerSilent {
                    "nothing from the peer"
                } else {
                    "nothing to the peer"
                };
                write!(f, "{what} for {lasted:.1} s")?;
                if let Some(usual) = self.usual {
                    write!(f, ", usually every {:.1} s", seconds(usual))?;
                }
                write!(f, " (limit {limit:.1} s)")
            }
            Kind::NotClosed => {
                write!(f, "the peer closed {lasted:.1} s ago, the gateway did not (limit {limit:.1} s)")
            }
        }
    }
}

/// How a connection ended, as far as looking every few seconds lets one know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// The gateway's side closed first, in order.
    ClosedHere,
    /// The peer closed first, in order.
    ClosedByPeer,
    /// It was gone while the peer did not answer: the kernel gave up, or a reset came.
    TimedOut,
    /// It was gone from one scan to the next: a reset by either side or something between, or the peer closed and the
    /// gateway followed within one interval. (Had the gateway closed first, TIME-WAIT would show.)
    Vanished,
    /// It never opened.
    NeverOpened,
}

/// A connection that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Which.
    pub who: Who,
    /// How long it lived.
    pub age: Duration,
    /// It was there at the first scan: it may have lived longer.
    pub age_at_least: bool,
    /// How long nothing had come from the peer.
    pub received_silent: Duration,
    /// How long nothing had gone to the peer.
    pub sent_silent: Duration,
    /// Those three are taken for the middle between the scan that saw it last and the one that did not; this is how far
    /// off they may be either way. Data that came and went in between is not known of.
    pub give_or_take: Duration,
    /// The state it was seen in last.
    pub state: State,
    /// Retransmission timeouts or probes in a row without an answer at that time, at most 15.
    pub retransmits: u8,
    /// What was wrong with it then.
    pub findings: Kinds,
    /// How it ended.
    pub how: How,
}

/// Something that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "handed to a callback one at a time, not kept in number")]
pub enum Event {
    /// Something is wrong that was not before.
    Raised(Finding),
    /// It no longer is, and the connection lives.
    Cleared(Who, Kind),
    /// A connection is over.
    Ended(Ended),
}

/// A connection among the worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// As scanned.
    pub connection: Connection,
    /// How long it has lived.
    pub age: Duration,
    /// It was there at the first scan: it may have lived longer.
    pub age_at_least: bool,
    /// How long nothing went either way.
    pub silent: Duration,
    /// What is wrong with it.
    pub findings: Kinds,
}

/// A connection as remembered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// How long it has lived.
    pub age: Duration,
    /// It was there at the first scan: it may have lived longer.
    pub age_at_least: bool,
    /// How long nothing came from the peer.
    pub received_silent: Duration,
    /// How long nothing went to the peer.
    pub sent_silent: Duration,
    /// The usual gap between data from the peer, where there is a habit.
    pub received_usual: Option<Duration>,
    /// The usual gap between data to the peer, where there is a habit.
    pub sent_usual: Option<Duration>,
    /// What is wrong with it.
    pub findings: Kinds,
}

/// A scan in numbers.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Connections remembered.
    pub open: usize,
    /// Of those, first seen in this scan, or dialled before and open since.
    pub opened: usize,
    /// Ended since the last scan.
    pub ended: usize,
    /// Seen but not remembered, for want of room.
    pub untracked: usize,
    /// Connections with something wrong, by [`Kind`] (in the order of [`Kind::ALL`]).
    pub raised: [usize; Kind::ALL.len()],
    /// How late this scan was, if so late that nothing was judged from the time before it.
    pub lag: Option<Duration>,
    /// Smoothed round trips.
    pub rtt: Histogram,
    /// Ages.
    pub age: Histogram,
    /// Times in which nothing went either way.
    pub silence: Histogram,
    /// The longest silent, worst first.
    pub most_silent: Vec<Row>,
    /// The slowest round trips, worst first.
    pub slowest: Vec<Row>,
    /// The most retransmitted segments, worst first.
    pub most_retransmitting: Vec<Row>,
}
