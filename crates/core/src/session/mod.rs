//! Sessions: real WebSocket connections of real peers, as one of the watchers sees them.
//!
//! A session is seen by one watcher ([`Source`]): the *relay* is in its path, the *kernel* has its TCP connection, the
//! *report* is the gateway's own word; the *canary* is the session Mooring opens itself. None of them sees everything,
//! so everything that one of them cannot see is an `Option`: unknown is a value.
//!
//! Sessions are many (100,000 on one agent) and live on the agent alone. What leaves it: answers to questions
//! ([`SessionQuery`] → [`SessionPage`], worst first, bounded), the running counts of a gateway ([`SessionCounts`]), ends
//! with their causes ([`SessionClose`], bounded history), and what they mean for an instance
//! ([`Claim`](crate::observation::Claim)s to its tracker).
//!
//! Directions are the gateway's: *received* is what the gateway gets from the peer, *sent* what it gives to it, whichever
//! of the two dialled.

pub mod crowd;
mod histogram;
mod severity;

use std::time::Duration;

use crate::cause::Cause;
use crate::id::{InstanceId, SessionId};
use crate::named::named;
use crate::time::Timestamp;

pub use histogram::{BUCKETS, Histogram};
pub use severity::Rank;

/// Most sessions in one answer.
pub const MAX_PAGE: usize = 1_000;
/// Most ends that one gateway has in flight to the controller; beyond, only their counts are told.
pub const MAX_CLOSES: usize = 256;
/// Longest peer or local address, protocol or words of a session, bytes.
pub const MAX_SESSION_TEXT: usize = 200;

named! {
    /// Which watcher sees it: the ways to watch a gateway.
    Source: u8 {
        /// A session of our own.
        Canary = 1, "canary";
        /// In the path.
        Relay = 2, "relay";
        /// Beside the path: the kernel's view of the TCP connection.
        Kernel = 3, "kernel";
        /// The gateway says so itself.
        Report = 4, "report";
        /// The gateway's own interfaces (REST, events), read by the adapter of its kind.
        Adapter = 5, "adapter";
    }
}

named! {
    /// Where a session is in its life.
    SessionState: u8 {
        /// The handshake is under way.
        Opening = 1, "opening";
        /// Open.
        Open = 2, "open";
        /// One side has begun to close.
        Closing = 3, "closing";
        /// Accepted by the relay and held until the gateway is back.
        Held = 4, "held";
    }
}

named! {
    /// Who ended a session.
    EndedBy: u8 {
        /// Not known: it was gone when we looked.
        Unknown = 0, "unknown";
        /// The peer.
        Peer = 1, "peer";
        /// The gateway.
        Gateway = 2, "gateway";
        /// Mooring, on an order or by a limit.
        Mooring = 3, "mooring";
        /// Neither end: the path between them.
        Path = 4, "path";
    }
}

/// One direction of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes of payload (kernel: of TCP stream) so far.
    pub bytes: Option<u64>,
    /// Messages so far.
    pub messages: Option<u64>,
    /// Time since the last data.
    pub silent: Option<Duration>,
    /// Bytes that wait to be taken.
    pub queued: Option<u64>,
}

/// A session as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Who sees it.
    pub source: Source,
    /// When it was looked at, by the agent's wall clock. Ages and silences are as of then. Sources tell it by one
    /// [`Anchor`](crate::time::Anchor), so that `at` less the silence of a session that stays silent is the same time at
    /// every look: pages rest on that ([`Rank`]).
    pub at: Timestamp,
    /// Whose it is, where that is known.
    pub instance: Option<InstanceId>,
    /// The other end's address, as seen from the gateway (behind a relay or proxy: the true client's where it is known).
    pub peer: String,
    /// The gateway's or the listener's address.
    pub local: String,
    /// Where it is in its life.
    pub state: SessionState,
    /// How long it has been open.
    pub age: Duration,
    /// The age is a lower bound: it was there already when watching began.
    pub age_at_least: bool,
    /// What the gateway got.
    pub received: Flow,
    /// What the gateway gave.
    pub sent: Flow,
    /// Last round trip: of a ping, or of TCP.
    pub rtt: Option<Duration>,
    /// TCP segments sent again so far.
    pub retransmits: Option<u64>,
    /// How often the peer beats, where it said so or was learnt.
    pub beat: Option<Duration>,
    /// Subprotocol, compression and the like, for people.
    pub protocol: String,
    /// What is wrong with it.
    pub cause: Option<Cause>,
    /// That in words, with numbers.
    pub message: String,
}

impl SessionView {
    /// The time since the last data in either direction (the shorter); unknown counts as none.
    #[must_use]
    pub fn silent(&self) -> Duration {
        self.silence().unwrap_or_default()
    }

    /// The time since the last data in either direction (the shorter), where it is known.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        let min = |a: Option<Duration>, b: Option<Duration>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        min(self.received.silent, self.sent.silent)
    }
}

/// By what sessions are put in order; always the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionOrder {
    /// What is wrong first, then the longest silent.
    #[default]
    Worst,
    /// The longest silent first.
    Silent,
    /// The slowest round trip first.
    Rtt,
    /// The most retransmissions first.
    Retransmits,
    /// The oldest first.
    Age,
}

