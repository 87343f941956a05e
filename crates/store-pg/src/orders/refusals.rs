//! Refusals: counted per target and gate, so that asking each second costs one row and not one row a second.

use mooring_core::gate::Verdict;
use mooring_core::id::Target;
use mooring_core::time::Timestamp;
use mooring_store::{Ask, Key, Refusal, rules};
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

use crate::convert::{duration, known, micros, text, time, timestamp};
use crate::errors::Fault;
use crate::events;

/// Keeps the refusals of the gates that are shut, with an event for those that begin a series. The gateway's row is
/// locked, so nobody else counts on this target meanwhile.
pub(super) async fn keep(tx: &mut PgConnection, ask: &Ask, verdicts: &[Verdict]) -> Result<(), Fault> {
    let key = Key::of(&ask.proposal.target).0;
    let shut: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.open).collect();
    let last = last_refused(tx, key).await?;
    write(tx, key, ask.now, &shut).await?;
    let begins = |v: &&Verdict| rules::begins_series(last.get(v.gate.name()).copied(), ask.now);
    let begun: Vec<&Verdict> = shut.into_iter().filter(begins).collect();
    if begun.is_empty() {
        return Ok(());
    }
    events::insert(tx, &[&rules::refused(ask, &begun)]).await
}

async fn last_refused(tx: &mut PgConnection, key: Uuid) -> Result<HashMap<String, Timestamp>, Fault> {
    let rows =
        sqlx::query!("SELECT gate, last_at FROM refusals WHERE target_key = $1", key).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|row| (row.gate, timestamp(row.last_at))).collect())
}

async fn write(tx: &mut PgConnection, key: Uuid, now: Timestamp, shut: &[&Verdict]) -> Result<(), Fault> {
    let gates: Vec<String> = shut.iter().map(|v| v.gate.name().to_owned()).collect();
    let messages: Vec<String> = shut.iter().map(|v| text(&v.message)).collect();
    let numbers: Vec<Value> = shut.iter().map(|v| numbers_json(&v.numbers)).collect();
    let retries: Vec<Option<i64>> = shut.iter().map(|v| v.retry_after.map(micros)).collect();
    sqlx::query!(
        "INSERT INTO refusals AS r (target_key, gate, message, numbers, retry_micros, first_at, last_at, count)
         SELECT $1, u.gate, u.message, u.numbers, u.retry_micros, $2, $2, 1
         FROM UNNEST($3::text[], $4::text[], $5::jsonb[], $6::bigint[]) AS u(gate, message, numbers, retry_micros)
         ON CONFLICT (target_key, gate) DO UPDATE SET
             message = excluded.message, numbers = excluded.numbers, retry_micros = excluded.retry_micros,
             last_at = excluded.last_at, count = r.count + 1",
        key,
        time(now),
        &gates,
        &messages,
        &numbers,
        &retries as &[Option<i64>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn numbers_json(numbers: &[(String, i64)]) -> Value {
    numbers.iter().map(|(name, n)| Value::from(vec![Value::from(text(name)), Value::from(*n)])).collect()
}

/// The refusals kept for a target, by gate.
pub(super) async fn of(connection: &mut PgConnection, target: &Target) -> Result<Vec<Refusal>, Fault> {
    let rows = sqlx::query!(
        "SELECT gate, message, numbers, retry_micros, first_at, last_at, count FROM refusals WHERE target_key = $1",
        Key::of(target).0,
    )
    .fetch_all(connection)
    .await?;
    let mut refusals = Vec::new();
    for row in rows {
        let numbers = serde_json::from_value(row.numbers);
        let verdict = Verdict {
            gate: known("refusals", "gate", &row.gate, rules::gate_named(&row.gate))?,
            open: false,
            message: row.message,
            numbers: numbers.map_err(|e| Fault::broken("refusals", format!("numbers: {e}")))?,
            retry_after: row.retry_micros.map(duration),
        };
        refusals.push(Refusal {
            target: target.clone(),
            verdict,
            first_at: timestamp(row.first_at),
            last_at: timestamp(row.last_at),
            count: row.count.cast_unsigned(),
        });
    }
    refusals.sort_by_key(|refusal| refusal.verdict.gate);
    Ok(refusals)
}
