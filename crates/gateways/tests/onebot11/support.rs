//! Real programs on both sides, the adapter between them, and ways to wait for what they do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{InstanceId, OrderId};
use mooring_core::observation::Claim;
use mooring_core::session::SessionClose;
use mooring_gateways::http::HttpClient;
use mooring_gateways::onebot11::{OneBot11, Settings};
use mooring_gateways::{Adapter as _, Ask, Desk, Doing, Said};
use mooring_runtime::config::HumanDuration;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Machines that run tests are busy, and a framework takes seconds to start.
const LIMIT: Duration = Duration::from_secs(60);
pub const ID: &str = "10001";

pub fn ms(n: u64) -> HumanDuration {
    HumanDuration::from_millis(n)
}

/// Waits until something is so.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A program of `tests/gateways/onebot`. Ends with this.
pub struct Program {
    child: Child,
    pub address: String,
    said: Arc<Mutex<Vec<String>>>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateways/onebot")
}

fn python() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let python = test.ancestors().nth(3).unwrap().join("xtask/python/bin/python");
    assert!(python.is_file(), "run `cargo xtask kubernetes` first, which installs {}", python.display());
    python
}

impl Program {
    pub async fn start(script: &str, args: &[&str]) -> Self {
        assert!(
            fixtures().join("node_modules/ws").is_dir(),
            "run `npm ci --prefix tests/gateways/onebot` first"
        );
        let program =
            if Path::new(script).extension().is_some_and(|e| e == "py") { python() } else { "node".into() };
        let mut child = Command::new(program)
            .arg(fixtures().join(script))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("it starts").unwrap();
        let first = first.unwrap_or_else(|| panic!("{script} {args:?} said nothing"));
        let first: Value = serde_json::from_str(&first).unwrap();
        let address = first["listening"].as_str().unwrap().to_owned();
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines_said = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                lines_said.lock().unwrap().push(line);
            }
        });
        Self { child, address, said }
    }

    pub fn port(&self) -> String {
        self.address.rsplit(':').next().unwrap().to_owned()
    }

    /// What it has said, counted.
    pub fn said(&self, part: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// As a crash: nobody is told.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it a signal, by name.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    async fn request(&self, method: http::Method, path: &str) -> Option<Value> {
        let client = HttpClient::new(&format!("http://{}", self.address), None).unwrap();
        client.send(method, path, None).await.ok()?.json()
    }

    /// What it counted.
    pub async fn stats(&self) -> Value {
        until("its numbers", async || self.request(http::Method::GET, "/_stats").await).await
    }

    /// Makes it do something.
    pub async fn make(&self, what: &str) {
        let done = self.request(http::Method::POST, &format!("/_control?do={what}")).await;
        assert!(done.as_ref().is_some_and(|d| d["done"].is_string()), "{what}: {done:?}");
    }

    /// Waits until the implementation was called with these words.
    pub async fn called_with(&self, words: &str) {
        until(&format!("a call with {words:?}"), async || {
            let stats = self.stats().await;
            stats["calls"].as_array()?.iter().find(|c| c["params"].to_string().contains(words)).map(|_| ())
        })
        .await;
    }

    /// An event comes in, the framework answers it, and hears that its answer was sent.
    pub async fn round_trip(&self, words: &str) {
        let before = self.calls_of("sent ").await;
        self.make(&format!("event&text={words}")).await;
        self.called_with(&format!("echo {words}")).await;
        until("the call's answer reached the framework", async || {
            (self.calls_of("sent ").await > before).then_some(())
        })
        .await;
    }

    async fn calls_of(&self, words: &str) -> usize {
        let stats = self.stats().await;
        let calls = stats["calls"].as_array().unwrap();
        calls.iter().filter(|c| c["params"].to_string().contains(words)).count()
    }
}

/// The implementation, dialling this.
pub async fn implementation(address: &str, path: &str, more: &[&str]) -> Program {
    let url = format!("ws://{address}{path}");
    let args = ["--reverse", &url, "--heartbeat", "300ms", "--interval", "200ms"];
    Program::start("lagrange.js", &[&args, more].concat()).await
}

#[derive(Default)]
struct Seen {
    here: bool,
    claims: HashMap<ConditionKind, Claim>,
    all: Vec<Claim>,
    closes: Vec<SessionClose>,
}

/// The adapter at work.
pub struct Between {
    pub address: String,
    seen: Arc<Mutex<Seen>>,
    asks: mpsc::Sender<Ask>,
    stop: CancellationToken,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Settings for tests: everything as quick as a busy machine allows.
pub fn settings() -> Settings {
    Settings {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        paths: vec!["/onebot/v11/ws".to_owned()],
        ping_interval: ms(300),
        ping_timeout: ms(1500),
        probe_interval: ms(1000),
        probe_timeout: ms(2000),
        retry_cap: ms(500),
        ..Settings::default()
    }
}

impl Between {
    pub async fn start(settings: Settings) -> Self {
        assert_eq!(settings.problems("onebot11"), []);
        let reverse = settings.mode == mooring_gateways::onebot11::Mode::Reverse;
        let (adapter, address) = OneBot11::new(settings).tell_address();
        let (desk, mut words, asks) = Desk::new();
        let stop = CancellationToken::new();
        tokio::spawn(Box::new(adapter).run(desk, stop.clone()));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let sees = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Some(word) = words.recv().await {
                assert_eq!(word.instance.as_str(), ID);
                let mut seen = sees.lock().unwrap();
                match word.said {
                    Said::Here => seen.here = true,
                    Said::Gone => seen.here = false,
                    Said::Closed(close) => seen.closes.push(close),
                    Said::Claims(claims) => {
                        assert!(seen.here, "claims come after the instance is known");
                        for claim in claims {
                            seen.claims.insert(claim.kind, claim.clone());
                            seen.all.push(claim);
                        }
                    }
                }
            }
        });
        let address = if reverse { address.await.unwrap().to_string() } else { String::new() };
        Self { address, seen, asks, stop }
    }

    /// Waits until this is claimed.
    pub async fn claims(&self, kind: ConditionKind, status: Status, cause: Option<Cause>) -> Claim {
        let what = format!("{kind} {status:?} {cause:?}; last: {:?}", self.last(kind));
        let found = tokio::time::timeout(
            LIMIT,
            until(&what, async || self.last(kind).filter(|c| (c.status, c.cause) == (status, cause))),
        );
        found.await.unwrap_or_else(|_| panic!("{what}: {:?}", self.last(kind)))
    }

    pub async fn well(&self, kind: ConditionKind) -> Claim {
        self.claims(kind, Status::True, None).await
    }

    pub fn last(&self, kind: ConditionKind) -> Option<Claim> {
        self.seen.lock().unwrap().claims.get(&kind).cloned()
    }

    /// Everything claimed of it so far.
    pub fn history(&self, kind: ConditionKind) -> Vec<Claim> {
        self.seen.lock().unwrap().all.iter().filter(|c| c.kind == kind).cloned().collect()
    }

    pub fn closes(&self) -> Vec<SessionClose> {
        self.seen.lock().unwrap().closes.clone()
    }

    pub async fn order(&self, doing: Doing, limit: Duration) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            order: OrderId(uuid::Uuid::new_v4()),
            instance: InstanceId::new(ID).unwrap(),
            doing,
            reason: "a test".to_owned(),
            time_limit: limit,
            reply,
        };
        self.asks.send(ask).await.unwrap();
        tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap()
    }
}
