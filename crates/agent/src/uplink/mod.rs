//! The uplink: the agent's one stream to a controller, kept open for ever.
//!
//! It tries the configured addresses in turn, says `Hello`, obeys the `Welcome`, and from then on sends what the outbox
//! has and hands orders to whoever carries them out. When the stream ends, for whatever reason, it begins again; what
//! was not acknowledged is in the outbox and is sent again. The agent watches all the while: nothing in here is awaited
//! by a watcher.
//!
//! The decisions are elsewhere and pure: what to send in [`crate::outbox`], when to try again in `pace`. A stream is
//! believed dead when the controller was silent for as long as it said itself; the transport's own pings only help to
//! find that out sooner, and prove nothing about the process behind a proxy.

mod dial;
mod pace;
mod session;
mod state;

use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::backoff::Backoff;
use mooring_core::id::{BootId, GatewayId};
use mooring_core::order::Receipt;
use mooring_core::session::{SessionPage, SessionQuery};
use mooring_proto::link::OrderMessage;
use mooring_runtime::lifecycle::Tokens;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::now;
use crate::config::{ControllerSection, Identity};
use crate::metrics::{Metrics, StreamEnd};
use crate::outbox::Outgoing;
use crate::track::Lateness;
use dial::{Attachment, DialError, Who, dial};
use pace::Pace;
use session::{End, Session};
pub use state::UplinkState;

/// Who carries orders out, as the uplink sees it.
pub trait OrderDesk: Send + Sync + 'static {
    /// Takes orders in. Completes when each of them is durably on record, or answered by a receipt in the outbox.
    fn take(&self, orders: Vec<OrderMessage>) -> BoxFuture<'static, ()>;

    /// The controller has these receipts durably: nobody needs to remember them any longer.
    fn durable(&self, receipts: Vec<Receipt>);
}

/// Who answers questions about sessions, as the uplink sees it.
pub trait SessionDesk: Send + Sync + 'static {
    /// The sessions of a gateway, or in words why there is no answer. May take as long as it needs to look at all of them.
    fn answer(
        &self,
        gateway: GatewayId,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<SessionPage, String>>;
}

/// Who examines endpoints, as the uplink sees it.
pub trait ExamineDesk: Send + Sync + 'static {
    /// Begins an examination and returns at once. Its answers, all with that number and the last one marked, go into the
    /// channel; it ends early, in good order, when what this returns is dropped.
    fn examine(
        &self,
        number: u64,
        request: &mooring_proto::v1::DiagnoseRequest,
        answers: mpsc::Sender<mooring_proto::agent_v1::ExamineAnswer>,
    ) -> DropGuard;
}

/// What the uplink works with.
pub struct Uplink {
    /// Addresses, token, TLS.
    pub controller: ControllerSection,
    /// Who we are.
    pub identity: Identity,
    /// This life of the process.
    pub boot: BootId,
    /// What is to be told.
    pub outgoing: Outgoing,
    /// Who takes orders.
    pub desk: std::sync::Arc<dyn OrderDesk>,
    /// Who knows of sessions.
    pub sessions: std::sync::Arc<dyn SessionDesk>,
    /// Who examines.
    pub doctor: std::sync::Arc<dyn ExamineDesk>,
    /// How late the agent itself was.
    pub lateness: Lateness,
    /// Instruments.
    pub metrics: Metrics,
    /// The law of delays between tries.
    pub retry: Backoff,
    /// No order is taken any more once this is cancelled.
    pub refuse_orders: CancellationToken,
    /// Cancelled when another process goes on as this agent: then no goodbye is said.
    pub handed_on: CancellationToken,
}

impl std::fmt::Debug for Uplink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uplink")
            .field("identity", &self.identity)
            .field("boot", &self.boot)
            .finish_non_exhaustive()
    }
}

/// The task: see [`Uplink::prepare`].
pub struct UplinkTask {
    uplink: Uplink,
    board: state::Board,
}

impl std::fmt::Debug for UplinkTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uplink.fmt(f)
    }
}

impl Uplink {
    /// The task to run, and where to see how it stands.
    #[must_use]
    pub fn prepare(self) -> (UplinkTask, watch::Receiver<UplinkState>) {
        let board = state::Board::new(self.metrics.clone());
        let state = board.watch();
        (UplinkTask { uplink: self, board }, state)
    }
}

impl UplinkTask {
    /// Runs until told to stop; then what is in the outbox is sent (bounded), and goodbye is said.
    pub async fn run(mut self, tokens: Tokens) {
        let mut pace = Pace::new(self.uplink.retry);
        loop {
            let attachment = tokio::select! {
                () = tokens.soft.cancelled() => return,
                attempt = Box::pin(self.try_one(&mut pace)) => attempt,
            };
            let (why, hint) = match attachment {
                Ok(attachment) => {
                    pace.attached(now().mono);
                    match Box::pin(Session::new(&self.uplink, &mut self.board).run(attachment, &tokens)).await
                    {
                        End::Stopped => return,
                        End::Lost { why, hint } => (why, hint),
                    }
                }
                Err(error) => {
                    self.uplink.metrics.stream_ended(StreamEnd::Refused);
                    (error.to_string(), error.hint())
                }
            };
            let delay = pace.failed(now().mono, hint, &mut rand::rng());
            self.board.disconnected(&why, now().wall.after(delay));
            tokio::select! {
                () = tokens.soft.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    async fn try_one(&self, pace: &mut Pace) -> Result<Attachment, DialError> {
        let uplink = &self.uplink;
        let Some(address) = pace.address(&uplink.controller.addresses) else {
            // Validation refuses an empty list; a caller that built one by hand learns it here.
            let address = String::new();
            return Err(DialError::Address { address, reason: "no address is configured".to_owned() });
        };
        dial(address, &uplink.controller, uplink.hello()).await
    }
}

impl Uplink {
    fn hello(&self) -> mooring_proto::agent_v1::Hello {
        let who = Who { identity: self.identity.clone(), boot: self.boot };
        let outbox = self.outgoing.lock();
        who.hello(outbox.last_sequence(), outbox.usage())
    }
}

/// The delays between tries that the product ships: 0.5 s doubling to 30 s, with full jitter.
#[must_use]
pub fn default_retry() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(30)).unwrap_or_default()
}
