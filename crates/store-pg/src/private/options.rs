//! What a private Postgres is asked to be, and the server settings that follow.
//!
//! Every setting goes on the server's command line, never into `postgresql.conf`: the command line wins over the files,
//! so a cluster made by an older Mooring runs with today's settings, and nothing has to be edited or migrated.
//!
//! The settings are for a database that shares a machine with what it serves: modest memory, few connections, a log
//! that grows with incidents and not with traffic.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discover::{BIN_DIR_VARIABLE, Places};
use super::error::Error;

/// The name of the one role, a superuser. Who reaches the socket's folder may be it; see the module's documentation.
pub const ROLE: &str = "mooring";

/// The port in the socket's file name. There is one server per socket folder, so the number carries no meaning.
pub(super) const PORT: u16 = 5432;

/// Whether what is committed must survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Postgres' own promise: a commit that was answered is on disk.
    #[default]
    Durable,
    /// For tests: nothing is forced to disk, and a commit is answered before it is written anywhere. A crash of the
    /// machine can ruin the cluster. A kill of the server leaves it consistent but loses the commits of about the last
    /// 0.6 s (three times `wal_writer_delay`), answered or not; a test that kills the server and counts commits
    /// overrides `synchronous_commit` with `on`, which then survives that.
    Throwaway,
}

/// How to start a private Postgres. [`Options::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Mooring's data folder; made if absent. May be relative and may contain spaces.
    pub data_dir: PathBuf,
    /// The folder of the server's programs; `None` searches the usual places.
    pub bin_dir: Option<PathBuf>,
    /// Server settings that override Mooring's, `("shared_buffers", "256MB")`. Those that decide who can connect, or
    /// where files are, are refused.
    pub settings: Vec<(String, String)>,
    /// The user the server runs as when Mooring is root; `None` takes the cluster's owner, else `postgres`, else
    /// `nobody`. When Mooring is not root the server runs as Mooring's own user, and any other name is refused.
    pub run_as: Option<String>,
    /// Whether commits must survive a power failure. Can change from start to start.
    pub durability: Durability,
    /// How long the server may take until it answers. Recovery after a crash replays up to a gigabyte of log.
    pub start_timeout: Duration,
    /// How long a fast shutdown may take (it writes a checkpoint) before an immediate one is ordered.
    pub stop_timeout: Duration,
    /// What is taken from the process's surroundings.
    pub environment: Environment,
}

impl Options {
    /// The defaults: durable, 60 s to start, 30 s to stop, surroundings of this process.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bin_dir: None,
            settings: Vec::new(),
            run_as: None,
            durability: Durability::Durable,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
            environment: Environment::of_process(),
        }
    }

    pub(super) fn places(&self) -> Places {
        Places {
            configured: self.bin_dir.clone(),
            environment: self.environment.bin_dir.clone(),
            path: self.environment.path.clone(),
        }
    }
}

/// What is taken from the process's surroundings, as a value, so that a test can choose it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// [`BIN_DIR_VARIABLE`].
    pub bin_dir: Option<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// Where a folder for the socket is made when the data folder's path is too long for one; first that works.
    pub short_dirs: Vec<PathBuf>,
    /// Where the cluster goes when Mooring is root and the server's user cannot reach the data folder.
    pub fallback_home: PathBuf,
    /// The variables the server inherits. Few: Mooring's own may hold secrets.
    pub inherited: Vec<(OsString, OsString)>,
}

impl Environment {
    /// Reads this process's environment.
    pub fn of_process() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let short_dirs = if rustix::process::geteuid().is_root() {
            // Root's own XDG_RUNTIME_DIR is closed to the server's user.
            vec![PathBuf::from("/run"), PathBuf::from("/tmp")]
        } else {
            folder("XDG_RUNTIME_DIR").into_iter().chain([PathBuf::from("/tmp")]).collect()
        };
        let inherited = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];
        Self {
            bin_dir: folder(BIN_DIR_VARIABLE),
            path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            short_dirs,
            fallback_home: PathBuf::from("/var/lib/mooring/private"),
            inherited: inherited
                .iter()
                .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
                .collect(),
        }
    }
}

/// Settings that are Mooring's alone. With `trust` on the socket, one of these would open a superuser to others, or
/// move files away from where a restart looks for them.
const RESERVED: [&str; 13] = [
    "cluster_name", // shown by ps; says whose server it is
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "log_destination",
    "logging_collector",
    "port",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
];

const COMMON: [(&str, &str); 12] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("cluster_name", "mooring"),
    ("max_connections", "50"),
    ("shared_buffers", "64MB"),
    // Short statements only: compiling them costs more than it saves.
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    // A failed statement is reported to its client. Logging it too would let traffic fill the disk.
    ("log_min_messages", "log"),
    ("log_checkpoints", "off"),
];

const THROWAWAY: [(&str, &str); 3] =
    [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

/// The server's arguments.
///
/// # Errors
/// [`Error::Setting`] for an override that is reserved or is no setting's name.
pub(super) fn arguments(
    cluster: &Path,
    socket_dir: &Path,
    options: &Options,
) -> Result<Vec<OsString>, Error> {
    let mut arguments = vec![OsString::from("-D"), cluster.into()];
    let mut set = |name: &str, value: &OsStr| {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        arguments.extend(["-c".into(), setting]);
    };
    for (name, value) in COMMON {
        set(name, OsStr::new(value));
    }
    set("port", OsStr::new(&PORT.to_string()));
    set("unix_socket_directories", &quoted_in_list(socket_dir));
    if options.durability == Durability::Throwaway {
        for (name, value) in THROWAWAY {
            set(name, OsStr::new(value));
        }
    }
    for (name, value) in &options.settings {
        let refused = |why| Error::Setting { name: name.clone(), why };
        // Postgres itself also takes `Listen-Addresses`; this does not, so that the list below is enough.
        if name.is_empty()
            || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b))
        {
            return Err(refused("is not a setting's name: lower case, digits, `_` and `.`"));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(refused("is decided by Mooring for a private Postgres and cannot be overridden"));
        }
        if value.contains('\0') {
            return Err(refused("has a NUL in its value"));
        }
        set(name, OsStr::new(value));
    }
    Ok(arguments)
}

/// A path as an element of a list-valued setting: in double quotes, which are doubled inside, so that a comma or a
/// leading space is part of the path.
fn quoted_in_list(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut quoted = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        quoted.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}
