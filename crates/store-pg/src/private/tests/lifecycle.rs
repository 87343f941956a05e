//! Start, use, stop, start again: the life of a server that nobody disturbs.

use std::time::Duration;

use futures_util::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::super::{Error, PrivatePostgres, Stopped};
use super::{ask, folder, options, run, runs};

#[tokio::test]
async fn data_survives_a_restart_on_the_same_socket() {
    let folder = folder();
    let mut postgres = PrivatePostgres::start(options(&folder.path().join("a b"))).await.unwrap();
    run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
    assert_eq!(ask(&postgres, "SHOW fsync").await, "off");
    assert_eq!(ask(&postgres, "SHOW listen_addresses").await, "");
    assert_eq!(ask(&postgres, "SHOW server_encoding").await, "UTF8");

    let socket = postgres.socket_dir().to_owned();
    let first = postgres.pid().unwrap();
    // A group of its own: a terminal's Ctrl-C goes to Mooring's.
    let process = super::super::leftovers::to_pid(first);
    assert_eq!(rustix::process::getpgid(process).ok(), process);
    let died = postgres.died();
    assert_eq!(postgres.restart().await.unwrap(), Stopped::Fast);
    assert_ne!(postgres.pid(), Some(first));
    assert_eq!(postgres.socket_dir(), socket);
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
    assert!(died.now_or_never().is_none(), "an ordered stop is not a death");

    let second = postgres.pid().unwrap();
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.pid(), Some(second), "a running server is left alone");

    assert_eq!(postgres.stop().await.unwrap(), Stopped::Fast);
    assert_eq!(postgres.stop().await.unwrap(), Stopped::NotRunning);
    assert!(!runs(second) && postgres.pid().is_none());
    drop(postgres);

    let postgres = PrivatePostgres::start(options(&folder.path().join("a b"))).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
}

#[tokio::test]
async fn databases_are_made_and_dropped_by_any_name() {
    let postgres = PrivatePostgres::temporary().await.unwrap();
    let name = "a \"b\"/c?é";
    assert!(postgres.create_database(name).await.unwrap());
    assert!(!postgres.create_database(name).await.unwrap(), "it was there");

    // The URL leads to the same database, and its client does not keep the database from being dropped.
    let options: PgConnectOptions = postgres.url(name).parse().unwrap();
    let mut client = options.connect().await.unwrap();
    let current: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut client).await.unwrap();
    assert_eq!(current, name);
    postgres.drop_database(name).await.unwrap();
    assert!(client.ping().await.is_err());
    postgres.drop_database(name).await.unwrap();

    for bad in ["", "a\0b", &"x".repeat(64)] {
        assert!(matches!(postgres.create_database(bad).await, Err(Error::DatabaseName { .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn a_temporary_server_leaves_nothing() {
    let postgres = PrivatePostgres::temporary().await.unwrap();
    let pid = postgres.pid().unwrap();
    let cluster = postgres.cluster_dir();
    let data_dir = cluster.parent().unwrap().to_owned();
    assert!(cluster.is_dir() && runs(pid));
    drop(postgres);
    assert!(!runs(pid));
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_second_holder_is_refused_by_the_first_ones_process_id() {
    let folder = folder();
    let first = PrivatePostgres::start(options(folder.path())).await.unwrap();
    let error = PrivatePostgres::start(options(folder.path())).await.unwrap_err();
    assert!(matches!(&error, Error::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
    assert_eq!(ask(&first, "SELECT 'undisturbed'").await, "undisturbed");
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_its_log() {
    let folder = folder();
    let mut options = options(folder.path());
    options.settings = vec![("shared_buffers".into(), "nonsense".into())];
    let error = PrivatePostgres::start(options).await.unwrap_err();
    assert!(matches!(error, Error::Exited { .. }), "{error}");
    assert!(error.to_string().contains("invalid value for parameter \"shared_buffers\""), "{error}");
}

#[tokio::test]
async fn a_server_that_hears_nothing_is_stopped_all_the_same() {
    let folder = folder();
    let mut options = options(folder.path());
    options.stop_timeout = Duration::from_millis(200);
    let mut postgres = PrivatePostgres::start(options).await.unwrap();
    // A client in the middle of a commit, so to speak: a backend that is frozen cannot be disconnected by a fast
    // shutdown, and only the immediate one goes on without it.
    let mut client = postgres.connect_options("postgres").connect().await.unwrap();
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut client).await.unwrap();
    super::kill(backend.unsigned_abs(), rustix::process::Signal::STOP);
    assert_eq!(postgres.stop().await.unwrap(), Stopped::Immediate);
}
