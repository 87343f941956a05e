//! One controller and one agent, from their binaries, with a database of their own.

use std::fmt::Write as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Command;

use crate::client::Api;
use crate::gateway::free_port;
use crate::process::{Process, binary};
use crate::wait::until;

/// The id of the agent in every world.
pub const AGENT: &str = "local";

/// A policy that acts within tenths of a second and does not park: tests are about what happens, not how slowly.
pub const QUICK_POLICY: &str = r#"
[policy.default]
act_after = "200ms"
cooldown = "300ms"
stable_for = "1h"
order_ttl = "10s"
verify_within = "10s"
backoff = { base = "100ms", cap = "400ms" }
budget = { in_flight = 10, in_flight_percent = 100, per_minute = 600 }
restarts = { count = 20, window = "10m" }
storm = { percent = 55, at_least = 3, cooldown = "5s" }
"#;

/// One gateway for the agent's configuration.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// More TOML of its `[[gateway]]`.
    pub more: String,
}

impl Watched {
    /// A gateway at an address, on path `/ws`.
    #[must_use]
    pub fn at(id: &str, address: &str) -> Self {
        Self { id: id.to_owned(), url: format!("ws://{address}/ws"), more: String::new() }
    }

    /// A gateway that the agent runs itself.
    #[must_use]
    pub fn supervised(id: &str, port: u16, command: &[String]) -> Self {
        let list: Vec<String> = command.iter().map(|c| format!("{c:?}")).collect();
        let more = format!(
            "[gateway.restart]\nhow = \"supervise\"\ncommand = [{}]\ngrace = \"1s\"\n",
            list.join(", ")
        );
        Self { id: id.to_owned(), url: format!("ws://127.0.0.1:{port}/ws"), more }
    }

    /// With more TOML in its `[[gateway]]`; a table of its own must come after plain keys.
    #[must_use]
    pub fn with(mut self, toml: &str) -> Self {
        self.more = format!("{toml}\n{}", self.more);
        self
    }

    /// With these instances instead of the one of its own name.
    #[must_use]
    pub fn with_instances(mut self, ids: &[&str]) -> Self {
        for id in ids {
            let _ = write!(self.more, "\n[[gateway.instance]]\nid = \"{id}\"\n");
        }
        self
    }

    /// Watched in these ways (`"relay"`, `"canary", "relay"`), with a relay on a loopback port, and more keys of
    /// `[gateway.relay]`, or whole tables after them.
    #[must_use]
    pub fn relayed(self, watch: &str, port: u16, more: &str) -> Self {
        // At the end of a test nobody waits for the sessions.
        let drain = if more.contains("drain = ") { "" } else { "drain = \"100ms\"\n" };
        self.with(&format!(
            "watch = [{watch}]\n[gateway.relay]\nlisten = [\"127.0.0.1:{port}\"]\n{drain}{more}"
        ))
    }

    /// The name of its one instance.
    #[must_use]
    pub fn instance(&self) -> String {
        format!("agents/{AGENT}/gateways/{0}/instances/{0}", self.id)
    }

    /// Its own name.
    #[must_use]
    pub fn gateway(&self) -> String {
        format!("agents/{AGENT}/gateways/{}", self.id)
    }
}

/// A running system.
#[derive(Debug)]
pub struct World {
    /// Its files.
    pub dir: TempDir,
    /// The client.
    pub api: Api,
    /// `127.0.0.1:PORT` of the operator API.
    pub api_address: String,
    /// `127.0.0.1:PORT` of the agents' listener.
    pub agents_address: String,
    /// `127.0.0.1:PORT` of the controller's health page.
    pub health_address: String,
    /// `127.0.0.1:PORT` of the agent's health page.
    pub agent_health_address: String,
    /// `127.0.0.1:PORT` where gateways report, if any does.
    pub report_address: String,
    /// The database's URL.
    pub database: String,
    /// The controller, while it runs.
    pub controller: Option<Process>,
    /// The agent, while it runs.
    pub agent: Option<Process>,
}

impl World {
    /// Starts a system that watches these gateways, with the quick policy and a fresh database.
    pub async fn start(gateways: &[Watched]) -> Self {
        let database = crate::postgres::fresh_database().await;
        Self::start_with(gateways, QUICK_POLICY, database).await
    }

    /// Starts a system with a policy file and a database.
    pub async fn start_with(gateways: &[Watched], policy: &str, database: String) -> Self {
        let mut world = Self::prepare(policy, database);
        world.write_agent(gateways);
        world.start_controller().await;
        world.start_agent();
        world
    }

