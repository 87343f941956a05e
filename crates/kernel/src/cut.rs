//! Cuts one connection: `SOCK_DESTROY`.
//!
//! The kernel closes the socket as if it had failed: the process that holds it gets ECONNABORTED from its next call, the
//! peer a RST if it can be reached, and the reconnect logic on either side runs. Nothing about it can be taken back, so the
//! connection is looked at again just before, by its exact addresses and its cookie, and the selector is applied again,
//! `/proc` included. What is left of the race is harmless: the request to destroy carries the cookie, which is never given
//! to another socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::connection::{Connection, Family, State};
use crate::diag::request::Tuple;
use crate::link::ScanError;
use crate::process::ProcessError;
use crate::reader::Reader;
use crate::selector::Selector;

/// Which connection is to be cut: as a scan showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub(crate) tuple: Tuple,
}

impl Target {
    /// The connection with these addresses and this cookie.
    #[must_use]
    pub fn new(cookie: u64, family: Family, local: SocketAddr, remote: SocketAddr, interface: u32) -> Self {
        Self { tuple: Tuple { family, local, remote, interface, cookie: Some(cookie) } }
    }
}

impl From<&Connection> for Target {
    fn from(connection: &Connection) -> Self {
        Self { tuple: Tuple::of(connection) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.tuple.local, self.tuple.remote)
    }
}

/// A connection that was cut, as it was at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// What was destroyed.
    pub connection: Connection,
}

/// Why this connection is not one to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The selector names nothing, so it guards nothing.
    NoGuard,
    /// Its addresses are not among the selector's.
    OtherAddresses,
    /// The process does not hold it.
    OtherProcess,
    /// It is not an open connection.
    State(State),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGuard => {
                f.write_str("the selector names nothing, so nothing is known to be the gateway's")
            }
            Self::OtherAddresses => f.write_str("its addresses are not the gateway's"),
            Self::OtherProcess => f.write_str("the gateway's process does not hold it"),
            Self::State(state) => write!(f, "it is in state {}, not an open connection", state.name()),
        }
    }
}

/// Why a connection was not cut. In every case but [`CutError::Netlink`] nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// It is not one to cut.
    #[error("{target} is not cut: {refusal}")]
    Refused {
        /// Which.
        target: Target,
        /// Why.
        refusal: Refusal,
    },
    /// It is over already, or its addresses are another connection's by now.
    #[error("{0} is gone already: closed, or replaced by another connection")]
    Gone(Target),
    /// The kernel cannot.
    #[error("the kernel cannot cut connections: it was built without CONFIG_INET_DIAG_DESTROY")]
    NotSupported,
    /// We may not.
    #[error(
        "not allowed to cut connections: give CAP_NET_ADMIN (in Kubernetes: capabilities.add: [NET_ADMIN])"
    )]
    NotAllowed,
    /// Whether it is the gateway's cannot be said.
    #[error("{target} is not cut: who holds it cannot be seen")]
    HolderUnknown {
        /// Which.
        target: Target,
        /// Why.
        source: ProcessError,
    },
    /// The connection could not be looked at again.
    #[error("{target} is not cut: it cannot be looked at")]
    Read {
        /// Which.
        target: Target,
        /// Why.
        source: ScanError,
    },
    /// The request went out and no answer came: whether it was cut is not known.
    #[error("{target}: whether it was cut is not known, netlink failed")]
    Netlink {
        /// Which.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refused for another reason.
    #[error("{target} is not cut: the kernel refuses")]
    Kernel {
        /// Which.
        target: Target,
        /// Its reason.
        source: io::Error,
    },
}

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EOPNOTSUPP: i32 = 95;
const ESTALE: i32 = 116;

impl CutError {
    /// From the errno of a SOCK_DESTROY.
    pub(crate) fn from_errno(target: Target, number: i32) -> Self {
        match number {
            EPERM | EACCES => Self::NotAllowed,
            // ESTALE: the addresses are there, the cookie is not.
            ENOENT | ESTALE => Self::Gone(target),
            EOPNOTSUPP => Self::NotSupported,
            _ => Self::Kernel { target, source: io::Error::from_raw_os_error(number) },
        }
    }
}

impl Reader {
    /// Cuts one connection, if it is there, open, and still the gateway's.
    ///
    /// # Errors
    /// In words: not the gateway's, gone already, the kernel cannot, or we may not.
    pub fn cut(&mut self, target: &Target, guard: &Selector) -> Result<Cut, CutError> {
        let target = *target;
        let connection = self.guarded(target, guard)?;
        match self.link.destroy(&target.tuple) {
            Ok(Ok(())) => Ok(Cut { connection }),
            Ok(Err(number)) => Err(CutError::from_errno(target, number)),
            Err(source) => Err(CutError::Netlink { target, source }),
        }
    }

    /// The connection, if it may be cut.
    fn guarded(&mut self, target: Target, guard: &Selector) -> Result<Connection, CutError> {
        let refuse = |refusal| Err(CutError::Refused { target, refusal });
        if guard.is_empty() {
            return refuse(Refusal::NoGuard);
        }
        let found = self.link.one(&target.tuple).map_err(|source| CutError::Read { target, source })?;
        let Some(connection) = found.filter(|found| Tuple::of(found) == target.tuple) else {
            return Err(CutError::Gone(target));
        };
        if !connection.state.is_connected() {
            return refuse(Refusal::State(connection.state));
        }
        if !guard.matches_addresses(&connection) {
            return refuse(Refusal::OtherAddresses);
        }
        if let Some(process) = &guard.process {
            let held = connection.inode != 0
                && process
                    .holds(connection.inode)
                    .map_err(|source| CutError::HolderUnknown { target, source })?;
            if !held {
                return refuse(Refusal::OtherProcess);
            }
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_in_words() {
        let end = |text: &str| text.parse().unwrap();
        let target = Target::new(7, Family::V4, end("192.0.2.1:80"), end("192.0.2.2:5"), 0);
        let text = |number| CutError::from_errno(target, number).to_string();
        assert!(text(EPERM).contains("CAP_NET_ADMIN") && text(EACCES).contains("CAP_NET_ADMIN"));
        assert!(text(EOPNOTSUPP).contains("CONFIG_INET_DIAG_DESTROY"));
        assert_eq!(
            text(ENOENT),
            "192.0.2.1:80 - 192.0.2.2:5 is gone already: closed, or replaced by another connection"
        );
        assert!(text(ESTALE).contains("gone already"));
        assert!(text(22).contains("refuses"));
    }
}
