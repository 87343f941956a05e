//! The life of a session as the tracker sees it: opened, proven, silent, ended.

use std::time::Duration;

use super::board::Finding;
use super::pace::Urgency;
use super::{LATE, Step, Tracker};
use crate::cause::Cause;
use crate::classify::cause_of_close;
use crate::condition::{ConditionKind, Status};
use crate::handshake::HandshakeReport;
use crate::observation::Close;
use crate::time::Mono;

/// How the instance is connected.
#[derive(Debug, Clone)]
pub(super) enum Wire {
    /// Nothing was tried yet.
    Fresh,
    /// No session; a dial is planned or under way.
    Away(Away),
    /// A session is open and has yet to refute what is held against the instance.
    Proving(Open),
    /// A session is open and `Reachable` is True.
    Up(Open),
}

#[derive(Debug, Clone)]
pub(super) struct Away {
    pub(super) dial_at: Mono,
    /// Set when the last session was closed for its silence and no dial has failed since: should the next succeed, the
    /// silence was a mistake of the detector.
    pub(super) silent: Option<Mono>,
    /// How long the observer was held up since this dial was planned.
    pub(super) lag: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) since: Mono,
    /// Whether anything has arrived in this session.
    pub(super) heard: bool,
    /// When its mere duration is proof.
    pub(super) proven_at: Mono,
}

impl Wire {
    pub(super) fn open(&self) -> Option<&Open> {
        match self {
            Self::Proving(open) | Self::Up(open) => Some(open),
            Self::Fresh | Self::Away(_) => None,
        }
    }
}

impl Tracker {
    pub(super) fn handshake(&mut self, report: HandshakeReport, step: &mut Step<'_>) {
        self.pace.dialled(step.now.mono);
        match report.outcome {
            Ok(_) => self.opened(step.now.mono),
            // A one-shot examination may fail while the watched session stands; that session is the better witness.
            Err(_) if self.wire.open().is_some() => {}
            Err(refusal) => self.dial_failed(refusal, report.took, step),
        }
    }

    fn opened(&mut self, now: Mono) {
        if let Wire::Away(away) = &self.wire
            && away.silent.is_some()
            && !self.excuse.active()
        {
            self.detector.mistaken(now);
        }
        self.sessions = self.sessions.saturating_add(1);
        self.detector.opened(now);
        let proven_at = now.after(self.case.proof(&self.config));
        self.wire = Wire::Proving(Open { since: now, heard: false, proven_at });
    }

    /// Something arrived in the open session.
    pub(super) fn heard(&mut self, step: &mut Step<'_>) {
        if self.wire.open().is_some_and(|open| self.excuse.outdates(open.since)) {
            return;
        }
        match &mut self.wire {
            Wire::Fresh | Wire::Away(_) => return,
            Wire::Proving(open) => {
                open.heard = true;
                if self.case.life_is_proof() {
                    self.proven(step);
                }
            }
            Wire::Up(open) => open.heard = true,
        }
        if matches!(self.wire, Wire::Up(_)) {
            // Up, and yet not True: it was under repair, and this is the first life since.
            self.board.set(step.now, ConditionKind::Reachable, Status::True, None, &mut step.fx);
            self.board.set(step.now, ConditionKind::Beating, Status::True, None, &mut step.fx);
        }
    }

    /// The open session has refuted what was held against the instance. The only way to `Up`.
    fn proven(&mut self, step: &mut Step<'_>) {
        let Wire::Proving(open) = &self.wire else { return };
        let open = open.clone();
        let heard = open.heard;
        self.wire = Wire::Up(open);
        self.acquit();
        self.board.set(step.now, ConditionKind::Reachable, Status::True, None, &mut step.fx);
        if heard {
            self.board.set(step.now, ConditionKind::Beating, Status::True, None, &mut step.fx);
        }
    }

    /// Whether the session has lasted long enough.
    pub(super) fn session_passed(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        let Wire::Proving(open) = &mut self.wire else { return };
        if now < open.proven_at || self.excuse.outdates(open.since) {
            return;
        }
        if now.since(open.proven_at) > LATE {
            // We slept through it: the session's end may be waiting unread.
            open.proven_at = now.after(self.config.detector.drain);
            return;
        }
        self.proven(step);
    }

    /// Whether the session has been silent for too long.
    pub(super) fn silence_passed(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        let Some(open) = self.wire.open() else { return };
        let (age, heard) = (now.since(open.since), open.heard);
        let Some(suspicion) = self.detector.check(now).suspicion().copied() else { return };
        step.fx.close_session = true;
        self.pace.ended(age, &self.config);
        self.wire = Wire::Away(Away { dial_at: now, silent: Some(now), lag: Duration::ZERO });
        if self.excuse.active() {
            return self.redial(Urgency::Base, step);
        }
        let finding = Finding::new(Cause::HeartbeatMissed, suspicion.message(), suspicion.evidence());
        if self.board.own(ConditionKind::Reachable) != Status::False {
            self.board.set(step.now, ConditionKind::Beating, Status::False, Some(&finding), &mut step.fx);
        }
        self.case.count(finding.cause);
        self.pace.failures.failed(now);
        // A gateway that opens sessions and is silent from the first moment earns no haste.
        let lived = heard && age >= self.config.quick_min_age;
        self.redial(if lived { Urgency::Now } else { Urgency::Backoff }, step);
    }

    pub(super) fn closed(&mut self, close: &Close, step: &mut Step<'_>) {
        let now = step.now.mono;
        let Some(open) = self.wire.open() else { return };
        self.pace.ended(now.since(open.since), &self.config);
        self.wire = Wire::Away(Away { dial_at: now, silent: None, lag: Duration::ZERO });
        let verdict = cause_of_close(close, &self.recent);
        if close.by_us && verdict.cause == Cause::SessionLost {
            return self.redial(Urgency::Quick, step);
        }
        if self.excuse.active() {
            return self.redial(Urgency::Base, step);
        }
        // While we slept, our own pongs were late: the peer had reason to give us up.
        if self.lagged.is_some_and(|(at, lag)| lag >= LATE && now.since(at) <= LATE) {
            return self.redial(Urgency::Quick, step);
        }
        // What we closed for a violation is an end all the same, and counts.
        self.recent.push(now, &Close { by_us: false, ..close.clone() });
        self.pace.failures.failed(now);
        self.dropped(verdict, step);
    }
}
