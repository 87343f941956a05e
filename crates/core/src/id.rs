//! Names of things: newtypes that can only hold a valid value, and the resource names built from them.
//!
//! Everything an operator types or an agent claims passes through these constructors, so the rest of the code never
//! asks whether a name is well formed. An instance's name contains its agent's: an agent that speaks for an instance
//! that is not its own cannot even express it once the link has fixed the agent's id.
//!
//! The text is shared, not copied, by clones: a name stands in several tables for as long as its bearer lives.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest accepted name, in bytes: a DNS label, so that names fit Kubernetes labels and host names.
pub const MAX_NAME_LEN: usize = 63;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The name is longer than [`MAX_NAME_LEN`] bytes.
    #[error("the name is {0} bytes long, at most {MAX_NAME_LEN} are allowed")]
    TooLong(usize),
    /// A character outside `a-z 0-9 . _ -`, or a first or last character that is not a letter or digit.
    #[error(
        "`{name}`: {at:?} is not allowed here; use a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit"
    )]
    BadCharacter {
        /// The name as given.
        name: String,
        /// The offending character.
        at: char,
    },
    /// A resource name that does not have the expected form.
    #[error("`{given}` is not a resource name of the form `{expected}`")]
    BadResource {
        /// The text as given.
        given: String,
        /// The form expected.
        expected: &'static str,
    },
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(NameError::TooLong(name.len()));
    }
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let last = name.chars().count() - 1;
    for (i, c) in name.chars().enumerate() {
        let inner = edge(c) || matches!(c, '.' | '_' | '-');
        if !inner || ((i == 0 || i == last) && !edge(c)) {
            return Err(NameError::BadCharacter { name: name.to_owned(), at: c });
        }
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $ty:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $ty(Arc<str>);

        impl $ty {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// When the text is not 1–63 characters of `a-z 0-9 . _ -` that begin and end with a letter or digit.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                check(name.as_ref())?;
                Ok(Self(name.as_ref().into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $ty {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::new(s)
            }
        }

        impl TryFrom<String> for $ty {
            type Error = NameError;
            fn try_from(s: String) -> Result<Self, NameError> {
                Self::new(s)
            }
        }

        impl From<$ty> for String {
            fn from(n: $ty) -> String {
                n.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name!(
    /// An agent's stable id, e.g. the host's name. Unique in the fleet.
    AgentId
);
name!(
    /// A gateway's id, unique on its agent.
    GatewayId
);
name!(
    /// An instance's id, unique on its gateway.
    InstanceId
);
name!(
    /// A group of gateways that share budgets and a storm brake: a failure domain the operator names.
    Group
);
name!(
    /// A policy's id.
    PolicyId
);
name!(
    /// A session's id, unique on its gateway for as long as the agent's process lives. The watcher that sees the session
    /// makes it up, with a letter of its own in front: `c` canary, `r` relay, `k` kernel, `p` report.
    SessionId
);

/// A gateway in the fleet: `agents/{agent}/gateways/{gateway}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayRef {
    /// The agent that watches it.
    pub agent: AgentId,
    /// Its id on that agent.
    pub gateway: GatewayId,
}

impl GatewayRef {
    /// The instance of this gateway with the given id.
    #[must_use]
    pub fn instance(&self, instance: InstanceId) -> InstanceRef {
        InstanceRef { gateway: self.clone(), instance }
    }

    /// The session of this gateway with the given id.
    #[must_use]
    pub fn session(&self, session: SessionId) -> SessionRef {
        SessionRef { gateway: self.clone(), session }
    }
}

impl fmt::Display for GatewayRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agents/{}/gateways/{}", self.agent, self.gateway)
    }
}

impl FromStr for GatewayRef {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = s.split('/').collect();
        match parts.as_slice() {
            ["agents", a, "gateways", g] => Ok(Self { agent: AgentId::new(a)?, gateway: GatewayId::new(g)? }),
            _ => {
                Err(NameError::BadResource { given: clip(s), expected: "agents/{agent}/gateways/{gateway}" })
            }
        }
    }
}

/// An instance in the fleet: `agents/{agent}/gateways/{gateway}/instances/{instance}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceRef {
    /// The gateway it belongs to.
    pub gateway: GatewayRef,
    /// Its id on that gateway.
    pub instance: InstanceId,
}

