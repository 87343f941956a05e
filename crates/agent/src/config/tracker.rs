//! The tracker's settings as configured: only what is given differs from what the product ships.

use std::time::Duration;

use mooring_core::backoff::Backoff;
use mooring_core::tracker::TrackerConfig;
use mooring_runtime::config::HumanDuration;
use serde::{Deserialize, Serialize};

/// `[gateway.tracker]`: every key is optional; what each means is said at [`TrackerConfig`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerSection {
    /// Failed dials in a row until `Reachable` is False.
    pub fall: Option<u32>,
    /// How long a silent session must stay open until `Reachable` is True.
    pub settle: Option<HumanDuration>,
    /// Ends of sessions within `drop_window` until `Reachable` is False.
    pub drop_fall: Option<u32>,
    /// Ends of sessions further apart are unrelated.
    pub drop_window: Option<HumanDuration>,
    /// How long a session must stay open to refute that sessions are dropped.
    pub settle_after_drop: Option<HumanDuration>,
    /// The first redial after a lost session comes within this time.
    pub quick: Option<HumanDuration>,
    /// First ceiling of the time between redials.
    pub backoff_base: Option<HumanDuration>,
    /// Highest ceiling of the time between redials.
    pub backoff_cap: Option<HumanDuration>,
    /// Health for this long clears the backoff.
    pub stable_for: Option<HumanDuration>,
    /// Pace of redials while only a human can help.
    pub slow: Option<HumanDuration>,
    /// Falls within `flap_window` that make an instance flapping.
    pub flap_changes: Option<u32>,
    /// See `flap_changes`.
    pub flap_window: Option<HumanDuration>,
    /// Time without a fall after which it is stable again.
    pub flap_calm: Option<HumanDuration>,
    /// How long after a disturbance on purpose failures are still its consequence.
    pub disturbance_grace: Option<HumanDuration>,
    /// How long after an announced restart failures are put down to it.
    pub restart_grace: Option<HumanDuration>,
    /// How long a started process may take until it listens.
    pub boot_grace: Option<HumanDuration>,
    /// Least safety margin of the failure detector.
    pub margin_floor: Option<HumanDuration>,
    /// Margin of the failure detector until it has learnt.
    pub margin_initial: Option<HumanDuration>,
    /// Largest safety margin of the failure detector.
    pub margin_cap: Option<HumanDuration>,
}

impl TrackerSection {
    /// The tracker's settings: the product's with these in place of theirs.
    ///
    /// # Errors
    /// The first setting or inequality that does not hold.
    pub fn resolve(&self) -> Result<TrackerConfig, String> {
        fn set<T>(slot: &mut T, value: Option<impl Into<T>>) {
            if let Some(value) = value {
                *slot = value.into();
            }
        }
        let mut c = TrackerConfig::default();
        set(&mut c.fall, self.fall);
        set(&mut c.settle, self.settle);
        set(&mut c.drop_fall, self.drop_fall);
        set(&mut c.drop_window, self.drop_window);
        set(&mut c.settle_after_drop, self.settle_after_drop);
        set(&mut c.quick, self.quick);
        set(&mut c.stable_for, self.stable_for);
        set(&mut c.slow, self.slow);
        set(&mut c.flap_changes, self.flap_changes);
        set(&mut c.flap_window, self.flap_window);
        set(&mut c.flap_calm, self.flap_calm);
        set(&mut c.disturbance_grace, self.disturbance_grace);
        set(&mut c.restart_grace, self.restart_grace);
        set(&mut c.boot_grace, self.boot_grace);
        set(&mut c.detector.floor, self.margin_floor);
        set(&mut c.detector.initial, self.margin_initial);
        set(&mut c.detector.cap, self.margin_cap);
        if self.backoff_base.is_some() || self.backoff_cap.is_some() {
            let base: Duration = self.backoff_base.map_or_else(|| c.backoff.ceiling(0), Into::into);
            let cap: Duration = self.backoff_cap.map_or_else(|| c.backoff.cap(), Into::into);
            c.backoff = Backoff::new(base, cap).map_err(|e| e.to_string())?;
        }
        c.validate().map_err(|e| e.to_string())?;
        Ok(c)
    }
}
