//! What can go wrong with a private Postgres, in words for whoever started Mooring.
//!
//! These errors are read by someone who wanted a database without thinking about one, usually in the first minute. So
//! each message says what happened, where, and what to do, and none needs a Postgres manual. Nothing here ever offers to
//! delete a cluster: data outlives every mistake this module can make.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discover::{Installation, Platform};
use super::server::Exit;

/// Why a private Postgres could not be found, started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder holds both `postgres` and `initdb`.
    #[error(
        "no Postgres server is installed: `postgres` and `initdb` are in none of {}. {}. Or point the private \
         database's bin_dir at an installation, or set the database to the URL of a running server",
        folders(.searched),
        .platform.install_hint()
    )]
    NotInstalled {
        /// Every folder that was looked into, in order.
        searched: Vec<PathBuf>,
        /// The operating system, which decides the command to name.
        platform: Platform,
    },
    /// A folder was named and is not an installation. No other folder is tried: whoever names one means it.
    #[error("no Postgres server in {}, the folder named by {origin}: it has no executable `{missing}`. Name the folder that holds `postgres` and `initdb`", .folder.display())]
    BinDir {
        /// The folder that was named.
        folder: PathBuf,
        /// Who named it: the configuration, or the environment variable.
        origin: &'static str,
        /// The program that is not there.
        missing: &'static str,
    },
    /// Servers are installed, each older than the oldest supported major version.
    #[error("the installed Postgres is too old: {}; {} or newer is needed. {}", installations(.found), super::discover::OLDEST_MAJOR, .platform.install_hint())]
    TooOld {
        /// What is installed.
        found: Vec<Installation>,
        /// The operating system, which decides the command to name.
        platform: Platform,
    },
    /// The cluster was made by a major version that is not installed; its files can be read by that one alone.
    #[error(
        "the cluster in {} belongs to Postgres {cluster_major}, and what is installed is {}. Install Postgres \
         {cluster_major} beside it, or bring the data over with pg_dumpall or pg_upgrade, or choose another data \
         folder to start empty. Nothing was changed",
        .cluster.display(), installations(.found)
    )]
    WrongMajor {
        /// The cluster's folder.
        cluster: PathBuf,
        /// The major version in its `PG_VERSION`.
        cluster_major: u32,
        /// What is installed.
        found: Vec<Installation>,
    },
    /// Something is where the cluster belongs, and it is not a cluster.
    #[error("{} holds something that is not a Postgres cluster (no readable PG_VERSION). Move it away or choose another data folder; nothing was changed", .path.display())]
    NotACluster {
        /// Where the cluster belongs.
        path: PathBuf,
    },
    /// Another Mooring holds this data folder.
    #[error("the data folder {} is in use by another Mooring{}. Stop that one, or choose another data folder", .data_dir.display(), process(*.pid))]
    InUse {
        /// The folder that is held.
        data_dir: PathBuf,
        /// The holder's process id, when it could be read.
        pid: Option<u32>,
    },
    /// The server's user cannot reach the folder of an existing cluster.
    #[error("user {user} cannot reach {}: {} has mode {mode:04o}. Allow passing through it (chmod o+x), or choose a data folder elsewhere", .path.display(), .at.display())]
    Unreachable {
        /// The server's user.
        user: String,
        /// The folder it must reach.
        path: PathBuf,
        /// The first folder on the way that does not let it pass.
        at: PathBuf,
        /// That folder's permission bits.
        mode: u32,
    },
    /// The cluster was moved out of the data folder and is no longer where the record says.
    #[error("{} says that the cluster is in {}, which is not there. Put it back, or delete the record to start empty", .record.display(), .base.display())]
    Moved {
        /// The file that says where.
        record: PathBuf,
        /// Where it should be.
        base: PathBuf,
    },
    /// No user the server could run as.
    #[error("cannot run Postgres as {wanted}: {why}")]
    Account {
        /// The user wanted, in words.
        wanted: String,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// The cluster belongs to somebody else than the server's user.
    #[error(
        "the cluster in {} belongs to user id {owner}, and Postgres would run as {user} (user id {uid}). Run Mooring as \
         the owner, or hand the folder over with chown -R, or choose another data folder", .cluster.display()
    )]
    WrongOwner {
        /// The cluster's folder.
        cluster: PathBuf,
        /// Who owns it.
        owner: u32,
        /// The server's user.
        user: String,
        /// The server's user id.
        uid: u32,
    },
    /// A setting that cannot be overridden, or that is no setting.
    #[error("the Postgres setting `{name}` {why}")]
    Setting {
        /// The setting's name as given.
        name: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// No folder for the socket whose path is short enough for a Unix socket address.
    #[error("no folder for the Unix socket: {} is longer than a socket address allows ({} bytes), and no folder could be made in any of {}", .wanted.display(), super::home::SOCKET_PATH_LIMIT, folders(.tried))]
    NoSocketDir {
        /// The folder beside the cluster.
        wanted: PathBuf,
        /// The short folders tried instead.
        tried: Vec<PathBuf>,
    },
    /// Someone repairs the cluster by hand.
    #[error("a single-user Postgres (process {pid}) works on {}. End it first", .cluster.display())]
    SingleUser {
        /// Its process id.
        pid: u32,
        /// The cluster's folder.
        cluster: PathBuf,
    },
    /// Processes of an earlier server outlived every signal.
    #[error("server processes of an earlier run still use {} and could not be ended: {pids:?}. End them by hand", .cluster.display())]
    Survivors {
        /// The cluster's folder.
        cluster: PathBuf,
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// `initdb` failed.
    #[error("initdb could not make a cluster in {} ({status}):\n{output}", .cluster.display())]
    Initdb {
        /// Where the cluster was to be.
        cluster: PathBuf,
        /// How initdb ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },
    /// The server ended before it took a connection.
    #[error("Postgres ended before it was ready ({exit}). The last lines of {}:\n{tail}", .log.display())]
    Exited {
        /// How it ended.
        exit: Exit,
        /// The server's log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server did not take a connection in time.
    #[error("Postgres was not ready after {after:?} (last answer: {last}). The last lines of {}:\n{tail}", .log.display())]
    NotReady {
        /// How long was waited.
        after: Duration,
        /// What the last attempt said.
        last: String,
        /// The server's log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server outlived SIGKILL, which happens only in an uninterruptible system call (a hung disk).
    #[error("Postgres (process {pid}) did not end, not even by SIGKILL. Its disk may hang")]
    Unkillable {
        /// The server's process id.
        pid: u32,
    },
    /// The file system or a process refused.
    #[error("could not {what} {}", .path.display())]
    Io {
        /// What was tried, an infinitive.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The server refused a statement.
    #[error("could not {what} `{database}` on the private Postgres")]
    Database {
        /// What was tried, an infinitive.
        what: &'static str,
        /// On which database.
        database: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A database name that Postgres would cut off or refuse.
    #[error("`{name}` is no database name: it needs 1 to 63 bytes and no NUL")]
    DatabaseName {
        /// The name as given.
        name: String,
    },
    /// A task on the blocking pool was cancelled or panicked.
    #[error("the search for Postgres was interrupted")]
    Interrupted,
}

/// For `map_err` on file and process calls: what was tried, on which path.
pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { what, path: path.to_owned(), source }
}

fn folders(list: &[PathBuf]) -> String {
    list.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn installations(list: &[Installation]) -> String {
    list.iter()
        .map(|found| format!("{} in {}", found.version.text, found.bin_dir.display()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn process(pid: Option<u32>) -> impl fmt::Display {
    fmt::from_fn(move |f| match pid {
        Some(pid) => write!(f, " (process {pid})"),
        None => Ok(()),
    })
}
