//! Finding the installed Postgres server.
//!
//! Mooring downloads nothing: it runs what the machine's package manager installed. Distributions put `postgres` and
//! `initdb` outside PATH (Debian keeps several majors side by side under /usr/lib/postgresql), so the usual places are
//! a table here. A folder counts when it holds both programs; a symbolic link to `postgres` counts as the folder it leads
//! to, because the server finds its own support files by its real path.
//!
//! Which of several is taken: a folder named by configuration or environment is the only candidate, so that naming a
//! wrong one is an error and not a surprise. An existing cluster takes the first installation of its own major version,
//! since no other can read it. A new cluster takes the first: PATH, then Debian's, Red Hat's, SUSE's and Homebrew's
//! folders, newest first.
//!
//! The search is a pure function over [`Files`], and is tested as a table.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::error::Error;

/// The oldest major version Mooring runs on: `DROP DATABASE … WITH (FORCE)` came with 13.
pub const OLDEST_MAJOR: u32 = 13;

/// The environment variable that names the server's folder, as `pg_config --bindir` prints it.
pub const BIN_DIR_VARIABLE: &str = "MOORING_PG_BINDIR";

/// Folders that hold one folder per version: parent, what the name begins with, and what follows it.
/// The text between is the version; higher numbers come first.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // Red Hat, from the project's own packages
    ("/usr/lib", "postgresql", "bin"),           // SUSE
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
];

/// Folders that may hold the programs directly, searched last. A service's PATH is often shorter than a shell's.
const FLAT: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// Where to look, apart from the usual folders.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder from the configuration. When given, nothing else is searched.
    pub configured: Option<PathBuf>,
    /// The folder from [`BIN_DIR_VARIABLE`]. When given and nothing is configured, nothing else is searched.
    pub environment: Option<PathBuf>,
    /// The folders of PATH, in order.
    pub path: Vec<PathBuf>,
}

/// What the search needs of a file system.
pub trait Files {
    /// The names in a folder, in any order; empty when it cannot be read.
    fn names(&self, folder: &Path) -> Vec<OsString>;
    /// The real path of an executable file, with every link followed; `None` when there is none.
    fn executable(&self, path: &Path) -> Option<PathBuf>;
    /// What `postgres --version` prints; `None` when it cannot be run.
    fn version_text(&self, postgres: &Path) -> Option<String>;
    /// The text of /etc/os-release; empty when there is none.
    fn os_release(&self) -> String;
}

/// A server's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The major version, which decides whether a cluster's files can be read.
    pub major: u32,
    /// As printed, without the program's name: `15.18 (Debian 15.18-0+deb12u1)`.
    pub text: String,
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `postgres (PostgreSQL) 18beta1`.
    pub fn parse(printed: &str) -> Option<Self> {
        let (_, text) = printed.split_once("(PostgreSQL) ")?;
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        Some(Self { major: text[..digits].parse().ok()?, text: text.to_owned() })
    }
}

/// An installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder that holds `postgres` and `initdb`, links followed.
    pub bin_dir: PathBuf,
    /// What `postgres --version` says.
    pub version: Version,
}

/// The operating system, as far as it decides how Postgres is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Debian, Ubuntu and what derives from them.
    Debian,
    /// Fedora, Red Hat Enterprise Linux and what derives from them.
    RedHat,
    /// macOS with Homebrew.
    Homebrew,
    /// Anything else.
    Other,
}

impl Platform {
    /// Decides by the `ID` and `ID_LIKE` lines of /etc/os-release (os-release(5)); macOS has no such file.
    pub fn of(os_release: &str) -> Self {
        if cfg!(target_os = "macos") {
            return Self::Homebrew;
        }
        let ids: BTreeSet<String> = os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim().trim_matches(['"', '\'']).split_whitespace())
            .map(str::to_ascii_lowercase)
            .collect();
        let any = |names: &[&str]| names.iter().any(|name| ids.contains(*name));
        if any(&["debian", "ubuntu"]) {
            Self::Debian
        } else if any(&["fedora", "rhel", "centos"]) {
            Self::RedHat
        } else {
            Self::Other
        }
    }

    /// The command that installs the server, to run as root (Homebrew: as oneself); `None` where it is not known.
    pub fn install_command(self) -> Option<&'static str> {
        match self {
            Self::Debian => Some("apt-get install postgresql"),
            Self::RedHat => Some("dnf install postgresql-server"),
            Self::Homebrew => Some("brew install postgresql@17"),
            Self::Other => None,
        }
    }

    /// A sentence, without its full stop, that says how to install the server.
    pub(super) fn install_hint(self) -> String {
        match self.install_command() {
            Some(command) => format!("Install it with `{command}`"),
            None => "Install it with `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` \
                     (Fedora, Red Hat) or `brew install postgresql@17` (macOS)"
                .to_owned(),
        }
    }
}

