//! Conditions: the questions asked about an instance, each answered True, False or Unknown.
//!
//! Three layers, as "open" is not health: the wire (`Reachable`), the protocol (`Beating`), the purpose (`Linked`,
//! `Delivering`); a fifth, `Stable`, says whether the instance flaps. Unknown is a value of its own and never treated
//! as False: an observer that saw nothing has learnt nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::time::Timestamp;

/// Which question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionKind {
    /// Wire: the handshake completes and sessions stay open.
    Reachable,
    /// Protocol: the heartbeat this protocol promises arrives on time.
    Beating,
    /// Purpose: the account behind the instance is logged in.
    Linked,
    /// Purpose: useful traffic flows, against its own normal.
    Delivering,
    /// The instance is not flapping.
    Stable,
}

impl ConditionKind {
    /// All kinds, in order of their codes.
    pub const ALL: [ConditionKind; 5] =
        [Self::Reachable, Self::Beating, Self::Linked, Self::Delivering, Self::Stable];

    /// The stable name, as shown and stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reachable => "Reachable",
            Self::Beating => "Beating",
            Self::Linked => "Linked",
            Self::Delivering => "Delivering",
            Self::Stable => "Stable",
        }
    }

    /// Position in [`ConditionKind::ALL`]; also the code on disk.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Reachable => 0,
            Self::Beating => 1,
            Self::Linked => 2,
            Self::Delivering => 3,
            Self::Stable => 4,
        }
    }

    /// The kind with this code.
    #[must_use]
    pub fn from_index(i: usize) -> Option<Self> {
        Self::ALL.get(i).copied()
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ConditionKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|k| k.name() == s).ok_or_else(|| {
            format!("`{s}` is not a condition; known: Reachable, Beating, Linked, Delivering, Stable")
        })
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Status {
    /// Not known: not yet observed, not applicable, or the observer is away.
    #[default]
    Unknown,
    /// Asked and found wanting.
    False,
    /// Asked and found well.
    True,
}

impl Status {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::False => "False",
            Self::True => "True",
        }
    }

    /// Code on disk and on the agent link: 0, 1, 2.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::False => 1,
            Self::True => 2,
        }
    }

    /// The status with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::False),
            2 => Some(Self::True),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Facts that support a verdict: bounded key–value pairs, in the order they were found.
pub type Evidence = Vec<(String, String)>;

/// One condition of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The question.
    pub kind: ConditionKind,
    /// The answer.
    pub status: Status,
    /// Why it is not True; `None` when it is True.
    pub cause: Option<Cause>,
    /// One line for people, English, at most [`crate::limits::MAX_MESSAGE`] bytes.
    pub message: String,
    /// The facts behind it, at most [`crate::limits::MAX_EVIDENCE`] entries.
    pub evidence: Evidence,
    /// When the status (not the message) last changed.
    pub since: Timestamp,
}

impl Condition {
    /// A condition nobody has looked at yet.
    #[must_use]
    pub fn unobserved(kind: ConditionKind, since: Timestamp) -> Self {
        Self {
            kind,
            status: Status::Unknown,
            cause: Some(Cause::NotYetObserved),
            message: String::new(),
            evidence: Vec::new(),
            since,
        }
    }

    /// Whether `other` says something different (the time aside): what is worth reporting.
    #[must_use]
    pub fn differs(&self, other: &Condition) -> bool {
        self.status != other.status || self.cause != other.cause
    }
}
