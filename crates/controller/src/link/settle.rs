//! From a report taken in to its acknowledgement: its receipts, then the journal, then the word to the agent; each in
//! the order of the reports.
//!
//! Receipts go first. Where the journal has a report, the agent is told so when it attaches again, and forgets what was
//! in it; a receipt that was not durable by then (the stream broke, the controller died) would be lost, and its order
//! would wait for its deadline for nothing. The other way round it is only applied twice, which changes nothing.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use mooring_core::id::AgentId;
use mooring_store::Committed;

use super::intake::Taken;
use crate::journal::Journal;
use crate::orders::Desk;

/// A report that will never be durable in this attachment: there is a newer one, or the controller stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overtaken;

/// Reports on their way, of one attachment.
pub(super) struct Settling {
    agent: AgentId,
    journal: Journal,
    desk: Desk,
    /// Behind one whose receipts are being applied.
    waiting: VecDeque<Taken>,
    applying: Option<BoxFuture<'static, Option<Taken>>>,
    committing: FuturesOrdered<BoxFuture<'static, Result<(u64, bool), Overtaken>>>,
}

impl std::fmt::Debug for Settling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settling")
            .field("agent", &self.agent)
            .field("reports", &self.len())
            .finish_non_exhaustive()
    }
}

impl Settling {
    pub(super) fn new(agent: AgentId, journal: Journal, desk: Desk) -> Self {
        Self {
            agent,
            journal,
            desk,
            waiting: VecDeque::new(),
            applying: None,
            committing: FuturesOrdered::new(),
        }
    }

    /// How many reports are under way.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.applying.is_some()) + self.committing.len()
    }

    /// Sends a report on its way.
    pub(super) fn put(&mut self, taken: Taken) {
        self.waiting.push_back(taken);
        self.advance();
    }

    /// The next report that is durable with all that was in it: its number, and whether everything has been told by then.
    /// Waits for ever when none is under way. May be dropped and called again without losing anything.
    pub(super) async fn next(&mut self) -> Result<(u64, bool), Overtaken> {
        loop {
            tokio::select! {
                biased;
                Some(settled) = self.committing.next(), if !self.committing.is_empty() => return settled,
                taken = finished(&mut self.applying), if self.applying.is_some() => {
                    self.applying = None;
                    self.commit(taken.ok_or(Overtaken)?);
                    self.advance();
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Hands to the journal what need not wait for receipts.
    fn advance(&mut self) {
        while self.applying.is_none()
            && let Some(taken) = self.waiting.pop_front()
        {
            if taken.receipts.is_empty() {
                self.commit(taken);
            } else {
                self.applying = Some(Box::pin(apply(taken, self.agent.clone(), self.desk.clone())));
            }
        }
    }

    fn commit(&mut self, taken: Taken) {
        let (sequence, in_sync) = (taken.delta.sequence, taken.in_sync);
        let durable = self.journal.write(taken.delta);
        self.committing.push_back(Box::pin(async move {
            match durable.await {
                Ok(Committed::Durable) => Ok((sequence, in_sync)),
                Ok(Committed::StaleEpoch) | Err(_) => Err(Overtaken),
            }
        }));
    }
}

async fn finished(applying: &mut Option<BoxFuture<'static, Option<Taken>>>) -> Option<Taken> {
    match applying {
        Some(applying) => applying.await,
        None => std::future::pending().await,
    }
}

/// Applies a report's receipts, one after the other. `None` when the controller stops.
async fn apply(mut taken: Taken, agent: AgentId, desk: Desk) -> Option<Taken> {
    for receipt in std::mem::take(&mut taken.receipts) {
        desk.receipt(agent.clone(), receipt).await.ok()?;
    }
    Some(taken)
}
