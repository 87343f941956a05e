//! An adaptive failure detector: when does silence mean that the peer is gone?
//!
//! **Which, and why.** The estimator is Chen's NFD-E (Chen, Toueg, Aguilera, "On the Quality of Service of Failure
//! Detectors", IEEE ToC 51(5), 2002): the next sign of life is expected at its schedule plus the mean lateness of the
//! past, and suspicion begins a safety margin later. It is taken with two windows (2W-FD: Tomsic, Sens, Garcia,
//! Arantes, Sopena, IPDPS 2015): the *later* of what a long and a very short window expect, so that a sudden change is
//! followed at once and an outlier is forgotten at once. Not
//! Bertier (EUC 2002): its Jacobson margin shrinks with good weather and is then mistaken about a hundred times an hour.
//! Not φ-accrual (Hayashibara et al., SRDS 2004): a normal fit underestimates heavy tails, and at its usual threshold of
//! 8 it is mistaken dozens of times a day under stalls or loss; and what it outputs is a level, while a tracker needs a
//! time at which to look. `cargo run --release -p mooring-core --example detector_qos` prints the table that shows how
//! they compare, this one included.
//!
//! What the table also shows: tuned in hindsight to one mistake a day, this detector and a fixed timeout are equally
//! fast, within 2 % of the bound. The gain lies in not having to know that timeout, and in no mistake when the observer slept. Where
//! loss comes in bursts of seconds (WAN), the default margin is mistaken some twenty times a day: raise
//! [`DetectorConfig::floor`] there. The tracker's redial mends such a mistake at once, but it is reported all the same.
//!
//! **Moments, not windows.** A window of 1,000 samples costs 8 kB for each session; the windows here are exponentially
//! weighted moments, 20 bytes in all.
//!
//! **The margin** is the deviation observed (four mean deviations, or the worst lateness of late, fading), between a
//! floor and a cap. At low mistake rates and with heavy tails no adaptive margin beats a good constant one, so the
//! floor does most of the work; adaptation is for peers that are *worse* than the floor, slow but alive.
//!
//! **Promises.** A period and timeout that the protocol states are used as they are; nothing is learnt over them.
//!
//! **The observer.** Silence proves nothing about the peer while we ourselves were held up (Lifeguard: Dadgar, Phillips,
//! Currey, DSN-W 2018). Two safeguards: [`Detector::lag`] widens the deadline by a lag the shell measured, and a check
//! that comes much later than it was due is evidence of a lag nobody reported. In both cases no verdict is given until
//! the shell has had time to read what waits in its sockets, and what then arrives late is not learnt from. Even a check
//! in time is followed by a second one before the verdict.

mod config;
mod moments;
mod suspicion;

use std::time::Duration;

pub use config::{DetectorConfig, DetectorConfigError, Expect};
use moments::Moments;
pub use suspicion::{Basis, Suspicion, Verdict};

use crate::time::Mono;

/// Signs of life after which the learnt deviation replaces the initial margin.
pub const LEARNT: u32 = 8;
/// Late checks in a row after which a verdict is given all the same: a host that is late eight times running is not
/// paused but overloaded, and has read its sockets eight times meanwhile.
const MAX_HOLDS: u8 = 8;

/// What the protocol states about its heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Promise {
    interval: Duration,
    timeout: Duration,
}

/// The beats' schedule, a phase-locked loop: NFD-E's regression of arrival on number, without numbers or a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Schedule {
    /// When the newest beat should have come, µs.
    phase: f64,
    /// Time between beats, µs; zero until two have come.
    period: f64,
}

/// When something is awaited, and until when.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    from: Mono,
    expected: Mono,
    deadline: Mono,
    basis: Basis,
}

/// The detector of one instance. What is learnt outlives its sessions: the path and the peer stay the same.
#[derive(Debug, Clone, Copy)]
pub struct Detector {
    config: DetectorConfig,
    moments: Moments,
    schedule: Schedule,
    promise: Option<Promise>,
    /// Newest sign of life in this session; its opening counts.
    last_life: Mono,
    /// The oldest question since then that is not answered.
    asked: Option<Mono>,
    last_rtt: Option<Duration>,
    /// How much of the present wait was the observer's own.
    lag: Duration,
    hold_until: Mono,
    /// Late checks in a row during the present wait.
    holds: u8,
    /// Whether a check has found the present wait too long once already.
    looked: bool,
    suspected: Option<Mono>,
}

