//! What an earlier run left behind on the cluster.
//!
//! A Mooring that was killed leaves, if its watchdog was killed too, a server that still runs. A server that was killed
//! can leave backends that have not noticed yet; the next server would refuse to start while one of them holds the shared
//! memory. A power failure leaves pid files whose numbers now belong to somebody else: Postgres cannot tell, and refuses.
//!
//! [`clear`] runs before every start, under the data folder's lock, so no other Mooring is starting a server here. It
//! ends what runs and removes pid files that are provably stale. A pid file of a dead process is left alone: Postgres
//! handles it, and checks the shared memory by what is in it.
//!
//! Proof that a process is a server *of this cluster* is its working folder: every Postgres process works in its
//! cluster's folder. That is read from /proc. Without /proc (macOS) the command line, as `ps` shows it, takes its place;
//! it names the cluster because this module starts servers with `-D`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::error::{Error, io};

/// How long each signal is given. A fast shutdown writes a checkpoint; an immediate one writes nothing.
const PATIENCE: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// How often a process that is not our child is looked at: there is no waiting for one portably.
const POLL: Duration = Duration::from_millis(20);

/// How long a pid file may stay empty while a server runs: it is filled microseconds after it is made.
const FILLING: Duration = Duration::from_secs(1);

/// The first line of `postmaster.pid` or of a socket's lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PidLine {
    pid: u32,
    /// A single-user server, which writes its number with a minus.
    single_user: bool,
}

impl PidLine {
    fn parse(text: &str) -> Option<Self> {
        let number: i32 = text.lines().next()?.trim().parse().ok()?;
        let pid = number.unsigned_abs();
        (pid != 0).then_some(Self { pid, single_user: number < 0 })
    }

    fn read(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }
}

/// Ends every server process on the cluster, then removes pid files that would wrongly stop the next server. Says
/// whether anything had to be ended.
pub(super) async fn clear(cluster: &Path, socket: &Path) -> Result<bool, Error> {
    let cluster = cluster.canonicalize().map_err(io("find the cluster", cluster))?;
    let pid_file = cluster.join("postmaster.pid");
    let running = running_on(&cluster);
    let main = main_process(&pid_file, !running.is_empty()).await;
    if let Some(PidLine { pid, single_user: true }) = main
        && running.contains(&pid)
    {
        return Err(Error::SingleUser { pid, cluster });
    }
    let ended = !running.is_empty();
    if ended {
        tracing::warn!(pids = ?running, cluster = %cluster.display(), "ending a server that an earlier run left behind");
        end(&cluster, &running, main.map(|line| line.pid)).await?;
    }

    let mut lock = socket.as_os_str().to_owned();
    lock.push(".lock");
    for file in [pid_file, PathBuf::from(lock)] {
        // Nothing runs on this cluster. A number that is alive all the same has been given to another process.
        if PidLine::read(&file).is_some_and(|line| exists(line.pid)) {
            std::fs::remove_file(&file).map_err(io("remove the stale lock file", &file))?;
            tracing::warn!(file = %file.display(), "removed a lock file whose process id now belongs to another process");
        }
    }
    Ok(ended)
}

/// The process that the pid file names. A server makes the file first and fills it a moment later, so while one runs an
/// empty file is looked at again: it may be a single-user server that must not be disturbed.
async fn main_process(pid_file: &Path, running: bool) -> Option<PidLine> {
    let deadline = tokio::time::Instant::now() + FILLING;
    loop {
        let line = PidLine::read(pid_file);
        let filling = line.is_none() && running && pid_file.exists();
        if !filling || tokio::time::Instant::now() >= deadline {
            return line;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Signals with growing force until nothing is left. The postmaster alone is asked while it lives, because it ends the
/// others in order.
async fn end(cluster: &Path, running: &BTreeSet<u32>, main: Option<u32>) -> Result<(), Error> {
    let mut left = running.clone();
    for (signal, patience) in PATIENCE {
        let asked: Vec<u32> = match main {
            Some(main) if left.contains(&main) && signal != Signal::KILL => vec![main],
            _ => left.iter().copied().collect(),
        };
        for pid in asked {
            send(pid, signal);
            send(pid, Signal::CONT);
        }
        let deadline = tokio::time::Instant::now() + patience;
        while !left.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
            left = running_on(cluster);
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(Error::Survivors { cluster: cluster.to_owned(), pids: left.into_iter().collect() })
}

/// Sends a signal; a process that is gone is what was wanted.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid)
        && let Err(error) = rustix::process::kill_process(pid, signal)
    {
        tracing::debug!(%error, pid = pid.as_raw_pid(), ?signal, "could not signal the server");
    }
}

pub(super) fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn exists(pid: u32) -> bool {
    // EPERM also means that it exists, but Postgres ignores the number of another user's process, so it is no obstacle.
    to_pid(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// The server processes that work on the cluster, given by its real path.
fn running_on(cluster: &Path) -> BTreeSet<u32> {
    if Path::new("/proc/self/cwd").exists() {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| works_in(*pid, cluster)).collect()
    } else {
        let listed = std::process::Command::new("ps").args(["-axo", "pid=,command="]).output();
        listed.map(|output| named_in(&String::from_utf8_lossy(&output.stdout), cluster)).unwrap_or_default()
    }
}

/// A zombie has no working folder, so one that nobody reaps does not count as running.
fn works_in(pid: u32, cluster: &Path) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let name = std::fs::read_to_string(folder.join("comm")).unwrap_or_default();
    let is_server = matches!(name.trim(), "postgres" | "postmaster");
    is_server && std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd == cluster)
}

/// The processes of a `ps -axo pid=,command=` listing that are servers started with `-D cluster`.
fn named_in(listing: &str, cluster: &Path) -> BTreeSet<u32> {
    let argument = format!("-D {} -c ", cluster.display());
    let server = |line: &str| {
        let (pid, command) = line.trim_start().split_once(' ')?;
        let (program, arguments) = command.trim_start().split_once(" -D ")?;
        let named = program.ends_with("postgres") && format!("-D {arguments} ").starts_with(&argument);
        if named { pid.parse().ok() } else { None }
    };
    listing.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_pid_file_is_the_process() {
        let line = |pid, single_user| Some(PidLine { pid, single_user });
        assert_eq!(PidLine::parse("4711\n/data/postgres\n1700000000\n"), line(4711, false));
        assert_eq!(PidLine::parse("-4711\n/data/postgres\n"), line(4711, true));
        for damaged in ["", "\n", "0\n", "x", "99999999999"] {
            assert_eq!(PidLine::parse(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn a_listing_gives_the_servers_of_this_cluster_only() {
        let listing = "\
            \x20   1 /sbin/launchd\n\
            \x20 501 /opt/homebrew/opt/postgresql@17/bin/postgres -D /data/my mooring/postgres -c port=5432\n\
            \x20 502 postgres: checkpointer \n\
            \x20 503 /usr/bin/postgres -D /data/my mooring/postgres2 -c port=5432\n\
            \x20 504 vi -D /data/my mooring/postgres -c port=5432\n\
            x /usr/bin/postgres -D /data/my mooring/postgres -c port=5432\n";
        assert_eq!(named_in(listing, Path::new("/data/my mooring/postgres")), BTreeSet::from([501]));
    }
}
