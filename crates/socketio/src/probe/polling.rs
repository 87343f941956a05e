//! Is this Engine.IO, and of which version? One GET tells, whatever a WebSocket client sees at the same address.

use http::HeaderName;
use mooring_wire::{Ask, Exchange, Target, TargetError, exchange};

use super::{MAX_ANSWER, close_packet, post, taken};
use crate::endpoint::{self, Way};
use crate::open::Open;
use crate::packet::engine::{Packet, decode_payload};
use crate::refusal::EngineError;

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
        matches!(self, Self::Open(_) | Self::Refused(_))
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
    let path = endpoint::request(target.url(), version, Way::Polling, None, &[]);
    let mut ask = Ask::get(MAX_ANSWER);
    for (name, value) in headers {
        ask = ask.header(name.clone(), value)?;
    }
    let exchange = exchange(&target.at(&path)?, &ask).await;
    let said = read(&exchange, version);
    let closed = match &said {
        Said::Open(open) => {
            let done = post(target, version, &open.sid, &exchange.cookies, close_packet(version)).await;
            Some(done.as_ref().is_some_and(taken))
        }
        _ => None,
    };
    Ok(Polling { version, exchange, said, closed })
}

pub(super) fn read(exchange: &Exchange, version: u8) -> Said {
    let Ok(answer) = &exchange.outcome else { return Said::Nothing };
    if answer.status != 200 {
        return EngineError::of_body(&exchange.body).map_or(Said::Foreign, Said::Refused);
    }
    let text = String::from_utf8_lossy(&exchange.body);
    let opening = if version == 3 { first_of_three(&text) } else { first_of_four(&text) };
    opening.and_then(|json| Open::parse(&json).ok()).map_or(Said::Foreign, Said::Open)
}

fn first_of_four(body: &str) -> Option<String> {
    match decode_payload(body).ok()?.into_iter().next()? {
        Packet::Open(json) => Some(json),
        _ => None,
    }
}

/// Engine.IO 3 writes `<length>:<packet>`, the length in UTF-16 units; an opening packet is ASCII.
fn first_of_three(body: &str) -> Option<String> {
    let (length, rest) = body.split_once(':')?;
    let packet = rest.get(..length.parse().ok()?)?;
    packet.strip_prefix('0').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_of_either_version() {
        assert_eq!(first_of_four("0{}\u{1e}40").as_deref(), Some("{}"));
        assert_eq!(first_of_four("40"), None);
        assert_eq!(first_of_four("<!doctype html>"), None);
        assert_eq!(first_of_three("3:0{}2:40").as_deref(), Some("{}"));
        for broken in ["0{}", "99:0{}", "x:0{}", "2:40", ""] {
            assert_eq!(first_of_three(broken), None, "{broken}");
        }
        assert_eq!((close_packet(4).as_str(), close_packet(3).as_str()), ("1", "1:1"));
    }
}
