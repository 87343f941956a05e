//! A session's entry in the lists, as a guard: whatever becomes of the task, the entry is taken out and an order that waits
//! for the session hears of its end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mooring_core::id::InstanceId;

use crate::order::Ended;
use crate::record::{Peer, Record};
use crate::shared::Shared;

/// A session in the lists.
pub(crate) struct Entry {
    pub(crate) record: Arc<Record>,
    pub(crate) shared: Arc<Shared>,
}

impl Entry {
    /// Enters a session whose upgrade request has come. `None`: there is no room.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        instance: Option<InstanceId>,
        peer: Peer,
        listener: u16,
    ) -> Option<Self> {
        let now = shared.clock.now();
        let record = shared.registry.add(|id| Record::new(id, instance, peer, listener, now))?;
        Some(Self { record, shared: Arc::clone(shared) })
    }

    /// Takes it out.
    pub(crate) fn remove(&self, ended: Ended) {
        if !self.record.retire(ended) {
            return;
        }
        self.shared.registry.remove(self.record.id);
        if self.record.is_open() {
            self.shared.numbers.open.fetch_sub(1, Relaxed);
            self.shared.numbers.closed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.remove(if self.record.is_open() { Ended::Cut } else { Ended::Gone });
    }
}
