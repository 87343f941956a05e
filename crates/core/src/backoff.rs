//! How long to wait before trying again: exponential backoff with full jitter, and a counter that only stability clears.
//!
//! The delay is `random(floor, min(cap, base · 2ⁿ))`: "full jitter" of the AWS architecture blog ("Exponential Backoff
//! And Jitter", M. Brooker 2015), which needs the fewest attempts of the variants compared there when many clients fail
//! at once. Pure full jitter may draw zero; the floor is what keeps a retry from ever being an immediate hot loop.
//! [`Backoff::equal`] draws from the upper half only, for peers that said "too many requests": there a short delay is
//! not luck but an offence.
//!
//! The counter is the part that is usually wrong. Clearing it on "connected" turns a gateway that accepts and drops
//! into a storm of full-speed logins, so [`BackoffState`] is told about health and clears itself only after
//! `stable_for` of it without interruption (10 minutes, as the kubelet does for its containers).

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::time::Mono;

/// Uninterrupted health after which earlier failures are forgotten.
pub const STABLE_FOR: Duration = Duration::from_secs(600);

/// Why a backoff was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// The base is zero.
    #[error("backoff: the base delay must be above zero")]
    ZeroBase,
    /// The cap lies below the base.
    #[error("backoff: the cap ({cap:?}) must not be below the base ({base:?})")]
    CapBelowBase {
        /// First ceiling.
        base: Duration,
        /// Last ceiling.
        cap: Duration,
    },
    /// The floor lies above the base, so that the first delays would not be random at all.
    #[error("backoff: the floor ({floor:?}) must be above zero and not above the base ({base:?})")]
    BadFloor {
        /// Least delay.
        floor: Duration,
        /// First ceiling.
        base: Duration,
    },
}

/// A validated delay law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    floor: Duration,
}

impl Backoff {
    /// Delays below `min(cap, base · 2ⁿ)`, with a floor of a tenth of the base.
    ///
    /// # Errors
    /// When the base is zero or above the cap.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, BackoffError> {
        if base.is_zero() {
            return Err(BackoffError::ZeroBase);
        }
        if cap < base {
            return Err(BackoffError::CapBelowBase { base, cap });
        }
        let floor = (base / 10).max(Duration::from_nanos(1));
        Ok(Self { base, cap, floor })
    }

    /// The same law with another least delay.
    ///
    /// # Errors
    /// When the floor is zero or above the base.
    pub fn with_floor(self, floor: Duration) -> Result<Self, BackoffError> {
        if floor.is_zero() || floor > self.base {
            return Err(BackoffError::BadFloor { floor, base: self.base });
        }
        Ok(Self { floor, ..self })
    }

    /// The least delay.
    #[must_use]
    pub fn floor(&self) -> Duration {
        self.floor
    }

    /// The largest delay.
    #[must_use]
    pub fn cap(&self) -> Duration {
        self.cap
    }

    /// The ceiling after `failures` failures: `min(cap, base · 2ⁿ)`, saturating.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        // Past 2³¹ the cap rules anyway.
        self.base.checked_mul(1_u32 << failures.min(31)).map_or(self.cap, |d| d.min(self.cap))
    }

    /// Full jitter: anything from the floor to the ceiling.
    pub fn full<R: Rng + ?Sized>(&self, failures: u32, rng: &mut R) -> Duration {
        between(self.floor, self.ceiling(failures), rng)
    }

    /// Equal jitter: the upper half of the ceiling.
    pub fn equal<R: Rng + ?Sized>(&self, failures: u32, rng: &mut R) -> Duration {
        let ceiling = self.ceiling(failures);
        between((ceiling / 2).max(self.floor), ceiling, rng)
    }
}

impl Default for Backoff {
    /// 0.5 s doubling to 30 s, never under 50 ms.
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            floor: Duration::from_millis(50),
        }
    }
}

