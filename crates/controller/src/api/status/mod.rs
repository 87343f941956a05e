//! The only place that makes errors for the wire: each with a code, a stable reason, and everything a program needs.
//!
//! Rules (AIP-193): exactly one `ErrorInfo` of the domain `mooring.v1`, whose reason is in [`Reason`]'s table and whose
//! metadata holds every value that varies, so that nobody has to take the text apart. Fields at fault stand in
//! `BadRequest`, states in `PreconditionFailure`, budgets in `QuotaFailure`; `RetryInfo` says when to ask again.
//! Messages are English; where a translation exists and was asked for, it is added as `LocalizedMessage`.
//!
//! What went wrong inside is nobody's business outside: it is logged once, here, under an id that the caller is told.

mod gates;
mod reason;

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use mooring_core::id::AgentId;
use mooring_core::limits::clip;
use mooring_proto::Invalid;
use mooring_runtime::auth::Denied;
use mooring_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

pub use gates::{gate_words, shut};
pub use reason::Reason;

use crate::link::{AskError, ExamineError};
use crate::orders::DeskError;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "mooring.v1";
/// Longest text of one error, bytes. Statuses travel in HTTP/2 trailers, whose size clients limit (often to 16 KiB).
const MAX_TEXT: usize = 1_024;
/// When to ask again while the database is away or the controller stops.
const SOON: Duration = Duration::from_secs(1);

type Metadata<'a> = &'a [(&'a str, &'a str)];

/// Builds a status around the details.
fn build(
    code: Code,
    reason: Reason,
    message: &str,
    metadata: Metadata<'_>,
    mut details: ErrorDetails,
) -> Status {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(k, v)| ((*k).to_owned(), clip(v, MAX_TEXT))).collect();
    details.set_error_info(reason.name(), DOMAIN, metadata);
    Status::with_error_details(code, clip(message, MAX_TEXT), details)
}

/// UNAUTHENTICATED.
#[must_use]
pub fn unauthenticated(denied: &Denied) -> Status {
    build(Code::Unauthenticated, Reason::Unauthenticated, &denied.to_string(), &[], ErrorDetails::new())
}

/// PERMISSION_DENIED.
pub fn permission_denied(reason: impl Into<Reason>, message: &str) -> Status {
    build(Code::PermissionDenied, reason.into(), message, &[("detail", message)], ErrorDetails::new())
}

/// ALREADY_EXISTS, with the values that vary.
pub fn already_exists(reason: impl Into<Reason>, message: &str, metadata: Metadata<'_>) -> Status {
    build(Code::AlreadyExists, reason.into(), message, metadata, ErrorDetails::new())
}

/// INVALID_ARGUMENT for one field.
#[must_use]
pub fn bad_field(field: &str, what: &str) -> Status {
    bad_field_for(Reason::InvalidField, field, what, &[])
}

/// INVALID_ARGUMENT for one field, with a reason of its own and further values that vary.
pub fn bad_field_for(reason: Reason, field: &str, what: &str, more: Metadata<'_>) -> Status {
    let mut metadata = vec![("field", field), ("problem", what)];
    metadata.extend_from_slice(more);
    let details = ErrorDetails::with_bad_request_violation(field, clip(what, MAX_TEXT));
    build(Code::InvalidArgument, reason, &format!("{field}: {what}"), &metadata, details)
}

/// INVALID_ARGUMENT for several fields: each with what is wrong with it. There must be at least one.
#[must_use]
pub fn bad_fields(problems: &[(String, String)]) -> Status {
    let mut details = ErrorDetails::new();
    for (field, what) in problems.iter().take(16) {
        details.add_bad_request_violation(field, clip(what, 256));
    }
    let text: Vec<String> = problems.iter().map(|(field, what)| format!("{field}: {what}")).collect();
    let metadata: Vec<(&str, &str)> =
        problems.iter().take(16).map(|(f, w)| (f.as_str(), w.as_str())).collect();
    build(Code::InvalidArgument, Reason::InvalidField, &text.join("; "), &metadata, details)
}

