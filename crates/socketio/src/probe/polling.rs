//! Is this Engine.IO, and of which version? One GET tells, whatever a WebSocket client sees at the same address.

use http::HeaderName;
use mooring_wire::{Ask, Exchange, Target, TargetError, exchange};

use super::{MAX_ANSWER, post, taken, unknown};
use crate::endpoint::{self, Way};
use crate::open::Open;
use crate::packet::engine::{Packet, close_payload, decode_payload, opening_of_version_3};
use crate::refusal::EngineError;

/// Most tries to close a session.
const CLOSE_TRIES: u32 = 8;

/// What was asked, and what came.
#[derive(Debug, Clone)]
pub struct Polling {
    /// The version of Engine.IO that was asked for.
    pub version: u8,
    /// The request and its answer.
    pub exchange: Exchange,
    /// What the answer says.
    pub said: Said,
    /// Whether the session that this opened was closed again; `None` where none was opened.
    pub closed: Option<bool>,
}

/// What an answer to the opening request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A session was opened: this is Engine.IO, of the version that was asked for.
    Open(Open),
    /// A session was opened, but of Engine.IO 3, though 4 was asked for: a server of Socket.IO 2.
    Older(Open),
    /// Engine.IO refuses: it is there.
    Refused(EngineError),
    /// HTTP, but nothing of Engine.IO's.
    Foreign,
    /// No answer at all: the exchange says why.
    Nothing,
}

impl Said {
    /// Whether Engine.IO answered, in whichever way.
    #[must_use]
    pub fn is_engine_io(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Older(_) | Self::Refused(_))
    }
}

/// Opens a session by polling and closes it again. `version` is 4, or 3 for what older clients ask for: a server that
/// serves those lets them into the namespace `/` at once, so that the application sees somebody come and go.
///
/// # Errors
/// When the path becomes too long to ask for.
pub async fn polling(target: &Target, version: u8) -> Result<Polling, TargetError> {
    polling_with(target, version, &[]).await
}

/// The same with headers.
pub(super) async fn polling_with(
    target: &Target,
    version: u8,
    headers: &[(HeaderName, &str)],
) -> Result<Polling, TargetError> {
    let mut polling = begin(target, version, headers).await?;
    polling.closed = end(target, &polling).await;
    Ok(polling)
}

/// Asks for a session; the caller has it closed.
pub(super) async fn begin(
    target: &Target,
    version: u8,
    headers: &[(HeaderName, &str)],
) -> Result<Polling, TargetError> {
    let path = endpoint::request(target.url(), version, Way::Polling, None, &[]);
    let mut ask = Ask::get(MAX_ANSWER);
    for (name, value) in headers {
        ask = ask.header(name.clone(), value)?;
    }
    let exchange = exchange(&target.at(&path)?, &ask).await;
    let said = read(&exchange, version);
    Ok(Polling { version, exchange, said, closed: None })
}

/// Closes the session that was opened, if one was. Where requests go astray between several processes, that takes more
/// than one try.
pub(super) async fn end(target: &Target, opening: &Polling) -> Option<bool> {
    let (open, version) = match &opening.said {
        Said::Open(open) => (open, opening.version),
        Said::Older(open) => (open, 3),
        Said::Refused(_) | Said::Foreign | Said::Nothing => return None,
    };
    for _ in 0..CLOSE_TRIES {
        let cookies = &opening.exchange.cookies;
        match post(target, version, &open.sid, cookies, close_payload(version)).await {
            Some(done) if taken(&done) => return Some(true),
            Some(done) if unknown(&done) => {}
            _ => break,
        }
    }
    Some(false)
}

fn read(exchange: &Exchange, version: u8) -> Said {
    let Ok(answer) = &exchange.outcome else { return Said::Nothing };
    if answer.status != 200 {
        return EngineError::of_body(&exchange.body).map_or(Said::Foreign, Said::Refused);
    }
    let text = String::from_utf8_lossy(&exchange.body);
    if let Some(open) = opening_of_version_3(&text).and_then(|json| Open::parse(json).ok()) {
        return if version == 3 { Said::Open(open) } else { Said::Older(open) };
    }
    first_of_four(&text).and_then(|json| Open::parse(&json).ok()).map_or(Said::Foreign, Said::Open)
}

fn first_of_four(body: &str) -> Option<String> {
    match decode_payload(body).ok()?.into_iter().next()? {
        Packet::Open(json) => Some(json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_is_the_first_packet() {
        assert_eq!(first_of_four("0{}\u{1e}40").as_deref(), Some("{}"));
        assert_eq!(first_of_four("40"), None);
        assert_eq!(first_of_four("<!doctype html>"), None);
    }
}
