//! The hand-over between the API and the agent: two channels, both bounded.
//!
//! Reports go out through a queue. When the agent is behind, it is full, and callers are told to come again instead of
//! anything growing. Orders come in with a place for the answer.

use std::time::Duration;

use mooring_core::id::{GatewayId, InstanceId, OrderId};
use mooring_core::order::Action;
use tokio::sync::{mpsc, oneshot};

use crate::meaning::Reported;

/// Reports that may wait for the agent.
pub const QUEUE: usize = 16_384;
/// Orders that may wait to be looked at.
const ORDERS: usize = 256;

/// An order for a gateway that reports.
#[derive(Debug)]
pub struct OrderRequest {
    /// Its id.
    pub id: OrderId,
    /// Of which gateway.
    pub gateway: GatewayId,
    /// What to do.
    pub action: Action,
    /// To which instance; `None`: to the gateway.
    pub instance: Option<InstanceId>,
    /// To which of its connections, by the gateway's own name; empty: whichever there is.
    pub session: String,
    /// The pause between closing and connecting, or the time over which to spread it.
    pub delay: Option<Duration>,
    /// Why.
    pub reason: String,
    /// How long it may take, from now on.
    pub time_limit: Duration,
    /// What came of it: words, of success or of failure. A failure that begins with [`NOT_KNOWN`] may have happened.
    /// Dropping the other end takes the order back if nobody has taken it.
    pub reply: oneshot::Sender<Result<String, String>>,
}

/// How an answer begins that says neither that the order was carried out nor that it was not.
pub const NOT_KNOWN: &str = "not known";

/// The API's end.
#[derive(Debug)]
pub struct Hub {
    pub(crate) reports: mpsc::Sender<Reported>,
    pub(crate) orders: mpsc::Receiver<OrderRequest>,
}

/// The agent's end.
#[derive(Debug)]
pub struct HubEnd {
    /// What gateways report, in order.
    pub reports: mpsc::Receiver<Reported>,
    /// For orders.
    pub orders: mpsc::Sender<OrderRequest>,
}

/// Both ends.
#[must_use]
pub fn hub() -> (Hub, HubEnd) {
    hub_of(QUEUE)
}

/// As [`hub`], with room for so many reports: at least one request's worth.
#[must_use]
pub fn hub_of(reports: usize) -> (Hub, HubEnd) {
    let (reports_in, reports_out) = mpsc::channel(reports.max(crate::config::MAX_EVENTS));
    let (orders_in, orders_out) = mpsc::channel(ORDERS);
    (Hub { reports: reports_in, orders: orders_out }, HubEnd { reports: reports_out, orders: orders_in })
}
