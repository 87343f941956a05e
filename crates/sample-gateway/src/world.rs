//! The one piece of shared state: what is wrong now, what was cut last, whether it is ending, and the counters.
//!
//! It is a watch channel and not a set of messages, because what matters to a connection is how things are, however
//! often they changed while it looked away. A cut is an event, so it is numbered: a session remembers the number at
//! its start and is cut when it sees a larger one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

use crate::control::Verb;
use crate::misbehaviour::Misbehaviour;

/// How a gateway came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and said goodbye to its sessions.
    Terminated,
    /// It misbehaved by dying: the process is to exit with [`EXIT_DIED`](crate::EXIT_DIED), at once.
    Died,
}

/// What happens to every session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// FIN, and no Close frame.
    Drop,
    /// A Close frame.
    Close { code: u16, reason: String },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// The fault that lasts at the moment.
    pub(crate) fault: Option<Misbehaviour>,
    /// When it passes by itself.
    pub(crate) heals_at: Option<Instant>,
    /// How many cuts there have been.
    pub(crate) cuts: u64,
    /// The last of them.
    pub(crate) cut: Option<Cut>,
    pub(crate) ending: Option<Ended>,
}

impl World {
    /// Whether open sessions are to neither read nor write.
    pub(crate) fn silent(&self) -> bool {
        self.fault.is_some_and(Misbehaviour::silences_sessions)
    }
}

/// A copy of the counters. As JSON it is the answer of `GET /_stats`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Sessions open now.
    pub sessions_open: usize,
    /// Handshakes completed since the start.
    pub sessions_accepted: u64,
    /// Pings read since the start, from all sessions.
    pub pings_received: u64,
    /// Text and binary messages read since the start, from all sessions.
    pub messages_received: u64,
    /// The name of the fault that lasts at the moment; `None` while it behaves.
    pub misbehaviour: Option<&'static str>,
    /// The process.
    pub pid: u32,
}

/// The shared state with its counters. The counters are relaxed: they are read by people and by tests that wait for
/// a number, and order nothing.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    world: watch::Sender<World>,
    open: AtomicUsize,
    accepted: AtomicU64,
    pub(crate) pings: AtomicU64,
    pub(crate) messages: AtomicU64,
}

impl Stage {
    pub(crate) fn watch(&self) -> watch::Receiver<World> {
        self.world.subscribe()
    }

    pub(crate) fn fault(&self) -> Option<Misbehaviour> {
        self.world.borrow().fault
    }

    /// How many cuts there have been.
    pub(crate) fn cuts(&self) -> u64 {
        self.world.borrow().cuts
    }

    /// Does what a verb says, and says so.
    pub(crate) fn apply(&self, verb: &Verb) {
        match verb {
            Verb::Misbehave { what: Misbehaviour::Drop, .. } => {
                info!("misbehaving now: drop ({} sessions cut without a Close)", self.open());
                self.cut(Cut::Drop);
            }
            Verb::Misbehave { what: Misbehaviour::Die, .. } => {
                info!("misbehaving now: die (exit code {})", crate::EXIT_DIED);
                self.end(Ended::Died);
            }
            Verb::Misbehave { what, lasts } => {
                match lasts {
                    Some(lasts) => info!("misbehaving now: {what}, for {lasts:?}"),
                    None => info!("misbehaving now: {what}, until it is healed or restarted"),
                }
                self.fail(*what, *lasts);
            }
            Verb::Heal => self.heal_where("told to heal", |_| true),
            Verb::Close { code, reason } => {
                info!("closing {} sessions with code {code}", self.open());
                self.cut(Cut::Close { code: *code, reason: reason.clone() });
            }
        }
    }

    /// Ends a fault whose time is over. Looks again under the lock: another may have begun since the timer was set.
    pub(crate) fn heal_if_due(&self, now: Instant) {
        self.heal_where("its time is over", |it| it.heals_at.is_some_and(|at| at <= now));
    }

    fn heal_where(&self, why: &str, applies: impl FnOnce(&World) -> bool) {
        let mut fault = None;
        self.world.send_if_modified(|it| {
            if it.fault.is_some() && applies(it) {
                fault = it.fault.take();
                it.heals_at = None;
            }
            fault.is_some()
        });
        if let Some(fault) = fault {
            info!("behaving again after {fault}: {why}");
        }
    }

    /// The first ending counts: a death is not turned into a farewell by a signal that comes later.
    pub(crate) fn end(&self, how: Ended) {
        self.world.send_modify(|it| it.ending = it.ending.or(Some(how)));
    }

    /// Waits until the end has been decided.
    pub(crate) async fn ending(&self) -> Ended {
        let mut world = self.watch();
        loop {
            if let Some(how) = world.borrow_and_update().ending {
                return how;
            }
            if world.changed().await.is_err() {
                return Ended::Terminated;
            }
        }
    }

    /// Counts a session for as long as the guard lives.
    pub(crate) fn enter(&self, limit: usize) -> Option<Seat<'_>> {
        self.open
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .ok()?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Seat(self))
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            sessions_open: self.open(),
            sessions_accepted: self.accepted.load(Ordering::Relaxed),
            pings_received: self.pings.load(Ordering::Relaxed),
            messages_received: self.messages.load(Ordering::Relaxed),
            misbehaviour: self.fault().map(Misbehaviour::name),
            pid: std::process::id(),
        }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn fail(&self, fault: Misbehaviour, lasts: Option<Duration>) {
        let heals_at = lasts.map(|it| Instant::now() + it);
        self.world.send_modify(|it| {
            it.fault = Some(fault);
            it.heals_at = heals_at;
        });
    }

    fn cut(&self, cut: Cut) {
        self.world.send_modify(|it| {
            it.cuts += 1;
            it.cut = Some(cut);
        });
    }
}

/// A place among the open sessions.
#[derive(Debug)]
pub(crate) struct Seat<'a>(&'a Stage);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
