//! What is held against an instance: failures counted, verdicts reached, and what it takes to refute them.

use std::time::Duration;

use super::board::Finding;
use super::excuse::Excuse;
use super::pace::Urgency;
use super::session::{Away, Wire};
use super::{Step, Tracker, TrackerConfig};
use crate::cause::{Cause, Handling};
use crate::classify::{CloseVerdict, short};
use crate::condition::{ConditionKind, Evidence, Status};
use crate::handshake::Refusal;
use crate::time::Mono;

/// The gateway said that it is going away.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    at: Mono,
    pub(super) until: Mono,
}

/// The evidence against an instance since it was last proven well.
#[derive(Debug, Clone, Default)]
pub(super) struct Case {
    /// Failures in a row. Only proof clears them, not a handshake.
    failures: u32,
    /// The cause of the last failure, and how many in a row had it.
    latest: Option<(Cause, u32)>,
    /// The verdict: `Reachable` is False because of this.
    charge: Option<Charge>,
    /// Dials in a row that failed by our own fault.
    own: u32,
}

#[derive(Debug, Clone)]
struct Charge {
    cause: Cause,
    /// How long a session must last to refute it; `None` when any life does.
    outlive: Option<Duration>,
    /// Certain: what dials find does not replace it.
    fixed: bool,
}

impl Case {
    /// How long the next session must last to be proof.
    pub(super) fn proof(&self, config: &TrackerConfig) -> Duration {
        self.charge.as_ref().and_then(|c| c.outlive).unwrap_or(config.settle)
    }

    /// Whether the process's death is the verdict: certain, and not the canary's finding.
    pub(super) fn process_died(&self) -> bool {
        self.charge.as_ref().is_some_and(|c| c.fixed)
    }

    pub(super) fn life_is_proof(&self) -> bool {
        self.charge.as_ref().is_none_or(|c| c.outlive.is_none())
    }

    /// Counts a failure; how many in a row had this cause.
    pub(super) fn count(&mut self, cause: Cause) -> u32 {
        self.failures = self.failures.saturating_add(1);
        let same = match self.latest {
            Some((last, n)) if last == cause => n.saturating_add(1),
            _ => 1,
        };
        self.latest = Some((cause, same));
        same
    }
}

impl Tracker {
    /// Nothing is held against the instance any more.
    pub(super) fn acquit(&mut self) {
        self.case = Case::default();
        self.announced = None;
        // A disturbance is over when its end was reported and a session is well again.
        if !self.excuse.disturbed() {
            self.excuse = Excuse::None;
        }
    }

    pub(super) fn dial_failed(&mut self, refusal: Refusal, took: Duration, step: &mut Step<'_>) {
        let lag = match &mut self.wire {
            Wire::Away(away) => {
                away.silent = None;
                away.lag
            }
            Wire::Fresh | Wire::Proving(_) | Wire::Up(_) => Duration::ZERO,
        };
        let timed_out =
            matches!(refusal.cause, Cause::HandshakeTimedOut | Cause::ConnectTimedOut | Cause::NoFirstFrame);
        // A time-out of which a fifth was our own sleep says as much about us as about the gateway.
        if refusal.cause == Cause::ObserverStalled || (timed_out && !lag.is_zero() && lag >= took / 5) {
            return self.own_failure(&refusal, step);
        }
        self.case.own = 0;
        let evidence = vec![
            ("step".to_owned(), refusal.step.name().to_owned()),
            ("took".to_owned(), short(took)),
            ("attempts".to_owned(), self.case.failures.saturating_add(1).to_string()),
        ];
        let finding = Finding::new(refusal.cause, refusal.message, evidence);
        if self.excuse.active() {
            self.excuse.note(finding);
            return self.redial(Urgency::Base, step);
        }
        let same = self.case.count(finding.cause);
        let finding = self.relabel(finding, step.now.mono);
        self.pace.failures.failed(step.now.mono);
        let enough = if self.case.charge.is_some() { same } else { self.case.failures };
        if enough >= self.config.fall {
            self.charge(&finding, None, false, step);
        }
        self.redial_after(finding.cause, step);
    }

