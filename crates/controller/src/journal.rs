//! The journal: group commit of what agents report. Persist, then believe, then acknowledge.
//!
//! Reports of all agents that arrive while a commit is under way go into the next one together, so the number of commits
//! follows the database's speed and not the number of agents. Nothing is dropped while the database is away: the batch
//! is tried again until it is written, and since every agent has a window of unacknowledged reports, what waits here is
//! bounded by agents × window; beyond that the agents keep it (their outboxes keep the newest state per instance).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::AgentId;
use mooring_runtime::lifecycle::Tokens;
use mooring_store::{Committed, Delta, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::database::{Database, now};
use crate::fleet::Fleet;
use crate::metrics::Metrics;

/// Most rows of one commit: larger ones only hold the acknowledgements up.
const MAX_ROWS: usize = 8_192;
/// Pause before a batch is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// One report to be written, with whom to tell.
#[derive(Debug)]
pub struct Entry {
    /// The report.
    pub delta: Delta,
    /// Told once it is durable and believed; dropped without a word only when the controller stops.
    pub done: oneshot::Sender<Committed>,
}

/// Where reports are handed in.
#[derive(Debug, Clone)]
pub struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
}

/// The writing side.
#[derive(Debug)]
pub struct Writer {
    entries: mpsc::UnboundedReceiver<Entry>,
    waiting: Waiting,
}

/// What waits, by agent: each commit takes one report of every agent in turn, so that one that floods fills what is left
/// over and not the place of others.
#[derive(Debug, Default)]
struct Waiting {
    queues: HashMap<AgentId, VecDeque<Entry>>,
    turn: VecDeque<AgentId>,
}

impl Waiting {
    fn push(&mut self, entry: Entry) {
        let agent = entry.delta.agent.clone();
        let queue = self.queues.entry(agent.clone()).or_default();
        if queue.is_empty() {
            self.turn.push_back(agent);
        }
        queue.push_back(entry);
    }

    /// The next one: of the agent whose turn it is, its oldest.
    fn pop(&mut self) -> Option<Entry> {
        let agent = self.turn.pop_front()?;
        let queue = self.queues.get_mut(&agent)?;
        let entry = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&agent);
        } else {
            self.turn.push_back(agent);
        }
        entry
    }

    /// The next commit: at least one report, and no more rows than one may have.
    fn batch(&mut self) -> (Vec<Entry>, usize) {
        let (mut batch, mut size) = (Vec::new(), 0);
        while size < MAX_ROWS
            && let Some(entry) = self.pop()
        {
            size += rows(&entry.delta);
            batch.push(entry);
        }
        (batch, size)
    }
}

/// A journal and its writer.
#[must_use]
pub fn journal() -> (Journal, Writer) {
    // Unbounded as a channel, bounded by the protocol: an agent may have `window` reports unacknowledged and no more.
    let (tx, rx) = mpsc::unbounded_channel();
    (Journal { entries: tx }, Writer { entries: rx, waiting: Waiting::default() })
}

impl Journal {
    /// Hands a report in. The receiver resolves when it is durable; it fails when the controller stops.
    #[must_use]
    pub fn write(&self, delta: Delta) -> oneshot::Receiver<Committed> {
        let (done, receipt) = oneshot::channel();
        // A closed journal drops `done`, which is what the caller sees.
        let _ = self.entries.send(Entry { delta, done });
        receipt
    }
}

fn rows(delta: &Delta) -> usize {
    let c = &delta.changes;
    1 + c.gateways.len()
        + c.instances.len()
        + c.conditions.len()
        + c.instances_gone.len()
        + c.session_counts.len()
        + c.session_closes.len()
        + delta.events.len()
}

impl Writer {
    /// Writes until told to stop; then writes what has been handed in, as far as the database lets it.
    ///
    /// # Errors
    /// When the database holds something that makes writing impossible: a bug, for the supervisor to answer.
    pub async fn run(
        mut self,
        store: Arc<dyn Store>,
        fleet: Fleet,
        database: Database,
        metrics: Metrics,
        tokens: Tokens,
    ) -> Result<(), StoreError> {
        loop {
            if self.waiting.turn.is_empty() {
                let first = tokio::select! {
                    entry = self.entries.recv() => entry,
                    () = tokens.soft.cancelled() => {
                        self.entries.close();
                        self.entries.recv().await
                    }
                };
                let Some(first) = first else {
                    // Everyone who could hand something in has stopped already; our turn to stop comes after theirs.
                    tokens.soft.cancelled().await;
                    return Ok(());
                };
                self.waiting.push(first);
            }
            while let Ok(entry) = self.entries.try_recv() {
                self.waiting.push(entry);
            }
            let (batch, size) = self.waiting.batch();
            let (deltas, dones): (Vec<Delta>, Vec<oneshot::Sender<Committed>>) =
                batch.into_iter().map(|e| (e.delta, e.done)).unzip();
            let Some(committed) = commit(&*store, &database, &deltas, &tokens).await? else { return Ok(()) };
            metrics.committed(deltas.len(), size);
            let durable =
                deltas.iter().zip(&committed).filter(|(_, c)| **c == Committed::Durable).map(|(d, _)| d);
            fleet.apply(durable.clone().map(|d| &d.changes), now());
            for d in durable {
                fleet.progressed(&d.agent, d.epoch, d.sequence, d.synced);
            }
            for (done, outcome) in dones.into_iter().zip(committed) {
                // The stream may be gone meanwhile: its agent will resend, and be told that it is durable.
                let _ = done.send(outcome);
            }
        }
    }
}

/// Writes a batch, however long the database is away. `None` when there is no more time.
async fn commit(
    store: &dyn Store,
    database: &Database,
    deltas: &[Delta],
    tokens: &Tokens,
) -> Result<Option<Vec<Committed>>, StoreError> {
    loop {
        match database.note(store.commit(deltas).await) {
            Ok(committed) => return Ok(Some(committed)),
            Err(StoreError::Away(_) | StoreError::Conflict(_)) => {}
            Err(e @ StoreError::Broken(_)) => {
                tracing::error!(error = %e, "reports cannot be written");
                return Err(e);
            }
        }
        // While stopping there is no waiting: what is not written is not acknowledged either, so nothing is lost.
        if tokens.soft.is_cancelled() {
            return Ok(None);
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = tokens.soft.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests;
