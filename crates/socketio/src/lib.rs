//! A small Socket.IO client: Engine.IO 4 over WebSocket and HTTP long polling, Socket.IO 5 on top.
//!
//! Not a general client but a watcher's: it opens one session, joins one namespace, answers every ping, hands over what
//! comes, and leaves as it should. Reconnecting is the caller's. What the general clients hide is what it is for: which
//! layer refused (name, TCP, TLS, HTTP, Engine.IO, namespace), what the server promised about its heartbeat, and whether
//! it kept it.
//!
//! * [`packet`]: both packet formats as pure functions.
//! * [`open`]: what the server says of a session when it opens it.
//! * [`endpoint`]: which path and query are asked for.
//! * [`refusal`]: Engine.IO's and a namespace's ways to say no, and the causes behind them.
//! * [`client`]: the session.
//! * [`probe`]: single questions, for examinations.
//!
//! The dial below is [`mooring_wire`]'s, with its rules: every step on record, valid frames only, no resets, every wait
//! and every buffer bounded. Everything that is sent is what a Socket.IO server expects of a client, and a session that
//! was opened is closed, so that no half session stays behind in the server until its timeout.

pub mod client;
pub mod endpoint;
pub mod open;
pub mod packet;
pub mod probe;
pub mod refusal;

pub use client::{Client, ConnectError, Item, Options};
pub use endpoint::Way;
pub use open::Open;
