//! Thins signs of life to at most one per period, without making any of them look older or newer than it was: pure.

use std::time::Duration;

use tokio::time::Instant;

/// The newest sign of life not yet passed on, and when the next may be.
#[derive(Debug)]
pub struct Life {
    every: Duration,
    next: Option<Instant>,
    newest: Option<Instant>,
}

impl Life {
    /// At most one in this time.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, next: None, newest: None }
    }

    /// Something arrived.
    pub fn seen(&mut self, now: Instant) {
        self.newest = Some(now);
    }

    /// When there is something to pass on: at once for the first in a period, at the period's end for those after it.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let newest = self.newest?;
        Some(self.next.map_or(newest, |next| next.max(newest)))
    }

    /// Takes the newest, as its age.
    pub fn take(&mut self, now: Instant) -> Option<Duration> {
        let newest = self.newest.take()?;
        self.next = Some(now + self.every);
        Some(now.saturating_duration_since(newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_one_per_period_with_the_newest_age() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut life = Life::new(Duration::from_millis(250));
        assert_eq!(life.due(), None);
        life.seen(at(0));
        assert_eq!(life.due(), Some(at(0)));
        assert_eq!(life.take(at(0)), Some(Duration::ZERO));
        for ms in 1..=200 {
            life.seen(at(ms));
        }
        assert_eq!(life.due(), Some(at(250)));
        assert_eq!(life.take(at(250)), Some(Duration::from_millis(50)));
        assert_eq!((life.due(), life.take(at(251))), (None, None));
        life.seen(at(900));
        assert_eq!(life.due(), Some(at(900)));
    }
}
