//! The worst few of many, exactly: a bounded heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::finding::Row;

#[derive(Debug)]
struct Entry {
    score: u64,
    row: Row,
}

impl Entry {
    /// By score; of equals the one with the lower cookie, the older, is worse. So the choice does not hang on the order in
    /// which they come.
    fn key(&self) -> (u64, Reverse<u64>) {
        (self.score, Reverse(self.row.connection.cookie))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Keeps the `room` rows with the highest scores. A score of zero is nothing to name.
#[derive(Debug)]
pub(super) struct Top {
    /// The least bad on top, to be replaced.
    heap: BinaryHeap<Reverse<Entry>>,
    room: usize,
}

impl Top {
    pub(super) fn new(room: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(room), room }
    }

    pub(super) fn offer(&mut self, score: u64, cookie: u64, row: &Row) {
        if score == 0 || self.room == 0 {
            return;
        }
        if self.heap.len() < self.room {
            self.heap.push(Reverse(Entry { score, row: *row }));
        } else if let Some(mut least) = self.heap.peek_mut()
            && least.0.key() < (score, Reverse(cookie))
        {
            *least = Reverse(Entry { score, row: *row });
        }
    }

    /// Worst first; empty afterwards.
    pub(super) fn take(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.heap).into_sorted_vec().into_iter().map(|Reverse(entry)| entry.row).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::finding::Kinds;
    use crate::judge::fixture::connection;

    proptest! {
        #[test]
        fn exactly_the_worst(scores in prop::collection::vec(0u64..50, 0..200), room in 0usize..20) {
            let mut top = Top::new(room);
            let mut all = Vec::new();
            for (cookie, score) in (0u64..).zip(&scores) {
                let row = Row {
                    connection: connection(cookie),
                    age: Default::default(),
                    age_at_least: false,
                    silent: Default::default(),
                    findings: Kinds::default(),
                };
                top.offer(*score, cookie, &row);
                if *score > 0 {
                    all.push((Reverse(*score), cookie));
                }
            }
            all.sort_unstable();
            let expected: Vec<u64> = all.into_iter().take(room).map(|(_, cookie)| cookie).collect();
            let found: Vec<u64> = top.take().into_iter().map(|row| row.connection.cookie).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
