//! A gateway's TCP connections as the Linux kernel sees them, and the power to cut one of them.
//!
//! Nothing here is in the path of a connection. The kernel is asked over netlink (`sock_diag(7)`) for every socket that a
//! [`Selector`] names, with its `tcp_info`: round trip, retransmissions, queues, how long nothing came or went. That works
//! through TLS, for links a gateway dials as well as those it serves, and with a gateway that knows nothing of us.
//!
//! - [`Namespace`] says whose network is read, [`Selector`] which sockets in it are the gateway's.
//! - [`Reader::scan`] walks them once, without allocating for each, and hands each [`Connection`] to a visitor.
//! - [`judge`] is pure: successive scans in, findings out (half open, stalled, silent beyond its habit, ended).
//! - [`Reader::cut`] destroys exactly one connection (`SOCK_DESTROY`), after looking again whether it is the gateway's.
//! - [`capabilities`] says in words what of this the kernel and our privileges allow.
//!
//! The netlink messages are encoded and parsed by hand (module `diag`, crate-private): it is five structures of plain
//! integers, and a dump of 100,000 sockets passes through one reused buffer. There is no `unsafe` here; the two system
//! calls that are not in `std`, netlink sockets and `setns(2)`, come from `rustix`.
//!
//! Everything is blocking and quick; an async caller runs a scan on a blocking thread. On anything but Linux opening a
//! [`Reader`] fails with [`OpenError::Unsupported`]; the pure parts work anywhere.
//!
//! # What polling cannot know
//!
//! A connection that opens and closes between two scans is never seen. One that is gone from one scan to the next ended
//! somewhere in between, and how is a guess from the state it was last seen in: an orderly close that took less than a
//! scan's interval looks like a reset. The kernel keeps no time of connecting, so an age is exact only to one interval,
//! and a lower bound for what was there at the first scan.

pub mod capability;
pub mod connection;
mod cut;
mod diag;
pub mod judge;
mod link;
mod namespace;
mod process;
mod reader;
pub mod selector;
mod sys;

pub use capability::{Ability, Capabilities, capabilities};
pub use connection::{Congestion, Connection, Family, Listener, State, TcpInfo, Timer};
pub use cut::{Cut, CutError, Refusal, Target};
pub use link::ScanError;
pub use namespace::{Namespace, OpenError};
pub use process::{Process, ProcessError};
pub use reader::{MAX_CONNECTIONS, Reader, ScanStats};
pub use selector::{Remote, Selector};
