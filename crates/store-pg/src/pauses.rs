//! Pauses.

use async_trait::async_trait;
use mooring_core::gate::{Pause, PauseScope};
use mooring_core::time::Timestamp;
use mooring_store::{NewEvent, NewPause, PauseStore, StoreError, rules};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::convert::{known, text, time, timestamp};
use crate::errors::Fault;
use crate::{PgStore, events};

struct Row {
    id: Uuid,
    scope: String,
    reason: String,
    author: String,
    created_at: OffsetDateTime,
    until: OffsetDateTime,
}

impl Row {
    fn pause(self) -> Result<Pause, Fault> {
        Ok(Pause {
            id: self.id,
            scope: known("pauses", "scope", &self.scope, rules::scope_from_text(&self.scope))?,
            reason: self.reason,
            by: self.author,
            created_at: timestamp(self.created_at),
            until: timestamp(self.until),
        })
    }
}

fn pauses(rows: Vec<Row>) -> Result<Vec<Pause>, Fault> {
    rows.into_iter().map(Row::pause).collect()
}

/// Pauses in force with one of these scopes.
pub(crate) async fn in_force(
    tx: &mut PgConnection,
    now: Timestamp,
    scopes: &[PauseScope],
) -> Result<Vec<Pause>, Fault> {
    let scopes: Vec<String> = scopes.iter().map(rules::scope_text).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, scope, reason, author, created_at, until FROM pauses
         WHERE until > $1 AND NOT ended AND scope = ANY($2) ORDER BY created_at, id",
        time(now),
        &scopes,
    );
    pauses(rows.fetch_all(tx).await?)
}

#[async_trait]
impl PauseStore for PgStore {
    #[tracing::instrument(name = "db.pauses.create", skip_all)]
    async fn create_pause(&self, pause: &NewPause, event: &NewEvent) -> Result<Pause, StoreError> {
        self.transact((pause, event), |tx, (pause, event)| Box::pin(create(tx, pause, event))).await
    }

    #[tracing::instrument(name = "db.pauses.list", skip_all)]
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        self.once(async {
            let rows = sqlx::query_as!(
                Row,
                "SELECT id, scope, reason, author, created_at, until FROM pauses
                 WHERE until > $1 AND NOT ended ORDER BY created_at, id",
                time(now),
            );
            pauses(rows.fetch_all(&self.pool).await?)
        })
        .await
    }

    #[tracing::instrument(name = "db.pauses.end", skip_all, fields(pause = %id))]
    async fn end_pause(
        &self,
        id: Uuid,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<Option<Pause>, StoreError> {
        self.transact((id, now, event), |tx, (id, now, event)| Box::pin(end(tx, *id, *now, event))).await
    }
}

async fn create(tx: &mut PgConnection, new: &NewPause, event: &NewEvent) -> Result<Pause, Fault> {
    let first = sqlx::query_as!(
        Row,
        "SELECT id, scope, reason, author, created_at, until FROM pauses WHERE id = $1 OR request_id = $2
         ORDER BY created_at, id LIMIT 1",
        new.pause.id,
        new.request_id.as_deref().map(text),
    );
    if let Some(first) = first.fetch_optional(&mut *tx).await? {
        return first.pause();
    }
    // Two tries of one request at once: the slower one fails here and finds the pause on its next try.
    let made = sqlx::query_as!(
        Row,
        "INSERT INTO pauses (id, scope, reason, author, created_at, until, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, scope, reason, author, created_at, until",
        new.pause.id,
        rules::scope_text(&new.pause.scope),
        text(&new.pause.reason),
        text(&new.pause.by),
        time(new.pause.created_at),
        time(new.pause.until),
        new.request_id.as_deref().map(text),
    );
    let made = made.fetch_one(&mut *tx).await?;
    events::insert(tx, &[event]).await?;
    made.pause()
}

async fn end(
    tx: &mut PgConnection,
    id: Uuid,
    now: Timestamp,
    event: &NewEvent,
) -> Result<Option<Pause>, Fault> {
    let ended = sqlx::query_as!(
        Row,
        "UPDATE pauses SET ended = true, until = $2 WHERE id = $1 AND NOT ended AND until > $2
         RETURNING id, scope, reason, author, created_at, until",
        id,
        time(now),
    );
    let Some(ended) = ended.fetch_optional(&mut *tx).await? else { return Ok(None) };
    events::insert(tx, &[event]).await?;
    ended.pause().map(Some)
}
