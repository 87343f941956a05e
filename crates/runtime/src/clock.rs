//! The one place that reads the system's clocks.
//!
//! Decisions take `now` as an argument; the shell gets it here and nowhere else. Intervals and deadlines are judged by
//! the monotonic reading, which no administrator and no NTP daemon can move; the wall clock is for what people and
//! other machines read. On Linux the monotonic clock stands still while the machine is suspended.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The zero of the monotonic readings: the first time anybody in this process asked.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clocks of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The time since this process started to keep time (monotonic), and the wall clock in microseconds since
    /// 1970-01-01 UTC (negative before).
    ///
    /// The two are read right after each other, not at once.
    pub fn now() -> (Duration, i64) {
        (Self::monotonic(), Self::unix_micros())
    }

    /// The monotonic part of [`now`](Self::now).
    pub fn monotonic() -> Duration {
        START.elapsed()
    }

    /// The wall-clock part of [`now`](Self::now).
    pub fn unix_micros() -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back_and_the_wall_clock_is_of_this_age() {
        let (first, wall) = SystemClock::now();
        let (second, _) = SystemClock::now();
        assert!(second >= first);
        let year_2025 = 1_735_689_600_000_000;
        assert!(wall > year_2025, "{wall} is not microseconds since 1970");
    }
}
