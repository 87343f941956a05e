//! What a frame is, as far as the two ends have to be understood: OneBot 11's events, calls and answers.
//!
//! Frames are handed on as they came, never as they were understood: what is not recognised here passes all the same.

use std::borrow::Cow;
use std::time::Duration;

use mooring_core::limits::clip;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest `echo` that is remembered, bytes. Frameworks send numbers and short texts.
pub const MAX_ECHO: usize = 256;
/// What our own calls' echoes begin with.
const OURS: &str = "mooring-agent:";

/// A frame from the implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It has just connected.
    Lifecycle,
    /// It beats.
    Heartbeat {
        /// How often it promises to.
        interval: Option<Duration>,
        /// What it says of the account; `None` where it does not know.
        online: Option<bool>,
    },
    /// The account was thrown out, with what was said about it.
    Offline(String),
    /// The account is back.
    Online,
    /// Any other event; `true` where only an account that is online can have caused it.
    Event(bool),
    /// An answer to a call.
    Answer {
        /// To which; `None` where that is not said, or too long to be remembered.
        echo: Option<String>,
        /// How it went.
        retcode: Option<i64>,
    },
    /// Something else.
    Unknown,
}

/// A frame from the framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A call.
    Call {
        /// What.
        action: String,
        /// By what its answer is known; as JSON. `None`: it wants none, or the echo is too long to be remembered.
        echo: Option<String>,
    },
    /// Something else.
    Unknown,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    post_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    meta_event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    notice_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
    interval: Option<Value>,
    status: Option<Value>,
    retcode: Option<Value>,
    echo: Option<Value>,
    tag: Option<Value>,
    message: Option<Value>,
}

/// Reads a frame from the implementation.
#[must_use]
pub fn told(bytes: &[u8]) -> Told {
    let Ok(raw) = serde_json::from_slice::<Raw<'_>>(bytes) else { return Told::Unknown };
    let text = |v: &Option<Cow<'_, str>>| v.as_deref().unwrap_or_default().to_owned();
    match text(&raw.post_type).as_str() {
        "" if raw.retcode.is_some() || raw.status.is_some() || raw.echo.is_some() => Told::Answer {
            echo: raw.echo.as_ref().and_then(echo_key),
            retcode: raw.retcode.as_ref().and_then(Value::as_i64),
        },
        "" => Told::Unknown,
        "meta_event" => match text(&raw.meta_event_type).as_str() {
            "lifecycle" => Told::Lifecycle,
            "heartbeat" => Told::Heartbeat {
                interval: raw
                    .interval
                    .as_ref()
                    .and_then(Value::as_u64)
                    .filter(|ms| (1..=86_400_000).contains(ms))
                    .map(Duration::from_millis),
                online: raw.status.as_ref().and_then(|s| s.get("online")).and_then(Value::as_bool),
            },
            _ => Told::Event(false),
        },
        "notice" => match text(&raw.notice_type).as_str() {
            "bot_offline" => {
                let words: Vec<&str> =
                    [&raw.tag, &raw.message].into_iter().filter_map(|v| v.as_ref()?.as_str()).collect();
                Told::Offline(clip(&words.join(": "), 200))
            }
            "bot_online" => Told::Online,
            _ => Told::Event(true),
        },
        // Events of the bot's own doing (`message_sent`) and of unknown kinds prove nothing.
        "message" | "request" => Told::Event(true),
        _ => Told::Event(false),
    }
}

/// Reads a frame from the framework.
#[must_use]
pub fn asked(bytes: &[u8]) -> Asked {
    let Ok(raw) = serde_json::from_slice::<Raw<'_>>(bytes) else { return Asked::Unknown };
    match raw.action {
        Some(action) => Asked::Call { action: clip(&action, 64), echo: raw.echo.as_ref().and_then(echo_key) },
        None => Asked::Unknown,
    }
}

fn echo_key(echo: &Value) -> Option<String> {
    let key = echo.to_string();
    (!echo.is_null() && key.len() <= MAX_ECHO).then_some(key)
}

/// A call of our own. Its echo is known again by [`is_ours`], and the framework never sees the answer.
#[must_use]
pub fn own_call(action: &str, params: &Value, nonce: u64) -> (String, String) {
    let echo = Value::from(format!("{OURS}{nonce:016x}"));
    (json!({ "action": action, "params": params, "echo": echo }).to_string(), echo.to_string())
}

