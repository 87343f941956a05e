//! Evolution API: many WhatsApp accounts behind one process with REST, a database, and events over Socket.IO.
//!
//! What it says of itself cannot be taken as it is. Its REST state is the process's own belief, its database is late, its
//! events leave out drops that it retries, and its answers to orders say yes where nothing was done. So each of these is
//! read, with the time at which it was true ([`trace`]), and only put together they make a verdict ([`state`], pure);
//! orders are chosen from a fresh look and count as done when their effect was seen ([`order`], pure). [`rest`] and
//! [`events`] ([`socket`]) are the two interfaces, [`watch`] the one task that ties it all together.
//!
//! Tokens of instances are in nearly everything the gateway sends, in clear. [`seen`] and [`rest`] take out what is needed
//! and drop the rest before anything can log it.

pub mod events;
pub mod facts;
pub mod fleet;
pub mod name;
pub mod order;
pub mod rest;
pub mod seen;
pub mod settings;
pub mod socket;
pub mod state;
pub mod trace;
pub mod version;
pub mod watch;

pub use settings::{EventsMode, Settings};

use crate::adapter::Adapter;

/// An adapter by these settings.
///
/// # Errors
/// In words, when the URL, the key file or the TLS files cannot be used.
pub fn adapter(settings: Settings) -> Result<Box<dyn Adapter>, String> {
    let rest = rest::Rest::new(&settings)?;
    let events =
        socket::Socket::new(&settings, &rest)?.map(|socket| Box::new(socket) as Box<dyn events::Events>);
    Ok(Box::new(watch::Evolution { settings, rest, events }))
}
