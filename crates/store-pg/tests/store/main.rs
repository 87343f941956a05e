//! The store in Postgres, with the real server: the conformance suite, and what only a database can do wrong.
//!
//! One private server for each test, one database for each store.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report, in its helpers too")]

use std::sync::atomic::{AtomicU32, Ordering};

use mooring_store_pg::private::PrivatePostgres;
use mooring_store_pg::{PgStore, PoolSettings};

mod away;
mod concurrency;
mod conformance;
mod cost;
mod migrations;

/// A server of the test's own.
struct Server {
    postgres: PrivatePostgres,
    databases: AtomicU32,
}

impl Server {
    async fn start() -> Self {
        Self { postgres: PrivatePostgres::temporary().await.unwrap(), databases: AtomicU32::new(0) }
    }

    /// A new, empty database; its name.
    async fn database(&self) -> String {
        let name = format!("store_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        assert!(self.postgres.create_database(&name).await.unwrap());
        name
    }

    async fn connect(&self, database: &str, settings: PoolSettings) -> PgStore {
        PgStore::connect(self.postgres.connect_options(database), settings).await.unwrap()
    }

    /// A store on a new, migrated database.
    async fn store(&self) -> PgStore {
        let store = self.connect(&self.database().await, PoolSettings::default()).await;
        store.migrate().await.unwrap();
        store
    }
}
