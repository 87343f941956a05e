//! The relay in front of a gateway: what it tells goes to the tap, what is asked of its sessions to the relay itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::id::InstanceId;
use mooring_core::session::crowd::Census;
use mooring_core::session::{SessionPage, SessionQuery, Source};
use mooring_relay::{CloseOrder, Event, Meanwhile, Queue, RefusedBy, RelayHandle, Swept};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tap::{Outside, Tap};
use super::{Closed, Closing, Door, SessionSource, Which};
use crate::clock::until;
use crate::config::RelaySection;

/// Events of a relay that wait to be taken. A gateway that dies takes thousands of sessions with it in one moment.
pub const EVENTS: usize = 65_536;
/// How long a session has to answer the Close frame before its connection is ended.
const WAIT: Duration = Duration::from_secs(5);

/// The sessions that go through a relay.
#[derive(Clone)]
pub struct RelaySource {
    relay: RelayHandle,
    section: Arc<RelaySection>,
}

impl fmt::Debug for RelaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySource").field("listen", &self.section.listen).finish_non_exhaustive()
    }
}

impl RelaySource {
    /// Of a relay that runs.
    #[must_use]
    pub fn new(relay: RelayHandle, section: RelaySection) -> Self {
        Self { relay, section: Arc::new(section) }
    }

    /// How sessions are closed over so much time, all of it within `limit`.
    fn order(&self, spread: Option<Duration>, limit: Duration) -> CloseOrder {
        let wait = WAIT.min(limit / 2);
        let window = spread.unwrap_or_else(|| self.section.spread.get()).min(limit.saturating_sub(wait));
        CloseOrder {
            code: self.section.close_code,
            reason: self.section.close_reason.clone(),
            window,
            wait,
            seed: rand::random(),
        }
    }

    async fn end(&self, closing: Closing) -> Result<Closed, String> {
        let order = self.order(closing.spread, closing.limit);
        let closed = match &closing.which {
            Which::One(session) => self.relay.close_session(session, &order).await,
            Which::Instance(instance) => self.relay.close_instance(instance, &order).await,
            Which::All => self.relay.close_all(&order).await,
        };
        Ok(told(closed))
    }
}

fn told(closed: mooring_relay::Closed) -> Closed {
    Closed { properly: closed.properly, cut: closed.cut, gone: closed.gone }
}

impl SessionSource for RelaySource {
    fn source(&self) -> Source {
        Source::Relay
    }

    fn page(&self, query: &SessionQuery) -> SessionPage {
        self.relay.list(query)
    }

    fn close(&self, closing: Closing) -> BoxFuture<'_, Result<Closed, String>> {
        self.end(closing).boxed()
    }

    fn door(&self) -> Option<&dyn Door> {
        Some(self)
    }
}

impl Door for RelaySource {
    fn hold(&self, on: bool) {
        self.relay.hold(on);
    }

    fn drain(&self, spread: Option<Duration>, limit: Duration) -> BoxFuture<'_, Result<Closed, String>> {
        async move {
            // Refused, not held: nobody knows when a drain ends, and a client that is told to come back may go elsewhere.
            Ok(told(self.relay.drain(&self.order(spread, limit), Meanwhile::Refuse).await))
        }
        .boxed()
    }

    fn resume(&self) {
        self.relay.resume();
    }
}

/// Carries what a relay tells to the tap.
pub struct Listening {
    /// The relay.
    pub relay: RelayHandle,
    /// What it tells.
    pub events: mpsc::Receiver<Event>,
    /// Where that came from, to know what was lost.
    pub queue: Arc<Queue>,
    /// The gateway's only instance; `None`: it has several.
    pub only: Option<InstanceId>,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("only", &self.only).finish_non_exhaustive()
    }
}

impl Listening {
    /// Listens until told to stop or the relay is gone.
    pub async fn run(mut self, mut tap: Tap, mut outside: Outside, stop: CancellationToken) {
        let mut lost = 0;
        loop {
            let wake = tap.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Before what came of it.
                noise = outside.next() => tap.heard(noise).await,
                event = self.events.recv() => match event {
                    Some(event) => {
                        let dropped = self.queue.dropped();
                        tap.lost(dropped - lost);
                        lost = dropped;
                        self.take(event, &mut tap).await;
                    }
                    None => return,
                },
                () = until(wake) => tap.tick().await,
            }
        }
    }

    async fn take(&self, event: Event, tap: &mut Tap) {
        match event {
            Event::Opened(opened) => tap.opened(opened.instance.as_ref()).await,
            Event::Refused(refused) => match refused.by {
                // What the peer did wrong, or we, says nothing of the gateway.
                RefusedBy::Limit | RefusedBy::Drained | RefusedBy::Invalid | RefusedBy::Client => {
                    tracing::debug!(peer = refused.peer, by = ?refused.by, message = refused.message, "the relay refused a session");
                    tap.refused_by_us(refused.cause);
                }
                RefusedBy::Unreachable | RefusedBy::Gateway => {
                    tap.refused(refused.instance.as_ref(), refused.cause, &refused.message).await;
                }
            },
            Event::Away { instance, cause, message } => tap.away(instance.as_ref(), cause, &message).await,
            Event::Closed(close) => tap.closed(*close).await,
            Event::RoundTrip { rtt, .. } => tap.round_trip(rtt),
            Event::Swept(swept) => self.swept(&swept, tap).await,
            Event::Violated { id, side, violation, .. } => {
                tracing::debug!(session = %id, ?side, %violation, "a session breaks RFC 6455");
            }
            Event::Panicked => {
                tracing::error!("a relayed session ended by a mistake in the agent; no other was touched")
            }
            Event::ListenerFailed { name, message } => {
                tracing::error!(listener = name, message, "the relay takes no more connections here");
            }
            Event::Beat { .. } => {}
        }
    }

    async fn swept(&self, swept: &Swept, tap: &mut Tap) {
        let counts = self.relay.counts();
        tap.recount(&counts);
        tap.looked(swept.open, swept.sick.iter().map(|(_, n)| n).sum());
        let seen = swept.instances.iter().map(|(instance, health)| (Some(instance), health));
        for (instance, health) in seen {
            let census = Census {
                open: health.open,
                sick: &health.sick,
                newest_data_age: Some(health.heard),
                ..Census::default()
            };
            tap.census(instance, census).await;
        }
        // Those of which no session is open any more are told, too.
        let absent =
            tap.instances().into_iter().flatten().filter(|known| {
                swept.instances.binary_search_by(|(instance, _)| instance.cmp(known)).is_err()
            });
        for instance in absent {
            tap.census(Some(&instance), Census::default()).await;
        }
        if let Some(only) = &self.only
            && swept.instances.is_empty()
            && tap.instances().is_empty()
        {
            tap.census(Some(only), Census::default()).await;
        }
        tap.tick().await;
    }
}
