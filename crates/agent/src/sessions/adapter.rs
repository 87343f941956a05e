//! What an adapter says of its gateway's instances, carried to their trackers; and what it is asked to do.
//!
//! An adapter is a task of its own, and this is another: the adapter must not wait for trackers, and the trackers' words
//! must keep their order. Instances that it finds are adopted before anything is said of them.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::{GatewayId, InstanceId, OrderId};
use mooring_core::session::{SessionPage, SessionQuery, Source};
use mooring_gateways::{Ask, Doing, Said, Word};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::report::Adoption;
use super::tap::Tap;
use super::{Closed, Closing, SessionSource, Which};
use crate::clock::now;

/// How often numbers are told and deadlines looked at.
const TICK: Duration = Duration::from_secs(1);

/// The way to one gateway's adapter. It lists no sessions: what it sees are instances.
pub struct AdapterSource {
    asks: mpsc::Sender<Ask>,
}

impl fmt::Debug for AdapterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterSource").finish_non_exhaustive()
    }
}

impl AdapterSource {
    /// With the way to ask it.
    #[must_use]
    pub fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self { asks }
    }

    async fn end(&self, closing: Closing) -> Result<Closed, String> {
        let Which::Instance(instance) = closing.which else {
            return Err("the adapter renews the connections of single instances only".to_owned());
        };
        let reason = "its session is to be closed".to_owned();
        ask(&self.asks, OrderId(Uuid::now_v7()), instance, Doing::Reconnect, reason, closing.limit).await?;
        Ok(Closed { properly: 1, ..Closed::default() })
    }
}

impl SessionSource for AdapterSource {
    fn source(&self) -> Source {
        Source::Adapter
    }

    fn page(&self, _query: &SessionQuery) -> SessionPage {
        SessionPage::default()
    }

    fn asks(&self) -> Option<mpsc::Sender<Ask>> {
        Some(self.asks.clone())
    }

    fn close(&self, closing: Closing) -> BoxFuture<'_, Result<Closed, String>> {
        self.end(closing).boxed()
    }
}

/// Asks an adapter and waits for its word.
///
/// # Errors
/// Its own words for why not, or that it has stopped.
pub async fn ask(
    asks: &mpsc::Sender<Ask>,
    order: OrderId,
    instance: InstanceId,
    doing: Doing,
    reason: String,
    time_limit: Duration,
) -> Result<String, String> {
    let (reply, answer) = oneshot::channel();
    let gone = || "the adapter has stopped".to_owned();
    asks.send(Ask { order, instance, doing, reason, time_limit, reply }).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// Carries words on.
#[derive(Debug)]
pub struct Listening {
    /// Of which gateway.
    pub gateway: GatewayId,
    /// What the adapter says.
    pub words: mpsc::Receiver<Word>,
    /// Where instances are asked to be watched.
    pub adopt: mpsc::Sender<Adoption>,
    /// Instances that are in the configuration: they are watched already.
    pub known: HashSet<InstanceId>,
}

impl Listening {
    /// Until the adapter ends or `stop`.
    pub async fn run(mut self, mut tap: Tap, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                word = self.words.recv() => match word {
                    Some(word) => self.take(word, &mut tap).await,
                    None => {
                        // Whatever it said does not hold any more; who watched is gone.
                        tap.withdraw().await;
                        return;
                    }
                },
                _ = tick.tick() => tap.tick().await,
            }
        }
    }

    async fn take(&mut self, word: Word, tap: &mut Tap) {
        let Word { instance, said } = word;
        match said {
            Said::Here => {
                self.watched(&instance).await;
            }
            Said::Gone => {
                if self.known.remove(&instance) {
                    Adoption::ask(&self.adopt, &self.gateway, &instance, false).await;
                }
            }
            Said::Claims(claims) => {
                if self.watched(&instance).await {
                    tap.claim(Some(&instance), claims).await;
                }
            }
            Said::Closed(mut close) => {
                if self.watched(&instance).await {
                    close.instance = Some(instance);
                    tap.tell_end(now().mono, close);
                }
            }
        }
    }

    /// Sees to it that an instance has a tracker before anything is said of it.
    async fn watched(&mut self, instance: &InstanceId) -> bool {
        if self.known.contains(instance) {
            return true;
        }
        let here = Adoption::ask(&self.adopt, &self.gateway, instance, true).await;
        if here {
            self.known.insert(instance.clone());
        }
        here
    }
}
