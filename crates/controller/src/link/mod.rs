//! The link: one bidirectional stream per agent.
//!
//! A stream's life: token, `Hello` within a time limit, limits, attachment in the store (which raises the agent's epoch:
//! older attachments can no longer write), `Welcome`, then messages until one side ends it. Each attachment is one task
//! that owns everything about it; other parts reach it through [`Sessions`].
//!
//! An agent is a peer. It speaks only for its own instances, since the names it sends are completed with the id that its
//! attachment fixed; it can have only a window of reports unacknowledged; its messages are bounded by the transport and
//! its numbers by the configuration; and a violation ends its stream and nobody else's.

mod declare;
mod examinations;
mod flight;
mod intake;
mod news;
mod questions;
mod service;
mod session;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mooring_core::id::{AgentId, BootId};
use mooring_proto::link::OrderMessage;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

pub use examinations::{Examine, ExamineError, Examining};
pub use questions::{AskError, CAPABILITY, PATIENCE, QUESTIONS, Question};
pub(crate) use service::agent_event;
pub use service::{ANY_AGENT, BEATS_PER_SECOND, Link, LinkConfig};
pub use session::Context;

use crate::metrics::Metrics;

/// What may be asked of a session.
#[derive(Debug)]
pub enum Command {
    /// Send these orders.
    Orders(Vec<OrderMessage>),
    /// Answer this if you are alive: a second boot of the same agent has come.
    Probe(tokio::sync::oneshot::Sender<()>),
    /// Ask the agent this.
    Ask(Box<Question>),
    /// Have the agent examine this.
    Examine(Box<Examine>),
}

/// A session, as others see it.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// Its epoch.
    pub epoch: u64,
    /// The boot behind it.
    pub boot: BootId,
    /// Its ear.
    pub commands: mpsc::Sender<Command>,
    /// Ends it.
    pub replaced: CancellationToken,
    /// Places for questions about sessions; none: the agent cannot be asked.
    pub questions: Option<Arc<Semaphore>>,
    /// Places for examinations; none: the agent cannot examine.
    pub examinations: Option<Arc<Semaphore>>,
}

/// All sessions, by agent.
#[derive(Debug, Clone)]
pub struct Sessions {
    map: Arc<Mutex<HashMap<AgentId, SessionHandle>>>,
    metrics: Metrics,
    patience: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(Metrics::default(), PATIENCE)
    }
}

impl Sessions {
    /// None yet. `patience` is how long an agent's answer is waited for.
    #[must_use]
    pub fn new(metrics: Metrics, patience: Duration) -> Self {
        Self { map: Arc::default(), metrics, patience }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, SessionHandle>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent's session.
    #[must_use]
    pub fn get(&self, agent: &AgentId) -> Option<SessionHandle> {
        self.lock().get(agent).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Puts a session in the agent's place; the newest epoch wins. Returns whether it did.
    pub(crate) fn put(&self, agent: AgentId, session: SessionHandle) -> bool {
        let mut map = self.lock();
        if let Some(old) = map.get(&agent) {
            if old.epoch > session.epoch {
                return false;
            }
            old.replaced.cancel();
        }
        map.insert(agent, session);
        true
    }

    /// Takes a session out, if it is still the agent's.
    fn remove(&self, agent: &AgentId, epoch: u64) {
        let mut map = self.lock();
        if map.get(agent).is_some_and(|s| s.epoch == epoch) {
            map.remove(agent);
        }
    }

    /// Hands orders to an agent's session. `false` when it has none, or its ear is full: they are sent again later.
    #[must_use]
    pub fn send(&self, agent: &AgentId, orders: Vec<OrderMessage>) -> bool {
        self.get(agent).is_some_and(|s| s.commands.try_send(Command::Orders(orders)).is_ok())
    }
}

/// The evidence key under which the trace context of an observation travels with its condition.
pub const TRACE_EVIDENCE: &str = "traceparent";
