//! Reads connections, one walk at a time.
//!
//! A walk is two dumps, IPv4 and IPv6 (a socket on `[::]` is IPv6 even where its peers are not). The kernel leaves out
//! what the bytecode can tell is not the gateway's; the selector decides on the rest. Nothing is kept of a connection
//! between walks; that is [`crate::judge`]'s.

use std::time::{Duration, Instant};

use crate::connection::{Connection, Family, Listener, State};
use crate::diag::filter;
use crate::diag::message::listener;
use crate::link::{Link, ScanError};
use crate::namespace::{Namespace, OpenError};
use crate::process::{Held, Holdings};
use crate::selector::Selector;

/// Connections visited per scan unless told otherwise.
pub const MAX_CONNECTIONS: usize = 131_072;
/// Listening sockets reported per scan.
const MAX_LISTENERS: usize = 256;
/// Sockets per scan whose holder is looked up only at its end.
const MAX_PENDING: usize = 16_384;

/// What a scan saw besides the connections.
#[derive(Debug, Clone, Default)]
pub struct ScanStats {
    /// Connections visited that are the gateway's.
    pub visited: usize,
    /// Connections without a holder (see [`Connection::orphan`]), visited as well and not counted above; the selector's
    /// process holds none of them any more, if it ever did. Bounded like the others.
    pub orphans: usize,
    /// The gateway's connections beyond the bound, not visited.
    pub left_out: usize,
    /// Sockets whose holder is not known yet: opened since `/proc` was last walked, and walking it takes its time. They
    /// are visited, if they are the gateway's, in one of the next scans.
    pub unattributed: usize,
    /// Sockets the kernel handed out that were not the gateway's.
    pub others: usize,
    /// Listening sockets of the selector's ports or process (a selector with remote ends has none). Empty: nobody accepts.
    pub listeners: Vec<Listener>,
    /// Whether every connection of the gateway's was visited: only then is one that is missing gone.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
}

/// Reads the connections of one network namespace.
#[derive(Debug)]
pub struct Reader {
    namespace: Namespace,
    pub(crate) link: Link,
    failed: bool,
    max_connections: usize,
    holdings: Option<Holdings>,
    pending: Vec<Connection>,
}

impl Reader {
    /// Opens a namespace for reading.
    ///
    /// # Errors
    /// When it does not exist, may not be entered, or the kernel has no sock_diag; each in words that say what to do.
    pub fn open(namespace: Namespace) -> Result<Self, OpenError> {
        let link = Link::new(namespace.open()?);
        Ok(Self {
            namespace,
            link,
            failed: false,
            max_connections: MAX_CONNECTIONS,
            holdings: None,
            pending: Vec::new(),
        })
    }

    /// Visits at most this many connections per scan instead of [`MAX_CONNECTIONS`].
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// The namespace it reads.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Hands every connection of the selector's to `visit`, once, in no particular order.
    ///
    /// # Errors
    /// When the selector names nothing, its process is gone or hidden, or netlink fails; connections may have been
    /// visited by then. After a failure of netlink this reader is of no more use: what it is asked next might be answered
    /// with the rest of what was asked before. It is not opened anew here, for the process that named the namespace may
    /// be another by now; that is for the caller to know.
    pub fn scan(
        &mut self,
        selector: &Selector,
        visit: &mut dyn FnMut(&Connection),
    ) -> Result<ScanStats, ScanError> {
        let begun = Instant::now();
        if selector.is_empty() {
            return Err(ScanError::NothingSelected);
        }
        if self.failed {
            return Err(ScanError::Broken);
        }
        self.holdings = match (self.holdings.take(), selector.process) {
            (Some(known), Some(process)) if known.process() == process => Some(known),
            (_, process) => process.map(Holdings::new),
        };
        if let Some(holdings) = &mut self.holdings {
            holdings.begin()?;
        }
        let bytecode = filter::program(&selector.ports, &selector.remotes);
        let mut walk = Walk {
            selector,
            visit,
            stats: ScanStats::default(),
            most: self.max_connections,
            holdings: self.holdings.as_mut(),
            pending: &mut self.pending,
        };
        let mut undisturbed = true;
        for family in [Family::V4, Family::V6] {
            match self.link.dump(family, &bytecode, &mut |socket| walk.take(socket)) {
                Ok(clean) => undisturbed &= clean,
                // A kernel without IPv6 has no such dump.
                Err(ScanError::Refused(_)) if family == Family::V6 => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        walk.settle()?;
        let mut stats = walk.stats;
        stats.complete = undisturbed && stats.left_out == 0 && stats.unattributed == 0;
        stats.took = begun.elapsed();
        Ok(stats)
    }
}

/// One scan under way.
struct Walk<'a> {
    selector: &'a Selector,
    visit: &'a mut dyn FnMut(&Connection),
    stats: ScanStats,
    most: usize,
    holdings: Option<&'a mut Holdings>,
    pending: &'a mut Vec<Connection>,
}

impl Walk<'_> {
    /// Decides on one socket.
    fn take(&mut self, mut socket: Connection) {
        if !self.selector.matches_addresses(&socket) {
            self.stats.others += 1;
            return;
        }
        if let Some(holdings) = &mut self.holdings {
            if socket.inode == 0 {
                socket.orphan = true;
            } else {
                match holdings.held(socket.inode) {
                    Held::Yes => {}
                    Held::No => {
                        self.stats.others += 1;
                        return;
                    }
                    Held::NotKnown if self.pending.len() < MAX_PENDING => {
                        self.pending.push(socket);
                        return;
                    }
                    Held::NotKnown => {
                        self.stats.unattributed += 1;
                        return;
                    }
                }
            }
        }
        self.deliver(&socket);
    }

    /// Hands on a socket that is the gateway's.
    fn deliver(&mut self, socket: &Connection) {
        if socket.state == State::Listen {
            if self.stats.listeners.len() < MAX_LISTENERS {
                self.stats.listeners.push(listener(socket));
            }
        } else if socket.orphan {
            // Mostly other processes' TIME-WAIT. One left out only looks as if it had vanished instead of closed.
            if self.stats.orphans < self.most {
                self.stats.orphans += 1;
                (self.visit)(socket);
            }
        } else if self.stats.visited >= self.most {
            self.stats.left_out += 1;
        } else {
            self.stats.visited += 1;
            (self.visit)(socket);
        }
    }

    /// Looks up who holds the sockets that were new.
    fn settle(&mut self) -> Result<(), ScanError> {
        let mut pending = std::mem::take(self.pending);
        let walked = match &mut self.holdings {
            Some(holdings) if !pending.is_empty() => holdings.walk_again()?,
            _ => false,
        };
        for socket in &pending {
            let ours = walked && self.holdings.as_mut().is_some_and(|holdings| holdings.settle(socket.inode));
            match (walked, ours) {
                (true, true) => self.deliver(socket),
                (true, false) => self.stats.others += 1,
                (false, _) => self.stats.unattributed += 1,
            }
        }
        pending.clear();
        *self.pending = pending;
        if let Some(holdings) = &mut self.holdings {
            holdings.finish();
        }
        Ok(())
    }
}
