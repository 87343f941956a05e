//! The controller: keeps the state of every instance, works out what to do, and orders it.
//!
//! ```text
//!  agents ══> link ──> journal ──> fleet ──> orders (clerk: planner, gates, life of orders) ══> link ══> agents
//!                        │           │            │
//!                     Postgres   api (reads,   Postgres
//!                                 watches)
//! ```
//!
//! Each room has one task or none, and one way in: [`journal::Journal`], [`orders::Desk`], [`link::Sessions`] and
//! [`fleet::Fleet`] are the doors. [`app`] puts them together; decisions are all in `mooring-core`.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod database;
pub mod fleet;
pub mod journal;
pub mod link;
pub mod metrics;
pub mod orders;
pub mod policies;
mod sweeper;
