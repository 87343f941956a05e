//! The outbox: what the controller has yet to be told, newest state per key, in numbered reports kept until acknowledged.
//!
//! A pure machine. Sockets, clocks and locks are elsewhere ([`Outgoing`] is the shared shell around it), so that every
//! interleaving of changes, acknowledgements, broken streams and snapshots can be tested.
//!
//! # Shape
//!
//! * The *book* holds the newest state of every gateway and instance, and which of it the controller has not been told.
//!   A change that has not been sent is overwritten by the next one of the same condition: with N instances there are at
//!   most 5 N of them, however long the controller is away.
//! * The *flight* holds the reports that were numbered and not yet acknowledged, at most a window of them. They are sent
//!   again, unchanged and under their numbers, when a stream broke. What is in a report is history: it is not coalesced.
//! * *Ends of sessions* are told once, a bounded number of them; what a lost snapshot loses of them stays in the numbers.
//! * *Receipts* are kept whatever happens until the report that carried them is acknowledged.
//!
//! What the controller knows is kept track of by *generation*: a snapshot begins a new one, and whatever was not told in
//! the current generation is told in full before it is referred to. Declaring something new and telling everything again
//! are thus the same code, and a change during a snapshot needs no special case.
//!
//! # Snapshots
//!
//! A fleet that comes back at once must not tell everything in the same second, so a snapshot is spread: what is wrong
//! (and what happens meanwhile) is told at once, the healthy bulk after a random part of the time asked for. An
//! unfinished snapshot is begun anew on the next stream rather than continued: the controller may have forgotten the
//! beginning with the stream it came on.

mod book;
mod flight;
mod report;
mod shared;
mod snapshot;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use mooring_core::condition::Condition;
use mooring_core::id::{Incarnation, InstanceId};
use mooring_core::limits::{MAX_MESSAGE, MAX_OUTPUT_TAIL, clip};
use mooring_core::order::Receipt;
use mooring_core::session::{SessionClose, SessionCounts};
use mooring_core::time::Mono;
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::GatewayDecl;
use rand::Rng;

use book::Book;
use flight::Flight;
pub use shared::Outgoing;
use snapshot::Snapshot;

/// Ends of sessions that wait to be told, at most.
pub const CLOSES_KEPT: usize = 4_096;

/// What the controller said when it let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Reports up to this one, of this boot, are durable already.
    pub resume_after: u64,
    /// It wants everything.
    pub snapshot: bool,
    /// Time over which a snapshot is spread.
    pub spread: Duration,
    /// Most reports that may be unacknowledged; zero counts as one.
    pub window: usize,
}

/// How full an outbox is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Gateways and instances with something to tell.
    pub pending: usize,
    /// Receipts that are not in a report yet.
    pub receipts: usize,
    /// Reports that are not acknowledged yet.
    pub unacknowledged: usize,
    /// Gateways watched.
    pub gateways: usize,
    /// Instances watched.
    pub instances: usize,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Outbox {
    book: Book,
    flight: Flight,
    receipts: VecDeque<Receipt>,
    closes: VecDeque<(u32, SessionClose)>,
    snapshot: Option<Snapshot>,
    /// The window, while there is a stream.
    window: Option<usize>,
}

impl Outbox {
    /// An empty outbox of a new boot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A gateway is watched from now on, or is described anew: known ones are recognised by their id. The `handle` of
    /// `decl` is of no meaning. Returns the handle.
    pub fn declare_gateway(&mut self, decl: GatewayDecl) -> u32 {
        self.book.declare_gateway(decl)
    }

    /// An instance of a gateway is watched from now on. Returns its handle; `None` when there is no such gateway.
    pub fn declare_instance(&mut self, gateway: u32, id: InstanceId) -> Option<u32> {
        self.book.declare_instance(gateway, id)
    }

    /// The gateway's process is another one now, or is not known any more.
    pub fn gateway_changed(&mut self, gateway: u32, incarnation: Option<Incarnation>) {
        self.book.set_incarnation(gateway, incarnation);
    }

    /// A gateway is not watched any more, and none of its instances is.
    pub fn gateway_gone(&mut self, gateway: u32) {
        self.book.gateway_gone(gateway);
    }

    /// An instance is not watched any more.
    pub fn instance_gone(&mut self, instance: u32) {
        self.book.instance_gone(instance);
    }

    /// A condition is like this now. `traceparent` is the trace context of the observation behind it.
    pub fn condition(&mut self, instance: u32, condition: Condition, traceparent: Option<String>) {
        self.book.set_condition(instance, condition, traceparent);
    }

