//! Events: append-only, numbered so that a reader can go on from the last number it saw.
//!
//! A number is given at the insert and seen at the commit. Two transactions could therefore show a higher number before a
//! lower one, and a reader in between would miss the lower one for ever. Whoever inserts events holds a lock from then until
//! its commit; it is the last thing a transaction takes, and one transaction inserts all events of its batch.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use mooring_core::time::Timestamp;
use mooring_store::{EventKind, EventRecord, EventStore, NewEvent, Retention, StoreError};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;

use crate::PgStore;
use crate::convert::{cause, cause_code, known, limit, pairs, pairs_json, text, time, timestamp};
use crate::errors::Fault;
use crate::load::{condition_code, condition_kind, status};

/// Class of the advisory lock on numbers of events: "moev" in ASCII.
const LOCK: i64 = 0x6d6f_6576;

/// Rows in one insert.
const ROWS: usize = 10_000;

/// Rows in one delete, and how many deletes one call of `prune` makes.
const PRUNED_AT_ONCE: i64 = 10_000;
const PRUNE_ROUNDS: usize = 20;

/// What is older goes.
struct Oldest {
    event: OffsetDateTime,
    order: OffsetDateTime,
    close: OffsetDateTime,
}

struct Row {
    number: i64,
    at: OffsetDateTime,
    kind: i16,
    subject: String,
    message: String,
    condition: Option<i16>,
    status: Option<i16>,
    cause: Option<i16>,
    evidence: Value,
    trace_id: Option<String>,
}

impl Row {
    fn record(self) -> Result<EventRecord, Fault> {
        let condition = match (self.condition, self.status) {
            (Some(c), Some(s)) => Some((condition_kind("events", c)?, status("events", s)?)),
            _ => None,
        };
        let event = NewEvent {
            at: timestamp(self.at),
            kind: known("events", "kind", self.kind, EventKind::from_code(self.kind))?,
            subject: self.subject,
            message: self.message,
            condition,
            cause: self.cause.map(cause),
            evidence: pairs("events", self.evidence)?,
            trace_id: self.trace_id,
        };
        Ok(EventRecord { number: self.number, event })
    }
}

fn records(rows: Vec<Row>) -> Result<Vec<EventRecord>, Fault> {
    rows.into_iter().map(Row::record).collect()
}

/// Inserts events. Nothing that could wait may follow in the transaction.
pub(crate) async fn insert(tx: &mut PgConnection, events: &[&NewEvent]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
    for rows in events.chunks(ROWS) {
        insert_rows(tx, rows).await?;
    }
    Ok(())
}

