//! What the supervisor says at the end: why it ended, how well, and whose doing it was.

use std::fmt;
use std::process::ExitCode;

use super::signals::Signal;
use super::task::Stage;

/// What began the shutdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A signal.
    Signal(Signal),
    /// [`super::Handle::shutdown`] was called, for this reason.
    Requested(String),
    /// This task ended in a way its kind does not allow.
    Task(String),
    /// Every task had ended by itself.
    Idle,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "{signal}"),
            Self::Requested(reason) => write!(f, "asked to: {reason}"),
            Self::Task(name) => write!(f, "task `{name}` ended"),
            Self::Idle => f.write_str("nothing left to do"),
        }
    }
}

/// What a task did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Ended without an error although it never should have.
    Ended,
    /// Returned this error (with its sources).
    Failed(String),
    /// Panicked with this message.
    Panicked(String),
    /// Was still running after the hard stop and its time; it was aborted.
    StillRunning,
}

impl Fault {
    /// The name used in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::StillRunning => "still_running",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("ended unexpectedly"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::StillRunning => f.write_str("would not stop"),
        }
    }
}

/// A task that is to blame for a shutdown, or for its not being a clean one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// The task's name.
    pub task: String,
    /// Its stage.
    pub stage: Stage,
    /// What it did.
    pub fault: Fault,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` {}", self.task, self.fault)
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitReport {
    /// The exit code: 0 when the end was wanted, graceful and without culprits, else 1.
    pub code: u8,
    /// Whether every task ended within the grace period, without the hard stop.
    pub graceful: bool,
    /// What began the shutdown.
    pub cause: Cause,
    /// Who is to blame, in the order in which it happened.
    pub culprits: Vec<Culprit>,
}

impl From<&ExitReport> for ExitCode {
    fn from(report: &ExitReport) -> Self {
        Self::from(report.code)
    }
}
