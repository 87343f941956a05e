//! How many examinations there may be: each is dozens of connections to something that may be ill.

use std::collections::VecDeque;
use std::time::Duration;

use mooring_core::time::Mono;
use mooring_proto::examine::{AT_ONCE, Declined};

/// Most begun within [`WINDOW`].
const MOST: usize = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// When to ask again while as many as may be are under way.
const SOON: Duration = Duration::from_secs(10);

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Quota {
    running: usize,
    /// When the last ones were begun, the oldest first.
    begun: VecDeque<Mono>,
}

impl Quota {
    /// Takes a place, to be given back with [`end`](Self::end).
    pub(super) fn begin(&mut self, now: Mono) -> Result<(), Declined> {
        if self.running >= AT_ONCE {
            let why = format!("{AT_ONCE} examinations are under way at this agent, as many as may be");
            return Err(Declined { why, retry_after: Some(SOON) });
        }
        while self.begun.front().is_some_and(|at| now.since(*at) >= WINDOW) {
            self.begun.pop_front();
        }
        if let Some(oldest) = self.begun.front().filter(|_| self.begun.len() >= MOST) {
            let why =
                format!("{MOST} examinations were begun at this agent within a minute, as many as may be");
            return Err(Declined { why, retry_after: Some(WINDOW.saturating_sub(now.since(*oldest))) });
        }
        self.begun.push_back(now);
        self.running += 1;
        Ok(())
    }

    /// One is over.
    pub(super) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_once_and_thirty_a_minute() {
        let mut quota = Quota::default();
        let at = |s: u64| Mono(s * 1_000_000);
        assert!(quota.begin(at(0)).is_ok() && quota.begin(at(0)).is_ok());
        assert!(quota.begin(at(0)).unwrap_err().why.contains("under way"));
        quota.end();
        quota.end();
        for _ in 2..MOST {
            quota.begin(at(20)).unwrap();
            quota.end();
        }
        let full = quota.begin(at(30)).unwrap_err();
        assert_eq!(full.retry_after, Some(Duration::from_secs(30)), "{full:?}");
        assert!(quota.begin(at(60)).is_ok());
    }
}
