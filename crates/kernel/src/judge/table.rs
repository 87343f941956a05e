//! The tracks, by cookie: a slab in chunks and an index of slots.
//!
//! `HashMap<u64, Track>` would cost half as much again: it doubles, and it moves everything when it does. Here the tracks
//! lie in chunks that never move, without holes (the last one fills the place of one removed), and the index is an open
//! hash of 32-bit places, probed linearly, with entries moved back on removal instead of tombstones. The kernel chooses
//! cookies, nobody can choose them to collide.

use super::track::Track;

/// Tracks per chunk: 88 KiB.
const CHUNK: usize = 1024;
/// An empty slot of the index.
const EMPTY: u32 = u32::MAX;

/// All tracks.
#[derive(Debug, Default)]
pub(super) struct Table {
    chunks: Vec<Vec<Track>>,
    length: usize,
    /// Power of two long, or empty.
    slots: Vec<u32>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.chunks.capacity() * size_of::<Vec<Track>>()
            + self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Track>()).sum::<usize>()
            + self.slots.capacity() * size_of::<u32>()
    }

    pub(super) fn at(&self, place: usize) -> Option<&Track> {
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut Track> {
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// Where the track with this cookie is.
    pub(super) fn find(&self, cookie: u64) -> Option<usize> {
        let (_, place) = self.probe(cookie)?;
        Some(place)
    }

    /// Adds a track whose cookie is not in the table. Where it is.
    pub(super) fn insert(&mut self, track: Track) -> usize {
        // Probing stays short up to four fifths full.
        if (self.length + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let place = self.length;
        let cookie = track.cookie;
        match self.chunks.get_mut(place / CHUNK) {
            Some(chunk) => chunk.push(track),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(track);
                self.chunks.push(chunk);
            }
        }
        self.length += 1;
        self.enter(cookie, place);
        place
    }

    /// Removes the track at a place, which the last one takes over.
    pub(super) fn remove(&mut self, place: usize) -> Option<Track> {
        let track = *self.at(place)?;
        self.leave(track.cookie);
        let end = self.length - 1;
        let last = self.chunks.get_mut(end / CHUNK)?.pop()?;
        self.length = end;
        if place != end {
            // Its slot says `end` still.
            let (slot, _) = self.probe_place(last.cookie, end)?;
            self.slots[slot] = narrow(place);
            *self.at_mut(place)? = last;
        }
        // One spare chunk is kept, so that a table at a chunk's edge does not allocate with every connection.
        while self.chunks.len() > end / CHUNK + 2 {
            self.chunks.pop();
        }
        Some(track)
    }

    fn home(&self, cookie: u64) -> usize {
        // Fibonacci hashing: cookies count upwards.
        let hash = cookie.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(hash).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn probe(&self, cookie: u64) -> Option<(usize, usize)> {
        self.walk(cookie, |place| self.at(place).is_some_and(|track| track.cookie == cookie))
    }

    fn probe_place(&self, cookie: u64, wanted: usize) -> Option<(usize, usize)> {
        self.walk(cookie, |place| place == wanted)
    }

    /// Slot and place of the first entry on the cookie's path that is meant.
    fn walk(&self, cookie: u64, meant: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        if self.slots.is_empty() {
            return None;
        }
        let mut slot = self.home(cookie);
        while self.slots[slot] != EMPTY {
            let place = self.slots[slot] as usize;
            if meant(place) {
                return Some((slot, place));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        None
    }

    fn enter(&mut self, cookie: u64, place: usize) {
        let mut slot = self.home(cookie);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = narrow(place);
    }

    fn leave(&mut self, cookie: u64) {
        let Some((mut hole, _)) = self.probe(cookie) else { return };
        let mask = self.slots.len() - 1;
        let mut slot = hole;
        loop {
            slot = (slot + 1) & mask;
            if self.slots[slot] == EMPTY {
                break;
            }
            let home = self.at(self.slots[slot] as usize).map_or(slot, |track| self.home(track.cookie));
            // It may move back into the hole unless that is before its home.
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
        }
        self.slots[hole] = EMPTY;
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots = vec![EMPTY; size];
        for place in 0..self.length {
            if let Some(cookie) = self.at(place).map(|track| track.cookie) {
                self.enter(cookie, place);
            }
        }
    }
}

fn narrow(place: usize) -> u32 {
    // Bounded by `max_tracks`, itself far below.
    u32::try_from(place).unwrap_or(EMPTY - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hundred_thousand_within_ten_megabytes() {
        let mut table = Table::default();
        for cookie in 0..100_000 {
            table.insert(Track::blank(cookie * 3));
        }
        assert!(size_of::<Track>() <= 88, "{}", size_of::<Track>());
        assert!(table.memory() < 10_000_000, "{}", table.memory());
        for cookie in 0..100_000 {
            let place = table.find(cookie * 3).expect("there");
            assert!(table.remove(place).is_some());
        }
        assert_eq!(table.len(), 0);
        assert!(table.memory() < 1_500_000, "{}", table.memory());
    }

    proptest! {
        #[test]
        fn as_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..200), 0..600), stride in 1u64..(1 << 40)) {
            let mut table = Table::default();
            let mut map = HashMap::new();
            for (add, n) in steps {
                let cookie = n.wrapping_mul(stride);
                match (add, table.find(cookie)) {
                    (true, None) => {
                        table.insert(Track::blank(cookie));
                        map.insert(cookie, ());
                    }
                    (false, Some(place)) => {
                        prop_assert_eq!(table.remove(place).map(|t| t.cookie), Some(cookie));
                        map.remove(&cookie);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for cookie in (0..200).map(|n: u64| n.wrapping_mul(stride)) {
                let found = table.find(cookie).and_then(|place| table.at(place)).map(|t| t.cookie);
                prop_assert_eq!(found.is_some(), map.contains_key(&cookie));
                prop_assert!(found.is_none_or(|found| found == cookie));
            }
        }
    }
}