/// A uniform draw from `[low, high]`; `low` when they are in the wrong order.
pub fn between<R: Rng + ?Sized>(low: Duration, high: Duration, rng: &mut R) -> Duration {
    if high <= low {
        return low;
    }
    let span = u64::try_from((high - low).as_nanos()).unwrap_or(u64::MAX);
    low + Duration::from_nanos(rng.random_range(0..=span))
}

/// How many failures weigh on the next delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffState {
    failures: u32,
    healthy_since: Option<Mono>,
    stable_for: Duration,
}

impl BackoffState {
    /// No failures yet; `stable_for` of uninterrupted health forgets those to come.
    #[must_use]
    pub fn new(stable_for: Duration) -> Self {
        Self { failures: 0, healthy_since: None, stable_for }
    }

    /// It is healthy now. Call it at the beginning of health and whenever time has passed; only the first of an
    /// unbroken run starts the clock.
    pub fn healthy(&mut self, now: Mono) {
        let since = *self.healthy_since.get_or_insert(now);
        if now.since(since) >= self.stable_for {
            self.failures = 0;
        }
    }

    /// It is not healthy any more. Failures are forgotten if the run of health that ends here was long enough.
    pub fn unhealthy(&mut self, now: Mono) {
        if self.healthy_since.take().is_some_and(|since| now.since(since) >= self.stable_for) {
            self.failures = 0;
        }
    }

    /// Counts a failure. Health has ended with it.
    pub fn failed(&mut self, now: Mono) {
        self.unhealthy(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// Failures that weigh on the next delay.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When failures would be forgotten if health lasts; `None` when there is nothing to forget or no health.
    #[must_use]
    pub fn clears_at(&self) -> Option<Mono> {
        (self.failures > 0).then_some(self.healthy_since?.after(self.stable_for))
    }

    /// Another measure of stability, e.g. after a reload of the configuration.
    pub fn set_stable_for(&mut self, stable_for: Duration) {
        self.stable_for = stable_for;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    #[test]
    fn nonsense_is_refused() {
        let s = Duration::from_secs;
        assert_eq!(Backoff::new(s(0), s(1)), Err(BackoffError::ZeroBase));
        assert!(matches!(Backoff::new(s(2), s(1)), Err(BackoffError::CapBelowBase { .. })));
        let b = Backoff::new(s(1), s(8)).unwrap();
        assert!(b.with_floor(s(0)).is_err() && b.with_floor(s(2)).is_err() && b.with_floor(s(1)).is_ok());
        assert_eq!(b.ceiling(2), s(4));
        assert_eq!(b.ceiling(200), s(8));
    }

    #[test]
    fn only_stability_clears() {
        let mut state = BackoffState::new(STABLE_FOR);
        for t in 0..5 {
            state.healthy(at(t * 100));
            state.failed(at(t * 100 + 50));
        }
        assert_eq!(state.failures(), 5);
        state.healthy(at(1000));
        state.unhealthy(at(1599));
        state.healthy(at(1600));
        assert_eq!(state.failures(), 5, "two healthy runs do not add up");
        assert_eq!(state.clears_at(), Some(at(2200)));
        state.healthy(at(2200));
        assert_eq!(state.failures(), 0);
        assert_eq!(state.clears_at(), None);
    }

    #[test]
    fn a_long_run_counts_even_if_nobody_asked_meanwhile() {
        let mut state = BackoffState::new(STABLE_FOR);
        state.failed(at(0));
        state.healthy(at(1));
        state.failed(at(1000));
        assert_eq!(state.failures(), 1);
    }

    proptest! {
        #[test]
        fn delays_keep_their_bounds(base in 1_u64..10_000, more in 0_u64..1_000_000, n in 0_u32..100, seed: u64) {
            let b = Backoff::new(Duration::from_millis(base), Duration::from_millis(base + more)).unwrap();
            let mut rng = StdRng::seed_from_u64(seed);
            let full = b.full(n, &mut rng);
            prop_assert!(full >= b.floor() && full <= b.ceiling(n) && full <= b.cap());
            let equal = b.equal(n, &mut rng);
            prop_assert!(equal >= b.ceiling(n) / 2 && equal <= b.ceiling(n));
        }
    }
}
