//! Kills, orphans and stale files: what a start must recover from.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::super::{Durability, Error, Options, PrivatePostgres, Stopped};
use super::{PATIENCE, ask, folder, kill, options, run, runs, until};

/// Waits until a server that was started behind the back of `postgres` takes connections: its socket is there earlier.
async fn connected(postgres: &PrivatePostgres) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = sqlx::ConnectOptions::connect(&postgres.connect_options("postgres")).await {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {error}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_recovers() {
    let folder = folder();
    // As for real use: the promise is about a commit that was answered a moment before the kill.
    let durable = Options { durability: Durability::Durable, ..options(folder.path()) };
    let mut postgres = PrivatePostgres::start(durable).await.unwrap();
    assert_eq!(ask(&postgres, "SHOW data_checksums").await, "on");
    run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
    // A backend that cannot notice its postmaster's death: it would keep the next server from starting.
    let mut client = sqlx::ConnectOptions::connect(&postgres.connect_options("postgres")).await.unwrap();
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut client).await.unwrap();
    kill(backend.unsigned_abs(), Signal::STOP);

    let pid = postgres.pid().unwrap();
    let died = postgres.died();
    kill(pid, Signal::KILL);
    let exit = tokio::time::timeout(PATIENCE, died).await.unwrap();
    assert_eq!(exit.to_string(), "signal: 9 (SIGKILL)");

    postgres.start_again().await.unwrap();
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
    assert!(!runs(backend.unsigned_abs()));

    kill(postgres.pid().unwrap(), Signal::KILL);
    postgres.died().await;
    assert!(matches!(postgres.stop().await.unwrap(), Stopped::AlreadyEnded(exit) if exit.status.is_some()));
    // Once more, because only a server that ends in order takes its shared memory out of /dev/shm.
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.stop().await.unwrap(), Stopped::Fast);
}

#[tokio::test]
async fn a_throwaway_server_keeps_its_commits_over_a_kill_when_asked_to() {
    let folder = folder();
    let mut options = options(folder.path());
    options.settings = vec![("synchronous_commit".into(), "on".into())];
    let mut postgres = PrivatePostgres::start(options).await.unwrap();
    run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
    kill(postgres.pid().unwrap(), Signal::KILL);
    postgres.died().await;
    postgres.start_again().await.unwrap();
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
}

#[tokio::test]
async fn an_orphan_is_ended_and_its_data_is_taken_over() {
    let folder = folder();
    let mut postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    postgres.stop().await.unwrap();
    // The same server, started by nobody who watches it.
    let program = postgres.installation.bin_dir.join("postgres");
    let mut command = postgres.home.account.command(&program, &postgres.options.environment);
    command.args(&postgres.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut orphan = command.spawn().unwrap();
    connected(&postgres).await;
    run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
    drop(postgres);

    let postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    assert!(!runs(orphan.id()));
    // 0: it wrote its checkpoint and went in order.
    assert_eq!(orphan.wait().unwrap().code(), Some(0));
    assert_ne!(postgres.pid(), Some(orphan.id()));
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
}

#[tokio::test]
async fn a_stale_pid_file_does_not_stop_a_start() {
    let folder = folder();
    let mut postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    let pid_file = postgres.cluster_dir().join("postmaster.pid");
    let socket_lock = postgres.socket_dir().join(".s.PGSQL.5432.lock");
    let account = postgres.home.account.clone();
    let left = std::fs::read_to_string(&pid_file).unwrap();
    postgres.stop().await.unwrap();

    // A process of the server's user that has got the dead server's number: Postgres alone would refuse to start. Then
    // a number that nobody has: Postgres alone can tell.
    let environment = postgres.options.environment.clone();
    let mut command = account.command("/bin/sh".as_ref(), &environment);
    let mut stranger = command.args(["-c", "read -r _"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    for pid in [stranger.id(), dead.id()] {
        let text = left.replacen(left.lines().next().unwrap(), &pid.to_string(), 1);
        for file in [&pid_file, &socket_lock] {
            std::fs::write(file, &text).unwrap();
            account.give(file).unwrap();
        }
        postgres.start_again().await.unwrap();
        assert_eq!(ask(&postgres, "SELECT 'up'").await, "up");
        assert!(runs(stranger.id()), "a process that is no server of this cluster is not touched");
        postgres.stop().await.unwrap();
    }
    drop(stranger.stdin.take());
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_single_user_server_is_not_disturbed() {
    let folder = folder();
    let mut postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    postgres.stop().await.unwrap();
    let program = postgres.installation.bin_dir.join("postgres");
    let mut command = postgres.home.account.command(&program, &postgres.options.environment);
    command.arg("--single").arg("-D").arg(postgres.cluster_dir()).arg("postgres");
    let mut repair =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid_file = postgres.cluster_dir().join("postmaster.pid");
    until("the single-user server's pid file", || pid_file.exists()).await;
    let error = postgres.start_again().await.unwrap_err();
    assert!(matches!(error, Error::SingleUser { pid, .. } if pid == repair.id()), "{error}");
    assert!(runs(repair.id()));
    drop(repair.stdin.take());
    repair.wait().unwrap();
    postgres.start_again().await.unwrap();
}

const HOLD: &str = "MOORING_TEST_HOLD_DATA_DIR";

/// Not a test of its own: the process that the next test kills. Without the variable it has nothing to do.
#[tokio::test]
async fn holder_process() {
    if let Some(data_dir) = std::env::var_os(HOLD) {
        let postgres = PrivatePostgres::start(options(data_dir.as_ref())).await.unwrap();
        run(&postgres, "CREATE TABLE t AS SELECT 'kept' AS c").await;
        println!("\nholding {}", postgres.pid().unwrap());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn the_server_does_not_outlive_a_killed_mooring() {
    let folder = folder();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "private::tests::recovery::holder_process", "--nocapture"])
        .env(HOLD, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let server: u32 = lines
        .filter_map(|line| line.strip_prefix("holding ")?.parse().ok())
        .next()
        .expect("the holder starts its server");
    assert!(runs(server));
    let error = PrivatePostgres::start(options(folder.path())).await.unwrap_err();
    assert!(matches!(&error, Error::InUse { pid: Some(pid), .. } if *pid == holder.id()), "{error}");

    holder.kill().unwrap();
    holder.wait().unwrap();
    until("the watchdog ends the server", || !runs(server)).await;
    let postgres = PrivatePostgres::start(options(folder.path())).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT c FROM t").await, "kept");
}
