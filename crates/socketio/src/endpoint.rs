//! Which path and query an Engine.IO server is asked for.
//!
//! The path is the configured one, and the trailing slash counts: an Engine.IO server at `/socket.io/` does not know
//! `/socket.io`. Of the query, what is the protocol's own is set here, and everything else (keys, tokens) is passed on.

use std::fmt::Write as _;
use std::str::FromStr;

use mooring_wire::Url;

/// Where Socket.IO servers are unless told otherwise.
pub const DEFAULT_PATH: &str = "/socket.io/";
/// What of the query belongs to the protocol.
const OURS: [&str; 5] = ["EIO", "transport", "sid", "t", "b64"];

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Way {
    /// In a WebSocket session.
    #[default]
    WebSocket,
    /// In HTTP requests, of which one always waits for news.
    Polling,
}

impl Way {
    /// Its name in the query.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Polling => "polling",
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "websocket" => Ok(Self::WebSocket),
            "polling" => Ok(Self::Polling),
            other => Err(format!("`{other}` is not a transport of Engine.IO here: websocket or polling")),
        }
    }
}

/// The value of a query parameter, as written.
#[must_use]
pub fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query.unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What an address says of the protocol: the transport it names, WebSocket where it names none.
///
/// # Errors
/// In words, when it names another transport, or another version of Engine.IO than 4.
pub fn way_of(query: Option<&str>) -> Result<Way, String> {
    if let Some(version) = parameter(query, "EIO").filter(|v| *v != "4") {
        return Err(format!("`EIO={version}` asks for another version of Engine.IO than 4: leave it out"));
    }
    parameter(query, "transport").map_or(Ok(Way::default()), str::parse)
}

/// Path and query of a request. `version` is Engine.IO's (4, or 3 to see what is said to it); `more` is added to the query,
/// percent-encoded.
#[must_use]
pub fn request(url: &Url, version: u8, way: Way, sid: Option<&str>, more: &[(String, String)]) -> String {
    let mut out = format!("{}?EIO={version}&transport={}", url.path(), way.name());
    if let Some(sid) = sid {
        pair(&mut out, "sid", sid);
    }
    for kept in url.query().unwrap_or_default().split('&') {
        let name = kept.split_once('=').map_or(kept, |(name, _)| name);
        if !kept.is_empty() && !OURS.contains(&name) {
            out.push('&');
            out.push_str(kept);
        }
    }
    for (name, value) in more {
        pair(&mut out, name, value);
    }
    out
}

fn pair(out: &mut String, name: &str, value: &str) {
    out.push('&');
    percent(out, name);
    out.push('=');
    percent(out, value);
}

/// Percent-encodes everything but what RFC 3986 §2.3 calls unreserved.
fn percent(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn the_protocols_own_is_set_and_the_rest_kept() {
        let more = [("apikey".to_owned(), "a b&c=网".to_owned())];
        for (text, sid, expected) in [
            ("ws://h/socket.io/", None, "/socket.io/?EIO=4&transport=websocket&apikey=a%20b%26c%3D%E7%BD%91"),
            (
                "ws://h/x/?token=s&EIO=3&transport=polling&t=1&sid=old&flag",
                Some("n/w"),
                "/x/?EIO=4&transport=websocket&sid=n%2Fw&token=s&flag&apikey=a%20b%26c%3D%E7%BD%91",
            ),
        ] {
            assert_eq!(request(&url(text), 4, Way::WebSocket, sid, &more), expected);
        }
        assert_eq!(request(&url("ws://h"), 3, Way::Polling, None, &[]), "/?EIO=3&transport=polling");
    }

    #[test]
    fn the_way_is_read_from_the_address() {
        for (query, way) in [
            (None, Ok(Way::WebSocket)),
            (Some("EIO=4&transport=polling"), Ok(Way::Polling)),
            (Some("transport=websocket"), Ok(Way::WebSocket)),
            (Some("transport=webtransport"), Err("not a transport")),
            (Some("EIO=3"), Err("another version")),
        ] {
            match (way_of(query), way) {
                (Ok(found), Ok(way)) => assert_eq!(found, way),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{query:?}: {found:?}"),
            }
        }
    }
}
