//! The five conditions of an instance. [`Board::set`] is the one place where a condition ever changes.

use crate::cause::Cause;
use crate::condition::{Condition, ConditionKind, Evidence, Status};
use crate::limits::{MAX_EVIDENCE, MAX_EVIDENCE_KEY, MAX_EVIDENCE_VALUE, MAX_MESSAGE, clip};
use crate::time::{Now, Timestamp};

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

    fn bounded(&self) -> (String, Evidence) {
        let entry = |(k, v): &(String, String)| (clip(k, MAX_EVIDENCE_KEY), clip(v, MAX_EVIDENCE_VALUE));
        (clip(&self.message, MAX_MESSAGE), self.evidence.iter().take(MAX_EVIDENCE).map(entry).collect())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Board([Condition; 5]);

impl Board {
    pub(super) fn new(at: Timestamp) -> Self {
        let mut conditions = ConditionKind::ALL.map(|kind| Condition::unobserved(kind, at));
        for kind in [ConditionKind::Linked, ConditionKind::Delivering] {
            conditions[kind.index()].cause = Some(Cause::NotObservable);
        }
        Self(conditions)
    }

    pub(super) fn all(&self) -> &[Condition; 5] {
        &self.0
    }

    pub(super) fn status(&self, kind: ConditionKind) -> Status {
        self.0[kind.index()].status
    }

    /// Sets a condition; without effect when status and cause stay as they are.
    pub(super) fn set(
        &mut self,
        now: Now,
        kind: ConditionKind,
        status: Status,
        why: Option<&Finding>,
        fx: &mut Effects,
    ) {
        let slot = &mut self.0[kind.index()];
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
