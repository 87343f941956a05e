//! Counting falls: how often an instance that was well ceased to be, of late.

use std::collections::VecDeque;

use super::TrackerConfig;
use crate::time::Mono;

/// Falls of late. Bounded by the number that makes an instance flapping.
#[derive(Debug, Clone, Default)]
pub(super) struct Flaps {
    falls: VecDeque<Mono>,
    /// The last fall, or the first time it was well.
    calm_since: Option<Mono>,
}

impl Flaps {
    /// It is well. Only the first time matters: calm is counted from there.
    pub(super) fn well(&mut self, now: Mono) {
        self.calm_since.get_or_insert(now);
    }

    /// It fell. Whether that makes it flapping.
    pub(super) fn fell(&mut self, now: Mono, config: &TrackerConfig) -> bool {
        self.calm_since = Some(now);
        self.falls.push_back(now);
        while self.falls.len() > config.flap_changes as usize
            || self.falls.front().is_some_and(|f| now.since(*f) > config.flap_window)
        {
            self.falls.pop_front();
        }
        self.falls.len() >= config.flap_changes as usize
    }

    /// It was calm for long enough: what lies before does not count any more.
    pub(super) fn calmed(&mut self) {
        self.falls.clear();
    }

    pub(super) fn count(&self) -> usize {
        self.falls.len()
    }

    /// When it will have been calm for long enough.
    pub(super) fn calm_at(&self, config: &TrackerConfig) -> Option<Mono> {
        Some(self.calm_since?.after(config.flap_calm))
    }
}
