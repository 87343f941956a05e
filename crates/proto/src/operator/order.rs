//! Orders, gates and pauses.

use mooring_core::gate::{Pause, PauseScope, Verdict};
use mooring_core::id::{OrderId, PolicyId, Target};
use mooring_core::order::{Action, Order, State};
use uuid::Uuid;

use super::etag;
use crate::{Invalid, duration, timestamp, v1};

/// An action.
#[must_use]
pub fn action(action: Action) -> v1::OrderAction {
    match action {
        Action::Reconnect => v1::OrderAction::Reconnect,
        Action::ReconnectSlowly => v1::OrderAction::ReconnectSlowly,
        Action::RestartInstance => v1::OrderAction::RestartInstance,
        Action::RestartGateway => v1::OrderAction::RestartGateway,
        Action::CloseSession => v1::OrderAction::CloseSession,
        Action::CloseSessions => v1::OrderAction::CloseSessions,
        Action::Drain => v1::OrderAction::Drain,
        Action::Resume => v1::OrderAction::Resume,
    }
}

/// The action an operator named.
///
/// # Errors
/// When it is unset or unknown here.
pub fn action_from(value: i32) -> Result<Action, Invalid> {
    match v1::OrderAction::try_from(value) {
        Ok(v1::OrderAction::Reconnect) => Ok(Action::Reconnect),
        Ok(v1::OrderAction::ReconnectSlowly) => Ok(Action::ReconnectSlowly),
        Ok(v1::OrderAction::RestartInstance) => Ok(Action::RestartInstance),
        Ok(v1::OrderAction::RestartGateway) => Ok(Action::RestartGateway),
        Ok(v1::OrderAction::CloseSession) => Ok(Action::CloseSession),
        Ok(v1::OrderAction::CloseSessions) => Ok(Action::CloseSessions),
        Ok(v1::OrderAction::Drain) => Ok(Action::Drain),
        Ok(v1::OrderAction::Resume) => Ok(Action::Resume),
        Ok(v1::OrderAction::Unspecified) | Err(_) => Err(Invalid::new(
            "action",
            "is required: ORDER_ACTION_RECONNECT, ORDER_ACTION_RECONNECT_SLOWLY, ORDER_ACTION_RESTART_INSTANCE, \
             ORDER_ACTION_RESTART_GATEWAY, ORDER_ACTION_CLOSE_SESSION, ORDER_ACTION_CLOSE_SESSIONS, \
             ORDER_ACTION_DRAIN or ORDER_ACTION_RESUME",
        )),
    }
}

/// A state.
#[must_use]
pub fn order_state(state: State) -> v1::OrderState {
    match state {
        State::Pending => v1::OrderState::Pending,
        State::Dispatched => v1::OrderState::Dispatched,
        State::Accepted => v1::OrderState::Accepted,
        State::Running => v1::OrderState::Running,
        State::Verifying => v1::OrderState::Verifying,
        State::Succeeded => v1::OrderState::Succeeded,
        State::Failed => v1::OrderState::Failed,
        State::Expired => v1::OrderState::Expired,
        State::Cancelled => v1::OrderState::Cancelled,
        State::Refused => v1::OrderState::Refused,
    }
}

/// The resource name of an order.
#[must_use]
pub fn order_name(id: OrderId) -> String {
    format!("orders/{id}")
}

/// The order in a resource name.
///
/// # Errors
/// When it is none.
pub fn order_name_from(name: &str) -> Result<OrderId, Invalid> {
    uuid_in(name, "orders/")
        .map(OrderId)
        .ok_or_else(|| Invalid::new("name", "must be of the form orders/{uuid}"))
}

/// The pause in a resource name.
///
/// # Errors
/// When it is none.
pub fn pause_name_from(name: &str) -> Result<Uuid, Invalid> {
    uuid_in(name, "pauses/").ok_or_else(|| Invalid::new("name", "must be of the form pauses/{uuid}"))
}

fn uuid_in(name: &str, prefix: &str) -> Option<Uuid> {
    name.strip_prefix(prefix).and_then(|id| Uuid::try_parse(id).ok())
}

