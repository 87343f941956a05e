//! The one place that reads clocks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mooring_core::time::{Anchor, Mono, Now, Timestamp};

/// A monotonic clock that never shows zero: in the records zero means "never".
#[derive(Debug)]
pub(crate) struct Clock {
    begun: Instant,
    /// What a point on it is by the time of day.
    anchor: Mutex<Anchor>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let begun = Instant::now();
        let now = Now { mono: since(begun), wall: wall() };
        Self { begun, anchor: Mutex::new(Anchor::new(now)) }
    }

    pub(crate) fn now(&self) -> Mono {
        since(self.begun)
    }

    /// The present, and what it is by the time of day: the one less so long and the other less so long are the same point
    /// however often they are asked for, unless the time of day was set meanwhile.
    pub(crate) fn both(&self) -> Now {
        let mono = self.now();
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        *anchor = anchor.kept(Now { mono, wall: wall() });
        Now { mono, wall: anchor.wall(mono) }
    }
}

fn since(begun: Instant) -> Mono {
    let since = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Mono(since.saturating_add(1))
}

/// The time of day, for display and records.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
