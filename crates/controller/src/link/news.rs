//! What is news in a condition, and how it is told.

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, Status};
use mooring_core::id::InstanceRef;
use mooring_core::time::Timestamp;
use mooring_proto::link::ConditionChange;
use mooring_store::{EventKind, NewEvent};

/// Whether it only says that nothing has been or can be observed: where nothing was known before, that is no event.
pub(super) fn says_nothing(c: &Condition) -> bool {
    c.status == Status::Unknown
        && matches!(c.cause, None | Some(Cause::NotYetObserved | Cause::NotObservable))
}

/// Whether two say the same, the trace that led to them aside.
pub(super) fn same(known: &Condition, told: &Condition) -> bool {
    let facts = known.evidence.iter().filter(|(k, _)| k != super::TRACE_EVIDENCE);
    !known.differs(told)
        && known.message == told.message
        && known.since == told.since
        && facts.eq(told.evidence.iter())
}

pub(super) fn event(name: &InstanceRef, row: &ConditionChange, now: Timestamp) -> NewEvent {
    let c: &Condition = &row.condition;
    let message = match (c.cause, c.message.is_empty()) {
        (Some(cause), true) => format!("{} is {}: {cause}", c.kind, c.status),
        (Some(cause), false) => format!("{} is {}: {cause}: {}", c.kind, c.status, c.message),
        (None, true) => format!("{} is {}", c.kind, c.status),
        (None, false) => format!("{} is {}: {}", c.kind, c.status, c.message),
    };
    NewEvent {
        at: now,
        kind: EventKind::Condition,
        subject: name.to_string(),
        message: mooring_core::limits::clip(&message, mooring_core::limits::MAX_MESSAGE),
        condition: Some((c.kind, c.status)),
        cause: c.cause,
        evidence: c.evidence.clone(),
        // traceparent: version-trace-span-flags, checked when it was decoded.
        trace_id: row.traceparent.as_deref().and_then(|t| t.split('-').nth(1)).map(str::to_owned),
    }
}
