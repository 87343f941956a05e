//! What is kept of sessions: reading and clearing away. It is written with the journal.

use async_trait::async_trait;
use mooring_core::cause::Cause;
use mooring_core::id::{AgentId, GatewayId, GatewayRef, InstanceId, SessionId};
use mooring_core::session::{EndedBy, SessionClose, SessionCounts, Source};
use mooring_store::rules::CLOSES_KEPT;
use mooring_store::{CloseRecord, CountsRecord, Key, SessionScope, SessionStore, StoreError};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::PgStore;
use crate::convert::{cause, duration, known, limit, timestamp};
use crate::errors::Fault;

/// Gateways whose ends are counted in one statement: each is a walk over at most as many index entries as are kept.
const GATEWAYS_AT_ONCE: i64 = 500;

/// `SELECT` of whole ends: the rest of the statement, then its arguments.
macro_rules! select_closes {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            CloseRow,
            "SELECT number, agent, gateway, session, source, instance, peer, at, age_micros, silent_micros, ended_by,
                 code, cause, message
             FROM session_closes " + $rest
            $(, $argument)*
        )
    };
}

struct CloseRow {
    number: i64,
    agent: String,
    gateway: String,
    session: String,
    source: i16,
    instance: Option<String>,
    peer: String,
    at: OffsetDateTime,
    age_micros: i64,
    silent_micros: i64,
    ended_by: i16,
    code: Option<i32>,
    cause: Option<i16>,
    message: String,
}

impl CloseRow {
    fn record(self) -> Result<CloseRecord, Fault> {
        let table = "session_closes";
        let named = |e| Fault::broken(table, e);
        let code = |code: i16| u32::try_from(code).unwrap_or(u32::MAX);
        let close = SessionClose {
            id: SessionId::new(&self.session).map_err(named)?,
            source: known(table, "source", self.source, Source::from_code(code(self.source)))?,
            instance: self.instance.map(InstanceId::new).transpose().map_err(named)?,
            peer: self.peer,
            at: timestamp(self.at),
            age: duration(self.age_micros),
            silent_for: duration(self.silent_micros),
            by: known(table, "ended_by", self.ended_by, EndedBy::from_code(code(self.ended_by)))?,
            code: self
                .code
                .map(|c| u16::try_from(c).map_err(|_| Fault::broken(table, format!("code is {c}"))))
                .transpose()?,
            cause: self.cause.map(cause),
            message: self.message,
        };
        let gateway = gateway_ref(table, &self.agent, &self.gateway)?;
        Ok(CloseRecord { number: self.number, gateway, close })
    }
}

struct CountsRow {
    agent: String,
    id: String,
    open: i64,
    sick: i64,
    opened: i64,
    closed: i64,
    by_cause: Value,
    at: OffsetDateTime,
}

impl CountsRow {
    fn record(self) -> Result<CountsRecord, Fault> {
        let table = "session_counts";
        let by_cause: Vec<(i16, u64)> = serde_json::from_value(self.by_cause)
            .map_err(|e| Fault::broken(table, format!("by_cause: {e}")))?;
        let closed_by_cause: Vec<(Cause, u64)> =
            by_cause.into_iter().map(|(code, n)| (cause(code), n)).collect();
        let counts = SessionCounts {
            open: self.open.cast_unsigned(),
            sick: self.sick.cast_unsigned(),
            opened: self.opened.cast_unsigned(),
            closed: self.closed.cast_unsigned(),
            closed_by_cause,
        };
        let gateway = gateway_ref(table, &self.agent, &self.id)?;
        Ok(CountsRecord { gateway, counts, at: timestamp(self.at) })
    }
}

fn gateway_ref(table: &str, agent: &str, gateway: &str) -> Result<GatewayRef, Fault> {
    let named = |e| Fault::broken(table, e);
    Ok(GatewayRef {
        agent: AgentId::new(agent).map_err(named)?,
        gateway: GatewayId::new(gateway).map_err(named)?,
    })
}

/// The numbers of all gateways.
pub(crate) async fn all_counts(connection: &mut PgConnection) -> Result<Vec<CountsRecord>, Fault> {
    let rows = sqlx::query_as!(
        CountsRow,
        "SELECT g.agent, g.id, c.open, c.sick, c.opened, c.closed, c.by_cause, c.at
         FROM session_counts c JOIN gateways g ON g.key = c.gateway_key"
    );
    rows.fetch_all(connection).await?.into_iter().map(CountsRow::record).collect()
}

