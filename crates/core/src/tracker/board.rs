//! The five conditions of an instance, put together from the canary's own judgement and the claims of other watchers.
//! [`Board::set`] and [`Board::claim`] change what is held, `show` is the one place where a condition ever changes.
//!
//! How opinions are put together: any False counts, the canary's before the others' (it dials, and so knows more about
//! the way in), then in the order of [`Source`]; else any True; else Unknown. One watcher that sees nothing wrong does not
//! refute another that does: they look at different sessions.

use crate::cause::Cause;
use crate::condition::{Condition, ConditionKind, Evidence, Status};
use crate::limits::{MAX_EVIDENCE, MAX_EVIDENCE_KEY, MAX_EVIDENCE_VALUE, MAX_MESSAGE, clip};
use crate::observation::Claim;
use crate::session::Source;
use crate::time::{Mono, Now, Timestamp};

use super::effects::{Effects, Transition};

/// Why a condition is not True: cause, words, facts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) message: String,
    pub(super) evidence: Evidence,
}

impl Finding {
    pub(super) fn new(cause: Cause, message: impl Into<String>, evidence: Evidence) -> Self {
        Self { cause, message: message.into(), evidence }
    }

    pub(super) fn under_repair() -> Self {
        Self::new(Cause::UnderRepair, "an order is being carried out", Evidence::new())
    }

    fn bounded(&self) -> (String, Evidence) {
        let entry = |(k, v): &(String, String)| (clip(k, MAX_EVIDENCE_KEY), clip(v, MAX_EVIDENCE_VALUE));
        (clip(&self.message, MAX_MESSAGE), self.evidence.iter().take(MAX_EVIDENCE).map(entry).collect())
    }
}

/// What one watcher holds of one condition.
#[derive(Debug, Clone)]
struct Opinion {
    status: Status,
    why: Option<Finding>,
}

#[derive(Debug, Clone)]
struct Claimed {
    source: Source,
    kind: ConditionKind,
    /// When the newest fact behind it was.
    of: Mono,
    opinion: Opinion,
}

#[derive(Debug, Clone)]
pub(super) struct Board {
    shown: [Condition; 5],
    /// The canary's own.
    own: [Opinion; 5],
    /// At most one per source and kind.
    claims: Vec<Claimed>,
    /// An order or a process began then: claims of health from before prove nothing. With what to say meanwhile.
    outdated: Option<(Mono, Finding)>,
    /// Failures are excused now: claims of sickness wait.
    excused: bool,
}

impl Board {
    pub(super) fn new(at: Timestamp) -> Self {
        let mut shown = ConditionKind::ALL.map(|kind| Condition::unobserved(kind, at));
        for kind in [ConditionKind::Linked, ConditionKind::Delivering] {
            shown[kind.index()].cause = Some(Cause::NotObservable);
        }
        let own = shown.each_ref().map(|c| Opinion {
            status: Status::Unknown,
            why: c.cause.map(|cause| Finding::new(cause, "", Evidence::new())),
        });
        Self { shown, own, claims: Vec::new(), outdated: None, excused: false }
    }

    pub(super) fn all(&self) -> &[Condition; 5] {
        &self.shown
    }

    pub(super) fn status(&self, kind: ConditionKind) -> Status {
        self.shown[kind.index()].status
    }

    /// What the canary alone holds.
    pub(super) fn own(&self, kind: ConditionKind) -> Status {
        self.own[kind.index()].status
    }

    /// The canary's judgement.
    pub(super) fn set(
        &mut self,
        now: Now,
        kind: ConditionKind,
        status: Status,
        why: Option<&Finding>,
        fx: &mut Effects,
    ) {
        let own = &mut self.own[kind.index()];
        if own.status == status && own.why.as_ref().map(|f| f.cause) == why.map(|f| f.cause) {
            return;
        }
        *own = Opinion { status, why: why.cloned() };
        self.show(now, kind, fx);
    }