/// INVALID_ARGUMENT from a conversion.
#[must_use]
pub fn invalid(invalid: &Invalid) -> Status {
    bad_field(&invalid.field, &invalid.problem)
}

/// NOT_FOUND. `kind` is the resource's type (`Instance`), `name` its resource name.
#[must_use]
pub fn not_found(kind: &str, name: &str) -> Status {
    let message = format!("there is no {} {name}", kind.to_lowercase());
    let details = ErrorDetails::with_resource_info(format!("{DOMAIN}.{kind}"), name, "", message.as_str());
    build(Code::NotFound, Reason::ResourceNotFound, &message, &[("type", kind), ("name", name)], details)
}

/// FAILED_PRECONDITION: the `subject` is not in a state for it.
pub fn precondition(reason: Reason, subject: &str, message: &str, more: Metadata<'_>) -> Status {
    let mut metadata = vec![("name", subject)];
    metadata.extend_from_slice(more);
    let details =
        ErrorDetails::with_precondition_failure_violation(reason.name(), subject, clip(message, MAX_TEXT));
    build(Code::FailedPrecondition, reason, message, &metadata, details)
}

/// ABORTED: the etag is not the current one.
#[must_use]
pub fn etag_mismatch(name: &str, given: &str, current: Option<&str>) -> Status {
    let now = current.map_or_else(String::new, |c| format!("; the current one is {c}"));
    let message =
        format!("{name} was changed meanwhile: etag {given} is not its current version{now}; read it again");
    let mut metadata = vec![("name", name), ("etag", given)];
    metadata.extend(current.map(|c| ("current_etag", c)));
    build(Code::Aborted, Reason::EtagMismatch, &message, &metadata, ErrorDetails::new())
}

/// RESOURCE_EXHAUSTED for a limit of this controller, with when to try again where that is known.
pub fn exhausted(reason: impl Into<Reason>, message: &str, retry: Option<Duration>) -> Status {
    let reason = reason.into();
    let mut details = ErrorDetails::with_quota_failure_violation(reason.name(), message);
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    build(Code::ResourceExhausted, reason, message, &[("detail", message)], details)
}

/// OUT_OF_RANGE: a watch cannot go on from where it was.
#[must_use]
pub fn watch_too_old(why: &str) -> Status {
    let message = format!("{why}; watch again without a resume token");
    build(Code::OutOfRange, Reason::WatchPositionTooOld, &message, &[("detail", why)], ErrorDetails::new())
}

/// UNAVAILABLE: the database is away.
#[must_use]
pub fn database_away() -> Status {
    let message =
        "the database is away: nothing can be changed until it is back, and what is shown is from memory";
    build(Code::Unavailable, Reason::DatabaseAway, message, &[], ErrorDetails::with_retry_info(Some(SOON)))
}

/// An agent did not answer a question about its sessions.
#[must_use]
pub fn unanswered(error: &AskError) -> Status {
    let message = error.to_string();
    match error {
        AskError::Busy(_) => exhausted(Reason::AgentBusy, &message, Some(SOON)),
        AskError::Unable(agent) => {
            precondition(Reason::AgentTooOld, &format!("agents/{agent}"), &message, &[])
        }
        AskError::NotAttached(agent) => no_answer(Reason::AgentNotAttached, agent, &message),
        AskError::Late(agent, _) | AskError::Gone(agent) | AskError::Declined { agent, .. } => {
            no_answer(Reason::AgentNoAnswer, agent, &message)
        }
    }
}

