//! `how = "report"`: the gateway itself reconnects the instance, through the client that reports for it. Nobody knows
//! better how: what is passed on is the order, what comes back is the gateway's own word, and whether it helped is seen
//! by the watchers.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::order::Action;
use mooring_core::time::human;
use mooring_report::OrderRequest;
use mooring_runtime::config::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings};

/// Settings of the report's reconnect: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportOrder {}

impl Settings for ReportOrder {
    const JOBS: &'static [Job] = &[Job::Reconnect, Job::RestartInstance];

    fn problems(&self, _key: &str) -> Vec<Problem> {
        Vec::new()
    }

    fn build(&self, around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        let (Some(instance), Some((gateway, orders))) = (around.instance.clone(), around.reporting.clone())
        else {
            return Err("the gateway does not report: add `report` to its `watch`".to_owned());
        };
        Ok(Arc::new(Asked { gateway, instance, orders }))
    }
}

#[derive(Debug)]
struct Asked {
    gateway: GatewayId,
    instance: InstanceId,
    orders: mpsc::Sender<OrderRequest>,
}

/// Passes an order on to the gateway's own client and waits for its word. Dropping it takes the order back if nobody has
/// taken it.
pub(crate) async fn ask(
    orders: &mpsc::Sender<OrderRequest>,
    gateway: GatewayId,
    instance: Option<InstanceId>,
    session: String,
    action: Action,
    context: &ExecContext,
) -> Result<String, String> {
    let (reply, answer) = oneshot::channel();
    let request = OrderRequest {
        id: context.order,
        gateway,
        action,
        instance,
        session,
        delay: Some(context.delay).filter(|delay| !delay.is_zero()).or(context.spread),
        reason: context.reason.clone(),
        time_limit: context.time_limit,
        reply,
    };
    let gone = || "the report API has stopped".to_owned();
    orders.send(request).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

impl Executor for Asked {
    fn name(&self) -> &'static str {
        "report"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            let instance = Some(self.instance.clone());
            let asked =
                ask(&self.orders, self.gateway.clone(), instance, String::new(), context.action, context);
            tokio::select! {
                answer = tokio::time::timeout(context.time_limit, asked) => match answer {
                    Ok(Ok(words)) => Outcome::done(words),
                    Ok(Err(why)) => Outcome::failed(why),
                    Err(_) => Outcome::failed(format!(
                        "the gateway's client did not answer within {}; it is not known whether it took effect",
                        human::format(context.time_limit)
                    )),
                },
                () = cancel.cancelled() => Outcome::failed("given up; it is not known whether it took effect"),
            }
        }
        .boxed()
    }
}
