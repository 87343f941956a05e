//! WebSocket relays in front of a gateway: ours, and those from Debian that it is compared with.
//!
//! All are started the same way, as a process of their own on a loopback port, and everything that uses one knows it by
//! its address alone. Where a relay has settings, they are the ones its users have: see the files they are written to.

mod config;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::cost;
use crate::gateway::free_port;
use crate::process::{Process, root};

/// How long one may take to accept its first connection.
const START: Duration = Duration::from_secs(20);

/// Which relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// nginx, `proxy_pass` with the upgrade headers passed on, one worker.
    Nginx,
    /// HAProxy, `mode tcp`, one thread.
    HaproxyTcp,
    /// HAProxy, `mode http`, one thread.
    HaproxyHttp,
    /// Ours: the example program of `mooring-relay`.
    Mooring,
}

impl Kind {
    /// All of them, ours last.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::HaproxyTcp, Self::HaproxyHttp, Self::Mooring];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaproxyTcp => "HAProxy tcp",
            Self::HaproxyHttp => "HAProxy http",
            Self::Mooring => "Mooring",
        }
    }

    /// Its name on a command line.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::HaproxyHttp => "haproxy-http",
            Self::Mooring => "mooring",
        }
    }

    /// The program from Debian's package; none where it is built here.
    const fn package(self) -> Option<&'static str> {
        match self {
            Self::Nginx => Some("nginx"),
            Self::HaproxyTcp | Self::HaproxyHttp => Some("haproxy"),
            Self::Mooring => None,
        }
    }

    /// Whether it can be started on this machine.
    #[must_use]
    pub fn is_here(self) -> bool {
        self.package().is_none_or(|program| installed(program).is_some())
    }
}

/// Where a program is: on the path, or where Debian puts servers, which is not on everybody's path.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A relay process. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Which.
    pub kind: Kind,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    /// The process.
    pub process: Process,
    _dir: TempDir,
}

impl Relay {
    /// Starts one before a gateway, and waits until it accepts.
    ///
    /// # Errors
    /// When it is not installed, does not build, or does not accept in time: with its log.
    pub async fn start(kind: Kind, upstream: &str) -> Result<Self> {
        Self::start_with(kind, upstream, &[]).await
    }

    /// As [`Self::start`]; `flags` go to ours.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(kind: Kind, upstream: &str, flags: &[&str]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port());
        Self::start_at(kind, &address, upstream, flags).await
    }

    /// As [`Self::start_with`], at an address.
    ///
    /// # Errors
    /// As there.
    pub async fn start_at(kind: Kind, address: &str, upstream: &str, flags: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mooring-relay-").tempdir()?;
        let mut command = match kind.package() {
            None => {
                let mut command = Command::new(ours().await?);
                command.args([address, upstream]).args(flags);
                command
            }
            Some(program) => {
                let path = installed(program).with_context(|| {
                    format!("{program} is not installed: run `apt-get install {program}`")
                })?;
                config::command(kind, &path, dir.path(), address, upstream)?
            }
        };
        let process = Process::start(kind.name(), &mut command);
        let relay = Self { kind, address: address.to_owned(), process, _dir: dir };
        relay.accepts().await?;
        Ok(relay)
    }

    async fn accepts(&self) -> Result<()> {
        let start = Instant::now();
        // It may be in the middle of starting: nothing but a connection says that it is done.
        while TcpStream::connect(&self.address).await.is_err() {
            if start.elapsed() > START {
                bail!("{} does not accept on {}\n{}", self.kind.name(), self.address, self.process.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Its processes: nginx has two.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        cost::family(self.process.pid())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Killed, nginx would leave its worker behind; the others are killed with their process.
        if self.kind == Kind::Nginx {
            self.process.stop_now();
        }
    }
}

/// Our relay, in the profile that this program was built in. The first call builds it, unless `MOORING_TESTS_PREBUILT` is
/// set.
async fn ours() -> Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM.get_or_try_init(build).await.cloned()
}

async fn build() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    // target/PROFILE/bench, or target/PROFILE/deps/peers-….
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let folder =
        me.ancestors().find(|f| f.ends_with(profile)).context("a program is in a folder of its profile")?;
    let program = folder.join("examples/relay");
    if std::env::var_os("MOORING_TESTS_PREBUILT").is_none() {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["build", "--quiet", "--package", "mooring-relay", "--example", "relay"])
            .current_dir(root());
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        ensure!(command.status().await?.success(), "mooring-relay does not build");
    }
    Ok(program)
}
