//! Why an upgrade request was not answered with a proper 101.
//!
//! Status alone is not enough: a 404 may be a wrong path, a WebSocket server on the wrong server object or a proxy that
//! ate the upgrade headers, and each needs another person to do another thing. The body's first bytes and two headers
//! tell them apart. The `Server` header does not: a relay passes on the one of the box behind it.

use std::time::Duration;

use super::io::is_engine_io_grace;
use super::text::{quote, short};
use crate::cause::Cause;
use crate::handshake::{HttpAnswer, Refusal, Step};
use crate::limits::{MAX_MESSAGE, clip};

/// What the request was, as far as the answer is judged by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpgradeFacts<'a> {
    /// The `Sec-WebSocket-Accept` that our key demands (RFC 6455 §4.2.2, 5.4).
    pub accept: &'a str,
    /// Subprotocols asked for. One that was not asked for must not be chosen (RFC 6455 §4.1).
    pub subprotocols: &'a [String],
    /// Whether one of them must be chosen.
    pub subprotocol_required: bool,
    /// From the request's last byte to the answer's status line.
    pub took: Duration,
}

/// Judges an answer: `None` for a proper 101, otherwise where and why the handshake failed. We never offer extensions,
/// so that an answer that chooses one is refused as RFC 6455 §9.1 demands.
#[must_use]
pub fn refusal_from_answer(answer: &HttpAnswer, facts: &UpgradeFacts<'_>) -> Option<Refusal> {
    if answer.status == 101 {
        return refusal_of_101(answer, facts);
    }
    let (cause, hint) = cause_of_status(answer, facts);
    let mut message = format!("HTTP {}", answer.status);
    let reason = quote(&answer.reason, 40);
    if !reason.is_empty() {
        message.push(' ');
        message.push_str(&reason);
    }
    message.push_str(" instead of 101: ");
    message.push_str(&hint);
    let body = quote(&answer.body_start, 100);
    if !body.is_empty() {
        message.push_str(" (body: ");
        message.push_str(&body);
        message.push(')');
    }
    Some(refuse(Step::Status, cause, &message))
}

fn refuse(step: Step, cause: Cause, message: &str) -> Refusal {
    Refusal { step, cause, message: clip(message, MAX_MESSAGE) }
}

/// Every value of a header, split at commas (RFC 9110 §5.3: repeated lines and lists mean the same).
fn tokens<'a>(answer: &'a HttpAnswer, name: &'a str) -> impl Iterator<Item = &'a str> {
    answer
        .headers
        .iter()
        .filter(move |(n, _)| n == name)
        .flat_map(|(_, v)| v.split(','))
        .map(str::trim)
        .filter(|t| !t.is_empty())
}

fn refusal_of_101(answer: &HttpAnswer, facts: &UpgradeFacts<'_>) -> Option<Refusal> {
    let wrong = |step, message: String| Some(refuse(step, Cause::WrongProtocol, &message));
    let said = |name| {
        answer
            .header(name)
            .map_or_else(|| "there is none".to_owned(), |v| format!("it says `{}`", quote(v, 60)))
    };
    if !tokens(answer, "upgrade").any(|t| t.eq_ignore_ascii_case("websocket")) {
        return wrong(Step::Upgrade, format!("101 without `Upgrade: websocket`: {}", said("upgrade")));
    }
    if !tokens(answer, "connection").any(|t| t.eq_ignore_ascii_case("upgrade")) {
        return wrong(Step::Connection, format!("101 without `Connection: Upgrade`: {}", said("connection")));
    }
    if answer.header("sec-websocket-accept").map(str::trim) != Some(facts.accept) {
        let said = said("sec-websocket-accept");
        return wrong(
            Step::Accept,
            format!("101 with a wrong Sec-WebSocket-Accept: {said}; a cache or a fake answers"),
        );
    }
    if let Some(ext) = tokens(answer, "sec-websocket-extensions").next() {
        return wrong(
            Step::Accept,
            format!("101 chooses the extension `{}`, which was not asked for", quote(ext, 60)),
        );
    }
    let chosen = tokens(answer, "sec-websocket-protocol").next();
    let refused = |message: String| Some(refuse(Step::Subprotocol, Cause::SubprotocolRefused, &message));
    match chosen {
        Some(p) if !facts.subprotocols.iter().any(|asked| asked == p) => {
            refused(format!("101 chooses the subprotocol `{}`, which was not asked for", quote(p, 60)))
        }
        None if facts.subprotocol_required => refused(format!(
            "101 chooses no subprotocol; asked for: {}",
            quote(&facts.subprotocols.join(", "), 120)
        )),
        _ => None,
    }
}

