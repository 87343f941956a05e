//! OneBot v11: bots whose *implementation* (Lagrange, NapCat, …: the end that is logged in) and *framework* (NoneBot,
//! Koishi, Yunzai, …: the end that runs the plugins) are joined by one WebSocket.
//!
//! In **forward** mode the implementation has a server, and the agent is one more of its clients: it only watches.
//!
//! In **reverse** mode the implementation is the client, whatever the articles say, and the agent stands in between: the
//! implementation dials the agent, and the agent dials the framework with the same headers. Each message is handed on as
//! it came. That place is worth its price, because from nowhere else the two ends can be kept from noticing each other's
//! restarts ([`state`] argues how), a wrong path can be put right ([`settings`]) or at least be named ([`door`]), and
//! events, socket and API can be scored apart ([`health`]).
//!
//! **Never**: a lifecycle event of our own making, or anybody's id but in his own name (a framework makes a bot of each);
//! `set_restart` to Lagrange, which stops inside the request and comes back without its bot; a connection dropped by a
//! reset. Calls of our own (`get_version_info`, `get_status`) carry an echo that is known again; the framework never sees
//! their answers.
//!
//! | file | what |
//! |---|---|
//! | [`message`] | what a frame is |
//! | [`state`], [`calls`], [`redial`], [`pulse`] | one connection through the agent; pure |
//! | [`health`], [`refusal`] | what is claimed; pure |
//! | [`door`] | who may dial in; pure |
//! | `front`, `dial`, `socket` | HTTP and WebSocket |
//! | `account`, `reverse`, `forward` | the shell |

mod account;
pub mod calls;
mod clock;
mod dial;
pub mod door;
mod forward;
mod front;
pub mod health;
pub mod message;
mod orders;
pub mod pulse;
pub mod redial;
pub mod refusal;
mod reverse;
mod secrets;
pub mod settings;
mod socket;
pub mod state;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use settings::{Mode, Settings};

use crate::adapter::{Adapter, Desk};

/// The adapter.
#[derive(Debug)]
pub struct OneBot11 {
    settings: Arc<Settings>,
    bound: Option<oneshot::Sender<SocketAddr>>,
}

impl OneBot11 {
    /// With settings that have no [problems](Settings::problems).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), bound: None }
    }

    /// Tells the address it listens on in reverse mode, once it does: for a port that the system chooses.
    #[must_use]
    pub fn tell_address(mut self) -> (Self, oneshot::Receiver<SocketAddr>) {
        let (bound, address) = oneshot::channel();
        self.bound = Some(bound);
        (self, address)
    }
}

impl Adapter for OneBot11 {
    fn run(self: Box<Self>, desk: Desk, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            match self.settings.mode {
                Mode::Forward => forward::run(self.settings, desk, stop).await,
                Mode::Reverse => reverse::run(self.settings, desk, self.bound, stop).await,
            }
        })
    }
}
