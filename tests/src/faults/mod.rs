//! The faults catalogue: every row of the two tables of failure signatures, built with the software that shows it.
//!
//! A [`Fault`] is a row, or one dialect of it (the same mistake looks different behind nginx, Apache and HAProxy). Building
//! it gives a [`Scene`]: processes on loopback ports of their own, the address a person would complain about, what is
//! behind it, and the configuration files somebody would look into. It knows the cause that is to be found, and nothing
//! about how. Three things stand on it: `tests/faults`, which shows on the wire that each scene is what its row says; the
//! tests that ask for a cause; and `cargo xtask bench doctor`, which prints every fault against every verdict, with the
//! scenes in which nothing is wrong among them.
//!
//! What depends on time waits for whoever looks: a gateway that is to freeze or to restart does so a moment after some
//! session has been *held*, however many short ones came before, so that an examination of any length sees it. Timers are
//! scaled down to one or two seconds; the row says what they are by default.
//!
//! Adding a row: one function and one line in the file of its kind.

pub mod certificates;
mod engineio;
mod established;
mod fastapi;
mod gone;
mod handshake;
mod healthy;
pub mod judge;
pub mod onebot;
pub mod program;
pub mod proxy;
mod scene;
mod slow;
mod tls;
pub mod view;

use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::cause::Cause;

pub use scene::{Part, Scene};
pub use view::{ClientView, Side};

/// One way to be broken, or to be well.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The row, and what tells it from its neighbours: `H1-nginx`, `L4`; `ok-…` for what is well.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub what: &'static str,
    /// Builds it. Panics, with the logs, when a part does not start.
    pub build: fn() -> BoxFuture<'static, Scene>,
    /// What is to be found; `None` where nothing is wrong.
    pub cause: Option<Cause>,
    /// Honest answers too, for whoever has only the outermost address to look at.
    pub also: &'static [Cause],
    /// How long a session has to be held to see it, for what happens to established sessions only.
    pub watch: Option<Duration>,
}

type Build = fn() -> BoxFuture<'static, Scene>;

/// A row.
const fn row(id: &'static str, what: &'static str, cause: Cause, build: Build) -> Fault {
    Fault { id, what, build, cause: Some(cause), also: &[], watch: None }
}

/// A scene in which nothing is wrong.
const fn well(id: &'static str, what: &'static str, build: Build) -> Fault {
    Fault { id, what, build, cause: None, also: &[], watch: None }
}

impl Fault {
    const fn also(self, also: &'static [Cause]) -> Self {
        Self { also, ..self }
    }

    /// In seconds.
    const fn watch(self, seconds: u64) -> Self {
        Self { watch: Some(Duration::from_secs(seconds)), ..self }
    }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Fault> {
    let rooms: &[&[Fault]] = &[
        healthy::FAULTS,
        handshake::FAULTS,
        engineio::FAULTS,
        fastapi::FAULTS,
        gone::FAULTS,
        onebot::FAULTS,
        tls::FAULTS,
        established::FAULTS,
    ];
    rooms.concat()
}

/// Those of time at the software's own timers, which take minutes.
#[must_use]
pub fn slow() -> Vec<Fault> {
    slow::FAULTS.to_vec()
}

/// One by its id.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn find(id: &str) -> Fault {
    all().into_iter().find(|fault| fault.id == id).unwrap_or_else(|| panic!("there is no fault `{id}`"))
}
