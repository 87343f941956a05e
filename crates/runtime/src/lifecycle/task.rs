//! What a task is to the supervisor: when it stops, what its end means, what it is given, what it gives back.

use std::error::Error;
use std::fmt;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the end of a task means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The process is pointless without it: any end before its stage is told to stop shuts the process down, exit code 1.
    Critical,
    /// The process does better with it: an error or panic is logged and counted, and that is all.
    Background,
    /// It has something to finish: a normal end is fine, an error or panic shuts the process down, exit code 1.
    Finite,
}

impl Kind {
    /// The name used in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Background => "background",
            Self::Finite => "finite",
        }
    }
}

/// When a task is told to stop, relative to the others. Stages stop in this order, each awaited before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes in new work: listeners, watchers, timers that start things.
    Intake,
    /// Carries work out.
    Work,
    /// What the others need to the last: journals, pools, the health page.
    Storage,
    /// What may outlive all of that because it belongs to others: connections that are relayed for them.
    Connections,
}

impl Stage {
    /// Every stage, in the order in which they stop.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Work, Self::Storage, Self::Connections];

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intake => "intake",
            Self::Work => "work",
            Self::Storage => "storage",
            Self::Connections => "connections",
        })
    }
}

/// What a task is given to notice that it should stop, or read its settings again.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Cancelled when this task's stage should stop: take nothing new, finish what is under way, return.
    pub soft: CancellationToken,
    /// Cancelled when there is no time left: return now. Implies `soft`.
    pub hard: CancellationToken,
    /// Counts the reloads asked for (SIGHUP). A task that cares awaits `reload.changed()`.
    pub reload: watch::Receiver<u64>,
}

/// An error as the supervisor takes it: it is only ever shown.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What a task may return: nothing, or a result whose error can be shown.
pub trait TaskResult: Send + 'static {
    /// The error, if the task failed.
    fn into_error(self) -> Option<BoxError>;
}

impl TaskResult for () {
    fn into_error(self) -> Option<BoxError> {
        None
    }
}

impl<E: Into<BoxError> + Send + 'static> TaskResult for Result<(), E> {
    fn into_error(self) -> Option<BoxError> {
        self.err().map(Into::into)
    }
}

/// An error with its sources, on one line: `cannot commit: disk full`.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What a panic said.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked with something that is not text".to_owned())
}
