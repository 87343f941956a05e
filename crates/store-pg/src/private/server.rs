//! One running server process, from its start to its end.
//!
//! The server is a direct child, so its end is known at once and its process id cannot be given to another process while
//! it is signalled. The end is a shared future and not a task: whoever waits drives it, nobody has to watch a watcher.
//!
//! **When Mooring is killed** nothing of Mooring runs that could end the server. A parent-death signal would do it on
//! Linux, but it is tied to the *thread* that started the child, and asynchronous runtimes retire threads. So a watchdog
//! of one shell line holds the read end of a pipe whose only write end is Mooring's: when that closes, however it closes,
//! the watchdog asks for a fast shutdown, provided the cluster's pid file still names the server it was set on. If the
//! watchdog is killed as well, the next start ends the server (`leftovers.rs`).

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::process::{Child, Command};

use super::discover::Installation;
use super::error::{Error, io};
use super::home::Home;
use super::leftovers::{send, to_pid};
use super::log;
use super::options::Environment;

/// How long an immediate shutdown, and after it a kill, may take before the next step.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// How long one attempt to connect may take while waiting for readiness.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a drop that must leave nothing behind waits for the server's end.
///
/// Longer than the 5 s after which Postgres itself kills backends that did not heed an immediate shutdown.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// Reads until the pipe closes, then asks the server for a fast shutdown if the pid file still names it.
const WATCHDOG: &str =
    "while read -r _; do :; done; read -r pid <\"$2\" && [ \"$pid\" = \"$1\" ] && kill -INT \"$1\"";

/// How a server process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; `None` when the system would not say, because something else in this process reaped the child.
    pub status: Option<ExitStatus>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => status.fmt(f),
            None => f.write_str("exit status unknown"),
        }
    }
}

/// What it took to stop the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A fast shutdown: clients disconnected, checkpoint written.
    Fast,
    /// The fast shutdown took too long; an immediate one did it. The next start recovers.
    Immediate,
    /// Neither was heard; SIGKILL did it. The next start recovers.
    Killed,
    /// The server had already ended by itself.
    AlreadyEnded(Exit),
    /// There was no server: never started again since the last stop.
    NotRunning,
}

/// What dropping a running server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Ask for a fast shutdown and leave.
    Ask,
    /// End it at once and wait until it is gone, because its files are about to be deleted.
    EndAndWait,
}

type Ended = Shared<BoxFuture<'static, Exit>>;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pid: u32,
    ended: Ended,
    /// Its end was ordered here.
    ordered: Arc<AtomicBool>,
    farewell: Farewell,
    /// Held for its pipe: closing it is what the watchdog waits for.
    _watchdog: Option<Child>,
}

impl Server {
    /// Starts the process. It does not answer yet: see [`Server::ready`].
    pub(super) fn spawn(
        home: &Home,
        installation: &Installation,
        arguments: &[OsString],
        environment: &Environment,
        farewell: Farewell,
    ) -> Result<Self, Error> {
        let log = home.log();
        let stdout = log::rotate(&log)?;
        let stderr = stdout.try_clone().map_err(io("open the log", &log))?;
        let program = installation.bin_dir.join("postgres");
        let mut command = home.account.command(&program, environment);
        command.args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let mut child = Command::from(command).spawn().map_err(io("start", &program))?;
        let Some(pid) = child.id() else {
            return Err(io("start", &program)(std::io::Error::other("it ended before it had a process id")));
        };
        let ended = async move { Exit { status: child.wait().await.ok() } };
        let server = Self {
            pid,
            ended: ended.boxed().shared(),
            ordered: Arc::default(),
            farewell,
            _watchdog: watchdog(home, environment, pid),
        };
        tracing::info!(postgres.pid = pid, cluster = %home.cluster().display(), "started Postgres");
        Ok(server)
    }

