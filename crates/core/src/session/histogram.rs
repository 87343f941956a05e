//! Durations of many sessions in fixed room: two buckets per doubling, so a quantile is right to within 41 %.
//!
//! The range covers a loopback round trip and a session that has been open for months. A histogram of one agent can be
//! added to another's, which averages and quantiles cannot.

use std::time::Duration;

/// Buckets of a [`Histogram`].
pub const BUCKETS: usize = 80;
/// Upper bound of the first bucket: 16 µs.
const LEAST_BITS: u32 = 4;

/// Counts of durations by size.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = self.0.iter().enumerate().filter(|(_, n)| **n > 0);
        f.debug_map().entries(set.map(|(i, n)| (upper(i), n))).finish()
    }
}

/// The bucket for so many microseconds: the first whose upper bound is not below.
fn bucket(micros: u64) -> usize {
    if micros <= 1 << LEAST_BITS {
        return 0;
    }
    let bits = 63 - micros.leading_zeros();
    let half = (1u64 << bits) + (1u64 << (bits - 1));
    // Two buckets per power of two: up to 1.5 × 2^bits, and up to 2^(bits+1). Exactly 2^bits belongs to the one below.
    let at = 2 * (bits - LEAST_BITS) as usize;
    let at = if micros == 1 << bits {
        at
    } else if micros <= half {
        at + 1
    } else {
        at + 2
    };
    at.min(BUCKETS - 1)
}

/// The largest duration of a bucket. The last one has no bound; this is where it begins to be too small.
fn upper(bucket: usize) -> Duration {
    let power = 1u64 << (LEAST_BITS as usize + bucket / 2);
    Duration::from_micros(if bucket.is_multiple_of(2) { power } else { power + power / 2 })
}

impl Histogram {
    /// From counts as [`counts`](Self::counts) gives them; missing ones are zero, surplus ones are put into the last.
    #[must_use]
    pub fn from_counts(counts: &[u64]) -> Self {
        let mut h = Self::default();
        for (i, n) in counts.iter().enumerate() {
            let slot = &mut h.0[i.min(BUCKETS - 1)];
            *slot = slot.saturating_add(*n);
        }
        h
    }

    /// The counts, without the zeros at the end.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        let end = self.0.iter().rposition(|n| *n > 0).map_or(0, |i| i + 1);
        &self.0[..end]
    }

    /// Counts one.
    pub fn record(&mut self, d: Duration) {
        let slot = &mut self.0[bucket(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))];
        *slot = slot.saturating_add(1);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (slot, n) in self.0.iter_mut().zip(other.0) {
            *slot = slot.saturating_add(n);
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The duration that this share (0 to 1) of those counted does not exceed, rounded up to the bucket's bound; `None`
    /// when nothing was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank, clamped to the count"
        )]
        let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).clamp(1, count);
        let mut seen = 0u64;
        for (i, n) in self.0.iter().enumerate() {
            seen = seen.saturating_add(*n);
            if seen >= rank {
                return Some(upper(i));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_duration_is_in_the_bucket_that_holds_it(micros in 0u64..(1 << 42)) {
            let b = bucket(micros);
            prop_assert!(Duration::from_micros(micros) <= upper(b));
            if b > 0 {
                prop_assert!(Duration::from_micros(micros) > upper(b - 1));
            }
        }

        #[test]
        fn a_quantile_is_near(mut micros in prop::collection::vec(16u64..10_000_000, 1..200), share in 0.0f64..=1.0) {
            let mut h = Histogram::default();
            for m in &micros {
                h.record(Duration::from_micros(*m));
            }
            micros.sort_unstable();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let rank = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len());
            let exact = Duration::from_micros(micros[rank - 1]);
            let found = h.quantile(share).unwrap();
            prop_assert!(found >= exact && found <= exact.mul_f64(1.51), "{exact:?} {found:?}");
            prop_assert_eq!(Histogram::from_counts(h.counts()), h);
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        let mut h = Histogram::default();
        assert_eq!(h.quantile(0.5), None);
        h.record(Duration::ZERO);
        h.record(Duration::MAX);
        assert_eq!(h.count(), 2);
        assert_eq!(h.quantile(0.0), Some(Duration::from_micros(16)));
        assert!(h.quantile(1.0) > Some(Duration::from_secs(86_400 * 30)));
    }
}
