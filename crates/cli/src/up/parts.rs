//! The parts, started and stopped: telemetry, controller (with its Postgres), agent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use mooring_agent::app as agent;
use mooring_agent::config::AgentConfig;
use mooring_controller::app::{self as controller, StartError};
use mooring_controller::config::ControllerConfig;
use mooring_core::cause::Lang;
use mooring_runtime::config::{ConfigError, Loaded};
use mooring_runtime::health::Readiness;
use mooring_runtime::lifecycle::{ExitReport, Handle, Signal, Supervisor, error_chain};
use mooring_runtime::listener::ListenAddr;
use mooring_runtime::process::ConfigArgs;
use mooring_runtime::telemetry::{self, ServiceInfo, Telemetry};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::hints;
use super::layout::Layout;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::text::{duration, either};

/// How long telemetry may be flushed at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// A supervisor that runs, and the signals it is sent.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    handle: Handle,
    // As bounded as its source, which is the process's own signals.
    signals: mpsc::UnboundedSender<Signal>,
    running: JoinHandle<ExitReport>,
}

impl Part {
    /// Runs a supervisor that has been given its tasks.
    fn run(name: &'static str, supervisor: Supervisor) -> Self {
        let (signals, received) = mpsc::unbounded_channel();
        let handle = supervisor.handle();
        let running = tokio::spawn(supervisor.run_with(UnboundedReceiverStream::new(received)));
        Self { name, handle, signals, running }
    }

    /// Ends it in order; a further signal meanwhile ends it, and what is ended after it, at once.
    async fn stop(mut self, signals: &mut (impl Stream<Item = Signal> + Unpin), at_once: &mut bool) -> bool {
        self.handle.shutdown("mooring up ends");
        loop {
            if *at_once {
                // It has ended if nobody receives; the next lines see that.
                let _ = self.signals.send(Signal::Interrupt);
            }
            tokio::select! {
                report = &mut self.running => return report.is_ok_and(|r| r.code == 0),
                Some(signal) = signals.next() => *at_once |= signal != Signal::Reload,
            }
        }
    }
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct System {
    telemetry: Telemetry,
    controller: Part,
    agent: Part,
    /// Where the operator API can be reached from here.
    pub(super) api: String,
    /// Whether callers need a token.
    pub(super) needs_token: bool,
    agents: ListenAddr,
    health: Option<SocketAddr>,
    gateways: Vec<String>,
    agent_id: String,
    example: Option<String>,
    /// The log.
    pub(super) log: PathBuf,
}

impl System {
    /// Starts everything. A signal meanwhile ends what was started by then.
    pub(super) async fn start(
        layout: &Layout,
        signals: &mut (impl Stream<Item = Signal> + Unpin),
    ) -> Outcome<Self> {
        let config = load::<ControllerConfig>(&layout.controller, mooring_controller::cli::ENV_PREFIX)?;
        // Before anything is started: a bad file should not cost the start of a database.
        load::<AgentConfig>(&layout.agent, mooring_agent::config::ENV_PREFIX)?;
        let service = ServiceInfo::new("mooring-up", env!("CARGO_PKG_VERSION"));
        mooring_runtime::tls::install_provider();
        let telemetry = telemetry::init_to_file(&config.value.telemetry, &service, layout.open_log()?)
            .map_err(|e| Failure::Problem(error_chain(&e)))?;
        let (tls, needs_token) = (config.value.api.tls.is_some(), config.value.api.tokens_file.is_some());
        let agents_tls = config.value.agents.tls.is_some();
        let supervisor = Supervisor::new(config.value.shutdown_grace.get());
        let (handle, readiness) = (supervisor.handle(), Readiness::new());
        let start = Box::pin(controller::start(config, &handle, &readiness, telemetry.registry()));
        let started = tokio::select! {
            started = start => started.map_err(|error| words(&error, layout)),
            signal = super::next_end(signals, true) => {
                let name = signal.map_or_else(String::new, |s| s.to_string());
                Err(format!("{name} came before everything was started"))
            }
        };
        let running = match started {
            Ok(running) => running,
            Err(why) => {
                // What was started by then is ended in order, the database too.
                abandon("controller", supervisor).await;
                return Err(Failure::Problem(why));
            }
        };
        let controller = Part::run("controller", supervisor);
        match start_agent(layout, &running.agents, agents_tls).await {
            Ok(agent) => Ok(Self {
                telemetry,
                controller,
                agent: agent.part,
                api: hints::url(&running.api, tls),
                needs_token,
                agents: running.agents,
                health: running.health,
                gateways: agent.gateways,
                agent_id: agent.id,
                example: agent.example,
                log: layout.log(),
            }),
            Err(failure) => {
                controller.stop(&mut tokio_stream::pending(), &mut false).await;
                Err(failure)
            }
        }
    }

