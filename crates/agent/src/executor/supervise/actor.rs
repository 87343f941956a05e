//! The one task that owns a gateway's process. Everything that happens to the process happens here, one thing after
//! another, which is what makes "never two copies" a matter of reading a single loop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mooring_core::id::{GatewayId, Incarnation};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Observation;
use mooring_core::time::human;
use mooring_runtime::clock::SystemClock;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::record::{Process, Record, RecordFile, next};
use super::running::Running;
use super::{Command, OnAgentExit, ProcessStatus, SuperviseConfig, SupervisedHandle};
use crate::executor::process::{Exit, program, signal_group, signal_process};
use crate::executor::{Outcome, Sightings, procfs, tell};

/// How long a process may take to vanish after SIGKILL. One that takes longer is stuck in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// Of a restart's time limit, what is kept for killing and starting.
const START_SHARE: Duration = Duration::from_secs(2);

/// How often the output is looked after.
const TEND: Duration = Duration::from_secs(1);

/// Commands that wait; each caller waits for its answer.
const QUEUE: usize = 16;

/// The variable that says by whom and as which gateway a process was started.
const OWNER: &str = "MOORING_SUPERVISED_AS";

/// The variable that says which run it is.
const RUN: &str = "MOORING_INCARNATION";

/// A gateway's process, and the task that runs it.
#[derive(Debug)]
pub struct Supervised {
    gateway: GatewayId,
    config: SuperviseConfig,
    owner: String,
    file: RecordFile,
    output: Output,
    sightings: Sightings,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<ProcessStatus>,
    running: Option<Running>,
    incarnation: Option<Incarnation>,
}

impl Supervised {
    /// Prepares to run a gateway. Nothing is started before [`run`](Self::run).
    ///
    /// `data_dir` is the agent's; what this gateway leaves there is in `processes/`.
    #[must_use]
    pub fn new(
        gateway: GatewayId,
        config: SuperviseConfig,
        data_dir: &Path,
        sightings: Sightings,
    ) -> (SupervisedHandle, Self) {
        let (commands_tx, commands) = mpsc::channel(QUEUE);
        let (status, status_rx) = watch::channel(ProcessStatus::default());
        let folder: PathBuf = data_dir.join("processes");
        // The same folder by whatever name: what marks our processes must not depend on how the agent was started.
        let place = std::fs::canonicalize(data_dir).or_else(|_| std::path::absolute(data_dir));
        let owner = format!("{}/{gateway}", place.as_deref().unwrap_or(data_dir).display());
        let supervised = Self {
            owner,
            file: RecordFile::new(folder.join(format!("{gateway}.json"))),
            output: Output::new(folder.join(format!("{gateway}.out")), config.output_tail.bytes()),
            gateway,
            config,
            sightings,
            commands,
            status,
            running: None,
            incarnation: None,
        };
        (SupervisedHandle { commands: commands_tx, status: status_rx }, supervised)
    }

