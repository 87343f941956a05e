//! The double of WAHA as a process, and an adapter at its desk before it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{InstanceId, OrderId};
use mooring_core::observation::Claim;
use mooring_gateways::http::HttpClient;
use mooring_gateways::waha::{Settings, Waha};
use mooring_gateways::{Adapter, Ask, Desk, Doing, Said, Word};
use mooring_runtime::config::HumanDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Double {
    child: Child,
    pub url: String,
}

impl Double {
    pub async fn start(options: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(root().join("tests/gateways/waha.js")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it says its address").unwrap().unwrap();
        let said: Value = serde_json::from_str(&line).expect("its address");
        let address = said["listening"].as_str().unwrap();
        Self { child, url: format!("http://{address}") }
    }

    pub fn port(&self) -> String {
        self.url.rsplit(':').next().unwrap().to_owned()
    }

    pub async fn set(&self, what: Value) {
        let client = HttpClient::new(&self.url, None).unwrap();
        let answer = client.send(http::Method::POST, "/twin", Some(&what)).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    pub async fn session(&self, name: &str, mut set: Value) {
        set["name"] = json!(name);
        self.set(json!({"session": set})).await;
    }

    /// A session that is up.
    pub async fn working(&self, name: &str) {
        self.session(name, json!({"status": "WORKING", "me": {"id": "1@c.us"}})).await;
    }

    pub async fn saw(&self) -> Value {
        HttpClient::new(&self.url, None).unwrap().get("/twin").await.unwrap().json().unwrap()
    }

    /// Waits until what it saw is so.
    pub async fn until(&self, what: &str, check: impl Fn(&Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let saw = self.saw().await;
            if check(&saw) {
                return;
            }
            assert!(Instant::now() < end, "never {what}: {saw}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(
            std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success()
        );
    }

    pub async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.port()
    }

    /// Settings fast enough for a test.
    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            poll: HumanDuration::from_millis(300),
            time_limit: HumanDuration::from_secs(2),
            hold: HumanDuration::from_millis(700),
            ..Settings::default()
        }
    }
}

pub struct Watch {
    words: mpsc::Receiver<Word>,
    asks: mpsc::Sender<Ask>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Watch {
    pub fn start(settings: Settings) -> Self {
        let (desk, words, asks) = Desk::new();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Box::new(Waha::new(settings).unwrap()).run(desk, stop.clone()));
        Self { words, asks, task, stop }
    }

    /// Waits for a word about an instance.
    pub async fn said(&mut self, instance: &str, said: &Said) {
        let found = timeout(PATIENCE, async {
            loop {
                let word = self.words.recv().await.expect("the adapter goes on");
                if word.instance.as_str() == instance && word.said == *said {
                    return;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("not said of {instance}: {said:?}"));
    }

    /// Waits for a claim that says this.
    pub async fn says(
        &mut self,
        instance: &str,
        kind: ConditionKind,
        status: Status,
        cause: Option<Cause>,
    ) -> Claim {
        let mut heard = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let word = self.words.recv().await.expect("the adapter goes on");
                let Said::Claims(claims) = word.said else { continue };
                for claim in claims {
                    if word.instance.as_str() == instance
                        && (claim.kind, claim.status, claim.cause) == (kind, status, cause)
                    {
                        return claim;
                    }
                    heard.push(format!(
                        "{}: {} {} {:?} {}",
                        word.instance, claim.kind, claim.status, claim.cause, claim.message
                    ));
                }
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("not heard: {instance} {kind} {status} {cause:?}; but {heard:#?}"))
    }

    pub async fn well(&mut self, instance: &str, kind: ConditionKind) -> Claim {
        self.says(instance, kind, Status::True, None).await
    }

    pub async fn fails(&mut self, instance: &str, kind: ConditionKind, cause: Cause) -> Claim {
        self.says(instance, kind, Status::False, Some(cause)).await
    }

    /// Asks, and goes on listening meanwhile, as the agent does.
    pub async fn ask(&mut self, instance: &str, doing: Doing, limit: Duration) -> Result<String, String> {
        let (reply, mut answer) = oneshot::channel();
        let ask = Ask {
            order: OrderId(uuid::Uuid::now_v7()),
            instance: InstanceId::new(instance).unwrap(),
            doing,
            reason: "a test".to_owned(),
            time_limit: limit,
            reply,
        };
        self.asks.send(ask).await.unwrap();
        let end = Instant::now() + limit + PATIENCE;
        loop {
            tokio::select! {
                answer = &mut answer => return answer.unwrap(),
                word = self.words.recv() => assert!(word.is_some(), "the adapter goes on"),
                () = tokio::time::sleep_until(end) => panic!("no answer"),
            }
        }
    }

    /// Ends it, and expects that it ends when told to.
    pub async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends when told to").unwrap();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}
