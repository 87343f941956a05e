//! The present, in the types of `core`, and the way back to the timers of the runtime.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mooring_core::time::{Anchor, Mono, Now, Timestamp};
use mooring_runtime::clock::SystemClock;
use tokio::time::Instant;

/// Both clocks.
pub(crate) fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    Now { mono: to_mono(mono), wall: Timestamp(wall) }
}

/// A point on the monotonic clock by the time of day: the same one however often it is asked for, unless the time of day
/// was set meanwhile.
pub(crate) fn time_of_day(at: Mono) -> Timestamp {
    static ANCHOR: Mutex<Option<Anchor>> = Mutex::new(None);
    let now = now();
    let mut kept = ANCHOR.lock().unwrap_or_else(PoisonError::into_inner);
    let anchor = kept.map_or_else(|| Anchor::new(now), |anchor| anchor.kept(now));
    *kept = Some(anchor);
    anchor.wall(at)
}

/// When a point on the monotonic clock is, for a timer.
pub(crate) fn instant(at: Mono) -> Instant {
    Instant::now() + at.since(to_mono(SystemClock::monotonic()))
}

/// Waits until then; for ever, where there is nothing to wait for.
pub(crate) async fn until(at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(instant(at)).await,
        None => std::future::pending().await,
    }
}

fn to_mono(since_start: Duration) -> Mono {
    Mono(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_one_time_of_day() {
        let at = now();
        let told = time_of_day(at.mono);
        assert!(told.since(at.wall) + at.wall.since(told) < Duration::from_secs(2), "{told:?} {at:?}");
        for micros in 0..1_000 {
            assert_eq!(time_of_day(at.mono.after(Duration::from_micros(micros))).0, told.0 + micros as i64);
        }
    }

    #[test]
    fn there_and_back() {
        let later = now().mono.after(Duration::from_secs(60));
        let left = instant(later).duration_since(Instant::now());
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(50), "{left:?}");
        assert!(instant(Mono(0)) <= Instant::now());
    }
}
