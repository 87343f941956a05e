//! Reads the configuration of nginx, Apache httpd and HAProxy for what keeps WebSockets from passing. Pure.
//!
//! The question is never "is this file good" but "what becomes of an upgrade of *this path* on *this host*": each reader
//! follows the request as the proxy would (virtual server, location, rule, backend), and only then judges what it reached.
//! A file full of upgrade headers in the wrong block is the usual fault, and a search for words would call it healthy.
//!
//! What is found comes as [`Lint`]s, each with the very edit that mends it ([`Fix`]), so that "the exact line to change"
//! is tested by changing it. What could not be judged (a pattern we cannot evaluate, an include that was not at hand) is
//! not guessed at: it comes as a [`Doubt`].
//!
//! The readers see text and nothing else; whoever calls brings the files, and a function that answers includes. Sizes,
//! depths and numbers of files are bounded, for a configuration is somebody else's input.
//!
//! For configurations that we have not seen, [`remedy`] has the lines to paste.

mod apache;
mod edit;
pub mod glob;
mod haproxy;
mod nginx;
mod pattern;
pub mod remedy;
mod sources;
mod timers;

use std::time::Duration;

use mooring_core::cause::Cause;

pub use edit::{Edit, Fix, apply, patch_text};
pub use sources::{MAX_BYTES, MAX_FILES, SourceFile};

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Software {
    /// nginx and its kin (OpenResty, Tengine, Angie). The output of `nginx -T` is understood as well.
    Nginx,
    /// Apache httpd 2.4.
    Apache,
    /// HAProxy.
    Haproxy,
}

/// What is spoken on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// A plain WebSocket: one upgrade, then frames.
    WebSocket,
    /// Socket.IO, whose sessions begin as several polling requests that must all reach the same process.
    SocketIo,
}

/// What is asked of the configuration.
#[derive(Debug, Clone)]
pub struct Question {
    /// The path of the URL, e.g. `/socket.io/`; a query is ignored.
    pub path: String,
    /// The host of the URL; without it every virtual server is looked at.
    pub host: Option<String>,
    /// The port the client dials; without it (or if nothing listens there) every port is looked at.
    pub port: Option<u16>,
    /// What is spoken there.
    pub expects: Expect,
    /// How often the server sends something of its own (WebSocket or Engine.IO pings), where known.
    pub server_ping: Option<Duration>,
    /// The gateway itself as `host:port`, where known: for fixes that need a rule where there is none.
    pub backend: Option<String>,
}

impl Question {
    /// A plain WebSocket on `path`, nothing else known.
    #[must_use]
    pub fn new(path: impl Into<String>, expects: Expect) -> Self {
        Self { path: path.into(), host: None, port: None, expects, server_ping: None, backend: None }
    }

    /// The path without its query, never empty.
    fn uri(&self) -> String {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
    }

    /// The host without a port, lower case.
    fn host_name(&self) -> Option<String> {
        let host = self.host.as_deref()?.to_ascii_lowercase();
        let bare = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
            _ => &host,
        };
        Some(bare.trim_end_matches('.').to_owned())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Sessions cannot be established or are cut: this is the fault.
    Error,
    /// Sessions fail under conditions the configuration does not show (nobody pings, several processes).
    Warning,
    /// Worth knowing; nothing fails of it alone.
    Note,
}

impl Severity {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// What would be seen of it on the wire.
    pub cause: Cause,
    /// How bad it is.
    pub severity: Severity,
    /// The file it stands in, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The block it concerns, e.g. ``location /ws in server chat.example``.
    pub place: String,
    /// What stands there, or the default that holds because nothing does.
    pub found: String,
    /// The finding in English.
    pub en: String,
    /// The finding in Simplified Chinese.
    pub zh: String,
    /// What to change; empty when only a human can know.
    pub fix: Fix,
}

/// Something that could not be judged, so that no verdict leans on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// In English.
    pub en: String,
    /// In Simplified Chinese.
    pub zh: String,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// Findings, worst first.
    pub lints: Vec<Lint>,
    /// What could not be judged.
    pub doubts: Vec<Doubt>,
    /// Every file that was read, the included ones too: what [`apply`] is to be applied to.
    pub files: Vec<SourceFile>,
    /// Whether a rule that proxies the path was found at all.
    pub reached: bool,
}

/// A configuration that cannot be read: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {words}")]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub words: String,
}

/// Answers an include: the pattern as written (nginx, relative to its prefix) or joined with `ServerRoot` (Apache).
/// Returns the files that match, in order; none if there are none. [`glob::matches`] helps.
pub type Include<'a> = &'a dyn Fn(&str) -> Vec<SourceFile>;

/// For configurations that are complete in themselves.
#[must_use]
pub fn no_includes(_: &str) -> Vec<SourceFile> {
    Vec::new()
}

/// Follows `question` through `files` (of nginx and Apache the first is the main one or a fragment of it; HAProxy reads
/// all in order) and says what is in the way.
///
/// # Errors
/// When a file is not in the software's syntax or larger than the bounds; the proxy would refuse it, too.
pub fn lint(
    software: Software,
    files: &[SourceFile],
    include: Include<'_>,
    question: &Question,
) -> Result<Examined, ParseError> {
    let mut examined = match software {
        Software::Nginx => nginx::examine(files, include, question)?,
        Software::Apache => apache::examine(files, include, question)?,
        Software::Haproxy => haproxy::examine(files, question)?,
    };
    examined.lints.sort_by_key(|l| l.severity);
    // One included file may be read several times over; its findings are then one.
    let mut seen = Vec::new();
    examined.lints.retain(|l| {
        let key = (l.cause, l.file.clone(), l.line, l.found.clone(), l.place.clone());
        let new = !seen.contains(&key);
        if new {
            seen.push(key);
        }
        new
    });
    examined.doubts.dedup();
    Ok(examined)
}
