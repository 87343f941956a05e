//! Gateways under test: our sample gateway and Node scripts with the real `ws`.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::process::Command;

use crate::process::{Process, binary, root};

/// A gateway process with its address.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Gateway {
    /// A Node script of `tests/gateways`, with flags.
    pub async fn node(script: &str, flags: &[&str]) -> Self {
        let folder = root().join("tests/gateways");
        assert!(
            folder.join("node_modules").is_dir(),
            "run `npm ci --prefix tests/gateways` first (cargo xtask test does)"
        );
        let mut command = Command::new("node");
        command.arg(folder.join(script)).args(flags);
        Self::announced(script, &mut command).await
    }

    /// A bot that reports to an agent through the client for Node, with flags. It has a control endpoint like the others.
    pub async fn reporter(agent: &str, flags: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(root().join("tests/gateways/reporter.js")).args(flags);
        command.env("MOORING_REPORT", format!("http://{agent}"));
        Self::announced("reporter", &mut command).await
    }

    /// Our sample gateway, with flags.
    pub async fn sample(flags: &[&str]) -> Self {
        let mut command = Command::new(binary("mooring-sample-gateway"));
        command.args(["--control"]).args(flags);
        Self::announced("sample gateway", &mut command).await
    }

    async fn announced(name: &str, command: &mut Command) -> Self {
        let process = Process::start(name, command);
        let address = process.line("the address", announced).await;
        Self { process, address }
    }

    /// The port.
    ///
    /// # Panics
    /// When it announced none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("host:port")
    }

    /// Asks its control endpoint to do something, e.g. `do=hang`.
    pub async fn control(&self, query: &str) {
        http(&self.address, "POST", &format!("/_control?{query}")).await;
    }

    /// A number of its statistics.
    pub async fn stat(&self, key: &str) -> i64 {
        let body = http(&self.address, "GET", "/_stats").await;
        serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|v| v[key].as_i64()).unwrap_or(-1)
    }
}

/// The address in a gateway's first line.
#[must_use]
pub fn announced(line: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    json["listening"].as_str().map(str::to_owned)
}

/// A plain HTTP/1.1 request; returns the body.
///
/// # Panics
/// When the answer is not 200.
pub async fn http(address: &str, method: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the gateway accepts");
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    // One JSON object, possibly in a chunk: what is around it is framing.
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    match (body.find('{'), body.rfind('}')) {
        (Some(from), Some(to)) => body[from..=to].to_owned(),
        _ => body.to_owned(),
    }
}

/// The process id of whichever gateway with a control endpoint listens on a port.
///
/// # Panics
/// When none does.
pub async fn pid(port: u16) -> u32 {
    let body = http(&format!("127.0.0.1:{port}"), "GET", "/_stats").await;
    let stats: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    stats["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
}

/// A free loopback port, given back at once: for gateways that an agent starts itself.
///
/// Not one of those the kernel gives to whoever asks for any (32768 and up, unless set otherwise): what was free a moment
/// ago would be somebody's connection now. Nobody in this process gets the same one twice.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const ROOM: u32 = 20_000;
    // Test processes that run side by side begin apart.
    let begin = std::process::id().wrapping_mul(379);
    let ports = (0..ROOM).filter_map(|_| {
        let n = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(FIRST + n % ROOM).ok()
    });
    let mut free = ports.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}

/// The command that runs the sample gateway on a port, for the `supervise` executor.
#[must_use]
pub fn sample_command(port: u16, flags: &[&str]) -> Vec<String> {
    let mut command = vec![
        binary("mooring-sample-gateway").display().to_string(),
        "--listen".to_owned(),
        format!("127.0.0.1:{port}"),
        "--control".to_owned(),
    ];
    command.extend(flags.iter().map(|f| (*f).to_owned()));
    command
}

/// The command that runs a Node gateway on a port.
#[must_use]
pub fn node_command(script: &str, port: u16) -> Vec<String> {
    let script = root().join("tests/gateways").join(script);
    vec!["node".to_owned(), show(&script), "--port".to_owned(), port.to_string()]
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
