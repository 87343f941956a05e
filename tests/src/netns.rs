//! Network namespaces, and links between them that can be made slow, lossy, or a black hole.
//!
//! What runs in them is started with [`Namespace::command`]; the test itself and the system under test stay where they are.
//! Addresses are free to choose: nothing outside sees them. All of it is gone when it is dropped.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::process::root;
use crate::wait::LIMIT;

/// Whether namespaces can be made here; if not, says why, for the test that is left out.
#[must_use]
pub fn available(test: &str) -> bool {
    let why = if !geteuid().is_root() {
        "it needs root".to_owned()
    } else if let Err(why) = Namespace::try_new() {
        why
    } else if !std::path::Path::new("/dev/net/tun").exists() {
        "it needs /dev/net/tun".to_owned()
    } else {
        return true;
    };
    println!("{test} is left out: {why}");
    false
}

/// A network namespace with loopback.
#[derive(Debug)]
pub struct Namespace {
    /// Its name: unique on this machine.
    pub name: String,
}

impl Namespace {
    /// A new one.
    ///
    /// # Panics
    /// When it cannot be made; ask [`available`] first.
    #[must_use]
    pub fn new() -> Self {
        Self::try_new().unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mrs{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        let made = Self { name };
        ip(&["-n", &made.name, "link", "set", "lo", "up"])?;
        Ok(made)
    }

    /// Its file, by which the agent finds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that runs in it. The process it makes is the program itself.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A panic while panicking would hide the first.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = std::process::Command::new("ip").args(args).output();
    let output = output.map_err(|e| format!("it needs ip(8): {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// A link between two namespaces (`tests/tools/link.py`): packets keep their order, TCP on either side is the kernel's.
#[derive(Debug)]
pub struct Link {
    _process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Link {
    /// A link without delay: this end has the first address, the other the second.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn new(here: (&Namespace, &str), there: (&Namespace, &str)) -> Self {
        let mut process = Command::new("python3")
            .arg(root().join("tests/tools/link.py"))
            .args([&here.0.name, here.1, &there.0.name, there.1])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 runs");
        let commands = process.stdin.take().expect("it was asked for");
        let answers = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        let mut link = Self { _process: process, commands, answers };
        link.hear("ready").await;
        link
    }

    /// Each way so long.
    pub async fn delay(&mut self, millis: u32) {
        self.tell(&format!("set delay={millis} jitter=0 loss=0")).await;
    }

    /// Each way so long, up to so much longer, and this share lost.
    pub async fn rough(&mut self, millis: u32, jitter: u32, loss: f64) {
        self.tell(&format!("set delay={millis} jitter={jitter} loss={loss}")).await;
    }

    /// A black hole from now on: packets vanish, and nobody is told.
    pub async fn down(&mut self) {
        self.tell("down").await;
    }

    /// Packets pass again.
    pub async fn up(&mut self) {
        self.tell("up").await;
    }

    async fn tell(&mut self, command: &str) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("the link takes commands");
        self.hear("ok").await;
    }

    async fn hear(&mut self, wanted: &str) {
        let line = tokio::time::timeout(LIMIT, self.answers.next_line()).await.expect("the link answers");
        assert_eq!(line.expect("it can be read").as_deref(), Some(wanted), "the link");
    }
}
