//! The opening handshake, verified on both sides (RFC 6455 §4.1, §4.2).
//!
//! A proxy that believes in a 101 without looking opens a tunnel through itself: an attacker who can make any endpoint
//! answer 101, or answer something else that the proxy takes for it, sends what he likes to the gateway's port. So the
//! request must be a real one before it is passed on, and the answer must prove by `Sec-WebSocket-Accept` that a WebSocket
//! server has read this very request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mooring_core::classify::{UpgradeFacts, refusal_from_answer};
use mooring_core::handshake::{HttpAnswer, Refusal, Step};
use sha1::{Digest as _, Sha1};

use super::answer::Own;
use super::body::Body;
use super::head::{Answer, Request};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Most header fields of an answer that are kept as evidence.
const MAX_KEPT: usize = 32;

/// What an upgrade request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The `Sec-WebSocket-Accept` that proves the answer.
    accept: String,
    subprotocols: Vec<String>,
    /// Names of the extensions offered.
    extensions: Vec<String>,
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Agreed {
    pub(crate) subprotocol: Option<String>,
    pub(crate) deflate: bool,
}

/// Whether this asks for a WebSocket at all. Anything else is an ordinary request.
pub(crate) fn wants_websocket(request: &Request) -> bool {
    request.headers.lists("connection", "upgrade") && request.headers.lists("upgrade", "websocket")
}

/// Checks an upgrade request.
///
/// # Errors
/// The answer to give instead of passing it on.
pub(crate) fn asked(request: &Request, origins: Option<&[String]>) -> Result<Asked, Own> {
    let headers = &request.headers;
    if request.method != "GET" || !request.one_one {
        return Err(Own::new(400, "an upgrade must be a GET request of HTTP/1.1"));
    }
    if request.body() != Ok(Body::None) {
        return Err(Own::new(400, "an upgrade request must not have a body"));
    }
    if headers.only("sec-websocket-version") != Some("13") {
        return Err(Own::new(426, "only WebSocket version 13 is spoken here"));
    }
    let key = headers
        .only("sec-websocket-key")
        .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
    let Some(key) = key else {
        return Err(Own::new(400, "the Sec-WebSocket-Key is missing or not 16 bytes in base64"));
    };
    if let Some(allowed) = origins
        && headers.has("origin")
        && !headers.only("origin").is_some_and(|o| allowed.iter().any(|a| a.eq_ignore_ascii_case(o)))
    {
        return Err(Own::new(403, "this origin may not open a WebSocket here"));
    }
    Ok(Asked {
        accept: STANDARD.encode(Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize()),
        subprotocols: headers.list("sec-websocket-protocol").map(str::to_owned).collect(),
        extensions: headers.list("sec-websocket-extensions").map(|e| extension(e).to_owned()).collect(),
    })
}

/// An extension's name, without its parameters.
fn extension(element: &str) -> &str {
    element.split(';').next().unwrap_or(element).trim()
}

/// The answer as evidence for [`mooring_core::classify`]: lower-case names, no cookies, bounded.
pub(crate) fn evidence(answer: &Answer, body_start: &[u8]) -> HttpAnswer {
    let fields = answer.headers.0.iter().filter(|h| !h.is("set-cookie")).take(MAX_KEPT);
    HttpAnswer {
        status: answer.status,
        reason: answer.reason.clone(),
        headers: fields
            .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(&h.value).into_owned()))
            .collect(),
        body_start: String::from_utf8_lossy(&body_start[..body_start.len().min(256)]).into_owned(),
    }
}

impl Asked {
    /// Judges an answer that is not 101.
    pub(crate) fn refusal(&self, answer: &HttpAnswer, took: Duration) -> Option<Refusal> {
        refusal_from_answer(answer, &self.facts(took))
    }

