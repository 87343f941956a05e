//! WAHA's REST and events as values: what it says of a session, and why it says nothing.

use mooring_core::cause::Cause;
use mooring_core::limits::clip;
use serde_json::Value;

use super::settings::{MAX_NAME, MAX_SESSIONS};
use crate::http::{Answer, HttpError};

/// The word for where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `STOPPED`
    Stopped,
    /// `STARTING`
    Starting,
    /// `SCAN_QR_CODE`
    ScanQrCode,
    /// `WORKING`
    Working,
    /// `FAILED`
    Failed,
    /// A word of a version that is newer than this.
    Other,
}

impl Status {
    /// From WAHA's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "STOPPED" => Self::Stopped,
            "STARTING" => Self::Starting,
            "SCAN_QR_CODE" => Self::ScanQrCode,
            "WORKING" => Self::Working,
            "FAILED" => Self::Failed,
            _ => Self::Other,
        }
    }

    /// WAHA's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::ScanQrCode => "SCAN_QR_CODE",
            Self::Working => "WORKING",
            Self::Failed => "FAILED",
            Self::Other => "a status of a newer version",
        }
    }
}

/// What REST says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub status: Status,
    /// Whether an account is logged in; `None`: this version does not say.
    pub me: Option<bool>,
    /// When something last happened on it, by WAHA's own clock; only newer versions say.
    pub activity: Option<u64>,
    /// Of its engine. The list does not hold that, only the answer about one session does.
    pub engine: Option<Engine>,
}

/// What an answer about one session says of its engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Engine {
    /// Its kind: `NOWEB`, `WEBJS`, `GOWS`; empty where it does not say.
    pub kind: String,
    /// What it says is wrong with the account.
    pub says: Option<Cause>,
}

/// Why there is no list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing listens.
    Refused(String),
    /// No answer in time. `alive`: `/ping` answers all the same.
    Mute {
        /// Whether `/ping` answers.
        alive: bool,
        /// In words.
        words: String,
    },
    /// The key is not taken.
    Denied(String),
    /// Something else, with what that means.
    Other(Cause, String),
}

/// Reads `GET /api/sessions?all=true`.
///
/// # Errors
/// With why there is no list; [`Trouble::Mute`] as if `/ping` did not answer.
pub fn sessions(answer: Result<Answer, HttpError>) -> Result<Vec<Seen>, Trouble> {
    let answer = good(answer)?;
    let odd = || other(Cause::WrongProtocol, "what answers is not WAHA's list of sessions");
    let json = answer.json().ok_or_else(odd)?;
    let list = json.as_array().ok_or_else(odd)?;
    Ok(list.iter().filter_map(session).take(MAX_SESSIONS).collect())
}

/// Reads `GET /api/sessions/{name}`.
///
/// # Errors
/// With why there is none.
pub fn one(answer: Result<Answer, HttpError>) -> Result<Seen, Trouble> {
    let answer = good(answer)?;
    let json = answer.json();
    let seen = json.as_ref().and_then(session);
    // Older versions may not speak of it here either; then there is nothing more to be learnt.
    let seen = seen.map(|seen| Seen { engine: Some(seen.engine.unwrap_or_default()), ..seen });
    seen.ok_or_else(|| other(Cause::WrongProtocol, "what answers is not one of WAHA's sessions"))
}

/// An answer with a status that says yes.
///
/// # Errors
/// With what it is otherwise.
pub fn good(answer: Result<Answer, HttpError>) -> Result<Answer, Trouble> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(no_answer(&error)),
    };
    let cause = match answer.status {
        200..=299 => return Ok(answer),
        401 | 403 => return Err(Trouble::Denied(format!("HTTP {}", answer.status))),
        404 => Cause::WrongPath,
        300..=399 => Cause::Redirected,
        429 => Cause::RateLimited,
        502 | 503 => Cause::BackendDown,
        504 => Cause::BackendHung,
        500..=599 => Cause::BackendUnhealthy,
        _ => Cause::HandshakeRefused,
    };
    let message = answer.json().as_ref().and_then(|b| b.get("message")?.as_str().map(str::to_owned));
    Err(other(cause, &format!("HTTP {}: {}", answer.status, clip(&message.unwrap_or_default(), 200))))
}

