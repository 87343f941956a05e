//! The relay against real sockets: tokio-tungstenite at both ends where a peer is wanted, bytes by hand where a rule is.

#![expect(clippy::unwrap_used, reason = "tests may: a panic is the report")]

mod close;
mod echo;
mod faults;
mod handover;
mod hold;
mod http;
mod keepalive;
mod limits;
mod support;
mod verify;
mod ways_in;
