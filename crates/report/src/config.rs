//! Settings of the local API: where it listens, whom it admits, what it holds.
//!
//! ```toml
//! [report]
//! listen = "127.0.0.1:7613"      # HTTP with JSON, and gRPC
//! socket = "/run/mooring/report.sock"
//!
//! [[gateway]]
//! id = "bots"
//! watch = ["report"]
//! report = { register = true, connecting = "45s" }
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use mooring_core::id::{GatewayId, InstanceId};
use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::listener::ListenAddr;
use serde::{Deserialize, Serialize};

use crate::meaning::MeaningConfig;

/// Name of the socket in the agent's data folder, where none is configured.
pub const SOCKET_NAME: &str = "report.sock";

/// Most instances one gateway may ever have.
pub const MOST_INSTANCES: usize = 100_000;

/// `[report]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
    /// The Unix socket. Default: `report.sock` in the agent's data folder.
    pub socket: Option<PathBuf>,
    /// Who may connect to it.
    pub socket_mode: SocketMode,
    /// Whether there is a TCP port beside the socket.
    pub http: bool,
    /// That port. Other than on loopback only with a token. Every user of this machine can connect to a loopback port:
    /// where they are not all trusted, set a token or use the socket alone.
    pub listen: SocketAddr,
    /// A file with the tokens that callers must show, on both.
    pub token_file: Option<SecretFile>,
    /// Bounds.
    pub limits: ReportLimits,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            socket: None,
            socket_mode: SocketMode::default(),
            http: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7613)),
            token_file: None,
            limits: ReportLimits::default(),
        }
    }
}

/// Who may connect to the socket: its file's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SocketMode {
    /// The agent's own user.
    #[default]
    #[serde(rename = "0600")]
    Owner,
    /// Its group too.
    #[serde(rename = "0660")]
    Group,
}

impl SocketMode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}

/// `[report.limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportLimits {
    /// Connections at once, 1 to 65536. Each poll for orders holds one.
    pub connections: usize,
    /// Events a second of one gateway in the long run, 1 to 1000000.
    pub events_per_second: u32,
    /// Events at once, at least what one request may hold.
    pub burst: u32,
    /// Longest request body, bytes: 4 KiB to 4 MiB.
    pub request: usize,
}

/// Most events of one request.
pub const MAX_EVENTS: usize = 500;

impl Default for ReportLimits {
    fn default() -> Self {
        Self { connections: 1024, events_per_second: 5_000, burst: 20_000, request: 256 * 1024 }
    }
}

/// `[gateway.report]`: what one gateway may report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayReport {
    /// Whether instances that are not in the configuration may make themselves known. They may by default: a bot that
    /// was added is watched without anybody's doing, and there is a bound.
    pub register: bool,
    /// Most instances, configured ones included, 1 to 100000.
    pub instances: usize,
    /// How long an instance may be connecting before it is stuck, 1 s to 1 h.
    pub connecting: HumanDuration,
}

impl Default for GatewayReport {
    fn default() -> Self {
        Self {
            register: true,
            instances: 10_000,
            connecting: HumanDuration(MeaningConfig::default().connecting),
        }
    }
}

impl GatewayReport {
    /// What is wrong; `prefix` is the section's key path (`gateway.0.report`).
    #[must_use]
    pub fn problems(&self, prefix: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        if !(1..=MOST_INSTANCES).contains(&self.instances) {
            let message = format!("{} is not between 1 and {MOST_INSTANCES}", self.instances);
            found.push(Problem::new(format!("{prefix}.instances"), message));
        }
        let (least, most) = (HumanDuration::from_secs(1), HumanDuration::from_secs(3600));
        if !(least..=most).contains(&self.connecting) {
            let message = format!("{} is not between {least} and {most}", self.connecting);
            found.push(Problem::new(format!("{prefix}.connecting"), message));
        }
        found
    }

    /// The settings for what its reports mean.
    #[must_use]
    pub fn meaning(&self) -> MeaningConfig {
        MeaningConfig { connecting: self.connecting.get() }
    }
}

impl ReportConfig {
    /// What is wrong; `prefix` is the section's key path (`report`).
    #[must_use]
    pub fn problems(&self, prefix: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.http && !ListenAddr::Tcp(self.listen).is_local() && self.token_file.is_none() {
            found.push(
                Problem::new(
                    format!("{prefix}.listen"),
                    format!("{} can be reached from other machines, which needs a token", self.listen),
                )
                .with_hint(format!("listen on 127.0.0.1, or set `{prefix}.token_file`")),
            );
        }
        // The kernel's bound on a socket's address, with its closing zero (unix(7)).
        if self.socket.as_ref().is_some_and(|path| path.as_os_str().len() > 107) {
            found.push(Problem::new(format!("{prefix}.socket"), "a socket's path has at most 107 bytes"));
        }
        let ReportLimits { connections, events_per_second, burst, request } = self.limits;
        let mut within = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                let message = format!("{value} is not between {low} and {high}");
                found.push(Problem::new(format!("{prefix}.limits.{key}"), message));
            }
        };
        within("connections", connections, 1, 65_536);
        within("events_per_second", events_per_second as usize, 1, 1_000_000);
        within("burst", burst as usize, MAX_EVENTS, 10_000_000);
        within("request", request, 4 << 10, 4 << 20);
        found
    }

    /// Where the socket is.
    #[must_use]
    pub fn socket_path(&self, data_dir: &Path) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| data_dir.join(SOCKET_NAME))
    }
}

/// A gateway that may report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEntry {
    /// Its id.
    pub id: GatewayId,
    /// The instances in the configuration: known from the start.
    pub instances: Vec<InstanceId>,
    /// What it may report.
    pub report: GatewayReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_written_in_words() {
        let config: ReportConfig = serde_json::from_str(r#"{"socket_mode":"0660"}"#).unwrap();
        assert_eq!(config.socket_mode.bits(), 0o660);
        assert!(config.problems("report").is_empty());
        assert!(GatewayReport::default().problems("gateway.0.report").is_empty());
        assert!(serde_json::from_str::<ReportConfig>(r#"{"sokcet":"x"}"#).is_err());
        assert!(serde_json::from_str::<GatewayReport>(r#"{"connecting":"45"}"#).is_err());
    }

    #[test]
    fn a_port_for_everybody_needs_a_token() {
        let mut config = ReportConfig { listen: "0.0.0.0:7613".parse().unwrap(), ..ReportConfig::default() };
        assert!(config.problems("report")[0].to_string().contains("token_file"));
        config.token_file = Some(SecretFile::new("/run/token"));
        assert!(config.problems("report").is_empty());
        config.limits.burst = 1;
        config.limits.request = 1;
        assert_eq!(config.problems("report").len(), 2);
    }

    #[test]
    fn bounds_of_a_gateway() {
        let bad = GatewayReport { instances: 0, connecting: HumanDuration::from_secs(0), register: true };
        assert_eq!(bad.problems("gateway.0.report").len(), 2);
    }
}
