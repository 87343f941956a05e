//! How a call runs: bounded in time, in one transaction, tried again when it lost a race.

use std::future::Future;

use futures_util::future::BoxFuture;
use mooring_store::StoreError;
use sqlx::{Connection, PgConnection};

use crate::PgStore;
use crate::errors::Fault;

/// How often a transaction is tried that lost a deadlock or a race for a unique name.
const TRIES: u32 = 4;

/// The body of a transaction. A plain function with its arguments beside it, since it may run more than once.
pub(crate) type Body<A, T> = for<'c> fn(&'c mut PgConnection, &'c A) -> BoxFuture<'c, Result<T, Fault>>;

impl PgStore {
    /// Runs a single statement's future within the time of a call.
    pub(crate) async fn once<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        let limit = self.settings.call_timeout;
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done.map_err(StoreError::from),
            Err(_elapsed) => Err(StoreError::Away(format!("no answer within {limit:?}"))),
        }
    }

    /// Runs a body in a transaction and commits it. When the answer to the commit is lost the caller hears
    /// [`StoreError::Away`] and may call again: bodies are idempotent.
    pub(crate) async fn transact<A: Sync, T: Send>(
        &self,
        args: A,
        body: Body<A, T>,
    ) -> Result<T, StoreError> {
        self.once(async {
            let mut tried = 0;
            loop {
                tried += 1;
                match self.transact_once(&args, body).await {
                    Err(fault) if tried < TRIES && fault.worth_retrying() => {
                        tracing::debug!(?fault, tried, "the transaction lost a race and is tried again");
                    }
                    done => return done,
                }
            }
        })
        .await
    }

    async fn transact_once<A: Sync, T: Send>(&self, args: &A, body: Body<A, T>) -> Result<T, Fault> {
        let mut connection = self.pool.acquire().await?;
        let mut tx = connection.begin().await?;
        let value = body(&mut tx, args).await?;
        tx.commit().await?;
        Ok(value)
    }
}
