//! Private Postgres with the real, installed server, and the decisions around it as tables.
//!
//! The tests run as any user. As root the server's user must be able to reach the data folder, so test folders let
//! others pass.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::{Durability, Options, PrivatePostgres};

mod choices;
mod discovery;
mod lifecycle;
mod places;
mod recovery;

/// The longest that a condition is waited for. Far more than it takes, since two cores may be shared by many builds.
const PATIENCE: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    let open = std::fs::Permissions::from_mode(0o711);
    tempfile::Builder::new().prefix("pg-").permissions(open).tempdir().unwrap()
}

fn options(data_dir: &Path) -> Options {
    Options { durability: Durability::Throwaway, ..Options::new(data_dir) }
}

/// Runs statements, and gives the first column of the last as text when it returns rows.
async fn ask(postgres: &PrivatePostgres, statement: &'static str) -> String {
    let mut connection = postgres.connect_options("postgres").connect().await.unwrap();
    let answer = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

async fn run(postgres: &PrivatePostgres, statements: &'static str) {
    let mut connection = postgres.connect_options("postgres").connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Waits until a condition holds, and fails with what was awaited if it does not within [`PATIENCE`].
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process runs, as opposed to being gone or a zombie that nobody has reaped.
fn runs(pid: u32) -> bool {
    let listed =
        std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(listed.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = super::leftovers::to_pid(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
