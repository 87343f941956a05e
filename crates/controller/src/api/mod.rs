//! The operator API: `mooring.v1` over gRPC.
//!
//! Thin: a call is checked here, answered from the belief in memory or the store, or put on the desk; decisions are
//! elsewhere. Reads of the fleet need no database and go on while it is away, marked: `stale` on instances,
//! `database_away` on the fleet, and the header `mooring-stale: true` on every answer given meanwhile. Whatever changes
//! something needs the database, and leaves an event with the principal's name.
//!
//! | file | what |
//! |---|---|
//! | [`status`] | every error, with its reason |
//! | [`filter`], [`page`] | lists: what is listed, and in which portions |
//! | `auth`, `observe`, `server` | what stands around every call |
//! | `request`, `convert`, `records` | checks on the way in, resources on the way out |
//! | `*_service`, `sessions` | one file (or folder) per service; `listing`, `explain`, `watch` are the larger calls of the fleet service |
//!
//! Adding a call: its messages in `proto/`, a method in its service's file. A new service: one file and one line each in
//! `server` and `health`.

mod auth;
mod convert;
mod diagnosis_service;
mod event_service;
mod explain;
pub mod filter;
mod fleet_service;
mod health;
mod listing;
mod observe;
mod order_service;
pub mod page;
mod pause_service;
mod policy_service;
mod records;
mod request;
mod server;
mod sessions;
pub mod status;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use mooring_core::gate::Pause;
use mooring_core::time::Timestamp;
use mooring_runtime::auth::TokenSet;
use mooring_store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

pub use health::Health;
pub use server::{ApiRouter, STALE_HEADER, router, serve};

use crate::config::ApiConfig;
use crate::database::{Database, now};
use crate::fleet::Fleet;
use crate::link::Sessions;
use crate::orders::{Desk, Warmup};
use crate::policies::Policies;

/// Explanations that may ask the desk at once.
const QUESTIONS: usize = 4;
/// Looks at sessions under way at once: each asks agents and holds what they answer.
const LOOKS: usize = 8;

/// What the API works with.
#[derive(Clone)]
pub struct ApiParts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether it is there.
    pub database: Database,
    /// The belief.
    pub fleet: Fleet,
    /// The agents' streams.
    pub sessions: Sessions,
    /// Where orders are asked for.
    pub desk: Desk,
    /// The policies in force.
    pub policies: Policies,
    /// Whether the controller knows its fleet yet.
    pub warmup: Warmup,
    /// Operators' tokens; none: everyone who can connect may call.
    pub tokens: Option<Arc<TokenSet>>,
    /// The section of the configuration.
    pub config: ApiConfig,
}

impl std::fmt::Debug for ApiParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiParts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What all services share.
struct Shared {
    parts: ApiParts,
    tokens: page::Tokens,
    watches: Arc<Semaphore>,
    /// Bounds what explanations ask of the desk at once: orders and receipts must not queue behind questions.
    questions: Semaphore,
    /// Bounds the looks at sessions.
    looks: Semaphore,
    stopping: CancellationToken,
    /// The pauses when the store was last asked: what is shown while it is away.
    last_pauses: Mutex<Vec<Pause>>,
}

impl Shared {
    fn new(parts: ApiParts, stopping: CancellationToken) -> Arc<Self> {
        let watches = Arc::new(Semaphore::new(parts.config.max_watches));
        // Drawn here, at the edge; everything below takes it as given.
        let tokens = page::Tokens::new(rand::random(), rand::random());
        Arc::new(Self {
            parts,
            tokens,
            watches,
            questions: Semaphore::new(QUESTIONS),
            looks: Semaphore::new(LOOKS),
            stopping,
            last_pauses: Mutex::default(),
        })
    }

    fn is_away(&self) -> bool {
        self.parts.database.away_since().is_some()
    }

    /// Asks the store, unless it is known to be away: a caller should be told at once rather than after a time limit.
    async fn ask<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.is_away() {
            return Err(StoreError::Away("known to be away".to_owned()));
        }
        self.parts.database.note(answer.await)
    }

    /// As [`ask`](Self::ask), for calls that cannot be answered without the store.
    async fn need<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Status> {
        self.ask(answer).await.map_err(|e| status::store(&e))
    }

    /// As [`ask`](Self::ask), for calls that have something to show without the store too: `None` while it is away.
    async fn try_ask<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Option<T>, Status> {
        match self.ask(answer).await {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::Away(_)) => Ok(None),
            Err(e) => Err(status::store(&e)),
        }
    }

    /// The pauses in force; while the database is away, those last seen.
    async fn pauses(&self, at: Timestamp) -> Result<Vec<Pause>, Status> {
        let fresh = self.try_ask(self.parts.store.pauses(at)).await?;
        let mut last = self.last_pauses.lock().unwrap_or_else(PoisonError::into_inner);
        match fresh {
            Some(pauses) => last.clone_from(&pauses),
            None => last.retain(|p| p.until > at),
        }
        Ok(last.clone())
    }

    /// An answer, marked when it is from memory because the database is away.
    fn answer<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        if self.is_away() {
            response.metadata_mut().insert(STALE_HEADER, tonic::metadata::MetadataValue::from_static("true"));
        }
        response
    }

    /// A place among the watches; it is given back when the permit is dropped.
    fn watch_permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            let limit = self.parts.config.max_watches;
            let message = format!("{limit} watches are open, the limit of this controller");
            status::exhausted(
                status::Reason::TooManyWatches,
                &message,
                Some(std::time::Duration::from_secs(10)),
            )
        })
    }

    fn now() -> Timestamp {
        now()
    }
}
