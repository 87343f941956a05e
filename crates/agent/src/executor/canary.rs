//! `how = "canary"`: the watcher closes its own session and dials again. Nothing of the gateway is touched.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::InstanceId;
use mooring_core::time::human;
use mooring_runtime::config::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings};

/// Settings of the canary's reconnect: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryConfig {}

/// What the watcher is asked: close the session of `instance` if there is one, wait `delay`, dial.
#[derive(Debug)]
pub struct ReconnectRequest {
    /// Whose session.
    pub instance: InstanceId,
    /// Between closing and dialling.
    pub delay: Duration,
    /// To be answered when the new dial has begun, or with the reason why it will not.
    pub begun: oneshot::Sender<Result<(), String>>,
}

/// The way to a gateway's watcher.
pub type ReconnectHandle = mpsc::Sender<ReconnectRequest>;

impl Settings for CanaryConfig {
    const JOBS: &'static [Job] = &[Job::Reconnect];

    fn problems(&self, _key: &str) -> Vec<Problem> {
        Vec::new()
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        let (Some(instance), Some(watcher)) = (around.instance.clone(), around.watcher.clone()) else {
            return Err("a canary's reconnect needs an instance and its watcher".to_owned());
        };
        Ok(Arc::new(Canary { instance, watcher }))
    }
}

#[derive(Debug)]
struct Canary {
    instance: InstanceId,
    watcher: ReconnectHandle,
}

impl Canary {
    async fn ask(&self, delay: Duration) -> Result<(), String> {
        let (begun, answer) = oneshot::channel();
        let request = ReconnectRequest { instance: self.instance.clone(), delay, begun };
        let gone = || format!("the watcher of `{}` is gone", self.instance);
        self.watcher.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Executor for Canary {
    fn name(&self) -> &'static str {
        "canary"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            let asked = tokio::time::timeout(context.time_limit, self.ask(context.delay));
            let answer = tokio::select! {
                answer = asked => answer,
                () = cancel.cancelled() => return Outcome::failed("given up before the new dial had begun"),
            };
            match answer {
                Ok(Ok(())) if context.delay.is_zero() => {
                    Outcome::done("closed the session and dialled again")
                }
                Ok(Ok(())) => Outcome::done(format!(
                    "closed the session and dialled again after {}",
                    human::format(context.delay)
                )),
                Ok(Err(why)) => Outcome::failed(why),
                Err(_) => Outcome::failed(format!(
                    "the watcher did not begin a new dial within {}",
                    human::format(context.time_limit)
                )),
            }
        }
        .boxed()
    }
}
