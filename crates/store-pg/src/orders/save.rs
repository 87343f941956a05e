//! Steps of orders: the rows are locked, the writes are settled in memory, what applies is one statement.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use mooring_core::id::OrderId;
use mooring_core::order::Order;
use mooring_store::rules::{self, Settled};
use mooring_store::{NewEvent, OrderWrite};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::row::select_orders;
use crate::convert::{micros, text, time};
use crate::errors::Fault;
use crate::events;

pub(super) fn run<'c>(
    tx: &'c mut PgConnection,
    writes: &'c [OrderWrite],
) -> BoxFuture<'c, Result<Vec<bool>, Fault>> {
    Box::pin(async move {
        let ids: Vec<Uuid> = writes.iter().map(|write| write.order.id.0).collect();
        // In order of their ids, so that two batches never wait for each other.
        let rows = select_orders!("WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", &ids)
            .fetch_all(&mut *tx)
            .await?;
        let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
        for row in rows {
            let order = row.order()?;
            orders.insert(order.id, order);
        }
        let settled = rules::settle(&mut orders, writes);
        let applied = || writes.iter().zip(&settled).filter(|(_, s)| **s == Settled::Applies).map(|(w, _)| w);
        let changed: std::collections::BTreeSet<OrderId> = applied().map(|write| write.order.id).collect();
        let changed: Vec<&Order> = changed.iter().filter_map(|id| orders.get(id)).collect();
        update(tx, &changed).await?;
        let told: Vec<&NewEvent> = applied().flat_map(|write| &write.events).collect();
        events::insert(tx, &told).await?;
        Ok(settled.iter().map(|s| *s != Settled::Other).collect())
    })
}

/// What a step can change. The rest of an order is as it was made.
async fn update(tx: &mut PgConnection, orders: &[&Order]) -> Result<(), Fault> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|o| o.id.0).collect();
    let states: Vec<i16> = orders.iter().map(|o| o.state.code()).collect();
    let expires: Vec<OffsetDateTime> = orders.iter().map(|o| time(o.expires_at)).collect();
    let verify: Vec<i64> = orders.iter().map(|o| micros(o.verify_within)).collect();
    let accepted: Vec<Option<OffsetDateTime>> = orders.iter().map(|o| o.accepted_at.map(time)).collect();
    let started: Vec<Option<OffsetDateTime>> = orders.iter().map(|o| o.started_at.map(time)).collect();
    let deadlines: Vec<Option<OffsetDateTime>> = orders.iter().map(|o| o.deadline.map(time)).collect();
    let ended: Vec<Option<OffsetDateTime>> = orders.iter().map(|o| o.ended_at.map(time)).collect();
    let outcomes: Vec<String> = orders.iter().map(|o| text(&o.outcome)).collect();
    let outputs: Vec<String> = orders.iter().map(|o| text(&o.output)).collect();
    let versions: Vec<i64> = orders.iter().map(|o| o.version.cast_signed()).collect();
    let traces: Vec<Option<String>> =
        orders.iter().map(|o| o.proposal.traceparent.as_deref().map(text)).collect();
    let done = sqlx::query!(
        "UPDATE orders SET
             state = u.state, expires_at = u.expires_at, verify_micros = u.verify_micros, accepted_at = u.accepted_at,
             started_at = u.started_at, deadline = u.deadline, ended_at = u.ended_at, outcome = u.outcome,
             output = u.output, version = u.version, traceparent = u.traceparent
         FROM UNNEST($1::uuid[], $2::smallint[], $3::timestamptz[], $4::bigint[], $5::timestamptz[],
             $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::bigint[],
             $12::text[])
             AS u(id, state, expires_at, verify_micros, accepted_at, started_at, deadline, ended_at, outcome, output,
                 version, traceparent)
         WHERE orders.id = u.id",
        &ids,
        &states,
        &expires,
        &verify,
        &accepted as &[Option<OffsetDateTime>],
        &started as &[Option<OffsetDateTime>],
        &deadlines as &[Option<OffsetDateTime>],
        &ended as &[Option<OffsetDateTime>],
        &outcomes,
        &outputs,
        &versions,
        &traces as &[Option<String>],
    )
    .execute(tx)
    .await?;
    if done.rows_affected() == orders.len() as u64 {
        Ok(())
    } else {
        Err(Fault::broken("orders", format!("{} rows of {} locked ones", done.rows_affected(), orders.len())))
    }
}
