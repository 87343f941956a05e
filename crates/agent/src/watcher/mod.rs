//! Watchers: how each kind of gateway is dialled and listened to. They judge nothing; what they see goes to the tracker.
//!
//! **Adding a kind** is one file with a [`Watcher`] and one line in [`for_kind`].
//!
//! A watcher opens one session at a time, when it is told to; when to dial, when to give up and what it all means is
//! decided in `core` and carried out in [`crate::track`]. Each session has channels of its own, so nothing an old session
//! still has to say can be taken for the present one's.

mod socketio;
mod websocket;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use mooring_core::handshake::HandshakeReport;
use mooring_core::kind::Kind;
use mooring_core::observation::Observation;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::WatchConfig;

/// Something seen, and when.
pub type Seen = (Instant, Observation);

/// Longest that the proper end of a session is waited for when its watch ends.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// One kind of gateway, as seen from one instance.
pub trait Watcher: Send + Sync {
    /// Dials once. The future never fails: a refusal is part of the report. It runs to its end once it was begun.
    fn dial(&self) -> BoxFuture<'static, Sight>;
}

/// What a dial came to.
#[derive(Debug)]
pub struct Sight {
    /// Step by step.
    pub report: HandshakeReport,
    /// What is known of the session from the beginning, such as a heartbeat it promises.
    pub known: Vec<Observation>,
    /// The session, where there is one.
    pub live: Option<Live>,
}

/// An open session. Dropping it closes the session properly, in the background.
#[derive(Debug)]
pub struct Live {
    /// What it sees. The last observation is how it ended; after that the channel is closed.
    pub observations: mpsc::Receiver<Seen>,
    /// The task that holds the session.
    pub task: JoinHandle<()>,
}

impl Live {
    /// Closes the session and waits for its end, but not for long.
    pub async fn close(self) {
        drop(self.observations);
        // It ends by itself all the same; and its panic, if any, was told where it happened.
        let _ = tokio::time::timeout(CLOSE_WAIT, self.task).await;
    }
}

/// The watcher for one instance, by the kind of its gateway.
///
/// # Errors
/// In words, when the settings do not make something that can be dialled.
pub fn for_kind(config: &WatchConfig) -> Result<Box<dyn Watcher>, String> {
    match config.kind {
        Kind::Websocket => websocket::watcher(config),
        Kind::Socketio => socketio::watcher(config),
        other => Err(format!("this agent has no watcher for gateways of the kind `{other}`")),
    }
}