impl SessionOrder {
    /// Every order, with its stable code and name.
    pub const ALL: [(Self, u32, &'static str); 5] = [
        (Self::Worst, 0, "worst"),
        (Self::Silent, 1, "silent"),
        (Self::Rtt, 2, "rtt"),
        (Self::Retransmits, 3, "retransmits"),
        (Self::Age, 4, "age"),
    ];
}

/// A question about the sessions of one gateway.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionQuery {
    /// Only those of this instance.
    pub instance: Option<InstanceId>,
    /// Only those seen by this watcher.
    pub source: Option<Source>,
    /// Only those with something wrong.
    pub sick: bool,
    /// Only this one.
    pub id: Option<SessionId>,
    /// Which come first.
    pub order: SessionOrder,
    /// Only those that come after this one in that order: where the last page ended.
    pub after: Option<(Rank, SessionId)>,
    /// When the list was begun that this is a page of. What spoke or was opened later ranks as if it had then, so that
    /// sessions that speak all the time are walked by their ids instead of being met again and again: each list ends.
    pub begun: Option<Timestamp>,
    /// At most so many; at most [`MAX_PAGE`].
    pub limit: usize,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPage {
    /// The sessions, in the order asked for.
    pub sessions: Vec<SessionView>,
    /// There are more.
    pub more: bool,
    /// All sessions of the gateway that the question's instance and source leave in, summed up.
    pub summary: SessionSummary,
}

/// Many sessions in a few numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionSummary {
    /// Sessions seen now.
    pub open: u64,
    /// Those with something wrong, by what.
    pub sick: Vec<(Cause, u64)>,
    /// Sessions that were not looked at because there are too many.
    pub unwatched: u64,
    /// Their round trips.
    pub rtt: Histogram,
    /// Their silences.
    pub silence: Histogram,
    /// Their ages.
    pub age: Histogram,
}

impl SessionSummary {
    /// Takes one session into account.
    pub fn add(&mut self, session: &SessionView) {
        self.open += 1;
        if let Some(cause) = session.cause {
            self.add_sick(cause, 1);
        }
        if let Some(rtt) = session.rtt {
            self.rtt.record(rtt);
        }
        if let Some(silence) = session.silence() {
            self.silence.record(silence);
        }
        // One that was there before its watcher, and just found: nothing is known yet.
        if !(session.age_at_least && session.age.is_zero()) {
            self.age.record(session.age);
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.open += other.open;
        self.unwatched += other.unwatched;
        for (cause, count) in &other.sick {
            self.add_sick(*cause, *count);
        }
        self.rtt.merge(&other.rtt);
        self.silence.merge(&other.silence);
        self.age.merge(&other.age);
    }

    fn add_sick(&mut self, cause: Cause, count: u64) {
        match self.sick.iter_mut().find(|(c, _)| *c == cause) {
            Some((_, n)) => *n += count,
            None => self.sick.push((cause, count)),
        }
    }
}

/// How a real session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClose {
    /// Which.
    pub id: SessionId,
    /// Who saw it.
    pub source: Source,
    /// Whose it was, where that is known.
    pub instance: Option<InstanceId>,
    /// The other end's address.
    pub peer: String,
    /// When, by the agent's clock.
    pub at: Timestamp,
    /// How long it was open.
    pub age: Duration,
    /// How long it had been silent.
    pub silent_for: Duration,
    /// Who ended it.
    pub by: EndedBy,
    /// The close code on the wire, or the protocol's own code a gateway reported; `None`: there was none.
    pub code: Option<u16>,
    /// Why, named; `None`: for no fault (1000, 1001 by the peer).
    pub cause: Option<Cause>,
    /// Why, in words: reason text, error.
    pub message: String,
}

/// The sessions of a gateway in running numbers, since the agent began to watch it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Open now.
    pub open: u64,
    /// With something wrong now.
    pub sick: u64,
    /// Opened so far.
    pub opened: u64,
    /// Ended so far.
    pub closed: u64,
    /// Ended so far, by cause; those for no fault are not among them. Sorted by cause.
    pub closed_by_cause: Vec<(Cause, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_told_apart() {
        for source in Source::ALL {
            assert_eq!(source.name().parse(), Ok(*source));
            assert_eq!(Source::from_code(u32::from(source.code())), Some(*source));
        }
        assert!("sniffer".parse::<Source>().unwrap_err().contains("canary, relay, kernel, report"));
        assert_eq!(EndedBy::from_code(0), Some(EndedBy::Unknown));
        assert_eq!(SessionState::from_code(0), None);
    }

    #[test]
    fn sums_add_up() {
        let mut one = SessionSummary { open: 2, ..SessionSummary::default() };
        one.add_sick(Cause::HalfOpen, 1);
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.open, sum.sick), (4, vec![(Cause::HalfOpen, 2)]));
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let found = SessionView {
            id: SessionId::new("s").unwrap(),
            source: Source::Kernel,
            at: Timestamp(1),
            instance: None,
            peer: String::new(),
            local: String::new(),
            state: SessionState::Open,
            age: Duration::ZERO,
            age_at_least: true,
            received: Flow::default(),
            sent: Flow::default(),
            rtt: None,
            retransmits: None,
            beat: None,
            protocol: String::new(),
            cause: None,
            message: String::new(),
        };
        let heard = Flow { silent: Some(Duration::from_secs(1)), ..Flow::default() };
        let rows = [
            (found.clone(), (0, 0)),
            (SessionView { age_at_least: false, ..found.clone() }, (0, 1)),
            (SessionView { age: Duration::from_secs(1), received: heard, ..found }, (1, 1)),
        ];
        for (session, counted) in rows {
            let mut sum = SessionSummary::default();
            sum.add(&session);
            assert_eq!((sum.silence.count(), sum.age.count()), counted, "{session:?}");
        }
    }
}
