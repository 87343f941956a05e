//! The frame-header scanner: what a WebSocket session says of itself, read from the bytes that go by (RFC 6455 §5).
//!
//! A relay forwards bytes as they are. To know how the session fares it needs the headers only: opcode, length, whose
//! ping met which pong, with which code it was closed. So [`Scanner`] follows one direction of a stream, in whatever
//! pieces it arrives, and says what it [`Seen`]. It owns no copy of the payload and jumps over it by arithmetic; it reads
//! payload in two places only, both bounded: control frames (at most 125 bytes) and, where asked, the first bytes of a
//! short text message that may be a protocol's heartbeat ([`PeekFor`]).
//!
//! Following and judging are kept apart. A peer that breaks a rule is reported ([`Seen::Violated`]) and followed further,
//! because the two ends may well understand each other and what to do about it is the relay's decision. Only a length that
//! cannot be ([`ViolationKind::LengthHighBit`]) ends the following.
//!
//! What is *not* checked: that the payload of text messages is UTF-8 (RFC 6455 §8.1) and that compressed payloads inflate.
//! Both would mean to touch every byte, and the endpoints do it anyway.
//!
//! Beside it: [`ping()`], [`pong()`] and [`close()`] make the few frames a relay sends of its own, where
//! [`Scanner::at_boundary`] allows; [`RoundTrips`] matches pongs to pings. All of it is pure: time and randomness are
//! arguments.

mod beat;
#[cfg(feature = "cases")]
pub mod cases;
#[cfg(feature = "cases")]
pub mod check;
mod control;
mod head;
mod round_trips;
mod scanner;
mod seen;
mod violation;

pub use beat::{Beat, Lifecycle, Millis, PeekFor};
pub use control::{Control, close, ping, pong};
pub use round_trips::RoundTrips;
pub use scanner::Scanner;
pub use seen::{CloseReason, Counts, Opcode, PayloadKey, ScanLimits, Seen, Sender};
pub use violation::{Violation, ViolationKind};

/// Largest payload of a control frame in bytes (RFC 6455 §5.5).
pub const MAX_CONTROL: usize = 125;
