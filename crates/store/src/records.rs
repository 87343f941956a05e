//! The records that go in and out of the store.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Evidence, Status};
use mooring_core::gate::{Belief, Pause, Verdict};
use mooring_core::id::{
    AgentId, BootId, GatewayId, GatewayRef, Incarnation, InstanceRef, OrderId, PolicyId, Target,
};
use mooring_core::kind::Kind;
use mooring_core::order::{Order, Proposal};
use mooring_core::planner::{Abilities, Case};
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_core::session::{SessionClose, SessionCounts, Source};
use mooring_core::time::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The stored key of a gateway or an instance: made from its name, so that nobody has to ask the database for it.
///
/// 128 bits of SHA-256 over the resource name, as a UUIDv8. A second name with the same key would take 2¹²⁸ tries to
/// find, so an agent cannot aim at another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub Uuid);

impl Key {
    /// The key of a resource name.
    #[must_use]
    pub fn of(name: &impl std::fmt::Display) -> Self {
        let digest = Sha256::digest(name.to_string().as_bytes());
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// An agent, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its id.
    pub id: AgentId,
    /// The boot that attached last.
    pub boot: BootId,
    /// Its node's name.
    pub node: String,
    /// Its version.
    pub version: String,
    /// The number of its attachment, rising; the newest wins.
    pub epoch: u64,
    /// The newest report of that boot that is durable.
    pub last_sequence: u64,
    /// Whether all of a snapshot has been received from that boot: only then can the boot resume.
    pub synced: bool,
    /// When it attached last.
    pub attached_at: Timestamp,
    /// When it was last heard of; coarse.
    pub last_seen: Timestamp,
    /// Set when it left on purpose or was silent beyond its grace.
    pub offline_since: Option<Timestamp>,
}

/// An agent that attaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// Its id.
    pub agent: AgentId,
    /// Its boot.
    pub boot: BootId,
    /// Its node's name.
    pub node: String,
    /// Its version.
    pub version: String,
    /// Now.
    pub now: Timestamp,
}

/// What an attachment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// The new epoch.
    pub epoch: u64,
    /// Durable reports of this very boot; `None`: a new boot or never synced, so everything is needed.
    pub resume_after: Option<u64>,
}

/// A gateway, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRecord {
    /// Which.
    pub gateway: GatewayRef,
    /// Its number in the agent's current boot.
    pub handle: u32,
    /// Its kind. `None` when the agent is newer and names a kind that is not known here.
    pub kind: Option<Kind>,
    /// Where it is.
    pub address: String,
    /// Its group.
    pub group: PolicyId,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What can be done to it.
    pub abilities: Abilities,
    /// Current run of its process.
    pub incarnation: Option<Incarnation>,
    /// How it is watched: sorted, each once.
    pub watch: Vec<Source>,
}

/// An instance, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Which.
    pub instance: InstanceRef,
    /// Its number in the agent's current boot.
    pub handle: u32,
}

/// What one report changes, decoded, checked and resolved. What is gone goes first, so that a name that is gone and new
/// in one report begins anew; then gateways, instances and conditions are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// New or changed gateways.
    pub gateways: Vec<GatewayRecord>,
    /// Gateways that are gone, with all their instances.
    pub gateways_gone: Vec<GatewayRef>,
    /// New or changed instances.
    pub instances: Vec<InstanceRecord>,
    /// Instances that are gone.
    pub instances_gone: Vec<InstanceRef>,
    /// Conditions that changed, newest last.
    pub conditions: Vec<(InstanceRef, Condition)>,
    /// Sessions of gateways in numbers, newest last.
    pub session_counts: Vec<CountsRecord>,
    /// Sessions that ended, newest last.
    pub session_closes: Vec<NewClose>,
}

/// The sessions of a gateway in running numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountsRecord {
    /// Of which gateway.
    pub gateway: GatewayRef,
    /// The numbers.
    pub counts: SessionCounts,
    /// When they were told (controller's clock).
    pub at: Timestamp,
}

/// How a session ended, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClose {
    /// Of which gateway it was.
    pub gateway: GatewayRef,
    /// Its end.
    pub close: SessionClose,
}

/// How a session ended, as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseRecord {
    /// Its number, rising in the order in which ends were told.
    pub number: i64,
    /// Of which gateway it was.
    pub gateway: GatewayRef,
    /// Its end.
    pub close: SessionClose,
}

/// Whose sessions are asked for: `None` for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionScope {
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of gateways with this id.
    pub gateway: Option<GatewayId>,
}

impl SessionScope {
    /// Whether a gateway's sessions are among them.
    #[must_use]
    pub fn holds(&self, gateway: &GatewayRef) -> bool {
        self.agent.as_ref().is_none_or(|a| *a == gateway.agent)
            && self.gateway.as_ref().is_none_or(|g| *g == gateway.gateway)
    }

