//! The decisions every store takes alike: which request is the same one again, when a
//! refusal is worth an event, which writes of a batch apply.
//!
//! They stand here, pure, so that the in-memory store of the simulation and the Postgres one cannot differ in them: an
//! implementation reads rows, asks these functions, and writes rows.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::gate::{Gate, PastOrder, PauseScope, Verdict};
use mooring_core::id::{OrderId, PolicyId, Target};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::order::{Order, Proposal};
use mooring_core::time::{Timestamp, human};

use crate::{Ask, EventKind, NewEvent, OrderWrite};

/// Refusals of one gate on one target that are at most this far apart are one series: one event, however often asked.
pub const REFUSAL_SERIES: Duration = Duration::from_secs(600);

/// How many of a target's latest orders the gates look at. One at a time is live, so the newest few always reach back
/// to the last that ended.
pub const ORDERS_LOOKED_AT: usize = 32;

/// How many restarts within a window the gates are told of at most; far above any budget.
pub const RESTARTS_LOOKED_AT: usize = 256;

/// How many ends of sessions are kept of one gateway, the newest.
pub const CLOSES_KEPT: usize = 1_000;

/// The event of an order that was made.
#[must_use]
pub fn order_made(order: &Order) -> NewEvent {
    let p = &order.proposal;
    let mut evidence =
        vec![("order".to_owned(), order.id.to_string()), ("fence".to_owned(), order.fence.0.to_string())];
    if !p.action.proven_by_receipt() {
        evidence.push(("expect".to_owned(), p.expect.name().to_owned()));
    }
    if let Some(spread) = p.spread {
        evidence.push(("spread".to_owned(), human::format(spread)));
    }
    NewEvent {
        at: order.created_at,
        kind: EventKind::Order,
        subject: p.target.to_string(),
        message: clip(&format!("{} ordered by {}: {}", p.action, p.origin, p.reason), MAX_MESSAGE),
        condition: None,
        cause: p.cause,
        evidence,
        trace_id: p.traceparent.as_deref().and_then(trace_id),
    }
}

/// The event of a refusal by these gates.
#[must_use]
pub fn refused(ask: &Ask, shut: &[&Verdict]) -> NewEvent {
    let p = &ask.proposal;
    let reasons: Vec<String> = shut.iter().map(|v| format!("{}: {}", v.gate.name(), v.message)).collect();
    NewEvent {
        at: ask.now,
        kind: EventKind::Refusal,
        subject: p.target.to_string(),
        message: clip(&format!("{} not ordered; {}", p.action, reasons.join("; ")), MAX_MESSAGE),
        condition: None,
        cause: p.cause,
        evidence: shut.iter().map(|v| (v.gate.name().to_owned(), v.message.clone())).collect(),
        trace_id: p.traceparent.as_deref().and_then(trace_id),
    }
}

/// Whether a refusal begins a series, given when the same gate last refused the same target.
#[must_use]
pub fn begins_series(last_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_at.is_none_or(|last| now.since(last) > REFUSAL_SERIES)
}

/// The gate with this stable name.
#[must_use]
pub fn gate_named(name: &str) -> Option<Gate> {
    Gate::ALL.into_iter().find(|g| g.name() == name)
}

/// Whether two proposals under one request id ask for the same thing. What the controller adds by itself (cause, run of
/// the process, trace) may differ between two tries of one request.
#[must_use]
pub fn same_request(a: &Proposal, b: &Proposal) -> bool {
    a.target == b.target
        && a.action == b.action
        && a.origin == b.origin
        && a.reason == b.reason
        && a.spread == b.spread
}

/// Whether a live order on `other` stands in the way of one on `target`: the same target, or one is the gateway of the
/// other. Whose a session is need not be known, so an instance and a session never stand in each other's way.
#[must_use]
pub fn conflicts(target: &Target, other: &Target) -> bool {
    match (target, other) {
        (Target::Gateway(_), _) | (_, Target::Gateway(_)) => target.gateway() == other.gateway(),
        (Target::Instance(_) | Target::Session(_), Target::Instance(_) | Target::Session(_)) => {
            target == other
        }
    }
}