    /// Our own host failed. Nothing is learnt about the gateway; if it goes on, nothing is known any more.
    fn own_failure(&mut self, refusal: &Refusal, step: &mut Step<'_>) {
        self.case.own = self.case.own.saturating_add(1);
        if self.case.own >= self.config.fall && self.board.own(ConditionKind::Reachable) == Status::True {
            let finding = Finding::new(Cause::ObserverStalled, refusal.message.clone(), Evidence::new());
            for kind in [ConditionKind::Reachable, ConditionKind::Beating] {
                self.board.set(step.now, kind, Status::Unknown, Some(&finding), &mut step.fx);
            }
        }
        self.redial(Urgency::Base, step);
    }

    /// A session ended, not by our wish and not excused.
    pub(super) fn dropped(&mut self, verdict: CloseVerdict, step: &mut Step<'_>) {
        let now = step.now.mono;
        let drops = self.recent.within(self.config.drop_window, now);
        let mut evidence = verdict.evidence;
        evidence.push(("ends_of_late".to_owned(), drops.to_string()));
        if verdict.cause == Cause::GatewayRestarting {
            self.announced = Some(Announced { at: now, until: now.after(self.config.restart_grace) });
        }
        let finding = Finding::new(verdict.cause, verdict.message, evidence);
        if verdict.certain || drops >= self.config.drop_fall as usize {
            // A session refutes an idle limit by outliving it; half as long again allows for the pattern's tolerance.
            let outlive = verdict.idle_limit.map_or(Duration::ZERO, |limit| limit.saturating_add(limit / 2));
            self.charge(&finding, Some(outlive.max(self.config.settle_after_drop)), false, step);
        } else {
            self.blips = self.blips.saturating_add(1);
        }
        match verdict.cause {
            // Who goes away is not back in a moment.
            Cause::GatewayRestarting => self.redial(Urgency::Backoff, step),
            cause => self.redial_after(cause, step),
        }
    }

    fn redial_after(&mut self, cause: Cause, step: &mut Step<'_>) {
        let decided = self.case.charge.is_some();
        let urgency = match cause.handling() {
            _ if cause == Cause::RateLimited => Urgency::Restrained,
            Handling::Human if decided => Urgency::Slow,
            Handling::Human => Urgency::Backoff,
            _ if decided => Urgency::Backoff,
            _ => Urgency::Quick,
        };
        self.redial(urgency, step);
    }

    /// `Reachable` becomes False, or False for another reason.
    fn charge(&mut self, finding: &Finding, outlive: Option<Duration>, fixed: bool, step: &mut Step<'_>) {
        if self.case.charge.as_ref().is_some_and(|c| c.fixed) && !fixed {
            return;
        }
        // What a session was to refute stays to be refuted if the next failure is of a milder kind.
        let before = self.case.charge.as_ref().and_then(|c| c.outlive);
        self.case.charge = Some(Charge { cause: finding.cause, outlive: outlive.max(before), fixed });
        self.board.set(step.now, ConditionKind::Reachable, Status::False, Some(finding), &mut step.fx);
        // Without a session there is no heartbeat to judge: what matters is why there is none.
        self.board.set(step.now, ConditionKind::Beating, Status::Unknown, Some(finding), &mut step.fx);
    }

    /// Failures after an announced restart have that for a cause, until patience ends.
    fn relabel(&self, finding: Finding, now: Mono) -> Finding {
        match &self.announced {
            Some(announced) if now < announced.until && finding.cause.handling() != Handling::Human => {
                let ago = short(now.since(announced.at));
                let message = format!(
                    "the gateway announced {ago} ago that it goes away or restarts; now: {}",
                    finding.message
                );
                let mut evidence = finding.evidence;
                evidence.push(("failure".to_owned(), finding.cause.name().to_owned()));
                Finding::new(Cause::GatewayRestarting, message, evidence)
            }
            _ => finding,
        }
    }