    /// The files of a system that is not running yet.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn prepare(policy: &str, database: String) -> Self {
        let dir = tempfile::Builder::new().prefix("mooring-test-").tempdir().expect("a folder");
        let address = |port: u16| format!("127.0.0.1:{port}");
        let (api_address, agents_address, health_address) =
            (address(free_port()), address(free_port()), address(free_port()));
        let (agent_health_address, report_address) = (address(free_port()), address(free_port()));
        std::fs::write(dir.path().join("policy.toml"), policy).expect("policy.toml");
        std::fs::write(dir.path().join("database-url"), &database).expect("database-url");
        let config = format!(
            "data_dir = {0:?}\ndatabase_file = {1:?}\npolicy_file = {2:?}\nshutdown_grace = \"5s\"\n\
             [api]\nlisten = \"{api_address}\"\n\
             [agents]\nlisten = \"{agents_address}\"\nbeat = \"500ms\"\ngrace = \"3s\"\n\
             [health]\nlisten = \"{health_address}\"\n\
             [telemetry]\nlog_filter = \"info,opentelemetry=warn,sqlx=warn,mooring_controller=debug\"\n",
            dir.path().join("data"),
            dir.path().join("database-url"),
            dir.path().join("policy.toml"),
        );
        std::fs::write(dir.path().join("controller.toml"), config).expect("controller.toml");
        let api = Api::new(&api_address);
        Self {
            dir,
            api,
            api_address,
            agents_address,
            health_address,
            agent_health_address,
            report_address,
            database,
            controller: None,
            agent: None,
        }
    }

    /// Writes the agent's configuration.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_agent(&self, gateways: &[Watched]) {
        let mut config = format!(
            "[agent]\nid = \"{AGENT}\"\ndata_dir = {:?}\n\
             [controller]\naddresses = [\"http://{}\"]\n\
             [health]\nlisten = \"{}\"\n\
             [report]\nlisten = \"{}\"\n\
             [telemetry]\nlog_filter = \"info,opentelemetry=warn,mooring_agent=debug\"\n",
            self.dir.path().join("agent"),
            self.agents_address,
            self.agent_health_address,
            self.report_address,
        );
        for g in gateways {
            let _ = write!(config, "\n[[gateway]]\nid = \"{}\"\nurl = \"{}\"\n{}\n", g.id, g.url, g.more);
            if !g.more.contains("[gateway.heartbeat]") {
                config.push_str("[gateway.heartbeat]\nping_interval = \"300ms\"\n");
            }
            if !g.more.contains("[gateway.limits]") {
                config.push_str("[gateway.limits]\nconnect = \"1s\"\nanswer = \"1s\"\n");
            }
        }
        std::fs::write(self.dir.path().join("agent.toml"), config).expect("agent.toml");
    }

    /// Path of a file of this system.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a line to a section of a configuration file, before what reads it is started.
    ///
    /// # Panics
    /// When the file has no such section.
    pub fn set(&self, file: &str, section: &str, line: &str) {
        let path = self.file(file);
        let text = std::fs::read_to_string(&path).expect("the file is there");
        let head = format!("[{section}]\n");
        assert!(text.contains(&head), "{file} has no {head}");
        std::fs::write(&path, text.replacen(&head, &format!("{head}{line}\n"), 1)).expect("the file");
    }

    /// Starts the controller and waits until it answers.
    pub async fn start_controller(&mut self) {
        let mut command = Command::new(binary("mooring-controller"));
        command.arg("--config").arg(self.file("controller.toml"));
        self.controller = Some(Process::start("controller", &mut command));
        until("the controller to answer", || async {
            match self.api.fleet.clone().get_fleet(mooring_proto::v1::GetFleetRequest {}).await {
                Ok(fleet) => Ok(fleet),
                Err(e) => Err(format!("{e}\n{}", self.log())),
            }
        })
        .await;
    }

    /// Starts the agent.
    pub fn start_agent(&mut self) {
        let mut command = Command::new(binary("mooring-agent"));
        command.arg("--config").arg(self.file("agent.toml"));
        self.agent = Some(Process::start("agent", &mut command));
    }

    /// Starts a second agent that takes over from the one that runs; returns the old one.
    ///
    /// # Panics
    /// When none runs.
    pub fn take_over(&mut self) -> Process {
        let mut command = Command::new(binary("mooring-agent"));
        command.arg("--config").arg(self.file("agent.toml")).args(["run", "--takeover"]);
        let next = Process::start("the next agent", &mut command);
        self.agent.replace(next).expect("an agent to take over from")
    }

    /// Runs `mooring` against this controller. Returns the exit code and what it printed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn mooring(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(binary("mooring"));
        command.args(args).env("MOORING_SERVER", format!("http://{}", self.api_address));
        let output = command.kill_on_drop(true).output().await.expect("mooring runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// Kills the agent with SIGKILL.
    pub async fn kill_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.kill().await;
        }
    }

    /// Kills the controller with SIGKILL.
    pub async fn kill_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.kill().await;
        }
    }

    /// What both have printed.
    #[must_use]
    pub fn log(&self) -> String {
        let of = |p: &Option<Process>| p.as_ref().map_or_else(String::new, Process::log);
        format!("{}{}", of(&self.controller), of(&self.agent))
    }

    /// The agent's configuration file, read anew by a running agent.
    pub fn reload_agent(&self) {
        if let Some(agent) = &self.agent {
            agent.signal(rustix::process::Signal::HUP);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A failing test shows what the processes said: the harness keeps it from view otherwise.
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // Killed, an agent would leave the gateways that it runs behind.
        if let Some(agent) = &mut self.agent {
            agent.stop_now();
        }
    }
}
