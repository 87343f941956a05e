//! `[doctor]`: what may be examined from here when an operator asks.

use serde::{Deserialize, Serialize};

/// What may be examined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoctorSection {
    /// Which hosts. Addresses of the link itself and of cloud metadata are refused either way, unless a gateway is
    /// configured there.
    pub allow: Allow,
}

/// Which hosts may be examined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Those that the configuration names for one of its gateways.
    #[default]
    Own,
    /// Any: whoever may ask the controller can then look at what this machine can reach.
    Any,
}