/// Cause and hint for any status but 101. Signatures before statuses; a comment names the server that sends each.
fn cause_of_status(answer: &HttpAnswer, facts: &UpgradeFacts<'_>) -> (Cause, String) {
    let body = answer.body_start.trim();
    let has = |needle: &str| body.contains(needle);
    let is = |cause, hint: &str| (cause, hint.to_owned());
    match answer.status {
        200..=299 => is(Cause::UpgradeNotPerformed, "the path is served as an ordinary page"),
        300..=399 => {
            let to = answer
                .header("location")
                .map_or_else(|| "nowhere".to_owned(), |l| format!("`{}`", quote(l, 120)));
            (Cause::Redirected, format!("redirected to {to}, which WebSocket clients do not follow"))
        }
        400 => cause_of_400(answer, body),
        401 | 403 | 407 if body.is_empty() => {
            // uvicorn's bare 403 stands for a wrong path as well as for a refusal.
            is(Cause::CredentialsRefused, "refused without a word: token, required headers, origin or path")
        }
        401 | 403 | 407 => is(Cause::CredentialsRefused, "token, required headers or origin are refused"),
        // Express' (finalhandler's) page for a plain GET: the request reached the HTTP application, not the WebSocket
        // server, and a WebSocket server on this server object would have taken it.
        404 if has("Cannot GET") => is(
            Cause::UpgradeNotPerformed,
            "the HTTP application answered; no WebSocket server is attached to this listener, or a proxy stripped the upgrade headers",
        ),
        // FastAPI/Starlette: a websocket route met by a plain GET. A real upgrade to a wrong path would be a 403.
        404 if has(r#"{"detail":"Not Found"}"#) => is(
            Cause::ProxyStrippedUpgrade,
            "the application received a plain GET: a proxy stripped the upgrade headers",
        ),
        404 | 410 => is(Cause::WrongPath, "the path is not known there"),
        426 if answer.header("sec-websocket-version").is_some_and(|v| !v.contains("13")) => {
            is(Cause::HandshakeRefused, "the server speaks another WebSocket version than 13")
        }
        // A stand-alone `ws` server sends `Upgrade Required` only to requests without upgrade headers.
        426 => is(
            Cause::ProxyStrippedUpgrade,
            "the server received a plain GET: a proxy stripped the upgrade headers",
        ),
        429 => {
            let after = answer
                .header("retry-after")
                .map_or_else(String::new, |v| format!("; retry after {}", quote(v, 40)));
            (Cause::RateLimited, format!("too many requests{after}"))
        }
        401..=499 => is(Cause::HandshakeRefused, "the handshake is refused"),
        // Evolution API: not activated. It answers, so a restart cannot help.
        503 if has("LICENSE_REQUIRED") => is(Cause::HandshakeRefused, "the gateway is not licensed yet"),
        502 if is_engine_io_grace(facts.took) => {
            let t = short(facts.took);
            (
                Cause::BackendDown,
                format!(
                    "a proxy's backend closed without an answer after {t}: typical of Socket.IO refusing a raw client; is the path right?"
                ),
            )
        }
        502 | 503 => {
            let t = short(facts.took);
            (Cause::BackendDown, format!("a proxy has no working backend (answered after {t})"))
        }
        504 => (Cause::BackendHung, format!("a proxy gave up on its backend after {}", short(facts.took))),
        // python-websockets behind an nginx left at its HTTP/1.0 upstream default.
        505 if has("HTTP/1.0") => is(
            Cause::ProxyStrippedUpgrade,
            "a proxy speaks HTTP/1.0 to the gateway, which cannot carry an upgrade",
        ),
        500..=599 => is(Cause::ServerError, "the gateway failed while answering"),
        _ => is(Cause::WrongProtocol, "not an answer that HTTP knows"),
    }
}

