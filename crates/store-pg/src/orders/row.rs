//! An order's row.

use mooring_core::condition::ConditionKind;
use mooring_core::id::{Fence, Incarnation, OrderId};
use mooring_core::order::{Action, Order, Proposal, State};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::convert::{cause, duration, known, timestamp};
use crate::errors::Fault;

/// `SELECT` of whole orders: the rest of the statement, then its arguments.
macro_rules! select_orders {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::orders::row::Row,
            "SELECT id, target, action, state, origin, cause, reason, expect, fence, incarnation, request_id,
                 traceparent, created_at, expires_at, verify_micros, accepted_at, started_at, deadline, ended_at,
                 outcome, output, version, spread_micros
             FROM orders " + $rest
            $(, $argument)*
        )
    };
}
pub(crate) use select_orders;

/// The columns that make an [`Order`].
pub(crate) struct Row {
    pub id: Uuid,
    pub target: String,
    pub action: i16,
    pub state: i16,
    pub origin: String,
    pub cause: Option<i16>,
    pub reason: String,
    pub expect: i16,
    pub fence: i64,
    pub incarnation: Option<i64>,
    pub request_id: Option<String>,
    pub traceparent: Option<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub verify_micros: i64,
    pub accepted_at: Option<OffsetDateTime>,
    pub started_at: Option<OffsetDateTime>,
    pub deadline: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
    pub outcome: String,
    pub output: String,
    pub version: i64,
    pub spread_micros: Option<i64>,
}

impl Row {
    pub(crate) fn order(self) -> Result<Order, Fault> {
        let table = "orders";
        let expect = usize::try_from(self.expect).ok().and_then(ConditionKind::from_index);
        let proposal = Proposal {
            target: self.target.parse().map_err(|e| Fault::broken(table, e))?,
            action: action(self.action)?,
            origin: self.origin.parse().map_err(|e| Fault::broken(table, e))?,
            cause: self.cause.map(cause),
            reason: self.reason,
            expect: known(table, "expect", self.expect, expect)?,
            spread: self.spread_micros.map(duration),
            incarnation: self.incarnation.map(|i| Incarnation(i.cast_unsigned())),
            request_id: self.request_id,
            traceparent: self.traceparent,
        };
        Ok(Order {
            id: OrderId(self.id),
            proposal,
            fence: Fence(self.fence.cast_unsigned()),
            state: state(self.state)?,
            created_at: timestamp(self.created_at),
            expires_at: timestamp(self.expires_at),
            verify_within: duration(self.verify_micros),
            accepted_at: self.accepted_at.map(timestamp),
            started_at: self.started_at.map(timestamp),
            deadline: self.deadline.map(timestamp),
            ended_at: self.ended_at.map(timestamp),
            outcome: self.outcome,
            output: self.output,
            version: self.version.cast_unsigned(),
        })
    }
}

pub(super) fn action(code: i16) -> Result<Action, Fault> {
    known("orders", "action", code, Action::from_code(code))
}

pub(super) fn state(code: i16) -> Result<State, Fault> {
    known("orders", "state", code, State::from_code(code))
}
