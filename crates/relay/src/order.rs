//! Orders to close, and the tally of how they went.
//!
//! An order is carried out by each session's own task; what comes back is three counts. The tally is shared by the
//! sessions an order hit, and whoever gave the order waits until it is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mooring_core::time::Mono;
use mooring_wire::frames::CloseReason;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;

/// How sessions are to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The code both ends get: 1012 (service restart, the default) or 1001 (going away), which clients come back from.
    pub code: u16,
    /// The reason both ends get, cut at 123 bytes.
    pub reason: String,
    /// Sessions are begun to be closed over so long, evenly with jitter, so that their clients do not come back in one
    /// moment.
    pub window: Duration,
    /// How long a session has from its turn to its end before it is cut.
    pub wait: Duration,
    /// Randomness of the order of turns and of the jitter.
    pub seed: u64,
}

impl Default for CloseOrder {
    fn default() -> Self {
        Self {
            code: 1012,
            reason: String::new(),
            window: Duration::ZERO,
            wait: Duration::from_secs(5),
            seed: 0,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Closed {
    /// Both ends answered the Close frame with their own.
    pub properly: u64,
    /// An end did not answer in time, or could not be told: ended without.
    pub cut: u64,
    /// Gone before it was their turn, or by themselves meanwhile.
    pub gone: u64,
}

impl Closed {
    /// All sessions the order was for.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.properly + self.cut + self.gone
    }
}

/// How one session ended under an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Properly,
    Cut,
    Gone,
}

/// Counts the ends an order led to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: [AtomicU64; 3],
    changed: Notify,
}

impl Tally {
    pub(crate) fn add(&self, ended: Ended) {
        self.counts[ended as usize].fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn read(&self) -> Closed {
        let [properly, cut, gone] = [0, 1, 2].map(|i: usize| self.counts[i].load(Ordering::SeqCst));
        Closed { properly, cut, gone }
    }

    /// Waits until so many are counted.
    pub(crate) async fn full(&self, total: u64) -> Closed {
        loop {
            let changed = self.changed.notified();
            let now = self.read();
            if now.total() >= total {
                return now;
            }
            changed.await;
        }
    }
}

/// Why the relay closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Order,
    Idle,
    Violation,
}

/// A session's own part of an order.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: CloseReason,
    pub(crate) why: Why,
    /// When it is cut.
    pub(crate) until: Mono,
    pub(crate) tallies: Vec<Arc<Tally>>,
}

/// When each of so many has its turn: one in each equal part of the window, somewhere inside it.
pub(crate) fn turns(count: usize, window: Duration, seed: u64) -> Vec<(usize, Duration)> {
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let mut who: Vec<usize> = (0..count).collect();
    who.shuffle(&mut rng);
    let part = window.div_f64(count.max(1) as f64);
    let at = |i: usize, jitter: f64| part.mul_f64(i as f64 + jitter);
    who.into_iter().enumerate().map(|(i, who)| (who, at(i, rng.random_range(0.0..1.0)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn turns_are_even_and_everybodys(count in 0usize..500, window in 0u64..100_000, seed: u64) {
            let window = Duration::from_millis(window);
            let turns = turns(count, window, seed);
            let mut who: Vec<usize> = turns.iter().map(|t| t.0).collect();
            who.sort_unstable();
            prop_assert!(who.into_iter().eq(0..count));
            for (i, (_, at)) in turns.iter().enumerate() {
                let part = window.as_secs_f64() / count as f64;
                let place = at.as_secs_f64() - i as f64 * part;
                prop_assert!((-1e-6..=part + 1e-6).contains(&place), "{i} {at:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_tally_fills() {
        let tally = Arc::new(Tally::default());
        let waiting = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move { tally.full(3).await }
        });
        [Ended::Properly, Ended::Cut, Ended::Properly].into_iter().for_each(|e| tally.add(e));
        assert_eq!(waiting.await.unwrap(), Closed { properly: 2, cut: 1, gone: 0 });
    }
}
