//! Listening sockets handed to a new process, so that upgrading the agent refuses no connection and cuts no session at
//! once.
//!
//! The old process offers on a Unix socket ([`Offer`]), the new one asks there ([`take`]). What is passed are the very
//! sockets, with the connections waiting in their queues: the new process accepts from them, then says so
//! ([`Confirm::ready`]), and only then the old one stops accepting. If the new one dies in between, nothing has changed. The
//! old process then drains its sessions at its own pace.
//!
//! The protocol is four messages (see `wire`), with a version in the first. Only the same user, or root, is answered.

mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::handle::RelayHandle;
use crate::listen::Listener;

/// Longest that the other process is waited for between two messages.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most listeners in one handover.
pub const MAX_LISTENERS: usize = 64;

/// A handover that failed. Nothing has changed hands.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The system refused something.
    #[error("handover over {path}: {source}")]
    Io {
        /// The Unix socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The other process did not answer in time.
    #[error("handover over {0}: the other process did not answer within 10 s")]
    TooLate(PathBuf),
    /// The other process belongs to somebody else.
    #[error("handover over {0}: the other process belongs to another user")]
    Stranger(PathBuf),
    /// The other process speaks another version, or something else.
    #[error("handover over {path}: {what}")]
    Protocol {
        /// The Unix socket.
        path: PathBuf,
        /// What was not understood.
        what: &'static str,
    },
}

/// Where a relay's listeners can be asked for.
#[derive(Debug)]
pub struct Offer {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for Offer {
    fn drop(&mut self) {
        // The new process may have put its own offer there.
        if wire::identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listeners taken over, not yet confirmed.
#[derive(Debug)]
pub struct Taken {
    /// For [`Relay::start`](crate::Relay::start).
    pub listeners: Vec<Listener>,
    confirm: Confirm,
}

/// The old process waits to hear that the new one accepts.
#[derive(Debug)]
pub struct Confirm {
    stream: UnixStream,
    path: PathBuf,
}

impl Offer {
    /// Offers at this path, whose file only its owner may use. An older offer there is replaced.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(path: &Path) -> Result<Self, HandoverError> {
        let listener = wire::bind(path).map_err(|source| io_error(path, source))?;
        let identity = wire::identity(path).map_err(|source| io_error(path, source))?;
        Ok(Self { listener, path: path.to_owned(), identity })
    }

    /// Waits for a process that asks, and hands the relay's listeners over. On success the relay has stopped accepting;
    /// after an error it goes on and the offer can be served again.
    ///
    /// # Errors
    /// When the handover fails.
    pub async fn serve(&self, relay: &RelayHandle) -> Result<(), HandoverError> {
        let (mut stream, _) = self.listener.accept().await.map_err(|e| io_error(&self.path, e))?;
        wire::check_peer(&stream, &self.path)?;
        let path = &self.path;
        within(path, wire::read_hello(&mut stream)).await??.then_some(()).ok_or_else(|| {
            HandoverError::Protocol { path: path.clone(), what: "the other process speaks another version" }
        })?;
        let listeners = relay.listeners();
        within(path, wire::send_listeners(&stream, &listeners)).await??;
        drop(listeners);
        within(path, wire::expect(&mut stream, wire::READY)).await??;
        relay.handed_over().await;
        // The new process accepts already: whether it hears this or not.
        let _ = within(path, wire::say(&mut stream, wire::DONE)).await;
        Ok(())
    }
}

/// Asks the process that offers at this path for its listeners.
///
/// # Errors
/// When nobody offers there, or the handover fails.
pub async fn take(path: &Path) -> Result<Taken, HandoverError> {
    let connecting = async { UnixStream::connect(path).await.map_err(wire::Fault::Io) };
    let mut stream = within(path, connecting).await??;
    wire::check_peer(&stream, path)?;
    within(path, wire::say(&mut stream, wire::HELLO)).await??;
    let listeners = within(path, wire::receive_listeners(&stream)).await??;
    Ok(Taken { listeners, confirm: Confirm { stream, path: path.to_owned() } })
}

impl Taken {
    /// The listeners, and what is left to do once they are accepted from.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Listener>, Confirm) {
        (self.listeners, self.confirm)
    }
}

impl Confirm {
    /// Says that connections are accepted here now; returns when the old process has stopped to.
    ///
    /// # Errors
    /// When the old process does not answer. Both may accept then, which loses no connection.
    pub async fn ready(mut self) -> Result<(), HandoverError> {
        within(&self.path, wire::say(&mut self.stream, wire::READY)).await??;
        within(&self.path, wire::expect(&mut self.stream, wire::DONE)).await??;
        Ok(())
    }
}

fn io_error(path: &Path, source: io::Error) -> HandoverError {
    HandoverError::Io { path: path.to_owned(), source }
}

/// With a bound of time; errors get the path.
async fn within<T>(
    path: &Path,
    future: impl Future<Output = Result<T, wire::Fault>>,
) -> Result<Result<T, HandoverError>, HandoverError> {
    let outcome = timeout(PATIENCE, future).await.map_err(|_| HandoverError::TooLate(path.to_owned()))?;
    Ok(outcome.map_err(|fault| match fault {
        wire::Fault::Io(source) => io_error(path, source),
        wire::Fault::Protocol(what) => HandoverError::Protocol { path: path.to_owned(), what },
    }))
}
