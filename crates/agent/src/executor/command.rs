//! `how = "command"`: runs a program, without a shell, and judges it by its exit code.
//!
//! When the time is up, or the execution is given up, its whole process group is killed. A program that leaves a daemon
//! behind must redirect that one's output: what it had of ours is closed when the program ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::limits::MAX_OUTPUT_TAIL;
use mooring_runtime::config::{HumanDuration, Problem};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::process::{Exit, program, signal_group};
use super::tail::Tail;
use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings, pause};
use crate::config::{check_command, join};

/// How long the output of a program that has ended is still read: what it left behind may hold it open for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments. There is no shell in between.
    pub command: Vec<String>,
    /// How long it may take, above 0s.
    #[serde(default = "half_a_minute")]
    pub time_limit: HumanDuration,
    /// Where it runs; default: where the agent does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Variables added to its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files with more of them, `NAME=value` a line; read each time.
    #[serde(default)]
    pub env_files: Vec<PathBuf>,
}

fn half_a_minute() -> HumanDuration {
    HumanDuration::from_secs(30)
}

impl Settings for CommandConfig {
    const JOBS: &'static [Job] = &[Job::Reconnect, Job::RestartInstance, Job::RestartGateway];

    fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        check_command(&self.command, key, &mut found);
        if self.time_limit.get().is_zero() {
            found.push(Problem::new(join(key, "time_limit"), "must be above 0s"));
        }
        found
    }

    fn longest(&self) -> Option<Duration> {
        Some(self.time_limit.get())
    }

    fn build(&self, _around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        Ok(Arc::new(Run(self.clone())))
    }
}

#[derive(Debug)]
struct Run(CommandConfig);

/// Kills a process group unless told that its leader has ended by itself.
struct KillOnDrop(Option<u32>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            signal_group(leader, Signal::KILL);
        }
    }
}

impl Run {
    async fn execute(&self, context: &ExecContext, cancel: CancellationToken) -> Outcome {
        let name = self.0.command.first().map_or("", String::as_str);
        let mut command =
            match program(&self.0.command, self.0.cwd.as_deref(), &self.0.env, &self.0.env_files) {
                Ok(command) => command,
                Err(why) => return Outcome::failed(why),
            };
        command
            .env("MOORING_ORDER_ID", context.order.to_string())
            .env("MOORING_TARGET", context.target.to_string())
            .env("MOORING_ACTION", context.action.name())
            .env("MOORING_REASON", context.reason.replace('\0', " "))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(traceparent) = &context.traceparent {
            command.env("TRACEPARENT", traceparent);
        }
        if !pause(context, &cancel).await {
            return Outcome::failed(format!("`{name}` was given up before it was run"));
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Outcome::failed(format!("cannot run `{name}`: {error}")),
        };
        let mut guard = KillOnDrop(child.id());
        let tail = Arc::new(Mutex::new(Tail::new(MAX_OUTPUT_TAIL)));
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(read(stdout, Arc::clone(&tail)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(read(stderr, Arc::clone(&tail)));
        }
        let limit = self.0.time_limit.get().min(context.time_limit.saturating_sub(context.delay));
        let ended = tokio::select! {
            ended = child.wait() => Some(ended),
            () = tokio::time::sleep(limit) => None,
            () = cancel.cancelled() => None,
        };
        let outcome = match ended {
            Some(Ok(status)) => {
                guard.0 = None;
                let text = format!("`{name}` {}", Exit::from(status));
                if status.success() { Outcome::done(text) } else { Outcome::failed(text) }
            }
            Some(Err(error)) => Outcome::failed(format!("cannot wait for `{name}`: {error}")),
            None => {
                drop(guard);
                // Reaped here, so that its id stays its own until the whole group is gone.
                drop(child.wait().await);
                let why = if cancel.is_cancelled() {
                    "was given up".to_owned()
                } else {
                    format!("did not end within {}", HumanDuration(limit))
                };
                Outcome::failed(format!("`{name}` {why} and was killed with all it had started"))
            }
        };
        drop(tokio::time::timeout(DRAIN, async { while readers.join_next().await.is_some() {} }).await);
        let text = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
        outcome.with_output(&text)
    }
}

impl Executor for Run {
    fn name(&self) -> &'static str {
        "command"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        self.execute(context, cancel).boxed()
    }
}

async fn read(mut from: impl AsyncRead + Unpin, to: Arc<Mutex<Tail>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        to.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..n]);
    }
}
