//! Writing what is kept of sessions: numbers and ends.
//!
//! Numbers are updated first and inserted only where missing, as conditions are. What is said of a gateway that is not
//! declared is left out by the join.

use mooring_store::{CountsRecord, Key, NewClose};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::net::Net;
use super::write::ROWS;
use crate::convert::{cause_code, micros, text, time};
use crate::errors::Fault;

pub(super) async fn all(tx: &mut PgConnection, net: &Net<'_>) -> Result<(), Fault> {
    let counts: Vec<&CountsRecord> = net.session_counts.values().copied().collect();
    for rows in counts.chunks(ROWS) {
        Counts::of(rows).write(tx).await?;
    }
    for rows in net.session_closes.chunks(ROWS) {
        write_closes(tx, rows).await?;
    }
    Ok(())
}

/// Numbers in columns.
struct Counts {
    gateways: Vec<Uuid>,
    open: Vec<i64>,
    sick: Vec<i64>,
    opened: Vec<i64>,
    closed: Vec<i64>,
    by_cause: Vec<Value>,
    at: Vec<OffsetDateTime>,
}

impl Counts {
    fn of(rows: &[&CountsRecord]) -> Self {
        let of = |n: fn(&CountsRecord) -> u64| rows.iter().map(|row| n(row).cast_signed()).collect();
        Self {
            gateways: rows.iter().map(|row| Key::of(&row.gateway).0).collect(),
            open: of(|row| row.counts.open),
            sick: of(|row| row.counts.sick),
            opened: of(|row| row.counts.opened),
            closed: of(|row| row.counts.closed),
            by_cause: rows.iter().map(|row| by_cause_json(row)).collect(),
            at: rows.iter().map(|row| time(row.at)).collect(),
        }
    }

    async fn write(&self, tx: &mut PgConnection) -> Result<(), Fault> {
        let updated = sqlx::query!(
            "UPDATE session_counts c
             SET open = u.open, sick = u.sick, opened = u.opened, closed = u.closed, by_cause = u.by_cause, at = u.at
             FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::jsonb[],
                 $7::timestamptz[]) AS u(gateway_key, open, sick, opened, closed, by_cause, at)
             WHERE c.gateway_key = u.gateway_key",
            &self.gateways,
            &self.open,
            &self.sick,
            &self.opened,
            &self.closed,
            &self.by_cause,
            &self.at,
        )
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == self.gateways.len() as u64 {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO session_counts (gateway_key, open, sick, opened, closed, by_cause, at)
             SELECT u.gateway_key, u.open, u.sick, u.opened, u.closed, u.by_cause, u.at
             FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::jsonb[],
                 $7::timestamptz[]) AS u(gateway_key, open, sick, opened, closed, by_cause, at)
             JOIN gateways g ON g.key = u.gateway_key
             WHERE NOT EXISTS (SELECT FROM session_counts c WHERE c.gateway_key = u.gateway_key)",
            &self.gateways,
            &self.open,
            &self.sick,
            &self.opened,
            &self.closed,
            &self.by_cause,
            &self.at,
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}

fn by_cause_json(row: &CountsRecord) -> Value {
    let pair =
        |(cause, count): &(_, u64)| Value::from(vec![u64::from(cause_code(*cause).unsigned_abs()), *count]);
    row.counts.closed_by_cause.iter().map(pair).collect()
}

async fn write_closes(tx: &mut PgConnection, rows: &[&NewClose]) -> Result<(), Fault> {
    let gateways: Vec<Uuid> = rows.iter().map(|new| Key::of(&new.gateway).0).collect();
    let sessions: Vec<String> = rows.iter().map(|new| new.close.id.to_string()).collect();
    let sources: Vec<i16> = rows.iter().map(|new| i16::from(new.close.source.code())).collect();
    let instances: Vec<Option<&str>> =
        rows.iter().map(|new| new.close.instance.as_ref().map(|i| i.as_str())).collect();
    let peers: Vec<String> = rows.iter().map(|new| text(&new.close.peer)).collect();
    let at: Vec<OffsetDateTime> = rows.iter().map(|new| time(new.close.at)).collect();
    let ages: Vec<i64> = rows.iter().map(|new| micros(new.close.age)).collect();
    let silences: Vec<i64> = rows.iter().map(|new| micros(new.close.silent_for)).collect();
    let ended_by: Vec<i16> = rows.iter().map(|new| i16::from(new.close.by.code())).collect();
    let codes: Vec<Option<i32>> = rows.iter().map(|new| new.close.code.map(i32::from)).collect();
    let causes: Vec<Option<i16>> = rows.iter().map(|new| new.close.cause.map(cause_code)).collect();
    let messages: Vec<String> = rows.iter().map(|new| text(&new.close.message)).collect();
    sqlx::query!(
        "INSERT INTO session_closes
             (gateway_key, agent, gateway, session, source, instance, peer, at, age_micros, silent_micros, ended_by, code,
              cause, message)
         SELECT g.key, g.agent, g.id, u.session, u.source, u.instance, u.peer, u.at, u.age, u.silent, u.ended_by, u.code,
             u.cause, u.message
         FROM UNNEST($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[],
             $8::bigint[], $9::smallint[], $10::integer[], $11::smallint[], $12::text[]) WITH ORDINALITY
             AS u(gateway_key, session, source, instance, peer, at, age, silent, ended_by, code, cause, message, place)
         JOIN gateways g ON g.key = u.gateway_key
         ORDER BY u.place",
        &gateways,
        &sessions,
        &sources,
        &instances as &[Option<&str>],
        &peers,
        &at,
        &ages,
        &silences,
        &ended_by,
        &codes as &[Option<i32>],
        &causes as &[Option<i16>],
        &messages,
    )
    .execute(tx)
    .await?;
    Ok(())
}
