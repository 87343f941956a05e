//! Conversions of the operator API: what core knows, as `mooring.v1` shows it, and what operators send, checked.
//!
//! Only what core alone can answer is here. Resources that are put together from the store and the controller's memory
//! (agents, gateways, instances, events) are built by the controller from these pieces.

pub mod diagnosis;
mod order;
mod policy;
mod session;

pub use order::{
    action, action_from, order, order_name, order_name_from, order_state, pause, pause_name_from, scope,
    scope_from, verdict,
};
pub use policy::{MASK_PATHS, policy, policy_from, policy_name, policy_name_from};
pub use session::{
    session, session_close, session_counts, session_name, session_source, session_state, session_summary,
};

use mooring_core::condition::{Condition, Status};
use mooring_core::phase::Phase;

use crate::{timestamp, v1};

/// A phase.
#[must_use]
pub fn phase(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Unknown => v1::Phase::Unknown,
        Phase::Healthy => v1::Phase::Healthy,
        Phase::Degraded => v1::Phase::Degraded,
        Phase::Down => v1::Phase::Down,
        Phase::Flapping => v1::Phase::Flapping,
        Phase::NeedsHuman => v1::Phase::NeedsHuman,
    }
}

/// An answer.
#[must_use]
pub fn status(status: Status) -> v1::ConditionStatus {
    match status {
        Status::Unknown => v1::ConditionStatus::Unknown,
        Status::False => v1::ConditionStatus::False,
        Status::True => v1::ConditionStatus::True,
    }
}

/// A condition with its evidence.
#[must_use]
pub fn condition(c: &Condition) -> v1::Condition {
    v1::Condition {
        r#type: c.kind.name().to_owned(),
        status: status(c.status).into(),
        cause: c.cause.map_or_else(String::new, |cause| cause.name().to_owned()),
        message: c.message.clone(),
        since_time: Some(timestamp(c.since)),
        evidence: evidence(&c.evidence),
    }
}

/// Facts.
#[must_use]
pub fn evidence(facts: &[(String, String)]) -> Vec<v1::Evidence> {
    facts.iter().map(|(key, value)| v1::Evidence { key: key.clone(), value: value.clone() }).collect()
}

/// A version as an etag, in the quoted form of RFC 9110, section 8.8.3.
#[must_use]
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version in an etag; the quotes may be left out, since typing them inside JSON is no joy. `None`: it is none of
/// ours.
#[must_use]
pub fn etag_from(etag: &str) -> Option<u64> {
    let bare = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag);
    (!bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit())).then(|| bare.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_round_trip_with_and_without_quotes() {
        assert_eq!(etag(7), "\"7\"");
        assert_eq!((etag_from("\"7\""), etag_from("7")), (Some(7), Some(7)));
        for bad in ["", "\"", "\"\"", "+7", "x", "7\"", "99999999999999999999"] {
            assert_eq!(etag_from(bad), None, "{bad}");
        }
    }
}
