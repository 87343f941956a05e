//! Every scene of the faults catalogue against the row it stands for: what comes over the wire, byte for byte where the row
//! says so, from the software that is named there.
//!
//! Nothing of ours judges here. Requests are written and answers read by hand ([`raw`]), so that what is shown is what the
//! proxies and gateways do, and stays true when our own dialler changes. [`everybody`] alone uses ours, and only to show
//! that nobody dies of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod engineio;
mod established;
mod everybody;
mod fastapi;
mod gone;
mod handshake;
mod onebot;
mod raw;
mod tls;
