//! The inbox: takes orders, decides whether they may be carried out here and now, has them carried out, and says what
//! happened. Persist, then act; persist, then tell.
//!
//! ```text
//! order ──judge──> ledger: accepted ──> receipt ──> wait for its turn ──judge again──┐
//!   │ refused, expired, known already                                               │
//!   └──> receipt          DisturbanceBegan ──> ledger: started ──> receipt ──> executor, within the time limit
//!                                                                      │
//!                         DisturbanceEnded <── receipt <── ledger: finished
//! ```
//!
//! What may run beside what is decided in `lanes`: nothing beside an order on the whole gateway, one order at a time on
//! an instance. Receipts go to a channel (the outbox reads it); they are on record as well, and [`InboxHandle::resend`]
//! repeats those that nobody has acknowledged. A duplicate is answered with what was last said of the order.
//!
//! The inbox never decides that something is wrong with a gateway, and never repeats an execution.

mod catalogue;
mod execute;
mod judge;
mod lanes;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mooring_core::id::{GatewayId, OrderId};
use mooring_core::order::{Receipt, Stage};
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_proto::link::OrderMessage;
use mooring_runtime::clock::SystemClock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Acceptance, Ledger, LedgerError};
use execute::Job;
use judge::Verdict;
use lanes::Lanes;

pub use catalogue::{Catalogue, GatewayHands, InstanceHands};

/// Batches of orders that wait to be read from the stream.
const QUEUE: usize = 64;

/// The clock as the rest of this crate takes it.
#[must_use]
pub fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    Now { mono: Mono(u64::try_from(mono.as_micros()).unwrap_or(u64::MAX)), wall: Timestamp(wall) }
}

enum Message {
    Orders { orders: Vec<OrderMessage>, received: Mono },
    Acknowledged(Vec<(OrderId, Stage)>),
    Resend,
}

/// The inbox has stopped: the agent is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the inbox has stopped and takes no more orders")]
pub struct Stopped;

/// The way into the inbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct InboxHandle(mpsc::Sender<Message>);

impl InboxHandle {
    /// Hands over orders as they came from the controller. Their validity counts from now.
    ///
    /// # Errors
    /// When the inbox has stopped.
    pub async fn deliver(&self, orders: Vec<OrderMessage>) -> Result<(), Stopped> {
        self.send(Message::Orders { orders, received: now().mono }).await
    }

    /// The controller has these receipts (durably, on its side).
    ///
    /// # Errors
    /// When the inbox has stopped.
    pub async fn acknowledged(&self, receipts: Vec<(OrderId, Stage)>) -> Result<(), Stopped> {
        self.send(Message::Acknowledged(receipts)).await
    }

    /// Says again what was last said of every order whose end is not acknowledged: for a controller that is new, or that
    /// may have missed something.
    ///
    /// # Errors
    /// When the inbox has stopped.
    pub async fn resend(&self) -> Result<(), Stopped> {
        self.send(Message::Resend).await
    }

    async fn send(&self, message: Message) -> Result<(), Stopped> {
        self.0.send(message).await.map_err(|_| Stopped)
    }
}

/// What the executions share with the inbox.
struct Shared {
    ledger: Mutex<Ledger>,
    receipts: mpsc::Sender<Receipt>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
}

impl Shared {
    /// Works on the ledger, on a thread that may wait for the disk.
    async fn ledger<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Ledger) -> R + Send + 'static,
    ) -> Result<R, LedgerError> {
        let shared = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut shared.ledger.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await
            .map_err(|error| LedgerError::Degraded { path: "the ledger".into(), reason: error.to_string() })
    }

    /// Puts an end on record and tells it. Told even if it cannot be recorded: it is true.
    async fn finish(self: &Arc<Self>, receipt: Receipt) {
        let recorded = receipt.clone();
        if let Ok(Err(error)) | Err(error) = self.ledger(move |ledger| ledger.finish(&recorded)).await {
            tracing::error!(order = %receipt.order, %error, "the end of an order is not on record");
        }
        self.tell(receipt).await;
    }

    async fn tell(&self, receipt: Receipt) {
        tracing::info!(
            order = %receipt.order, stage = %receipt.stage, message = receipt.message.as_str(), "receipt"
        );
        if self.receipts.send(receipt).await.is_err() {
            // It is on record and will be said again by the next agent.
            tracing::debug!("nobody reads receipts any more");
        }
    }
}

