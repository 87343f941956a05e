//! Real processes: the binaries of this workspace and Node scripts, their output kept, killed when dropped.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Path of a binary of this workspace. The first call builds them all: cargo does not build other packages' binaries
/// for a test, and a stale one would test yesterday's code. With `MOORING_TESTS_PREBUILT` set they are taken as they are.
///
/// # Panics
/// When they do not build.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        // This test runs from target/<profile>/deps.
        let me = std::env::current_exe().expect("a test has a path");
        let dir = me.parent().and_then(Path::parent).expect("target/debug/deps").to_path_buf();
        if std::env::var_os("MOORING_TESTS_PREBUILT").is_some() {
            return dir;
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = std::process::Command::new(cargo)
            .args(["build", "--quiet", "--bins"])
            .args(
                ["mooring-controller", "mooring-agent", "mooring-cli", "mooring-sample-gateway"]
                    .map(|p| format!("-p{p}")),
            )
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binaries do not build");
        dir
    });
    dir.join(name)
}

/// A process under test.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts one. Its standard output and error are kept (the last 2,000 lines).
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::fed(name, command, Stdio::null())
    }

    /// One that ends with its standard input, which stays open until this is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_attached(name: &str, command: &mut Command) -> Self {
        Self::fed(name, command, Stdio::piped())
    }

    fn fed(name: &str, command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(out) = child.stdout.take() {
            tokio::spawn(keep(out, Arc::clone(&lines)));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(keep(err, Arc::clone(&lines)));
        }
        Self { name: name.to_owned(), child, lines }
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended and been waited for.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process is running")
    }

    /// Its process id; `None` when it has ended and been waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("--- {}\n{}\n", self.name, text.join("\n"))
    }

    /// The first line that `find` takes something from; waits for it.
    pub async fn line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        crate::wait::until(&format!("{what} from {}", self.name), || async {
            let found = {
                let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.iter().find_map(|l| find(l))
            };
            found.ok_or_else(|| self.log())
        })
        .await
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// SIGTERM, and waits for the end. Returns the exit code and what was printed.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn terminate(self) -> (Option<i32>, String) {
        self.stop(Signal::TERM).await
    }

    /// Sends a signal, and waits for the end. Returns the exit code and what was printed.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        self.signal(signal);
        match tokio::time::timeout(crate::wait::LIMIT, self.child.wait()).await {
            Ok(status) => (status.ok().and_then(|s| s.code()), self.log()),
            Err(_) => panic!("{} does not end when asked\n{}", self.name, self.log()),
        }
    }

    /// SIGTERM, and a short wait on the spot: for destructors, where nothing can be awaited.
    pub fn stop_now(&mut self) {
        let Some(pid) = self.child.id() else { return };
        send(pid, Signal::TERM);
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_secs(8) && matches!(self.child.try_wait(), Ok(None))
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits for it to end by itself. Returns the exit code.
    pub async fn wait(&mut self) -> Option<i32> {
        self.child.wait().await.ok().and_then(|s| s.code())
    }
}

/// Sends a signal to any process.
///
/// # Panics
/// When there is no such process.
pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

async fn keep(stream: impl AsyncRead + Unpin, lines: Arc<Mutex<VecDeque<String>>>) {
    let mut reader = BufReader::new(stream).lines();
    while let Ok(Some(line)) = reader.next_line().await {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == 2_000 {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}
