//! What an instance's reports mean: events in, claims of conditions and ends of sessions out. Pure; the clock is an
//! argument.
//!
//! | said | Linked | Reachable | Beating |
//! |---|---|---|---|
//! | open | True | True | as the beats come |
//! | connecting | stays; after the budget False, `ConnectingStuck` | the same | Unknown |
//! | waiting for login | False, `PairingNeeded` | Unknown | Unknown |
//! | closed, a wire's fault | False | False | Unknown |
//! | closed, refused by the other end | False | Unknown | Unknown |
//! | closed, restarts on purpose | Unknown, then False | the same | Unknown |
//!
//! What a code means is in [`mooring_core::diagnosis::codes`]. Where many instances of the gateway say the same at once, the
//! [`Book`] lets each of them know that it is not alone (`not_alone`), those included that said it earlier.
//!
//! `Reachable` is claimed False only where a new connection may help: the planner acts on it, and a revoked login must not
//! be acted on.
//!
//! **Old facts prove nothing.** A claim of True is as old as the newest fact behind it; beats renew it, for a gateway that
//! beats also says that its last word still holds. What is older than the newest state is passed over, so that a late
//! `open` cannot undo a `closed`. **One session at a time**: an end that names another connection than the present one is
//! that one's end and changes nothing (gateways open the new before they end the old).
//!
//! **Silence** is judged by [`mooring_core::detector`], which knows what to make of an observer that slept. Deadlines of
//! our own are looked at twice for the same reason. Feed everything that has arrived before calling [`Meaning::tick`].

mod book;
mod event;
mod link;
mod verdict;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::RecentCloses;
use mooring_core::condition::{ConditionKind, Evidence, Status};
use mooring_core::detector::{Detector, DetectorConfig, Expect, Suspicion, Verdict as Silence};
use mooring_core::diagnosis::codes::{FleetRule, History, Weight};
use mooring_core::limits::{MAX_EVIDENCE, clip};
use mooring_core::observation::{Claim, Close};
use mooring_core::session::{EndedBy, SessionClose, Source};
use mooring_core::time::{Mono, Now};

pub use book::{Book, Outcome};
pub use event::{Closed, Event, Protocol, Registration, Reported};

use link::{Link, Session};
use verdict::{Context, Verdict};

/// Lines of an instance's log that are kept.
pub const LINES: usize = 4;
/// Longest line kept, bytes.
pub const MAX_LINE: usize = 200;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeaningConfig {
    /// How long an instance may be connecting, or closing, before it is stuck.
    pub connecting: Duration,
}

impl Default for MeaningConfig {
    fn default() -> Self {
        // Baileys gives a handshake 20 s and a silent login up to twice its keepalive; most are done within a second.
        Self { connecting: Duration::from_secs(45) }
    }
}

/// What a step gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Claims, for the instance's tracker.
    pub claims: Vec<Claim>,
    /// Sessions that ended.
    pub closes: Vec<SessionClose>,
    /// How many sessions began.
    pub opened: u32,
}

/// How many say the same as an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd {
    pub rule: &'static FleetRule,
    pub saying: usize,
    pub of: usize,
}

/// One instance.
#[derive(Debug)]
pub struct Meaning {
    config: MeaningConfig,
    registration: Registration,
    link: Link,
    /// The session before the present one, whose end may still be told.
    prior: Option<Session>,
    /// When the newest state happened.
    state_at: Mono,
    detector: Detector,
    /// What was last claimed of the heartbeat.
    beating: Option<Status>,
    /// The newest beat's round trip.
    rtt: Option<Duration>,
    /// The ends by their codes ...
    history: History,
    /// ... and as closes of a WebSocket.
    recent: RecentCloses,
    /// Many others said the same, which is to be told when time next passes.
    crowd: Option<Crowd>,
    lines: VecDeque<String>,
    /// What is wrong now, for the list of sessions.
    fault: Option<(Cause, String)>,
}

