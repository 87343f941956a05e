//! What an adapter is, and what it is connected to.
//!
//! An adapter is one task per gateway. It says what it sees as [`Word`]s and is asked to do things by [`Ask`]s; nothing
//! else passes between it and the agent, so an adapter can be tested without one. It decides nothing about policy: that
//! something *may* be done was decided before it was asked, except that it refuses what is on its own list of never.

use std::time::Duration;

use futures_util::future::BoxFuture;
use mooring_core::id::{InstanceId, OrderId};
use mooring_core::observation::Claim;
use mooring_core::session::SessionClose;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Words that wait for the agent.
pub const WORDS: usize = 64;
/// Asks that wait for the adapter.
pub const ASKS: usize = 64;

/// Watches one gateway through its own interfaces.
pub trait Adapter: Send + 'static {
    /// Watches and does what is asked until told to stop. Ending earlier is a fault of the adapter: whatever the gateway
    /// does, it goes on.
    fn run(self: Box<Self>, desk: Desk, stop: CancellationToken) -> BoxFuture<'static, ()>;
}

/// What an adapter is connected to.
#[derive(Debug)]
pub struct Desk {
    /// Where it says what it sees. Closed: nobody listens any more.
    pub words: mpsc::Sender<Word>,
    /// What it is asked to do. Closed: nothing more will be asked.
    pub asks: mpsc::Receiver<Ask>,
}

impl Desk {
    /// A desk, and the agent's side of it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Word>, mpsc::Sender<Ask>) {
        let (words, said) = mpsc::channel(WORDS);
        let (ask, asks) = mpsc::channel(ASKS);
        (Self { words, asks }, said, ask)
    }
}

/// Something seen of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Of which.
    pub instance: InstanceId,
    /// What.
    pub said: Said,
}

/// What can be said of an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It exists. Said once when it is found; saying it again does nothing.
    Here,
    /// It does not exist any more.
    Gone,
    /// Conditions, with causes, words and evidence. `source` is [`mooring_core::session::Source::Adapter`]. A claim
    /// stands until the next one of the same condition.
    Claims(Vec<Claim>),
    /// A session of it ended.
    Closed(SessionClose),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Renew its connection.
    Reconnect,
    /// Restart what serves this one instance.
    Restart,
}

/// Something an adapter is asked to do.
#[derive(Debug)]
pub struct Ask {
    /// The order behind it.
    pub order: OrderId,
    /// On which instance.
    pub instance: InstanceId,
    /// What.
    pub doing: Doing,
    /// Why, in words.
    pub reason: String,
    /// The answer must be there by then.
    pub time_limit: Duration,
    /// Answered when the *effect* was seen, with what was seen; or with the reason why it was refused, or why it is not
    /// known to have had an effect.
    pub reply: oneshot::Sender<Result<String, String>>,
}
