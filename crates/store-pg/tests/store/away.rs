//! What the caller hears when the database is away, slow or elsewhere.

use std::time::Duration;

use futures_util::StreamExt;
use mooring_core::id::{AgentId, BootId};
use mooring_core::time::Timestamp;
use mooring_store::{AgentStore, Attach, EventStore, JournalStore, StoreError};
use mooring_store_pg::{Hint, OpenError, PgStore, PoolSettings, parse_url};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use crate::Server;

fn attach() -> Attach {
    Attach {
        agent: AgentId::new("a").unwrap(),
        boot: BootId(Uuid::from_u128(1)),
        node: "n".to_owned(),
        version: "v".to_owned(),
        now: Timestamp(1),
    }
}

fn impatient() -> PoolSettings {
    PoolSettings { acquire_timeout: Duration::from_millis(500), ..PoolSettings::default() }
}

#[tokio::test]
async fn a_stopped_server_is_away_and_comes_back() {
    let mut server = Server::start().await;
    let database = server.database().await;
    let store = server.connect(&database, impatient()).await;
    store.migrate().await.unwrap();
    store.attach(&attach()).await.unwrap();
    let mut hints = std::pin::pin!(store.listen_orders());
    assert_eq!(hints.next().await, Some(Hint::Reconnected));

    server.postgres.stop().await.unwrap();
    let answers = [
        store.ping().await,
        store.load().await.map(drop),
        store.attach(&attach()).await.map(drop),
        store.append_events(&[]).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Away(_))), "{answer:?}");
    }
    let error = PgStore::connect(server.postgres.connect_options(&database), impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("is Postgres running there"), "{error}");

    server.postgres.start_again().await.unwrap();
    assert_eq!(store.attach(&attach()).await.unwrap().epoch, 2, "the same store works again");
    assert_eq!(hints.next().await, Some(Hint::Reconnected), "and says that it did not hear all");
}

#[tokio::test]
async fn waiting_for_a_lock_or_working_too_long_is_away() {
    let server = Server::start().await;
    let database = server.database().await;
    let lock = PoolSettings { lock_timeout: Duration::from_millis(100), ..PoolSettings::default() };
    let statement = PoolSettings { statement_timeout: Duration::from_millis(100), ..PoolSettings::default() };
    let call = PoolSettings { call_timeout: Duration::from_millis(100), ..PoolSettings::default() };
    let first = server.connect(&database, lock.clone()).await;
    first.migrate().await.unwrap();
    let mut blocker = server.postgres.connect_options(&database).connect().await.unwrap();
    let mut holding = blocker.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE agents").execute(&mut *holding).await.unwrap();
    for (settings, word) in [(lock, "55P03"), (statement, "57014"), (call, "no answer within 100ms")] {
        let store = server.connect(&database, settings).await;
        let error = store.attach(&attach()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Away(why) if why.contains(word)), "{error}");
    }
    holding.rollback().await.unwrap();
    assert_eq!(first.attach(&attach()).await.unwrap().epoch, 1);
}

#[tokio::test]
async fn a_lost_connection_is_away_once() {
    let server = Server::start().await;
    let store = server.store().await;
    store.ping().await.unwrap();
    let mut other = server.postgres.connect_options("postgres").connect().await.unwrap();
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mooring'",
    );
    assert!(ended.execute(&mut other).await.unwrap().rows_affected() >= 1);
    // The pool may notice by itself; if not, the call says away and never anything else.
    match store.commit(&[]).await.and(store.ping().await) {
        Ok(()) | Err(StoreError::Away(_)) => {}
        Err(other) => panic!("{other}"),
    }
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do_and_without_the_password() {
    let server = Server::start().await;
    let options = server.postgres.connect_options("missing").password("s3cret");
    let error = PgStore::connect(options, PoolSettings::default()).await.unwrap_err().to_string();
    assert!(error.contains("/missing") && error.contains("createdb") && error.contains(":***@"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");

    // Nothing listens on port 1.
    let options = parse_url("postgres://ann:s3cret@127.0.0.1:1/fleet").unwrap();
    let error = PgStore::connect(options, impatient()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("cannot connect to postgres://ann:***@127.0.0.1:1/fleet"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");

    // Without the schema: not away, for waiting will not mend it.
    let store = server.connect(&server.database().await, PoolSettings::default()).await;
    let error = store.load().await.unwrap_err();
    assert!(matches!(&error, StoreError::Broken(what) if what.contains("agents")), "{error}");
    assert!(!format!("{store:?}").contains("s3cret"));
}
