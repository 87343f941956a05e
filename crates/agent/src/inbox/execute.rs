//! One execution, from its turn to its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mooring_core::id::{GatewayId, Target};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Observation;
use mooring_core::order::{Action, Receipt, Stage};
use mooring_core::time::{Mono, Timestamp, human};
use mooring_proto::link::OrderMessage;
use mooring_runtime::telemetry::trace_context;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::lanes::Aimed;
use super::{DEFAULT_TIME_LIMIT, MAX_TIME_LIMIT, Shared, judge, now};
use crate::executor::sessions::MAX_SPREAD;
use crate::executor::{ExecContext, Executor, Outcome, Sightings, tell};
use crate::ledger::Acceptance;

/// What an executor that is over its time gets to clean up, before it is dropped.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// An order that was accepted, or is about to be.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) order: OrderMessage,
    pub(super) received: Mono,
    span: Span,
}

impl Aimed for Job {
    fn target(&self) -> &Target {
        &self.order.target
    }
}

impl Job {
    pub(super) fn new(order: OrderMessage, received: Mono) -> Self {
        Self { order, received, span: Span::none() }
    }

    /// With a span of its own in the trace that led to the order: for one that will be carried out.
    pub(super) fn traced(mut self) -> Self {
        let span = tracing::info_span!(
            "order.execute",
            order = %self.order.id,
            target = %self.order.target,
            action = %self.order.action,
            outcome = tracing::field::Empty,
        );
        self.span = trace_context::with_parent(span, self.order.traceparent.as_deref());
        self
    }

    pub(super) fn gateway(&self) -> &GatewayId {
        &self.order.target.gateway().gateway
    }

    /// The trace context that goes on from here: of the execution's span where traces are kept, else the order's.
    fn traceparent(&self) -> Option<String> {
        trace_context::traceparent(&self.span).or_else(|| self.order.traceparent.clone())
    }

    pub(super) fn receipt(&self, stage: Stage, message: &str) -> Receipt {
        Receipt {
            order: self.order.id,
            stage,
            at: now().wall,
            message: clip(message, MAX_MESSAGE),
            output: String::new(),
            traceparent: self.traceparent(),
        }
    }

    pub(super) fn acceptance(&self, at: Timestamp) -> Acceptance {
        Acceptance {
            order: self.order.id,
            target: self.order.target.clone(),
            fence: self.order.fence,
            at,
            traceparent: self.traceparent(),
        }
    }
}

/// Carries an accepted order out and says what came of it. Gives the job back, so that the next may begin.
pub(super) async fn execute(shared: Arc<Shared>, job: Job) -> Job {
    let span = job.span.clone();
    async {
        let catalogue = Arc::clone(&shared.catalogue.borrow());
        let (executor, sightings) =
            match judge::on_turn(&job.order, &catalogue, now().mono.since(job.received)) {
                Ok(found) => found,
                Err(why) => return shared.finish(job.receipt(Stage::Refused, &why)).await,
            };
        // The trackers are told first and the start is dated after it: what is True since later was judged anew.
        disturb(&sightings, &job, Observation::DisturbanceBegan).await;
        let receipt = start(&shared, &job, executor.as_ref()).await;
        Span::current().record("outcome", receipt.stage.name());
        shared.finish(receipt).await;
        disturb(&sightings, &job, Observation::DisturbanceEnded).await;
    }
    .instrument(span)
    .await;
    job
}

async fn start(shared: &Arc<Shared>, job: &Job, executor: &dyn Executor) -> Receipt {
    let started = job.receipt(Stage::Started, "");
    let (order, at, traceparent) = (started.order, started.at, started.traceparent.clone());
    let recorded = shared.ledger(move |ledger| ledger.start(order, at, traceparent)).await;
    if let Ok(Err(error)) | Err(error) = recorded {
        return job.receipt(
            Stage::Refused,
            &format!("its start cannot be put on record, so it was not begun: {error}"),
        );
    }
    shared.tell(started).await;
    let outcome = carry_out(executor, job, CLEAN_UP).await;
    let stage = if outcome.ok { Stage::Done } else { Stage::Failed };
    Receipt { output: outcome.output, ..job.receipt(stage, &outcome.message) }
}

/// Runs the executor within the time limit and what it gets to clean up; what it does wrong stays here.
pub(super) async fn carry_out(executor: &dyn Executor, job: &Job, clean_up: Duration) -> Outcome {
    let order = &job.order;
    let limit = if order.time_limit.is_zero() {
        DEFAULT_TIME_LIMIT
    } else {
        order.time_limit.min(MAX_TIME_LIMIT.saturating_add(order.spread.unwrap_or_default().min(MAX_SPREAD)))
    };
    let context = ExecContext {
        order: order.id,
        target: order.target.clone(),
        action: order.action,
        reason: order.reason.clone(),
        time_limit: limit,
        delay: order.delay,
        spread: order.spread,
        traceparent: job.traceparent(),
    };
    let cancel = CancellationToken::new();
    let mut run = AssertUnwindSafe(executor.run(&context, cancel.clone())).catch_unwind();
    let ended = match tokio::time::timeout(limit, &mut run).await {
        Ok(ended) => Some(ended),
        Err(_) => {
            cancel.cancel();
            tokio::time::timeout(clean_up, &mut run).await.ok()
        }
    };
    match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Outcome::failed(format!(
            "the `{}` executor failed by a mistake in the agent (its log says more); it is not known whether it took effect",
            executor.name()
        )),
        None => Outcome::failed(format!(
            "`{}` did not end within {}; it is not known whether it took effect",
            executor.name(),
            human::format(limit)
        )),
    }
}

async fn disturb(sightings: &Sightings, job: &Job, observation: Observation) {
    // One session among many: what the others show goes on to count. And a door that opens disturbs nobody.
    if matches!(job.order.action, Action::CloseSession | Action::Resume) {
        return;
    }
    let instance = job.order.target.instance().map(|i| i.instance.clone());
    tell(sightings, instance, observation).await;
}
