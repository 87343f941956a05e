//! Executors: what carries an order out, and nothing else. They decide nothing; whether an order may be carried out was
//! decided before ([`crate::inbox`]), and whether it helped is decided by what the watchers see afterwards.
//!
//! **Adding one** is a file with its settings (an [`Executor`] made by [`Settings::build`]) and a line in the
//! `executors!` table below: the line gives it its name in the configuration (`how = "…"`), its checks and its use.
//!
//! An executor is dropped when the agent is killed and may be told to give up; either way the order's outcome is then
//! "not known", never "try again".

mod adapter;
mod canary;
mod command;
mod http;
mod process;
mod procfs;
pub(crate) mod report;
pub mod sessions;
pub mod supervise;
mod tail;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::id::{GatewayId, InstanceId, OrderId, Target};
use mooring_core::limits::{MAX_MESSAGE, MAX_OUTPUT_TAIL, clip};
use mooring_core::observation::Observation;
use mooring_core::order::Action;
use mooring_report::OrderRequest;
use mooring_runtime::config::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::sessions::Sources;
pub use adapter::AdapterOrder;
pub use canary::{CanaryConfig, ReconnectHandle, ReconnectRequest};
pub use command::CommandConfig;
pub use http::{ExpectStatus, HttpConfig};
pub use process::{Exit, StopSignal};
pub use report::ReportOrder;
pub use sessions::{CloseSessions, HoldDuring, KernelCut, RelayClose};
pub use supervise::{OnAgentExit, ProcessStatus, SuperviseConfig, Supervised, SupervisedHandle};

/// What an executor is told of the order it carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecContext {
    /// Which order.
    pub order: OrderId,
    /// On what.
    pub target: Target,
    /// What is to be done.
    pub action: Action,
    /// Why, in words.
    pub reason: String,
    /// The executor must have ended by then; its own, shorter limit may apply.
    pub time_limit: Duration,
    /// Between closing a session and dialling again.
    pub delay: Duration,
    /// Over how much time sessions are closed; `None`: as configured.
    pub spread: Option<Duration>,
    /// The trace context of the execution.
    pub traceparent: Option<String>,
}

/// Waits out the order's delay, for executors that cannot put it between closing and dialling: the peer gets its time to
/// recover all the same. False when the execution was given up meanwhile.
async fn pause(context: &ExecContext, cancel: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(context.delay) => true,
        () = cancel.cancelled() => false,
    }
}

/// What came of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was carried out; not whether it helped.
    pub ok: bool,
    /// In words, bounded.
    pub message: String,
    /// The last of what was printed or answered, bounded.
    pub output: String,
}

impl Outcome {
    /// Carried out.
    #[must_use]
    pub fn done(message: impl AsRef<str>) -> Self {
        Self { ok: true, message: clip(message.as_ref(), MAX_MESSAGE), output: String::new() }
    }

    /// Not carried out, or not known to be.
    #[must_use]
    pub fn failed(message: impl AsRef<str>) -> Self {
        Self { ok: false, message: clip(message.as_ref(), MAX_MESSAGE), output: String::new() }
    }

    /// With what was printed; of more than [`MAX_OUTPUT_TAIL`] bytes the last.
    #[must_use]
    pub fn with_output(mut self, output: &str) -> Self {
        output[tail::last_chars(output, MAX_OUTPUT_TAIL)..].clone_into(&mut self.output);
        self
    }
}

/// Something that carries orders out.
pub trait Executor: Send + Sync + fmt::Debug {
    /// The name in the configuration.
    fn name(&self) -> &'static str;

    /// Carries an order out, within its time limit. When `cancel` fires it should undo or stop what it can and return
    /// soon; it is dropped a few seconds later.
    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome>;
}

/// What an executor is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// Renewing a session.
    Reconnect,
    /// Restarting what serves one instance.
    RestartInstance,
    /// Restarting a gateway.
    RestartGateway,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reconnect => "reconnect",
            Self::RestartInstance => "restart an instance",
            Self::RestartGateway => "restart a gateway",
        })
    }
}

