//! The detectors Mooring's was chosen over, as published, with exact sequence numbers and windows of 1,000.

use std::collections::VecDeque;

use super::Quality;
use super::worlds::World;

/// A detector that sets one deadline with each sign of life.
pub trait Rival {
    /// The sign of life number `k` was seen.
    fn beat(&mut self, k: f64, seen: f64);
    /// When silence becomes suspicious; infinite while too little is known.
    fn deadline(&self) -> f64;
}

pub fn measure(world: &World, mut rival: Box<dyn Rival>) -> Quality {
    let mut quality = Quality { mistakes: 0, detection: Vec::new() };
    let mut newest = 0.0_f64;
    for beat in world.beats.iter().filter(|b| b.seen.is_finite()) {
        // A timer that is due while the observer is stopped runs when it wakes, before anything is read.
        if rival.deadline() < beat.seen {
            quality.mistakes += 1;
        }
        newest = newest.max(beat.seen);
        rival.beat(beat.due, newest);
        if let Some(crash) = crash_after(beat.due)
            && rival.deadline().is_finite()
        {
            quality.detection.push((rival.deadline() - crash).max(0.0));
        }
    }
    quality
}

/// For every 53rd second a crash somewhere in it (golden-ratio steps are spread evenly), once there was time to learn.
pub fn crash_after(due: f64) -> Option<f64> {
    let k = due as u64;
    (k > 2000 && k.is_multiple_of(53)).then(|| due + (k as f64 / 53.0 * 0.618_033_988_75).fract())
}

/// A constant timeout.
pub struct Fixed {
    timeout: f64,
    last: f64,
}

impl Fixed {
    pub fn new(timeout: f64) -> Self {
        Self { timeout, last: 0.0 }
    }
}

impl Rival for Fixed {
    fn beat(&mut self, _: f64, seen: f64) {
        self.last = seen;
    }

    fn deadline(&self) -> f64 {
        self.last + self.timeout
    }
}

/// Sum and sum of squares of the last 1,000 values.
#[derive(Default)]
struct Window {
    values: VecDeque<f64>,
    sum: f64,
    squares: f64,
}

impl Window {
    fn push(&mut self, v: f64) {
        if self.values.len() == 1000
            && let Some(old) = self.values.pop_front()
        {
            self.sum -= old;
            self.squares -= old * old;
        }
        self.values.push_back(v);
        self.sum += v;
        self.squares += v * v;
    }

    fn mean(&self) -> f64 {
        self.sum / self.values.len().max(1) as f64
    }

    fn deviation(&self) -> f64 {
        let n = self.values.len().max(1) as f64;
        (self.squares / n - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// φ-accrual (Hayashibara et al. 2004): normal fit to the gaps, at least 1 ms of deviation.
pub struct Phi {
    gaps: Window,
    last: f64,
    /// How many deviations above the mean φ reaches its threshold.
    z: f64,
}

impl Phi {
    pub fn new(threshold: f64) -> Self {
        // The normal tail is about φ(z)/z · (1 − 1/z²) here; bisection finds where it is 10^−threshold.
        let tail = |z: f64| (-z * z / 2.0).exp() / (z * std::f64::consts::TAU.sqrt()) * (1.0 - 1.0 / (z * z));
        let (mut low, mut high) = (1.5, 40.0);
        for _ in 0..60 {
            let z = f64::midpoint(low, high);
            if tail(z) > 10_f64.powf(-threshold) { low = z } else { high = z }
        }
        Self { gaps: Window::default(), last: 0.0, z: high }
    }
}

impl Rival for Phi {
    fn beat(&mut self, _: f64, seen: f64) {
        self.gaps.push(seen - self.last);
        self.last = seen;
    }

    fn deadline(&self) -> f64 {
        if self.gaps.values.len() < 30 {
            return f64::INFINITY;
        }
        self.last + self.gaps.mean() + self.z * self.gaps.deviation().max(0.001)
    }
}

/// Bertier, Marin, Sens 2002: Chen's expectation with Jacobson's margin (γ 0.1, β 1, φ 4).
pub struct Bertier {
    offsets: Window,
    newest: f64,
    delay: f64,
    variation: f64,
}

impl Bertier {
    pub fn new() -> Self {
        Self { offsets: Window::default(), newest: -1.0, delay: 0.0, variation: 0.0 }
    }
}

impl Rival for Bertier {
    fn beat(&mut self, k: f64, seen: f64) {
        if !self.offsets.values.is_empty() {
            let error = seen - (k + self.offsets.mean()) - self.delay;
            self.delay += 0.1 * error;
            self.variation += 0.1 * (error.abs() - self.variation);
        }
        self.offsets.push(seen - k);
        self.newest = self.newest.max(k);
    }

    fn deadline(&self) -> f64 {
        if self.offsets.values.len() < 30 {
            return f64::INFINITY;
        }
        self.newest + 1.0 + self.offsets.mean() + self.delay + 4.0 * self.variation
    }
}
