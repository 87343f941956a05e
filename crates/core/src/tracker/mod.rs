//! The tracker: what one instance's observations mean. Observations in, condition changes, dials and wake-ups out.
//!
//! # States
//!
//! | state | event | next | what is produced |
//! |---|---|---|---|
//! | `Fresh` | any | `Away` | first dial, within `start_spread` |
//! | `Away` | handshake went through | `Proving` | the detector starts anew |
//! | `Away` | handshake failed | `Away` | a failure is counted; a redial |
//! | `Proving` | life, or the time it had to last | `Up` | `Reachable` True, `Beating` True once life is seen |
//! | `Proving`, `Up` | the peer or the path ended it | `Away` | the end is judged; a redial |
//! | `Proving`, `Up` | we ended it | `Away` | a redial |
//! | `Proving`, `Up` | the detector suspects | `Away` | `Beating` False, the session is closed; a redial |
//! | any | the process died unasked | `Away` | `Reachable` False at once; the session is closed |
//! | any | the process was started | unchanged | a redial if `Away`; failures are excused for `boot_grace` |
//! | any | a disturbance began | unchanged | failures are excused; what was True is Unknown (`UnderRepair`) |
//! | any | a disturbance ended | unchanged | a redial if `Away`; the next life of an open session makes it True again |
//!
//! What cannot concern a state (an end while `Away`, say, reported after we closed) is ignored.
//!
//! # When is `Reachable` False?
//!
//! * The process died: at once. It is certain, and stays the cause until the next process is tried.
//! * Dials fail: after `fall` in a row, whatever the cause. A refused connection alone may be a listener that is being
//!   replaced, and the second look costs half a second at most. A missed heartbeat counts as the first failure: a
//!   gateway that then lets the redial hang has shown it twice.
//! * Sessions end: a single end is a blip; it is counted and not reported. `drop_fall` of them within `drop_window`
//!   are a fault, by the cause of the last. Certain causes need no second: a refusal by policy (the peer said so in as
//!   many words), an idle cut and drops at once (the history *is* the repetition). A protocol violation or a message
//!   too big may be one bad frame, so they are confirmed like any other end; only then are they left to a human.
//!
//! `Reachable` is True again when a session has refuted what was held against it: any life for a failed dial,
//! `settle_after_drop` for drops, one and a half times the limit for an idle cut.
//!
//! # What does not count
//!
//! Failures during a disturbance on purpose and its grace, and while a process boots: if they last beyond, the last of
//! them is the verdict. Failures of our own host (no descriptors, no ports), and time-outs while we ourselves were held
//! up: they teach nothing; repeated, they make a True Unknown. After an announced restart, failures have that as their
//! cause for `restart_grace`.
//!
//! # What an order's outcome rests on
//!
//! A condition that was True when a disturbance began is Unknown from then on, and True again only by what is seen in a
//! session opened since, or after the disturbance ended. So a condition that is True since the order began is evidence
//! of what the order did; one that had simply stayed True would prove nothing.
//!
//! # Other watchers
//!
//! Relay, kernel and report open no session of their own; they make claims of conditions, which the board puts together
//! with what the canary found. Where the canary is not among the watchers (`dials` is off), nothing is dialled and the
//! claims are all there is. Excuses and disturbances hold for claims too: sickness is not believed while it is excused,
//! health only from facts that are newer than the order.
//!
//! # Flapping
//!
//! A fall is the moment an instance that was well (Reachable and not failing its heartbeat) ceases to be; one incident
//! is one fall. `flap_changes` of them in `flap_window` make `Stable` False, `flap_calm` without any make it True.

mod board;
mod config;
mod effects;
mod excuse;
mod flaps;
mod judge;
mod pace;
mod session;

use std::time::Duration;

use rand::Rng;

use board::{Board, Finding};
pub use config::{TrackerConfig, TrackerConfigError};
pub use effects::{Effects, Event, Transition};
use excuse::Excuse;
use flaps::Flaps;
use judge::{Announced, Case};
use pace::{Pace, Urgency};
use session::{Away, Wire};

use crate::cause::Cause;
use crate::classify::{RecentCloses, short};
use crate::condition::{Condition, ConditionKind, Status};
use crate::detector::Detector;
use crate::observation::Observation;
use crate::phase::Phase;
use crate::time::{Mono, Now};

/// A tick so much later than it was due was late by our own fault: what it finds may be overtaken by what waits unread.
const LATE: Duration = Duration::from_secs(1);
/// Wake-ups are never asked for sooner than this.
const LEAST_WAKE: Duration = Duration::from_millis(1);

/// The machine of one instance.
#[derive(Debug, Clone)]
pub struct Tracker {
    config: TrackerConfig,
    board: Board,
    wire: Wire,
    case: Case,
    excuse: Excuse,
    announced: Option<Announced>,
    pace: Pace,
    flaps: Flaps,
    detector: Detector,
    recent: RecentCloses,
    /// The last time the observer was held up, and for how long.
    lagged: Option<(Mono, Duration)>,
    sessions: u64,
    blips: u64,
}

