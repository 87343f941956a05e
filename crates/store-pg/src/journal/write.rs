//! Writing the net effect: a few statements for any number of rows.
//!
//! What is the same already is not written again (`IS DISTINCT FROM`): a resync repeats everything and changes little.
//! Conditions are updated first and inserted only where missing, since an `INSERT … ON CONFLICT` writes a third more log.

use mooring_core::condition::Condition;
use mooring_core::kind::Kind;
use mooring_store::{GatewayRecord, InstanceRecord, Key};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::net::Net;
use crate::convert::{cause_code, pairs_json, text, time};
use crate::errors::Fault;
use crate::load::{condition_code, watch_bits};

/// Rows in one statement: beyond ten thousand nothing is won, and the statement's time stays far below its limit.
pub(super) const ROWS: usize = 10_000;

pub(super) async fn all(tx: &mut PgConnection, net: &Net<'_>) -> Result<(), Fault> {
    delete(tx, net).await?;
    let gateways: Vec<&GatewayRecord> = net.gateways.values().filter_map(|g| g.record).collect();
    for rows in gateways.chunks(ROWS) {
        write_gateways(tx, rows).await?;
    }
    let mut instances: Vec<(Key, Key, &InstanceRecord)> = Vec::new();
    let mut conditions: Vec<(Key, &Condition)> = Vec::new();
    for (gateway, changes) in &net.gateways {
        let gateway_key = Key::of(gateway);
        for (id, instance) in &changes.instances {
            let key = Key::of(&gateway.instance((*id).clone()));
            instances.extend(instance.record.map(|record| (key, gateway_key, record)));
            conditions.extend(instance.conditions.iter().flatten().map(|condition| (key, *condition)));
        }
    }
    for rows in instances.chunks(ROWS) {
        write_instances(tx, rows).await?;
    }
    for rows in conditions.chunks(ROWS) {
        Conditions::of(rows).write(tx).await?;
    }
    Ok(())
}

