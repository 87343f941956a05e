//! Netlink sockets and `setns(2)`, through `rustix`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Whether any of this works here.
pub(crate) const SUPPORTED: bool = true;

/// A netlink socket to the kernel's sock_diag.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// The kernel answers at once; one that does not for this long is not going to.
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(SOCK_DIAG),
        )?;
        // Connected to the kernel (port 0): what other processes send is not let in.
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(Self::PATIENCE))?;
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.0, message, SendFlags::empty()))?;
        Ok(())
    }

    /// Receives one datagram: its length, which is more than `buffer` holds if it was cut.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, length) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.0, &mut *buffer, RecvFlags::TRUNC))?;
        Ok(length)
    }
}

/// Moves the calling thread into a network namespace.
pub(crate) fn enter_network(file: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Whether this is the namespace this process is in: one inode for each.
pub(crate) fn is_own_network(file: &File) -> bool {
    let own = std::fs::metadata("/proc/self/ns/net");
    file.metadata()
        .and_then(|there| Ok((there, own?)))
        .is_ok_and(|(there, own)| there.ino() == own.ino() && there.dev() == own.dev())
}