/// What a step works with beside the tracker itself.
struct Step<'a> {
    now: Now,
    fx: Effects,
    /// Whether the instance was well when [`Tracker::standing`] last looked.
    well: bool,
    rng: &'a mut dyn Rng,
}

impl Tracker {
    /// A tracker that knows nothing. Its first step plans the first dial.
    #[must_use]
    pub fn new(config: TrackerConfig, now: Now) -> Self {
        Self {
            board: Board::new(now.wall),
            wire: Wire::Fresh,
            case: Case::default(),
            excuse: Excuse::None,
            announced: None,
            pace: Pace::new(&config),
            flaps: Flaps::default(),
            detector: Detector::new(config.detector, now.mono),
            recent: RecentCloses::default(),
            lagged: None,
            sessions: 0,
            blips: 0,
            config,
        }
    }

    /// One event. What was observed is taken in before silence is judged, so that a sign of life that comes with the
    /// deadline is in time.
    pub fn step(&mut self, now: Now, event: Event, rng: &mut impl Rng) -> Effects {
        let mut step = Step { now, fx: Effects::default(), well: self.well(), rng };
        self.begin(&mut step);
        match event {
            Event::Observed(observation) => self.observed(observation, &mut step),
            Event::Reconfigured(config) => self.reconfigured(*config, &mut step),
            Event::Tick => {}
        }
        self.standing(&mut step);
        self.time_passed(&mut step);
        self.board.excuse(now, self.excuse.active(), &mut step.fx);
        self.standing(&mut step);
        self.calm_passed(&mut step);
        step.fx.wake_at = self.wake_at(now.mono);
        step.fx
    }

    /// The conditions as they stand, in the order of [`ConditionKind::ALL`].
    #[must_use]
    pub fn conditions(&self) -> &[Condition; 5] {
        self.board.all()
    }