/// Deletes what is gone; the schema takes along what it held.
async fn delete(tx: &mut PgConnection, net: &Net<'_>) -> Result<(), Fault> {
    let gateways: Vec<Uuid> = net.gateways_gone.iter().map(|g| Key::of(g).0).collect();
    for keys in gateways.chunks(ROWS) {
        sqlx::query!("DELETE FROM gateways WHERE key = ANY($1)", keys).execute(&mut *tx).await?;
    }
    let instances: Vec<Uuid> = net.instances_gone.iter().map(|i| Key::of(i).0).collect();
    for keys in instances.chunks(ROWS) {
        sqlx::query!("DELETE FROM instances WHERE key = ANY($1)", keys).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn write_gateways(tx: &mut PgConnection, rows: &[&GatewayRecord]) -> Result<(), Fault> {
    let keys: Vec<Uuid> = rows.iter().map(|g| Key::of(&g.gateway).0).collect();
    let agents: Vec<String> = rows.iter().map(|g| g.gateway.agent.to_string()).collect();
    let ids: Vec<String> = rows.iter().map(|g| g.gateway.gateway.to_string()).collect();
    let handles: Vec<i64> = rows.iter().map(|g| i64::from(g.handle)).collect();
    let kinds: Vec<Option<&'static str>> = rows.iter().map(|g| g.kind.map(Kind::name)).collect();
    let addresses: Vec<String> = rows.iter().map(|g| text(&g.address)).collect();
    let groups: Vec<String> = rows.iter().map(|g| g.group.to_string()).collect();
    let labels: Vec<Value> = rows.iter().map(|g| labels_json(g)).collect();
    let abilities: Vec<i16> = rows.iter().map(|g| i16::from(g.abilities.bits())).collect();
    let incarnations: Vec<Option<i64>> =
        rows.iter().map(|g| g.incarnation.map(|i| i.0.cast_signed())).collect();
    let watch: Vec<i16> = rows.iter().map(|g| watch_bits(&g.watch)).collect();
    sqlx::query!(
        "INSERT INTO gateways AS g
             (key, agent, id, handle, kind, address, grp, labels, abilities, incarnation, watch)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
             $8::jsonb[], $9::smallint[], $10::bigint[], $11::smallint[])
         ON CONFLICT (key) DO UPDATE SET
             handle = excluded.handle, kind = excluded.kind, address = excluded.address, grp = excluded.grp,
             labels = excluded.labels, abilities = excluded.abilities, incarnation = excluded.incarnation,
             watch = excluded.watch
         WHERE (g.handle, g.kind, g.address, g.grp, g.labels, g.abilities, g.incarnation, g.watch) IS DISTINCT FROM
             (excluded.handle, excluded.kind, excluded.address, excluded.grp, excluded.labels, excluded.abilities,
              excluded.incarnation, excluded.watch)",
        &keys,
        &agents,
        &ids,
        &handles,
        &kinds as &[Option<&str>],
        &addresses,
        &groups,
        &labels,
        &abilities,
        &incarnations as &[Option<i64>],
        &watch,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn labels_json(gateway: &GatewayRecord) -> Value {
    let labels = gateway.labels.iter().map(|(k, v)| (text(k), Value::from(text(v))));
    Value::Object(labels.collect())
}

/// Instances of gateways that are not declared are left out by the join.
async fn write_instances(tx: &mut PgConnection, rows: &[(Key, Key, &InstanceRecord)]) -> Result<(), Fault> {
    let keys: Vec<Uuid> = rows.iter().map(|(key, _, _)| key.0).collect();
    let gateways: Vec<Uuid> = rows.iter().map(|(_, gateway, _)| gateway.0).collect();
    let ids: Vec<String> = rows.iter().map(|(_, _, i)| i.instance.instance.to_string()).collect();
    let handles: Vec<i64> = rows.iter().map(|(_, _, i)| i64::from(i.handle)).collect();
    sqlx::query!(
        "INSERT INTO instances AS i (key, gateway_key, id, handle)
         SELECT u.key, u.gateway_key, u.id, u.handle
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) AS u(key, gateway_key, id, handle)
         JOIN gateways g ON g.key = u.gateway_key
         ON CONFLICT (key) DO UPDATE SET handle = excluded.handle WHERE i.handle <> excluded.handle",
        &keys,
        &gateways,
        &ids,
        &handles,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Conditions in columns.
struct Conditions {
    instances: Vec<Uuid>,
    kinds: Vec<i16>,
    statuses: Vec<i16>,
    causes: Vec<Option<i16>>,
    messages: Vec<String>,
    evidence: Vec<Value>,
    since: Vec<OffsetDateTime>,
}

impl Conditions {
    fn of(rows: &[(Key, &Condition)]) -> Self {
        Self {
            instances: rows.iter().map(|(key, _)| key.0).collect(),
            kinds: rows.iter().map(|(_, c)| condition_code(c.kind)).collect(),
            statuses: rows.iter().map(|(_, c)| i16::from(c.status.code())).collect(),
            causes: rows.iter().map(|(_, c)| c.cause.map(cause_code)).collect(),
            messages: rows.iter().map(|(_, c)| text(&c.message)).collect(),
            evidence: rows.iter().map(|(_, c)| pairs_json(&c.evidence)).collect(),
            since: rows.iter().map(|(_, c)| time(c.since)).collect(),
        }
    }

    async fn write(&self, tx: &mut PgConnection) -> Result<(), Fault> {
        let updated = sqlx::query!(
            "UPDATE conditions c
             SET status = u.status, cause = u.cause, message = u.message, evidence = u.evidence, since = u.since
             FROM UNNEST($1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[], $5::text[], $6::jsonb[],
                 $7::timestamptz[]) AS u(instance_key, condition, status, cause, message, evidence, since)
             WHERE c.instance_key = u.instance_key AND c.condition = u.condition
               AND (c.status, c.cause, c.message, c.evidence, c.since) IS DISTINCT FROM
                   (u.status, u.cause, u.message, u.evidence, u.since)",
            &self.instances,
            &self.kinds,
            &self.statuses,
            &self.causes as &[Option<i16>],
            &self.messages,
            &self.evidence,
            &self.since,
        )
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == self.instances.len() as u64 {
            return Ok(());
        }
        // The rest is new, unchanged, or of an instance that is not declared, which the join leaves out.
        sqlx::query!(
            "INSERT INTO conditions (instance_key, condition, status, cause, message, evidence, since)
             SELECT u.instance_key, u.condition, u.status, u.cause, u.message, u.evidence, u.since
             FROM UNNEST($1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[], $5::text[], $6::jsonb[],
                 $7::timestamptz[]) AS u(instance_key, condition, status, cause, message, evidence, since)
             JOIN instances i ON i.key = u.instance_key
             WHERE NOT EXISTS (
                 SELECT FROM conditions c WHERE c.instance_key = u.instance_key AND c.condition = u.condition)",
            &self.instances,
            &self.kinds,
            &self.statuses,
            &self.causes as &[Option<i16>],
            &self.messages,
            &self.evidence,
            &self.since,
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}
