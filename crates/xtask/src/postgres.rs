//! A throwaway Postgres server for `sqlx`: made from the installed programs, on a Unix socket, gone afterwards.
//!
//! It stands in the system's temporary folder rather than under `target/`: a socket's path may have no more than about
//! a hundred bytes, and as root the server runs as the unprivileged `postgres` user, who often cannot walk into a checkout
//! inside somebody's home folder. Durability is off; nothing in it outlives the command.
//!
//! The server is our direct child in our process group, not a daemon: Ctrl-C at the terminal ends it as well.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process;

/// How long a server of our own may take to answer. Making the first connection takes well under a second.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The installed programs.
#[derive(Debug)]
pub struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    psql: PathBuf,
}

/// Finds the installed server programs: `MOORING_PG_BINDIR`, `PATH`, then the folders of Debian, Red Hat, SUSE and
/// Homebrew, newest major version first.
///
/// The controller's own search (in `mooring-store-pg`) is more careful; this crate must not depend on ours, and only has to
/// agree with it on what is missing.
pub fn programs() -> anyhow::Result<Programs> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("MOORING_PG_BINDIR").map(PathBuf::from).into_iter().collect();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders.extend(versioned("/usr/lib/postgresql", "", "bin"));
    folders.extend(versioned("/usr", "pgsql-", "bin"));
    folders.extend(versioned("/usr/lib", "postgresql", "bin"));
    folders.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    folders.extend(versioned("/usr/local/opt", "postgresql@", "bin"));
    let find = |program: &str| {
        folders
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
            .with_context(|| format!("{program} is not installed"))
    };
    Ok(Programs { initdb: find("initdb")?, postgres: find("postgres")?, psql: find("psql")? })
}

/// `base/<prefix><major>/<leaf>` for each version there, newest first.
fn versioned(base: &str, prefix: &str, leaf: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join(leaf)))
        })
        .collect();
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whether this process is root, which Postgres refuses to run as.
pub fn running_as_root() -> bool {
    id(&["-u"]).is_ok_and(|uid| uid == 0)
}

fn id(args: &[&str]) -> anyhow::Result<u32> {
    let text = process::output(Command::new("id").args(args))?;
    text.trim().parse().with_context(|| format!("`id {}` printed {text:?}", args.join(" ")))
}

/// A running throwaway server. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct Throwaway {
    programs: Programs,
    folder: PathBuf,
    server: Option<Child>,
}

impl Throwaway {
    /// Makes a cluster and starts a server on it.
    pub fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = std::env::temp_dir().join(format!("mooring-xtask-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        let mut server = Self { programs, folder, server: None };

        let owner = if running_as_root() {
            let owner = (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?);
            std::os::unix::fs::chown(&server.folder, Some(owner.0), Some(owner.1))?;
            Some(owner)
        } else {
            None
        };
        let as_owner = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(&server.folder);
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command
        };
        let data = server.folder.join("data");
        process::output(as_owner(&server.programs.initdb).arg("-D").arg(&data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]))?;
        let log = std::fs::File::create(server.log())?;
        let child = as_owner(&server.programs.postgres)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&server.folder)
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
                "-c",
                "synchronous_commit=off",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start postgres")?;
        server.server = Some(child);
        server.wait_until_answering()?;
        Ok(server)
    }

    /// The address for sqlx.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.display())
    }

    /// The server's version, as it says it.
    pub fn version(&self) -> anyhow::Result<String> {
        Ok(process::output(self.psql().args(["-At", "-c", "show server_version"]))?.trim().to_owned())
    }

    /// Runs a file of SQL, stopping at its first error.
    pub fn apply(&self, file: &Path) -> anyhow::Result<()> {
        process::output(self.psql().args(["--quiet", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file)).map(drop)
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(&self.programs.psql);
        command.arg("-X").arg("-h").arg(&self.folder).args(["-U", "postgres", "-d", "postgres"]);
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn wait_until_answering(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            if process::succeeds(self.psql().args(["-c", "select 1"])) {
                return Ok(());
            }
            let ended = self.server.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || start.elapsed() > START_LIMIT {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                bail!("the throwaway postgres did not come up; its log:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // SIGINT is Postgres's "fast shutdown". The standard library can only kill, which would leave shared memory.
            process::succeeds(Command::new("kill").args(["-INT", &server.id().to_string()]));
            if let Err(error) = server.wait() {
                eprintln!("waiting for the throwaway postgres to end: {error}");
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_major_version_comes_first() {
        let base = std::env::temp_dir().join(format!("mooring-xtask-versions-{}", std::process::id()));
        for name in ["9", "15", "17", "not-a-version"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let found = versioned(base.to_str().unwrap(), "", "bin");
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(found, [base.join("17/bin"), base.join("15/bin"), base.join("9/bin")]);
    }
}