impl Detector {
    /// A detector that has learnt nothing; the session opens now.
    #[must_use]
    pub fn new(config: DetectorConfig, now: Mono) -> Self {
        Self {
            config,
            moments: Moments::default(),
            schedule: Schedule::default(),
            promise: None,
            last_life: now,
            asked: None,
            last_rtt: None,
            lag: Duration::ZERO,
            hold_until: Mono::default(),
            holds: 0,
            looked: false,
            suspected: None,
        }
    }

    /// Other settings; what was learnt stays.
    pub fn reconfigure(&mut self, config: DetectorConfig) {
        self.config = config;
    }

    /// A new session opened: questions and promises of the old one are void, the moments stay.
    pub fn opened(&mut self, now: Mono) {
        self.promise = None;
        self.asked = None;
        self.schedule = Schedule::default();
        self.lived(now);
    }

    /// The last suspicion was a mistake: life went on, we only had to look again. The wait, as far as the cap, counts
    /// as lateness, or a peer that is slow now and then would be suspected each time anew. Call before
    /// [`opened`](Self::opened).
    pub fn mistaken(&mut self, now: Mono) {
        if self.suspected.is_some()
            && let Some(awaited) = self.awaited()
        {
            self.moments.late(micros(now.since(awaited.expected).min(self.config.cap)));
        }
    }

    /// Something arrived at `at`, which may lie before the present. Any traffic is life.
    pub fn alive(&mut self, at: Mono) {
        if at < self.last_life {
            return;
        }
        if self.config.expect == Expect::Beats && self.promise.is_none() {
            self.learn_beat(at);
        }
        if self.asked.is_some_and(|asked| at < asked) {
            // Older than the question: life, but no answer.
            self.last_life = at;
            return;
        }
        self.lived(at);
    }

    /// A question (a ping) was sent.
    pub fn asked(&mut self, now: Mono) {
        if self.asked.is_none() {
            self.asked = Some(now);
            if self.promise.is_none() {
                self.lag = Duration::ZERO;
            }
        }
    }

    /// The answer to a question came, `rtt` after it.
    pub fn answered(&mut self, now: Mono, rtt: Duration) {
        self.last_rtt = Some(rtt);
        if self.config.expect == Expect::Answers && !self.held_up() {
            self.moments.learn(micros(rtt));
        }
        self.alive(now);
    }

    /// The protocol states its heartbeat: a sign of life every `interval`, at most `timeout` late.
    pub fn promise(&mut self, interval: Duration, timeout: Duration) {
        self.promise = Some(Promise { interval, timeout });
    }

    /// The observer was held up for `d` until now: the wait is that much longer, and there is no verdict before what
    /// has arrived meanwhile could be read.
    pub fn lag(&mut self, now: Mono, d: Duration) {
        self.lag = self.lag.saturating_add(d);
        self.hold_until = self.hold_until.max(now.after(self.config.drain));
    }

    /// Judges the silence. Call it at [`next_check`](Self::next_check), after everything readable has been fed in.
    pub fn check(&mut self, now: Mono) -> Verdict {
        let Some(awaited) = self.awaited() else { return Verdict::Trust };
        if now < awaited.deadline || now < self.hold_until {
            return Verdict::Trust;
        }
        let due = awaited.deadline.max(self.hold_until);
        if self.suspected.is_none() {
            let late = now.since(due) > self.config.slack && self.holds < MAX_HOLDS;
            // Even a check in time may be the first thing that runs after a pause that ended with the deadline; a short
            // second look costs less than a wrong verdict.
            if late || !self.looked {
                let drain = if late { self.config.drain } else { self.config.drain / 4 };
                self.holds += u8::from(late);
                self.looked = true;
                self.hold_until = now.after(drain);
                return Verdict::Trust;
            }
        }
        let since = *self.suspected.get_or_insert(now);
        Verdict::Suspect(Suspicion {
            since,
            waited: now.since(awaited.from),
            expected_within: awaited.expected.since(awaited.from),
            allowed: awaited.deadline.since(awaited.from),
            overdue: now.since(awaited.deadline),
            silent_for: now.since(self.last_life),
            observer_lag: self.lag,
            last_rtt: self.last_rtt,
            samples: self.moments.count(),
            basis: awaited.basis,
        })
    }

