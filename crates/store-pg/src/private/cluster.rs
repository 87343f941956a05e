//! The cluster: its files on disk, before any server runs on them.
//!
//! `initdb` takes a second or two and can be killed halfway. It works in `postgres.new`, and the finished cluster gets
//! its name by one rename: what is called `postgres` is always whole. An unfinished one never held anybody's data and is
//! removed by the next start. Nothing else is ever deleted here.
//!
//! Locale C and UTF-8: the order of text then never depends on the C library's version, which can silently corrupt
//! indexes when a machine is upgraded.
//!
//! Authentication is `trust` on the socket: who may connect is decided by the socket's folder (mode 0700, the server's
//! user), that is, exactly by who could read the cluster's files anyway. `peer` would add a user map for the same result,
//! and would shut root out when the server runs as another user.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::discover::Installation;
use super::error::{Error, io};
use super::home::{Home, sync_folder};
use super::log::last_lines;
use super::options::{Durability, Options, ROLE};

/// How long `initdb` may take. It is a second or two on anything but an overloaded machine.
const INITDB_TIMEOUT: Duration = Duration::from_secs(180);

/// The major version of the cluster in its place; `None` when there is none yet.
pub(super) fn major(cluster: &Path) -> Result<Option<u32>, Error> {
    let text = match std::fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let absent = match std::fs::read_dir(cluster) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            return if absent { Ok(None) } else { Err(Error::NotACluster { path: cluster.to_owned() }) };
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotADirectory | ErrorKind::InvalidData) => {
            return Err(Error::NotACluster { path: cluster.to_owned() });
        }
        Err(error) => return Err(io("read the version of the cluster in", cluster)(error)),
    };
    let major =
        text.trim().parse().map_err(|_not_a_number| Error::NotACluster { path: cluster.to_owned() })?;
    Ok(Some(major))
}

/// Makes the cluster. Call with the lock held, and only when [`major`] found none.
pub(super) async fn make(home: &Home, installation: &Installation, options: &Options) -> Result<(), Error> {
    let cluster = home.cluster();
    let unfinished = home.unfinished();
    match std::fs::remove_dir_all(&unfinished) {
        Ok(()) => tracing::info!(path = %unfinished.display(), "removed a cluster that was never finished"),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io("remove the unfinished cluster", &unfinished)(error)),
    }
    std::fs::create_dir(&unfinished).map_err(io("make the folder", &unfinished))?;
    home.account.give(&unfinished)?;

    let initdb = installation.bin_dir.join("initdb");
    let mut command = home.account.command(&initdb, &options.environment);
    command.arg("--pgdata").arg(&unfinished).args(["--username", ROLE, "--auth", "trust"]);
    command.args(["--encoding", "UTF8", "--locale", "C"]);
    command.arg(match options.durability {
        Durability::Durable => "--data-checksums",
        Durability::Throwaway => "--no-sync",
    });
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    let run = command.kill_on_drop(true).output();
    let failed = |status: String, output: &[u8]| Error::Initdb {
        cluster: cluster.clone(),
        status,
        output: last_lines(output),
    };
    let output = match tokio::time::timeout(INITDB_TIMEOUT, run).await {
        Ok(output) => output.map_err(io("run", &initdb))?,
        Err(_elapsed) => return Err(failed(format!("ended after {INITDB_TIMEOUT:?}"), b"")),
    };
    if !output.status.success() {
        // The reason is on stderr; which step it was, on stdout.
        return Err(failed(output.status.to_string(), &[output.stdout, output.stderr].concat()));
    }
    std::fs::rename(&unfinished, &cluster).map_err(io("put the new cluster in place at", &cluster))?;
    sync_folder(&cluster)?;
    tracing::info!(cluster = %cluster.display(), version = %installation.version.text, "made a cluster");
    Ok(())
}