/// The inbox itself: one task that judges and hands out, and one per execution.
pub struct Inbox {
    shared: Arc<Shared>,
    messages: mpsc::Receiver<Message>,
    lanes: HashMap<GatewayId, Lanes<Job>>,
    running: JoinSet<Job>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

impl Inbox {
    /// An inbox over a ledger. `catalogue` says what can be done, and may change; `receipts` is read by the outbox.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        catalogue: watch::Receiver<Arc<Catalogue>>,
        receipts: mpsc::Sender<Receipt>,
    ) -> (InboxHandle, Self) {
        let (sender, messages) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared { ledger: Mutex::new(ledger), receipts, catalogue });
        (InboxHandle(sender), Self { shared, messages, lanes: HashMap::new(), running: JoinSet::new() })
    }

    /// Works until `soft` is cancelled; then takes nothing new, says of what has not begun that it will not be, waits for
    /// what runs, and returns. `hard` ends the waiting too: what runs then is answered for by the next agent.
    pub async fn run(mut self, soft: CancellationToken, hard: CancellationToken) {
        // What the last agent left unsaid.
        self.resend().await;
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => break,
                Some(ended) = self.running.join_next() => self.ended(ended),
                message = self.messages.recv() => match message {
                    Some(Message::Orders { orders, received }) => self.take(orders, received).await,
                    Some(Message::Acknowledged(receipts)) => self.acknowledged(receipts).await,
                    Some(Message::Resend) => self.resend().await,
                    None => break,
                },
            }
        }
        self.drain(hard).await;
    }

    async fn drain(mut self, hard: CancellationToken) {
        for job in self.lanes.values_mut().flat_map(Lanes::abandon) {
            let receipt =
                job.receipt(Stage::Failed, "the agent was stopped before it was begun; it had no effect");
            self.shared.finish(receipt).await;
        }
        tokio::select! {
            () = async { while self.running.join_next().await.is_some() {} } => {}
            () = hard.cancelled() => {
                tracing::warn!(orders = self.running.len(), "stopped while orders were being carried out");
            }
        }
    }

    async fn resend(&self) {
        let outstanding = self.shared.ledger(|ledger| ledger.outstanding()).await.unwrap_or_default();
        for receipt in outstanding {
            self.shared.tell(receipt).await;
        }
    }

    async fn acknowledged(&self, receipts: Vec<(OrderId, Stage)>) {
        let noted = self.shared.ledger(move |ledger| {
            for (order, stage) in receipts {
                ledger.acknowledged(order, stage);
            }
        });
        drop(noted.await);
    }

    /// Takes a batch: judges each order, puts those that pass on record with one write, and lines them up.
    async fn take(&mut self, orders: Vec<OrderMessage>, received: Mono) {
        let mut accepted: Vec<Job> = Vec::new();
        for order in orders {
            // One that is in this batch already counts as on record: it may come twice, and so may its target.
            if accepted.iter().any(|job| job.order.id == order.id) {
                continue;
            }
            let job = Job::new(order, received);
            match self.judge(&job, &accepted).await {
                Verdict::Accept => accepted.push(job.traced()),
                Verdict::Known(receipt) => self.shared.tell(receipt).await,
                Verdict::No(stage, why) => self.shared.finish(job.receipt(stage, &why)).await,
            }
        }
        if accepted.is_empty() {
            return;
        }
        let at = now().wall;
        let acceptances: Vec<Acceptance> = accepted.iter().map(|job| job.acceptance(at)).collect();
        match self.shared.ledger(move |ledger| ledger.accept(&acceptances)).await {
            Ok(Ok(())) => {
                for job in accepted {
                    let receipt = Receipt { at, ..job.receipt(Stage::Accepted, "") };
                    self.shared.tell(receipt).await;
                    self.lanes.entry(job.gateway().clone()).or_default().push(job);
                }
                self.begin();
            }
            Ok(Err(error)) | Err(error) => {
                for job in accepted {
                    let why = format!("it cannot be put on record, so it is not carried out: {error}");
                    self.shared.finish(job.receipt(Stage::Refused, &why)).await;
                }
            }
        }
    }

    async fn judge(&self, job: &Job, batch: &[Job]) -> Verdict {
        let catalogue = Arc::clone(&self.shared.catalogue.borrow());
        let (id, target) = (job.order.id, job.order.target.clone());
        let facts = self.shared.ledger(move |l| (l.last_receipt(id), l.fence(&target))).await;
        let (last, fence) = match facts {
            Ok(facts) => facts,
            Err(error) => return Verdict::No(Stage::Refused, error.to_string()),
        };
        let in_batch =
            batch.iter().filter(|b| b.order.target == job.order.target).map(|b| b.order.fence).max();
        let queued = self.lanes.get(job.gateway()).map_or(0, Lanes::len)
            + batch.iter().filter(|b| b.gateway() == job.gateway()).count();
        judge::on_receipt(
            &job.order,
            &catalogue,
            &judge::Facts { last, fence: fence.max(in_batch), age: now().mono.since(job.received), queued },
        )
    }

    /// Starts whatever may start.
    fn begin(&mut self) {
        for lanes in self.lanes.values_mut() {
            while let Some(job) = lanes.next() {
                let shared = Arc::clone(&self.shared);
                self.running.spawn(execute::execute(shared, job));
            }
        }
        self.lanes.retain(|_, lanes| lanes.len() > 0);
    }

    fn ended(&mut self, ended: Result<Job, tokio::task::JoinError>) {
        match ended {
            Ok(job) => {
                if let Some(lanes) = self.lanes.get_mut(job.gateway()) {
                    lanes.ended(&job);
                }
            }
            // Executors' panics are caught where they are run; this is our own.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        self.begin();
    }
}

/// How long an execution may take when the order does not say.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(60);

/// And at most.
const MAX_TIME_LIMIT: Duration = Duration::from_secs(3600);
