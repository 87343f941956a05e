//! Mooring's domain and every decision it takes, as pure functions.
//!
//! Nothing here knows tokio, sockets, SQL, the clock or a source of randomness: `now` and the generator are arguments,
//! side effects are returned as data. That is what makes the decisions testable by properties, recorded traces and a
//! simulation, and it is checked: `cargo xtask direction` refuses such a dependency.
//!
//! Where things are: [`id`], [`time`], [`limits`], [`kind`] are the vocabulary; [`observation`], [`handshake`] and [`session`] are
//! what watchers see; [`classify`], [`detector`], [`tracker`] turn that into [`condition`]s with a [`cause`], and [`phase`] sums
//! them up; [`policy`], [`planner`], [`gate`] and [`order`] decide what is done about it.

pub mod backoff;
pub mod cause;
pub mod classify;
pub mod condition;
pub mod detector;
pub mod diagnosis;
pub mod gate;
pub mod handshake;
pub mod id;
pub mod kind;
pub mod limits;
mod named;
pub mod observation;
pub mod order;
pub mod phase;
pub mod planner;
pub mod policy;
pub mod session;
pub mod time;
pub mod tracker;
