//! Events.

use std::ops::Bound;

use async_trait::async_trait;
use mooring_core::time::Timestamp;

use super::{MemoryStore, Result, State};
use crate::{EventRecord, EventStore, NewEvent, Retention};

#[async_trait]
impl EventStore for MemoryStore {
    async fn append_events(&self, events: &[NewEvent]) -> Result<()> {
        self.run(|s| events.iter().for_each(|event| s.remember(event)))
    }

    async fn events_before(
        &self,
        before: Option<i64>,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<EventRecord>> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.run(|s| {
            let newest = s.events.range((Bound::Unbounded, end)).rev();
            let young = newest.filter(|(_, event)| since.is_none_or(|since| event.at >= since));
            young.take(limit as usize).map(|(number, _)| s.event(*number)).collect()
        })
    }

    async fn events_after(&self, after: i64, limit: u32) -> Result<Vec<EventRecord>> {
        self.run(|s| {
            let later = s.events.range((Bound::Excluded(after), Bound::Unbounded));
            later.take(limit as usize).map(|(number, _)| s.event(*number)).collect()
        })
    }

    async fn events_about(&self, subject: &str, limit: u32) -> Result<Vec<EventRecord>> {
        let about = |event: &NewEvent| {
            event.subject.strip_prefix(subject).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.run(|s| {
            let newest = s.events.iter().rev().filter(|(_, event)| about(event));
            newest.take(limit as usize).map(|(number, _)| s.event(*number)).collect()
        })
    }

    async fn prune(&self, now: Timestamp, keep: Retention) -> Result<u64> {
        self.run(|s| s.prune(now, keep))
    }

    async fn ping(&self) -> Result<()> {
        self.run(|_| ())
    }
}

impl State {
    fn rows(&self) -> usize {
        self.events.len() + self.refusals.len() + self.pauses.len() + self.orders.len() + self.closes.len()
    }

    fn prune(&mut self, now: Timestamp, keep: Retention) -> u64 {
        let (oldest, oldest_order) = (now.before(keep.events), now.before(keep.orders));
        let before = self.rows();
        self.events.retain(|_, event| event.at >= oldest);
        self.refusals.retain(|_, refusal| refusal.last_at >= oldest);
        self.pauses.retain(|_, stored| stored.pause.until >= oldest);
        self.prune_closes(now.before(keep.closes));
        let live = &self.live;
        self.orders.retain(|id, stored| {
            live.contains(id) || stored.order.ended_at.is_none_or(|ended| ended >= oldest_order)
        });
        (before - self.rows()) as u64
    }
}
