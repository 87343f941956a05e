//! WAHA: its sessions by REST, their changes by its WebSocket, and the two orders that can be given safely.
//!
//! A session's status is one word, and the same word means different things: `FAILED` is an expired QR code, a revoked
//! login or a crash; `STARTING` is the planned renewal that one of its engines does about every 28 minutes, or a hang that
//! never ends; `WORKING` has been seen on accounts that were unlinked. [`state`] keeps what came before, and asks the
//! engine's own word and the account (`me`) before it names a cause. Of two sources the newer word counts: the socket is
//! quicker, and REST is asked again anyway.
//!
//! The socket is watched for itself, too: the server pings it, every 10 s in versions of 2024 and every 60 s in those of
//! 2026, so the interval is learnt and not presumed.
//!
//! **Orders** are believed when their effect is seen: the session has left the status it had and has been `WORKING` for a
//! while ([`orders`]). A `restart` that answers 200 and does nothing is a known fault of WAHA's.
//!
//! **What is never done:** `logout` in any case (it destroys the pairing); a restart while a QR code is shown (the code is
//! lost to whoever is about to scan it) or after the account was logged out, taken over (440), banned (403) or refused for
//! its version (405), where each try makes it worse; stopping the whole server.

pub mod api;
mod client;
mod events;
pub mod orders;
mod run;
mod session;
pub mod settings;
pub mod state;

pub use run::{MakeError, Waha};
pub use settings::Settings;
