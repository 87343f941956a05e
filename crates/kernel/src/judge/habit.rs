//! How often data usually comes in one direction of a connection, in a dozen bytes.
//!
//! A gap is the time between the last data seen at one scan and the last data seen at a later one. Scans miss what lies
//! between, so a gap is never shorter than the true one: a habit errs towards patience.
//!
//! Mean and mean deviation are Jacobson's, as in Chen's detector with a deviation for its margin; the worst gap of late is
//! kept as well, fading, since a link that pauses now and then pauses again. A habit counts only after a number of gaps and
//! only while it is regular: people chatting have none, heartbeats do.

use std::time::Duration;

use super::clock::{Tick, duration};
use super::config::JudgeConfig;

/// Weight of the newest gap: the last ~32 of them.
const WEIGHT: f32 = 1.0 / 16.0;
/// What is left of the worst gap with each further one: half of it after ~350.
const FADE: f32 = 1.0 - 1.0 / 512.0;
/// The worst gap is kept in tenths of a second; this many (1 h 49 min) is "longer than is kept".
const WORST_MOST: u16 = u16::MAX;

/// Moments of the gaps of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Habit {
    /// Mean gap, ticks.
    mean: f32,
    /// Mean absolute deviation, ticks.
    deviation: f32,
    /// The worst gap of late, tenths of a second.
    worst: u16,
    /// Gaps seen, saturating.
    count: u8,
}

impl Habit {
    /// Takes in a gap.
    pub(super) fn learn(&mut self, gap: Tick) {
        #[expect(clippy::cast_precision_loss, reason = "24 bits of ticks are two days")]
        let sample = gap as f32;
        if self.count == 0 {
            self.mean = sample;
        }
        let error = sample - self.mean;
        // A plain mean to begin with, so that the first gap does not rule for long.
        let weight = WEIGHT.max(1.0 / (f32::from(self.count) + 1.0));
        self.mean += weight * error;
        self.deviation += weight * (error.abs() - self.deviation);
        let tenths = u16::try_from(gap / 10).unwrap_or(WORST_MOST);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than it was")]
        let faded = (f32::from(self.worst) * FADE) as u16;
        self.worst = tenths.max(faded);
        self.count = self.count.saturating_add(1);
    }

    /// The usual gap, if there is a habit.
    pub(super) fn usual(&self, config: &JudgeConfig) -> Option<Duration> {
        let regular = self.deviation <= config.silence_regularity * self.mean && self.worst < WORST_MOST;
        (self.count >= config.silence_gaps && regular).then(|| from_ticks(self.mean))
    }

    /// The silence that is beyond it, if there is a habit: the deviations, half the usual gap or the floor on top of it,
    /// and more than the worst of late with a quarter on top.
    pub(super) fn limit(&self, config: &JudgeConfig) -> Option<Duration> {
        let usual = self.usual(config)?;
        let margin = from_ticks((config.silence_deviations * self.deviation).max(0.5 * self.mean));
        let worst = duration(Tick::from(self.worst) * 10);
        Some((usual + margin.max(config.silence_floor)).max(worst + worst / 4))
    }
}

fn from_ticks(ticks: f32) -> Duration {
    Duration::try_from_secs_f32(ticks / 100.0).unwrap_or(Duration::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habit(gaps: impl IntoIterator<Item = Tick>) -> Habit {
        let mut habit = Habit::default();
        gaps.into_iter().for_each(|gap| habit.learn(gap));
        habit
    }

    #[test]
    fn heartbeats_are_a_habit_and_chat_is_none() {
        let config = JudgeConfig::default();
        let beats = habit((0..40).map(|n| 3_000 + n % 7));
        let usual = beats.usual(&config).expect("regular").as_secs_f32();
        assert!((29.9..30.2).contains(&usual), "{usual}");
        let limit = beats.limit(&config).unwrap();
        assert!(limit > Duration::from_secs(40) && limit < Duration::from_secs(50), "{limit:?}");
        // Too few.
        assert_eq!(habit(vec![3_000; 11]).limit(&config), None);
        // Bursts and pauses.
        let chat = habit((0..200).map(|n| if n % 9 == 0 { 6_000 } else { 200 }));
        assert_eq!(chat.limit(&config), None);
    }

    #[test]
    fn a_pause_now_and_then_is_remembered() {
        let config = JudgeConfig::default();
        let mut rare = habit(vec![200; 100]);
        assert!(rare.limit(&config).unwrap() < Duration::from_secs(15));
        rare.learn(6_000);
        (0..150).for_each(|_| rare.learn(200));
        let limit = rare.limit(&config).expect("regular again");
        assert!(limit > Duration::from_secs(50), "{limit:?}");
    }
}
