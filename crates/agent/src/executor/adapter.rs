//! `how = "adapter"`: the adapter of the gateway's kind does it, in the gateway's own way, and answers when it has seen
//! the effect: an answer of 200 proves nothing with gateways that say 200 to everything.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::InstanceId;
use mooring_core::order::Action;
use mooring_core::time::human;
use mooring_gateways::{Ask, Doing};
use mooring_runtime::config::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings, pause};
use crate::sessions::adapter::ask;

/// Settings of the adapter's ways: there are none here, they stand in the kind's own section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterOrder {}

impl Settings for AdapterOrder {
    const JOBS: &'static [Job] = &[Job::Reconnect, Job::RestartInstance];

    fn problems(&self, _key: &str) -> Vec<Problem> {
        Vec::new()
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        let asks = around.sessions.adapter();
        let (Some(instance), Some(asks)) = (around.instance.clone(), asks) else {
            return Err("no adapter watches the gateway: add `adapter` to its `watch`".to_owned());
        };
        Ok(Arc::new(Adapted { instance, asks }))
    }
}

#[derive(Debug)]
struct Adapted {
    instance: InstanceId,
    asks: mpsc::Sender<Ask>,
}

impl Executor for Adapted {
    fn name(&self) -> &'static str {
        "adapter"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            if !pause(context, &cancel).await {
                return Outcome::failed("given up before the adapter was asked");
            }
            let doing = match context.action {
                Action::RestartInstance => Doing::Restart,
                _ => Doing::Reconnect,
            };
            let limit = context.time_limit.saturating_sub(context.delay);
            let asked =
                ask(&self.asks, context.order, self.instance.clone(), doing, context.reason.clone(), limit);
            tokio::select! {
                answer = tokio::time::timeout(limit, asked) => match answer {
                    Ok(Ok(seen)) => Outcome::done(seen),
                    Ok(Err(why)) => Outcome::failed(why),
                    Err(_) => Outcome::failed(format!(
                        "the adapter saw no effect within {}; it is not known whether there was one",
                        human::format(limit)
                    )),
                },
                () = cancel.cancelled() => Outcome::failed("given up; it is not known whether it took effect"),
            }
        }
        .boxed()
    }
}
