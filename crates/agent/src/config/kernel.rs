//! `[gateway.kernel]`: which TCP connections are the gateway's, and how they are judged.

use std::net::IpAddr;
use std::path::PathBuf;

use mooring_kernel::{Remote, Selector};
use mooring_runtime::config::{HumanDuration, Problem};
use serde::{Deserialize, Serialize};

use super::{GatewayConfig, join};
use crate::executor::How;

/// How a gateway's connections are found in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelSection {
    /// Ports it listens on. Default: the one of its URL, unless something else is named.
    pub ports: Vec<u16>,
    /// Far ends of links it dials, `192.0.2.0/24`, `192.0.2.7:443` or `:443`.
    pub remotes: Vec<String>,
    /// The process that holds the connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// The network namespace: `/run/netns/x` or `/proc/PID/ns/net`. Default: the process's, where one is named, else the
    /// agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<PathBuf>,
    /// How often they are read, 500 ms to 1 min.
    pub every: HumanDuration,
    /// Most connections that are followed.
    pub max_connections: u32,
    /// Whether connections may be cut (SOCK_DESTROY). Needs CAP_NET_ADMIN.
    pub cut: bool,
    /// How many connections it must hold at least; fewer count as a fault. For gateways that dial out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<u32>,
    /// How long sent data may stay unacknowledged.
    pub half_open_after: HumanDuration,
    /// How long data may wait unread on either side.
    pub stalled_after: HumanDuration,
}

/// A process, by who knows its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProcessRef {
    /// The one this agent runs (`restart.how = "supervise"`).
    Supervised,
    /// The one whose number is in this file.
    PidFile(PathBuf),
    /// This one.
    Pid(u32),
}

impl Default for KernelSection {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            remotes: Vec::new(),
            process: None,
            namespace: None,
            every: HumanDuration::from_secs(2),
            max_connections: 131_072,
            cut: false,
            expect: None,
            half_open_after: HumanDuration::from_secs(10),
            stalled_after: HumanDuration::from_secs(10),
        }
    }
}

impl KernelSection {
    /// The ports and far ends that are looked for; the process is added when it is known.
    ///
    /// # Errors
    /// In words, when a far end cannot be read.
    pub fn selector(&self, gateway: &GatewayConfig) -> Result<Selector, String> {
        let mut selector = Selector::new();
        for port in self.effective_ports(gateway) {
            selector = selector.port(port);
        }
        for remote in &self.remotes {
            selector = selector.remote(remote.parse::<Remote>()?);
        }
        Ok(selector)
    }

    fn effective_ports(&self, gateway: &GatewayConfig) -> Vec<u16> {
        if !self.ports.is_empty() || !self.remotes.is_empty() || self.process.is_some() {
            return self.ports.clone();
        }
        port_here(&gateway.url).into_iter().collect()
    }

    pub(super) fn problems(&self, gateway: &GatewayConfig, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Err(problem) = self.selector(gateway) {
            found.push(Problem::new(join(key, "remotes"), problem));
        }
        if self.effective_ports(gateway).is_empty() && self.remotes.is_empty() && self.process.is_none() {
            found.push(Problem::new(key, "nothing says which connections are the gateway's").with_hint(
                "set `ports`, `remotes` or `process`; the url's port is taken where its host is this machine",
            ));
        }
        if self.ports.contains(&0) {
            found.push(Problem::new(join(key, "ports"), "0 is not a port"));
        }
        if self.ports.len().max(self.remotes.len()) > Selector::MOST {
            found.push(Problem::new(key, format!("at most {} ports and remotes", Selector::MOST)));
        }
        if self.process == Some(ProcessRef::Supervised) && !matches!(gateway.restart, Some(How::Supervise(_)))
        {
            found.push(
                Problem::new(join(key, "process"), "this agent does not run the gateway's process")
                    .with_hint("`restart.how = \"supervise\"`, or name a `pid_file`"),
            );
        }
        let (least, most) = (HumanDuration::from_millis(500), HumanDuration::from_secs(60));
        if !(least..=most).contains(&self.every) {
            let problem = format!("{} is not between {least} and {most}", self.every);
            found.push(Problem::new(join(key, "every"), problem));
        }
        if !(1..=1_000_000).contains(&self.max_connections) {
            found.push(Problem::new(join(key, "max_connections"), "must be between 1 and 1000000"));
        }
        for (name, time) in [("half_open_after", self.half_open_after), ("stalled_after", self.stalled_after)]
        {
            // Seen twice at least, or one late look would be a verdict.
            if time.get() < self.every.get() * 2 {
                let problem = format!("{time} must be at least twice `every` ({})", self.every);
                found.push(Problem::new(join(key, name), problem));
            }
        }
        found
    }
}

/// The port of a URL whose host is this machine.
fn port_here(url: &str) -> Option<u16> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    let port = uri.port_u16().or(match uri.scheme_str() {
        Some("wss") => Some(443),
        _ => Some(80),
    });
    port.filter(|_| here)
}
