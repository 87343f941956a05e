//! Listening sockets: bound here or taken over from another process, and the loops that accept from them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::admission::Full;
use crate::config::{ListenAddress, ListenerConfig};
use crate::dial::tune;
use crate::event::Event;
use crate::http::answer::Own;
use crate::serve::{Accepted, Refusing, serve};
use crate::shared::Shared;
use crate::stream::{Plain, Stream};
use crate::task::Task;

/// Connections waiting in the system's queue; the system caps it at its own limit (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// After an accept that failed for want of descriptors or memory, or for a reason not known here.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    name: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("the relay cannot listen on {address}: {source}{}", advice(.source))]
pub struct ListenError {
    /// The address.
    pub address: ListenAddress,
    /// What the system said.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; does another process listen there? `reuse_port` allows it",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(config: &ListenerConfig) -> Result<Self, ListenError> {
        let socket = match &config.address {
            ListenAddress::Tcp(address) => tcp(*address, config.reuse_port).map(Socket::Tcp),
            ListenAddress::Unix { path, mode } => unix(path, *mode).map(Socket::Unix),
        };
        let socket = socket.map_err(|source| ListenError { address: config.address.clone(), source })?;
        Ok(Self { name: config.name.clone(), socket })
    }

    /// From a socket that listens already.
    ///
    /// # Errors
    /// When it is not a TCP or Unix stream socket, or the runtime does not take it.
    pub fn from_fd(name: &str, fd: OwnedFd) -> io::Result<Self> {
        if !sockopt::socket_acceptconn(&fd)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket that does not listen"));
        }
        rustix::io::ioctl_fionbio(&fd, true)?;
        let domain = sockopt::socket_domain(&fd)?;
        let socket = if domain == rustix::net::AddressFamily::UNIX {
            Socket::Unix(UnixListener::from_std(fd.into())?)
        } else {
            Socket::Tcp(TcpListener::from_std(fd.into())?)
        };
        Ok(Self { name: name.to_owned(), socket })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TCP address it listens on; none for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(l) => l.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    pub(crate) fn shown(&self) -> String {
        match &self.socket {
            Socket::Tcp(l) => l.local_addr().map_or_else(|_| self.name.clone(), |a| a.to_string()),
            Socket::Unix(l) => match l.local_addr().ok().and_then(|a| a.as_pathname().map(Path::to_owned)) {
                Some(path) => format!("unix:{}", path.display()),
                None => self.name.clone(),
            },
        }
    }

    async fn accept(&self) -> io::Result<(Plain, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(l) => l.accept().await.map(|(s, peer)| (Plain::Tcp(s), Some(peer))),
            Socket::Unix(l) => l.accept().await.map(|(s, _)| (Plain::Unix(s), None)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(l) => l.as_fd(),
            Socket::Unix(l) => l.as_fd(),
        }
    }
}

fn tcp(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted process must not wait for the old connections' TIME_WAIT to pass.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is there"));
        }
        Err(_) => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Between bind and listen nobody can connect yet, whatever the umask has made of the file.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)
}

/// Whether a relay still accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// No more; nobody else does either.
    Closed,
    /// No more here: another process does.
    HandedOver,
}

/// Accepts until told to stop.
pub(crate) async fn run(
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    index: u16,
    mut stop: watch::Receiver<Stop>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            stopped = stop.wait_for(|stop| *stop != Stop::No) => {
                if stopped.is_ok_and(|how| *how == Stop::HandedOver) {
                    return;
                }
                break;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => enter(&shared, index, stream, peer),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(listener = listener.name, %error, "cannot accept a connection");
                if is_fatal(&error) {
                    let message = error.to_string();
                    shared.tell(Event::ListenerFailed { name: listener.name.clone(), message });
                    return;
                }
                sleep(SHORTAGE).await;
            }
        }
    }
    // Those that wait in the queue would be reset with the socket: they are answered.
    while let Some(Ok((stream, peer))) = now_or_never(listener.accept()).await {
        enter(&shared, index, stream, peer);
    }
}

/// Polls once.
async fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(out) => Poll::Ready(Some(out)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Errors of the listening socket itself: EBADF, EINVAL (it does not listen), ENOTSOCK. All others pass: want of descriptors
/// or memory, and errors of the network, which accept(2) tells of the new connection. EOPNOTSUPP is one of those on Linux.
fn is_fatal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(9 | 22 | 88))
}

/// Errors of a connection that went away in the queue (accept(2)): the listener is fine.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionAborted
            | K::ConnectionReset
            | K::Interrupted
            | K::NetworkDown
            | K::NetworkUnreachable
            | K::HostUnreachable
            | K::PermissionDenied
            | K::WouldBlock
    )
}

fn enter(shared: &Arc<Shared>, index: u16, stream: Plain, peer: Option<SocketAddr>) {
    let mut local = None;
    if let Plain::Tcp(tcp) = &stream {
        // A connection that cannot be tuned is one that is gone; its first read will tell.
        let _ = tune(tcp, shared.config.times.tcp_keepalive);
        if shared.config.upstream.proxy.is_some() {
            local = tcp.local_addr().ok();
        }
    }
    let (place, handshake) = match shared.admission.enter() {
        Ok(places) => places,
        Err(full) => {
            turn_away(shared, index, stream, peer, full);
            return;
        }
    };
    let accepted = Accepted { stream, peer, local, listener: index, place, handshake };
    let handshake = Box::pin(serve(Arc::clone(shared), accepted));
    tokio::spawn(Task::new(Arc::clone(shared), handshake));
}

/// Says 503 where there is no room, without waiting for anything; under TLS, where that would take a handshake, nothing.
/// Only so many of those turned away are let go gently.
fn turn_away(shared: &Arc<Shared>, index: u16, stream: Plain, peer: Option<SocketAddr>, full: Full) {
    let own = Own::retry(503, full.why(), 5);
    let tls = shared.config.listeners.get(usize::from(index)).is_some_and(|l| l.tls.is_some());
    Refusing::new(shared, peer).limit((!tls).then_some(own.status), own.why);
    let Ok(turn) = Arc::clone(&shared.turned_away).try_acquire_owned() else { return };
    if !tls {
        // A fresh socket takes a few hundred bytes, or its peer is gone.
        let bytes = own.bytes(false);
        let _ = match &stream {
            Plain::Tcp(s) => s.try_write(&bytes),
            Plain::Unix(s) => s.try_write(&bytes),
        };
    }
    tokio::spawn(async move {
        Stream::from(stream).linger().await;
        drop(turn);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sockets_own_errors_end_a_listener() {
        let fatal: Vec<i32> =
            (1..134).filter(|code| is_fatal(&io::Error::from_raw_os_error(*code))).collect();
        assert_eq!(fatal, [9, 22, 88]);
    }
}
