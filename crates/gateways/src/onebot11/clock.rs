//! The present, in the types of `core`, and the way back to the timers of the runtime.

use mooring_core::time::{Mono, Now, Timestamp};
use mooring_runtime::clock::SystemClock;
use tokio::time::Instant;

/// Both clocks.
pub(super) fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    let mono = Mono(u64::try_from(mono.as_micros()).unwrap_or(u64::MAX));
    Now { mono, wall: Timestamp(wall) }
}

/// Waits until then; for ever, where there is nothing to wait for.
pub(super) async fn until(at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(Instant::now() + at.since(now().mono)).await,
        None => std::future::pending().await,
    }
}
