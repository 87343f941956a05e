//! Migrations: once, by whoever comes first, and never over a newer or an edited schema.

use futures_util::future::join_all;
use mooring_store::AgentStore;
use mooring_store_pg::{OpenError, PoolSettings};
use sqlx::ConnectOptions;

use crate::Server;

async fn run(server: &Server, database: &str, statement: &'static str) {
    let mut connection = server.postgres.connect_options(database).connect().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn many_starting_at_once_migrate_once() {
    let server = Server::start().await;
    let database = server.database().await;
    let stores = join_all((0..4).map(|_| server.connect(&database, PoolSettings::default()))).await;
    for migrated in join_all(stores.iter().map(|store| store.migrate())).await {
        migrated.unwrap();
    }
    stores[0].migrate().await.unwrap();
    assert!(stores[0].load().await.unwrap().agents.is_empty());
    let mut connection = server.postgres.connect_options(&database).connect().await.unwrap();
    let (rows, versions): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert!(rows >= 1 && rows == versions, "{rows} {versions}");
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(held, 0, "the lock was given back");
}

#[tokio::test]
async fn a_newer_or_an_edited_schema_is_refused_and_left_alone() {
    let server = Server::start().await;
    let database = server.database().await;
    let store = server.connect(&database, PoolSettings::default()).await;
    store.migrate().await.unwrap();
    run(
        &server,
        &database,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (900000, 'from the future', true, '', 0)",
    )
    .await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 900_000, known: 1.. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");

    run(&server, &database, "DELETE FROM _sqlx_migrations WHERE version = 900000").await;
    run(&server, &database, "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1").await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, OpenError::Edited { version: 1 }), "{error}");
}
