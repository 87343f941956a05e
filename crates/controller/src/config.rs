//! The controller's configuration. Every field has a default that is safe on one machine: loopback listeners, a private
//! Postgres, bounded everything.

use std::net::SocketAddr;
use std::path::PathBuf;

use mooring_runtime::config::{HumanDuration, Problem, SecretFile, Validate};
use mooring_runtime::listener::check_exposure;
use mooring_runtime::telemetry::TelemetryConfig;
use mooring_runtime::tls::ServerTlsConfig;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControllerConfig {
    /// Where the controller keeps its files: the private Postgres and its lock.
    pub data_dir: PathBuf,
    /// `private` for a Postgres of our own, started and stopped with the controller; otherwise a `postgres://` URL.
    /// A URL with a password belongs into `database_file`.
    pub database: String,
    /// A file that holds the database URL; wins over `database`.
    pub database_file: Option<SecretFile>,
    /// Most connections to the database, 2 to 100.
    pub database_connections: u32,
    /// Policies, by group. Those in this file cannot be changed through the API.
    pub policy_file: Option<PathBuf>,
    /// The operator API.
    pub api: ApiConfig,
    /// The agents' link.
    pub agents: AgentsConfig,
    /// The plain HTTP page for probes and Prometheus.
    pub health: HealthConfig,
    /// How long history is kept.
    pub retention: RetentionConfig,
    /// Logs, metrics, traces.
    pub telemetry: TelemetryConfig,
    /// How long a stopping controller may take.
    pub shutdown_grace: HumanDuration,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/mooring"),
            database: "private".to_owned(),
            database_file: None,
            database_connections: 10,
            policy_file: None,
            api: ApiConfig::default(),
            agents: AgentsConfig::default(),
            health: HealthConfig::default(),
            retention: RetentionConfig::default(),
            telemetry: TelemetryConfig::default(),
            shutdown_grace: HumanDuration::from_secs(20),
        }
    }
}

/// The operator API's listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address. Anything but loopback needs `tls` and `tokens_file`, or `insecure = true`.
    pub listen: SocketAddr,
    /// Certificate and key; reloaded when the files change.
    pub tls: Option<ServerTlsConfig>,
    /// Bearer tokens of operators, `name:token` a line, or one bare token.
    pub tokens_file: Option<SecretFile>,
    /// Serve without TLS or token where it can be reached from outside. Logged loudly.
    pub insecure: bool,
    /// Whether gRPC reflection (v1 and v1alpha) is served.
    pub reflection: bool,
    /// Most connections, in total and from one address.
    pub max_connections: usize,
    /// See `max_connections`.
    pub max_connections_per_source: usize,
    /// Most watches at once.
    pub max_watches: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7600)),
            tls: None,
            tokens_file: None,
            insecure: false,
            reflection: true,
            max_connections: 1_000,
            max_connections_per_source: 200,
            max_watches: 200,
        }
    }
}

/// The agents' listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentsConfig {
    /// Address. Anything but loopback needs `tls` and `join_tokens_file`, or `insecure = true`.
    pub listen: SocketAddr,
    /// Certificate and key; reloaded when the files change.
    pub tls: Option<ServerTlsConfig>,
    /// Join tokens: `agent-id:token` binds a token to one agent, a bare token admits any.
    pub join_tokens_file: Option<SecretFile>,
    /// Serve without TLS or token where it can be reached from outside. Logged loudly.
    pub insecure: bool,
    /// Most agents attached.
    pub max_agents: usize,
    /// Most connections from one address.
    pub max_connections_per_source: usize,
    /// Most gateways of one agent.
    pub max_gateways_per_agent: usize,
    /// Most instances of one agent.
    pub max_instances_per_agent: usize,
    /// Least time between an agent's heartbeats. The controller stretches it so that all agents together stay below
    /// 50 heartbeats a second.
    pub beat: HumanDuration,
    /// How long an agent that went may take to come back before its instances are Unknown.
    pub grace: HumanDuration,
    /// Most unacknowledged reports of one agent.
    pub window: u32,
}

impl Default for AgentsConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7601)),
            tls: None,
            join_tokens_file: None,
            insecure: false,
            max_agents: 10_000,
            max_connections_per_source: 10_000,
            max_gateways_per_agent: 1_000,
            max_instances_per_agent: 20_000,
            beat: HumanDuration::from_secs(10),
            grace: HumanDuration::from_secs(60),
            window: 16,
        }
    }
}

/// The health page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Address; none: no page. It serves `/livez`, `/readyz` and `/metrics` and nothing else, in plain HTTP.
    pub listen: Option<SocketAddr>,
    /// Serve it where it can be reached from outside, as the probes of Kubernetes need it. Logged loudly.
    pub insecure: bool,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 7602))), insecure: false }
    }
}

/// How long history is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Events and refusals.
    pub events: HumanDuration,
    /// Orders that are over.
    pub orders: HumanDuration,
    /// Ends of sessions. Whatever this says, no gateway keeps more than its newest 1,000.
    pub session_closes: HumanDuration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            events: HumanDuration::from_secs(14 * 86_400),
            orders: HumanDuration::from_secs(90 * 86_400),
            session_closes: HumanDuration::from_secs(14 * 86_400),
        }
    }
}

impl Validate for ControllerConfig {
    fn validate(&self) -> Vec<Problem> {
        let mut out = Vec::new();
        if self.database_file.is_none()
            && self.database != "private"
            && !self.database.starts_with("postgres")
        {
            out.push(
                Problem::new("database", "must be `private` or a postgres:// URL")
                    .with_hint("put a URL with a password into a file and name that in `database_file`"),
            );
        }
        if !(2..=100).contains(&self.database_connections) {
            out.push(Problem::new("database_connections", "must be 2 to 100"));
        }
        let api = &self.api;
        if let Err(e) =
            check_exposure(&api.listen.into(), api.tls.is_some(), api.tokens_file.is_some(), api.insecure)
        {
            out.push(Problem::new("api.listen", e.to_string()));
        }
        let agents = &self.agents;
        let (tls, token) = (agents.tls.is_some(), agents.join_tokens_file.is_some());
        if let Err(e) = check_exposure(&agents.listen.into(), tls, token, agents.insecure) {
            out.push(Problem::new("agents.listen", e.to_string()));
        }
        if let Some(listen) = self.health.listen
            && let Err(e) = check_exposure(&listen.into(), false, false, self.health.insecure)
        {
            out.push(Problem::new("health.listen", e.to_string()));
        }
        if agents.beat.get() < std::time::Duration::from_millis(100) {
            out.push(Problem::new("agents.beat", "must be at least 100ms"));
        }
        // A link is taken for lost after three beats; a grace shorter than that plus one beat would call an agent
        // offline that has not even been missed yet (Kubernetes had to learn it: issue 121793).
        let least = agents.beat.get() * 4;
        if agents.grace.get() < least {
            out.push(Problem::new(
                "agents.grace",
                format!(
                    "{} is shorter than 4 × agents.beat = {}: an agent is taken for lost after 3 beats, and needs one more to return",
                    agents.grace,
                    HumanDuration(least)
                ),
            ));
        }
        if !(1..=1_024).contains(&agents.window) {
            out.push(Problem::new("agents.window", "must be 1 to 1024"));
        }
        out.extend(self.telemetry.problems("telemetry"));
        out
    }
}
