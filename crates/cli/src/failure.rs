//! What can go wrong, with its words and its exit code.
//!
//! The exit code tells scripts who is to blame without reading any of the words. What a refusal by the controller says is
//! in [`refusal`].

mod refusal;

use std::error::Error as _;

use mooring_core::cause::Lang;
use mooring_proto::link::printable;
use tonic::{Code, Status};

use crate::text::Text;
pub(crate) use refusal::number;

/// Exit code: a problem was found.
pub(crate) const PROBLEM: u8 = 1;
/// Exit code: wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Exit code: the controller cannot be reached.
pub(crate) const UNREACHABLE: u8 = 3;
/// Exit code for gRPC status n: this plus n.
pub(crate) const STATUS_BASE: u8 = 64;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command was used wrongly.
    #[error("{0}")]
    Usage(String),
    /// The controller cannot be reached.
    #[error("{server}: {why}")]
    Unreachable {
        /// Where it should be.
        server: String,
        /// Why not.
        why: String,
    },
    /// The controller refused.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// What was asked for was found wanting, in words.
    #[error("{0}")]
    Problem(String),
    /// Whoever read our output has gone.
    #[error("the output was closed")]
    Closed,
}

/// What a command comes to: its exit code, or a failure.
pub(crate) type Outcome<T = u8> = Result<T, Failure>;

impl Failure {
    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unreachable { .. } => UNREACHABLE,
            Self::Refused(status) => u8::try_from(i32::from(status.code()))
                .map_or(u8::MAX, |code| STATUS_BASE.saturating_add(code)),
            Self::Problem(_) => PROBLEM,
            // The reader had enough; that is its right.
            Self::Closed => 0,
        }
    }

    /// The words for standard error, if there is anything to say.
    pub(crate) fn words(&self, lang: Lang) -> Option<String> {
        let error = Text::Error.of(lang);
        match self {
            Self::Closed => None,
            Self::Usage(what) => Some(format!("{error}: {what}\n")),
            Self::Problem(what) => Some(format!("{error}: {}\n", printable(what))),
            Self::Unreachable { server, why } => Some(format!(
                "{error}: {} {server}: {}\n  {}\n",
                Text::Unreachable.of(lang),
                printable(why),
                Text::UnreachableHint.of(lang)
            )),
            Self::Refused(status) => Some(refusal::words(status, lang)),
        }
    }

    /// A status that may really be a broken connection: those carry their cause as a source, a refusal never does.
    pub(crate) fn of_status(status: Status, server: &str) -> Self {
        let broken =
            matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal);
        if broken && let Some(source) = status.source() {
            return Self::Unreachable { server: server.to_owned(), why: innermost(source) };
        }
        Self::Refused(Box::new(status))
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(status) => matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded),
            _ => false,
        }
    }
}

/// A file or a pipe that cannot be written.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Problem(error.to_string()),
        }
    }
}

impl From<mooring_proto::json::JsonError> for Failure {
    fn from(error: mooring_proto::json::JsonError) -> Self {
        Self::Problem(error.to_string())
    }
}

/// The innermost error says what happened; those around it say "transport error".
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let refused = |code| Failure::Refused(Box::new(Status::new(code, ""))).exit_code();
        assert_eq!(Failure::Usage(String::new()).exit_code(), 2);
        assert_eq!(Failure::Problem(String::new()).exit_code(), 1);
        assert_eq!(Failure::Unreachable { server: String::new(), why: String::new() }.exit_code(), 3);
        assert_eq!(Failure::Closed.exit_code(), 0);
        assert_eq!(refused(Code::InvalidArgument), 67);
        assert_eq!(refused(Code::NotFound), 69);
        assert_eq!(refused(Code::Unauthenticated), 80);
        assert_eq!(refused(Code::Unavailable), 78);
    }

    #[test]
    fn a_status_with_a_source_is_a_broken_connection_and_one_without_is_a_refusal() {
        let refused = Failure::of_status(Status::unavailable("the database is away"), "http://x");
        assert!(matches!(refused, Failure::Refused(_)));
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert!(matches!(Failure::of_status(broken, "http://x"), Failure::Unreachable { .. }));
    }

    #[test]
    fn a_pipe_that_was_closed_is_told_from_a_full_disk() {
        let closed = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(closed, Failure::Closed));
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.exit_code(), PROBLEM);
    }
}
