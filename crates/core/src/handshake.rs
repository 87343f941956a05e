//! What a dial found out: every step of a WebSocket opening handshake with its time and outcome (RFC 6455 §4).
//!
//! Data only. The dialler in `wire` fills it in, [`crate::classify`] turns it into a cause, and it is shown to people as
//! it is: an operator who sees that DNS, TCP and TLS were fine and only `Upgrade` was missing knows where to look.

use std::fmt;
use std::time::Duration;

use crate::cause::Cause;

/// A step of the handshake, in the order they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Name resolution.
    Resolve,
    /// TCP connect.
    Connect,
    /// TLS handshake (only for `wss`).
    Tls,
    /// The HTTP request was written.
    Request,
    /// A status line arrived and is 101.
    Status,
    /// `Upgrade: websocket` in the answer.
    Upgrade,
    /// `Connection: Upgrade` in the answer.
    Connection,
    /// `Sec-WebSocket-Accept` matches our key.
    Accept,
    /// The subprotocol chosen is one we asked for, or the one demanded.
    Subprotocol,
    /// The first frame arrived in time and was valid (only when one is expected).
    FirstFrame,
    /// The session was closed again (only for one-shot examinations).
    Close,
}

impl Step {
    /// Stable name, as shown and sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Status => "status",
            Self::Upgrade => "upgrade",
            Self::Connection => "connection",
            Self::Accept => "accept",
            Self::Subprotocol => "subprotocol",
            Self::FirstFrame => "first_frame",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One step taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Which.
    pub step: Step,
    /// From the start of the dial to the end of the step.
    pub at: Duration,
    /// How long the step itself took.
    pub took: Duration,
    /// Whether it went well.
    pub ok: bool,
    /// What was seen, e.g. `HTTP/1.1 404 Not Found` or `10.0.0.7:443`; never a secret.
    pub detail: String,
}

/// The HTTP answer to an upgrade request, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Reason phrase as sent.
    pub reason: String,
    /// Names lower-cased; values as sent, lossily decoded; bounded in number and size. Cookies are left out.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body, lossily decoded, at most 512.
    pub body_start: String,
}

impl HttpAnswer {
    /// The first value of a header, by lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A dial, told in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeReport {
    /// Steps in the order taken; the last one not `ok` is where it ended.
    pub steps: Vec<StepRecord>,
    /// The HTTP answer, when one came.
    pub answer: Option<HttpAnswer>,
    /// The verdict: established, or why not.
    pub outcome: Result<Established, Refusal>,
    /// From start to verdict.
    pub took: Duration,
}

/// A handshake that went through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Established {
    /// The peer's address, for evidence.
    pub peer: String,
    /// Subprotocol agreed on.
    pub subprotocol: Option<String>,
}

/// A handshake that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step that failed.
    pub step: Step,
    /// Why, named.
    pub cause: Cause,
    /// Why, in words with the numbers of this very case.
    pub message: String,
}