    /// When silence would become suspicious; `None` when nothing is awaited or suspicion has been raised already.
    #[must_use]
    pub fn next_check(&self) -> Option<Mono> {
        if self.suspected.is_some() {
            return None;
        }
        Some(self.awaited()?.deadline.max(self.hold_until))
    }

    /// The newest sign of life in this session; its opening when there was none.
    #[must_use]
    pub fn last_life(&self) -> Mono {
        self.last_life
    }

    /// The last round trip measured.
    #[must_use]
    pub fn last_rtt(&self) -> Option<Duration> {
        self.last_rtt
    }

    fn lived(&mut self, at: Mono) {
        self.last_life = at;
        self.asked = None;
        self.lag = Duration::ZERO;
        self.holds = 0;
        self.looked = false;
        self.suspected = None;
    }

    /// Whether the present wait was in part our own: what ends it says nothing about the peer's timing.
    fn held_up(&self) -> bool {
        !self.lag.is_zero() || self.holds > 0
    }

    fn margin(&self) -> (Duration, bool) {
        let DetectorConfig { floor, cap, initial, .. } = self.config;
        let observed = Duration::from_secs_f32((self.moments.spread() / 1e6).max(0.0));
        let learnt = self.moments.count() >= LEARNT;
        (observed.max(if learnt { floor } else { initial }).min(cap), learnt)
    }

    fn awaited(&self) -> Option<Awaited> {
        if let Some(p) = self.promise {
            let from = self.last_life;
            let expected = from.after(p.interval).after(self.lag);
            return Some(Awaited {
                from,
                expected,
                deadline: expected.after(p.timeout),
                basis: Basis::Promise,
            });
        }
        let (margin, learnt) = self.margin();
        let latest = |usual: Mono| usual.after(self.config.cap).after(self.lag);
        let (from, usual, expected, basis) = match self.config.expect {
            Expect::Answers => {
                let from = self.asked?;
                let at = |offset: f32| from.after(Duration::from_secs_f32((offset / 1e6).max(0.0)));
                (from, at(self.moments.mean()), at(self.moments.expected()), Basis::Answers { learnt })
            }
            Expect::Beats => {
                if self.schedule.period <= 0.0 {
                    return None;
                }
                let at = |micros: f64| Mono(micros.max(0.0) as u64);
                let usual = at(self.schedule.phase + self.schedule.period);
                let after_last = self.last_life.after(Duration::from_secs_f64(self.schedule.period / 1e6));
                (self.last_life, usual, usual.max(after_last), Basis::Beats { learnt })
            }
        };
        let deadline = expected.after(margin).after(self.lag).min(latest(usual.max(from)));
        Some(Awaited { from, expected, deadline, basis })
    }

    fn learn_beat(&mut self, at: Mono) {
        let t = at.0 as f64;
        let s = &mut self.schedule;
        if s.phase == 0.0 {
            s.phase = t;
            return;
        }
        if s.period <= 0.0 {
            if t > s.phase {
                s.period = t - s.phase;
                s.phase = t;
                self.moments.learn(0.0);
            }
            return;
        }
        // Beats carry no numbers: the nearest slot of the schedule is taken. Several that arrive in one piece after a
        // stall fall into one slot and teach nothing.
        let slots = ((t - s.phase) / s.period).round();
        if slots < 1.0 {
            return;
        }
        let lateness = t - s.phase.max(self.last_life.0 as f64) - s.period;
        let error = t - (s.phase + slots * s.period);
        let weight = (1.0 / (f64::from(self.moments.count()) + 1.0)).max(1.0 / 64.0);
        s.phase += slots * s.period + weight * error;
        s.period = (s.period + weight * weight / 2.0 * error / slots).max(1.0);
        if !self.held_up() {
            self.moments.learn(error as f32);
            self.moments.late(lateness as f32);
        }
    }
}

fn micros(d: Duration) -> f32 {
    d.as_secs_f32() * 1e6
}
