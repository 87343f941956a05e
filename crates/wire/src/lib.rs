//! What a WebSocket handshake and session look like from the watcher's side.
//!
//! Five tools, and no judgement beyond naming facts (the names come from [`mooring_core::classify`]):
//!
//! * [`dial()`] opens a connection and records every step with its time and outcome. The opening handshake is done here
//!   and not by the WebSocket library, because a library says *that* it failed and an operator needs to know *where*:
//!   the library's error has no body of the 404, no age of the silent FIN, no certificate's end date.
//! * [`canary::run`] keeps a session open, pings, and reports what it sees as observations.
//! * [`examine()`] does both once and closes again, for people.
//! * [`exchange()`] asks for a plain page over the same steps, where HTTP is the evidence.
//! * [`lag::LagMeter`] measures how late this observer itself is, because silence seen by a stopped observer proves
//!   nothing.
//!
//! What is watched may be fragile. Three rules hold everywhere (each was learnt from a process that died of a careless
//! probe): only valid frames are sent, and of those only pings and closes, except by who speaks the protocol on top; no
//! connection is ended by a reset, but by a half-close and a short, bounded drain; every wait and every buffer has a
//! bound.

mod answer;
pub mod canary;
pub mod dial;
pub mod examine;
pub mod frames;
pub mod lag;
mod redact;
mod request;
mod session;
pub mod target;
mod transport;
pub mod url;

pub use canary::{CanaryCommand, CanaryConfig, Life};
pub use dial::exchange::{Ask, Cookies, Exchange, exchange};
pub use dial::{Dialled, dial};
pub use examine::{After, ExamineConfig, Examined, examine};
pub use lag::LagMeter;
pub use redact::Redactor;
pub use session::{Body, Data, End, Event, HTTP_AFTER_101, Session};
pub use target::{Limits, Target, TargetError, Timeouts};
pub use url::{Host, Url, UrlError};
