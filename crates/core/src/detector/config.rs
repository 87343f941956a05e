//! Settings of the failure detector, with the reasons for their defaults.

use std::time::Duration;

/// Settings of a [`Detector`](super::Detector).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectorConfig {
    /// What is awaited where no heartbeat promise is stated.
    pub expect: Expect,
    /// Least safety margin. With stalls of a Pareto law a margin of 1 s is mistaken about once a day (see the
    /// benchmark); each halving multiplies the mistakes by three and saves half a second at most.
    pub floor: Duration,
    /// Largest safety margin: the detection time that is never exceeded by more than a period, however bad the past.
    pub cap: Duration,
    /// The margin until [`LEARNT`](super::LEARNT) answers have been seen.
    pub initial: Duration,
    /// A check that comes later than this after it was due was late by our own fault: no verdict yet.
    pub slack: Duration,
    /// How long the shell gets, after a lag, to read what is waiting before a verdict is given; a quarter of it where
    /// there was no lag.
    pub drain: Duration,
}

/// What the detector waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// An answer to each question (ping and pong): the schedule is our own and known exactly.
    Answers,
    /// Beats that come by themselves at a period that is learnt.
    Beats,
}

/// Why settings were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetectorConfigError {
    /// The margins are not in order.
    #[error(
        "failure detector: 0 < floor ({floor:?}) <= initial ({initial:?}) <= cap ({cap:?}) does not hold"
    )]
    Margins {
        /// Least margin.
        floor: Duration,
        /// First margin.
        initial: Duration,
        /// Largest margin.
        cap: Duration,
    },
    /// No time to drain, or no slack.
    #[error("failure detector: slack ({slack:?}) and drain ({drain:?}) must be above zero")]
    NoDrain {
        /// Lateness of a check that is forgiven.
        slack: Duration,
        /// Time to read what is waiting.
        drain: Duration,
    },
}

impl DetectorConfig {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// When the margins are not in order, or slack or drain is zero.
    pub fn validate(&self) -> Result<(), DetectorConfigError> {
        let Self { floor, cap, initial, slack, drain, .. } = *self;
        if floor.is_zero() || initial < floor || cap < initial {
            return Err(DetectorConfigError::Margins { floor, initial, cap });
        }
        if slack.is_zero() || drain.is_zero() {
            return Err(DetectorConfigError::NoDrain { slack, drain });
        }
        Ok(())
    }
}

impl Default for DetectorConfig {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            expect: Expect::Answers,
            floor: ms(1000),
            cap: ms(10_000),
            initial: ms(3000),
            slack: ms(150),
            drain: ms(200),
        }
    }
}