    /// Waits until the server takes a connection.
    pub(super) async fn ready(
        &self,
        options: &PgConnectOptions,
        limit: Duration,
        log: &Path,
    ) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut pause = Duration::from_millis(10);
        let mut last = "no attempt was made".to_owned();
        loop {
            let attempt = tokio::time::timeout(CONNECT_PATIENCE, options.connect());
            tokio::select! {
                biased;
                exit = self.ended.clone() => {
                    return Err(Error::Exited { exit, log: log.to_owned(), tail: log::tail(log) });
                }
                () = tokio::time::sleep_until(deadline) => {
                    return Err(Error::NotReady { after: limit, last, log: log.to_owned(), tail: log::tail(log) });
                }
                connected = attempt => match connected {
                    Ok(Ok(connection)) => {
                        // It answered, which was the question. A failed farewell says nothing about it.
                        let _closed = connection.close().await;
                        return Ok(());
                    }
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_elapsed) => last = format!("no answer within {CONNECT_PATIENCE:?}"),
                },
            }
            tokio::time::sleep_until((tokio::time::Instant::now() + pause).min(deadline)).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, if it is known to have. Someone must have waited since; see [`Server::has_ended`].
    pub(super) fn known_end(&self) -> Option<Exit> {
        self.ended.peek().copied()
    }

    /// Whether the process has ended, asked of the system, without waiting and without reaping.
    pub(super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match to_pid(self.pid) {
            // An error means that there is no such child any more.
            Some(pid) => {
                self.known_end().is_some()
                    || !matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None))
            }
            None => true,
        }
    }

    /// Resolves if the server ends without having been told to; never otherwise.
    pub(super) fn died(&self) -> impl Future<Output = Exit> + Send + use<> {
        let ended = self.ended.clone();
        let ordered = Arc::clone(&self.ordered);
        async move {
            let exit = ended.await;
            if ordered.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            exit
        }
    }

    /// Fast shutdown, then immediate, then SIGKILL, each for its time.
    pub(super) async fn stop(&self, fast: Duration) -> Result<Stopped, Error> {
        if self.has_ended() {
            return Ok(Stopped::AlreadyEnded(self.ended.clone().await));
        }
        let steps = [
            (Signal::INT, fast, Stopped::Fast),
            (Signal::QUIT, LAST_PATIENCE, Stopped::Immediate),
            (Signal::KILL, LAST_PATIENCE, Stopped::Killed),
        ];
        for (signal, patience, outcome) in steps {
            self.signal(signal);
            if tokio::time::timeout(patience, self.ended.clone()).await.is_ok() {
                tracing::info!(postgres.pid = self.pid, ?outcome, "stopped Postgres");
                return Ok(outcome);
            }
            tracing::warn!(postgres.pid = self.pid, ?signal, ?patience, "Postgres did not end in time");
        }
        Err(Error::Unkillable { pid: self.pid })
    }

    /// Orders the end. Without effect once the server has ended: until it is reaped its number is its own.
    fn signal(&self, signal: Signal) {
        self.ordered.store(true, Ordering::Release);
        if self.known_end().is_none() {
            send(self.pid, signal);
            // A server that was frozen hears nothing until it is woken.
            send(self.pid, Signal::CONT);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        match self.farewell {
            Farewell::Ask => self.signal(Signal::INT),
            Farewell::EndAndWait => {
                self.signal(Signal::QUIT);
                let since = Instant::now();
                while !self.has_ended() && since.elapsed() < DROP_PATIENCE {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if !self.has_ended() {
                    tracing::warn!(postgres.pid = self.pid, "Postgres did not end in time and is killed");
                    self.signal(Signal::KILL);
                }
            }
        }
    }
}

/// Sets the watchdog on a server. Without one the server still works, and a killed Mooring leaves it to the next start.
fn watchdog(home: &Home, environment: &Environment, server: u32) -> Option<Child> {
    let mut command = home.account.command(Path::new("/bin/sh"), environment);
    command.args(["-c", WATCHDOG, "mooring-watchdog", &server.to_string()]);
    command.arg(home.cluster().join("postmaster.pid"));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Command::from(command).spawn();
    started
        .inspect_err(|error| tracing::warn!(%error, "no watchdog: if Mooring is killed, Postgres runs on"))
        .ok()
}
