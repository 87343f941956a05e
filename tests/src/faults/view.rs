//! What another client saw of its session, or a server of its client: the evidence where the fault is the client's.
//!
//! Scripts print each end as one line of JSON (see `tests/gateways/faults/client.js`); times are milliseconds there.

use std::time::Duration;

use serde_json::Value;

/// Who saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The client.
    #[default]
    Client,
    /// The server.
    Server,
}

/// The end of a session, and what went over it from the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientView {
    /// Who saw it.
    pub side: Side,
    /// The close code; `None` where no Close frame came (what libraries report as 1006). 1005 for a frame without one.
    pub code: Option<u16>,
    /// The reason: the Close frame's, or what the server's library says about it.
    pub reason: String,
    /// When, since the Unix epoch: what ends in the same moment ends together.
    pub at: Duration,
    /// From open to end.
    pub age: Duration,
    /// Time since anything came from the other end, at the end.
    pub silent_for: Duration,
    /// Pings heard: WebSocket's, or Engine.IO's `2`.
    pub heard_pings: u32,
    /// Pongs sent: WebSocket's, or Engine.IO's `3`.
    pub sent_pong: u32,
    /// Whether a namespace CONNECT (`40`) was sent.
    pub sent_connect: bool,
    /// Other texts sent.
    pub sent_text: u32,
    /// The most bytes sent in one message.
    pub sent_largest: u64,
    /// The interval and patience that Engine.IO promised in its handshake.
    pub promise: Option<(Duration, Duration)>,
}

impl ClientView {
    /// The view in a line that a script printed; `None` for other lines.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(line).ok()?;
        let side = match json["end"].as_str()? {
            "client" => Side::Client,
            "server" => Side::Server,
            _ => return None,
        };
        let ms = |key: &str| Duration::from_millis(json[key].as_u64().unwrap_or_default());
        let count = |key: &str| json[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        let code = json["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        Some(Self {
            side,
            code: code.filter(|code| *code != 1006),
            reason: json["reason"].as_str().unwrap_or_default().to_owned(),
            at: ms("at"),
            age: ms("age"),
            silent_for: ms("silent_for"),
            heard_pings: count("heard_pings"),
            sent_pong: count("sent_pong"),
            sent_connect: json["sent_connect"].as_bool().unwrap_or_default(),
            sent_text: count("sent_text"),
            sent_largest: json["sent_largest"].as_u64().unwrap_or_default(),
            promise: json["promise"].is_array().then(|| {
                let part = |i: usize| Duration::from_millis(json["promise"][i].as_u64().unwrap_or_default());
                (part(0), part(1))
            }),
        })
    }
}