/// Finds the server to run. `cluster` is the folder and major version of the cluster it must read, when there is one.
///
/// # Errors
/// [`Error::BinDir`], [`Error::NotInstalled`], [`Error::TooOld`], [`Error::WrongMajor`].
pub fn discover(
    places: &Places,
    files: &impl Files,
    cluster: Option<(&Path, u32)>,
) -> Result<Installation, Error> {
    let named = places.configured.as_deref().map(|folder| (folder, "the configuration"));
    let named = named.or_else(|| places.environment.as_deref().map(|folder| (folder, BIN_DIR_VARIABLE)));
    let searched = match named {
        Some((folder, origin)) => {
            let missing = ["postgres", "initdb"]
                .into_iter()
                .find(|name| files.executable(&folder.join(name)).is_none());
            if let Some(missing) = missing {
                return Err(Error::BinDir { folder: folder.to_owned(), origin, missing });
            }
            vec![folder.to_owned()]
        }
        None => usual_folders(&places.path, files),
    };

    let mut seen = BTreeSet::new();
    let found: Vec<Installation> = searched
        .iter()
        .filter_map(|folder| installed_in(folder, files))
        .filter(|bin_dir| seen.insert(bin_dir.clone()))
        .filter_map(|bin_dir| {
            let version = Version::parse(&files.version_text(&bin_dir.join("postgres"))?)?;
            Some(Installation { bin_dir, version })
        })
        .collect();
    choose(found, searched, files, cluster)
}

fn choose(
    found: Vec<Installation>,
    searched: Vec<PathBuf>,
    files: &impl Files,
    cluster: Option<(&Path, u32)>,
) -> Result<Installation, Error> {
    if found.is_empty() {
        return Err(Error::NotInstalled { searched, platform: Platform::of(&files.os_release()) });
    }
    let fits = |it: &&Installation| match cluster {
        Some((_, major)) => it.version.major == major,
        None => it.version.major >= OLDEST_MAJOR,
    };
    match (found.iter().find(fits), cluster) {
        (Some(it), _) if it.version.major >= OLDEST_MAJOR => Ok(it.clone()),
        (None, Some((folder, cluster_major))) => {
            Err(Error::WrongMajor { cluster: folder.to_owned(), cluster_major, found })
        }
        _ => Err(Error::TooOld { found, platform: Platform::of(&files.os_release()) }),
    }
}

/// PATH, then the usual places, in the order of preference.
fn usual_folders(path: &[PathBuf], files: &impl Files) -> Vec<PathBuf> {
    // A relative PATH entry would make the choice depend on the working folder.
    let mut folders: Vec<PathBuf> = path.iter().filter(|folder| folder.is_absolute()).cloned().collect();
    for (parent, prefix, inner) in VERSIONED {
        let parent = Path::new(parent);
        let mut versions: Vec<(Vec<u32>, OsString)> = files
            .names(parent)
            .into_iter()
            .filter_map(|name| {
                let numbers = name.to_str()?.strip_prefix(prefix)?.split('.').map(str::parse);
                Some((numbers.collect::<Result<_, _>>().ok()?, name))
            })
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        if versions.is_empty() && !prefix.is_empty() {
            continue;
        }
        if versions.is_empty() {
            // Named in the error, so that the reader sees where a package would have put it.
            folders.push(parent.to_owned());
        }
        folders.extend(versions.into_iter().map(|(_, name)| parent.join(name).join(inner)));
    }
    folders.extend(FLAT.map(PathBuf::from));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The real folder of the installation seen through `folder`.
fn installed_in(folder: &Path, files: &impl Files) -> Option<PathBuf> {
    let postgres = files.executable(&folder.join("postgres"))?;
    let real = postgres.parent()?;
    files.executable(&real.join("initdb"))?;
    Some(real.to_owned())
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Files for Machine {
    fn names(&self, folder: &Path) -> Vec<OsString> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
    }

    fn executable(&self, path: &Path) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let real = path.canonicalize().ok()?;
        let metadata = real.metadata().ok()?;
        (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(real)
    }

    fn version_text(&self, postgres: &Path) -> Option<String> {
        let mut command = std::process::Command::new(postgres);
        let output = command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()
    }

    fn os_release(&self) -> String {
        std::fs::read_to_string("/etc/os-release").unwrap_or_default()
    }
}
