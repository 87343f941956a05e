//! Ending real sessions: by hand (the orders that close them), and as a way to reconnect an instance with no integration
//! at all: its peers' own logic opens the next session (`how = "relay"`, `how = "kernel"`).
//!
//! Orders that close sessions are proven by their receipt, so what is said to be closed was looked at: sources answer
//! when the sessions are gone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{InstanceId, Target};
use mooring_core::order::Action;
use mooring_core::session::Source;
use mooring_core::time::human;
use mooring_runtime::config::{HumanDuration, Problem};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings, pause};
use crate::sessions::{Closed, Closing, Sources, Which};

/// The longest time over which one order closes sessions.
pub const MAX_SPREAD: Duration = Duration::from_secs(3_600);

/// Settings of `how = "relay"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayClose {
    /// Over how much time the instance's sessions are closed; absent: as the relay is configured.
    pub spread: Option<HumanDuration>,
}

/// Settings of `how = "kernel"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelCut {
    /// Over how much time the instance's connections are cut; absent: at once.
    pub spread: Option<HumanDuration>,
}

impl Settings for RelayClose {
    const JOBS: &'static [Job] = &[Job::Reconnect];

    fn problems(&self, key: &str) -> Vec<Problem> {
        spread_problems(self.spread, key)
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        by_source(around, Source::Relay, self.spread)
    }
}

impl Settings for KernelCut {
    const JOBS: &'static [Job] = &[Job::Reconnect];

    fn problems(&self, key: &str) -> Vec<Problem> {
        spread_problems(self.spread, key)
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        by_source(around, Source::Kernel, self.spread)
    }
}

fn spread_problems(spread: Option<HumanDuration>, key: &str) -> Vec<Problem> {
    let bad = spread.filter(|spread| spread.get() > MAX_SPREAD);
    let most = HumanDuration(MAX_SPREAD);
    bad.map(|spread| Problem::new(format!("{key}.spread"), format!("{spread} is above {most}")))
        .into_iter()
        .collect()
}

fn by_source(
    around: &Surroundings,
    source: Source,
    spread: Option<HumanDuration>,
) -> Result<Arc<dyn Executor>, String> {
    let Some(instance) = around.instance.clone() else {
        return Err(format!("`{source}` reconnects an instance, not a gateway"));
    };
    if around.sessions.get(source).is_none() {
        return Err(format!("the gateway is not watched by `{source}`: add it to `watch`"));
    }
    let spread = spread.map(HumanDuration::get);
    Ok(Arc::new(Renew { sources: Arc::clone(&around.sessions), source, instance, spread }))
}

/// Renews an instance by ending its sessions.
#[derive(Debug)]
struct Renew {
    sources: Arc<Sources>,
    source: Source,
    instance: InstanceId,
    spread: Option<Duration>,
}

impl Executor for Renew {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            let Some(source) = self.sources.get(self.source) else {
                return Outcome::failed(format!("the gateway is not watched by `{}` any more", self.source));
            };
            if !pause(context, &cancel).await {
                return Outcome::failed("given up before anything was closed");
            }
            let closing = Closing {
                which: Which::Instance(self.instance.clone()),
                spread: context.spread.or(self.spread),
                limit: left(context),
            };
            bounded(source.close(closing), context, &cancel).await
        }
        .boxed()
    }
}

/// Carries out the orders that close sessions by hand, on a gateway with at least one source.
#[derive(Debug)]
pub struct CloseSessions {
    sources: Arc<Sources>,
}

impl CloseSessions {
    /// With these sources.
    #[must_use]
    pub fn new(sources: Arc<Sources>) -> Self {
        Self { sources }
    }

    async fn carry_out(&self, context: &ExecContext, cancel: &CancellationToken) -> Outcome {
        let closing = |which| Closing { which, spread: context.spread, limit: left(context) };
        let nobody = || Outcome::failed("nothing here sees this gateway's sessions");
        match (context.action, &context.target) {
            (Action::CloseSession, Target::Session(session)) => {
                let Some(source) = self.sources.of(&session.session) else { return nobody() };
                bounded(source.close(closing(Which::One(session.session.clone()))), context, cancel).await
            }
            (Action::CloseSessions, Target::Instance(instance)) => {
                let Some(source) = self.sources.closer() else { return nobody() };
                let which = Which::Instance(instance.instance.clone());
                bounded(source.close(closing(which)), context, cancel).await
            }
            (Action::CloseSessions, Target::Gateway(_)) => {
                let Some(source) = self.sources.closer() else { return nobody() };
                bounded(source.close(closing(Which::All)), context, cancel).await
            }
            (Action::Drain, Target::Gateway(_)) => {
                let Some(door) = self.sources.door() else { return no_door() };
                let mut outcome = bounded(door.drain(context.spread, left(context)), context, cancel).await;
                if !outcome.ok {
                    outcome.message.push_str("; new sessions stay refused until `resume`");
                }
                outcome
            }
            (Action::Resume, Target::Gateway(_)) => {
                let Some(door) = self.sources.door() else { return no_door() };
                door.resume();
                Outcome::done("new sessions are let in again")
            }
            (action, target) => Outcome::failed(format!("{action} cannot be done to {target}")),
        }
    }
}

fn no_door() -> Outcome {
    Outcome::failed("only a relay can keep new sessions out: add it to the gateway's `watch`")
}

impl Executor for CloseSessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move { self.carry_out(context, &cancel).await }.boxed()
    }
}

/// Restarts a gateway while new sessions wait at the relay's door instead of being refused.
#[derive(Debug)]
pub struct HoldDuring {
    inner: Arc<dyn Executor>,
    sources: Arc<Sources>,
}

impl HoldDuring {
    /// Around this executor.
    #[must_use]
    pub fn new(inner: Arc<dyn Executor>, sources: Arc<Sources>) -> Self {
        Self { inner, sources }
    }
}

/// Opens the door again, also when the execution is dropped half-way.
struct Held<'a>(&'a dyn crate::sessions::Door);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

impl Executor for HoldDuring {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            let _held = self.sources.door().map(|door| {
                door.hold(true);
                Held(door)
            });
            self.inner.run(context, cancel).await
        }
        .boxed()
    }
}

/// What is left of the order's time when its pause is over, less a moment to say what came of it.
fn left(context: &ExecContext) -> Duration {
    context.time_limit.saturating_sub(context.delay).mul_f64(0.9)
}

async fn bounded(
    closing: BoxFuture<'_, Result<Closed, String>>,
    context: &ExecContext,
    cancel: &CancellationToken,
) -> Outcome {
    let ended = tokio::select! {
        ended = tokio::time::timeout(context.time_limit, closing) => ended,
        () = cancel.cancelled() => {
            return Outcome::failed("given up; some sessions may have been closed");
        }
    };
    match ended {
        Ok(Ok(closed)) => Outcome::done(closed.to_string()),
        Ok(Err(why)) => Outcome::failed(why),
        Err(_) => Outcome::failed(format!(
            "not all sessions ended within {}; some may have been closed",
            human::format(context.time_limit)
        )),
    }
}
