//! The agent's settings: what to watch, how to act on it, where to report.
//!
//! The types mirror the TOML file one to one and know their defaults; a gateway needs no more than an id and a URL.
//! What the rest of the agent works with is derived here by pure functions: the effective settings of one instance's
//! watch ([`GatewayConfig::watch`]), what can be done to a gateway ([`GatewayConfig::abilities`]), and what a reload
//! changes ([`diff`]), so that a reload leaves alone whatever it did not touch. How to act is described by the executors
//! themselves ([`crate::executor::How`]): adding one adds nothing here.
//!
//! Nothing secret is in these types. Headers that carry credentials are given as files, read when they are used.

mod adapter;
mod bytes;
mod diff;
mod gateway;
mod kernel;
mod limits;
mod relay;
mod tracker;
mod validate;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mooring_core::id::AgentId;
pub use mooring_report::{GatewayReport as ReportSection, ReportConfig};
use mooring_runtime::config::SecretFile;
use mooring_runtime::telemetry::TelemetryConfig;
use mooring_runtime::tls::ClientTlsConfig;
use serde::{Deserialize, Serialize};

pub use adapter::AdapterSettings;
pub use bytes::ByteSize;
pub use diff::{Changed, Diff, InstanceDiff, SourceDiff, diff};
pub use gateway::{ExpectConfig, GatewayConfig, HeartbeatConfig, InstanceConfig, PromiseConfig, WatchConfig};
pub use kernel::{KernelSection, ProcessRef};
pub use limits::LimitsConfig;
pub use relay::{HoldSection, KeepaliveSection, ProxyTo, RelayLimits, RelaySection, RelaySetup};
pub use tracker::TrackerSection;
pub(crate) use validate::{address_of, check_command, check_headers, join};

/// The prefix of environment variables that are settings: `MOORING_AGENT__AGENT__ID`.
pub const ENV_PREFIX: &str = "MOORING_AGENT";

/// Most gateways of one agent.
pub const MAX_GATEWAYS: usize = 1_000;

/// Most instances of one agent, over all its gateways.
pub const MAX_INSTANCES: usize = 10_000;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Who this agent is.
    pub agent: AgentSection,
    /// Whom it reports to.
    pub controller: ControllerSection,
    /// Its probes and metrics page.
    pub health: HealthSection,
    /// Logs, traces, metrics.
    pub telemetry: TelemetryConfig,
    /// Where gateways report to, once one is watched that way.
    pub report: ReportConfig,
    /// What it watches.
    #[serde(rename = "gateway")]
    pub gateways: Vec<GatewayConfig>,
}

/// Who this agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSection {
    /// Its id, unique in the fleet and the same over restarts. Default: made of the host's name.
    pub id: Option<AgentId>,
    /// The machine it runs on, for people. Default: the host's name.
    pub node: Option<String>,
    /// Where it keeps the record of orders and of the processes it runs. It must survive restarts and belongs to one
    /// agent alone.
    pub data_dir: PathBuf,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self { id: None, node: None, data_dir: "/var/lib/mooring/agent".into() }
    }
}

/// Whom the agent reports to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControllerSection {
    /// Controllers, `http://host:port` or `https://host:port`; the first that can be reached is used.
    pub addresses: Vec<String>,
    /// The file with the token that lets this agent join.
    pub join_token_file: Option<SecretFile>,
    /// For `https`: whom to trust, and who we are.
    pub tls: ClientTlsConfig,
    /// Allows `http` to an address that is not this machine: everything, the token too, is then readable on the way.
    pub insecure: bool,
}

impl Default for ControllerSection {
    fn default() -> Self {
        Self {
            addresses: vec!["http://127.0.0.1:7601".to_owned()],
            join_token_file: None,
            tls: ClientTlsConfig::default(),
            insecure: false,
        }
    }
}

/// The page with probes and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthSection {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Allows an address that others can reach.
    pub insecure: bool,
}

impl Default for HealthSection {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7612)), insecure: false }
    }
}

/// Who this agent is, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id it joins the fleet with.
    pub agent: AgentId,
    /// The machine, for people.
    pub node: String,
}

impl AgentConfig {
    /// Decides the agent's id and node: what is configured, else what the host's name makes.
    ///
    /// # Errors
    /// When no id is configured and the host's name has no letter or digit to make one of.
    pub fn identity(&self, host_name: &str) -> Result<Identity, String> {
        let agent = match &self.agent.id {
            Some(id) => id.clone(),
            None => sanitised(host_name).ok_or_else(|| {
                format!(
                    "no id can be made of the host's name `{host_name}`: set `agent.id`, unique in the fleet"
                )
            })?,
        };
        let node = match &self.agent.node {
            Some(node) => node.clone(),
            None if host_name.is_empty() => agent.to_string(),
            None => host_name.to_owned(),
        };
        Ok(Identity { agent, node })
    }
}

/// The name of this machine, as the kernel knows it.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// An id made of a host's name: lower-cased, everything else than letters, digits, `.`, `_` and `-` made `-`.
fn sanitised(host_name: &str) -> Option<AgentId> {
    let text: String = host_name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
            _ => '-',
        })
        .take(mooring_core::id::MAX_NAME_LEN)
        .collect();
    AgentId::new(text.trim_matches(|c: char| !c.is_ascii_alphanumeric())).ok()
}
