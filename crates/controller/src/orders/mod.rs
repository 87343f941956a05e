//! Orders and planning: the desk where proposals meet the gates, orders are followed through their life, and receipts
//! come in.
//!
//! One task owns it all ([`Clerk`]), so that a case, its order and the belief it was decided on are never changed from
//! two sides. Everyone else holds a [`Desk`]: a cheap handle that puts a slip on it. What the clerk does, it does in the
//! order persist, believe, send; a crash between any two of these is answered by what is done at start: live orders are
//! loaded, sent again (the agent's ledger makes that harmless), and a case whose order is over but not counted is settled
//! before anything is planned on it.
//!
//! The planner has no input of its own. Whatever woke the clerk (a change, a slip, the clock), it looks at the gateways
//! that may have changed and does what the pure plan says; doing it twice does no more than doing it once.

mod asking;
mod case_book;
mod clerk;
mod life;
mod planning;
mod queue;
mod rounds;
#[cfg(test)]
mod tests;
mod warmup;

use std::sync::Arc;

use mooring_core::id::{AgentId, OrderId};
use mooring_core::order::{Order, Proposal, Receipt};
use mooring_core::planner::Case;
use mooring_store::{Admission, StoreError};
use tokio::sync::{Notify, mpsc, oneshot};

pub use clerk::{Clerk, Parts};
pub use warmup::Warmup;

/// Slips on the desk at most; who has one more waits.
const SLIPS: usize = 4_096;

/// Why the desk did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such order.
    #[error("there is no order {0}")]
    NoOrder(OrderId),
    /// The order is not in a state for it.
    #[error(transparent)]
    Illegal(#[from] mooring_core::order::Illegal),
    /// The controller is stopping.
    #[error("the controller is stopping")]
    Stopping,
}

/// A slip of paper.
pub(crate) enum Slip {
    Ask { proposal: Box<Proposal>, validate_only: bool, reply: oneshot::Sender<Result<Admission, DeskError>> },
    Cancel { id: OrderId, by: String, reply: oneshot::Sender<Result<Order, DeskError>> },
    Receipt { agent: AgentId, receipt: Box<Receipt>, reply: oneshot::Sender<Result<(), DeskError>> },
    Attached(AgentId),
    Cases { reply: oneshot::Sender<Vec<Case>> },
}

/// Handle to the desk.
#[derive(Debug, Clone)]
pub struct Desk {
    slips: mpsc::Sender<Slip>,
    look: Arc<Notify>,
}

/// A desk and what its clerk reads from.
#[must_use]
pub fn desk() -> (Desk, Slips) {
    let (tx, rx) = mpsc::channel(SLIPS);
    let look = Arc::new(Notify::new());
    (Desk { slips: tx, look: Arc::clone(&look) }, Slips { slips: rx, look })
}

/// The clerk's end of the desk.
#[derive(Debug)]
pub struct Slips {
    pub(crate) slips: mpsc::Receiver<Slip>,
    /// Not a slip: it must get through when the desk is full, and says no more when said twice.
    look: Arc<Notify>,
}

impl Desk {
    async fn put<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Slip) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.slips.send(make(reply)).await.map_err(|_| DeskError::Stopping)?;
        answer.await.map_err(|_| DeskError::Stopping)
    }

    /// Puts a proposal to the gates.
    ///
    /// # Errors
    /// When the store is away or the controller stops. Shut gates are an answer, not an error.
    pub async fn ask(&self, proposal: Proposal, validate_only: bool) -> Result<Admission, DeskError> {
        let proposal = Box::new(proposal);
        self.put(|reply| Slip::Ask { proposal, validate_only, reply }).await?
    }

    /// Takes an order back.
    ///
    /// # Errors
    /// When there is none, the agent may have begun, or the store is away.
    pub async fn cancel(&self, id: OrderId, by: String) -> Result<Order, DeskError> {
        self.put(|reply| Slip::Cancel { id, by, reply }).await?
    }

    /// What an agent says happened to an order. Returns once it is durable; while the database is away, it waits.
    ///
    /// # Errors
    /// Only when the controller stops: a receipt that makes no sense is logged and done with.
    pub async fn receipt(&self, agent: AgentId, receipt: Receipt) -> Result<(), DeskError> {
        loop {
            let (agent, receipt) = (agent.clone(), Box::new(receipt.clone()));
            match self.put(|reply| Slip::Receipt { agent, receipt, reply }).await? {
                Err(DeskError::Store(StoreError::Away(_) | StoreError::Conflict(_))) => {
                    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                }
                other => return other,
            }
        }
    }

    /// An agent has attached: its live orders are taken over, and what it has not accepted is sent again.
    pub async fn attached(&self, agent: AgentId) {
        // A controller that stops sends nothing any more, and the next one begins with all live orders.
        let _ = self.slips.send(Slip::Attached(agent)).await;
    }

    /// Something the fleet does not tell of has changed (a pause, a policy): look at everything that is sick or waits.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// The open cases.
    ///
    /// # Errors
    /// When the controller stops.
    pub async fn cases(&self) -> Result<Vec<Case>, DeskError> {
        self.put(|reply| Slip::Cases { reply }).await
    }
}
