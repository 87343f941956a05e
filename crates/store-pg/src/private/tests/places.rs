//! Folders that make trouble: too long, closed to the server's user, taken, of another version.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::super::account::Me;
use super::super::home::SOCKET_PATH_LIMIT;
use super::super::{Error, PrivatePostgres};
use super::{ask, folder, options, run};

#[tokio::test]
async fn a_long_path_gets_a_short_socket_that_is_found_again() {
    let (folder, short) = (folder(), folder());
    let data_dir = folder.path().join("x".repeat(SOCKET_PATH_LIMIT)).join("data");
    let mut options = options(&data_dir);
    options.environment.short_dirs = vec!["/nonexistent".into(), short.path().to_owned()];

    let mut postgres = PrivatePostgres::start(options.clone()).await.unwrap();
    let socket = postgres.socket_dir().to_owned();
    assert_eq!(socket.parent(), Some(short.path()));
    assert_eq!(socket.metadata().unwrap().mode() & 0o777, 0o700);
    let recorded = std::fs::read_to_string(data_dir.join("socket.place")).unwrap();
    assert_eq!(Path::new(recorded.trim_end()), socket);
    assert_eq!(ask(&postgres, "SELECT 'here'").await, "here");
    postgres.stop().await.unwrap();
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.socket_dir(), socket);
    postgres.stop().await.unwrap();
    drop(postgres);
    assert!(!socket.exists(), "an empty folder is not left in a shared place");

    options.environment.short_dirs = vec!["/nonexistent".into()];
    let error = PrivatePostgres::start(options).await.unwrap_err();
    assert!(matches!(error, Error::NoSocketDir { .. }), "{error}");
}

#[tokio::test]
async fn a_root_whose_folder_is_closed_gets_the_cluster_elsewhere() {
    if !Me::now().is_root() {
        return; // Only root's server is another user, who can be shut out.
    }
    let (folder, elsewhere) = (folder(), folder());
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut options = options(&closed.join("data"));
    options.environment.fallback_home = elsewhere.path().join("private");

    let mut postgres = PrivatePostgres::start(options.clone()).await.unwrap();
    assert!(postgres.cluster_dir().starts_with(elsewhere.path()));
    run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
    let cluster = postgres.cluster_dir();
    postgres.stop().await.unwrap();
    drop(postgres);

    let postgres = PrivatePostgres::start(options.clone()).await.unwrap();
    assert_eq!(postgres.cluster_dir(), cluster);
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
    drop(postgres);

    // Taken away: an empty cluster in its place would look like lost data.
    std::fs::rename(elsewhere.path().join("private"), elsewhere.path().join("gone")).unwrap();
    let error = PrivatePostgres::start(options).await.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
}

#[tokio::test]
async fn a_cluster_that_exists_is_not_moved_when_its_folder_is_closed() {
    if !Me::now().is_root() {
        return;
    }
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut postgres = PrivatePostgres::start(options(&data_dir)).await.unwrap();
    postgres.stop().await.unwrap();
    drop(postgres);
    std::fs::set_permissions(&data_dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(options(&data_dir)).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { at, .. } if *at == data_dir), "{error}");
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_refused_untouched() {
    let folder = folder();
    let mut postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    postgres.stop().await.unwrap();
    let version = postgres.cluster_dir().join("PG_VERSION");
    drop(postgres);
    std::fs::write(&version, "99\n").unwrap();
    let error = PrivatePostgres::start(options(folder.path())).await.unwrap_err();
    assert!(matches!(error, Error::WrongMajor { cluster_major: 99, .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&version).unwrap(), "99\n");
}

#[tokio::test]
async fn what_is_no_cluster_is_refused_and_what_is_empty_or_unfinished_is_not() {
    let folder = folder();
    let taken = folder.path().join("taken");
    std::fs::create_dir_all(taken.join("postgres")).unwrap();
    std::fs::write(taken.join("postgres/letters"), "dear").unwrap();
    if let Some(uid) = Me::now().is_root().then_some(65534) {
        std::os::unix::fs::chown(taken.join("postgres"), Some(uid), Some(uid)).unwrap();
    }
    let error = PrivatePostgres::start(options(&taken)).await.unwrap_err();
    assert!(matches!(error, Error::NotACluster { .. }), "{error}");
    assert!(taken.join("postgres/letters").exists());

    // As a kill during initdb leaves it.
    let data_dir = folder.path().join("unfinished");
    std::fs::create_dir_all(data_dir.join("postgres.new/base")).unwrap();
    std::fs::write(data_dir.join("postgres.new/PG_VERSION"), "15\n").unwrap();
    std::fs::create_dir(data_dir.join("postgres")).unwrap();
    let postgres = PrivatePostgres::start(options(&data_dir)).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT 'whole'").await, "whole");
    assert!(!data_dir.join("postgres.new").exists());
}

#[tokio::test]
async fn a_relative_data_folder_is_where_the_working_folder_says() {
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    let folder = folder();
    let up: std::path::PathBuf = here.ancestors().skip(1).map(|_parent| "..").collect();
    let relative = up.join(folder.path().canonicalize().unwrap().strip_prefix("/").unwrap()).join("data");
    assert!(relative.is_relative());
    let postgres = PrivatePostgres::start(options(&relative)).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT 'here'").await, "here");
    assert!(folder.path().join("data/postgres/PG_VERSION").exists());
}
