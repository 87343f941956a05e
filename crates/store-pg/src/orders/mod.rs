//! Orders and gates.
//!
//! [`admit`] is the heart: the facts are read, judged and acted upon in one transaction under the group's lock, so that
//! any number of controllers can decide side by side. [`save`] takes orders through their lives, by version.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mooring_core::id::{AgentId, OrderId, Target};
use mooring_core::order::Order;
use mooring_store::{Admission, Ask, Key, OrderStore, OrderWrite, Refusal, StoreError};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::PgStore;
use crate::convert::limit;
use crate::errors::Fault;

mod admit;
mod facts;
mod refusals;
mod row;
mod save;

use row::{Row, select_orders};

/// Every order that is not over.
pub(crate) async fn live(connection: &mut PgConnection) -> Result<Vec<Order>, Fault> {
    let mut rows = select_orders!("WHERE state < 10 ORDER BY id").fetch(connection);
    let mut orders = Vec::new();
    while let Some(row) = rows.try_next().await? {
        orders.push(row.order()?);
    }
    Ok(orders)
}

#[async_trait]
impl OrderStore for PgStore {
    #[tracing::instrument(name = "db.orders.admit", skip_all, fields(order = %ask.id, target = %ask.proposal.target))]
    async fn admit(&self, ask: &Ask) -> Result<Admission, StoreError> {
        self.transact(ask, |tx, ask| admit::run(tx, ask)).await
    }

    #[tracing::instrument(name = "db.orders.save", skip_all, fields(writes = writes.len()))]
    async fn save_orders(&self, writes: &[OrderWrite]) -> Result<Vec<bool>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.transact(writes, |tx, writes| save::run(tx, writes)).await
    }

    #[tracing::instrument(name = "db.orders.get", skip_all, fields(order = %id))]
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.once(async {
            let row = select_orders!("WHERE id = $1", id.0).fetch_optional(&self.pool).await?;
            row.map(Row::order).transpose()
        })
        .await
    }

    #[tracing::instrument(name = "db.orders.live", skip_all, fields(%agent))]
    async fn live_orders(&self, agent: &AgentId) -> Result<Vec<Order>, StoreError> {
        self.once(async {
            let rows = select_orders!("WHERE agent = $1 AND state < 10 ORDER BY id", agent.as_str());
            rows.fetch_all(&self.pool).await?.into_iter().map(Row::order).collect()
        })
        .await
    }

    #[tracing::instrument(name = "db.orders.before", skip_all)]
    async fn orders_before(&self, before: Option<OrderId>, rows: u32) -> Result<Vec<Order>, StoreError> {
        self.once(async {
            let rows = select_orders!(
                "WHERE ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
                before.map(|id| id.0),
                limit(rows)
            );
            rows.fetch_all(&self.pool).await?.into_iter().map(Row::order).collect()
        })
        .await
    }

    #[tracing::instrument(name = "db.orders.on", skip_all, fields(%target))]
    async fn orders_on(&self, target: &Target, rows: u32) -> Result<Vec<Order>, StoreError> {
        let keys: Vec<Uuid> = vec![Key::of(target).0, Key::of(target.gateway()).0];
        self.once(async {
            let rows =
                select_orders!("WHERE target_key = ANY($1) ORDER BY id DESC LIMIT $2", &keys, limit(rows));
            rows.fetch_all(&self.pool).await?.into_iter().map(Row::order).collect()
        })
        .await
    }

    #[tracing::instrument(name = "db.orders.refusals", skip_all, fields(%target))]
    async fn refusals(&self, target: &Target) -> Result<Vec<Refusal>, StoreError> {
        self.once(async { refusals::of(&mut *self.pool.acquire().await?, target).await }).await
    }
}
