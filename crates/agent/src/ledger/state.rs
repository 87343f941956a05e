//! What the ledger's lines amount to: the same function of the same lines, whether they were just written or read back
//! after a death.

use std::collections::{BTreeMap, HashMap};

use mooring_core::id::{Fence, OrderId, Target};
use mooring_core::order::{Receipt, Stage};
use mooring_core::time::Timestamp;

use super::line::Entry;
use super::{Acceptance, LedgerError};

/// So many finished orders are remembered; beyond it the oldest are forgotten, acknowledged ones first.
pub const MAX_FINISHED: usize = 1_024;

/// Targets whose fences can be kept.
pub const MAX_TARGETS: usize = 65_536;

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// What was last said of it.
    last: Receipt,
    /// Whether the controller knows how it ended.
    acknowledged: bool,
    /// The line that put it on record, until it is started.
    accepted: Option<Entry>,
}

/// Everything on record.
#[derive(Debug, Default)]
pub(super) struct State {
    fences: HashMap<Target, Fence>,
    orders: HashMap<OrderId, Known>,
    /// The orders in the sequence of their first mark.
    sequence: BTreeMap<u64, OrderId>,
    next: u64,
    finished: usize,
}

fn ended(stage: Stage) -> bool {
    matches!(stage, Stage::Done | Stage::Failed | Stage::Refused | Stage::Expired)
}

fn receipt(order: OrderId, stage: Stage, at: Timestamp, traceparent: Option<String>) -> Receipt {
    Receipt { order, stage, at, message: String::new(), output: String::new(), traceparent }
}

impl State {
    pub(super) fn apply(&mut self, entry: Entry) {
        let accepted = matches!(entry, Entry::Accepted { .. }).then(|| entry.clone());
        match entry {
            Entry::Fence { target, fence } => self.raise(&target, fence),
            Entry::Accepted { order, target, fence, at, traceparent } => {
                self.raise(&target, fence);
                self.say(receipt(order, Stage::Accepted, at, traceparent));
                if let Some(known) = self.orders.get_mut(&order) {
                    known.accepted = accepted;
                }
            }
            Entry::Started { order, at, traceparent } => {
                self.say(receipt(order, Stage::Started, at, traceparent));
            }
            Entry::Finished { order, stage, at, message, output, traceparent } => {
                self.say(Receipt { order, stage, at, message, output, traceparent });
            }
            Entry::Acknowledged { order } => {
                if let Some(known) = self.orders.get_mut(&order) {
                    known.acknowledged = true;
                }
            }
        }
    }

    fn raise(&mut self, target: &str, fence: Fence) {
        // A target that is not one is of a later version of the agent; it is not ours to act on.
        // Sessions have no fences: there is no end of them, each lives once, and to close one that is closed does nothing.
        if let Ok(target) = target.parse::<Target>()
            && target.session().is_none()
        {
            let kept = self.fences.entry(target).or_insert(fence);
            *kept = fence.max(*kept);
        }
    }

    fn say(&mut self, receipt: Receipt) {
        let order = receipt.order;
        let was = self.orders.get(&order).map(|known| known.last.stage);
        if was.is_some_and(ended) {
            // An end is an end.
            return;
        }
        if was.is_none() {
            self.sequence.insert(self.next, order);
            self.next += 1;
        }
        self.finished += usize::from(ended(receipt.stage));
        self.orders.insert(order, Known { last: receipt, acknowledged: false, accepted: None });
        if self.finished > MAX_FINISHED {
            self.forget_one();
        }
    }

    /// Forgets the oldest finished order, an acknowledged one if there is one.
    fn forget_one(&mut self) {
        let finished = |known: &Known| ended(known.last.stage);
        let find = |wanted: &dyn Fn(&Known) -> bool| {
            self.sequence
                .iter()
                .find(|(_, order)| self.orders.get(order).is_some_and(wanted))
                .map(|(n, o)| (*n, *o))
        };
        let oldest = find(&|known| finished(known) && known.acknowledged).or_else(|| find(&finished));
        if let Some((number, order)) = oldest {
            self.sequence.remove(&number);
            if self.orders.remove(&order).is_some_and(|known| !known.acknowledged) {
                tracing::warn!(%order, "more outcomes wait for the controller than are kept: the oldest is forgotten");
            }
            self.finished -= 1;
        }
    }

    pub(super) fn answer_for_the_dead(&mut self, now: Timestamp) {
        let open: Vec<Receipt> =
            self.orders.values().filter(|k| !ended(k.last.stage)).map(|k| k.last.clone()).collect();
        for mut receipt in open {
            receipt.message = if receipt.stage == Stage::Started {
                "the agent died while carrying it out; it is not known whether it took effect".to_owned()
            } else {
                "not begun before the agent died; it had no effect".to_owned()
            };
            receipt.stage = Stage::Failed;
            receipt.at = now;
            self.say(receipt);
        }
    }

    pub(super) fn room_for(&self, orders: &[Acceptance]) -> Result<(), LedgerError> {
        let new = orders
            .iter()
            .filter(|a| a.target.session().is_none() && !self.fences.contains_key(&a.target))
            .count();
        if self.fences.len() + new > MAX_TARGETS { Err(LedgerError::TooManyTargets) } else { Ok(()) }
    }

    pub(super) fn fence(&self, target: &Target) -> Option<Fence> {
        self.fences.get(target).copied()
    }

    pub(super) fn stage(&self, order: OrderId) -> Option<Stage> {
        self.orders.get(&order).map(|known| known.last.stage)
    }

    pub(super) fn last_receipt(&self, order: OrderId) -> Option<Receipt> {
        self.orders.get(&order).map(|known| known.last.clone())
    }

    pub(super) fn outstanding(&self) -> Vec<Receipt> {
        self.in_sequence().filter(|known| !known.acknowledged).map(|known| known.last.clone()).collect()
    }

    fn in_sequence(&self) -> impl Iterator<Item = &Known> {
        self.sequence.values().filter_map(|order| self.orders.get(order))
    }

    /// How many lines say all of this.
    pub(super) fn lines(&self) -> usize {
        self.fences.len() + 2 * self.orders.len()
    }

    /// Lines that say all of this.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut out: Vec<Entry> =
            self.fences.iter().map(|(target, fence)| Entry::fence(target, *fence)).collect();
        for known in self.in_sequence() {
            let last = &known.last;
            match last.stage {
                Stage::Accepted => out.extend(known.accepted.clone()),
                Stage::Started => out.push(Entry::started(last.order, last.at, last.traceparent.clone())),
                Stage::Done | Stage::Failed | Stage::Refused | Stage::Expired => {
                    out.push(Entry::finished(last))
                }
            }
            if known.acknowledged {
                out.push(Entry::acknowledged(last.order));
            }
        }
        out
    }
}
