//! The mood: when to misbehave next, and how. Pure, so that a seed shows the same sequence again.
//!
//! Each wait is drawn evenly between half and one and a half of the mean. An exponential wait would be the honest
//! model of independent faults, but its long tail makes a demo that shows nothing for three minutes, and its short
//! one leaves no time to see a recovery.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::misbehaviour::Misbehaviour;

/// An endless sequence of waits and faults.
#[derive(Debug)]
pub(crate) struct Schedule {
    rng: StdRng,
    choices: Vec<Misbehaviour>,
    mean: Duration,
}

impl Schedule {
    /// A schedule over `choices`, or `None` where there is nothing to choose from.
    pub(crate) fn new(seed: u64, choices: &[Misbehaviour], mean: Duration) -> Option<Self> {
        (!choices.is_empty()).then(|| Self {
            rng: StdRng::seed_from_u64(seed),
            choices: choices.to_vec(),
            mean,
        })
    }

    /// How long to behave, and what to do then.
    pub(crate) fn draw(&mut self) -> (Duration, Misbehaviour) {
        let wait = self.mean.mul_f64(self.rng.random_range(0.5..1.5));
        let index = self.rng.random_range(0..self.choices.len());
        (wait, self.choices[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, count: usize) -> Vec<(Duration, Misbehaviour)> {
        let mut schedule = Schedule::new(seed, &Misbehaviour::ALL, Duration::from_secs(10)).unwrap();
        (0..count).map(|_| schedule.draw()).collect()
    }

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        assert_eq!(drawn(7, 50), drawn(7, 50));
        assert_ne!(drawn(7, 50), drawn(8, 50));
    }

    #[test]
    fn waits_keep_their_bounds_and_mean_and_every_choice_comes_up() {
        let drawn = drawn(1, 2_000);
        let mut sum = Duration::ZERO;
        for (wait, _) in &drawn {
            assert!((5.0..15.0).contains(&wait.as_secs_f64()), "{wait:?}");
            sum += *wait;
        }
        let mean = sum.as_secs_f64() / 2_000.0;
        assert!((9.5..10.5).contains(&mean), "mean {mean}");
        for it in Misbehaviour::ALL {
            assert!(drawn.iter().any(|(_, what)| *what == it), "{it} never came up");
        }
    }

    #[test]
    fn nothing_to_choose_from_is_no_schedule() {
        assert!(Schedule::new(1, &[], Duration::from_secs(1)).is_none());
    }
}