    /// Says where everything is, and what to try.
    pub(super) fn words(&self, layout: &Layout, context: &Context) -> Outcome<()> {
        let lang = context.lang();
        let health = self.health.map_or_else(|| "-".to_owned(), |a| format!("http://{a}/readyz"));
        let gateways = if self.gateways.is_empty() {
            either(
                lang,
                "none yet; add them to agent.toml, then send SIGHUP",
                "暂无，请在 agent.toml 中添加后发送 SIGHUP",
            )
            .to_owned()
        } else {
            self.gateways.join(", ")
        };
        let lines = [
            format!("{}: {}", either(lang, "Operator API", "操作接口"), self.api),
            format!("{}: {}", either(lang, "Agents attach at", "代理接入地址"), self.agents),
            format!("{}: {health}", either(lang, "Probes and metrics", "探针与指标")),
            format!(
                "{} `{}`: {gateways}",
                either(lang, "Watched by the agent", "代理监视的网关"),
                self.agent_id
            ),
            format!("{}: {}", either(lang, "Log", "日志"), layout.log().display()),
            String::new(),
            either(lang, "Try, in another terminal:", "可在另一个终端中尝试：").to_owned(),
        ];
        context.print(&lines.map(|line| line + "\n").concat())?;
        for hint in self.hints() {
            context.print(&format!("  {hint}"))?;
        }
        context.print(&format!(
            "\n{}\n\n",
            either(lang, "Ctrl-C ends everything in order.", "按 Ctrl-C 依次结束全部。")
        ))
    }

    /// Lines to try in another terminal.
    pub(super) fn hints(&self) -> Vec<String> {
        hints::lines(&self.api, self.needs_token, self.example.as_deref())
    }

    /// Waits until a part has ended by itself, and says which.
    pub(super) async fn died(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.controller.running => self.controller.name,
            _ = &mut self.agent.running => self.agent.name,
        }
    }

    /// Asks both parts to read their settings again.
    pub(super) fn reload(&self) {
        self.controller.handle.reload();
        self.agent.handle.reload();
    }

    /// Ends everything in order; true if all went well.
    pub(super) async fn stop(
        self,
        signals: &mut (impl Stream<Item = Signal> + Unpin),
        mut say: impl FnMut(&str),
        lang: Lang,
    ) -> bool {
        let (mut well, mut at_once) = (true, false);
        let steps = [
            (
                self.agent,
                either(lang, "Stopping the agent and the gateways it runs", "正在停止代理及其运行的网关"),
            ),
            (
                self.controller,
                either(lang, "Stopping the controller and its Postgres", "正在停止控制器及其 Postgres"),
            ),
        ];
        for (part, what) in steps {
            say(&format!("{what} ..."));
            let began = Instant::now();
            // A part that has ended by itself has nothing left to stop.
            let ended = part.running.is_finished();
            let fine = if ended { false } else { part.stop(signals, &mut at_once).await };
            well &= fine;
            let took = duration(began.elapsed());
            say(&match fine {
                true => format!("  {} ({took})", either(lang, "done", "完成")),
                false => format!("  {} ({took})", either(lang, "not in order", "未能正常结束")),
            });
        }
        self.telemetry.shutdown(FLUSH).await;
        well
    }
}

/// An agent that runs.
struct Started {
    part: Part,
    id: String,
    gateways: Vec<String>,
    /// An instance that is worth a look: of the last gateway, which in the demonstration is the one that misbehaves.
    example: Option<String>,
}

async fn start_agent(layout: &Layout, agents: &ListenAddr, tls: bool) -> Outcome<Started> {
    let mut args = layout.agent.clone();
    if !tls {
        // Wherever its controller listens in fact. With TLS the file must know better: there is a name to check.
        args.set.push(format!("controller.addresses=[\"{}\"]", hints::url(agents, false)));
    }
    let config = load::<AgentConfig>(&args, mooring_agent::config::ENV_PREFIX)?.value;
    let supervisor = Supervisor::new(agent::grace(&config));
    let gateways = config.gateways.iter().map(|g| g.id.to_string()).collect();
    let last = config.gateways.last().and_then(|g| Some((g.id.clone(), g.instances().first()?.id.clone())));
    let options = agent::Options {
        reread: Some(Arc::new(move || args.load(mooring_agent::config::ENV_PREFIX))),
        ..agent::Options::new(config)
    };
    match Box::pin(agent::start(options, &supervisor.handle())).await {
        Ok(started) => {
            let id = started.identity.agent.to_string();
            let example = last
                .map(|(gateway, instance)| format!("agents/{id}/gateways/{gateway}/instances/{instance}"));
            Ok(Started { part: Part::run("agent", supervisor), id, gateways, example })
        }
        Err(error) => {
            abandon("agent", supervisor).await;
            Err(Failure::Problem(format!("the agent did not start: {}", error_chain(&error))))
        }
    }
}

/// Ends what a failed start has begun.
async fn abandon(name: &'static str, supervisor: Supervisor) {
    Part::run(name, supervisor).stop(&mut tokio_stream::pending(), &mut false).await;
}

fn load<T>(args: &ConfigArgs, prefix: &str) -> Outcome<Loaded<T>>
where
    T: serde::de::DeserializeOwned + mooring_runtime::config::Validate,
{
    args.load(prefix).map_err(|e: ConfigError| Failure::Problem(format!("the configuration is refused\n{e}")))
}

/// Why the controller did not start, and which flag helps.
fn words(error: &StartError, layout: &Layout) -> String {
    let flag = match error {
        StartError::Bind { section: "api", .. } => "--api 127.0.0.1:0 takes a free port",
        StartError::Bind { .. } => "--agents 127.0.0.1:0 takes a free port",
        StartError::Health { .. } => "--health 127.0.0.1:0 takes a free port",
        _ => "",
    };
    let hint = if flag.is_empty() { String::new() } else { format!("\n  {flag}") };
    format!(
        "the controller did not start: {}{hint}\n  the log is {}",
        error_chain(error),
        layout.log().display()
    )
}
