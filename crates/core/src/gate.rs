//! Gates: the reasons an order may not be issued now.
//!
//! All gates are asked at once and each answers with its numbers, so that "why was nothing done?" has an answer. The
//! facts are read inside the very transaction that creates the order, under the group's lock, and judged here, purely:
//! any number of controllers can decide side by side without one deciding for all. Gates fail closed: a fact that could
//! not be read is a shut gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{OrderId, PolicyId, Target};
use crate::order::{Action, State};
use crate::time::Timestamp;

mod evaluate;

pub use evaluate::{RATE_WINDOW, WARM_PERCENT, evaluate, is_storm, passes, retry_after, share, shut};

/// Which gate. Names are stable: they are metric labels and API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Orders are paused for all, the group, the gateway or the instance.
    Paused,
    /// The policy only says what it would do.
    DryRun,
    /// The controller has just started and does not know its fleet yet (destructive orders only).
    WarmingUp,
    /// The agent is not attached: the order could not be carried out.
    AgentOffline,
    /// The agent has nothing configured that could carry it out.
    NotConfigured,
    /// Another order on this target (or on the gateway that holds it) is not over.
    LiveOrder,
    /// The last order on this target ended too recently.
    Cooldown,
    /// The target's backoff has not run out (planner's orders only).
    Backoff,
    /// The gateway was restarted too often: it is parked (planner's orders only; an operator may overrule).
    RestartBudget,
    /// Too many live orders in the group, by count.
    GroupInFlight,
    /// Too many live orders in the group, by share.
    GroupPercent,
    /// Too many new orders in the group within a minute.
    GroupRate,
    /// Too many of the group sick at once (destructive orders only).
    Storm,
}

impl Gate {
    /// Every gate, in the order they are asked.
    pub const ALL: [Gate; 13] = [
        Self::Paused,
        Self::DryRun,
        Self::WarmingUp,
        Self::AgentOffline,
        Self::NotConfigured,
        Self::LiveOrder,
        Self::Cooldown,
        Self::Backoff,
        Self::RestartBudget,
        Self::GroupInFlight,
        Self::GroupPercent,
        Self::GroupRate,
        Self::Storm,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::DryRun => "dry_run",
            Self::WarmingUp => "warming_up",
            Self::AgentOffline => "agent_offline",
            Self::NotConfigured => "not_configured",
            Self::LiveOrder => "live_order",
            Self::Cooldown => "cooldown",
            Self::Backoff => "backoff",
            Self::RestartBudget => "restart_budget",
            Self::GroupInFlight => "group_in_flight",
            Self::GroupPercent => "group_percent",
            Self::GroupRate => "group_rate",
            Self::Storm => "storm",
        }
    }
}

/// What one gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub gate: Gate,
    /// Whether the order may pass.
    pub open: bool,
    /// In words, with the numbers.
    pub message: String,
    /// The numbers, by stable name (`limit`, `used`, …; times in milliseconds).
    pub numbers: Vec<(String, i64)>,
    /// When it is worth asking again, if that is known.
    pub retry_after: Option<Duration>,
}

/// What a pause covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Everything.
    All,
    /// One group (by its policy id, which is its name).
    Group(PolicyId),
    /// A gateway with all its instances, or one instance.
    Target(Target),
}

impl PauseScope {
    /// Whether an order on `target` in `group` is covered.
    #[must_use]
    pub fn covers(&self, target: &Target, group: &PolicyId) -> bool {
        match self {
            Self::All => true,
            Self::Group(g) => g == group,
            Self::Target(Target::Gateway(g)) => g == target.gateway(),
            Self::Target(t) => t == target,
        }
    }
}

/// A pause: named reason, named author, an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Id, for ending it early.
    pub id: uuid::Uuid,
    /// What is paused.
    pub scope: PauseScope,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A past or live order, as far as the gates care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastOrder {
    /// Which.
    pub id: OrderId,
    /// What it did.
    pub action: Action,
    /// Where it is in its life.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What the gates need to know, read in one transaction (the fleet-wide figures by the controller that asks).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Pauses in force that cover the target.
    pub pauses: Vec<Pause>,
    /// Recent orders on the target itself, newest first, at least back to the cooldown.
    pub on_target: Vec<PastOrder>,
    /// Live orders that conflict: on the target, on its gateway, or, for an order on a gateway, on any of its instances.
    pub conflicting: Vec<PastOrder>,
    /// Restarts that bear on the target, within the policy's restart window: those of its gateway, and for an order on
    /// an instance also those of that very instance (not of its neighbours: in a gateway of hundreds of instances two
    /// of them would park all others). Expired ones only if the agent accepted them after all (`accepted_at` is set).
    pub restarts_in_window: Vec<PastOrder>,
    /// Live orders in the group.
    pub group_in_flight: u32,
    /// Orders made in the group within the last 60 s.
    pub group_last_minute: u32,
    /// Of those, when the oldest was made.
    pub group_oldest_in_minute: Option<Timestamp>,
    /// Until when the target's backoff holds.
    pub backoff_until: Option<Timestamp>,
    /// What the asking controller believes of the group and the agent.
    pub belief: Belief,
}

/// The in-memory part of the facts: what the controller believes now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Belief {
    /// Instances in the group.
    pub group_instances: u32,
    /// Gateways in the group that are known (not Unknown).
    pub group_gateways: u32,
    /// Of those, how many are sick (at least half of their instances are Down).
    pub group_sick_gateways: u32,
    /// When the group was last above the storm threshold.
    pub storm_seen_at: Option<Timestamp>,
    /// Whether the agent is attached and in sync.
    pub agent_online: bool,
    /// Whether the agent has something configured for the action.
    pub configured: bool,
    /// Set while the controller warms up: agents back and agents known, and until when at the latest.
    pub warming: Option<Warming>,
}

/// How far a controller has come after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warming {
    /// Agents attached and in sync.
    pub back: u32,
    /// Agents known to the database.
    pub known: u32,
    /// When it ends at the latest.
    pub until: Timestamp,
}
