//! Hints that an order was made, from whichever controller made it.
//!
//! A hint saves the dispatcher from waiting for its next look, and is nothing more: `NOTIFY` reaches who listens at that
//! moment, so what happened while the connection was lost is found by looking only. The dispatcher must look by itself
//! from time to time; it should also look once per [`Hint::Reconnected`].

use std::time::Duration;

use futures_util::Stream;
use mooring_core::id::AgentId;
use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::PgStore;

/// The channel; the payload is the agent's id.
pub(crate) const CHANNEL: &str = "mooring_orders";

/// Silence after which the connection is asked whether it still lives: a peer that vanished sends nothing.
const QUIET: Duration = Duration::from_secs(30);

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// An order was made for this agent.
    Order(AgentId),
    /// Listening has begun, at first or again: whatever was made before was not heard.
    Reconnected,
}

impl PgStore {
    /// Listens for ever, on a connection of its own, reconnecting by itself. Ends when dropped.
    pub fn listen_orders(&self) -> impl Stream<Item = Hint> + Send + use<> {
        let options = self.options.clone();
        futures_util::stream::unfold(None, move |listener: Option<PgListener>| {
            let options = options.clone();
            async move {
                let mut listener = listener;
                loop {
                    match listener {
                        None => match connect(&options).await {
                            Ok(new) => return Some((Hint::Reconnected, Some(new))),
                            Err(error) => {
                                tracing::debug!(%error, "cannot listen for orders yet");
                                tokio::time::sleep(PAUSE).await;
                            }
                        },
                        Some(ref mut live) => match next(live).await {
                            Ok(Some(agent)) => return Some((Hint::Order(agent), listener)),
                            Ok(None) => {}
                            Err(error) => {
                                tracing::debug!(%error, "stopped hearing of orders");
                                listener = None;
                            }
                        },
                    }
                }
            }
        })
    }
}

async fn connect(options: &sqlx::postgres::PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .max_lifetime(None)
        .idle_timeout(None);
    let pool = pool.connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // Reconnecting is ours, so that it is never silent.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// The next agent; `None` when there was nothing to hear and the connection lives.
async fn next(listener: &mut PgListener) -> Result<Option<AgentId>, sqlx::Error> {
    match tokio::time::timeout(QUIET, listener.try_recv()).await {
        Ok(Ok(Some(notification))) => Ok(AgentId::new(notification.payload()).ok()),
        Ok(Ok(None)) => Err(lost("the connection was lost")),
        Ok(Err(error)) => Err(error),
        Err(_quiet) => {
            let asked = sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&mut *listener);
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(answer) => answer.map(|_one| None),
                Err(_elapsed) => Err(lost("the server does not answer")),
            }
        }
    }
}

fn lost(what: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, what))
}
