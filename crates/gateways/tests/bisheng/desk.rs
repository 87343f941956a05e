//! An adapter at its desk: what it says is kept, what it is asked goes through.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{InstanceId, OrderId};
use mooring_core::observation::Claim;
use mooring_gateways::bisheng::{Bisheng, Hop, Settings};
use mooring_gateways::{Adapter, Ask, Desk, Doing, Said, Word};
use mooring_runtime::config::{HumanDuration, SecretFile};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::stack::Stack;

const PATIENCE: Duration = Duration::from_secs(120);

/// Settings for a stack, fast enough for a test.
pub async fn settings(stack: &Stack) -> Settings {
    let hop = |name: &str, url| Hop { name: name.to_owned(), url };
    Settings {
        backend: stack.backend(),
        hops: vec![hop("nginx", stack.nginx()), hop("apache", stack.apache())],
        cookie_file: Some(SecretFile::new(stack.login().await)),
        poll: HumanDuration::from_millis(500),
        walk: HumanDuration::from_millis(500),
        time_limit: HumanDuration::from_secs(3),
        ..Settings::default()
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
        let adapter = Box::new(Bisheng::new(settings).unwrap());
        let task = tokio::spawn(adapter.run(desk, stop.clone()));
        Self { words, asks, task, stop }
    }

    /// Waits for a claim that says this.
    pub async fn says(&mut self, kind: ConditionKind, status: Status, cause: Option<Cause>) -> Claim {
        let mut heard = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let word = self.words.recv().await.expect("the adapter goes on");
                assert_eq!(word.instance.as_str(), "bisheng");
                let Said::Claims(claims) = word.said else { continue };
                for claim in claims {
                    if (claim.kind, claim.status, claim.cause) == (kind, status, cause) {
                        return claim;
                    }
                    heard.push(format!(
                        "{}: {} {:?} {}",
                        claim.kind, claim.status, claim.cause, claim.message
                    ));
                }
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("not heard: {kind} {status} {cause:?}; but {heard:#?}"))
    }

    pub async fn fails(&mut self, kind: ConditionKind, cause: Cause) -> Claim {
        self.says(kind, Status::False, Some(cause)).await
    }

    pub async fn well(&mut self, kind: ConditionKind) -> Claim {
        self.says(kind, Status::True, None).await
    }

    /// Every claim until so many of one kind were heard.
    pub async fn hear(&mut self, kind: ConditionKind, times: usize) -> Vec<Claim> {
        let mut heard: Vec<Claim> = Vec::new();
        while heard.iter().filter(|c| c.kind == kind).count() < times {
            let word = timeout(PATIENCE, self.words.recv()).await.expect("it goes on talking").unwrap();
            if let Said::Claims(claims) = word.said {
                heard.extend(claims);
            }
        }
        heard
    }

    pub async fn ask(&self, doing: Doing) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            order: OrderId(uuid::Uuid::now_v7()),
            instance: InstanceId::new("bisheng").unwrap(),
            doing,
            reason: "a test".to_owned(),
            time_limit: Duration::from_secs(10),
            reply,
        };
        self.asks.send(ask).await.unwrap();
        timeout(PATIENCE, answer).await.expect("an answer in time").unwrap()
    }

    /// Ends it, and expects that it ends when told to.
    pub async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends when told to").unwrap();
    }
}