    /// The one-word summary.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::of(self.board.all())
    }

    /// The dial that is planned or under way; `None` before the first step and while a session is open.
    #[must_use]
    pub fn dial_at(&self) -> Option<Mono> {
        match &self.wire {
            Wire::Away(away) => Some(away.dial_at),
            Wire::Fresh | Wire::Proving(_) | Wire::Up(_) => None,
        }
    }

    /// Sessions opened so far: who waits for a *new* session after a disturbance compares this.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Ends of sessions that remained single and were not reported.
    #[must_use]
    pub fn blips(&self) -> u64 {
        self.blips
    }

    /// Failures that weigh on the next redial.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.pace.failures.failures()
    }

    /// The last round trip measured, for display.
    #[must_use]
    pub fn last_rtt(&self) -> Option<Duration> {
        self.detector.last_rtt()
    }

    fn reconfigured(&mut self, config: TrackerConfig, step: &mut Step<'_>) {
        let dialled = self.config.dials;
        self.config = config;
        if dialled && !config.dials {
            // The canary is withdrawn; what it held goes with it. That the process died it did not find out.
            self.wire = Wire::Fresh;
            self.announced = None;
            step.fx.close_session = true;
            if !self.case.process_died() {
                self.case = Case::default();
                self.unobserved(step);
            }
        }
        self.detector.reconfigure(config.detector);
        self.pace.failures.set_stable_for(config.stable_for);
        // Nothing else may happen for a long time.
        self.begin(step);
    }

    /// Plans the first dial, where one is to be made and was not planned yet.
    fn begin(&mut self, step: &mut Step<'_>) {
        if matches!(self.wire, Wire::Fresh) && self.config.dials {
            let dial_at = self.pace.plan_first(step.now.mono, &self.config, step.rng);
            self.wire = Wire::Away(Away { dial_at, silent: None, lag: Duration::ZERO });
            step.fx.dial_at = Some(dial_at);
        }
    }

    fn observed(&mut self, observation: Observation, step: &mut Step<'_>) {
        let now = step.now.mono;
        match observation {
            // The outcome of a dial that was under way when the canary was withdrawn.
            Observation::Handshake(_) if !self.config.dials => {}
            Observation::Handshake(report) => self.handshake(report, step),
            Observation::Closed(close) => self.closed(&close, step),
            Observation::Life { age } => {
                if let Some(open) = self.wire.open() {
                    self.detector.alive(now.before(age).max(open.since));
                    self.heard(step);
                }
            }
            Observation::Asked => {
                if self.wire.open().is_some() {
                    self.detector.asked(now);
                }
            }
            Observation::Answered { rtt } => {
                if self.wire.open().is_some() {
                    self.detector.answered(now, rtt);
                    self.heard(step);
                }
            }
            Observation::Promise { interval, timeout } => {
                if self.wire.open().is_some() {
                    self.detector.promise(interval, timeout);
                }
            }
            Observation::ProcessStarted { .. } => self.process_started(step),
            Observation::ProcessExited { code, signal, expected } => {
                self.process_exited(code, signal, expected, step)
            }
            Observation::ObserverLag(lag) => {
                self.detector.lag(now, lag);
                self.lagged = Some((now, lag));
                if let Wire::Away(away) = &mut self.wire {
                    away.lag = away.lag.saturating_add(lag);
                }
            }
            Observation::DisturbanceBegan => {
                self.excuse = Excuse::Disturbed { since: now, until: now.after(self.config.disturbance_max) };
                self.under_repair(step);
            }
            Observation::DisturbanceEnded => {
                self.excuse = Excuse::Grace { until: now.after(self.config.disturbance_grace), failed: None };
                self.redial_if_away(Urgency::Now, step);
            }
            Observation::Claim(claim) => self.board.claim(step.now, claim, &mut step.fx),
            Observation::Withdrawn(source) => self.board.withdraw(step.now, source, &mut step.fx),
        }
    }

    /// The canary knows nothing (any more).
    fn unobserved(&mut self, step: &mut Step<'_>) {
        let finding = Finding::new(Cause::NotYetObserved, "", Vec::new());
        for kind in [ConditionKind::Reachable, ConditionKind::Beating] {
            self.board.set(step.now, kind, Status::Unknown, Some(&finding), &mut step.fx);
        }
    }

    /// What became of the instance as a whole, whoever said so: falls are counted here. Called after each thing that can
    /// happen within a step, as one step may prove a session and find it silent.
    fn standing(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        let was_well = std::mem::replace(&mut step.well, self.well());
        if step.well {
            return self.flaps.well(now);
        }
        // Not to know any more is no fall.
        let fell = [ConditionKind::Reachable, ConditionKind::Beating]
            .into_iter()
            .any(|kind| self.board.status(kind) == Status::False);
        if !fell || !was_well || !self.flaps.fell(now, &self.config) {
            return;
        }
        let last =
            self.board.all().iter().find(|c| c.status == Status::False && c.kind != ConditionKind::Stable);
        let evidence = last.and_then(|c| c.cause).map(|c| ("last_cause".to_owned(), c.name().to_owned()));
        let falls = self.flaps.count();
        let message = format!("fell {falls} times within {}", short(self.config.flap_window));
        let finding = Finding::new(Cause::Flapping, message, evidence.into_iter().collect());
        self.board.set(step.now, ConditionKind::Stable, Status::False, Some(&finding), &mut step.fx);
    }

    /// Everything that follows from time alone.
    fn time_passed(&mut self, step: &mut Step<'_>) {
        self.excuse_passed(step);
        self.announcement_passed(step);
        self.session_passed(step);
        self.standing(step);
        self.silence_passed(step);
        let now = step.now.mono;
        // The pace of dials is the canary's own matter, whatever others find.
        if matches!(self.wire, Wire::Up(_)) && self.own_well() {
            self.pace.failures.healthy(now);
        }
    }

    /// Calm for long enough, this step's fall taken into account.
    fn calm_passed(&mut self, step: &mut Step<'_>) {
        if self.board.own(ConditionKind::Stable) != Status::True
            && self.flaps.calm_at(&self.config).is_some_and(|at| step.now.mono >= at)
        {
            self.flaps.calmed();
            self.board.set(step.now, ConditionKind::Stable, Status::True, None, &mut step.fx);
        }
    }

    fn wake_at(&self, now: Mono) -> Option<Mono> {
        let session = match &self.wire {
            Wire::Fresh | Wire::Away(_) => None,
            Wire::Proving(open) => {
                let proof = (!self.excuse.outdates(open.since)).then_some(open.proven_at);
                [proof, self.detector.next_check()].into_iter().flatten().min()
            }
            Wire::Up(_) => {
                [self.detector.next_check(), self.pace.failures.clears_at()].into_iter().flatten().min()
            }
        };
        let calm = (self.board.own(ConditionKind::Stable) != Status::True)
            .then(|| self.flaps.calm_at(&self.config))
            .flatten();
        let announced = self.announced.as_ref().map(|a| a.until);
        let at = [session, self.excuse.ends_at(), announced, calm].into_iter().flatten().min()?;
        Some(at.max(now.after(LEAST_WAKE)))
    }

    /// Whether the canary holds nothing against the instance.
    fn own_well(&self) -> bool {
        self.board.own(ConditionKind::Reachable) == Status::True
            && self.board.own(ConditionKind::Beating) != Status::False
    }

    /// Whether nothing is held against the instance, by anybody.
    fn well(&self) -> bool {
        self.board.status(ConditionKind::Reachable) == Status::True
            && self.board.status(ConditionKind::Beating) != Status::False
    }

    fn redial(&mut self, urgency: Urgency, step: &mut Step<'_>) {
        if !self.config.dials {
            self.wire = Wire::Fresh;
            return;
        }
        // Without a session there is no health, whoever ended it.
        self.pace.failures.unhealthy(step.now.mono);
        let dial_at = self.pace.plan(step.now.mono, urgency, &self.config, step.rng);
        let silent = match &self.wire {
            Wire::Away(away) => away.silent,
            Wire::Fresh | Wire::Proving(_) | Wire::Up(_) => None,
        };
        self.wire = Wire::Away(Away { dial_at, silent, lag: Duration::ZERO });
        step.fx.dial_at = Some(dial_at);
    }

    fn redial_if_away(&mut self, urgency: Urgency, step: &mut Step<'_>) {
        if matches!(self.wire, Wire::Away(_)) {
            self.redial(urgency, step);
        }
    }
}
