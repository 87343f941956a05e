//! Which controller to try, and when. Pure.
//!
//! The first try is made at once; after that every failure is followed by a delay with full jitter, so that a fleet
//! whose controller died comes back spread over time. An attachment that does not last counts as a failure too: a
//! controller that lets everybody in and throws everybody out must not be knocked at full speed.

use std::time::Duration;

use mooring_core::backoff::{Backoff, BackoffState};
use mooring_core::time::Mono;
use rand::Rng;

/// An attachment that lasted this long makes earlier failures forgotten.
const STABLE_FOR: Duration = Duration::from_secs(60);

/// A hint of the server is obeyed, but not for longer than this: it is a hint, and may be nonsense.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// The machine.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    state: BackoffState,
    next: usize,
}

impl Pace {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, state: BackoffState::new(STABLE_FOR), next: 0 }
    }

    /// The next address: each in its turn.
    pub(super) fn address<'a>(&mut self, addresses: &'a [String]) -> Option<&'a str> {
        let address = addresses.get(self.next % addresses.len().max(1))?;
        self.next = self.next.wrapping_add(1);
        Some(address)
    }

    /// A stream was opened.
    pub(super) fn attached(&mut self, now: Mono) {
        self.state.healthy(now);
    }

    /// A try failed or a stream ended: how long to wait. A hint of the server wins if it is longer.
    pub(super) fn failed(&mut self, now: Mono, hint: Option<Duration>, rng: &mut impl Rng) -> Duration {
        self.state.failed(now);
        let own = self.backoff.full(self.state.failures() - 1, rng);
        match hint.map(|h| h.min(LONGEST_HINT)) {
            // Everybody is given the same hint; they must not all follow it to the same moment.
            Some(hint) if hint > own => hint + own.min(hint),
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    #[test]
    fn addresses_take_turns() {
        let all = ["a".to_owned(), "b".to_owned()];
        let mut pace = Pace::new(Backoff::default());
        let turns: Vec<_> = (0..3).filter_map(|_| pace.address(&all)).collect();
        assert_eq!(turns, ["a", "b", "a"]);
        assert_eq!(pace.address(&[]), None);
    }

    #[test]
    fn delays_grow_until_an_attachment_lasts_and_hints_are_obeyed() {
        let mut rng = StdRng::seed_from_u64(3);
        let backoff = Backoff::default();
        let mut pace = Pace::new(backoff);
        for n in 0..12 {
            // Let in and thrown out at once: no success.
            pace.attached(at(n * 10));
            let delay = pace.failed(at(n * 10 + 1), None, &mut rng);
            assert!(delay <= backoff.ceiling(u32::try_from(n).unwrap()));
        }
        assert_eq!(pace.state.failures(), 12);
        let hinted = pace.failed(at(130), Some(Duration::from_secs(60)), &mut rng);
        assert!((60..=90).contains(&hinted.as_secs()), "{hinted:?}");
        assert!(pace.failed(at(131), Some(Duration::MAX), &mut rng) <= LONGEST_HINT * 2);
        pace.attached(at(200));
        assert!(pace.failed(at(261), None, &mut rng) <= backoff.ceiling(0));
    }
}