/// What the gates need of an order.
#[must_use]
pub fn past(order: &Order) -> PastOrder {
    PastOrder {
        id: order.id,
        action: order.proposal.action,
        state: order.state,
        created_at: order.created_at,
        ended_at: order.ended_at,
    }
}

/// The trace id within a W3C `traceparent` (version 00: `00-<32 hex>-<16 hex>-<2 hex>`).
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<String> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// The stored form of a pause's scope: `*`, `policies/{id}`, or the target's name.
#[must_use]
pub fn scope_text(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "*".to_owned(),
        PauseScope::Group(group) => format!("policies/{group}"),
        PauseScope::Target(target) => target.to_string(),
    }
}

/// The scope with this stored form.
#[must_use]
pub fn scope_from_text(text: &str) -> Option<PauseScope> {
    if text == "*" {
        return Some(PauseScope::All);
    }
    if let Some(group) = text.strip_prefix("policies/") {
        return PolicyId::new(group).ok().map(PauseScope::Group);
    }
    text.parse().ok().map(PauseScope::Target)
}

/// What becomes of one write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It applies.
    Applies,
    /// It had been done already: nothing to write, nothing to remember again.
    Already,
    /// The order has another version, or there is none.
    Other,
}

/// Goes through the writes in order, over the orders as stored. Afterwards `stored` holds the orders as they are to be.
pub fn settle(stored: &mut BTreeMap<OrderId, Order>, writes: &[OrderWrite]) -> Vec<Settled> {
    let one = |write: &OrderWrite| match stored.get_mut(&write.order.id) {
        Some(current) if current.version == write.previous => {
            *current = write.order.clone();
            Settled::Applies
        }
        Some(current) if *current == write.order => Settled::Already,
        _ => Settled::Other,
    };
    writes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_taken_from_a_sound_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        for bad in ["", "00", "00-xyz-1-2", &format!("00-{}-1-2", "g".repeat(32))] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn scopes_round_trip() {
        for text in ["*", "policies/lines", "agents/a/gateways/g", "agents/a/gateways/g/instances/i"] {
            assert_eq!(scope_text(&scope_from_text(text).unwrap()), text);
        }
        assert_eq!(scope_from_text("policies/UP"), None);
    }

    #[test]
    fn orders_conflict_across_a_gateway_and_its_instances_only() {
        let t = |s: &str| s.parse::<Target>().unwrap();
        let (g, x, y) = (
            t("agents/a/gateways/g"),
            t("agents/a/gateways/g/instances/x"),
            t("agents/a/gateways/g/instances/y"),
        );
        assert!(conflicts(&g, &g) && conflicts(&g, &x) && conflicts(&x, &g) && conflicts(&x, &x));
        assert!(!conflicts(&x, &y) && !conflicts(&g, &t("agents/a/gateways/h")));
        let (one, two) = (t("agents/a/gateways/g/sessions/r1"), t("agents/a/gateways/g/sessions/r2"));
        assert!(conflicts(&one, &one) && conflicts(&one, &g) && conflicts(&g, &one));
        assert!(!conflicts(&one, &two) && !conflicts(&one, &x) && !conflicts(&x, &one));
        assert!(!conflicts(&one, &t("agents/a/gateways/h")));
    }

    #[test]
    fn a_series_of_refusals_ends_with_a_pause_in_it() {
        let now = Timestamp(10_000_000_000);
        assert!(begins_series(None, now));
        assert!(!begins_series(Some(now.before(REFUSAL_SERIES)), now));
        assert!(begins_series(Some(now.before(REFUSAL_SERIES + Duration::from_secs(1))), now));
    }
}