    /// The one gateway that is meant, if it is one.
    #[must_use]
    pub fn single(&self) -> Option<GatewayRef> {
        match (&self.agent, &self.gateway) {
            (Some(agent), Some(gateway)) => {
                Some(GatewayRef { agent: agent.clone(), gateway: gateway.clone() })
            }
            _ => None,
        }
    }
}

/// One report, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Whose.
    pub agent: AgentId,
    /// In which attachment.
    pub epoch: u64,
    /// Its number, from 1 in each boot of the agent.
    pub sequence: u64,
    /// Whether a snapshot is complete with it (`Some(true)`), has begun (`Some(false)`), or neither.
    pub synced: Option<bool>,
    /// What changes.
    pub changes: Changes,
    /// What to remember of it.
    pub events: Vec<NewEvent>,
}

/// What became of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Durable,
    /// A newer attachment of the agent exists: nothing was written.
    StaleEpoch,
}

/// Everything a starting controller loads.
#[derive(Debug, Clone, Default)]
pub struct FleetRecord {
    /// Agents.
    pub agents: Vec<AgentRecord>,
    /// Gateways.
    pub gateways: Vec<GatewayRecord>,
    /// Instances.
    pub instances: Vec<InstanceRecord>,
    /// Their conditions.
    pub conditions: Vec<(InstanceRef, Condition)>,
    /// The gateways' sessions in numbers.
    pub session_counts: Vec<CountsRecord>,
    /// Orders that are not over.
    pub live_orders: Vec<Order>,
    /// Open cases.
    pub cases: Vec<Case>,
}

/// What happened, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A condition changed.
    Condition,
    /// An order was made or changed.
    Order,
    /// A gate refused.
    Refusal,
    /// An agent came or went.
    Agent,
    /// A pause began or ended.
    Pause,
    /// A policy changed.
    Policy,
    /// A human is needed.
    Human,
}

impl EventKind {
    /// All, in order of their codes, which begin at 1.
    pub const ALL: [EventKind; 7] =
        [Self::Condition, Self::Order, Self::Refusal, Self::Agent, Self::Pause, Self::Policy, Self::Human];

    /// The code on disk.
    #[must_use]
    pub fn code(self) -> i16 {
        Self::ALL.iter().zip(1i16..).find(|(k, _)| **k == self).map_or(0, |(_, c)| c)
    }

    /// The kind with this code.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.iter().zip(1i16..).find(|(_, c)| *c == code).map(|(k, _)| *k)
    }
}

/// An event to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: EventKind,
    /// Resource name of what it is about.
    pub subject: String,
    /// In words.
    pub message: String,
    /// For condition changes.
    pub condition: Option<(ConditionKind, Status)>,
    /// Why.
    pub cause: Option<Cause>,
    /// Facts.
    pub evidence: Evidence,
    /// Trace id, where there is one.
    pub trace_id: Option<String>,
}

/// An event that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its number, rising.
    pub number: i64,
    /// The event.
    pub event: NewEvent,
}

/// A request for an order.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The id the order will have: chosen by the caller, so that asking again after an unknown outcome is harmless.
    pub id: OrderId,
    /// What is wanted.
    pub proposal: Proposal,
    /// The group's policy.
    pub policy: Policy,
    /// The group.
    pub group: PolicyId,
    /// What the controller believes.
    pub belief: Belief,
    /// Until when the target's backoff holds.
    pub backoff_until: Option<Timestamp>,
    /// The target's case as it stands once the order is made; written with it.
    pub case: Option<Case>,
    /// Ask the gates only.
    pub validate_only: bool,
    /// Now, by the controller's clock.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The order was made (or, with `validate_only`, would be).
    Made(Box<Order>, Vec<Verdict>),
    /// It had been made already, by the same id or the same request id with the same content.
    Already(Box<Order>),
    /// The same request id was used for something else.
    RequestIdReused(Box<Order>),
    /// Gates are shut. Kept, unless `validate_only`.
    Shut(Vec<Verdict>),
    /// There is no such target.
    NoTarget,
}

/// An order after a step, with the version it had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderWrite {
    /// As it is now.
    pub order: Order,
    /// The version it is based on.
    pub previous: u64,
    /// What to remember of it.
    pub events: Vec<NewEvent>,
}

/// A refusal that was kept: repeated ones of the same gate on the same target are counted, not multiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of what.
    pub target: Target,
    /// Which gate, with its numbers when last asked.
    pub verdict: Verdict,
    /// When first.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
}

/// Result of a change to a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyChange {
    /// Done; as stored now.
    Done(Box<StoredPolicy>),
    /// It has another version (or exists already, where none was expected).
    OtherVersion(u64),
    /// There is none.
    Missing,
}

/// A pause to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPause {
    /// The pause.
    pub pause: Pause,
    /// The operator's idempotency key.
    pub request_id: Option<String>,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events, and refusals.
    pub events: Duration,
    /// Ended orders.
    pub orders: Duration,
    /// Ends of sessions, by the time at which they ended. Whatever this says, no gateway keeps more than
    /// [`CLOSES_KEPT`](crate::rules::CLOSES_KEPT).
    pub closes: Duration,
}
