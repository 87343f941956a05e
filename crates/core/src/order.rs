//! Orders: something the controller wants done to an instance or a gateway, with a life of its own.
//!
//! ```text
//! pending ──sent──> dispatched ──receipt──> accepted ──> running ──> verifying ──seen──> succeeded
//!    │                  │                      │            │            └─deadline───> failed
//!    ├─expiry──────────>├─expiry (unaccepted)─>│            ├─failed receipt─────────> failed
//!    │                  │                      └────────────┴─verify deadline────────> failed
//!    └─cancel/recovered─┴──> cancelled   (expired and refused: by the clock, or by the agent)
//! ```
//!
//! Delivered at least once, executed at most once: the fence rises with each order on a target and the agent remembers
//! the last one it took, durably. An order succeeds when the condition it expects is seen after it was carried out, not
//! when a command returned 0. Orders made by the planner and by operators are the same thing and pass the same gates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::condition::ConditionKind;
use crate::id::{Fence, Incarnation, OrderId, Target};
use crate::named::named;
use crate::time::Timestamp;

mod step;

pub use step::{DELIVERY_MARGIN, Effect, Event, Illegal, execution_allowance};

named! {
    /// What is to be done.
    Action: i16 {
        /// Close the instance's session and open a new one, at once.
        Reconnect = 1, "reconnect";
        /// The same, after a pause in which the peer can recover (half the verify time, at most 30 s).
        ReconnectSlowly = 2, "reconnect_slowly";
        /// Restart what serves this one instance.
        RestartInstance = 3, "restart_instance";
        /// Restart the gateway's process: every instance of it is interrupted.
        RestartGateway = 4, "restart_gateway";
        /// Close one session properly; the peer's own logic opens the next one.
        CloseSession = 5, "close_session";
        /// Close all sessions of an instance or a gateway, spread over the order's window.
        CloseSessions = 6, "close_sessions";
        /// The same to a whole gateway, and let no new session in until it is resumed.
        Drain = 7, "drain";
        /// End a drain.
        Resume = 8, "resume";
    }
}

/// What an action can be aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// A gateway.
    pub gateway: bool,
    /// An instance.
    pub instance: bool,
    /// A session.
    pub session: bool,
}

impl Action {
    /// Whether it interrupts more than the watcher's own session: such orders stop in a storm and while warming up.
    #[must_use]
    pub fn destructive(self) -> bool {
        match self {
            Self::RestartInstance | Self::RestartGateway | Self::CloseSessions | Self::Drain => true,
            Self::Reconnect | Self::ReconnectSlowly | Self::CloseSession | Self::Resume => false,
        }
    }

    /// Whether it counts against the budget of restarts.
    #[must_use]
    pub fn restarts(self) -> bool {
        matches!(self, Self::RestartInstance | Self::RestartGateway)
    }

    /// What it can be aimed at.
    #[must_use]
    pub fn aim(self) -> Aim {
        let (gateway, instance, session) = match self {
            Self::Reconnect | Self::ReconnectSlowly | Self::RestartInstance => (false, true, false),
            Self::RestartGateway | Self::Drain | Self::Resume => (true, false, false),
            Self::CloseSession => (false, false, true),
            Self::CloseSessions => (true, true, false),
        };
        Aim { gateway, instance, session }
    }

    /// Whether it is aimed at a gateway and nothing less.
    #[must_use]
    pub fn on_gateway(self) -> bool {
        matches!(self.aim(), Aim { gateway: true, instance: false, session: false })
    }

    /// Whether the receipt of its execution proves it, because the executor itself looks whether it took effect (the
    /// session is gone). The others are proven by a condition that is seen afterwards.
    #[must_use]
    pub fn proven_by_receipt(self) -> bool {
        matches!(self, Self::CloseSession | Self::CloseSessions | Self::Drain | Self::Resume)
    }
}

