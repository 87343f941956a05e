//! How Engine.IO and Socket.IO say no, and what each no means for who came with the right protocol.
//!
//! The same facts mean other things to a raw WebSocket client; that reading is `core::classify`'s, and stays where
//! nothing here knows better. The words are those of engine.io 6.6 and socket.io 4.8, which their older versions share.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::{HandshakeReport, HttpAnswer, Refusal, Step};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, MAX_MESSAGE, clip};
use mooring_wire::HTTP_AFTER_101;
use serde_json::Value;

use crate::endpoint::Way;

/// What Socket.IO says of a namespace that does not exist.
const INVALID_NAMESPACE: &str = "Invalid namespace";
/// Engine.IO's words, by code.
const WORDS: [&str; 6] = [
    "Transport unknown",
    "Session ID unknown",
    "Bad handshake method",
    "Bad request",
    "Forbidden",
    "Unsupported protocol version",
];
/// What the `ws` package says by itself, before Engine.IO is asked.
const NOT_OURS: [&str; 3] = ["Bad Request", "Missing or invalid Sec-WebSocket", "Invalid Upgrade header"];
/// Engine.IO ends upgrades that are not for it after one second; later where its host is busy. Wider than what `core` takes
/// for its mark, since here it is known what is there.
const GRACE: std::ops::Range<Duration> = Duration::from_millis(990)..Duration::from_millis(1500);

/// Engine.IO's refusal: `{"code": …, "message": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    /// 0 transport unknown, 1 session id unknown, 2 bad handshake method, 3 bad request, 4 forbidden (by the
    /// application's `allowRequest`), 5 unsupported protocol version.
    pub code: u8,
    /// Its words; for code 4 the application's own.
    pub message: String,
}

impl EngineError {
    /// Reads the body of a plain request's answer.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let code = value.get("code")?.as_u64().and_then(|code| u8::try_from(code).ok())?;
        let message = clip(value.get("message")?.as_str()?, MAX_EVIDENCE_VALUE);
        (usize::from(code) < WORDS.len()).then_some(Self { code, message })
    }

    /// Reads the answer to an upgrade, which is a 400 with the words alone; with the code only where the upgrade arrived
    /// as a plain request.
    #[must_use]
    pub fn of_upgrade(answer: &HttpAnswer) -> Option<Self> {
        if let Some(error) = Self::of_body(answer.body_start.as_bytes()) {
            return Some(error);
        }
        let body = answer.body_start.trim();
        let html = answer.header("content-type").is_some_and(|t| t.trim() == "text/html");
        let own = answer.status == 400 && html && !body.is_empty() && !body.starts_with('<');
        if !own || NOT_OURS.iter().any(|start| body.starts_with(start)) {
            return None;
        }
        // Words that are none of Engine.IO's are the application's own.
        let code = WORDS.iter().zip(0_u8..).find(|(words, _)| **words == body).map_or(4, |(_, code)| code);
        Some(Self { code, message: body.to_owned() })
    }

    /// What it means for who speaks Engine.IO 4, by the way it was asked.
    #[must_use]
    pub fn cause(&self, way: Way) -> Cause {
        match (self.code, way) {
            (1, _) => Cause::StickySessionsMissing,
            (3, Way::WebSocket) => Cause::ProxyStrippedUpgrade,
            (4, _) => Cause::CredentialsRefused,
            (5, _) => Cause::EngineIoVersionMismatch,
            _ => Cause::HandshakeRefused,
        }
    }

    /// The same in words.
    #[must_use]
    pub fn words(&self, way: Way) -> String {
        let hint = match (self.code, way) {
            (0, _) => format!("this server does not serve the transport `{}`", way.name()),
            (1, _) => {
                "the session is not known where the request arrived: a balancer without sticky sessions"
                    .to_owned()
            }
            (3, Way::WebSocket) => {
                "the upgrade arrived as a plain GET: a proxy stripped its headers".to_owned()
            }
            (4, _) => "the application's allowRequest refuses: key, token or origin".to_owned(),
            (5, _) => "the server speaks another version of Engine.IO than 4".to_owned(),
            _ => "the request is refused".to_owned(),
        };
        format!("Engine.IO says `{}` (code {}): {hint}", self.message, self.code)
    }
}

/// A namespace's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceError {
    /// Which.
    pub namespace: String,
    /// Its words: Socket.IO's own, or those of the application's middleware. Cleaned of our own secrets.
    pub message: String,
}

impl NamespaceError {
    /// Whether it does not exist, now: some are created with their first event.
    #[must_use]
    pub fn unknown(&self) -> bool {
        self.message == INVALID_NAMESPACE
    }

    /// What it means.
    #[must_use]
    pub fn cause(&self) -> Cause {
        if self.unknown() { Cause::NamespaceNotReady } else { Cause::CredentialsRefused }
    }

    /// The same in words.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { namespace, message } = self;
        if self.unknown() {
            format!(
                "the namespace {namespace} does not exist (`{message}`): it is not created yet, or the name is wrong"
            )
        } else {
            format!("the namespace {namespace} refuses: `{}`", clip(message, 200))
        }
    }
}