/// An order in full.
#[must_use]
pub fn order(o: &Order) -> v1::Order {
    let p = &o.proposal;
    v1::Order {
        name: order_name(o.id),
        target: p.target.to_string(),
        action: action(p.action).into(),
        state: order_state(o.state).into(),
        requested_by: p.origin.to_string(),
        cause: p.cause.map_or_else(String::new, |c| c.name().to_owned()),
        reason: p.reason.clone(),
        expected_condition: if p.action.proven_by_receipt() { "" } else { p.expect.name() }.to_owned(),
        spread: p.spread.map(duration),
        fence: i64::try_from(o.fence.0).unwrap_or(i64::MAX),
        incarnation: p.incarnation.map_or_else(String::new, |i| i.0.to_string()),
        create_time: Some(timestamp(o.created_at)),
        expire_time: Some(timestamp(o.expires_at)),
        deadline_time: o.deadline.map(timestamp),
        end_time: o.ended_at.map(timestamp),
        outcome: o.outcome.clone(),
        output: o.output.clone(),
        trace_id: p.traceparent.as_deref().and_then(|t| t.split('-').nth(1)).unwrap_or_default().to_owned(),
        etag: etag(o.version),
    }
}

/// What a gate says.
#[must_use]
pub fn verdict(v: &Verdict) -> v1::GateVerdict {
    v1::GateVerdict {
        gate: v.gate.name().to_owned(),
        open: v.open,
        message: v.message.clone(),
        numbers: v.numbers.iter().cloned().collect(),
        retry_after: v.retry_after.map(duration),
    }
}

/// A pause.
#[must_use]
pub fn pause(p: &Pause) -> v1::Pause {
    v1::Pause {
        name: format!("pauses/{}", p.id),
        scope: scope(&p.scope),
        reason: p.reason.clone(),
        created_by: p.by.clone(),
        create_time: Some(timestamp(p.created_at)),
        expire_time: Some(timestamp(p.until)),
        ttl: None,
    }
}

/// A pause's scope: `*`, `groups/{group}`, or the target's name.
#[must_use]
pub fn scope(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "*".to_owned(),
        PauseScope::Group(group) => format!("groups/{group}"),
        PauseScope::Target(target) => target.to_string(),
    }
}

/// The scope an operator named.
///
/// # Errors
/// When it is none of the forms.
pub fn scope_from(text: &str) -> Result<PauseScope, Invalid> {
    if text.is_empty() || text == "*" {
        return Ok(PauseScope::All);
    }
    if let Some(group) = text.strip_prefix("groups/") {
        return PolicyId::new(group).map(PauseScope::Group).map_err(|e| Invalid::new("pause.scope", e));
    }
    text.parse::<Target>().map(PauseScope::Target).map_err(|_| {
        Invalid::new(
            "pause.scope",
            "must be * for everything, groups/{group}, or the name of a gateway or an instance: \
             agents/{agent}/gateways/{gateway}[/instances/{instance}]",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_goes_both_ways_and_an_unset_one_is_refused() {
        for a in Action::ALL {
            assert_eq!(action_from(action(*a).into()).as_ref(), Ok(a));
            assert_eq!(action(*a).as_str_name(), format!("ORDER_ACTION_{}", a.name().to_uppercase()));
        }
        assert_eq!(action_from(0).unwrap_err().field, "action");
        assert!(action_from(99).is_err());
        for s in State::ALL {
            assert_eq!(order_state(*s).as_str_name(), format!("ORDER_STATE_{}", s.name().to_uppercase()));
        }
    }

    #[test]
    fn scopes_go_both_ways() {
        for text in ["*", "groups/lines", "agents/a/gateways/g", "agents/a/gateways/g/instances/i"] {
            assert_eq!(scope(&scope_from(text).unwrap()), text);
        }
        assert_eq!(scope_from(""), Ok(PauseScope::All));
        for bad in ["groups/", "groups/UP", "agents/a", "x", "**"] {
            assert_eq!(scope_from(bad).unwrap_err().field, "pause.scope", "{bad}");
        }
    }

    #[test]
    fn names_are_checked() {
        let id = Uuid::from_u128(7);
        assert_eq!(order_name_from(&order_name(OrderId(id))), Ok(OrderId(id)));
        assert!(order_name_from(&id.to_string()).is_err());
        assert!(pause_name_from("pauses/x").is_err());
    }
}
