//! The present, in the types of `core`, and the way back to the timers of the runtime.

use std::time::Duration;

use mooring_core::time::{Mono, Now, Timestamp};
use mooring_runtime::clock::SystemClock;
use tokio::time::Instant;

/// Both clocks.
pub(crate) fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    Now { mono: to_mono(mono), wall: Timestamp(wall) }
}

/// When a point on the monotonic clock is, for a timer.
pub(crate) fn instant(at: Mono) -> Instant {
    Instant::now() + at.since(to_mono(SystemClock::monotonic()))
}

fn to_mono(since_start: Duration) -> Mono {
    Mono(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let later = now().mono.after(Duration::from_secs(60));
        let left = instant(later).duration_since(Instant::now());
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(50), "{left:?}");
        assert!(instant(Mono(0)) <= Instant::now());
    }
}
