//! The planner: policy + belief + orders in flight + now → proposals. Synchronous, deterministic, no input but its
//! arguments; whatever woke the shell, the same facts give the same plan.
//!
//! A *case* is opened when a target is first seen sick and remembers how far up the ladder it is. It is closed by
//! stability over time, never by a first sign of health, so that a target that comes back for a second after each
//! restart climbs the ladder instead of circling on its first step.

use crate::cause::Cause;
use crate::id::{GatewayRef, Incarnation, InstanceId, PolicyId};
use crate::kind::Kind;
use crate::order::Action;
use crate::phase::Phase;
use crate::time::Timestamp;

mod case;
mod explain;
mod ladder;
mod plan;

pub use case::{Case, CaseChange, CaseEvent};
pub use explain::{NextStep, next_step};
pub use ladder::{Place, RungAt};
pub use plan::{Cases, Decision, HumanReason, WaitReason, plan_gateway, seen};

/// What the controller believes of one gateway and its instances: all that planning for it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayView {
    /// Which gateway.
    pub gateway: GatewayRef,
    /// Its kind.
    pub kind: Kind,
    /// Its group: the policy's id.
    pub group: PolicyId,
    /// The current run of its process, where known.
    pub incarnation: Option<Incarnation>,
    /// What the agent can do for it.
    pub abilities: Abilities,
    /// Whether its agent is attached and in sync.
    pub agent_online: bool,
    /// Its instances.
    pub instances: Vec<InstanceView>,
}

/// One instance, briefly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceView {
    /// Which.
    pub instance: InstanceId,
    /// Its phase.
    pub phase: Phase,
    /// The sickness: the first False condition's cause and message, in the order of the layers.
    pub sickness: Option<Sickness>,
    /// Whether `Stable` is False, also while it is down (the phase then says Down).
    pub flapping: bool,
}

/// Why an instance is sick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sickness {
    /// Which condition is False.
    pub condition: crate::condition::ConditionKind,
    /// Why.
    pub cause: Cause,
    /// In words.
    pub message: String,
    /// Since when that condition has been False (controller's clock: when it learnt of it). A change of cause does not
    /// begin it anew: a fault that shows another face each second would never be old enough to be acted on.
    pub since: Timestamp,
}

/// Which actions the agent has something configured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Abilities {
    /// Sessions can be renewed.
    pub reconnect: bool,
    /// A single instance can be restarted.
    pub restart_instance: bool,
    /// The gateway's process can be restarted.
    pub restart_gateway: bool,
    /// A single real session can be closed.
    pub close_session: bool,
    /// All real sessions of an instance or of the gateway can be closed, spread over a window.
    pub close_sessions: bool,
    /// New sessions can be kept out while the old ones are closed.
    pub drain: bool,
}

impl Abilities {
    /// Whether an action can be carried out.
    #[must_use]
    pub fn can(self, action: Action) -> bool {
        match action {
            Action::Reconnect | Action::ReconnectSlowly => self.reconnect,
            Action::RestartInstance => self.restart_instance,
            Action::RestartGateway => self.restart_gateway,
            Action::CloseSession => self.close_session,
            Action::CloseSessions => self.close_sessions,
            Action::Drain | Action::Resume => self.drain,
        }
    }

    /// As bits, for the wire and the database: 1 reconnect, 2 restart instance, 4 restart gateway, 8 close a session,
    /// 16 close sessions, 32 drain.
    #[must_use]
    pub fn bits(self) -> u8 {
        let flags = [
            self.reconnect,
            self.restart_instance,
            self.restart_gateway,
            self.close_session,
            self.close_sessions,
            self.drain,
        ];
        flags.iter().enumerate().fold(0, |bits, (i, flag)| bits | u8::from(*flag) << i)
    }

    /// From bits; unknown bits are ignored.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let flag = |i: u8| bits & (1 << i) != 0;
        Self {
            reconnect: flag(0),
            restart_instance: flag(1),
            restart_gateway: flag(2),
            close_session: flag(3),
            close_sessions: flag(4),
            drain: flag(5),
        }
    }
}
