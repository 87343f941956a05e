//! Settings of a tracker, with the reasons for their defaults, and the inequalities that must hold between them.

use std::time::Duration;

use crate::backoff::{Backoff, STABLE_FOR};
use crate::detector::{DetectorConfig, DetectorConfigError};

/// Settings of a [`Tracker`](super::Tracker). `Default` gives what the product ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerConfig {
    /// Whether a canary session of our own is dialled; without one, other watchers' claims are all there is.
    pub dials: bool,
    /// Failed dials in a row until `Reachable` is False. Two: the second, a moment later, tells an outage from a
    /// listener that was being replaced.
    pub fall: u32,
    /// How long a session must stay open until `Reachable` is True, unless it shows life before.
    pub settle: Duration,
    /// Ends of sessions within [`drop_window`](Self::drop_window) until `Reachable` is False.
    pub drop_fall: u32,
    /// Ends further apart are unrelated.
    pub drop_window: Duration,
    /// How long a session must stay open to refute that sessions are dropped.
    pub settle_after_drop: Duration,
    /// The first redial after a lost session comes within this time; the one that confirms, within two and a half.
    pub quick: Duration,
    /// A session that did not live so long earns no quick redial.
    pub quick_min_age: Duration,
    /// Every other redial.
    pub backoff: Backoff,
    /// Uninterrupted health that clears the backoff's counter.
    pub stable_for: Duration,
    /// Pace of redials while only a human can help: often enough to notice the repair.
    pub slow: Duration,
    /// The first dial of all comes within this time, so that an agent with many gateways does not dial all at once.
    pub start_spread: Duration,
    /// Falls within [`flap_window`](Self::flap_window) that make an instance flapping.
    pub flap_changes: u32,
    /// The window.
    pub flap_window: Duration,
    /// Time without a fall after which it is stable again.
    pub flap_calm: Duration,
    /// After a disturbance on purpose has ended: how long failures are still its consequence.
    pub disturbance_grace: Duration,
    /// A disturbance whose end is never reported is over after this time.
    pub disturbance_max: Duration,
    /// After the gateway announced a restart (1001, 1012, 1013): how long failures are put down to that.
    pub restart_grace: Duration,
    /// After the gateway's process was started: how long it may take until it listens.
    pub boot_grace: Duration,
    /// The failure detector.
    pub detector: DetectorConfig,
}

/// Why settings were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackerConfigError {
    /// A count that must be at least one, and at most 32.
    #[error("tracker: {what} is {value}, it must be between 1 and 32")]
    Count {
        /// Which setting.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// A duration that must be above zero.
    #[error("tracker: {0} must be above zero")]
    Zero(&'static str),
    /// Two settings that contradict each other.
    #[error("tracker: {smaller} ({small:?}) must be below {larger} ({large:?})")]
    Order {
        /// The setting that must be smaller.
        smaller: &'static str,
        /// Its value.
        small: Duration,
        /// The setting that must be larger.
        larger: &'static str,
        /// Its value.
        large: Duration,
    },
    /// The failure detector's settings.
    #[error(transparent)]
    Detector(#[from] DetectorConfigError),
}

impl TrackerConfig {
    /// Refuses settings that cannot work together.
    ///
    /// # Errors
    /// Names the first setting or inequality that does not hold.
    pub fn validate(&self) -> Result<(), TrackerConfigError> {
        for (what, value) in
            [("fall", self.fall), ("drop_fall", self.drop_fall), ("flap_changes", self.flap_changes)]
        {
            if !(1..=32).contains(&value) {
                return Err(TrackerConfigError::Count { what, value });
            }
        }
        for (what, d) in [
            ("settle", self.settle),
            ("settle_after_drop", self.settle_after_drop),
            ("quick", self.quick),
            ("stable_for", self.stable_for),
            ("slow", self.slow),
            ("flap_calm", self.flap_calm),
            ("disturbance_max", self.disturbance_max),
        ] {
            if d.is_zero() {
                return Err(TrackerConfigError::Zero(what));
            }
        }
        let below = |smaller, small, larger, large| {
            if small < large {
                Ok(())
            } else {
                Err(TrackerConfigError::Order { smaller, small, larger, large })
            }
        };
        // Otherwise two drops could never meet in one window while the second session is being proven.
        below("settle_after_drop", self.settle_after_drop, "drop_window", self.drop_window)?;
        // Otherwise a human's cause would be dialled faster than a passing one.
        below("backoff floor", self.backoff.floor(), "slow", self.slow)?;
        below("flap_window", self.flap_window, "stable_for", self.stable_for)?;
        Ok(self.detector.validate()?)
    }
}

impl Default for TrackerConfig {
    fn default() -> Self {
        let s = Duration::from_secs;
        let ms = Duration::from_millis;
        Self {
            dials: true,
            fall: 2,
            settle: s(1),
            drop_fall: 2,
            drop_window: s(30),
            settle_after_drop: s(10),
            quick: ms(200),
            quick_min_age: s(5),
            backoff: Backoff::default(),
            stable_for: STABLE_FOR,
            slow: s(30),
            start_spread: ms(200),
            flap_changes: 4,
            flap_window: s(300),
            flap_calm: s(300),
            disturbance_grace: s(5),
            disturbance_max: s(300),
            restart_grace: s(15),
            boot_grace: s(15),
            detector: DetectorConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_nonsense_does_not() {
        let good = TrackerConfig::default();
        assert_eq!(good.validate(), Ok(()));
        let bad = [
            TrackerConfig { fall: 0, ..good },
            TrackerConfig { flap_changes: 33, ..good },
            TrackerConfig { settle: Duration::ZERO, ..good },
            TrackerConfig { drop_window: Duration::from_secs(10), ..good },
            TrackerConfig { slow: Duration::from_millis(1), ..good },
            TrackerConfig { detector: DetectorConfig { floor: Duration::ZERO, ..good.detector }, ..good },
        ];
        for config in bad {
            assert!(config.validate().is_err(), "{config:?}");
        }
    }
}
