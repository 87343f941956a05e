//! Whether the database is there. One place knows, everybody asks it.
//!
//! Any part that is told [`StoreError::Away`] reports it here; a prober then asks the database until it answers again.
//! While it is away streams stay open, detection goes on, reads are marked stale, and nothing destructive is ordered.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::time::Timestamp;
use mooring_runtime::clock::SystemClock;
use mooring_runtime::lifecycle::Tokens;
use mooring_store::{Store, StoreError};
use tokio::sync::watch;

/// How often an absent database is asked.
const PROBE: Duration = Duration::from_millis(500);
/// How often a present one is, so that its going is noticed without traffic.
const CHECK: Duration = Duration::from_secs(5);

/// Wall-clock time for records.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(SystemClock::unix_micros())
}

/// Since when the database is away, if it is; shared by everyone.
#[derive(Debug, Clone)]
pub struct Database {
    away: watch::Sender<Option<Timestamp>>,
}

impl Default for Database {
    fn default() -> Self {
        Self { away: watch::Sender::new(None) }
    }
}

impl Database {
    /// Since when it is away.
    #[must_use]
    pub fn away_since(&self) -> Option<Timestamp> {
        *self.away.borrow()
    }

    /// Follows it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Timestamp>> {
        self.away.subscribe()
    }

    /// Takes note of a result: whether the database answered is what counts. Passes it on.
    pub fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Away(why)) = &result {
            self.gone(why);
        }
        result
    }

    /// It did not answer.
    pub fn gone(&self, why: &str) {
        let first = self.away.send_if_modified(|away| {
            let first = away.is_none();
            away.get_or_insert_with(now);
            first
        });
        if first {
            tracing::error!(why, "the database is away: watching goes on, orders wait");
        }
    }

    /// It answered.
    pub(crate) fn back(&self) {
        let since = self.away.send_replace(None);
        if let Some(since) = since {
            tracing::info!(away_for = ?now().since(since), "the database is back");
        }
    }

    /// Asks the database until told to stop.
    pub async fn probe(self, store: Arc<dyn Store>, tokens: Tokens) {
        loop {
            let pause = if self.away_since().is_some() { PROBE } else { CHECK };
            let mut changes = self.watch();
            tokio::select! {
                () = tokens.soft.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => continue,
            }
            match store.ping().await {
                Ok(()) => self.back(),
                Err(e) => self.gone(&e.to_string()),
            }
        }
    }
}