named! {
    /// Where an order is in its life.
    State: i16 {
        /// Stored, not yet sent.
        Pending = 1, "pending";
        /// Sent to the agent, no receipt yet. It may be sent again.
        Dispatched = 2, "dispatched";
        /// The agent has it on record and will carry it out.
        Accepted = 3, "accepted";
        /// Being carried out.
        Running = 4, "running";
        /// Carried out; the expected condition is awaited.
        Verifying = 5, "verifying";
        /// The expected condition was seen.
        Succeeded = 10, "succeeded";
        /// Execution failed, or the expected condition was not seen in time.
        Failed = 11, "failed";
        /// Not accepted before its expiry.
        Expired = 12, "expired";
        /// Taken back before it was carried out.
        Cancelled = 13, "cancelled";
        /// The agent would not do it: stale fence, other incarnation, nothing configured that could.
        Refused = 14, "refused";
    }
}

impl State {
    /// Whether the order's life is over.
    #[must_use]
    pub fn ended(self) -> bool {
        self.code() >= 10
    }

    /// Whether the agent may already have begun: such an order cannot be cancelled.
    #[must_use]
    pub fn begun(self) -> bool {
        matches!(self, Self::Accepted | Self::Running | Self::Verifying)
    }
}

named! {
    /// What the agent says of an order.
    Stage: i16 {
        /// On durable record.
        Accepted = 1, "accepted";
        /// Execution began.
        Started = 2, "started";
        /// Execution ended well.
        Done = 3, "done";
        /// Execution ended badly, or is not known to have ended (the agent died meanwhile).
        Failed = 4, "failed";
        /// Will not be done.
        Refused = 5, "refused";
        /// Came too late.
        Expired = 6, "expired";
    }
}

/// Who wanted it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The planner, by policy.
    Planner,
    /// An operator, by name.
    Operator(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planner => f.write_str("planner"),
            Self::Operator(name) => write!(f, "operator:{name}"),
        }
    }
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s.strip_prefix("operator:") {
            Some(name) => Ok(Self::Operator(name.to_owned())),
            None if s == "planner" => Ok(Self::Planner),
            None => Err(format!("`{s}` is not an order's origin")),
        }
    }
}

/// What is wanted, before the gates have been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Of what.
    pub target: Target,
    /// What.
    pub action: Action,
    /// By whom.
    pub origin: Origin,
    /// Because of what; operators need not name one.
    pub cause: Option<Cause>,
    /// In words: evidence for the planner's, the operator's own for theirs.
    pub reason: String,
    /// Which condition must be True afterwards; of no meaning where [`Action::proven_by_receipt`].
    pub expect: ConditionKind,
    /// Over how much time sessions are closed; `None`: as the agent is configured.
    pub spread: Option<Duration>,
    /// Which run of the process is meant, where that is known.
    pub incarnation: Option<Incarnation>,
    /// The operator's idempotency key (AIP-155).
    pub request_id: Option<String>,
    /// W3C trace context of the decision.
    pub traceparent: Option<String>,
}

/// An order: a stored resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// What was wanted.
    pub proposal: Proposal,
    /// Rises with each order on the target.
    pub fence: Fence,
    /// Where it is.
    pub state: State,
    /// When it was made (controller's clock).
    pub created_at: Timestamp,
    /// Until when the agent may accept it (controller's clock).
    pub expires_at: Timestamp,
    /// How long after execution the condition may take.
    pub verify_within: Duration,
    /// When the agent accepted it (controller's clock).
    pub accepted_at: Option<Timestamp>,
    /// When execution began, by the agent's clock: only conditions observed since then verify it.
    pub started_at: Option<Timestamp>,
    /// Until when the condition must be seen, or, while running, the execution must end (controller's clock).
    pub deadline: Option<Timestamp>,
    /// When it ended (controller's clock).
    pub ended_at: Option<Timestamp>,
    /// What came of it, in words.
    pub outcome: String,
    /// The last of what the execution printed.
    pub output: String,
    /// Rises with each change.
    pub version: u64,
}

/// What the agent says happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which order.
    pub order: OrderId,
    /// What happened.
    pub stage: Stage,
    /// When, by the agent's clock.
    pub at: Timestamp,
    /// In words.
    pub message: String,
    /// Last part of what was printed, bounded.
    pub output: String,
    /// The trace context of the execution, so that the verification can join it.
    pub traceparent: Option<String>,
}