/// What an executor may need from around it to be built.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The instance it is for, if it is for one.
    pub instance: Option<InstanceId>,
    /// The gateway's watcher.
    pub watcher: Option<ReconnectHandle>,
    /// The gateway's process, if this agent runs it.
    pub process: Option<SupervisedHandle>,
    /// Who sees the gateway's real sessions.
    pub sessions: Arc<Sources>,
    /// Where orders go to the gateway's own client, if it reports.
    pub reporting: Option<(GatewayId, mpsc::Sender<OrderRequest>)>,
}

/// An executor's settings as they stand in the configuration.
pub trait Settings {
    /// What it can be wanted for.
    const JOBS: &'static [Job];

    /// What is wrong with them; `key` is the section's key path.
    fn problems(&self, key: &str) -> Vec<Problem>;

    /// The longest it takes by its own settings, where they say.
    fn longest(&self) -> Option<Duration> {
        None
    }

    /// Makes the executor.
    ///
    /// # Errors
    /// In words, when something it needs is missing.
    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String>;
}

macro_rules! executors {
    ($( $(#[$doc:meta])* $variant:ident($settings:ty) = $name:literal; )*) => {
        /// How something is done: which executor, with which settings (`how = "…"`).
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "how")]
        pub enum How {
            $( $(#[$doc])* #[serde(rename = $name)] $variant($settings), )*
        }

        impl How {
            /// The executor's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $name, )* }
            }

            /// What it can be wanted for.
            #[must_use]
            pub fn jobs(&self) -> &'static [Job] {
                match self { $( Self::$variant(_) => <$settings as Settings>::JOBS, )* }
            }

            /// The names of the executors for a job.
            #[must_use]
            pub fn names_for(job: Job) -> Vec<&'static str> {
                let mut names = Vec::new();
                $( if <$settings as Settings>::JOBS.contains(&job) { names.push($name); } )*
                names
            }

            /// What is wrong with the settings; `key` is the section's key path.
            #[must_use]
            pub fn problems(&self, key: &str) -> Vec<Problem> {
                match self { $( Self::$variant(settings) => settings.problems(key), )* }
            }

            /// The longest it takes by its own settings, where they say.
            #[must_use]
            pub fn longest(&self) -> Option<Duration> {
                match self { $( Self::$variant(settings) => settings.longest(), )* }
            }

            /// Makes the executor.
            ///
            /// # Errors
            /// In words, when something it needs is missing.
            pub fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
                match self { $( Self::$variant(settings) => settings.build(around), )* }
            }
        }
    };
}

executors! {
    /// The watcher closes its own session and dials again.
    Canary(CanaryConfig) = "canary";
    /// A program is run.
    Command(CommandConfig) = "command";
    /// A request is sent.
    Http(HttpConfig) = "http";
    /// The agent runs the gateway as its child.
    Supervise(SuperviseConfig) = "supervise";
    /// The relay closes the instance's real sessions; their peers open new ones.
    Relay(RelayClose) = "relay";
    /// The kernel cuts the instance's connections; their peers, or the gateway, open new ones.
    Kernel(KernelCut) = "kernel";
    /// The gateway's own client is asked.
    Report(ReportOrder) = "report";
    /// The adapter of the gateway's kind is asked.
    Adapter(AdapterOrder) = "adapter";
}

impl Default for How {
    fn default() -> Self {
        Self::Canary(CanaryConfig {})
    }
}

/// Something an executor did or found out, for the trackers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Of which instance; `None`: of every instance of the gateway.
    pub instance: Option<InstanceId>,
    /// What.
    pub observation: Observation,
}

/// Where a gateway's trackers listen to its executors.
pub type Sightings = mpsc::Sender<Sighting>;

/// How long a sighting waits for a tracker that is behind. Orders must not wait for whoever watches.
const SIGHTING_WAIT: Duration = Duration::from_secs(1);

/// Tells the trackers, without waiting for ever.
pub(crate) async fn tell(to: &Sightings, instance: Option<InstanceId>, observation: Observation) {
    let sighting = Sighting { instance, observation };
    if let Err(error) = to.send_timeout(sighting, SIGHTING_WAIT).await {
        tracing::warn!(%error, "a tracker did not take what an executor had to say");
    }
}
