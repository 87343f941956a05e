//! A proxy with a configuration of ours, a gateway behind it, and a client before it.
//!
//! The gateway is written by hand: it is stricter than `ws` (no upgrade over HTTP/1.0, as python-websockets has it), and it
//! never sends anything, so that an idle timeout shows in full.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mooring_proxyconf::{Examined, Expect, Fix, Question, Software, SourceFile, apply, lint, no_includes};

/// Nothing here takes longer unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that was free a moment ago; the kernel hands out others before it comes back to this one.
pub fn port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A strict gateway: 101 for a proper upgrade over HTTP/1.1, 505 over HTTP/1.0, 426 otherwise. It counts its upgrades.
#[derive(Clone)]
pub struct Gateway {
    pub port: u16,
    upgrades: Arc<AtomicUsize>,
}

impl Gateway {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let upgrades = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&upgrades);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                std::thread::spawn(move || serve(stream, &count));
            }
        });
        Self { port, upgrades }
    }

    pub fn upgrades(&self) -> usize {
        self.upgrades.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, upgrades: &AtomicUsize) {
    let Some(head) = read_head(&mut stream) else { return };
    let (line, headers) = parse_head(&head);
    let has =
        |name: &str, token: &str| headers.get(name).is_some_and(|v| v.to_ascii_lowercase().contains(token));
    let answer = if has("upgrade", "websocket") && has("connection", "upgrade") {
        if line.ends_with("HTTP/1.1") {
            upgrades.fetch_add(1, Ordering::SeqCst);
            "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        } else {
            "505 HTTP Version Not Supported\r\nContent-Length: 0\r\nConnection: close"
        }
    } else {
        "426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close"
    };
    let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes());
    if answer.starts_with("101") {
        // Says nothing, until the other side goes.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64 << 10 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn parse_head(head: &str) -> (&str, HashMap<String, String>) {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or("");
    let headers = lines.filter_map(|l| l.split_once(':'));
    (first, headers.map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())).collect())
}

/// A WebSocket's opening request through the proxy.
pub struct Dialled {
    pub status: u16,
    stream: TcpStream,
}

pub fn dial(port: u16, path: &str) -> Dialled {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut stream).unwrap_or_default();
    let (line, _) = parse_head(&head);
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Dialled { status, stream }
}

impl Dialled {
    /// Whether the proxy ends the silent session within `wait`.
    pub fn is_cut_within(&mut self, wait: Duration) -> bool {
        self.stream.set_read_timeout(Some(wait)).unwrap();
        match self.stream.read(&mut [0; 16]) {
            Ok(_) => true,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(_) => true,
        }
    }
}

/// A proxy that runs; it ends with the value.
pub struct Proxy {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(software: Software) -> PathBuf {
    let name = match software {
        Software::Nginx => "nginx",
        Software::Apache => "apache2",
        Software::Haproxy => "haproxy",
    };
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].iter().map(|d| Path::new(d).join(name));
    found.into_iter().find(|p| p.exists()).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// What every configuration of ours needs to run without privileges, around the part that matters.
fn whole(software: Software, body: &str, folder: &Path) -> String {
    let dir = folder.display();
    // The front end that unknown paths fall back to.
    std::fs::create_dir_all(folder.join("www")).unwrap();
    std::fs::write(folder.join("www/index.html"), "<title>chat</title>").unwrap();
    match software {
        Software::Nginx => {
            let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .iter()
                .map(|n| format!(" {n}_temp_path {dir}/{n};"))
                .collect();
            format!(
                "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
                 events {{}}\nhttp {{\naccess_log off; root {dir}/www;{temp}\n{body}\n}}\n"
            )
        }
        Software::Apache => format!(
            "ServerRoot {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\nMutex file:{dir}\nServerName localhost\nDocumentRoot {dir}/www\n{}{body}",
            modules()
        ),
        Software::Haproxy => body.to_owned(),
    }
}

/// The modules a configuration of ours loads unless it loads its own.
pub fn modules() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        "mpm_event authz_core proxy proxy_http proxy_balancer lbmethod_byrequests slotmem_shm rewrite headers \
         env setenvif alias dir"
            .split_whitespace()
            .map(|m| format!("LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n"))
            .collect()
    })
}