/// Reads a dial's refusal as one of somebody who speaks Engine.IO.
pub(crate) fn refine(report: &mut HandshakeReport, way: Way) -> Option<EngineError> {
    let Err(refusal) = &mut report.outcome else { return None };
    let engine = report.answer.as_ref().and_then(EngineError::of_upgrade);
    if let Some(error) = &engine {
        refusal.cause = error.cause(way);
        refusal.message = clip(&error.words(way), MAX_MESSAGE);
        return engine;
    }
    // Noticed here if it came along with the 101, else with the first frame.
    if refusal.message.contains(HTTP_AFTER_101) {
        refusal.cause = Cause::TwoWebSocketServers;
    }
    let took = report.steps.last().map(|s| s.took).unwrap_or_default();
    let by_proxy = report.answer.as_ref().is_some_and(|a| a.status == 502);
    let ended = refusal.cause == Cause::ClosedBeforeAnswer && refusal.step == Step::Status;
    if GRACE.contains(&took) && (ended || by_proxy) {
        let how = if by_proxy { "a proxy's 502" } else { "closed without a byte" };
        refusal.cause = Cause::WrongPath;
        refusal.message = format!(
            "{how} after {took:.2?}: Engine.IO is there, but not at this path (usually /socket.io/, with the slash)"
        );
    }
    None
}

/// A refusal at a step.
pub(crate) fn refuse(step: Step, cause: Cause, message: &str) -> Refusal {
    Refusal { step, cause, message: clip(message, MAX_MESSAGE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::handshake::StepRecord;

    fn answer(status: u16, body: &str, kind: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body_start: body.to_owned(),
            ..HttpAnswer::default()
        }
    }

    #[test]
    fn what_servers_say() {
        let rows = [
            (answer(400, r#"{"code":3,"message":"Bad request"}"#, "application/json"), Some(3)),
            (answer(403, r#"{"code":4,"message":"no"}"#, "application/json"), Some(4)),
            (answer(400, "Transport unknown", "text/html"), Some(0)),
            (answer(400, "Unsupported protocol version", "text/html"), Some(5)),
            (answer(400, "apiKey is required", "text/html"), Some(4)),
            (answer(400, r#"{"code":9,"message":"no"}"#, "application/json"), None),
            (answer(400, "Bad Request", "text/html"), None),
            (answer(400, "Missing or invalid Sec-WebSocket-Key header", "text/html"), None),
            (answer(400, "<html>", "text/html"), None),
            (answer(400, "apiKey is required", "text/plain"), None),
            (answer(404, "nothing", "text/html"), None),
            (answer(400, "", "text/html"), None),
        ];
        for (answer, code) in rows {
            assert_eq!(EngineError::of_upgrade(&answer).map(|e| e.code), code, "{answer:?}");
        }
    }

    #[test]
    fn what_it_means() {
        let of = |code, way| EngineError { code, message: "x".to_owned() }.cause(way);
        assert_eq!(of(1, Way::Polling), Cause::StickySessionsMissing);
        assert_eq!(of(3, Way::WebSocket), Cause::ProxyStrippedUpgrade);
        assert_eq!(of(3, Way::Polling), Cause::HandshakeRefused);
        assert_eq!(of(5, Way::WebSocket), Cause::EngineIoVersionMismatch);
        let namespace =
            |message: &str| NamespaceError { namespace: "/x".to_owned(), message: message.to_owned() };
        assert_eq!(namespace("Invalid namespace").cause(), Cause::NamespaceNotReady);
        assert_eq!(namespace("not you").cause(), Cause::CredentialsRefused);
    }

    #[test]
    fn an_end_after_one_second_is_a_wrong_path() {
        let report = |ms, status: Option<u16>, cause| HandshakeReport {
            steps: vec![StepRecord {
                step: Step::Status,
                at: Duration::from_millis(ms),
                took: Duration::from_millis(ms),
                ok: false,
                detail: String::new(),
            }],
            answer: status.map(|status| answer(status, "", "text/html")),
            outcome: Err(refuse(Step::Status, cause, "as core says")),
            took: Duration::from_millis(ms),
        };
        for (ms, status, before, after) in [
            (1003, None, Cause::ClosedBeforeAnswer, Cause::WrongPath),
            (1015, Some(502), Cause::BackendDown, Cause::WrongPath),
            (1300, None, Cause::ClosedBeforeAnswer, Cause::WrongPath),
            (3, None, Cause::ClosedBeforeAnswer, Cause::ClosedBeforeAnswer),
            (3, Some(502), Cause::BackendDown, Cause::BackendDown),
            (1003, Some(404), Cause::WrongPath, Cause::WrongPath),
        ] {
            let mut report = report(ms, status, before);
            assert_eq!(refine(&mut report, Way::WebSocket), None);
            assert_eq!(report.outcome.unwrap_err().cause, after, "{ms} ms, {status:?}");
        }
    }
}
