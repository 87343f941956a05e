//! Running the double of Evolution API, and the adapter against it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{InstanceId, OrderId};
use mooring_core::observation::Claim;
use mooring_core::session::SessionClose;
use mooring_gateways::evolution::{Settings, adapter};
use mooring_gateways::http::HttpClient;
use mooring_gateways::{Ask, Desk, Doing, Said, Word};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take. Machines that run tests are busy.
const LIMIT: Duration = Duration::from_secs(60);

/// The global key of every double.
pub const KEY: &str = "B6D711FCDE4D4FD5936544120E713976";

/// A double.
pub struct Double {
    child: Child,
    flags: Vec<String>,
    pub address: String,
    /// Key file and database.
    folder: tempfile::TempDir,
}

impl Double {
    pub async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
        std::fs::write(folder.path().join("wrong"), "not-the-key-0123456789").unwrap();
        let db = folder.path().join("db.json");
        let mut all = vec!["--key", KEY, "--connect-answer", "100ms", "--db", db.to_str().unwrap()];
        all.extend(flags);
        let flags: Vec<String> = all.into_iter().map(str::to_owned).collect();
        let (child, address) = spawn(&flags, "0").await;
        Self { child, flags, address, folder }
    }

    /// Kills the process.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stops it, as a blocked event loop would.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Starts it again, at the same address and with the same database.
    pub async fn start_again(&mut self) {
        let port = self.address.rsplit(':').next().unwrap().to_owned();
        (self.child, self.address) = spawn(&self.flags, &port).await;
    }

    /// Starts it again with other flags, the newer before the older.
    pub async fn start_as(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.start_again().await;
    }

    async fn http(&self, method: Method, path: &str) -> Value {
        let client = HttpClient::new(&format!("http://{}", self.address), None).unwrap();
        let answer = client.send(method, path, None).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text(200));
        answer.json().unwrap()
    }

    /// Makes a fault.
    pub async fn control(&self, path: &str) {
        self.http(Method::POST, &format!("/__double/{path}")).await;
    }

    /// Everything that the real one would not tell.
    pub async fn state(&self) -> Value {
        self.http(Method::GET, "/__double/state").await
    }

    /// Waits until the double is so.
    pub async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) {
        let waiting = async {
            while !so(&self.state().await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
    }

    /// Waits until an instance is open.
    pub async fn until_open(&self, instance: &str) {
        self.until("open", |state| state["instances"][instance]["state"] == "open").await;
    }

    /// Waits until somebody listens in the global namespace.
    pub async fn until_heard(&self) {
        self.until("a listener", |state| state["listeners"] != 0).await;
    }

    /// Requests whose line begins so, so far.
    pub async fn asked(&self, beginning: &str) -> usize {
        let state = self.state().await;
        let asked = state["asked"].as_array().unwrap();
        asked.iter().filter(|line| line.as_str().unwrap().starts_with(beginning)).count()
    }

    /// Settings for it, as they stand in a file, with more of them.
    pub fn settings(&self, more: &str) -> Settings {
        let key = self.folder.path().join("key").display().to_string();
        self.keyless(&format!(r#", "api_key_file": "{key}"{more}"#))
    }

    /// With the key of somebody else.
    pub fn wrong_key(&self) -> Settings {
        let key = self.folder.path().join("wrong").display().to_string();
        self.keyless(&format!(r#", "api_key_file": "{key}""#))
    }

    /// Without a key.
    pub fn keyless(&self, more: &str) -> Settings {
        let text = format!(
            r#"{{"url": "http://{}", "poll_interval": "250ms", "hold": "1s", "effect_limit": "10s"{more}}}"#,
            self.address
        );
        let settings: Settings = serde_json::from_str(&text).unwrap();
        assert_eq!(settings.problems("gateway"), []);
        settings
    }
}

async fn spawn(flags: &[String], port: &str) -> (Child, String) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateways");
    assert!(folder.join("node_modules/socket.io").is_dir(), "run `npm ci --prefix tests/gateways` first");
    let mut child = Command::new("node")
        .arg(folder.join("evolution.js"))
        .args(["--port", port])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap_or_default();
    let said: Value = serde_json::from_str(&first).unwrap_or_else(|e| panic!("{first:?}: {e}"));
    (child, said["listening"].as_str().unwrap().to_owned())
}

/// An adapter at work.
pub struct Watched {
    words: mpsc::Receiver<Word>,
    asks: mpsc::Sender<Ask>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The newest claim of each instance and condition.
    claims: HashMap<(InstanceId, ConditionKind), Claim>,
    /// Who is there.
    pub here: Vec<InstanceId>,
    /// Sessions that ended.
    pub closed: Vec<SessionClose>,
    /// Everything that was said, as text.
    pub said: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    pub fn start(settings: Settings) -> Self {
        let (desk, words, asks) = Desk::new();
        let stop = CancellationToken::new();
        let task = tokio::spawn(adapter(settings).unwrap().run(desk, stop.clone()));
        let (claims, here, closed, said) = (HashMap::new(), Vec::new(), Vec::new(), String::new());
        Self { words, asks, stop, task, claims, here, closed, said }
    }

    fn take(&mut self, word: Word) {
        self.said.push_str(&format!("{word:?}\n"));
        match word.said {
            Said::Here => self.here.push(word.instance),
            Said::Gone => self.here.retain(|id| *id != word.instance),
            Said::Claims(claims) => {
                for claim in claims {
                    self.claims.insert((word.instance.clone(), claim.kind), claim);
                }
            }
            Said::Closed(close) => self.closed.push(close),
        }
    }

    /// Waits until this is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            let left = LIMIT.saturating_sub(began.elapsed());
            match tokio::time::timeout(left, self.words.recv()).await {
                Ok(Some(word)) => self.take(word),
                Ok(None) => panic!("the adapter ended, waiting for {what}"),
                Err(_) => panic!("{what}: not within {LIMIT:?}; said:\n{}", self.said),
            }
        }
        println!("{what}: after {:?}", began.elapsed());
    }

    /// The newest claim.
    pub fn claim(&self, instance: &str, kind: ConditionKind) -> Option<&Claim> {
        self.claims.get(&(InstanceId::new(instance).unwrap(), kind))
    }

    /// Waits until an instance is said to be this.
    pub async fn says(&mut self, instance: &str, kind: ConditionKind, status: Status, cause: Option<Cause>) {
        let what = format!("{instance} {kind} {status} {cause:?}");
        self.until(&what, |watched| {
            let claim = watched.claim(instance, kind);
            claim.is_some_and(|claim| claim.status == status && claim.cause == cause)
        })
        .await;
    }

    pub async fn linked(&mut self, instance: &str) {
        self.says(instance, ConditionKind::Linked, Status::True, None).await;
    }

    pub async fn not_linked(&mut self, instance: &str, cause: Cause) {
        self.says(instance, ConditionKind::Linked, Status::False, Some(cause)).await;
    }

    /// Orders something, and waits for the answer.
    pub async fn order(&mut self, instance: &str, doing: Doing) -> Result<String, String> {
        self.order_within(instance, doing, Duration::from_secs(30)).await
    }

    pub async fn order_within(
        &mut self,
        instance: &str,
        doing: Doing,
        time_limit: Duration,
    ) -> Result<String, String> {
        let (reply, mut answer) = oneshot::channel();
        let instance = InstanceId::new(instance).unwrap();
        let order = OrderId(uuid::Uuid::new_v4());
        let ask = Ask { order, instance, doing, reason: "a test".to_owned(), time_limit, reply };
        self.asks.send(ask).await.unwrap();
        loop {
            tokio::select! {
                answer = &mut answer => return answer.expect("an answer"),
                Some(word) = self.words.recv() => self.take(word),
                () = tokio::time::sleep(LIMIT) => panic!("no answer; said:\n{}", self.said),
            }
        }
    }

    /// Orders until the refusal says this; returns it.
    pub async fn refused_with(&mut self, instance: &str, doing: Doing, words: &str) -> String {
        let began = Instant::now();
        loop {
            let why = self.order(instance, doing).await.unwrap_err();
            if why.contains(words) {
                return why;
            }
            assert!(began.elapsed() < LIMIT, "{why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it; returns everything it said.
    pub async fn stop(mut self) -> String {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, &mut self.task).await.expect("it stops when told").unwrap();
        while let Ok(word) = self.words.try_recv() {
            self.take(word);
        }
        std::mem::take(&mut self.said)
    }
}
