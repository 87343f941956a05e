//! The one place that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mooring_core::time::{Mono, Timestamp};

/// A monotonic clock that never shows zero: in the records zero means "never".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Mono {
        let since = u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX);
        Mono(since.saturating_add(1))
    }
}

/// The time of day, for display and records.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
