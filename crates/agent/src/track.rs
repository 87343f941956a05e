//! The watch on one instance: the loop that feeds the tracker and does what it says.
//!
//! All judgement is the tracker's (`core`, pure). This loop reads the clocks, owns the session, and carries out effects:
//! dials when a dial is due, drops a session that is judged dead, wakes up when asked, and hands conditions that changed
//! to the outbox with the trace context of the observation behind them.
//!
//! One task per instance, asleep between events; an instance that is well costs a ping's round trip and nothing else.
//! Observations are read before clocks: a sign of life that arrived with the deadline is in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::condition::Condition;
use mooring_core::observation::{Close, Observation};
use mooring_core::time::{Mono, Now};
use mooring_core::tracker::{Effects, Event, Tracker, TrackerConfig};
use mooring_runtime::telemetry::trace_context::traceparent;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::{now, until};
use crate::config::WatchConfig;
use crate::metrics::Metrics;
use crate::outbox::Outgoing;
use crate::watcher::{Live, Seen, Sight, Watcher, for_kind};

/// Messages to one watch that wait.
pub const MAILBOX: usize = 32;

/// What others tell a watch.
#[derive(Debug)]
pub enum Note {
    /// Something that was not seen on the wire: a process, a disturbance.
    Observed(Observation),
    /// Close the session if there is one, wait, dial.
    Reconnect {
        /// Between closing and dialling.
        delay: Duration,
        /// Answered when the new dial has begun.
        begun: oneshot::Sender<Result<(), String>>,
    },
    /// Other settings. A session that they do not concern stays open.
    Reconfigure(Box<WatchConfig>),
}

/// How late the agent itself was since somebody last asked: the greatest lag seen.
#[derive(Debug, Clone, Default)]
pub struct Lateness(Arc<AtomicU64>);

impl Lateness {
    /// It was held up.
    pub fn note(&self, lag: Duration) {
        self.0.fetch_max(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The greatest since the last call.
    #[must_use]
    pub fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(0, Ordering::Relaxed))
    }
}

/// What a watch works with.
#[derive(Debug)]
pub struct Around {
    /// The instance's handle in the outbox.
    pub handle: u32,
    /// Its name, for the log.
    pub name: String,
    /// Where conditions go.
    pub outgoing: Outgoing,
    /// Instruments.
    pub metrics: Metrics,
    /// What others say.
    pub mailbox: mpsc::Receiver<Note>,
    /// The process's own lateness.
    pub lag: broadcast::Receiver<Duration>,
}

/// The session, or the way to it.
enum Wire {
    Idle,
    Dialling(BoxFuture<'static, Sight>),
    Open(Live),
}

/// The watch.
pub struct Watch {
    around: Around,
    config: WatchConfig,
    tracker: Tracker,
    /// Who dials; `None`: nobody, other watchers' claims are all there is.
    watcher: Option<Box<dyn Watcher>>,
    wire: Wire,
    dial_at: Option<Mono>,
    wake_at: Option<Mono>,
    /// No dial before this: a reconnect with a delay is under way.
    hold: Option<Mono>,
    /// Who waits for the next dial to begin.
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("name", &self.around.name)
            .field("phase", &self.tracker.phase())
            .finish_non_exhaustive()
    }
}

enum Turn {
    Note(Option<Note>),
    Seen(Option<Seen>),
    Sight(Sight),
    Lag(Duration),
    Time,
}

impl Watch {
    /// A watch that has seen nothing yet.
    ///
    /// # Errors
    /// In words, when the settings do not make something that can be watched.
    pub fn new(config: WatchConfig, around: Around) -> Result<Self, String> {
        let (judging, watcher) = means(&config)?;
        let tracker = Tracker::new(judging, now());
        Ok(Self {
            around,
            config,
            tracker,
            watcher,
            wire: Wire::Idle,
            dial_at: None,
            wake_at: None,
            hold: None,
            waiting: Vec::new(),
        })
    }

