//! The messages of a handover.
//!
//! ```text
//! new → old   HELLO      "mooring-handover 1\n"
//! old → new   listeners  length (4 bytes, big-endian), then names, one per line; the sockets go along (SCM_RIGHTS)
//! new → old   READY      "ready\n"
//! old → new   DONE       "done\n"
//! ```

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::{HandoverError, MAX_LISTENERS};
use crate::listen::Listener;

pub(super) const HELLO: &[u8] = b"mooring-handover 1\n";
pub(super) const READY: &[u8] = b"ready\n";
pub(super) const DONE: &[u8] = b"done\n";
/// Longest list of names, bytes.
const MAX_NAMES: usize = 16 * 1024;

/// What went wrong, without the path.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Protocol(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Binds the offer's socket in the place of whatever socket is there: an offer is only ever of the newest process.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is there"));
        }
        Err(_) => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(4)
}

/// Which file a path is: for whoever has bound it, to see later whether another has been put in its place.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Only our own user, or root, may give or take.
pub(super) fn check_peer(stream: &UnixStream, path: &Path) -> Result<(), HandoverError> {
    let cred = stream.peer_cred().map_err(|source| HandoverError::Io { path: path.to_owned(), source })?;
    let own = rustix::process::geteuid().as_raw();
    if cred.uid() == own || cred.uid() == 0 { Ok(()) } else { Err(HandoverError::Stranger(path.to_owned())) }
}

pub(super) async fn say(stream: &mut UnixStream, words: &[u8]) -> Result<(), Fault> {
    Ok(stream.write_all(words).await?)
}

pub(super) async fn expect(stream: &mut UnixStream, words: &'static [u8]) -> Result<(), Fault> {
    let mut got = vec![0; words.len()];
    stream.read_exact(&mut got).await?;
    if got == words { Ok(()) } else { Err(Fault::Protocol("the other process says something else")) }
}

/// Whether the other process speaks our version.
pub(super) async fn read_hello(stream: &mut UnixStream) -> Result<bool, Fault> {
    let mut got = vec![0; HELLO.len()];
    stream.read_exact(&mut got).await?;
    Ok(got == HELLO)
}

pub(super) async fn send_listeners(stream: &UnixStream, listeners: &[Arc<Listener>]) -> Result<(), Fault> {
    if listeners.is_empty() || listeners.len() > MAX_LISTENERS {
        return Err(Fault::Protocol("there are no listeners to hand over, or too many"));
    }
    let names = listeners.iter().map(|l| l.name()).collect::<Vec<_>>().join("\n");
    if names.len() > MAX_NAMES {
        return Err(Fault::Protocol("the listeners' names are too long"));
    }
    let mut bytes = (names.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(names.as_bytes());
    let fds: Vec<BorrowedFd<'_>> = listeners.iter().map(|l| l.as_fd()).collect();
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(sendmsg(stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?)
    };
    let sent = stream.async_io(Interest::WRITABLE, send).await?;
    if sent == bytes.len() { Ok(()) } else { Err(Fault::Protocol("the listeners' names were cut")) }
}

pub(super) async fn receive_listeners(stream: &UnixStream) -> Result<Vec<Listener>, Fault> {
    let mut buf = vec![0; 4 + MAX_NAMES];
    let (mut fds, mut got) = (Vec::new(), 0);
    while got < 4 || got < 4 + length(&buf) {
        let n = stream.async_io(Interest::READABLE, || receive(stream, &mut buf[got..], &mut fds)).await?;
        if n == 0 {
            return Err(Fault::Protocol("the old process ended before its listeners came"));
        }
        got += n;
        if got >= 4 && length(&buf) > MAX_NAMES {
            return Err(Fault::Protocol("the listeners' names are too long"));
        }
    }
    let names = std::str::from_utf8(&buf[4..got]).map_err(|_| Fault::Protocol("names that are not text"))?;
    let names: Vec<&str> = names.split('\n').collect();
    if names.len() != fds.len() {
        return Err(Fault::Protocol("another number of names than of sockets"));
    }
    let listeners = names.into_iter().zip(fds).map(|(name, fd)| Listener::from_fd(name, fd));
    Ok(listeners.collect::<io::Result<_>>()?)
}

fn length(buf: &[u8]) -> usize {
    buf.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
}

fn receive(stream: &UnixStream, buf: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(stream, &mut [IoSliceMut::new(buf)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            fds.extend(passed);
        }
    }
    Ok(got.bytes)
}