async fn insert_rows(tx: &mut PgConnection, rows: &[&NewEvent]) -> Result<(), Fault> {
    let at: Vec<OffsetDateTime> = rows.iter().map(|e| time(e.at)).collect();
    let kinds: Vec<i16> = rows.iter().map(|e| e.kind.code()).collect();
    let subjects: Vec<String> = rows.iter().map(|e| text(&e.subject)).collect();
    let messages: Vec<String> = rows.iter().map(|e| text(&e.message)).collect();
    let conditions: Vec<Option<i16>> =
        rows.iter().map(|e| e.condition.map(|(c, _)| condition_code(c))).collect();
    let statuses: Vec<Option<i16>> =
        rows.iter().map(|e| e.condition.map(|(_, s)| i16::from(s.code()))).collect();
    let causes: Vec<Option<i16>> = rows.iter().map(|e| e.cause.map(cause_code)).collect();
    let evidence: Vec<Value> = rows.iter().map(|e| pairs_json(&e.evidence)).collect();
    let traces: Vec<Option<String>> = rows.iter().map(|e| e.trace_id.as_deref().map(text)).collect();
    sqlx::query!(
        "INSERT INTO events (at, kind, subject, message, condition, status, cause, evidence, trace_id)
         SELECT u.at, u.kind, u.subject, u.message, u.condition, u.status, u.cause, u.evidence, u.trace_id
         FROM UNNEST($1::timestamptz[], $2::smallint[], $3::text[], $4::text[], $5::smallint[], $6::smallint[],
             $7::smallint[], $8::jsonb[], $9::text[]) WITH ORDINALITY
             AS u(at, kind, subject, message, condition, status, cause, evidence, trace_id, place)
         ORDER BY u.place",
        &at,
        &kinds,
        &subjects,
        &messages,
        &conditions as &[Option<i16>],
        &statuses as &[Option<i16>],
        &causes as &[Option<i16>],
        &evidence,
        &traces as &[Option<String>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn append<'c>(tx: &'c mut PgConnection, events: &'c [NewEvent]) -> BoxFuture<'c, Result<(), Fault>> {
    Box::pin(async move { insert(tx, &events.iter().collect::<Vec<_>>()).await })
}

#[async_trait]
impl EventStore for PgStore {
    #[tracing::instrument(name = "db.events.append", skip_all, fields(events = events.len()))]
    async fn append_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.transact(events, |tx, events| append(tx, events)).await
    }

    #[tracing::instrument(name = "db.events.before", skip_all)]
    async fn events_before(
        &self,
        before: Option<i64>,
        since: Option<Timestamp>,
        rows: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.once(async {
            let rows = sqlx::query_as!(
                Row,
                "SELECT number, at, kind, subject, message, condition, status, cause, evidence, trace_id
                 FROM events WHERE number < $1 AND ($2::timestamptz IS NULL OR at >= $2)
                 ORDER BY number DESC LIMIT $3",
                before.unwrap_or(i64::MAX),
                since.map(time),
                limit(rows),
            );
            records(rows.fetch_all(&self.pool).await?)
        })
        .await
    }

    #[tracing::instrument(name = "db.events.after", skip_all)]
    async fn events_after(&self, after: i64, rows: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.once(async {
            let rows = sqlx::query_as!(
                Row,
                "SELECT number, at, kind, subject, message, condition, status, cause, evidence, trace_id
                 FROM events WHERE number > $1 ORDER BY number LIMIT $2",
                after,
                limit(rows),
            );
            records(rows.fetch_all(&self.pool).await?)
        })
        .await
    }

    #[tracing::instrument(name = "db.events.about", skip_all, fields(subject))]
    async fn events_about(&self, subject: &str, rows: u32) -> Result<Vec<EventRecord>, StoreError> {
        // What `x` holds begins with `x/`; the character after `/` is `0`. Two ranges of the index, no pattern to escape.
        let (subject, from, to) =
            (text(subject), format!("{}/", text(subject)), format!("{}0", text(subject)));
        self.once(async {
            let rows = sqlx::query_as!(
                Row,
                r#"SELECT number AS "number!", at AS "at!", kind AS "kind!", subject AS "subject!",
                       message AS "message!", condition, status, cause, evidence AS "evidence!", trace_id
                 FROM (
                     (SELECT * FROM events WHERE subject = $1 ORDER BY number DESC LIMIT $4)
                     UNION ALL
                     (SELECT * FROM events WHERE subject >= $2 AND subject < $3 ORDER BY number DESC LIMIT $4)
                 ) AS about
                 ORDER BY number DESC LIMIT $4"#,
                subject,
                from,
                to,
                limit(rows),
            );
            records(rows.fetch_all(&self.pool).await?)
        })
        .await
    }

    #[tracing::instrument(name = "db.events.prune", skip_all)]
    async fn prune(&self, now: Timestamp, keep: Retention) -> Result<u64, StoreError> {
        let oldest = Oldest {
            event: time(now.before(keep.events)),
            order: time(now.before(keep.orders)),
            close: time(now.before(keep.closes)),
        };
        let mut gone = self.prune_surplus_closes(PRUNED_AT_ONCE).await?;
        // Short transactions, each within the time of a call: nobody waits for a clean-up.
        for _ in 0..PRUNE_ROUNDS {
            let round = self.once(self.prune_round(&oldest)).await?;
            gone += round.0;
            if !round.1 {
                break;
            }
        }
        Ok(gone)
    }

    #[tracing::instrument(name = "db.store.ping", skip_all)]
    async fn ping(&self) -> Result<(), StoreError> {
        self.once(async {
            sqlx::query!("SELECT 1 AS one").fetch_one(&self.pool).await?;
            Ok(())
        })
        .await
    }
}

impl PgStore {
    /// One round: how many rows went, and whether there may be more.
    async fn prune_round(&self, oldest: &Oldest) -> Result<(u64, bool), Fault> {
        let events = sqlx::query!(
            "DELETE FROM events WHERE number IN (SELECT number FROM events WHERE at < $1 LIMIT $2)",
            oldest.event,
            PRUNED_AT_ONCE,
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        let orders = sqlx::query!(
            "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE state >= 10 AND ended_at < $1 LIMIT $2)",
            oldest.order,
            PRUNED_AT_ONCE,
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        let refusals = sqlx::query!("DELETE FROM refusals WHERE last_at < $1", oldest.event)
            .execute(&self.pool)
            .await?
            .rows_affected();
        let pauses = sqlx::query!("DELETE FROM pauses WHERE until < $1", oldest.event)
            .execute(&self.pool)
            .await?
            .rows_affected();
        let closes = sqlx::query!(
            "DELETE FROM session_closes
             WHERE number IN (SELECT number FROM session_closes WHERE at < $1 LIMIT $2)",
            oldest.close,
            PRUNED_AT_ONCE,
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        let full = PRUNED_AT_ONCE.unsigned_abs();
        let more = [events, orders, closes].contains(&full);
        Ok((events + orders + refusals + pauses + closes, more))
    }
}