/// Whether an echo is of a call of ours: of this agent or of one before it.
#[must_use]
pub fn is_ours(echo: &str) -> bool {
    echo.strip_prefix('"').is_some_and(|rest| rest.starts_with(OURS))
}

/// What an answer to a call of ours says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Data {
    app_name: Option<String>,
    app_version: Option<String>,
    online: Option<bool>,
}

/// Name and version out of an answer to `get_version_info`, and `online` out of one to `get_status`.
#[must_use]
pub fn facts(bytes: &[u8]) -> (Option<String>, Option<String>, Option<bool>) {
    #[derive(Deserialize)]
    struct Answer {
        data: Option<Data>,
    }
    let data = serde_json::from_slice::<Answer>(bytes).ok().and_then(|a| a.data).unwrap_or_default();
    (data.app_name.map(|n| clip(&n, 64)), data.app_version.map(|v| clip(&v, 64)), data.online)
}

/// What a framework gets in place of an answer that will not come. The code follows OneBot's own 1400, 1401, 1403 and
/// 1404, which are HTTP's and 1000; 1404 itself would say that the action does not exist, which some frameworks remember.
#[must_use]
pub fn failure(echo: &str, retcode: u16, words: &str) -> String {
    let echo: Value = serde_json::from_str(echo).unwrap_or(Value::Null);
    let answer = json!({
        "status": "failed", "retcode": retcode, "data": null, "message": words, "wording": words, "echo": echo
    });
    answer.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_implementation_tells() {
        for (text, want) in [
            (
                r#"{"time":1,"self_id":1,"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#,
                Told::Lifecycle,
            ),
            (
                r#"{"post_type":"meta_event","meta_event_type":"heartbeat","interval":5000,"status":{"online":true,"good":true}}"#,
                Told::Heartbeat { interval: Some(Duration::from_secs(5)), online: Some(true) },
            ),
            (
                r#"{"post_type":"meta_event","meta_event_type":"heartbeat","interval":-1,"status":{"online":null}}"#,
                Told::Heartbeat { interval: None, online: None },
            ),
            (
                r#"{"post_type":"notice","notice_type":"bot_offline","user_id":1,"tag":"T","message":"m"}"#,
                Told::Offline("T: m".to_owned()),
            ),
            (r#"{"post_type":"notice","notice_type":"bot_online","reason":"login"}"#, Told::Online),
            (r#"{"post_type":"notice","notice_type":"poke"}"#, Told::Event(true)),
            (r#"{"post_type":"message","message":[{"type":"text"}],"status":"x"}"#, Told::Event(true)),
            (r#"{"post_type":"message_sent"}"#, Told::Event(false)),
            (
                r#"{"status":"ok","retcode":0,"data":{"echo":"no"},"echo":{"seq":1}}"#,
                Told::Answer { echo: Some(r#"{"seq":1}"#.to_owned()), retcode: Some(0) },
            ),
            (
                r#"{"status":"failed","retcode":1404,"echo":7}"#,
                Told::Answer { echo: Some("7".to_owned()), retcode: Some(1404) },
            ),
            (r#"{"status":"ok","echo":null}"#, Told::Answer { echo: None, retcode: None }),
            ("{}", Told::Unknown),
            ("[]", Told::Unknown),
            ("nonsense", Told::Unknown),
        ] {
            assert_eq!(told(text.as_bytes()), want, "{text}");
        }
        let long = format!(r#"{{"status":"ok","echo":"{}"}}"#, "x".repeat(MAX_ECHO));
        assert_eq!(told(long.as_bytes()), Told::Answer { echo: None, retcode: None });
    }

    #[test]
    fn our_own_calls_are_known_again() {
        let (call, key) = own_call("get_status", &json!({}), 77);
        assert_eq!(
            asked(call.as_bytes()),
            Asked::Call { action: "get_status".to_owned(), echo: Some(key.clone()) }
        );
        assert!(is_ours(&key) && !is_ours(r#""yz-1""#) && !is_ours("1"));
        let failed = failure(r#"{"seq":4}"#, 1503, "away");
        assert_eq!(
            told(failed.as_bytes()),
            Told::Answer { echo: Some(r#"{"seq":4}"#.to_owned()), retcode: Some(1503) }
        );
        let answer =
            r#"{"status":"ok","data":{"app_name":"Lagrange.OneBot","app_version":"1","online":true}}"#;
        assert_eq!(
            facts(answer.as_bytes()),
            (Some("Lagrange.OneBot".to_owned()), Some("1".to_owned()), Some(true))
        );
        assert_eq!(facts(b"[]"), (None, None, None));
    }
}
