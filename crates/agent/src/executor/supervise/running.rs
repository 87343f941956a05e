//! A process that runs: our own child, or one adopted from an earlier run of the agent.

use tokio::process::Child;

use crate::executor::process::Exit;
use crate::executor::procfs;

/// A running process and the way to notice its end.
#[derive(Debug)]
pub(super) enum Running {
    /// Started by us: the kernel tells us how it ends.
    Child {
        /// The handle to wait on.
        child: Child,
        /// Its id, kept here since the handle forgets it when the process has ended.
        pid: u32,
    },
    /// Started by an earlier run of the agent: the kernel tells us that it ends.
    Adopted {
        /// Its id.
        pid: u32,
        /// Resolves at its end.
        end: Ending,
    },
}

impl Running {
    /// Takes over the process with this id if it is (still) the one that `identity` names.
    pub(super) fn adopt(pid: u32, identity: &str) -> Option<Self> {
        let end = match Ending::of(pid) {
            Ok(end) => end,
            Err(error) => {
                tracing::debug!(pid, %error, "not adopted: the process cannot be watched");
                return None;
            }
        };
        // Asked after it is being watched: from here on the id cannot pass to another process unnoticed.
        (procfs::identity(pid)? == identity).then_some(Self::Adopted { pid, end })
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Child { pid, .. } | Self::Adopted { pid, .. } => *pid,
        }
    }

    pub(super) fn adopted(&self) -> bool {
        matches!(self, Self::Adopted { .. })
    }

    /// Resolves when the process has ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Exit {
        match self {
            Self::Child { child, pid } => match child.wait().await {
                Ok(status) => status.into(),
                Err(error) => {
                    tracing::warn!(pid, %error, "cannot wait for a child: how it ended is not known");
                    Exit::default()
                }
            },
            Self::Adopted { end, .. } => {
                end.wait().await;
                Exit::default()
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::process::{PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::executor::process::to_pid;

    /// A pidfd: readable once the process has ended (pidfd_open(2)).
    #[derive(Debug)]
    pub(in crate::executor::supervise) struct Ending(AsyncFd<OwnedFd>);

    impl Ending {
        pub(super) fn of(pid: u32) -> io::Result<Self> {
            let pid = to_pid(pid).ok_or(io::ErrorKind::InvalidInput)?;
            let fd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
            #[expect(
                deprecated,
                reason = "tokio deprecates it because a type may lie about its descriptor; an OwnedFd cannot, and what \
                          replaces it is an unsafe function, which this workspace forbids"
            )]
            AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
        }

        pub(super) async fn wait(&self) {
            if let Err(error) = self.0.readable().await {
                tracing::warn!(%error, "a pidfd cannot be waited on");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::time::Duration;

    use crate::executor::process::to_pid;

    /// Elsewhere there is nothing to wait on for a process that is not a child: it is asked for.
    #[derive(Debug)]
    pub(in crate::executor::supervise) struct Ending(rustix::process::Pid);

    impl Ending {
        pub(super) fn of(pid: u32) -> io::Result<Self> {
            Ok(Self(to_pid(pid).ok_or(io::ErrorKind::InvalidInput)?))
        }

        pub(super) async fn wait(&self) {
            while rustix::process::test_kill_process(self.0).is_ok() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

pub(super) use platform::Ending;