#[async_trait]
impl SessionStore for PgStore {
    #[tracing::instrument(name = "db.sessions.closes", skip_all)]
    async fn closes_before(
        &self,
        scope: &SessionScope,
        before: Option<i64>,
        rows: u32,
    ) -> Result<Vec<CloseRecord>, StoreError> {
        let (before, rows) = (before.unwrap_or(i64::MAX), limit(rows));
        // One statement per shape: each has an index of its own, and a plan that serves all would use none of them.
        self.once(async {
            let found = match (scope.single(), &scope.agent) {
                (Some(gateway), _) => {
                    select_closes!(
                        "WHERE gateway_key = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
                        Key::of(&gateway).0,
                        before,
                        rows
                    )
                    .fetch_all(&self.pool)
                    .await?
                }
                (None, Some(agent)) => {
                    select_closes!(
                        "WHERE agent = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
                        agent.as_str(),
                        before,
                        rows
                    )
                    .fetch_all(&self.pool)
                    .await?
                }
                (None, None) => select_closes!(
                    "WHERE ($1::text IS NULL OR gateway = $1) AND number < $2 ORDER BY number DESC LIMIT $3",
                    scope.gateway.as_ref().map(GatewayId::as_str),
                    before,
                    rows
                )
                .fetch_all(&self.pool)
                .await?,
            };
            found.into_iter().map(CloseRow::record).collect()
        })
        .await
    }

    #[tracing::instrument(name = "db.sessions.counts", skip_all)]
    async fn session_counts(
        &self,
        scope: &SessionScope,
        after: Option<&GatewayRef>,
        rows: u32,
    ) -> Result<Vec<CountsRecord>, StoreError> {
        let (agent, gateway) = after.map_or(("", ""), |a| (a.agent.as_str(), a.gateway.as_str()));
        self.once(async {
            let rows = sqlx::query_as!(
                CountsRow,
                "SELECT g.agent, g.id, c.open, c.sick, c.opened, c.closed, c.by_cause, c.at
                 FROM gateways g JOIN session_counts c ON c.gateway_key = g.key
                 WHERE (g.agent, g.id) > ($1, $2)
                   AND ($3::text IS NULL OR g.agent = $3) AND ($4::text IS NULL OR g.id = $4)
                 ORDER BY g.agent, g.id LIMIT $5",
                agent,
                gateway,
                scope.agent.as_ref().map(AgentId::as_str),
                scope.gateway.as_ref().map(GatewayId::as_str),
                limit(rows),
            );
            rows.fetch_all(&self.pool).await?.into_iter().map(CountsRow::record).collect()
        })
        .await
    }
}

impl PgStore {
    /// Drops of each gateway all ends but the newest that are kept; how many went. Some gateways at a time, so that no
    /// statement is long; of each at most `at_once` now, and the rest the next time.
    pub(crate) async fn prune_surplus_closes(&self, at_once: i64) -> Result<u64, StoreError> {
        let kept = i64::try_from(CLOSES_KEPT).unwrap_or(i64::MAX);
        let (mut after, mut gone) = (Uuid::nil(), 0);
        loop {
            let portion = self
                .once(async {
                    Ok(sqlx::query!(
                        r#"WITH portion AS (SELECT key FROM gateways WHERE key > $1 ORDER BY key LIMIT $2),
                         surplus AS (
                             SELECT c.number FROM portion p CROSS JOIN LATERAL (
                                 SELECT number FROM session_closes WHERE gateway_key = p.key
                                 ORDER BY number DESC OFFSET $3 LIMIT $4) AS c),
                         gone AS (
                             DELETE FROM session_closes WHERE number IN (SELECT number FROM surplus) RETURNING number)
                         SELECT (SELECT key FROM portion ORDER BY key DESC LIMIT 1) AS last,
                             (SELECT count(*) FROM gone) AS "gone!""#,
                        after,
                        GATEWAYS_AT_ONCE,
                        kept,
                        at_once,
                    )
                    .fetch_one(&self.pool)
                    .await?)
                })
                .await?;
            gone += portion.gone.unsigned_abs();
            match portion.last {
                Some(last) => after = last,
                None => return Ok(gone),
            }
        }
    }
}