fn no_answer(error: &HttpError) -> Trouble {
    let words = error.to_string();
    match error {
        // The system's own words; nothing else is left of them here.
        HttpError::Connect(why) if why.contains("refused") => Trouble::Refused(words),
        HttpError::Connect(_) => Trouble::Other(Cause::NetworkUnreachable, words),
        HttpError::TimedOut(_) => Trouble::Mute { alive: false, words },
        HttpError::Tls(_) => Trouble::Other(Cause::TlsFailed, words),
        HttpError::Broken(_) => Trouble::Other(Cause::ClosedBeforeAnswer, words),
        HttpError::TooLong => Trouble::Other(Cause::WrongProtocol, words),
        HttpError::Unusable(_) => Trouble::Other(Cause::NotObservable, words),
    }
}

fn other(cause: Cause, words: &str) -> Trouble {
    Trouble::Other(cause, words.to_owned())
}

fn session(value: &Value) -> Option<Seen> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let name = text("name").filter(|name| !name.is_empty() && name.len() <= MAX_NAME)?;
    let engine = value.get("engine").filter(|e| !e.is_null()).map(|engine| {
        let kind = engine.as_str().or_else(|| engine.get("engine")?.as_str());
        Engine { kind: clip(kind.unwrap_or_default(), 20), says: engine_says(engine) }
    });
    Some(Seen {
        name: name.to_owned(),
        status: Status::of(text("status")?),
        me: value.get("me").map(|me| !me.is_null()),
        activity: value.get("timestamps").and_then(|t| t.get("activity")?.as_u64()),
        engine,
    })
}

/// whatsapp-web.js' word for its state, or a disconnect code of Baileys'.
fn engine_says(engine: &Value) -> Option<Cause> {
    let code = ["code", "statusCode"].into_iter().find_map(|k| engine.get(k)?.as_u64());
    match code {
        Some(401) => return Some(Cause::LoginRevoked),
        Some(403) => return Some(Cause::AccountForbidden),
        Some(405) => return Some(Cause::ClientOutdated),
        Some(440) => return Some(Cause::SessionReplaced),
        _ => {}
    }
    match engine.get("state")?.as_str()? {
        "UNPAIRED" | "UNPAIRED_IDLE" => Some(Cause::LoginRevoked),
        "CONFLICT" => Some(Cause::SessionReplaced),
        "DEPRECATED_VERSION" => Some(Cause::ClientOutdated),
        "TOS_BLOCK" | "SMB_TOS_BLOCK" => Some(Cause::AccountForbidden),
        _ => None,
    }
}

/// Reads a message on the socket: a session whose status changed. What is not that is `None`.
#[must_use]
pub fn message(text: &str) -> Option<(String, Status)> {
    /// Only what is needed.
    #[derive(serde::Deserialize)]
    struct Envelope {
        event: String,
        session: Option<String>,
        payload: Payload,
    }
    #[derive(serde::Deserialize)]
    struct Payload {
        name: Option<String>,
        status: String,
    }
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    let name = envelope.session.or(envelope.payload.name)?;
    let known = envelope.event == "session.status" && !name.is_empty() && name.len() <= MAX_NAME;
    known.then(|| (name, Status::of(&envelope.payload.status)))
}