impl fmt::Display for InstanceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/instances/{}", self.gateway, self.instance)
    }
}

impl FromStr for InstanceRef {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = s.split('/').collect();
        match parts.as_slice() {
            ["agents", a, "gateways", g, "instances", i] => Ok(Self {
                gateway: GatewayRef { agent: AgentId::new(a)?, gateway: GatewayId::new(g)? },
                instance: InstanceId::new(i)?,
            }),
            _ => Err(NameError::BadResource {
                given: clip(s),
                expected: "agents/{agent}/gateways/{gateway}/instances/{instance}",
            }),
        }
    }
}

/// A session in the fleet: `agents/{agent}/gateways/{gateway}/sessions/{session}`. Under the gateway, not under an
/// instance: who watches from outside does not always know whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionRef {
    /// The gateway it goes to or comes from.
    pub gateway: GatewayRef,
    /// Its id on that gateway.
    pub session: SessionId,
}

impl fmt::Display for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/sessions/{}", self.gateway, self.session)
    }
}

impl FromStr for SessionRef {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = s.split('/').collect();
        match parts.as_slice() {
            ["agents", a, "gateways", g, "sessions", i] => Ok(Self {
                gateway: GatewayRef { agent: AgentId::new(a)?, gateway: GatewayId::new(g)? },
                session: SessionId::new(i)?,
            }),
            _ => Err(NameError::BadResource {
                given: clip(s),
                expected: "agents/{agent}/gateways/{gateway}/sessions/{session}",
            }),
        }
    }
}

/// What an order is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A whole gateway: every instance of it is affected.
    Gateway(GatewayRef),
    /// One instance.
    Instance(InstanceRef),
    /// One session.
    Session(SessionRef),
}

impl Target {
    /// The gateway that is aimed at or that holds the instance.
    #[must_use]
    pub fn gateway(&self) -> &GatewayRef {
        match self {
            Self::Gateway(g) => g,
            Self::Instance(i) => &i.gateway,
            Self::Session(s) => &s.gateway,
        }
    }

    /// The instance aimed at, if it is one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceRef> {
        match self {
            Self::Gateway(_) | Self::Session(_) => None,
            Self::Instance(i) => Some(i),
        }
    }

    /// The session aimed at, if it is one.
    #[must_use]
    pub fn session(&self) -> Option<&SessionRef> {
        match self {
            Self::Session(s) => Some(s),
            Self::Gateway(_) | Self::Instance(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(g) => g.fmt(f),
            Self::Instance(i) => i.fmt(f),
            Self::Session(s) => s.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        if let Ok(i) = s.parse() {
            return Ok(Self::Instance(i));
        }
        if let Ok(session) = s.parse() {
            return Ok(Self::Session(session));
        }
        match s.parse() {
            Ok(g) => Ok(Self::Gateway(g)),
            Err(NameError::BadResource { given, .. }) => Err(NameError::BadResource {
                given,
                expected: "agents/{agent}/gateways/{gateway}[/instances/{instance} or /sessions/{session}]",
            }),
            Err(e) => Err(e),
        }
    }
}

/// Error texts quote what was given, but never more than a line of it.
fn clip(s: &str) -> String {
    s.chars().take(200).collect()
}

/// One life of an agent process. A new boot id means: sequence numbers and handles begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootId(pub Uuid);

/// An order's id. UUIDv7, so that orders sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Per target, strictly rising with each order: an executor refuses any order whose fence is not above the last it
/// took (Jepsen's etcd analysis: a lock alone is not enough, the resource must check).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fence(pub u64);

/// Which run of a gateway's process is meant. An order aimed at one run has no effect on the next.
/// The agent mints them, rising; zero is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "host-1", "a.b_c-9", &"x".repeat(63)] {
            assert!(AgentId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a/b", "a b", "é", &"x".repeat(64)] {
            assert!(AgentId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn resource_names_round_trip() {
        for text in [
            "agents/h1/gateways/chat",
            "agents/h1/gateways/chat/instances/a.1",
            "agents/h1/gateways/chat/sessions/r1f",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        assert!("agents/h1/gateways".parse::<Target>().is_err());
        assert!("agents/h1/gateways/x/instances/UP".parse::<Target>().is_err());
    }
}
