//! What a browser would be allowed to see. Browsers ask for the polling transport like for any page of another origin,
//! and hide the answer from the script where the server does not name the script's origin; the WebSocket transport knows
//! no such rule.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderName, Method};
use mooring_core::handshake::HttpAnswer;
use mooring_wire::{Ask, Exchange, Target, TargetError, exchange};

use super::MAX_ANSWER;
use super::polling::{Polling, polling_with};
use crate::endpoint::{self, Way};

/// What was seen for one origin.
#[derive(Debug, Clone)]
pub struct Cors {
    /// The origin that was named.
    pub origin: String,
    /// The opening request as a browser would send it.
    pub opening: Polling,
    /// What its answer allows.
    pub seen: Seen,
    /// The question a browser asks before it sends packets.
    pub preflight: Preflight,
}

/// What an answer allows a browser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// `Access-Control-Allow-Origin`, as sent.
    pub allow_origin: Option<String>,
    /// `Access-Control-Allow-Credentials: true`.
    pub credentials: bool,
    /// `Vary: Origin`: the server decided by the origin. Without an allowed one beside it, it decided against.
    pub by_origin: bool,
    /// Whether a script of that origin may read the answer.
    pub readable: bool,
    /// And also if it sends cookies (`withCredentials`), where `*` does not count.
    pub readable_with_cookies: bool,
}

/// The answer to the preflight.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The request and its answer.
    pub exchange: Exchange,
    /// What the answer allows.
    pub seen: Seen,
    /// `Access-Control-Allow-Methods`, as sent.
    pub methods: Option<String>,
}

impl Cors {
    /// Whether a browser's script of that origin can use the polling transport.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.seen.readable
    }
}

/// Opens a session as a browser's script of this origin would, and asks the preflight. An origin is
/// `scheme://host[:port]`, without a path.
///
/// # Errors
/// When the origin cannot stand in a header.
pub async fn cors(target: &Target, origin: &str) -> Result<Cors, TargetError> {
    let named: [(HeaderName, &str); 1] = [(ORIGIN, origin)];
    let opening = polling_with(target, 4, &named).await?;
    let path = endpoint::request(target.url(), 4, Way::Polling, None, &[]);
    let ask = Ask::get(MAX_ANSWER)
        .method(Method::OPTIONS)
        .header(ORIGIN, origin)?
        .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")?;
    let asked = exchange(&target.at(&path)?, &ask).await;
    let of = |exchange: &Exchange| exchange.outcome.as_ref().map(|a| seen(a, origin)).unwrap_or_default();
    let methods = asked.outcome.as_ref().ok().and_then(|a| a.header("access-control-allow-methods"));
    let preflight = Preflight { seen: of(&asked), methods: methods.map(str::to_owned), exchange: asked };
    Ok(Cors { origin: origin.to_owned(), seen: of(&opening.exchange), opening, preflight })
}

/// The rules of the Fetch standard (§4.9, CORS check).
fn seen(answer: &HttpAnswer, origin: &str) -> Seen {
    let named = "access-control-allow-origin";
    // Two of them, as when a proxy adds its own, are read as one list, which names no origin.
    let values: Vec<&str> =
        answer.headers.iter().filter(|(n, _)| n == named).map(|(_, v)| v.trim()).collect();
    let allow_origin = (!values.is_empty()).then(|| values.join(", "));
    let exact = allow_origin.as_deref() == Some(origin);
    let any = allow_origin.as_deref() == Some("*");
    let credentials = answer.header("access-control-allow-credentials").map(str::trim) == Some("true");
    let vary = answer.headers.iter().filter(|(n, _)| n == "vary").flat_map(|(_, v)| v.split(','));
    Seen {
        allow_origin,
        credentials,
        by_origin: vary.into_iter().any(|v| v.trim().eq_ignore_ascii_case("origin")),
        readable: exact || any,
        readable_with_cookies: exact && credentials,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_browser_decides() {
        let of = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let seen = seen(&HttpAnswer { headers, ..HttpAnswer::default() }, "https://a");
            (seen.readable, seen.readable_with_cookies, seen.by_origin)
        };
        let allow = "access-control-allow-origin";
        let cookies = ("access-control-allow-credentials", "true");
        assert_eq!(of(&[]), (false, false, false));
        assert_eq!(of(&[("vary", "Accept, origin")]), (false, false, true));
        assert_eq!(of(&[(allow, "*")]), (true, false, false));
        assert_eq!(of(&[(allow, "*"), cookies]), (true, false, false));
        assert_eq!(of(&[(allow, "https://a"), cookies]), (true, true, false));
        assert_eq!(of(&[(allow, "https://b")]), (false, false, false));
        assert_eq!(of(&[(allow, "https://a"), (allow, "*")]), (false, false, false));
    }
}
