//! What a relay tells as it happens, for telemetry and for whoever judges: data, handed to a [`Sink`] that must not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::{Histogram, SessionClose};
use mooring_core::time::Timestamp;
use mooring_wire::frames::{Beat, Violation};
use tokio::sync::mpsc;

/// Which end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client, which dialled.
    Client,
    /// The gateway.
    Gateway,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A session was opened: both ends have agreed.
    Opened(Opened),
    /// A session was wanted and not opened.
    Refused(Refused),
    /// The gateway refused a connection for a session that waits for it, and may go on waiting. A gateway that is away is
    /// known to be so before the first of those who wait gives up.
    Away {
        /// Whose it would be, where that is known.
        instance: Option<InstanceId>,
        /// Why, named.
        cause: Cause,
        /// Why, in words.
        message: String,
    },
    /// A session ended.
    Closed(Box<SessionClose>),
    /// A ping was answered.
    RoundTrip {
        /// In which session.
        id: SessionId,
        /// Whose.
        instance: Option<InstanceId>,
        /// Who answered.
        side: Side,
        /// After how long, as seen from the relay.
        rtt: Duration,
    },
    /// A beat that says something of the account behind a session (OneBot heartbeat or lifecycle).
    Beat {
        /// In which session.
        id: SessionId,
        /// Whose.
        instance: Option<InstanceId>,
        /// Who sent it.
        side: Side,
        /// What it says.
        beat: Beat,
    },
    /// A side broke the protocol. Only the first violation of each side of a session is told.
    Violated {
        /// In which session.
        id: SessionId,
        /// Whose.
        instance: Option<InstanceId>,
        /// Who broke it.
        side: Side,
        /// What was broken, and where.
        violation: Violation,
    },
    /// All sessions were looked at.
    Swept(Box<Swept>),
    /// A task of a session failed by a fault of this program. The session ended with it, no other was touched.
    Panicked,
    /// A listener takes no connections any more, though nobody stopped it.
    ListenerFailed {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
}

impl Event {
    /// Whether a client can cause any number of these without a session that opens or ends.
    fn is_cheap(&self) -> bool {
        match self {
            Self::RoundTrip { .. } | Self::Beat { .. } | Self::Violated { .. } => true,
            Self::Refused(refused) => {
                matches!(refused.by, RefusedBy::Invalid | RefusedBy::Limit | RefusedBy::Client)
            }
            Self::Opened(_)
            | Self::Away { .. }
            | Self::Closed(_)
            | Self::Swept(_)
            | Self::Panicked
            | Self::ListenerFailed { .. } => false,
        }
    }
}

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub instance: Option<InstanceId>,
    /// The client's address.
    pub peer: String,
    /// Subprotocol and compression.
    pub protocol: String,
    /// From the upgrade request to the gateway's 101.
    pub took: Duration,
}

/// A session that was wanted and not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose it would have been, where that is known.
    pub instance: Option<InstanceId>,
    /// The client's address.
    pub peer: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: RefusedBy,
    /// The status the client got; `None`: none was sent.
    pub status: Option<u16>,
    /// Why, named.
    pub cause: Cause,
    /// Why, in words.
    pub message: String,
}

/// Who did not want a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedBy {
    /// A limit of the relay.
    Limit,
    /// The relay: it is being drained, or held for too long.
    Drained,
    /// The relay: the client's handshake is not valid, or not allowed.
    Invalid,
    /// The gateway could not be reached.
    Unreachable,
    /// The gateway answered, and not with a valid 101.
    Gateway,
    /// The client went away before there was an answer.
    Client,
}

/// All sessions at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Swept {
    /// Open sessions.
    pub open: u64,
    /// Those with something wrong, by what.
    pub sick: Vec<(Cause, u64)>,
    /// How long they have been silent.
    pub silence: Histogram,
    /// How old they are.
    pub age: Histogram,
    /// The same by instance, for those whose instance is known. Sorted by it.
    pub instances: Vec<(InstanceId, InstanceHealth)>,
}

/// The sessions of one instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceHealth {
    /// Open sessions.
    pub open: u64,
    /// Those with something wrong, by what.
    pub sick: Vec<(Cause, u64)>,
    /// Time since anything arrived from the gateway in any of them.
    pub heard: Duration,
}

/// Takes events. Called from the tasks that relay: it must return at once.
pub trait Sink: Send + Sync + 'static {
    /// Takes one.
    fn event(&self, event: Event);
}

/// Takes events and forgets them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn event(&self, _: Event) {}
}

/// A sink with a bounded queue behind it. What finds it full is dropped and counted. What clients can make many of at will
/// finds it full when half of it is: the other half is for what nobody else tells.
#[derive(Debug)]
pub struct Queue {
    to: mpsc::Sender<Event>,
    dropped: AtomicU64,
}

impl Queue {
    /// A sink, and where its events come out.
    #[must_use]
    pub fn new(capacity: usize) -> (Arc<Self>, mpsc::Receiver<Event>) {
        let (to, from) = mpsc::channel(capacity.max(1));
        (Arc::new(Self { to, dropped: AtomicU64::new(0) }), from)
    }

    /// How many were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Sink for Queue {
    fn event(&self, event: Event) {
        let crowded = self.to.capacity() < self.to.max_capacity() / 2;
        if (crowded && event.is_cheap()) || self.to.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cheap_leaves_room_for_what_is_not() {
        let (queue, _events) = Queue::new(10);
        let cheap = || {
            let (id, instance) = (SessionId::new("r-1").unwrap(), None);
            Event::RoundTrip { id, instance, side: Side::Client, rtt: Duration::ZERO }
        };
        (0..100).for_each(|_| queue.event(cheap()));
        assert_eq!(queue.dropped(), 94);
        (0..4).for_each(|_| queue.event(Event::Panicked));
        assert_eq!(queue.dropped(), 94);
        queue.event(Event::Panicked);
        assert_eq!(queue.dropped(), 95);
    }
}
