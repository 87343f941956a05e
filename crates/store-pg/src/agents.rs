//! Agents and their attachments.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use mooring_core::id::{AgentId, BootId};
use mooring_core::time::Timestamp;
use mooring_store::{AgentRecord, AgentStore, Attach, Attached, FleetRecord, NewEvent, StoreError};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::convert::{text, time, timestamp};
use crate::errors::Fault;
use crate::{PgStore, events};

struct Row {
    id: String,
    boot: Uuid,
    node: String,
    version: String,
    epoch: i64,
    last_sequence: i64,
    synced: bool,
    attached_at: OffsetDateTime,
    last_seen: OffsetDateTime,
    offline_since: Option<OffsetDateTime>,
}

impl Row {
    fn record(self) -> Result<AgentRecord, Fault> {
        Ok(AgentRecord {
            id: AgentId::new(&self.id).map_err(|e| Fault::broken("agents", e))?,
            boot: BootId(self.boot),
            node: self.node,
            version: self.version,
            epoch: self.epoch.cast_unsigned(),
            last_sequence: self.last_sequence.cast_unsigned(),
            synced: self.synced,
            attached_at: timestamp(self.attached_at),
            last_seen: timestamp(self.last_seen),
            offline_since: self.offline_since.map(timestamp),
        })
    }
}

pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<AgentRecord>, Fault> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, boot, node, version, epoch, last_sequence, synced, attached_at, last_seen, offline_since
         FROM agents ORDER BY id"
    );
    rows.fetch_all(connection).await?.into_iter().map(Row::record).collect()
}

#[async_trait]
impl AgentStore for PgStore {
    async fn load(&self) -> Result<FleetRecord, StoreError> {
        self.load_fleet().await
    }

    #[tracing::instrument(name = "db.agents.list", skip_all)]
    async fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.once(async { all(&mut *self.pool.acquire().await?).await }).await
    }

    #[tracing::instrument(name = "db.agents.attach", skip_all, fields(agent = %attach.agent))]
    async fn attach(&self, attach: &Attach) -> Result<Attached, StoreError> {
        self.once(async {
            let row = sqlx::query!(
                "INSERT INTO agents AS a
                     (id, boot, node, version, epoch, last_sequence, synced, attached_at, last_seen)
                 VALUES ($1, $2, $3, $4, 1, 0, false, $5, $5)
                 ON CONFLICT (id) DO UPDATE SET
                     boot = excluded.boot, node = excluded.node, version = excluded.version, epoch = a.epoch + 1,
                     last_sequence = CASE WHEN a.boot = excluded.boot THEN a.last_sequence ELSE 0 END,
                     synced = a.boot = excluded.boot AND a.synced,
                     attached_at = excluded.attached_at, last_seen = excluded.last_seen, offline_since = NULL
                 RETURNING epoch, last_sequence, synced",
                attach.agent.as_str(),
                attach.boot.0,
                text(&attach.node),
                text(&attach.version),
                time(attach.now),
            )
            .fetch_one(&self.pool)
            .await?;
            Ok(Attached {
                epoch: row.epoch.cast_unsigned(),
                resume_after: row.synced.then_some(row.last_sequence.cast_unsigned()),
            })
        })
        .await
    }

    #[tracing::instrument(name = "db.agents.touch", skip_all, fields(agents = seen.len()))]
    async fn touch(&self, seen: &[(AgentId, Timestamp)]) -> Result<(), StoreError> {
        if seen.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = seen.iter().map(|(agent, _)| agent.to_string()).collect();
        let times: Vec<OffsetDateTime> = seen.iter().map(|(_, at)| time(*at)).collect();
        self.once(async {
            // The rows are locked in order of their ids, as everywhere.
            sqlx::query!(
                "WITH seen AS (
                     SELECT a.id, u.at
                     FROM agents a
                     JOIN (SELECT id, max(at) AS at FROM UNNEST($1::text[], $2::timestamptz[]) AS s(id, at) GROUP BY id) u
                         ON u.id = a.id
                     WHERE u.at > a.last_seen
                     ORDER BY a.id
                     FOR NO KEY UPDATE OF a
                 )
                 UPDATE agents SET last_seen = seen.at FROM seen WHERE agents.id = seen.id",
                &ids,
                &times,
            )
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    #[tracing::instrument(name = "db.agents.offline", skip_all, fields(%agent, epoch))]
    async fn offline(
        &self,
        agent: &AgentId,
        epoch: u64,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<bool, StoreError> {
        self.transact((agent, epoch, now, event), |tx, (agent, epoch, now, event)| {
            Box::pin(mark_offline(tx, agent, *epoch, *now, event))
        })
        .await
    }
}

fn mark_offline<'c>(
    tx: &'c mut PgConnection,
    agent: &'c AgentId,
    epoch: u64,
    now: Timestamp,
    event: &'c NewEvent,
) -> BoxFuture<'c, Result<bool, Fault>> {
    Box::pin(async move {
        let row = sqlx::query!(
            "SELECT offline_since FROM agents WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE",
            agent.as_str(),
            epoch.cast_signed(),
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        if row.offline_since.is_none() {
            sqlx::query!("UPDATE agents SET offline_since = $2 WHERE id = $1", agent.as_str(), time(now))
                .execute(&mut *tx)
                .await?;
            events::insert(tx, &[event]).await?;
        }
        Ok(true)
    })
}
