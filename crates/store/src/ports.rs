//! The ports: one small trait per use. See the crate's documentation for the rules that hold for all of them.

use async_trait::async_trait;
use mooring_core::gate::Pause;
use mooring_core::id::{AgentId, GatewayRef, OrderId, PolicyId, Target};
use mooring_core::order::Order;
use mooring_core::planner::Case;
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_core::time::Timestamp;
use uuid::Uuid;

use crate::{
    Admission, AgentRecord, Ask, Attach, Attached, CloseRecord, Committed, CountsRecord, Delta, EventRecord,
    FleetRecord, NewEvent, NewPause, OrderWrite, PolicyChange, Refusal, Retention, SessionScope, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

/// Agents and their attachments.
#[async_trait]
pub trait AgentStore: Send + Sync {
    /// Everything a starting controller needs.
    async fn load(&self) -> Result<FleetRecord>;
    /// All agents.
    async fn agents(&self) -> Result<Vec<AgentRecord>>;
    /// Begins a new attachment: the epoch rises by one, and older attachments can no longer write.
    async fn attach(&self, attach: &Attach) -> Result<Attached>;
    /// Notes when agents were last heard of (coarse, in one statement for all).
    async fn touch(&self, seen: &[(AgentId, Timestamp)]) -> Result<()>;
    /// Marks an agent offline if this is still its newest attachment. `true`: it is marked, now or by an earlier call;
    /// the event is kept by the first only. `false`: a newer attachment exists, or there is no such agent.
    async fn offline(&self, agent: &AgentId, epoch: u64, now: Timestamp, event: &NewEvent) -> Result<bool>;
}

/// What agents report.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Writes many reports in one commit. Deltas of one agent are in order of their sequence. A sequence that is durable
    /// already is answered [`Committed::Durable`] and changes nothing. What is said of a gateway or an instance that is
    /// not declared (any more) is dropped; it never keeps the rest of the batch from being written.
    async fn commit(&self, deltas: &[Delta]) -> Result<Vec<Committed>>;
}

/// Orders and gates.
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// Asks the gates and, if all are open, makes the order: one transaction under the group's lock. Fences rise with
    /// each order on a target, also when the target was gone meanwhile; they need not be contiguous.
    async fn admit(&self, ask: &Ask) -> Result<Admission>;
    /// Writes orders that took a step, each only if its version is still the one it is based on; `true` where it was,
    /// and where this very write had been done already. Several steps of one order may stand in one call, in order.
    async fn save_orders(&self, writes: &[OrderWrite]) -> Result<Vec<bool>>;
    /// One order.
    async fn order(&self, id: OrderId) -> Result<Option<Order>>;
    /// Orders that are not over, of one agent's targets.
    async fn live_orders(&self, agent: &AgentId) -> Result<Vec<Order>>;
    /// Orders older than `before` (or the newest), newest first.
    async fn orders_before(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<Order>>;
    /// The newest orders on a target; for an instance also those on its gateway.
    async fn orders_on(&self, target: &Target, limit: u32) -> Result<Vec<Order>>;
    /// Refusals kept for a target.
    async fn refusals(&self, target: &Target) -> Result<Vec<Refusal>>;
}

/// Cases: how far up the ladder each sick target is.
#[async_trait]
pub trait CaseStore: Send + Sync {
    /// Writes and closes cases.
    async fn save_cases(&self, open: &[Case], closed: &[Target]) -> Result<()>;
}

/// Policies.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// All stored policies.
    async fn policies(&self) -> Result<Vec<StoredPolicy>>;
    /// Creates (`expected` = `None`) or changes one; keeps the event with it.
    async fn put_policy(
        &self,
        id: &PolicyId,
        policy: &Policy,
        expected: Option<u64>,
        event: &NewEvent,
    ) -> Result<PolicyChange>;
    /// Deletes one of this version.
    async fn delete_policy(&self, id: &PolicyId, expected: u64, event: &NewEvent) -> Result<PolicyChange>;
}

/// Pauses.
#[async_trait]
pub trait PauseStore: Send + Sync {
    /// Makes a pause; the same request id again returns the pause made first.
    async fn create_pause(&self, pause: &NewPause, event: &NewEvent) -> Result<Pause>;
    /// Pauses in force at `now`.
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>>;
    /// Ends one: it is returned with `now` as its end. `None` if there is none in force.
    async fn end_pause(&self, id: Uuid, now: Timestamp, event: &NewEvent) -> Result<Option<Pause>>;
}

/// Events.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Keeps events. At least once: after an unknown outcome a second call keeps them twice.
    async fn append_events(&self, events: &[NewEvent]) -> Result<()>;
    /// Events with a number below `before` (or the newest), newest first, not older than `since`.
    async fn events_before(
        &self,
        before: Option<i64>,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<EventRecord>>;
    /// Events with a number above `after`, oldest first. Numbers become visible in their order: a reader that goes on
    /// from the last number it saw misses none.
    async fn events_after(&self, after: i64, limit: u32) -> Result<Vec<EventRecord>>;
    /// The newest events about a subject or what it contains (a prefix of the name, at a `/`).
    async fn events_about(&self, subject: &str, limit: u32) -> Result<Vec<EventRecord>>;
    /// Drops events, refusals, pauses that are over, ended orders and ends of sessions that are older than they are to be
    /// kept, and of each gateway all ends of sessions but the newest [`CLOSES_KEPT`](crate::rules::CLOSES_KEPT); returns
    /// how many went. May leave some for the next call.
    async fn prune(&self, now: Timestamp, keep: Retention) -> Result<u64>;
    /// Answers when the database does.
    async fn ping(&self) -> Result<()>;
}

/// What is kept of sessions: numbers, and how they ended. They are written with the reports they came in
/// ([`JournalStore::commit`]) and go with their gateway.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Ends with a number below `before` (or the newest), newest first.
    async fn closes_before(
        &self,
        scope: &SessionScope,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<CloseRecord>>;
    /// The numbers of gateways whose names come after `after`, by name.
    async fn session_counts(
        &self,
        scope: &SessionScope,
        after: Option<&GatewayRef>,
        limit: u32,
    ) -> Result<Vec<CountsRecord>>;
}

/// All of it.
pub trait Store:
    AgentStore
    + JournalStore
    + OrderStore
    + CaseStore
    + PolicyStore
    + PauseStore
    + EventStore
    + SessionStore
    + 'static
{
}

impl<T> Store for T where
    T: AgentStore
        + JournalStore
        + OrderStore
        + CaseStore
        + PolicyStore
        + PauseStore
        + EventStore
        + SessionStore
        + 'static
{
}
