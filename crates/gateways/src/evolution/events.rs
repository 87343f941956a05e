//! Listening to a gateway's events, behind a small trait: the watch does not know what a socket is, and a test can play
//! one.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::seen::Happened;

/// Events that wait for the watch. A storm of thirty a second on one instance fits for a while; beyond, the socket waits.
pub const HEARD: usize = 256;

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The socket is open, and the gateway has promised how often it will send a ping and how late one may be.
    Open {
        /// Between two pings.
        interval: Duration,
        /// Lateness allowed.
        timeout: Duration,
    },
    /// A namespace was joined: the global one, or an instance's.
    Joined(Option<String>),
    /// A namespace does not exist yet: it comes to be with the first event that is sent into it. Asked again later.
    Absent(Option<String>),
    /// Something came; a sign of life.
    Life,
    /// An event of an instance.
    Event {
        /// Which; as the gateway names it.
        instance: String,
        /// Whether it came through the global namespace.
        global: bool,
        /// What.
        happened: Happened,
    },
    /// The session in a namespace has ended, or could not be opened. Tried again.
    Lost {
        /// Whose namespace; `None`: the global one.
        instance: Option<String>,
        /// Why, in words.
        why: String,
    },
}

/// Somebody who listens.
pub trait Events: Send + 'static {
    /// Listens until told to stop, opening anew whatever ends. `names`: whose own namespaces are wanted.
    fn listen(
        self: Box<Self>,
        names: watch::Receiver<Vec<String>>,
        heard: mpsc::Sender<Heard>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()>;
}
