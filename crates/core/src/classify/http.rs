//! Why an upgrade request was not answered with a proper 101.
//!
//! Status alone is not enough: a 404 may be a wrong path, a WebSocket server on the wrong server object or a proxy that
//! ate the upgrade headers, and each needs another person to do another thing. The body's first bytes and two headers
//! tell them apart. The `Server` header does not: a relay passes on the one of the box behind it.

use std::time::Duration;

use super::text::{quote, short};
use crate::cause::Cause;
use crate::diagnosis::{Probe, Saw, first_opinion};
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

/// The engine's first opinion, in the words of this case. One answer alone is all there is here; who can look further
/// (`mooring doctor`) asks the same engine with more.
fn cause_of_status(answer: &HttpAnswer, facts: &UpgradeFacts<'_>) -> (Cause, String) {
    let saw = Saw { answer: Some(answer.clone()), took: facts.took, ..Saw::default() };
    let Some(opinion) = first_opinion(saw, Probe::Upgrade) else {
        return (Cause::WrongProtocol, "not an answer that HTTP knows".to_owned());
    };
    let mut hint = opinion.sign.words().en.to_owned();
    match answer.status {
        300..=399 => {
            let to = answer
                .header("location")
                .map_or_else(|| "nowhere".to_owned(), |l| format!("`{}`", quote(l, 120)));
            hint = format!("redirected to {to}, which WebSocket clients do not follow");
        }
        429 => {
            if let Some(after) = answer.header("retry-after") {
                hint.push_str("; retry after ");
                hint.push_str(&quote(after, 40));
            }
        }
        502..=504 => {
            hint.push_str(" (after ");
            hint.push_str(&short(facts.took));
            hint.push(')');
        }
        _ => {}
    }
    (opinion.cause, hint)
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
            (200, "<!doctype html>", &[("content-type", "text/html")], C::SpaFallback),
            (204, "", &[("vary", "Origin")], C::UpgradeNotPerformed),
            (400, "Bad Request", &[("connection", "close")], C::WrongPath),
            (400, r#"{"code":3,"message":"Bad request"}"#, &[], C::ProxyStrippedUpgrade),
            (400, r#"{"code":0,"message":"Transport unknown"}"#, &[], C::TransportMissing),
            (400, "Transport unknown", &[], C::TransportMissing),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#, &[], C::StickySessionsMissing),
            (400, "Missing or invalid Sec-WebSocket-Key header", &[], C::MalformedHandshake),
            (400, "Invalid Upgrade header", &[], C::MalformedHandshake),
            (400, "x", &[("sec-websocket-version", "13, 8")], C::MalformedHandshake),
            (400, "The plain HTTP request was sent to HTTPS port", &[], C::SchemeSwapped),
            (400, "Invalid global token", &[], C::TokenRefused),
            (400, "whatever", &[], C::HandshakeRefused),
            (401, "", &[], C::CredentialsRefused),
            (403, "", &[], C::CredentialsRefused),
            (405, "", &[], C::HandshakeRefused),
            (429, "", &[("retry-after", "7")], C::RateLimited),
            (500, "Internal Server Error", &[], C::HandlerFailed),
            (502, "", &[], C::BackendDown),
            (503, "", &[], C::BackendDown),
            (503, r#"{"code":"LICENSE_REQUIRED"}"#, &[], C::LicenseRequired),
            (504, "", &[], C::BackendHung),
            (505, "unsupported HTTP version: HTTP/1.0", &[], C::UpstreamHttp10),
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
