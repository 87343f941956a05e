//! From one agent process to the next: listeners are handed over, so that upgrading the agent refuses no connection and
//! cuts no session at once.
//!
//! ```text
//! new: "leave" ──> old: stops watching, ordering, reporting; releases its record of orders; leaves its gateways running
//!                  old: its relays go on to accept
//! new: takes over the record, adopts the gateways, takes each relay's listeners ──> old: drains its sessions, ends
//! ```
//!
//! The record of orders is the lock: two agents never act at once. Asking is explicit (`--takeover`): a second agent that
//! is started by mistake is still told that the folder is in use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::GatewayId;
use mooring_relay::{Listener, handover};
use mooring_runtime::lifecycle::{Handle, Kind, Stage, error_chain};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SOCKET: &str = "takeover.sock";
const LEAVE: &[u8] = b"mooring leave 1\n";
const LEAVING: &[u8] = b"leaving\n";
/// Longest that either side waits for a word of the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an agent inherits and leaves behind. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Heritage {
    folder: Arc<Path>,
    handed_on: CancellationToken,
}

impl Heritage {
    pub(super) fn new(folder: Arc<Path>) -> Self {
        Self { folder, handed_on: CancellationToken::new() }
    }

    /// Cancelled when another agent takes over.
    pub(super) fn handed_on(&self) -> CancellationToken {
        self.handed_on.clone()
    }

    fn relay_socket(&self, gateway: &GatewayId) -> PathBuf {
        self.folder.join(format!("relay-{gateway}.sock"))
    }

    /// The listeners of this gateway's relay before, if there is one.
    pub(super) async fn take(&self, gateway: &GatewayId) -> (Vec<Listener>, Option<handover::Confirm>) {
        let path = self.relay_socket(gateway);
        if !path.exists() {
            return (Vec::new(), None);
        }
        match handover::take(&path).await {
            Ok(taken) => {
                let (listeners, confirm) = taken.into_parts();
                tracing::info!(%gateway, listeners = listeners.len(), "listeners were taken over");
                (listeners, Some(confirm))
            }
            Err(error) => {
                // Left behind by an agent that was killed, most likely.
                tracing::debug!(%gateway, error = error_chain(&error), "there is nobody to take listeners from");
                (Vec::new(), None)
            }
        }
    }

    /// Where the relay after this one finds this one's listeners; `None`: nowhere, and that was said.
    pub(super) async fn offer(&self, gateway: &GatewayId) -> Option<handover::Offer> {
        let path = self.relay_socket(gateway);
        match handover::Offer::bind(&path) {
            Ok(offer) => Some(offer),
            Err(error) => {
                tracing::warn!(%gateway, error = error_chain(&error), "listeners cannot be handed over; an upgrade will cut sessions");
                None
            }
        }
    }

    /// Leaves when another agent of this user asks for it.
    pub(super) fn leave_when_asked(&self, handle: &Handle) {
        let path = self.folder.join(SOCKET);
        let listener = match bind(&path) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no other agent can take over from this one");
                return;
            }
        };
        let (handed_on, leaving) = (self.handed_on.clone(), handle.clone());
        handle.spawn(Stage::Intake, Kind::Background, "takeover", move |tokens| async move {
            loop {
                let asked = tokio::select! {
                    () = tokens.soft.cancelled() => return Ok::<(), io::Error>(()),
                    asked = listener.accept() => asked,
                };
                let (stream, _) = asked?;
                match timeout(PATIENCE, hear(stream)).await {
                    Ok(Ok(mut stream)) => {
                        handed_on.cancel();
                        // Gone by the time the other one looks for its own.
                        let _ = std::fs::remove_file(&path);
                        leaving.shutdown("another agent takes over");
                        let _ = timeout(PATIENCE, stream.write_all(LEAVING)).await;
                        return Ok(());
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "somebody asked this agent to leave, and it stays")
                    }
                    Err(_) => tracing::warn!("somebody asked this agent something and said nothing"),
                }
            }
        });
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // The record of orders is ours, so whoever listened here is gone.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode)?;
    Ok(listener)
}

/// The stream of somebody who may ask and does.
async fn hear(mut stream: UnixStream) -> io::Result<UnixStream> {
    let (theirs, ours) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours && theirs != 0 {
        return Err(io::Error::other(format!("user {theirs} may not ask that")));
    }
    let mut word = [0; LEAVE.len()];
    stream.read_exact(&mut word).await?;
    if word != LEAVE {
        return Err(io::Error::other("it speaks another version"));
    }
    Ok(stream)
}

/// Asks the agent that works with this folder to leave. `false`: there is none.
///
/// # Errors
/// In words, when there is one and it does not answer as it should.
pub(super) async fn ask_to_leave(folder: &Path) -> Result<bool, String> {
    let path = folder.join(SOCKET);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(false);
        }
        Err(error) => return Err(format!("cannot ask the other agent ({}): {error}", path.display())),
    };
    let asked = async {
        stream.write_all(LEAVE).await?;
        let mut word = [0; LEAVING.len()];
        stream.read_exact(&mut word).await?;
        if word == LEAVING { Ok(()) } else { Err(io::Error::other("it speaks another version")) }
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) => Err(format!("the other agent does not leave: {error}")),
        Err(_) => Err(format!("the other agent did not answer within {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_runtime::lifecycle::Supervisor;

    #[tokio::test]
    async fn an_agent_leaves_when_it_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ask_to_leave(folder.path()).await, Ok(false), "nobody is there");
        let supervisor = Supervisor::new(Duration::from_secs(5));
        let heritage = Heritage::new(folder.path().into());
        heritage.leave_when_asked(&supervisor.handle());
        let running = tokio::spawn(supervisor.run_with(futures_util::stream::pending()));
        assert_eq!(ask_to_leave(folder.path()).await, Ok(true));
        heritage.handed_on().cancelled().await;
        running.await.unwrap();
        assert_eq!(ask_to_leave(folder.path()).await, Ok(false));
    }

    #[tokio::test]
    async fn who_asks_for_something_else_is_not_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::new(Duration::from_secs(5));
        let heritage = Heritage::new(folder.path().into());
        heritage.leave_when_asked(&supervisor.handle());
        let handle = supervisor.handle();
        let running = tokio::spawn(supervisor.run_with(futures_util::stream::pending()));
        let mut stream = UnixStream::connect(folder.path().join(SOCKET)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() && !heritage.handed_on().is_cancelled());
        handle.shutdown("the test ends");
        running.await.unwrap();
    }
}
