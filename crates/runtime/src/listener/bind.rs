//! Binding, with messages that say what to do, and Unix sockets that a dead process left behind.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::address::ListenAddr;

/// Connections waiting in the system's queue; the system caps it at its own limit (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct BindError {
    /// The address.
    pub address: ListenAddr,
    /// Why, and what to do about it.
    pub reason: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for its drop")] SocketFile),
}

/// Removes the socket when the listener is done with it.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, with the folder it was in.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) fn bind(address: &ListenAddr) -> Result<Bound, BindError> {
    let outcome = match address {
        ListenAddr::Tcp(socket) => tcp(*socket).map(Bound::Tcp),
        ListenAddr::Unix(path) => unix(path).map(|listener| Bound::Unix(listener, SocketFile(path.clone()))),
    };
    outcome.map_err(|source| {
        let reason = match source.kind() {
            io::ErrorKind::AddrInUse => "another process listens there; is a second one running?".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "this user may not; ports below 1024 need privileges".to_owned()
            }
            _ => source.to_string(),
        };
        BindError { address: address.clone(), reason, source }
    })
}

fn tcp(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted process must not wait for the old connections' TIME_WAIT to pass.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is there"));
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    // Whoever may write to the socket may connect; until this call that is up to the folder and the umask.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
