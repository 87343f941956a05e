//! What all sessions of a relay share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mooring_core::cause::Cause;
use mooring_core::classify::RecentCloses;
use mooring_core::session::SessionCounts;
use tokio::sync::{Semaphore, watch};

use crate::admission::Admission;
use crate::clock::Clock;
use crate::config::RelayConfig;
use crate::event::{Event, Sink};
use crate::gate::Gate;
use crate::registry::Registry;

/// Connections turned away that are let go gently at once; more are dropped.
const TURNED_AWAY: usize = 256;

/// A running relay, seen from inside.
pub(crate) struct Shared {
    pub(crate) config: RelayConfig,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) admission: Arc<Admission>,
    pub(crate) gate: Gate,
    /// Turns to open a connection to the gateway.
    pub(crate) dials: Semaphore,
    /// What the gateway is told of a session's number: a secret of this process, so that nobody outside can make up the
    /// payload of one of our pings.
    pub(crate) ping_secret: u64,
    /// Turns to let a connection go gently that there was no room for.
    pub(crate) turned_away: Arc<Semaphore>,
    pub(crate) tls: Option<tokio_rustls::TlsConnector>,
    /// The listeners' addresses, as shown.
    pub(crate) listening: Vec<String>,
    /// True from the moment the relay stops: kept-alive connections end at their next pause.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) numbers: Numbers,
    pub(crate) recent: Mutex<RecentCloses>,
    sink: Arc<dyn Sink>,
    sink_broken: AtomicBool,
}

/// Running counts.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) open: AtomicU64,
    pub(crate) sick: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) closed_by_cause: Mutex<BTreeMap<Cause, u64>>,
}

impl Shared {
    pub(crate) fn new(config: RelayConfig, listening: Vec<String>, sink: Arc<dyn Sink>) -> Self {
        let limits = config.limits;
        Self {
            clock: Clock::new(),
            registry: Registry::default(),
            admission: Arc::new(Admission::new(limits)),
            gate: Gate::new(limits.held),
            dials: Semaphore::new(limits.dials.max(1)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            ping_secret: rand::random(),
            tls: config.upstream.tls.as_ref().map(|tls| Arc::clone(&tls.config).into()),
            listening,
            stopping: watch::Sender::new(false),
            numbers: Numbers::default(),
            recent: Mutex::new(RecentCloses::default()),
            sink,
            sink_broken: AtomicBool::new(false),
            config,
        }
    }

    /// Tells an event.
    pub(crate) fn tell(&self, event: Event) {
        if !self.sink_broken.load(Ordering::Relaxed) {
            self.sink.event(event);
        }
    }

    /// Tells an event from where a panic is being handled: a sink that panics itself is not asked again.
    pub(crate) fn tell_of_panic(&self) {
        self.numbers.panics.fetch_add(1, Ordering::Relaxed);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.tell(Event::Panicked)));
        if told.is_err() {
            self.sink_broken.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> SessionCounts {
        let n = &self.numbers;
        let by_cause = n.closed_by_cause.lock().unwrap_or_else(PoisonError::into_inner);
        SessionCounts {
            open: n.open.load(Ordering::Relaxed),
            sick: n.sick.load(Ordering::Relaxed),
            opened: n.opened.load(Ordering::Relaxed),
            closed: n.closed.load(Ordering::Relaxed),
            closed_by_cause: by_cause.iter().map(|(cause, n)| (*cause, *n)).collect(),
        }
    }
}