impl Meaning {
    /// An instance of which nothing was said yet.
    #[must_use]
    pub fn new(config: MeaningConfig, now: Mono) -> Self {
        let detector = DetectorConfig { expect: Expect::Beats, ..DetectorConfig::default() };
        Self {
            config,
            registration: Registration::default(),
            link: Link::Silent,
            prior: None,
            state_at: Mono::default(),
            detector: Detector::new(detector, now),
            beating: None,
            rtt: None,
            history: History::default(),
            recent: RecentCloses::default(),
            crowd: None,
            lines: VecDeque::new(),
            fault: None,
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Takes something that happened at `at`. `id` names a session if one begins.
    pub fn step(&mut self, now: Now, at: Now, session: &Arc<str>, event: &Event, id: u64) -> Step {
        let at = Now { mono: at.mono.min(now.mono), wall: at.wall };
        let mut step = Step::default();
        match event {
            Event::Registered(registration) => self.registered(now, at, registration, &mut step),
            Event::Line(text) => self.line(text),
            Event::Beat { rtt } => self.beat(now.mono, at.mono, *rtt, &mut step),
            Event::Closed(closed) if !self.is_present(session) => {
                self.prior_ended(at, session, closed, &mut step);
            }
            Event::Closing if !self.is_present(session) => {}
            // What is older than the newest state says nothing about the present.
            _ if at.mono < self.state_at => {}
            Event::Connecting => self.connecting(now, at, session, id, &mut step),
            Event::WaitingForLogin => self.waiting_for_login(now, at, session, id, &mut step),
            Event::Open { peer } => self.opened(now, at, session, peer, id, &mut step),
            Event::Closing => self.closing(at),
            Event::Closed(closed) => self.closed(now, at, closed, &mut step),
        }
        step
    }

    /// Lets time pass. Call it at [`next_check`](Self::next_check), after everything that has arrived was taken.
    pub fn tick(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        if let Some(crowd) = self.crowd.take() {
            self.join(crowd, now, now, &mut step);
        }
        match &mut self.link {
            Link::Connecting { session, stuck } => {
                let since = session.since.mono;
                if stuck.is_over(now.mono) {
                    self.stuck("connecting", Cause::ConnectingStuck, now.mono.since(since), now, &mut step);
                }
            }
            Link::Closing { stuck, since, .. } => {
                let since = *since;
                if stuck.is_over(now.mono) {
                    self.stuck("closing", Cause::ReportedClosed, now.mono.since(since), now, &mut step);
                }
            }
            Link::Closed { awaited: Some((until, verdict)) } => {
                if until.is_over(now.mono) {
                    let mut verdict = (**verdict).clone();
                    verdict.message.push_str(", and nothing has opened since");
                    self.link = Link::Closed { awaited: None };
                    self.fault(now.mono, now.mono, &verdict, &mut step);
                }
            }
            Link::Open(_) if self.registration.heartbeat.is_some() => {
                if let Silence::Suspect(suspicion) = self.detector.check(now.mono)
                    && self.beating != Some(Status::False)
                {
                    self.missed(now.mono, &suspicion, &mut step);
                }
            }
            Link::Open(_) | Link::Silent | Link::Closed { .. } | Link::Login(_) => {}
        }
        step
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_check(&self) -> Option<Mono> {
        if self.crowd.is_some() {
            return Some(Mono::default());
        }
        match &self.link {
            Link::Connecting { stuck, .. } | Link::Closing { stuck, .. } => stuck.due(),
            Link::Closed { awaited } => awaited.as_ref().and_then(|(until, _)| until.due()),
            Link::Open(_) if self.registration.heartbeat.is_some() => self.detector.next_check(),
            Link::Open(_) | Link::Silent | Link::Login(_) => None,
        }
    }

    fn registered(&mut self, now: Now, at: Now, registration: &Registration, step: &mut Step) {
        let old = std::mem::replace(&mut self.registration, registration.clone());
        if old.pid != 0 && registration.pid != 0 && old.pid != registration.pid && at.mono >= self.state_at {
            // Another process: whatever the old one had open went with it.
            self.state_at = at.mono;
            self.replaced(now, at, step);
        } else if old.heartbeat != registration.heartbeat && matches!(self.link, Link::Open(_)) {
            self.await_beats(now.mono, now.mono, step);
        }
    }

    /// Many instances say what this one said last: that is to be told when time next passes. Nothing where it is told
    /// already, or where it said something else since.
    pub(super) fn not_alone(&mut self, crowd: Crowd) {
        if self.fault_is(crowd.rule.alone) {
            self.crowd = Some(crowd);
        }
    }

    /// Puts the cause that a crowd has in the place of the one that an instance has alone.
    pub(super) fn join(&mut self, crowd: Crowd, now: Now, at: Now, step: &mut Step) {
        let Crowd { rule, saying, of } = crowd;
        if !self.fault_is(rule.alone) {
            return;
        }
        let within = rule.within.as_secs();
        let message = format!(
            "{saying} of {of} instances were refused ({}) within {within} s; {}",
            rule.code, rule.human
        );
        let evidence = vec![
            ("reported.code".to_owned(), rule.code.to_string()),
            ("instances".to_owned(), format!("{saying} of {of} within {within} s")),
            ("to.do".to_owned(), rule.human.to_owned()),
        ];
        let verdict = Verdict { cause: rule.cause, weight: Weight::Fault, message, evidence };
        // What was claimed of the one alone is not claimed any more; how its session ended is on record with the crowd's.
        step.claims.retain(|claim| claim.cause != Some(rule.alone));
        for close in step.closes.iter_mut().filter(|close| close.cause == Some(rule.alone)) {
            close.cause = Some(rule.cause);
        }
        self.fault(now.mono, at.mono, &verdict, step);
    }

    fn fault_is(&self, cause: Cause) -> bool {
        matches!(self.link, Link::Closed { .. }) && self.fault.as_ref().is_some_and(|(is, _)| *is == cause)
    }

    /// A heartbeat is awaited from now on, or not.
    fn await_beats(&mut self, now: Mono, from: Mono, step: &mut Step) {
        self.detector.opened(from);
        self.beating = Some(Status::Unknown);
        let (cause, message) = match self.registration.heartbeat {
            Some((interval, timeout)) => {
                self.detector.promise(interval, timeout);
                (Cause::NotYetObserved, "no beat yet in this session")
            }
            None => (Cause::NotObservable, "the gateway promises no heartbeat"),
        };
        claim(
            step,
            ConditionKind::Beating,
            Status::Unknown,
            Some(cause),
            message,
            Evidence::new(),
            now.since(from),
        );
    }

    fn beat(&mut self, now: Mono, at: Mono, rtt: Option<Duration>, step: &mut Step) {
        self.rtt = rtt.or(self.rtt);
        let Link::Open(session) = &self.link else { return };
        if at < session.open_at {
            return;
        }
        match rtt {
            Some(rtt) => self.detector.answered(at, rtt),
            None => self.detector.alive(at),
        }
        let age = now.since(at);
        self.well(ConditionKind::Linked, age, step);
        self.well(ConditionKind::Reachable, age, step);
        // A beat that is already older than the promise shows that it was kept then, not that it is kept now.
        if let Some((interval, timeout)) = self.registration.heartbeat
            && age <= interval.saturating_add(timeout)
        {
            self.fault = None;
            self.beating = Some(Status::True);
            self.well(ConditionKind::Beating, age, step);
        }
    }

    fn missed(&mut self, now: Mono, suspicion: &Suspicion, step: &mut Step) {
        let message = suspicion.message();
        let age = now.since(self.detector.last_life());
        self.beating = Some(Status::False);
        self.fault = Some((Cause::HeartbeatMissed, message.clone()));
        let evidence = self.with_log(suspicion.evidence());
        let cause = Some(Cause::HeartbeatMissed);
        claim(step, ConditionKind::Beating, Status::False, cause, &message, evidence, age);
        // Who is silent does not say any more that the rest still holds.
        for kind in [ConditionKind::Linked, ConditionKind::Reachable] {
            claim(step, kind, Status::Unknown, cause, &message, Evidence::new(), age);
        }
    }

    fn line(&mut self, text: &str) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(clip(text, MAX_LINE));
    }

    fn well(&self, kind: ConditionKind, age: Duration, step: &mut Step) {
        claim(step, kind, Status::True, None, "", Evidence::new(), age);
    }

    fn stuck(&mut self, doing: &str, cause: Cause, since: Duration, now: Now, step: &mut Step) {
        let message = format!(
            "{doing} for {} s, which should be done within {} s",
            since.as_secs(),
            self.config.connecting.as_secs_f64()
        );
        let verdict = Verdict { cause, weight: Weight::Fault, message, evidence: Evidence::new() };
        self.fault(now.mono, now.mono, &verdict, step);
    }

    /// Claims what a verdict says: of the link, and of the wire where it is to blame.
    fn fault(&mut self, now: Mono, at: Mono, verdict: &Verdict, step: &mut Step) {
        let age = now.since(at);
        let evidence = self.with_log(verdict.evidence.clone());
        let (status, wire) = match verdict.weight {
            Weight::Fault if verdict.blames_wire() => (Status::False, Status::False),
            Weight::Fault => (Status::False, Status::Unknown),
            Weight::After(..) => (Status::Unknown, Status::Unknown),
        };
        self.fault = Some((verdict.cause, verdict.message.clone()));
        let (cause, message) = (Some(verdict.cause), verdict.message.as_str());
        claim(step, ConditionKind::Linked, status, cause, message, evidence.clone(), age);
        claim(step, ConditionKind::Reachable, wire, cause, message, evidence, age);
        self.no_beats(age, step);
    }

    /// Without an open session there is no heartbeat to judge.
    fn no_beats(&mut self, age: Duration, step: &mut Step) {
        if self.beating.take().is_some() {
            let cause = Some(Cause::NotYetObserved);
            claim(step, ConditionKind::Beating, Status::Unknown, cause, "not open", Evidence::new(), age);
        }
    }

    /// Adds the last lines of the log.
    fn with_log(&self, mut evidence: Evidence) -> Evidence {
        let protocol = &self.registration.protocol_name;
        if !protocol.is_empty() {
            evidence.push(("protocol".to_owned(), protocol.clone()));
        }
        for line in self.lines.iter().rev() {
            evidence.push(("log".to_owned(), line.clone()));
        }
        evidence.truncate(MAX_EVIDENCE);
        evidence
    }

    fn judged(&self, closed: &Closed, at: Mono, open_for: Option<Duration>) -> Verdict {
        let context = Context {
            protocol: self.registration.protocol,
            at,
            open_for,
            history: &self.history,
            recent: &self.recent,
        };
        verdict::judge(closed, &context)
    }

    /// Puts the end of a session on record.
    fn ended(&mut self, session: &Session, at: Now, closed: &Closed, verdict: &Verdict, step: &mut Step) {
        let age = at.mono.since(session.since.mono);
        let code = closed.close_code.or_else(|| closed.code.and_then(|code| u16::try_from(code).ok()));
        let silent_for = at.mono.since(self.detector.last_life().max(session.since.mono));
        if session.opened {
            let remembered = Close {
                code: code.filter(|code| *code != 1006),
                reason: String::new(),
                by_us: false,
                age,
                silent_for,
                error: None,
            };
            self.recent.push(at.mono, &remembered);
        }
        let clean = closed.code.is_none() && matches!(closed.close_code, Some(1000 | 1001));
        step.closes.push(SessionClose {
            id: session.id(),
            source: Source::Report,
            // The keeper of the book puts its name in.
            instance: None,
            peer: session.peer.clone(),
            at: at.wall,
            age,
            silent_for,
            by: EndedBy::Unknown,
            code,
            cause: (!clean).then_some(verdict.cause),
            message: verdict.message.clone(),
        });
    }
}

fn claim(
    step: &mut Step,
    kind: ConditionKind,
    status: Status,
    cause: Option<Cause>,
    message: &str,
    evidence: Evidence,
    age: Duration,
) {
    let message = message.to_owned();
    step.claims.push(Claim { source: Source::Report, kind, status, cause, message, evidence, age });
}