    /// The announced restart takes too long: from now on, failures have their own cause.
    pub(super) fn announcement_passed(&mut self, step: &mut Step<'_>) {
        if self.announced.as_ref().is_some_and(|a| step.now.mono >= a.until) {
            self.announced = None;
            // The redial may be half a minute away by now; a look at once names the cause.
            if self.case.charge.as_ref().is_some_and(|c| c.cause == Cause::GatewayRestarting) {
                self.redial_if_away(Urgency::Base, step);
            }
        }
    }

    /// The grace has ended: what still fails is a fault now.
    pub(super) fn excuse_passed(&mut self, step: &mut Step<'_>) {
        let Some(failed) = self.excuse.advance(step.now.mono, &self.config) else { return };
        if !matches!(self.wire, Wire::Away(_)) {
            return;
        }
        match failed {
            Some(finding) => {
                self.case.failures = self.case.failures.max(self.config.fall);
                self.case.count(finding.cause);
                self.charge(&finding, None, false, step);
            }
            // A dial is under way that began in the grace: the grace was its second chance.
            None => self.case.failures = self.case.failures.max(self.config.fall - 1),
        }
    }

    /// An order is at work: what was known to be well is to be seen anew.
    pub(super) fn under_repair(&mut self, step: &mut Step<'_>) {
        let finding = Finding::under_repair();
        // What is not known to be well is no uninterrupted health.
        self.pace.failures.unhealthy(step.now.mono);
        for kind in [ConditionKind::Reachable, ConditionKind::Beating] {
            if self.board.own(kind) == Status::True {
                self.board.set(step.now, kind, Status::Unknown, Some(&finding), &mut step.fx);
            }
        }
        self.board.outdate(step.now, finding, &mut step.fx);
    }

    pub(super) fn process_started(&mut self, step: &mut Step<'_>) {
        if let Some(charge) = &mut self.case.charge {
            charge.fixed = false;
        }
        self.announced = None;
        if !self.config.dials {
            // No dial will refute what was held against the old process.
            self.case = Case::default();
            self.unobserved(step);
        }
        let finding = if self.excuse.disturbed() {
            Finding::under_repair()
        } else {
            let words = "the process was started; nothing has been seen of it since";
            Finding::new(Cause::NotYetObserved, words, Evidence::new())
        };
        self.board.outdate(step.now, finding, &mut step.fx);
        if !self.excuse.disturbed() {
            self.excuse = Excuse::Grace { until: step.now.mono.after(self.config.boot_grace), failed: None };
        }
        self.redial_if_away(Urgency::Now, step);
    }

    pub(super) fn process_exited(
        &mut self,
        code: Option<i32>,
        signal: Option<i32>,
        expected: bool,
        step: &mut Step<'_>,
    ) {
        let now = step.now.mono;
        if expected {
            if !self.excuse.active() {
                self.excuse = Excuse::Grace { until: now.after(self.config.disturbance_grace), failed: None };
            }
            return;
        }
        let text = |n: Option<i32>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
        let evidence = vec![("exit_code".to_owned(), text(code)), ("signal".to_owned(), text(signal))];
        let finding = match (signal, code) {
            (Some(signal), _) => Finding::new(
                Cause::ProcessKilled,
                format!("the process was killed by signal {signal}"),
                evidence,
            ),
            (None, Some(code)) => {
                Finding::new(Cause::ProcessExited, format!("the process exited with code {code}"), evidence)
            }
            (None, None) => Finding::new(Cause::ProcessExited, "the process ended", evidence),
        };
        if self.excuse.disturbed() {
            // Whoever disturbs will say when he is done; what is then missing is judged then.
            return;
        }
        self.excuse = Excuse::None;
        if let Some(open) = self.wire.open() {
            self.pace.ended(now.since(open.since), &self.config);
            self.wire = Wire::Away(Away { dial_at: now, silent: None, lag: Duration::ZERO });
            step.fx.close_session = true;
        }
        self.case.count(finding.cause);
        self.charge(&finding, None, true, step);
        self.pace.failures.failed(now);
        self.redial(Urgency::Backoff, step);
    }
}
