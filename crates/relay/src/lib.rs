//! A relay in the path of real WebSocket sessions: it forwards bytes as they are and sees how each session fares.
//!
//! After a handshake that it verifies on both sides, a session's bytes are read into a buffer shared by the thread, looked
//! at where they lie by a scanner of frame headers, and written on. No payload is unmasked, decoded or copied, so
//! compression and subprotocols do not matter; what is seen (round trips, heartbeats, codes, silences, stalls) lives in a
//! small record that lists, orders and a periodic sweep read.
//!
//! The rooms, from the outside in:
//!
//! * [`RelayConfig`] says where and within which bounds; [`Relay::start`] gives a [`RelayHandle`], which answers questions
//!   ([`RelayHandle::list`], [`RelayHandle::counts`]) and takes orders ([`RelayHandle::close_session`],
//!   [`RelayHandle::drain`], [`RelayHandle::hold`], …); a [`Sink`] is told [`Event`]s.
//! * `listen`, `admission`: who comes in. `serve`: the HTTP part, which ends in a session or stays HTTP. `http`, `proxy`:
//!   the formats, pure. `dial`, `gate`: the way to the gateway, and waiting for it.
//! * `task`, `pump`: a session. `record`, `registry`, `view`, `judge`, `sweep`: what is known of it.
//! * [`handover`]: listening sockets given to a new process.
//!
//! Three promises hold everywhere: one session's fault touches no other; every buffer, wait and count has a bound; no
//! connection is reset by us where a half-close and a short drain can end it.

mod admission;
mod clock;
mod config;
mod dial;
mod entry;
mod event;
mod gate;
mod handle;
pub mod handover;
mod http;
mod judge;
mod listen;
mod order;
mod proxy;
mod pump;
mod record;
mod registry;
mod serve;
mod shared;
mod stream;
mod sweep;
mod task;
mod view;

pub use config::{
    FindInstance, Hold, Instances, Keepalive, Limits, ListenAddress, ListenerConfig, Network, NetworkError,
    ProxyVersion, RelayConfig, Times, Upstream, UpstreamAddress, UpstreamTls, Violations,
};
pub use event::{Event, InstanceHealth, NoSink, Opened, Queue, Refused, RefusedBy, Side, Sink, Swept};
pub use handle::{Meanwhile, Relay, RelayHandle, RelayNumbers};
pub use listen::{ListenError, Listener};
pub use order::{CloseOrder, Closed};
// What a configuration is made of and events hold.
pub use mooring_wire::frames::{Beat, PeekFor, ScanLimits, Violation};