    /// Runs the gateway until `stop` is cancelled: adopts or starts it, obeys, reports. Dropping the future leaves the
    /// process running, for the next agent to adopt.
    pub async fn run(mut self, stop: CancellationToken) {
        self.recover().await;
        if self.running.is_none() && self.config.start {
            let outcome = self.start().await;
            self.note(&outcome);
        }
        let mut tend = interval(TEND);
        tend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                exit = ended(&mut self.running) => self.has_ended(exit, false).await,
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.obey(command).await,
                _ = tend.tick(), if self.running.is_some() => self.output.tend(self.gateway.as_str()),
            }
        }
        match self.config.on_agent_exit {
            OnAgentExit::Stop => {
                let outcome = self.stop(self.config.grace.get()).await;
                if !outcome.ok {
                    tracing::error!(gateway = %self.gateway, "{}", outcome.message);
                }
            }
            OnAgentExit::Leave => {
                if let Some(running) = &self.running {
                    tracing::info!(gateway = %self.gateway, pid = running.pid(), "the gateway is left running");
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        // Whoever asked may have gone; what was begun is finished all the same.
        match command {
            Command::Restart { limit, reply } => self.answer(reply, |s| Box::pin(s.restart(limit))).await,
            Command::Stop { reply } => self.answer(reply, |s| Box::pin(s.stop(s.config.grace.get()))).await,
            Command::Start { reply } => self.answer(reply, |s| Box::pin(s.start())).await,
            Command::Configure(config) => self.config = *config,
            Command::Tail { reply } => drop(reply.send(self.output.tail())),
        }
    }

    async fn answer<F>(&mut self, reply: oneshot::Sender<Outcome>, act: F)
    where
        F: for<'a> FnOnce(&'a mut Self) -> futures_util::future::BoxFuture<'a, Outcome>,
    {
        let outcome = act(self).await;
        self.note(&outcome);
        drop(reply.send(outcome));
    }

    fn note(&self, outcome: &Outcome) {
        if outcome.ok {
            tracing::info!(gateway = %self.gateway, "{}", outcome.message);
        } else {
            tracing::error!(gateway = %self.gateway, "{}", outcome.message);
        }
        self.status.send_modify(|s| s.problem = (!outcome.ok).then(|| outcome.message.clone()));
    }

    /// Finds what an earlier run of the agent left: adopts a living gateway, clears away what a dead one left behind.
    async fn recover(&mut self) {
        let record = self.file.read();
        self.incarnation = record.incarnation;
        let owner = self.owner.clone();
        let marked = tokio::task::spawn_blocking(move || procfs::marked(OWNER, &owner, RUN)).await;
        let marked = marked.unwrap_or_default();
        let recorded = record
            .process
            .and_then(|p| Some((Running::adopt(p.pid, &p.identity)?, p.identity, record.incarnation)));
        let found = recorded.or_else(|| {
            // Started, but killed before it could be recorded; or the record is lost.
            marked.iter().filter(|m| m.leader).find_map(|m| {
                let identity = procfs::identity(m.pid)?;
                let run = m.also.as_deref().and_then(|run| run.parse().ok()).map(Incarnation);
                Some((Running::adopt(m.pid, &identity)?, identity, run))
            })
        });
        let Some((running, identity, incarnation)) = found else {
            self.sweep(&marked);
            self.status.send_modify(|s| s.incarnation = self.incarnation);
            return;
        };
        self.incarnation =
            self.incarnation.max(incarnation).or_else(|| Some(next(None, SystemClock::unix_micros())));
        tracing::info!(
            gateway = %self.gateway, pid = running.pid(),
            "adopted the gateway that an earlier run of the agent had started; how it will end cannot be known"
        );
        self.output.resume();
        self.save(Some(Process { pid: running.pid(), identity })).await;
        self.begun(running).await;
    }

    /// Kills what a gateway that is gone has left behind: it would stand in the way of the next.
    fn sweep(&self, marked: &[procfs::Marked]) {
        for left in marked {
            tracing::warn!(gateway = %self.gateway, pid = left.pid, "killed a process that an earlier run left behind");
            if left.leader {
                signal_group(left.pid, Signal::KILL);
            } else {
                signal_process(left.pid, Signal::KILL);
            }
        }
    }

    async fn restart(&mut self, limit: Duration) -> Outcome {
        let tail = self.output.tail();
        let from = Instant::now();
        let grace = self.config.grace.get().min(limit.saturating_sub(START_SHARE.min(limit / 2)));
        let stopped = self.stop(grace).await;
        if !stopped.ok {
            return stopped.with_output(&tail);
        }
        let started = self.start().await;
        let took = human::format(from.elapsed());
        let message = format!("{}; {} ({took})", stopped.message, started.message);
        Outcome { message: clip(&message, MAX_MESSAGE), ..started }.with_output(&tail)
    }

    async fn start(&mut self) -> Outcome {
        if let Some(running) = &self.running {
            return Outcome::done(format!("already running with pid {}", running.pid()));
        }
        let incarnation = next(self.incarnation, SystemClock::unix_micros());
        let config = &self.config;
        let command = program(&config.command, config.cwd.as_deref(), &config.env, &config.env_files);
        let mut command = match command {
            Ok(command) => command,
            Err(why) => return Outcome::failed(format!("cannot start: {why}")),
        };
        let (stdout, stderr) = self.output.begin(config.output_tail.bytes());
        command.stdout(stdout).stderr(stderr).env(OWNER, &self.owner).env(RUN, incarnation.0.to_string());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let name = self.config.command.first().map_or("", String::as_str);
                return Outcome::failed(format!("cannot start `{name}`: {error}"));
            }
        };
        let Some(pid) = child.id() else { return Outcome::failed("started, but it has no process id") };
        self.incarnation = Some(incarnation);
        self.save(procfs::identity(pid).map(|identity| Process { pid, identity })).await;
        self.begun(Running::Child { child, pid }).await;
        Outcome::done(format!("started with pid {pid}"))
    }

    async fn begun(&mut self, running: Running) {
        let (pid, adopted) = (running.pid(), running.adopted());
        self.running = Some(running);
        self.status.send_modify(|s| {
            s.incarnation = self.incarnation;
            s.pid = Some(pid);
            s.adopted = adopted;
        });
        if let Some(incarnation) = self.incarnation {
            tell(&self.sightings, None, Observation::ProcessStarted { incarnation, pid }).await;
        }
    }

    /// Stops the process, if it runs.
    async fn stop(&mut self, grace: Duration) -> Outcome {
        let Some(running) = &mut self.running else { return Outcome::done("it was not running") };
        let pid = running.pid();
        let signal = self.config.stop_signal;
        signal_group(pid, signal.signal());
        // A stopped process gets no signal but SIGKILL and this one.
        signal_group(pid, Signal::CONT);
        if let Ok(exit) = timeout(grace, running.ended()).await {
            self.has_ended(exit, true).await;
            return Outcome::done(format!("stopped with {signal}: it {exit}"));
        }
        signal_group(pid, Signal::KILL);
        match timeout(KILL_WAIT, running.ended()).await {
            Ok(exit) => {
                self.has_ended(exit, true).await;
                let grace = human::format(grace);
                Outcome::done(format!("killed: it had not ended {grace} after {signal}"))
            }
            // It stays what is running: a second copy must not be started beside it.
            Err(_) => Outcome::failed(format!(
                "process {pid} did not end within {} of SIGKILL: it is stuck in the kernel; nothing was started in \
                 its place",
                human::format(KILL_WAIT)
            )),
        }
    }

    async fn has_ended(&mut self, exit: Exit, expected: bool) {
        let Some(running) = self.running.take() else { return };
        let pid = running.pid();
        // What it had started in its group would hold on to its port.
        signal_group(pid, Signal::KILL);
        self.output.tend(self.gateway.as_str());
        if !expected {
            tracing::warn!(gateway = %self.gateway, pid, "the gateway {exit}");
        }
        self.status.send_modify(|s| {
            s.pid = None;
            s.last_exit = Some(exit);
        });
        let Exit { code, signal } = exit;
        tell(&self.sightings, None, Observation::ProcessExited { code, signal, expected }).await;
        self.save(None).await;
    }

    /// Writes the record. A disk that refuses is no reason not to run a gateway: it is found by its mark then.
    async fn save(&self, process: Option<Process>) {
        let record = Record { incarnation: self.incarnation, process };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&record)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(gateway = %self.gateway, %error, "the gateway's process cannot be recorded");
        }
    }
}

/// The end of the process; never, while none runs.
async fn ended(running: &mut Option<Running>) -> Exit {
    match running {
        Some(running) => running.ended().await,
        None => std::future::pending().await,
    }
}