    /// Watches until told to stop; the session is then closed properly.
    pub async fn run(mut self, stop: CancellationToken) {
        // Where it begins from. A controller that knows more from an earlier boot must not go on believing it.
        self.around.outgoing.conditions(self.around.handle, self.tracker.conditions(), None);
        self.step(now(), Event::Tick);
        loop {
            let alarm = self.next_alarm();
            let turn = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                note = self.around.mailbox.recv() => Turn::Note(note),
                turn = next(&mut self.wire) => turn,
                Ok(lag) = self.around.lag.recv() => Turn::Lag(lag),
                () = until(alarm) => Turn::Time,
            };
            match turn {
                Turn::Note(Some(note)) => self.on_note(note),
                Turn::Note(None) => break,
                Turn::Seen(seen) => self.on_seen(seen),
                Turn::Sight(sight) => self.on_sight(sight),
                Turn::Lag(lag) => self.step(now(), Event::Observed(Observation::ObserverLag(lag))),
                Turn::Time => self.on_time(),
            }
        }
        if let Wire::Open(live) = std::mem::replace(&mut self.wire, Wire::Idle) {
            live.close().await;
        }
    }

    fn next_alarm(&self) -> Option<Mono> {
        let dial = self
            .dial_at
            .filter(|_| matches!(self.wire, Wire::Idle))
            .map(|at| at.max(self.hold.unwrap_or(at)));
        [dial, self.wake_at].into_iter().flatten().min()
    }

    fn on_time(&mut self) {
        let at = now();
        let due = |t: Option<Mono>| t.is_some_and(|t| t <= at.mono);
        if matches!(self.wire, Wire::Idle) && due(self.dial_at) && (self.hold.is_none() || due(self.hold)) {
            self.dial_at = None;
            self.hold = None;
            if let Some(watcher) = &self.watcher {
                self.wire = Wire::Dialling(watcher.dial());
            }
            for begun in self.waiting.drain(..) {
                // Whoever asked may have given up waiting.
                let _ = begun.send(Ok(()));
            }
        }
        if due(self.wake_at) {
            self.wake_at = None;
            self.step(at, Event::Tick);
        }
    }

    fn on_note(&mut self, note: Note) {
        match note {
            Note::Observed(observation) => self.step(now(), Event::Observed(observation)),
            Note::Reconnect { begun, .. } if self.watcher.is_none() => {
                // Whoever asked may have given up waiting.
                let _ = begun.send(Err("no canary session is kept on this instance".to_owned()));
            }
            Note::Reconnect { delay, begun } => {
                let at = now();
                self.hang_up(at);
                self.hold = Some(at.mono.after(delay));
                self.dial_at = self.hold;
                self.waiting.push(begun);
            }
            Note::Reconfigure(config) => self.reconfigure(*config),
        }
    }

    /// New settings take over as a whole or not at all. Those of the tracker alone leave the session as it is.
    fn reconfigure(&mut self, config: WatchConfig) {
        let (tracker, watcher) = match means(&config) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(instance = %self.around.name, error, "new settings cannot be used; the old ones stay");
                return;
            }
        };
        let same_wire = WatchConfig { tracker: config.tracker.clone(), ..self.config.clone() } == config;
        self.config = config;
        self.watcher = watcher;
        let at = now();
        self.step(at, Event::Reconfigured(Box::new(tracker)));
        if !same_wire {
            self.hang_up(at);
            self.dial_at = self.watcher.is_some().then_some(at.mono);
        }
    }

    /// Ends the session or the dial on purpose; what it still has to say is not heard any more.
    fn hang_up(&mut self, at: Now) {
        match std::mem::replace(&mut self.wire, Wire::Idle) {
            Wire::Idle => {}
            // A dial that is dropped half-way closes its socket at once, which is rude: it ends in the background.
            Wire::Dialling(dial) => drop(tokio::spawn(async move { drop(dial.await) })),
            Wire::Open(live) => {
                drop(live);
                let close = Close {
                    code: None,
                    reason: String::new(),
                    by_us: true,
                    age: Duration::ZERO,
                    silent_for: Duration::ZERO,
                    error: None,
                };
                self.step(at, Event::Observed(Observation::Closed(close)));
            }
        }
    }

    fn on_seen(&mut self, seen: Option<Seen>) {
        let at = now();
        let observation = match seen {
            // What waited in a queue is older than it says.
            Some((made, Observation::Life { age })) => {
                Observation::Life { age: age.saturating_add(made.elapsed()) }
            }
            Some((_, observation)) => observation,
            // The session's task died without a word.
            None => Observation::Closed(Close {
                code: None,
                reason: String::new(),
                by_us: true,
                age: Duration::ZERO,
                silent_for: Duration::ZERO,
                error: Some("the task that held the session is gone".to_owned()),
            }),
        };
        if matches!(observation, Observation::Closed(_)) {
            self.wire = Wire::Idle;
        }
        self.step(at, Event::Observed(observation));
    }

    fn on_sight(&mut self, sight: Sight) {
        let at = now();
        self.wire = sight.live.map_or(Wire::Idle, Wire::Open);
        if matches!(self.wire, Wire::Open(_)) {
            self.around.metrics.session_opened();
        }
        self.step(at, Event::Observed(Observation::Handshake(sight.report)));
        for observation in sight.known {
            self.step(at, Event::Observed(observation));
        }
    }

    /// One step of the tracker, and everything it asks for.
    fn step(&mut self, at: Now, event: Event) {
        let effects = self.tracker.step(at, event, &mut rand::rng());
        self.tell(&effects);
        self.wake_at = effects.wake_at;
        if effects.close_session && matches!(self.wire, Wire::Open(_)) {
            self.wire = Wire::Idle;
        }
        // The outcome of a dial that is under way plans anew.
        if effects.dial_at.is_some() && !matches!(self.wire, Wire::Dialling(_)) {
            self.dial_at = effects.dial_at;
        }
    }

    /// Tells of what changed, in a span of its own: the first of the trace that leads to an order and its verification.
    fn tell(&self, effects: &Effects) {
        if effects.changes.is_empty() {
            return;
        }
        let name = &self.around.name;
        for transition in &effects.transitions {
            self.around.metrics.transition(transition.kind, transition.to, transition.cause);
        }
        let worst = effects.changes.iter().find(|c| c.cause.is_some()).or_else(|| effects.changes.first());
        let Some(worst) = worst else { return };
        let cause = worst.cause.map_or("none", mooring_core::cause::Cause::name);
        let span = tracing::info_span!(
            "mooring.observe",
            instance = %name,
            condition = %worst.kind,
            status = %worst.status,
            cause
        );
        span.in_scope(|| {
            for Condition { kind, status, cause, message, .. } in &effects.changes {
                let cause = cause.map_or("none", mooring_core::cause::Cause::name);
                tracing::info!(%kind, %status, cause, message, "{kind} is {status}");
            }
        });
        self.around.outgoing.conditions(self.around.handle, &effects.changes, traceparent(&span).as_deref());
    }
}

/// What settings amount to: how it is judged, and who dials.
fn means(config: &WatchConfig) -> Result<(TrackerConfig, Option<Box<dyn Watcher>>), String> {
    let judging = TrackerConfig { dials: config.dials, ..config.tracker.resolve()? };
    let watcher = config.dials.then(|| for_kind(config)).transpose()?;
    Ok((judging, watcher))
}

/// What the session or the dial has to say next.
async fn next(wire: &mut Wire) -> Turn {
    match wire {
        Wire::Idle => std::future::pending().await,
        Wire::Dialling(dial) => Turn::Sight(dial.await),
        Wire::Open(live) => Turn::Seen(live.observations.recv().await),
    }
}