/// An agent does not examine, or did not come to an end.
#[must_use]
pub fn unexamined(error: &ExamineError) -> Status {
    let message = error.to_string();
    match error {
        ExamineError::Busy(_) => exhausted(Reason::AgentBusy, &message, Some(SOON)),
        ExamineError::Unable(agent) => {
            precondition(Reason::AgentTooOld, &format!("agents/{agent}"), &message, &[])
        }
        ExamineError::NotAttached(agent) => no_answer(Reason::AgentNotAttached, agent, &message),
        ExamineError::Late(agent, _) | ExamineError::Gone(agent) => {
            no_answer(Reason::AgentNoAnswer, agent, &message)
        }
        // What passes by itself is a limit; what does not is somebody's to change.
        ExamineError::Declined { declined, .. } if declined.retry_after.is_some() => {
            exhausted(Reason::AgentBusy, &message, declined.retry_after)
        }
        ExamineError::Declined { agent, declined } => {
            let subject = format!("agents/{agent}");
            precondition(Reason::ExaminationRefused, &subject, &message, &[("detail", &declined.why)])
        }
    }
}

fn no_answer(reason: Reason, agent: &AgentId, message: &str) -> Status {
    let metadata = [("agent", agent.as_str()), ("detail", message)];
    build(Code::Unavailable, reason, message, &metadata, ErrorDetails::with_retry_info(Some(SOON)))
}

/// UNAVAILABLE: the controller is stopping.
#[must_use]
pub fn stopping() -> Status {
    let message = "the controller is stopping; try again in a moment";
    build(Code::Unavailable, Reason::Stopping, message, &[], ErrorDetails::with_retry_info(Some(SOON)))
}

/// DEADLINE_EXCEEDED: the answer did not begin in time.
#[must_use]
pub fn timed_out(limit: Duration) -> Status {
    let limit = limit.as_secs().to_string();
    let message = format!(
        "no answer within {limit} s; what was asked for may still happen, so look before asking again"
    );
    let metadata = [("limit_seconds", limit.as_str())];
    build(Code::DeadlineExceeded, Reason::DeadlineExceeded, &message, &metadata, ErrorDetails::new())
}

/// What the store said.
#[must_use]
pub fn store(error: &StoreError) -> Status {
    match error {
        // Why it is away may name hosts; the log has it.
        StoreError::Away(_) => database_away(),
        StoreError::Conflict(what) => {
            let message = format!("changed meanwhile: {what}; read again");
            build(Code::Aborted, Reason::ConcurrentChange, &message, &[("detail", what)], ErrorDetails::new())
        }
        StoreError::Broken(_) => internal(error),
    }
}

/// What the desk said about an order of this name.
#[must_use]
pub fn desk(error: &DeskError, name: &str) -> Status {
    match error {
        DeskError::Store(e) => store(e),
        DeskError::NoOrder(_) => not_found("Order", name),
        DeskError::Illegal(e) => {
            let message = format!("{name} is {}: {}", e.state, e.why);
            precondition(Reason::OrderState, name, &message, &[("state", e.state.name()), ("detail", &e.why)])
        }
        DeskError::Stopping => stopping(),
    }
}

/// INTERNAL: an opaque text with an id; the chain is logged under it, once.
#[must_use]
pub fn internal(error: &dyn Error) -> Status {
    let id = Uuid::new_v4().simple().to_string();
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    tracing::error!(error.id = %id, error = %chain, "a call failed inside");
    let message = format!("an internal error; the controller's log has it under {id}");
    build(Code::Internal, Reason::Internal, &message, &[("id", &id)], ErrorDetails::new())
}

/// A status that the transport made (unknown method, undecodable request, time limit), given the `ErrorInfo` that every
/// error carries. One that has details already is returned as it is.
#[must_use]
pub fn complete(status: Status) -> Status {
    if status.code() == Code::Ok || !status.details().is_empty() {
        return status;
    }
    let reason = match status.code() {
        Code::Unimplemented => Reason::MethodUnknown,
        Code::ResourceExhausted | Code::OutOfRange => Reason::LimitExceeded,
        Code::DeadlineExceeded | Code::Cancelled => Reason::DeadlineExceeded,
        Code::Unavailable => Reason::Stopping,
        _ => Reason::MalformedRequest,
    };
    let message = match (reason, status.message()) {
        (Reason::MethodUnknown, "") => "there is no such method here",
        (_, text) => text,
    };
    build(status.code(), reason, message, &[("detail", message)], ErrorDetails::new())
}

#[cfg(test)]
mod tests;