/// A name as part of a path.
#[must_use]
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answer(status: u16, body: &str) -> Result<Answer, HttpError> {
        Ok(Answer { status, headers: Vec::new(), body: body.to_owned().into() })
    }

    #[test]
    fn a_list_is_read_and_what_is_strange_left_out() {
        let list = sessions(answer(
            200,
            r#"[{"name":"default","status":"WORKING","me":{"id":"1@c.us"},"engine":{"engine":"NOWEB"},
                 "timestamps":{"activity":1700000000000}},
                {"name":"b","status":"FAILED","me":null,"engine":{"engine":"WEBJS","state":"UNPAIRED"}},
                {"name":"c","status":"NAPPING"},{"name":"","status":"WORKING"},{"status":"WORKING"},7]"#,
        ))
        .unwrap();
        assert_eq!(list.len(), 3);
        let engine = |kind: &str, says| Some(Engine { kind: kind.to_owned(), says });
        assert_eq!((list[0].me, &list[0].engine), (Some(true), &engine("NOWEB", None)));
        assert_eq!(list[0].activity, Some(1_700_000_000_000));
        assert_eq!((list[1].me, &list[1].engine), (Some(false), &engine("WEBJS", Some(Cause::LoginRevoked))));
        assert_eq!((list[2].status, list[2].me), (Status::Other, None));
        assert_eq!((&list[2].engine, list[2].activity), (&None, None));
        let alone = one(answer(200, r#"{"name":"c","status":"FAILED"}"#)).unwrap();
        assert_eq!(alone.engine, Some(Engine::default()), "all is said that will be");
    }

    #[test]
    fn no_list_is_told_apart() {
        type T = Trouble;
        use Cause as C;
        assert!(matches!(sessions(answer(401, "")), Err(T::Denied(_))));
        assert!(matches!(sessions(answer(500, "{}")), Err(T::Other(C::BackendUnhealthy, _))));
        assert!(matches!(sessions(answer(502, "")), Err(T::Other(C::BackendDown, _))));
        assert!(matches!(sessions(answer(404, "")), Err(T::Other(C::WrongPath, _))));
        assert!(matches!(sessions(answer(200, "<html>")), Err(T::Other(C::WrongProtocol, _))));
        assert!(matches!(sessions(answer(200, "{}")), Err(T::Other(C::WrongProtocol, _))));
        let connect = |words: &str| sessions(Err(HttpError::Connect(words.to_owned())));
        assert!(matches!(connect("Connection refused (os error 111)"), Err(T::Refused(_))));
        assert!(matches!(connect("No route to host"), Err(T::Other(C::NetworkUnreachable, _))));
        let tls = sessions(Err(HttpError::Tls("expired".to_owned())));
        assert!(matches!(tls, Err(T::Other(C::TlsFailed, _))));
        let timed_out = Err(HttpError::TimedOut(Duration::from_secs(1)));
        assert!(matches!(sessions(timed_out), Err(T::Mute { alive: false, .. })));
    }

    #[test]
    fn engines_words_have_causes() {
        let says = |engine: &str| engine_says(&serde_json::from_str(engine).unwrap());
        assert_eq!(says(r#"{"statusCode":440}"#), Some(Cause::SessionReplaced));
        assert_eq!(says(r#"{"code":403}"#), Some(Cause::AccountForbidden));
        assert_eq!(says(r#"{"state":"DEPRECATED_VERSION"}"#), Some(Cause::ClientOutdated));
        assert_eq!(says(r#"{"state":"CONNECTED"}"#), None);
        assert_eq!(says(r#""NOWEB""#), None);
    }

    #[test]
    fn messages_of_a_status_are_read() {
        let status = r#"{"event":"session.status","session":"a","payload":{"status":"FAILED"}}"#;
        assert_eq!(message(status), Some(("a".to_owned(), Status::Failed)));
        let older = r#"{"event":"session.status","payload":{"name":"a","status":"WORKING"}}"#;
        assert_eq!(message(older), Some(("a".to_owned(), Status::Working)));
        let chat = r#"{"event":"message.any","session":"a","payload":{"body":"private","status":"3"}}"#;
        assert_eq!(message(chat), None);
        for bad in ["", "{}", "7", r#"{"event":"session.status","session":"a"}"#, r#"{"event":"x"}"#] {
            assert_eq!(message(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_made_safe() {
        assert_eq!(escape("my-Session_1"), "my-Session_1");
        assert_eq!(escape("a/../b?c é"), "a%2F..%2Fb%3Fc%20%C3%A9");
    }
}
