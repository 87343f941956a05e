//! Times during which failures are nobody's fault: a disturbance on purpose, and a process that is still booting.

use super::TrackerConfig;
use super::board::Finding;
use crate::time::Mono;

/// Whether failures are excused now.
#[derive(Debug, Clone, Default)]
pub(super) enum Excuse {
    /// They are not.
    #[default]
    None,
    /// An executor is at work.
    Disturbed {
        /// When it began.
        since: Mono,
        /// When it is taken to be over even if nobody says so.
        until: Mono,
    },
    /// The executor is done, or the process was just started: what fails until then is a consequence.
    Grace {
        /// When patience ends.
        until: Mono,
        /// The last failure since it began: what will be said if patience ends with it.
        failed: Option<Finding>,
    },
}

impl Excuse {
    pub(super) fn active(&self) -> bool {
        !matches!(self, Self::None)
    }

    pub(super) fn disturbed(&self) -> bool {
        matches!(self, Self::Disturbed { .. })
    }

    /// Whether a session that was opened then says nothing now: an order is at work on what is behind it, and the old
    /// process may answer to its last breath.
    pub(super) fn outdates(&self, opened: Mono) -> bool {
        matches!(self, Self::Disturbed { since, .. } if opened <= *since)
    }

    pub(super) fn note(&mut self, finding: Finding) {
        if let Self::Grace { failed, .. } = self {
            *failed = Some(finding);
        }
    }

    pub(super) fn ends_at(&self) -> Option<Mono> {
        match self {
            Self::None => None,
            Self::Disturbed { until, .. } | Self::Grace { until, .. } => Some(*until),
        }
    }

    /// Moves on with time. `Some` when a grace has just ended, with the failure it ended in, if any.
    pub(super) fn advance(&mut self, now: Mono, config: &TrackerConfig) -> Option<Option<Finding>> {
        match std::mem::take(self) {
            Self::Disturbed { until, .. } if now >= until => {
                *self = Self::Grace { until: now.after(config.disturbance_grace), failed: None };
                None
            }
            Self::Grace { until, failed } if now >= until => Some(failed),
            other => {
                *self = other;
                None
            }
        }
    }
}
