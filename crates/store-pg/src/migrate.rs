//! Migrations: embedded, applied at a start, by one process at a time.
//!
//! sqlx would wait for its lock inside one statement. That statement's snapshot is what `CREATE INDEX CONCURRENTLY` of the
//! process that holds the lock waits for: two starting controllers would wait for each other. So sqlx's lock is off, and
//! ours is tried for, with pauses in which no statement runs.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::open::{OpenError, cannot_connect, shown};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The number of the advisory lock: "mooring" in ASCII.
const LOCK: i64 = 0x6d_6f6f_7269_6e67;

/// How long another process may migrate before we give up: a large index takes minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two tries for the lock.
const PAUSE: Duration = Duration::from_millis(100);

/// Brings the database to the newest migration. `options` are those of the database without any statement timeout.
pub(crate) async fn run(options: &PgConnectOptions) -> Result<(), OpenError> {
    let opened = options.connect().await;
    let mut connection = opened.map_err(|error| cannot_connect(shown(options), &error))?;
    let result = locked(&mut connection).await;
    // Closing the session gives the lock back, whatever happened.
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the migration's connection did not close cleanly");
    }
    result
}

async fn locked(connection: &mut PgConnection) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Migrate { what: error.to_string() };
    let since = tokio::time::Instant::now();
    loop {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if taken {
            break;
        }
        if since.elapsed() >= PATIENCE {
            return Err(OpenError::Locked { waited: since.elapsed(), lock: LOCK });
        }
        tokio::time::sleep(PAUSE).await;
    }
    let known: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
    let before = applied(connection).await?;
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.set_locking(false);
    let newest = known.last().copied().unwrap_or(0);
    migrator.run_direct(None, connection, false).await.map_err(|error| refused(error, newest))?;
    if before < known.len() {
        tracing::info!(applied = known.len() - before, newest, "migrated the database");
    }
    Ok(())
}

/// How many migrations the database has.
async fn applied(connection: &mut PgConnection) -> Result<usize, OpenError> {
    let failed = |error: MigrateError| OpenError::Migrate { what: error.to_string() };
    connection.ensure_migrations_table(&MIGRATIONS.table_name).await.map_err(failed)?;
    Ok(connection.list_applied_migrations(&MIGRATIONS.table_name).await.map_err(failed)?.len())
}

fn refused(error: MigrateError, known: i64) -> OpenError {
    match error {
        MigrateError::VersionMissing(found) if found > known => OpenError::Newer { found, known },
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            OpenError::Edited { version }
        }
        other => OpenError::Migrate { what: other.to_string() },
    }
}
