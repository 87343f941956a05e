//! What the server says when it opens a session, above all what it promises: a ping every `pingInterval`, and that it
//! gives up `pingTimeout` after one that was not answered.

use std::time::Duration;

use serde_json::Value;

/// Longest session id, bytes.
pub const MAX_SID: usize = 256;
/// Most upgrades remembered.
const MAX_UPGRADES: usize = 8;
/// Longest time that is believed. A server's timers cannot be longer (2³¹ ms).
const MAX_TIME: Duration = Duration::from_millis(i32::MAX as u64);

/// The opening of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Open {
    /// The session's id, unguessable: who has it can speak in its name.
    pub sid: String,
    /// Time between two pings of the server.
    pub ping_interval: Duration,
    /// How long it waits for the answer to one.
    pub ping_timeout: Duration,
    /// Largest payload the server takes, bytes. Servers before Engine.IO 6.2 do not say.
    pub max_payload: Option<u64>,
    /// Transports this one can be changed for, such as `websocket`.
    pub upgrades: Vec<String>,
}

/// Why an opening is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a JSON object.
    #[error("the opening packet is not a JSON object")]
    Json,
    /// No `sid`, or one that cannot be.
    #[error("the opening packet has no usable `sid`")]
    Sid,
    /// No ping times, or ones that cannot be.
    #[error("the opening packet has no usable `pingInterval` and `pingTimeout`")]
    Times,
}

impl Open {
    /// Reads the JSON of an opening packet.
    ///
    /// # Errors
    /// When something that is needed is missing or cannot be.
    pub fn parse(json: &str) -> Result<Self, OpenError> {
        let object: Value = serde_json::from_str(json).map_err(|_| OpenError::Json)?;
        let object = object.as_object().ok_or(OpenError::Json)?;
        let sid = object.get("sid").and_then(Value::as_str).ok_or(OpenError::Sid)?;
        if sid.is_empty() || sid.len() > MAX_SID || sid.chars().any(char::is_control) {
            return Err(OpenError::Sid);
        }
        let time = |name: &str| {
            let ms = object.get(name).and_then(Value::as_f64).ok_or(OpenError::Times)?;
            let time = Duration::try_from_secs_f64(ms / 1000.0).map_err(|_| OpenError::Times)?;
            if time <= MAX_TIME { Ok(time) } else { Err(OpenError::Times) }
        };
        let upgrades = object.get("upgrades").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            sid: sid.to_owned(),
            ping_interval: time("pingInterval")?,
            ping_timeout: time("pingTimeout")?,
            max_payload: object.get("maxPayload").and_then(Value::as_u64),
            upgrades: upgrades
                .filter_map(Value::as_str)
                .filter(|name| name.len() <= 32)
                .take(MAX_UPGRADES)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The longest silence within the promise.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }

    /// The promise in words.
    #[must_use]
    pub fn words(&self) -> String {
        let of = mooring_core::time::human::format;
        format!("a ping every {}, {} to answer it", of(self.ping_interval), of(self.ping_timeout))
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .field("upgrades", &self.upgrades)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_server_says_it() {
        let open = Open::parse(
            r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
        )
        .unwrap();
        assert_eq!(open.sid, "lv_VI97HAXpY6yYWAAAC");
        assert_eq!(open.silence(), Duration::from_secs(45));
        assert_eq!(
            (open.max_payload, open.upgrades.as_slice()),
            (Some(1_000_000), &["websocket".to_owned()][..])
        );
        assert!(!format!("{open:?}").contains("lv_VI97"));
        assert_eq!(open.words(), "a ping every 25s, 20s to answer it");
    }

    #[test]
    fn what_is_refused() {
        let rest = r#""pingInterval":1,"pingTimeout":1"#;
        for (json, error) in [
            ("".to_owned(), OpenError::Json),
            ("[]".to_owned(), OpenError::Json),
            (format!("{{{rest}}}"), OpenError::Sid),
            (format!(r#"{{"sid":"",{rest}}}"#), OpenError::Sid),
            (format!(r#"{{"sid":"a\n",{rest}}}"#), OpenError::Sid),
            (format!(r#"{{"sid":"{}",{rest}}}"#, "x".repeat(300)), OpenError::Sid),
            (r#"{"sid":"a"}"#.to_owned(), OpenError::Times),
            (r#"{"sid":"a","pingInterval":-1,"pingTimeout":1}"#.to_owned(), OpenError::Times),
            (r#"{"sid":"a","pingInterval":1e300,"pingTimeout":1}"#.to_owned(), OpenError::Times),
            (r#"{"sid":"a","pingInterval":3e9,"pingTimeout":1}"#.to_owned(), OpenError::Times),
        ] {
            assert_eq!(Open::parse(&json).unwrap_err(), error, "{json}");
        }
    }
}
