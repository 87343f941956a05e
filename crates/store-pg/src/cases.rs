//! Cases: one row per sick target.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use mooring_core::id::{OrderId, Target};
use mooring_core::planner::Case;
use mooring_store::{CaseStore, Key, StoreError};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::PgStore;
use crate::convert::{cause, cause_code, small, time, timestamp};
use crate::errors::Fault;

#[async_trait]
impl CaseStore for PgStore {
    #[tracing::instrument(name = "db.cases.save", skip_all, fields(open = open.len(), closed = closed.len()))]
    async fn save_cases(&self, open: &[Case], closed: &[Target]) -> Result<(), StoreError> {
        self.transact((open, closed), |tx, (open, closed)| save(tx, open, closed)).await
    }
}

fn save<'c>(
    tx: &'c mut PgConnection,
    open: &'c [Case],
    closed: &'c [Target],
) -> BoxFuture<'c, Result<(), Fault>> {
    Box::pin(async move {
        if !closed.is_empty() {
            let keys: Vec<Uuid> = closed.iter().map(|target| Key::of(target).0).collect();
            sqlx::query!("DELETE FROM cases WHERE target_key = ANY($1)", &keys).execute(&mut *tx).await?;
        }
        // The last of several of one target counts.
        let mut newest: std::collections::BTreeMap<&Target, &Case> = std::collections::BTreeMap::new();
        newest.extend(open.iter().map(|case| (&case.target, case)));
        let newest: Vec<&Case> = newest.into_values().collect();
        write(tx, &newest).await
    })
}

/// Writes cases, each of another target.
pub(crate) async fn write(tx: &mut PgConnection, cases: &[&Case]) -> Result<(), Fault> {
    if cases.is_empty() {
        return Ok(());
    }
    let keys: Vec<Uuid> = cases.iter().map(|c| Key::of(&c.target).0).collect();
    let targets: Vec<String> = cases.iter().map(|c| c.target.to_string()).collect();
    let causes: Vec<i16> = cases.iter().map(|c| cause_code(c.cause)).collect();
    let opened: Vec<OffsetDateTime> = cases.iter().map(|c| time(c.opened_at)).collect();
    let steps: Vec<i64> = cases.iter().map(|c| i64::from(c.step)).collect();
    let tries: Vec<i64> = cases.iter().map(|c| i64::from(c.tries)).collect();
    let attempts: Vec<i64> = cases.iter().map(|c| i64::from(c.attempts)).collect();
    let not_before: Vec<OffsetDateTime> = cases.iter().map(|c| time(c.not_before)).collect();
    let healthy: Vec<Option<OffsetDateTime>> = cases.iter().map(|c| c.healthy_since.map(time)).collect();
    let called: Vec<Option<OffsetDateTime>> = cases.iter().map(|c| c.human_called_at.map(time)).collect();
    let last: Vec<Option<Uuid>> = cases.iter().map(|c| c.last_order.map(|id| id.0)).collect();
    sqlx::query!(
        "INSERT INTO cases
             (target_key, target, cause, opened_at, step, tries, attempts, not_before, healthy_since,
              human_called_at, last_order)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::uuid[])
         ON CONFLICT (target_key) DO UPDATE SET
             cause = excluded.cause, opened_at = excluded.opened_at, step = excluded.step, tries = excluded.tries,
             attempts = excluded.attempts, not_before = excluded.not_before, healthy_since = excluded.healthy_since,
             human_called_at = excluded.human_called_at, last_order = excluded.last_order",
        &keys,
        &targets,
        &causes,
        &opened,
        &steps,
        &tries,
        &attempts,
        &not_before,
        &healthy as &[Option<OffsetDateTime>],
        &called as &[Option<OffsetDateTime>],
        &last as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Every open case.
pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<Case>, Fault> {
    let rows = sqlx::query!(
        "SELECT target, cause, opened_at, step, tries, attempts, not_before, healthy_since, human_called_at, last_order
         FROM cases"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Case {
                target: row.target.parse().map_err(|e| Fault::broken("cases", e))?,
                cause: cause(row.cause),
                opened_at: timestamp(row.opened_at),
                step: small("cases", "step", row.step)?,
                tries: small("cases", "tries", row.tries)?,
                attempts: small("cases", "attempts", row.attempts)?,
                not_before: timestamp(row.not_before),
                healthy_since: row.healthy_since.map(timestamp),
                human_called_at: row.human_called_at.map(timestamp),
                last_order: row.last_order.map(OrderId),
            })
        })
        .collect()
}
