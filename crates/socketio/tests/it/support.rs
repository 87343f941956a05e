//! A server in a process of its own, and what it saw.

use std::future::Future;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mooring_socketio::Item;
use mooring_socketio::client::Client;
use mooring_wire::{Ask, Target, exchange};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Far beyond anything that should take long; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub async fn start(flags: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateways");
        assert!(
            folder.join("node_modules/socket.io").is_dir(),
            "run `npm ci --prefix tests/gateways` first (cargo xtask test does)"
        );
        let mut command = Command::new("node");
        command.arg(folder.join("sio-server.js")).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line =
            soon("the server's address", lines.next_line()).await.unwrap().expect("it announces itself");
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().expect("an address").to_owned();
        Self { child, address }
    }

    pub fn target(&self, path: &str) -> Target {
        Target::new(&format!("ws://{}{path}", self.address)).unwrap()
    }

    /// The target everybody uses.
    pub fn endpoint(&self) -> Target {
        self.target("/socket.io/")
    }

    /// Asks the server itself.
    pub async fn ask(&self, path: &str) -> Value {
        let done = soon("the log", exchange(&self.target(path), &Ask::get(1 << 20))).await;
        assert!(done.complete, "{done:?}");
        serde_json::from_slice(&done.body).unwrap()
    }

    /// What happened there, as lines.
    pub async fn log(&self) -> Vec<String> {
        let log = self.ask("/_log").await["log"].clone();
        log.as_array().unwrap().iter().map(Value::to_string).collect()
    }

    /// Waits until something is in the log.
    pub async fn saw(&self, line: &str) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log().await;
            if log.iter().any(|l| l == line) {
                return log;
            }
            assert!(Instant::now() < until, "{line} is not in {log:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no session is left in it.
    pub async fn is_empty(&self) {
        soon("the end of all sessions", async {
            while self.ask("/_log").await["open"] != 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// It is still there.
    pub fn lives(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server died");
    }

    /// Kills it at once.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// The next item that is an event or an end.
pub async fn telling(client: &mut Client) -> Item {
    soon("an item that tells", async {
        loop {
            match client.next().await {
                Item::Ping | Item::Alive => {}
                item => return item,
            }
        }
    })
    .await
}

/// The arguments of the next event, which must have this name.
pub async fn event(client: &mut Client, expected: &str) -> Vec<Value> {
    match telling(client).await {
        Item::Event { name, args, .. } if name == expected => args,
        other => panic!("{other:?} instead of {expected}"),
    }
}