/// 400 is said for seven different faults.
fn cause_of_400(answer: &HttpAnswer, body: &str) -> (Cause, String) {
    let is = |cause, hint: &str| (cause, hint.to_owned());
    let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    if compact.starts_with(r#"{"code":3,"#) {
        // Engine.IO: `transport=websocket` arrived as a plain GET.
        return is(
            Cause::ProxyStrippedUpgrade,
            "Engine.IO received a plain GET: a proxy stripped the upgrade headers",
        );
    }
    if compact.starts_with(r#"{"code":0,"#) || body == "Transport unknown" {
        return is(Cause::WrongPath, "this is Engine.IO and the query lacks `EIO=4&transport=websocket`");
    }
    if compact.starts_with(r#"{"code":1,"#) {
        return is(
            Cause::HandshakeRefused,
            "Engine.IO does not know the session: a balancer without sticky sessions",
        );
    }
    // The `ws` package with a `path` option that does not match (a trailing slash counts).
    if body == "Bad Request" {
        return is(
            Cause::WrongPath,
            "the WebSocket server behind this listener has another path (a trailing slash counts)",
        );
    }
    if body.contains("plain HTTP request was sent to HTTPS port") {
        return is(Cause::WrongProtocol, "the port speaks TLS: use wss:// in the url");
    }
    if body.contains("Sec-WebSocket-Version") || answer.header("sec-websocket-version").is_some() {
        return is(Cause::HandshakeRefused, "the server speaks another WebSocket version than 13");
    }
    // We send these headers correctly; somebody on the way did not pass them.
    if body.contains("Sec-WebSocket-Key") || body.contains("Invalid Upgrade header") {
        return is(Cause::ProxyStrippedUpgrade, "the upgrade headers arrived damaged: a proxy rewrites them");
    }
    // Socket.IO's allowRequest, in Evolution API's words.
    if ["apiKey is required", "Invalid global token", "Authentication error"].iter().any(|t| body.contains(t))
    {
        return is(Cause::CredentialsRefused, "the token is missing or refused");
    }
    is(Cause::HandshakeRefused, "the handshake is refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, headers: &[(&str, &str)]) -> HttpAnswer {
        HttpAnswer {
            status,
            reason: String::new(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body_start: body.to_owned(),
        }
    }

    #[test]
    fn recorded_answers() {
        use Cause as C;
        type Row = (u16, &'static str, &'static [(&'static str, &'static str)], Cause);
        let rows: &[Row] = &[
            (426, "Upgrade Required", &[("content-type", "text/plain")], C::ProxyStrippedUpgrade),
            (426, "", &[("sec-websocket-version", "8")], C::HandshakeRefused),
            (404, "<pre>Cannot GET /ws</pre>", &[("x-powered-by", "Express")], C::UpgradeNotPerformed),
            (404, "<pre>Cannot GET /ws</pre>", &[], C::UpgradeNotPerformed),
            (404, r#"{"detail":"Not Found"}"#, &[], C::ProxyStrippedUpgrade),
            (404, "", &[], C::WrongPath),
            (410, "", &[], C::WrongPath),
            (200, "<!doctype html>", &[("content-type", "text/html")], C::UpgradeNotPerformed),
            (204, "", &[("vary", "Origin")], C::UpgradeNotPerformed),
            (400, "Bad Request", &[("connection", "close")], C::WrongPath),
            (400, r#"{"code":3,"message":"Bad request"}"#, &[], C::ProxyStrippedUpgrade),
            (400, r#"{"code":0,"message":"Transport unknown"}"#, &[], C::WrongPath),
            (400, "Transport unknown", &[], C::WrongPath),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#, &[], C::HandshakeRefused),
            (400, "Missing or invalid Sec-WebSocket-Key header", &[], C::ProxyStrippedUpgrade),
            (400, "Invalid Upgrade header", &[], C::ProxyStrippedUpgrade),
            (400, "x", &[("sec-websocket-version", "13, 8")], C::HandshakeRefused),
            (400, "The plain HTTP request was sent to HTTPS port", &[], C::WrongProtocol),
            (400, "Invalid global token", &[], C::CredentialsRefused),
            (400, "whatever", &[], C::HandshakeRefused),
            (401, "", &[], C::CredentialsRefused),
            (403, "", &[], C::CredentialsRefused),
            (405, "", &[], C::HandshakeRefused),
            (429, "", &[("retry-after", "7")], C::RateLimited),
            (500, "Internal Server Error", &[], C::ServerError),
            (502, "", &[], C::BackendDown),
            (503, "", &[], C::BackendDown),
            (503, r#"{"code":"LICENSE_REQUIRED"}"#, &[], C::HandshakeRefused),
            (504, "", &[], C::BackendHung),
            (505, "unsupported HTTP version: HTTP/1.0", &[], C::ProxyStrippedUpgrade),
            (302, "", &[("location", "https://x/?token=s3cret")], C::Redirected),
            (100, "", &[], C::WrongProtocol),
            (999, "", &[], C::WrongProtocol),
        ];
        for (status, body, headers, cause) in rows {
            let r = refusal_from_answer(&answer(*status, body, headers), &UpgradeFacts::default()).unwrap();
            assert_eq!(
                (r.step, r.cause),
                (Step::Status, *cause),
                "{status} {body} {headers:?}: {}",
                r.message
            );
            assert!(!r.message.contains("s3cret"));
        }
    }

    #[test]
    fn a_101_is_checked_to_the_letter() {
        let asked = ["chat".to_owned()];
        let facts = UpgradeFacts { accept: "key=", subprotocols: &asked, ..Default::default() };
        let good: &[(&str, &str)] = &[
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "key="),
        ];
        assert_eq!(refusal_from_answer(&answer(101, "", good), &facts), None);
        for (i, step) in [Step::Upgrade, Step::Connection, Step::Accept].into_iter().enumerate() {
            let mut headers = good.to_vec();
            headers.remove(i);
            let r = refusal_from_answer(&answer(101, "", &headers), &facts).unwrap();
            assert_eq!((r.step, r.cause), (step, Cause::WrongProtocol));
            headers.push((good[i].0, "nonsense"));
            let r = refusal_from_answer(&answer(101, "", &headers), &facts).unwrap();
            assert_eq!(r.step, step);
        }
        let with = |extra| {
            refusal_from_answer(&answer(101, "", &[good, &[extra]].concat()), &facts).map(|r| r.cause)
        };
        assert_eq!(with(("sec-websocket-protocol", "chat")), None);
        assert_eq!(with(("sec-websocket-protocol", "other")), Some(Cause::SubprotocolRefused));
        assert_eq!(with(("sec-websocket-extensions", "permessage-deflate")), Some(Cause::WrongProtocol));
        let strict = UpgradeFacts { subprotocol_required: true, ..facts };
        let r = refusal_from_answer(&answer(101, "", good), &strict).unwrap();
        assert_eq!((r.step, r.cause), (Step::Subprotocol, Cause::SubprotocolRefused));
    }

    #[test]
    fn a_502_after_one_second_names_socket_io() {
        let facts = UpgradeFacts { took: Duration::from_millis(1014), ..Default::default() };
        let r = refusal_from_answer(&answer(502, "", &[]), &facts).unwrap();
        assert!(r.message.contains("Socket.IO"), "{}", r.message);
    }
}