    fn facts(&self, took: Duration) -> UpgradeFacts<'_> {
        UpgradeFacts {
            accept: &self.accept,
            subprotocols: &self.subprotocols,
            subprotocol_required: false,
            took,
        }
    }

    /// Verifies a 101.
    ///
    /// # Errors
    /// What is wrong with it: it must not be passed on.
    pub(crate) fn agreed(&self, answer: &Answer, took: Duration) -> Result<Agreed, Refusal> {
        let wrong = |step, message: &str| {
            Err(Refusal {
                step,
                cause: mooring_core::cause::Cause::WrongProtocol,
                message: message.to_owned(),
            })
        };
        let headers = &answer.headers;
        for (name, step) in [
            ("upgrade", Step::Upgrade),
            ("sec-websocket-accept", Step::Accept),
            ("sec-websocket-protocol", Step::Subprotocol),
        ] {
            if headers.all(name).count() > 1 {
                return wrong(step, &format!("101 with more than one `{name}`"));
            }
        }
        if headers.has("transfer-encoding") || headers.all("content-length").any(|v| v != b"0") {
            return wrong(Step::Status, "101 with a body");
        }
        let mut deflate = false;
        for element in headers.list("sec-websocket-extensions") {
            let name = extension(element);
            if !self.extensions.iter().any(|offered| offered.eq_ignore_ascii_case(name)) {
                return wrong(Step::Accept, "101 chooses an extension which was not asked for");
            }
            deflate |= name.eq_ignore_ascii_case("permessage-deflate");
        }
        let mut seen = evidence(answer, b"");
        seen.headers.retain(|(name, _)| name != "sec-websocket-extensions");
        match refusal_from_answer(&seen, &self.facts(took)) {
            Some(refusal) => Err(refusal),
            None => {
                Ok(Agreed { subprotocol: headers.only("sec-websocket-protocol").map(str::to_owned), deflate })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::Headers;
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut h = Headers::default();
        fields.iter().for_each(|(n, v)| h.push(n, *v));
        h
    }

    fn request(extra: &[(&str, &str)]) -> Request {
        let base = [("Host", "x"), ("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")];
        Request {
            method: "GET".into(),
            target: "/".into(),
            one_one: true,
            headers: headers(&[&base, extra].concat()),
        }
    }

    fn answer(extra: &[(&str, &str)]) -> Answer {
        let base = [("Upgrade", "WebSocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];
        Answer {
            status: 101,
            reason: String::new(),
            one_one: true,
            headers: headers(&[&base, extra].concat()),
        }
    }

    const GOOD: &[(&str, &str)] = &[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")];

    #[test]
    fn requests() {
        assert!(wants_websocket(&request(&[])));
        assert!(!wants_websocket(&Request { headers: headers(&[("Upgrade", "websocket")]), ..request(&[]) }));
        assert_eq!(asked(&request(GOOD), None).unwrap().accept, ACCEPT);
        let refused = |extra: &[(&str, &str)]| asked(&request(extra), None).map_err(|own| own.status);
        assert_eq!(refused(&[("Sec-WebSocket-Key", KEY)]), Err(426));
        assert_eq!(refused(&[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "8")]), Err(426));
        assert_eq!(refused(&[("Sec-WebSocket-Version", "13")]), Err(400));
        assert_eq!(refused(&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "c2hvcnQ=")]), Err(400));
        assert_eq!(refused(&[GOOD, &[("Sec-WebSocket-Key", KEY)]].concat()), Err(400));
        assert_eq!(refused(&[GOOD, &[("Content-Length", "3")]].concat()), Err(400));
        assert_eq!(refused(&[GOOD, &[("Transfer-Encoding", "chunked")]].concat()), Err(400));
        let post = Request { method: "POST".into(), ..request(GOOD) };
        assert_eq!(asked(&post, None).map_err(|own| own.status), Err(400));
    }

    #[test]
    fn origins() {
        let allowed = ["https://chat.example".to_owned()];
        let with =
            |origin: &str| asked(&request(&[GOOD, &[("Origin", origin)]].concat()), Some(&allowed)).is_ok();
        assert!(with("https://chat.example") && with("https://CHAT.example"));
        assert!(!with("https://chat.example.evil") && !with("null"));
        assert!(asked(&request(GOOD), Some(&allowed)).is_ok(), "no browser");
    }

    #[test]
    fn answers_are_verified() {
        let offer = [
            GOOD,
            &[
                ("Sec-WebSocket-Protocol", "a, b"),
                ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ],
        ]
        .concat();
        let asked = asked(&request(&offer), None).unwrap();
        let took = Duration::ZERO;
        assert_eq!(asked.agreed(&answer(&[]), took), Ok(Agreed::default()));
        let full = answer(&[
            ("Sec-WebSocket-Protocol", "b"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"),
        ]);
        let agreed = Agreed { subprotocol: Some("b".into()), deflate: true };
        assert_eq!(asked.agreed(&full, took), Ok(agreed));
        let step = |a: Answer| asked.agreed(&a, took).map_err(|r| r.step);
        assert_eq!(step(answer(&[("Sec-WebSocket-Protocol", "c")])), Err(Step::Subprotocol));
        assert_eq!(step(answer(&[("Sec-WebSocket-Extensions", "x-other")])), Err(Step::Accept));
        assert_eq!(step(answer(&[("Sec-WebSocket-Accept", ACCEPT)])), Err(Step::Accept));
        assert_eq!(step(answer(&[("Transfer-Encoding", "chunked")])), Err(Step::Status));
        assert_eq!(step(answer(&[("Content-Length", "7")])), Err(Step::Status));
        let without = |name: &str| {
            let mut a = answer(&[]);
            a.headers.remove(name);
            step(a)
        };
        assert_eq!(without("Upgrade"), Err(Step::Upgrade));
        assert_eq!(without("Connection"), Err(Step::Connection));
        assert_eq!(without("Sec-WebSocket-Accept"), Err(Step::Accept));
    }
}
