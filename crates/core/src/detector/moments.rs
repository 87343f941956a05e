//! What is learnt of a peer's timing, in a handful of numbers instead of a window of samples.
//!
//! All values are microseconds in `f32`: 24 bits of mantissa resolve 1 µs up to 16 s, beyond which nothing here is
//! judged. The weights are powers of two only for tidiness.

/// Weight of the newest sample in the long mean: the last ~128 answers.
const LONG: f32 = 1.0 / 64.0;
/// Weight of the newest sample in the mean deviation.
const DEVIATION: f32 = 1.0 / 32.0;
/// What is left of the worst lateness with each answer: half of it after ~350.
const FADE: f32 = 1.0 - 1.0 / 512.0;

/// Exponentially weighted moments of lateness.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moments {
    /// Short window: the last sample itself.
    last: f32,
    /// Long window: exponentially weighted mean.
    mean: f32,
    /// Exponentially weighted mean of the absolute deviation from the long mean (Jacobson's estimator).
    deviation: f32,
    /// The worst deviation above the mean, fading.
    worst: f32,
    /// Samples seen, saturating.
    count: u32,
}

impl Moments {
    /// Takes in a sample: how long after its reference point a sign of life came.
    pub(super) fn learn(&mut self, sample: f32) {
        let sample = sample.clamp(-1e9, 1e9);
        if self.count == 0 {
            self.mean = sample;
            self.deviation = sample.abs() / 2.0;
        }
        let error = sample - self.mean;
        // A plain mean to begin with, so that the first sample does not rule for the next hundred.
        let weight = |long: f32, n: u32| long.max(1.0 / (n as f32 + 1.0));
        self.mean += weight(LONG, self.count) * error;
        self.deviation += weight(DEVIATION, self.count) * (error.abs() - self.deviation);
        self.last = sample;
        self.late(error);
        self.count = self.count.saturating_add(1);
    }

    /// Remembers a lateness without letting it move the means.
    pub(super) fn late(&mut self, lateness: f32) {
        self.worst = (self.worst * FADE).max(lateness.min(1e9));
    }

    /// Two windows: the larger of what the short and the long one expect.
    pub(super) fn expected(&self) -> f32 {
        self.mean.max(self.last)
    }

    /// The long window alone.
    pub(super) fn mean(&self) -> f32 {
        self.mean
    }

    /// Deviation observed: four mean deviations, or the worst of late with a quarter on top.
    pub(super) fn spread(&self) -> f32 {
        (4.0 * self.deviation).max(1.25 * self.worst)
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small() {
        assert!(size_of::<Moments>() <= 64, "{} bytes", size_of::<Moments>());
    }

    #[test]
    fn learns_mean_and_spread() {
        let mut m = Moments::default();
        for i in 0..1000 {
            m.learn(if i % 2 == 0 { 900.0 } else { 1100.0 });
        }
        assert!((m.mean() - 1000.0).abs() < 20.0 && m.expected() > 1050.0);
        assert!((m.spread() - 400.0).abs() < 40.0, "{}", m.spread());
        m.learn(50_000.0);
        assert!(m.expected() == 50_000.0, "the short window reacts at once");
        assert!(m.spread() > 60_000.0 * 0.99);
        m.learn(1000.0);
        assert!(m.expected() < 3000.0, "and forgets at once");
        for _ in 0..4000 {
            m.learn(1000.0);
        }
        assert!(m.spread() < 100.0, "the worst fades: {}", m.spread());
    }

    #[test]
    fn nonsense_stays_finite() {
        let mut m = Moments::default();
        for s in [f32::INFINITY, f32::MAX, -f32::MAX, 0.0] {
            m.learn(s);
            m.late(s);
        }
        assert!(m.expected().is_finite() && m.spread().is_finite());
    }
}
