//! What goes into a tracker and what comes out of it.

use crate::cause::Cause;
use crate::condition::{Condition, ConditionKind, Status};
use crate::observation::Observation;
use crate::time::{Mono, Timestamp};

use super::TrackerConfig;

/// Something a tracker reacts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The watcher saw something.
    Observed(Observation),
    /// Time has passed: [`Effects::wake_at`] has come, or any other moment.
    Tick,
    /// The settings were reloaded. What is known stays known.
    Reconfigured(Box<TrackerConfig>),
}

/// What is to be done after a step. Whoever steps the tracker carries out all of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// Conditions that now say something else, as they now stand; at most one of each kind.
    pub changes: Vec<Condition>,
    /// What changed, in order.
    pub transitions: Vec<Transition>,
    /// A dial is planned for this time, replacing any planned before. While a dial is under way it may be ignored: the
    /// dial's outcome will plan anew. May be the present, never the past.
    pub dial_at: Option<Mono>,
    /// The session is judged dead: drop it. Its end may be reported (`by_us`) or not.
    pub close_session: bool,
    /// When to call `step` with [`Event::Tick`] at the latest; replaces the former time. Always in the future.
    pub wake_at: Option<Mono>,
}

/// One condition changed its status, or its cause while the status stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Which condition.
    pub kind: ConditionKind,
    /// Its status before.
    pub from: Status,
    /// Its status now; equal to `from` when only the cause changed.
    pub to: Status,
    /// Its cause now.
    pub cause: Option<Cause>,
    /// When.
    pub at: Timestamp,
}
