//! All live sessions, found by number, walked in pieces.
//!
//! A slab under one lock: a session takes it when it begins and when it ends, a walk takes it for a few microseconds per
//! thousand sessions. A number is a slot and a count that never repeats, so an order for a session that has ended does
//! not hit the one that has its slot now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Record;

/// Bits of a number that are its slot.
const SLOT_BITS: u32 = 20;
/// Most sessions at once.
pub(crate) const MAX_SESSIONS: usize = 1 << SLOT_BITS;
/// Sessions that a walk takes out of the slab at a time.
const PIECE: usize = 1024;

#[derive(Debug, Default)]
struct Slab {
    slots: Vec<Option<Arc<Record>>>,
    free: Vec<u32>,
    count: u64,
}

/// The live sessions of a relay.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Slab>);

impl Registry {
    fn slab(&self) -> MutexGuard<'_, Slab> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session made for the number it gets; `None` when there is no room.
    pub(crate) fn add(&self, make: impl FnOnce(u64) -> Record) -> Option<Arc<Record>> {
        let mut slab = self.slab();
        let slot = match slab.free.pop() {
            Some(slot) => slot as usize,
            None if slab.slots.len() < MAX_SESSIONS => {
                slab.slots.push(None);
                slab.slots.len() - 1
            }
            None => return None,
        };
        slab.count += 1;
        let record = Arc::new(make(slab.count << SLOT_BITS | slot as u64));
        slab.slots[slot] = Some(Arc::clone(&record));
        Some(record)
    }

    /// Takes a session out.
    pub(crate) fn remove(&self, id: u64) {
        let slot = slot(id);
        let mut slab = self.slab();
        if slab.slots.get(slot).is_some_and(|r| r.as_ref().is_some_and(|r| r.id == id)) {
            slab.slots[slot] = None;
            slab.free.push(slot as u32);
        }
    }

    /// The session with this number, if it lives.
    pub(crate) fn find(&self, id: u64) -> Option<Arc<Record>> {
        self.slab().slots.get(slot(id))?.as_ref().filter(|r| r.id == id).map(Arc::clone)
    }

    /// Shows every session that lives through the walk, once. Those that come and go meanwhile may be shown or not.
    pub(crate) fn walk(&self, mut show: impl FnMut(&Arc<Record>)) {
        let mut piece = Vec::with_capacity(PIECE);
        let mut from = 0;
        loop {
            {
                let slab = self.slab();
                let Some(rest) = slab.slots.get(from..).filter(|rest| !rest.is_empty()) else { return };
                let rest = &rest[..rest.len().min(PIECE)];
                piece.extend(rest.iter().flatten().map(Arc::clone));
                from += rest.len();
            }
            piece.drain(..).for_each(|record| show(&record));
        }
    }
}

fn slot(id: u64) -> usize {
    (id & (MAX_SESSIONS as u64 - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Peer;
    use mooring_core::time::Mono;

    #[test]
    fn numbers_are_never_used_twice() {
        let registry = Registry::default();
        let add = || registry.add(|id| Record::new(id, None, Peer::Local, 0, Mono(1))).unwrap();
        let first = add();
        registry.remove(first.id);
        let second = add();
        assert_eq!(slot(first.id), slot(second.id));
        assert!(registry.find(first.id).is_none());
        registry.remove(first.id);
        assert!(registry.find(second.id).is_some());
        let more: Vec<_> = (0..3000).map(|_| add()).collect();
        let mut seen = 0;
        registry.walk(|_| seen += 1);
        assert_eq!(seen, 3001);
        more.iter().for_each(|r| registry.remove(r.id));
        registry.walk(|r| assert_eq!(r.id, second.id));
    }
}
