//! Whose network is looked at, and how to get a socket into it without going there.
//!
//! A netlink socket belongs to the network namespace it was made in, for as long as it lives. `setns(2)` moves one
//! thread only, so a thread is started that enters the namespace, makes the socket, hands it back and ends: this process
//! itself never moves.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::sys;

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Namespace {
    /// The one this process is in.
    #[default]
    Own,
    /// The one a process is in (a pod's, by any of its processes).
    OfProcess(u32),
    /// The one bound to a file (`/run/netns/NAME`, or a container runtime's).
    AtPath(PathBuf),
}

/// Why a namespace could not be opened for reading.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not Linux.
    #[error(
        "reading connections from the kernel needs Linux (sock_diag); use the relay or report watch here"
    )]
    Unsupported,
    /// There is no such process or file.
    #[error("{0}: there is no such namespace: the process has ended, or the path is wrong")]
    Gone(Namespace),
    /// Its file may not be opened.
    #[error(
        "{0}: not allowed to look at it: run as the same user, or give CAP_SYS_PTRACE; in Kubernetes also hostPID: true"
    )]
    NotVisible(Namespace, #[source] io::Error),
    /// It may not be entered.
    #[error("{0}: not allowed to enter it: give CAP_SYS_ADMIN, or run the agent inside that namespace")]
    MayNotEnter(Namespace, #[source] io::Error),
    /// The kernel has no sock_diag, or does not give it to us (seccomp).
    #[error(
        "{0}: the kernel does not answer sock_diag: it needs CONFIG_INET_DIAG (modules tcp_diag, inet_diag), and a \
         seccomp profile that allows netlink sockets"
    )]
    NoDiag(Namespace, #[source] io::Error),
    /// Something else.
    #[error("{0}: cannot be opened")]
    Other(Namespace, #[source] io::Error),
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the agent's own network namespace"),
            Self::OfProcess(pid) => write!(f, "the network namespace of process {pid}"),
            Self::AtPath(path) => write!(f, "the network namespace at {}", path.display()),
        }
    }
}

impl Namespace {
    /// A netlink socket in this namespace.
    pub(crate) fn open(&self) -> Result<sys::Socket, OpenError> {
        let path = match self {
            Self::Own => return self.socket(),
            Self::OfProcess(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
            Self::AtPath(path) => path.clone(),
        };
        if !sys::SUPPORTED {
            return Err(OpenError::Unsupported);
        }
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::Gone(self.clone()),
            io::ErrorKind::PermissionDenied => OpenError::NotVisible(self.clone(), error),
            _ => OpenError::Other(self.clone(), error),
        })?;
        // Already in it: no privilege needed.
        if sys::is_own_network(&file) {
            return self.socket();
        }
        let enter = || {
            sys::enter_network(&file).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => OpenError::MayNotEnter(self.clone(), error),
                _ => OpenError::Other(self.clone(), error),
            })?;
            self.socket()
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, enter)
                .map_err(|error| OpenError::Other(self.clone(), error))?;
            thread.join().unwrap_or_else(|_| {
                Err(OpenError::Other(self.clone(), io::Error::other("the thread that entered it died")))
            })
        })
    }

    fn socket(&self) -> Result<sys::Socket, OpenError> {
        sys::Socket::open().map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported if !sys::SUPPORTED => OpenError::Unsupported,
            // EPROTONOSUPPORT and EAFNOSUPPORT have no kind of their own.
            _ => OpenError::NoDiag(self.clone(), error),
        })
    }
}
