//! Observations: what a watcher saw on the wire, and nothing else. No judgement is in them; the tracker judges.

use std::time::Duration;

use crate::cause::Cause;
use crate::condition::{ConditionKind, Evidence, Status};
use crate::handshake::HandshakeReport;
use crate::id::Incarnation;
use crate::session::Source;

/// One thing seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// A dial ended, well or badly.
    Handshake(HandshakeReport),
    /// Anything at all arrived from the peer: a frame, a pong, a ping. Any traffic is life.
    Life {
        /// When the newest of it arrived, before now (the reader may lag behind the socket).
        age: Duration,
    },
    /// We asked for a sign of life (a ping).
    Asked,
    /// The answer to a ping, with its round trip.
    Answered {
        /// Round-trip time.
        rtt: Duration,
    },
    /// The protocol stated how often it beats and how long it may be late. Used as it is.
    Promise {
        /// Time between beats.
        interval: Duration,
        /// Lateness allowed beyond the interval.
        timeout: Duration,
    },
    /// The watched session ended.
    Closed(Close),
    /// The gateway's process was started (only where the agent runs it).
    ProcessStarted {
        /// Which run.
        incarnation: Incarnation,
        /// Its process id.
        pid: u32,
    },
    /// The gateway's process ended.
    ProcessExited {
        /// Exit code, if it exited.
        code: Option<i32>,
        /// Signal, if it was killed by one.
        signal: Option<i32>,
        /// Whether we asked for it.
        expected: bool,
    },
    /// The observer itself was held up for so long: silence during it proves nothing.
    ObserverLag(Duration),
    /// An executor begins to disturb the instance on purpose (a restart, a reconnect): what follows is not a new fault.
    DisturbanceBegan,
    /// And has ended.
    DisturbanceEnded,
    /// What a watcher that opens no session of its own makes of the real ones.
    Claim(Claim),
    /// That watcher is gone (it was taken out of the configuration, or cannot see any more): its claims are no more.
    Withdrawn(Source),
}

/// What one watcher says of one condition, from the sessions it sees. A claim stands until the same source makes another
/// one of the same condition, or withdraws.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Who says so.
    pub source: Source,
    /// Of which condition.
    pub kind: ConditionKind,
    /// What it is. Unknown: this source cannot tell (any more).
    pub status: Status,
    /// Why it is not True.
    pub cause: Option<Cause>,
    /// In words, with the numbers of the case.
    pub message: String,
    /// The facts.
    pub evidence: Evidence,
    /// How old the newest fact behind it is. A claim of health from before an order began proves nothing afterwards.
    pub age: Duration,
}

/// How a session ended (RFC 6455 §7.1.5–7.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The close code of the peer's Close frame; 1005 when the frame had none; `None` when no frame came (what
    /// libraries report as 1006).
    pub code: Option<u16>,
    /// The reason text, bounded.
    pub reason: String,
    /// Whether we began the closing.
    pub by_us: bool,
    /// From open to end.
    pub age: Duration,
    /// Time since anything was last received, at the end.
    pub silent_for: Duration,
    /// The transport's error, where there was one (`connection reset by peer`), or a protocol violation.
    pub error: Option<String>,
}