/// Whether the software itself accepts the configuration; its words if not.
pub fn accepts(software: Software, body: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.conf");
    std::fs::write(&file, whole(software, body, folder.path())).unwrap();
    let mut command = Command::new(program(software));
    match software {
        Software::Nginx => command.args(["-t", "-c"]).arg(&file),
        Software::Apache => command.args(["-t", "-f"]).arg(&file),
        Software::Haproxy => command.args(["-c", "-f"]).arg(&file),
    };
    let output = command.output().unwrap();
    let words =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(words) }
}

impl Proxy {
    /// Starts it and waits until it listens on `port`.
    pub fn start(software: Software, body: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.conf");
        std::fs::write(&file, whole(software, body, folder.path())).unwrap();
        let mut command = Command::new(program(software));
        match software {
            Software::Nginx => command.arg("-c").arg(&file),
            // One process, which dies when it is told to.
            Software::Apache => command.args(["-X", "-f"]).arg(&file),
            Software::Haproxy => command.args(["-db", "-f"]).arg(&file),
        };
        let log = std::fs::File::create(folder.path().join("output")).unwrap();
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut proxy = Self { child, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE).is_err() {
            let ended = proxy.child.try_wait().unwrap();
            let output = || std::fs::read_to_string(proxy._folder.path().join("output")).unwrap_or_default();
            assert!(ended.is_none(), "the proxy ended: {}\n{body}", output());
            assert!(began.elapsed() < PATIENCE, "nothing listens on {port}: {}\n{body}", output());
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }
}

pub fn ask(path: &str, expects: Expect) -> Question {
    let mut question = Question::new(path, expects);
    question.host = Some("chat.example".to_owned());
    question
}

/// What is found in the configuration as it is run, modules and all.
pub fn examine(software: Software, body: &str, question: &Question) -> Examined {
    // The frame is the same, so nothing but the body is handed over; for Apache the modules matter.
    let text = match software {
        Software::Apache => format!("{}{body}", modules()),
        _ => body.to_owned(),
    };
    lint(software, &[SourceFile::new("proxy.conf", text)], &no_includes, question).unwrap()
}

/// The configuration with all suggested edits.
pub fn mended(software: Software, body: &str, question: &Question) -> String {
    let fixes: Vec<Fix> = examine(software, body, question).lints.into_iter().map(|l| l.fix).collect();
    assert!(fixes.iter().any(|f| !f.is_empty()), "nothing is suggested for\n{body}");
    match software {
        Software::Apache => {
            let text = apply("proxy.conf", &format!("{}{body}", modules()), &fixes);
            text.strip_prefix(modules())
                .unwrap_or_else(|| panic!("the modules were edited: {text}"))
                .to_owned()
        }
        _ => apply("proxy.conf", body, &fixes),
    }
}

/// The case that all faults of the handshake share: refused with `status` before, and open after the edits.
pub fn handshake_is_mended(
    software: Software,
    port: u16,
    body: &str,
    question: &Question,
    cause: mooring_core::cause::Cause,
    status: u16,
) {
    let lints = examine(software, body, question).lints;
    assert!(lints.iter().any(|l| l.cause == cause), "{cause} is not among {lints:#?}");
    accepts(software, body).unwrap();
    {
        let _proxy = Proxy::start(software, body, port);
        assert_eq!(dial(port, &question.path).status, status, "before, with\n{body}");
    }
    let body = mended(software, body, question);
    accepts(software, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
    let _proxy = Proxy::start(software, &body, port);
    assert_eq!(dial(port, &question.path).status, 101, "after, with\n{body}");
}

/// The case of an idle timeout: cut after about `timeout` of silence before, and not in twice that after the edits.
pub fn silence_is_mended(software: Software, port: u16, body: &str, question: &Question, timeout: Duration) {
    let lints = examine(software, body, question).lints;
    let cut = mooring_core::cause::Cause::IdleCut;
    assert!(lints.iter().any(|l| l.cause == cut), "{lints:#?}");
    {
        let _proxy = Proxy::start(software, body, port);
        let mut session = dial(port, &question.path);
        assert_eq!(session.status, 101, "with\n{body}");
        assert!(session.is_cut_within(timeout * 5), "not cut with\n{body}");
    }
    let body = mended(software, body, question);
    accepts(software, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
    let _proxy = Proxy::start(software, &body, port);
    let mut session = dial(port, &question.path);
    assert_eq!(session.status, 101, "with\n{body}");
    assert!(!session.is_cut_within(timeout * 3), "cut with\n{body}");
}
