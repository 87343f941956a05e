//! What the controller needs of a store: narrow ports by use, the records they carry, and an in-memory implementation.
//!
//! The contract is the conformance suite in [`conformance`], which every implementation passes: `store-pg` against a real
//! Postgres, [`memory`] in the simulation. Rules that hold for every method:
//!
//! - It is one transaction: all of it or none of it. When the outcome of a commit is not known the caller may simply call
//!   again; every write is idempotent (by sequence number, version, order id or request id).
//! - Time and randomness are arguments; an implementation reads neither.
//! - A lookup that finds nothing returns `None`; an update that finds another version says so.
//! - [`StoreError::Away`] means "try again later, nothing is lost"; [`StoreError::Broken`] means a bug or damaged data.

pub mod conformance;
pub mod memory;
mod ports;
mod records;
pub mod rules;

pub use ports::{
    AgentStore, CaseStore, EventStore, JournalStore, OrderStore, PauseStore, PolicyStore, SessionStore, Store,
};
pub use records::*;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, slow beyond the limit, or lost the connection meanwhile: try again later.
    #[error("the database is away: {0}")]
    Away(String),
    /// A row or a reply that cannot be: a bug or damaged data. Names the table and what is wrong.
    #[error("the database holds something it should not: {0}")]
    Broken(String),
    /// Another writer was faster: read again.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
}
