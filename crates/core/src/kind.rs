//! The kinds of gateway. A closed enum with stable names: they stand in configuration, policies, the API and metrics.
//!
//! Adding a kind: one variant and one row in [`Kind::ALL`] here, one watcher file in the agent and its line in the
//! agent's watcher registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A plain RFC 6455 WebSocket server.
    Websocket,
    /// Socket.IO 4 (Engine.IO 4 underneath).
    Socketio,
    /// Evolution API: many WhatsApp accounts behind REST and Socket.IO.
    Evolution,
    /// A program that uses the Baileys library: it only dials out, and says of itself how it is.
    Baileys,
    /// OneBot v11, in either direction.
    Onebot11,
    /// Bisheng: workflow chats on FastAPI, behind its own nginx.
    Bisheng,
    /// WAHA: WhatsApp accounts behind a sessions API.
    Waha,
}

impl Kind {
    /// Every kind with its stable name.
    pub const ALL: &'static [(Kind, &'static str)] = &[
        (Kind::Websocket, "websocket"),
        (Kind::Socketio, "socketio"),
        (Kind::Evolution, "evolution"),
        (Kind::Baileys, "baileys"),
        (Kind::Onebot11, "onebot11"),
        (Kind::Bisheng, "bisheng"),
        (Kind::Waha, "waha"),
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(k, _)| *k == self).map_or("unknown", |(_, n)| n)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, n)| *n == s).map(|(k, _)| *k).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(_, n)| *n).collect();
            format!("`{s}` is not a gateway kind; known kinds: {}", known.join(", "))
        })
    }
}
