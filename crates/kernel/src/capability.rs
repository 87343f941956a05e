//! What can be done here, found out by trying.
//!
//! For `doctor` and for the agent's start: a watch that cannot work says so before it is relied on. Nothing is changed by
//! asking: the socket that is looked at is a listening one of our own on loopback, the one that is "destroyed" does not
//! exist.

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;

use crate::connection::Family;
use crate::cut::{CutError, Target};
use crate::diag::request::Tuple;
use crate::link::Link;
use crate::namespace::Namespace;
use crate::sys;

/// Whether something can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot: why, and what to do about it.
    No(String),
    /// It could not be found out: why.
    Unknown(String),
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No(why) => write!(f, "no: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// What this process can do on this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// List connections of its own network namespace.
    pub read: Ability,
    /// Get the figures (`tcp_info`) with them.
    pub tcp_info: Ability,
    /// Enter other network namespaces.
    pub enter_namespaces: Ability,
    /// Cut connections.
    pub destroy: Ability,
}

/// `CAP_NET_ADMIN` (`linux/capability.h`).
const CAP_NET_ADMIN: u32 = 12;

/// Finds out what this process can do on this kernel.
#[must_use]
pub fn capabilities() -> Capabilities {
    let mut link = match Namespace::Own.open() {
        Ok(socket) => Link::new(socket),
        Err(error) => {
            let no = Ability::No(words(&error));
            return Capabilities {
                read: no.clone(),
                tcp_info: no.clone(),
                enter_namespaces: enter(),
                destroy: no,
            };
        }
    };
    let (read, tcp_info) = look(&mut link);
    Capabilities { read, tcp_info, enter_namespaces: enter(), destroy: destroy(&mut link) }
}

/// Looks at a listening socket of our own.
fn look(link: &mut Link) -> (Ability, Ability) {
    let listener = match TcpListener::bind("127.0.0.1:0").and_then(|l| Ok((l.local_addr()?, l))) {
        Ok((local, listener)) => (local, listener),
        Err(error) => {
            let why = Ability::Unknown(format!("no socket on loopback to try it with: {error}"));
            return (why.clone(), why);
        }
    };
    let (local, _listening) = listener;
    let remote = ([0, 0, 0, 0], 0).into();
    match link.one(&Tuple { family: Family::V4, local, remote, interface: 0, cookie: None }) {
        Ok(Some(found)) if found.info.is_some() => (Ability::Yes, Ability::Yes),
        Ok(Some(_)) => (Ability::Yes, Ability::No("the kernel sends no tcp_info".to_owned())),
        Ok(None) => {
            let why = "the kernel answers, but does not find a socket of our own (a sandbox?)".to_owned();
            (Ability::No(why.clone()), Ability::No(why))
        }
        Err(error) => (Ability::No(words(&error)), Ability::No(words(&error))),
    }
}

/// Goes where we already are, which takes the same privilege as going elsewhere.
fn enter() -> Ability {
    let attempt = || {
        let file = std::fs::File::open(PathBuf::from("/proc/self/ns/net"))?;
        sys::enter_network(&file)
    };
    // On a thread of its own like the real thing, although this one would not move.
    match std::thread::spawn(attempt).join() {
        Ok(Ok(())) => Ability::Yes,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Ability::No("other network namespaces need CAP_SYS_ADMIN".to_owned())
        }
        Ok(Err(error)) => Ability::No(error.to_string()),
        Err(_) => Ability::Unknown("the thread that tried it died".to_owned()),
    }
}

/// The kernel looks for the socket before it looks at the privilege: a kernel that knows the request says ENOENT of a
/// socket that does not exist, to anybody. So the privilege is looked up separately.
fn destroy(link: &mut Link) -> Ability {
    // Port 0 is nobody's, and so is TEST-NET-1 (RFC 5737).
    let nobody = Target::new(1, Family::V4, ([192, 0, 2, 1], 0).into(), ([192, 0, 2, 2], 0).into(), 0);
    match link.destroy(&nobody.tuple) {
        Ok(Err(number)) => match CutError::from_errno(nobody, number) {
            CutError::Gone(_) => match effective(CAP_NET_ADMIN) {
                Some(true) => Ability::Yes,
                Some(false) => Ability::No(CutError::NotAllowed.to_string()),
                None => Ability::Unknown("the kernel can; our own privileges cannot be read".to_owned()),
            },
            error => Ability::No(words(&error)),
        },
        Ok(Ok(())) => Ability::Unknown("the kernel claims to have destroyed what does not exist".to_owned()),
        Err(error) => Ability::Unknown(format!("netlink failed: {error}")),
    }
}

/// Whether this thread has a capability in effect.
fn effective(capability: u32) -> Option<bool> {
    has(&std::fs::read_to_string("/proc/thread-self/status").ok()?, capability)
}

fn has(status: &str, capability: u32) -> Option<bool> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    Some(u64::from_str_radix(line.trim(), 16).ok()? >> capability & 1 == 1)
}

/// An error with what is behind it.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_in_effect() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000001000\n";
        assert_eq!(has(status, CAP_NET_ADMIN), Some(true));
        assert_eq!(has(status, 21), Some(false));
        assert_eq!(has("Name:\tx\n", 12), None);
    }
}