    /// Something happened to an order.
    pub fn receipt(&mut self, mut receipt: Receipt) {
        // The executor's business, but the bound of a report depends on it.
        receipt.message = clip(&receipt.message, MAX_MESSAGE);
        receipt.output = clip(&receipt.output, MAX_OUTPUT_TAIL);
        self.receipts.push_back(receipt);
    }

    /// The sessions of a gateway in numbers.
    pub fn session_counts(&mut self, gateway: u32, counts: SessionCounts) {
        self.book.set_counts(gateway, counts);
    }

    /// A session of a gateway ended. Of more than [`CLOSES_KEPT`] that wait, the oldest are forgotten: the numbers have
    /// them all.
    pub fn session_closed(&mut self, gateway: u32, close: SessionClose) {
        if self.closes.len() == CLOSES_KEPT {
            self.closes.pop_front();
        }
        self.closes.push_back((gateway, close));
    }

    /// A stream was opened. What is not durable by its terms is sent again, or everything is told anew. Returns the
    /// receipts that are now known to be durable.
    pub fn attached(&mut self, terms: Terms, now: Mono, rng: &mut (impl Rng + ?Sized)) -> Vec<Receipt> {
        self.window = Some(terms.window.max(1));
        if terms.snapshot {
            self.begin_snapshot(now, terms.spread, rng);
            return Vec::new();
        }
        let durable = self.flight.acknowledged(terms.resume_after);
        // The controller may also have lost what it once acknowledged (a database restored from a backup).
        if self.snapshot.is_some() || !self.flight.continues_after(terms.resume_after) {
            self.flight.skip_to(terms.resume_after);
            self.begin_snapshot(now, terms.spread, rng);
        } else {
            self.flight.rewind();
        }
        durable
    }

    /// The stream is gone. What was sent and not acknowledged waits for the next one.
    pub fn detached(&mut self) {
        self.window = None;
    }

    /// The controller asks for everything on the stream that is open.
    pub fn resync(&mut self, spread: Duration, now: Mono, rng: &mut (impl Rng + ?Sized)) {
        if self.snapshot.as_ref().is_some_and(|s| !s.begun()) {
            return;
        }
        let room = self.flight.lost();
        self.begin_snapshot(now, spread, rng);
        self.flight.wait_for(room);
    }

    /// Reports up to this one are durable. Returns the receipts that were in them.
    pub fn acknowledged(&mut self, sequence: u64) -> Vec<Receipt> {
        let durable = self.flight.acknowledged(sequence);
        if self.snapshot.as_ref().and_then(Snapshot::ended).is_some_and(|end| end <= sequence) {
            self.snapshot = None;
        }
        durable
    }

    /// The next report to send now, if there is one: again what a broken stream lost, then what is new.
    pub fn next_report(&mut self, now: Mono) -> Option<pb::Report> {
        let window = self.window?;
        if let Some(again) = self.flight.send_again() {
            return Some(again);
        }
        if self.flight.is_full(window) {
            return None;
        }
        let (report, receipts) = self.compose(now)?;
        let report = self.flight.launch(report, receipts);
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.sent(&report);
        }
        Some(report)
    }

    /// When there will be something to send that there is not now (a snapshot that waits for its moment). Always in the
    /// future: what is due already waits for room in the window, which comes with an acknowledgement.
    #[must_use]
    pub fn due(&self, now: Mono) -> Option<Mono> {
        self.window?;
        self.snapshot.as_ref().and_then(Snapshot::due).filter(|at| *at > now)
    }

    /// The newest number given to a report; zero before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.flight.last_sequence()
    }

    /// Whether everything has been told and acknowledged.
    #[must_use]
    pub fn settled(&self) -> bool {
        let usage = self.usage();
        usage.pending + usage.receipts + usage.unacknowledged == 0 && self.snapshot.is_none()
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            pending: self.book.pending() + self.closes.len(),
            receipts: self.receipts.len(),
            unacknowledged: self.flight.len(),
            gateways: self.book.gateways(),
            instances: self.book.instances(),
        }
    }

    fn begin_snapshot(&mut self, now: Mono, spread: Duration, rng: &mut (impl Rng + ?Sized)) {
        // Receipts are told again, in order; everything else is told anew from the book.
        for receipt in self.flight.drop_all().into_iter().rev() {
            self.receipts.push_front(receipt);
        }
        self.book.next_generation();
        self.snapshot = Some(Snapshot::new(now, spread, rng));
    }
}
