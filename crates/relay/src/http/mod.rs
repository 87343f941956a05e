//! HTTP/1.1 as a relay needs it (RFC 9110, RFC 9112): heads in and out, body framing, and nothing that two parsers could
//! read in two ways.
//!
//! Request smuggling lives off a front and a back that disagree where a message ends. So heads are parsed strictly, every
//! ambiguity is a refusal and not a repair, heads are written anew from what was understood, and chunked bodies are
//! decoded and encoded again instead of being passed on as they look.
//!
//! Everything here is pure: bytes in, bytes and verdicts out.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod chunked;
pub(crate) mod forward;
pub(crate) mod head;
pub(crate) mod upgrade;

/// Why a message was not understood. The text is safe to be sent to its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a line that does not end with CR LF")]
    BareLineEnd,
    #[error("the head is larger than the limit")]
    TooLarge,
    #[error("not an HTTP/1 head")]
    NotHttp,
    #[error("more header fields than the limit")]
    TooManyHeaders,
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    #[error("an invalid or contradictory Content-Length")]
    Length,
    #[error("a Transfer-Encoding other than chunked")]
    Encoding,
    #[error("no Host, or more than one")]
    Host,
    #[error("a request target that is no path")]
    Target,
    #[error("a broken chunk")]
    Chunk,
    #[error("the message ended before its end")]
    Cut,
}