    /// Another watcher's claim.
    pub(super) fn claim(&mut self, now: Now, claim: Claim, fx: &mut Effects) {
        let Claim { source, kind, status, cause, message, evidence, age } = claim;
        let why = (status != Status::True)
            .then(|| Finding::new(cause.unwrap_or(Cause::NotYetObserved), message, evidence));
        let of = now.mono.before(age);
        let claimed = Claimed { source, kind, of, opinion: Opinion { status, why } };
        match self.claims.iter_mut().find(|c| c.source == source && c.kind == kind) {
            Some(known) => *known = claimed,
            None => {
                self.claims.push(claimed);
                self.claims.sort_by_key(|c| c.source);
            }
        }
        self.show(now, kind, fx);
    }

    /// A watcher is gone, and its claims with it.
    pub(super) fn withdraw(&mut self, now: Now, source: Source, fx: &mut Effects) {
        self.claims.retain(|c| c.source != source);
        self.show_all(now, fx);
    }

    /// An order begins, or a process: health is to be claimed anew, from facts since then.
    pub(super) fn outdate(&mut self, now: Now, why: Finding, fx: &mut Effects) {
        self.outdated = Some((now.mono, why));
        self.show_all(now, fx);
    }

    /// Whether failures are excused from now on.
    pub(super) fn excuse(&mut self, now: Now, excused: bool, fx: &mut Effects) {
        if self.excused != excused {
            self.excused = excused;
            self.show_all(now, fx);
        }
    }

    fn show_all(&mut self, now: Now, fx: &mut Effects) {
        for kind in ConditionKind::ALL {
            self.show(now, kind, fx);
        }
    }

    /// Whether a claim must wait: for a fact since the order began, or for the excuse to end.
    fn waits(&self, claim: &Claimed) -> bool {
        match claim.opinion.status {
            Status::True => self.outdated.as_ref().is_some_and(|(began, _)| claim.of <= *began),
            Status::False => self.excused,
            Status::Unknown => false,
        }
    }

    fn show(&mut self, now: Now, kind: ConditionKind, fx: &mut Effects) {
        let own = &self.own[kind.index()];
        let mut best = own.clone();
        for claim in self.claims.iter().filter(|c| c.kind == kind) {
            let opinion = if self.waits(claim) {
                let why = self.outdated.as_ref().map_or_else(Finding::under_repair, |(_, why)| why.clone());
                Opinion { status: Status::Unknown, why: Some(why) }
            } else {
                claim.opinion.clone()
            };
            let better = match (opinion.status, best.status) {
                (Status::False, Status::True | Status::Unknown) | (Status::True, Status::Unknown) => true,
                // A reason says more than "nobody has looked" and "cannot be seen".
                (Status::Unknown, Status::Unknown) => !says(&best) && says(&opinion),
                _ => false,
            };
            if better {
                best = opinion;
            }
        }
        self.put(now, kind, best.status, best.why.as_ref(), fx);
    }

    /// Shows a condition; without effect when status and cause stay as they are.
    fn put(
        &mut self,
        now: Now,
        kind: ConditionKind,
        status: Status,
        why: Option<&Finding>,
        fx: &mut Effects,
    ) {
        let slot = &mut self.shown[kind.index()];
        let cause = why.map(|f| f.cause);
        if slot.status == status && slot.cause == cause {
            return;
        }
        let (message, evidence) = why.map(Finding::bounded).unwrap_or_default();
        let from = slot.status;
        let since = if from == status { slot.since } else { now.wall };
        *slot = Condition { kind, status, cause, message, evidence, since };
        fx.transitions.push(Transition { kind, from, to: status, cause, at: now.wall });
        fx.changes.retain(|c| c.kind != kind);
        fx.changes.push(slot.clone());
    }
}

/// Whether an Unknown has a reason that is worth showing.
fn says(opinion: &Opinion) -> bool {
    let dull = [Cause::NotYetObserved, Cause::NotObservable];
    opinion.why.as_ref().is_some_and(|f| !dull.contains(&f.cause))
}
