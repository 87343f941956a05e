//! Task supervision and two-phase shutdown: every task has a name and a kind, and its death means something.
//!
//! The model is Matrix Authentication Service's lifecycle (a soft token to stop intake and drain, a hard one that
//! follows a deadline or a second signal), Restate's task kinds (the kind says what an end means) and Neon's gate (a
//! shutdown that is held up names who holds it up).
//!
//! Shutdown goes stage by stage in the order of [`Stage`]: the soft token of a stage is cancelled only after every task
//! of the stages before it has ended, so storage is still there while the last requests drain. One grace period covers
//! all stages together. When it is over, or on a second signal, everything left is told to stop at once; whatever does
//! not even do that within a bounded time is named in the report, aborted and left behind.

mod report;
mod signals;
mod supervisor;
mod task;

#[cfg(test)]
pub(crate) mod tests;

pub use report::{Cause, Culprit, ExitReport, Fault};
pub use signals::{Signal, os_signals};
pub use supervisor::{Handle, Supervisor};
pub use task::{Kind, Stage, TaskResult, Tokens, chain as error_chain};
