//! Running two ends, directly and with something between them, and comparing what they saw.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use mooring_tests::gateway::announced;
use mooring_tests::process::{root, send};
use mooring_tests::relay::{Kind, Relay};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long one end may take. Each needs a few seconds; machines that run tests are busy.
const LIMIT: Duration = Duration::from_secs(120);

/// A program and its first arguments.
#[derive(Debug, Clone)]
pub struct Script {
    program: PathBuf,
    args: Vec<String>,
}

impl Script {
    /// A Node script of `tests/gateways`.
    pub fn node(name: &str, args: &[&str]) -> Self {
        let folder = root().join("tests/gateways");
        assert!(
            folder.join("node_modules/socket.io").is_dir(),
            "run `npm ci --prefix tests/gateways` first (cargo xtask test does)"
        );
        Self::of("node".into(), folder.join(name), args)
    }

    /// A Python script of `tests/gateways`, run with the packages of `tests/tools/requirements.txt`.
    pub fn python(name: &str, args: &[&str]) -> Self {
        let target = std::env::current_exe().expect("a test has a path");
        let target = target.ancestors().nth(3).expect("target/debug/deps/test").to_path_buf();
        let python = target.join("xtask/python/bin/python");
        assert!(
            python.is_file(),
            "run `cargo xtask kubernetes` first, which installs {} (cargo xtask test does)",
            python.display()
        );
        Self::of(python, root().join("tests/gateways").join(name), args)
    }

    fn of(program: PathBuf, script: PathBuf, args: &[&str]) -> Self {
        let script = script.display().to_string();
        Self { program, args: std::iter::once(script).chain(args.iter().map(|a| (*a).to_owned())).collect() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Node makes pipes it is given non-blocking, for everybody who has them: it is never given ours.
        command.args(&self.args).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs it to its end against an address; returns what it said.
    pub async fn call(&self, address: &str) -> Vec<String> {
        let mut command = self.command();
        let output = tokio::time::timeout(LIMIT, command.arg(address).output());
        let output = output.await.unwrap_or_else(|_| panic!("{self:?} against {address} does not end"));
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{self:?} against {address}: {complaint}\n{said}");
        said.lines().map(str::to_owned).collect()
    }
}

/// A server that says what it saw when it is asked to end.
#[derive(Debug)]
pub struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its address.
    pub address: String,
}

impl Server {
    /// Starts one.
    pub async fn start(script: &Script) -> Self {
        let mut child =
            script.command().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let first = first.expect("it says its address in time").expect("text").unwrap_or_default();
        let address = announced(&first).unwrap_or_else(|| panic!("{script:?} said {first:?}"));
        Self { child, lines, address }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    /// Ends it; returns what it saw.
    pub async fn saw(mut self) -> Vec<String> {
        send(self.pid(), Signal::TERM);
        let mut rest = String::new();
        let read = self.lines.get_mut().read_to_string(&mut rest);
        tokio::time::timeout(LIMIT, read).await.expect("it ends when asked").expect("text");
        let status = self.child.wait().await.expect("it ends");
        assert!(status.success(), "{status}\n{rest}");
        rest.lines().map(str::to_owned).collect()
    }
}

/// A client that is talked with while it runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts it against an address.
    pub fn start(script: &Script, address: &str) -> Self {
        let mut command = script.command();
        let mut child =
            command.arg(address).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// Waits for a line with this in it.
    pub async fn line(&mut self, part: &str) {
        loop {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await.expect("a line in time");
            let line = line.expect("text").unwrap_or_else(|| panic!("it ended without {part}"));
            if line.contains(part) {
                return;
            }
        }
    }

    /// All it says until its end.
    pub async fn rest(mut self) -> Vec<String> {
        let mut rest = String::new();
        let read = self.lines.get_mut().read_to_string(&mut rest);
        tokio::time::timeout(LIMIT, read).await.expect("it ends").expect("text");
        let status = self.child.wait().await.expect("it ends");
        assert!(status.success(), "{status}\n{rest}");
        rest.lines().map(str::to_owned).collect()
    }
}

/// The relay under test: ours, or, to try the tests themselves, the one that `MOORING_TESTS_RELAY` names.
pub fn kind() -> Kind {
    let named = std::env::var("MOORING_TESTS_RELAY").unwrap_or_default();
    Kind::ALL.into_iter().find(|k| k.flag() == named).unwrap_or(Kind::Mooring)
}

/// A relay before an address.
pub async fn relay(upstream: &str) -> Relay {
    Relay::start(kind(), upstream).await.expect("the relay starts")
}

/// Runs a client against a server, directly and through the relay, and expects no difference in what either saw.
///
/// `least` is how many lines the client has to say: a run that saw nothing would be the same as another.
pub async fn same(server: &Script, client: &Script, least: usize) {
    let (said, saw) = run(server, client, false).await;
    assert!(said.len() >= least && !saw.is_empty(), "too little was seen directly: {said:#?}\n{saw:#?}");
    let (relayed_said, relayed_saw) = run(server, client, true).await;
    alike("the client", &said, &relayed_said);
    alike("the server", &saw, &relayed_saw);
}

async fn run(server: &Script, client: &Script, relayed: bool) -> (Vec<String>, Vec<String>) {
    let server = Server::start(server).await;
    let between = if relayed { Some(relay(&server.address).await) } else { None };
    let address = between.as_ref().map_or(&server.address, |r| &r.address);
    let said = client.call(address).await;
    (said, server.saw().await)
}

/// Fails with the lines that differ.
pub fn alike(who: &str, direct: &[String], relayed: &[String]) {
    if let Some(difference) = difference(direct, relayed) {
        panic!("{who} saw something else through the relay:\n{difference}");
    }
}

/// The first few lines that are not the same.
pub fn difference(direct: &[String], relayed: &[String]) -> Option<String> {
    let lines = direct.len().max(relayed.len());
    let at = |lines: &[String], i: usize| lines.get(i).cloned().unwrap_or_else(|| "(nothing)".to_owned());
    let differing: Vec<String> = (0..lines)
        .filter(|i| direct.get(*i) != relayed.get(*i))
        .take(5)
        .map(|i| format!("line {i}\n  direct:  {}\n  relayed: {}", at(direct, i), at(relayed, i)))
        .collect();
    (!differing.is_empty()).then(|| differing.join("\n"))
}
