//! The store in Postgres: the ports of `mooring-store` with sqlx, every query checked against the schema at compile time.
//!
//! - [`PgStore`] is the store; [`PoolSettings`] bound it, [`parse_url`] reads where it is, [`OpenError`] says why not.
//! - [`private`] runs a Postgres of our own where there is none.
//!
//! Habits that hold in every file:
//!
//! - **Set-wise.** A batch is one statement per table and ten thousand rows, by arrays and `UNNEST`; never a statement per
//!   row. No `COPY`: sqlx 0.9 leaves Nagle's algorithm on, which costs a `COPY` over TCP 40 ms.
//! - **Locks in one order**: the group's advisory lock, rows of agents (by id), rows of the gateway, orders (by id), and last
//!   of all the lock on events, after which nothing is waited for. What loses a deadlock all the same is tried again.
//! - **READ COMMITTED, and locks where it matters.** A statement after a lock sees what the lock's last holder wrote.
//! - **The caller's clock**, never the database's: the simulation and the tests have one time.
//! - Each method has a span `db.<area>.<what>`.
//!
//! # Offline query data
//!
//! The `query!` macros read `.sqlx/query-<hash>.json` at the workspace's root, so that nobody needs a database to build.
//! They *write* these files when `DATABASE_URL` is set, `SQLX_OFFLINE` is not true, and `SQLX_OFFLINE_DIR` names a folder.
//! `cargo xtask sqlx` does that with a throwaway server; by hand it is
//!
//! ```text
//! createdb scratch && psql -d scratch -f migrations/0001_fleet.sql      # and every other migration, in order
//! rm -r .sqlx && mkdir .sqlx && touch crates/store-pg/src/lib.rs
//! DATABASE_URL=postgres://… SQLX_OFFLINE_DIR=$PWD/.sqlx cargo check -p mooring-store-pg
//! ```
//!
//! The `touch` is needed because the macros run only when the crate is compiled, and stale files are never removed, hence
//! the `rm`. Part of what they record (which columns may be null) comes from `EXPLAIN`: use Postgres 15.

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

mod agents;
mod call;
mod cases;
mod convert;
mod errors;
mod events;
mod journal;
mod listen;
mod load;
mod migrate;
mod open;
mod orders;
mod pauses;
mod policies;
pub mod private;
mod sessions;

pub use listen::Hint;
pub use open::{OpenError, PoolSettings, parse_url};

/// The store in Postgres. Clones share its connections.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
    options: PgConnectOptions,
    settings: PoolSettings,
}

impl std::fmt::Debug for PgStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options hold the password.
        f.debug_struct("PgStore").field("url", &open::shown(&self.options)).finish_non_exhaustive()
    }
}

impl PgStore {
    /// Connects. The schema is not looked at: call [`migrate`](Self::migrate) before anything else.
    ///
    /// # Errors
    /// [`OpenError::Connect`], [`OpenError::Standby`].
    #[tracing::instrument(name = "db.store.connect", skip_all)]
    pub async fn connect(options: PgConnectOptions, settings: PoolSettings) -> Result<Self, OpenError> {
        let bounded = open::bounded(options.clone(), &settings);
        let pool = open::open(&bounded, &settings).await?;
        Ok(Self { pool, options, settings })
    }

    /// Brings the database to the newest migration this build knows. Any number of processes may do so at once; a
    /// database that a newer build migrated is refused.
    ///
    /// # Errors
    /// [`OpenError::Newer`], [`OpenError::Edited`], [`OpenError::Locked`], [`OpenError::Migrate`],
    /// [`OpenError::Connect`].
    #[tracing::instrument(name = "db.store.migrate", skip_all)]
    pub async fn migrate(&self) -> Result<(), OpenError> {
        migrate::run(&self.options).await
    }

    /// Closes every connection, waiting for the calls that use one.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
