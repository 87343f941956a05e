//! `how = "supervise"`: the agent runs the gateway as its child.
//!
//! **Never two copies at once.** A restart waits until the old process, and what it had started in its group, is gone;
//! one that cannot be killed (a process stuck in the kernel) is not replaced. An agent that is killed leaves its gateway
//! running; the next one finds it, by its record or by a variable it was started with, makes sure that it is that very
//! process, and *adopts* it: sessions are not cut because an agent was upgraded. Of an adopted process the exit code is
//! not known (the kernel tells it to the parent only); its end is seen as promptly as a child's, by pidfd.
//!
//! **Its output goes to a file**, not through a pipe: a pipe breaks with the agent, and most programs die of writing into
//! a broken pipe, which would make adoption worthless. The agent cuts the file down as it grows. See `output`.
//!
//! **Whether to start again is not decided here.** A process that ends is reported; the controller orders the restart,
//! with its budgets and brakes.
//!
//! | who ends it | what happens |
//! |---|---|
//! | an order | the stop signal, then SIGCONT (so that a stopped process can obey), grace, SIGKILL to the group, wait, start |
//! | itself, or somebody else | what it left in its group is killed; reported as not expected |
//! | the agent's own stop | the same as an order, without the start; or nothing with `on_agent_exit = "leave"` |

mod actor;
mod output;
mod record;
mod running;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::Incarnation;
use mooring_runtime::config::{HumanDuration, Problem};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::process::{Exit, StopSignal};
use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings};
use crate::config::{ByteSize, check_command, join};

pub use actor::Supervised;

/// How the gateway's process is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperviseConfig {
    /// The program and its arguments. There is no shell in between.
    pub command: Vec<String>,
    /// Where it runs; default: where the agent does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Variables added to its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files with more of them, `NAME=value` a line; read at each start.
    #[serde(default)]
    pub env_files: Vec<PathBuf>,
    /// The signal that asks it to end. Its whole process group gets it.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// How long it may take to end before it is killed, at most 1 h.
    #[serde(default = "ten_seconds")]
    pub grace: HumanDuration,
    /// Whether it is started with the agent (if it is not running already).
    #[serde(default = "yes")]
    pub start: bool,
    /// How much of its output is kept at hand, 1 KiB to 1 MiB.
    #[serde(default = "sixteen_kib")]
    pub output_tail: ByteSize,
    /// What becomes of it when the agent is stopped in order.
    #[serde(default)]
    pub on_agent_exit: OnAgentExit,
}

/// What becomes of a supervised gateway when its agent is stopped in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAgentExit {
    /// It is stopped.
    #[default]
    Stop,
    /// It goes on and the next agent adopts it.
    Leave,
}

fn ten_seconds() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn yes() -> bool {
    true
}

fn sixteen_kib() -> ByteSize {
    ByteSize::kib(16)
}

impl SuperviseConfig {
    /// A program with every other setting at its default.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            cwd: None,
            env: BTreeMap::new(),
            env_files: Vec::new(),
            stop_signal: StopSignal::default(),
            grace: ten_seconds(),
            start: true,
            output_tail: sixteen_kib(),
            on_agent_exit: OnAgentExit::default(),
        }
    }
}

impl Settings for SuperviseConfig {
    const JOBS: &'static [Job] = &[Job::RestartGateway];

    fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        check_command(&self.command, key, &mut found);
        let most = HumanDuration::from_secs(3600);
        if self.grace > most {
            found.push(Problem::new(join(key, "grace"), format!("{} is above {most}", self.grace)));
        }
        let (low, high) = (ByteSize::kib(1), ByteSize::mib(1));
        if !(low..=high).contains(&self.output_tail) {
            let problem = format!("{} is not between {low} and {high}", self.output_tail);
            found.push(Problem::new(join(key, "output_tail"), problem));
        }
        found
    }

    fn longest(&self) -> Option<Duration> {
        Some(self.grace.get())
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        match around.process.clone() {
            Some(process) => Ok(Arc::new(Restart(process))),
            None => Err("the gateway's process is not run by this agent".to_owned()),
        }
    }
}

/// What is known of a supervised process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessStatus {
    /// The run that is on, or was the last.
    pub incarnation: Option<Incarnation>,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// Whether it was started by an earlier run of the agent.
    pub adopted: bool,
    /// How the last run ended; `None` while none has.
    pub last_exit: Option<Exit>,
    /// Why it could not be started or stopped the last time, if so.
    pub problem: Option<String>,
}

enum Command {
    Restart { limit: Duration, reply: oneshot::Sender<Outcome> },
    Stop { reply: oneshot::Sender<Outcome> },
    Start { reply: oneshot::Sender<Outcome> },
    Configure(Box<SuperviseConfig>),
    Tail { reply: oneshot::Sender<String> },
}

/// The way to a supervised process. Cheap to clone; dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct SupervisedHandle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<ProcessStatus>,
}

impl SupervisedHandle {
    /// Stops the process, if it runs, and starts it. It ends within `limit`, which shortens the grace if need be, unless
    /// the process cannot be killed.
    pub async fn restart(&self, limit: Duration) -> Outcome {
        self.ask(|reply| Command::Restart { limit, reply }).await
    }

    /// Stops the process, if it runs.
    pub async fn stop(&self) -> Outcome {
        self.ask(|reply| Command::Stop { reply }).await
    }

    /// Starts the process, unless it runs.
    pub async fn start(&self) -> Outcome {
        self.ask(|reply| Command::Start { reply }).await
    }

    /// Other settings, from the next start on.
    pub async fn configure(&self, config: SuperviseConfig) {
        drop(self.commands.send(Command::Configure(Box::new(config))).await);
    }

    /// The last of what it printed.
    pub async fn tail(&self) -> String {
        let (reply, answer) = oneshot::channel();
        drop(self.commands.send(Command::Tail { reply }).await);
        answer.await.unwrap_or_default()
    }

    /// What is known of it, and each change of that.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ProcessStatus> {
        self.status.clone()
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Outcome>) -> Command) -> Outcome {
        let (reply, answer) = oneshot::channel();
        drop(self.commands.send(command(reply)).await);
        answer
            .await
            .unwrap_or_else(|_| Outcome::failed("the agent is stopping and no longer runs this process"))
    }
}

#[derive(Debug)]
struct Restart(SupervisedHandle);

impl Executor for Restart {
    fn name(&self) -> &'static str {
        "supervise"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            tokio::select! {
                outcome = self.0.restart(context.time_limit) => outcome,
                () = cancel.cancelled() => {
                    Outcome::failed("the restart was not over in time; it goes on, but nobody waits for it any more")
                }
            }
        }
        .boxed()
    }
}
