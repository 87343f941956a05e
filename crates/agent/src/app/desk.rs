//! Between the uplink and the inbox: orders go in, receipts come out, and it is known when a batch of orders is answered
//! for.
//!
//! An `Orders` message is acknowledged when each of its orders is durably on record or refused. The inbox says so with a
//! receipt, the first of each order; the batch is done when the last of them came.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::OrderId;
use mooring_core::order::Receipt;
use mooring_proto::link::OrderMessage;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::inbox::InboxHandle;
use crate::outbox::Outgoing;
use crate::uplink::OrderDesk;

/// Batches that wait for their first receipts, at most. Older ones are then no longer waited for: acknowledging is a
/// courtesy, the receipts themselves are what counts.
const MAX_BATCHES: usize = 256;

#[derive(Debug, Default)]
struct Batches {
    next: u64,
    open: HashMap<u64, (HashSet<OrderId>, oneshot::Sender<()>)>,
}

/// The desk.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    inbox: InboxHandle,
    batches: Arc<Mutex<Batches>>,
    runtime: tokio::runtime::Handle,
}

impl Desk {
    /// Must be called within the runtime.
    pub(super) fn new(inbox: InboxHandle) -> Self {
        Self { inbox, batches: Arc::default(), runtime: tokio::runtime::Handle::current() }
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, orders: &[OrderMessage]) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        let orders: HashSet<OrderId> = orders.iter().map(|order| order.id).collect();
        let mut batches = self.lock();
        if orders.is_empty() || batches.open.len() >= MAX_BATCHES {
            let _ = done.send(());
            return waiting;
        }
        let number = batches.next;
        batches.next += 1;
        batches.open.insert(number, (orders, done));
        waiting
    }

    fn answered(&self, order: OrderId) {
        let mut batches = self.lock();
        let mut complete = Vec::new();
        for (number, (orders, _)) in &mut batches.open {
            if orders.remove(&order) && orders.is_empty() {
                complete.push(*number);
            }
        }
        for number in complete {
            if let Some((_, done)) = batches.open.remove(&number) {
                // Whose stream is gone does not wait any more.
                let _ = done.send(());
            }
        }
    }

    /// Carries receipts to the outbox until nobody can make any more.
    pub(super) async fn pump(
        self,
        mut receipts: mpsc::Receiver<Receipt>,
        outgoing: Outgoing,
        hard: CancellationToken,
    ) {
        loop {
            tokio::select! {
                biased;
                () = hard.cancelled() => return,
                receipt = receipts.recv() => match receipt {
                    Some(receipt) => {
                        let order = receipt.order;
                        // First into the outbox, then the acknowledgement: it must not overtake the receipt.
                        outgoing.receipt(receipt);
                        self.answered(order);
                    }
                    None => return,
                },
            }
        }
    }
}

impl OrderDesk for Desk {
    fn take(&self, orders: Vec<OrderMessage>) -> BoxFuture<'static, ()> {
        let desk = self.clone();
        async move {
            let waiting = desk.wait_for(&orders);
            if desk.inbox.deliver(orders).await.is_err() {
                // The agent is ending. The orders come again, to the next one.
                return std::future::pending().await;
            }
            if waiting.await.is_err() {
                std::future::pending().await
            }
        }
        .boxed()
    }

    fn durable(&self, receipts: Vec<Receipt>) {
        let inbox = self.inbox.clone();
        // Whether the ledger forgets a little later makes no difference to anybody.
        self.runtime.spawn(async move {
            let receipts = receipts.into_iter().map(|r| (r.order, r.stage)).collect();
            if inbox.acknowledged(receipts).await.is_err() {
                tracing::debug!("the inbox has stopped; what was acknowledged will be said once more");
            }
        });
    }
}
