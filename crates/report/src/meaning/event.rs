//! What a gateway can say of an instance, in our own types: checked, bounded, without a wire format.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use mooring_core::diagnosis::codes::Protocol;
use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::time::Now;

/// One thing a gateway reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// Which gateway.
    pub gateway: GatewayId,
    /// Of which instance.
    pub instance: InstanceId,
    /// When it happened: when the report arrived, less the age it stated. Never in the future of its arrival. What is older
    /// than the agent's process happened at its clock's start, as far as the monotonic part goes.
    pub at: Now,
    /// The gateway's own name of the connection it is about; empty: the only one.
    pub session: Arc<str>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The instance made itself known, or changed what is known of it.
    Registered(Box<Registration>),
    /// It began to connect.
    Connecting,
    /// It is connected and logged in.
    Open {
        /// The other end, for people.
        peer: String,
    },
    /// It began to close.
    Closing,
    /// It is closed, or could not be opened.
    Closed(Box<Closed>),
    /// It waits for somebody to log in.
    WaitingForLogin,
    /// A sign of life.
    Beat {
        /// The round trip behind it.
        rtt: Option<Duration>,
    },
    /// A line of its log.
    Line(String),
}

/// What an instance is and promises.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registration {
    /// Whose codes it reports.
    pub protocol: Protocol,
    /// The protocol's name as given, for people.
    pub protocol_name: String,
    /// The software and its version, for people.
    pub software: String,
    /// For people.
    pub labels: BTreeMap<String, String>,
    /// Time between beats, and lateness allowed.
    pub heartbeat: Option<(Duration, Duration)>,
    /// Orders it carries out.
    pub can: Vec<mooring_core::order::Action>,
    /// Its process; zero: not said.
    pub pid: u32,
}

/// How a connection ended, as the gateway tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The protocol's own code.
    pub code: Option<i32>,
    /// The WebSocket's close code.
    pub close_code: Option<u16>,
    /// Words.
    pub message: String,
    /// Whose code it is, where not the registered protocol's.
    pub protocol: Option<Protocol>,
}
