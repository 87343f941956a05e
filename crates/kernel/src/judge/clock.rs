//! Time as a track remembers it: 32 bits.
//!
//! A tick is ten milliseconds on the monotonic clock, wrapping: differences are right up to 497 days, and the kernel's own
//! "milliseconds since" wrap after 50.

use std::time::Duration;

use mooring_core::time::Mono;

/// A point in time, in ticks.
pub(super) type Tick = u32;

const MICROS: u64 = 10_000;

/// The present of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: Tick,
    /// How far back this observer's own memory is to be believed: it was held up before that.
    trusted: Tick,
}

impl Clock {
    pub(super) fn new(now: Mono, not_before: Option<Mono>) -> Self {
        let trusted = not_before.map_or(Tick::MAX, |point| ticks(now.since(point)));
        Self { now: (now.0 / MICROS) as Tick, trusted }
    }

    pub(super) fn now(&self) -> Tick {
        self.now
    }

    /// The point so long before now.
    pub(super) fn ago(&self, millis: u32) -> Tick {
        self.now.wrapping_sub(millis / 10)
    }

    /// Time since a point, whatever happened meanwhile.
    pub(super) fn since(&self, point: Tick) -> Duration {
        duration(self.ticks_since(point))
    }

    /// Time since a point, as far as it was watched.
    pub(super) fn watched(&self, point: Tick) -> Duration {
        duration(self.ticks_since(point).min(self.trusted))
    }

    /// As much of a duration as was watched.
    pub(super) fn clip(&self, d: Duration) -> Duration {
        d.min(duration(self.trusted))
    }

    /// Whether all the time since a point was watched.
    pub(super) fn trusts(&self, point: Tick) -> bool {
        self.ticks_since(point) <= self.trusted
    }

    /// A point computed from the kernel's figures may come out a hair after now, since a scan takes time: that is now.
    fn ticks_since(&self, point: Tick) -> Tick {
        let ticks = self.now.wrapping_sub(point);
        if ticks > Tick::MAX - 60_000 { 0 } else { ticks }
    }
}

fn ticks(d: Duration) -> Tick {
    Tick::try_from(d.as_micros() / u128::from(MICROS)).unwrap_or(Tick::MAX)
}

/// A point in whole ticks.
pub(super) fn floor(point: Mono) -> Mono {
    Mono(point.0 / MICROS * MICROS)
}

pub(super) fn duration(ticks: Tick) -> Duration {
    Duration::from_micros(u64::from(ticks) * MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_trusts() {
        let at = |micros| Clock::new(Mono(micros), None);
        let late = (u64::from(Tick::MAX) + 100) * MICROS;
        let before = at(late - 1_000_000).now();
        assert_eq!(at(late).since(before), Duration::from_secs(1));
        assert_eq!(at(late).since(at(late).ago(2_500)), Duration::from_millis(2_500));
        assert_eq!(at(late).since(at(late + 50_000).now()), Duration::ZERO, "a hair in the future");
        let held = Clock::new(Mono(late), Some(Mono(late - 400_000)));
        assert_eq!(held.watched(before), Duration::from_millis(400));
        assert!(!held.trusts(before));
    }
}
