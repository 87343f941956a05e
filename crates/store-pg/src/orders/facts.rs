//! What the gates need to know, read under the locks of an admission. Each question has an index of its own.

use mooring_core::gate::{Facts, PastOrder, PauseScope, RATE_WINDOW};
use mooring_core::id::{OrderId, Target};
use mooring_store::{Ask, Key, rules};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::row::{action, state};
use crate::convert::{time, timestamp};
use crate::errors::Fault;
use crate::pauses;

struct Past {
    id: Uuid,
    action: i16,
    state: i16,
    created_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

fn past(rows: Vec<Past>) -> Result<Vec<PastOrder>, Fault> {
    rows.into_iter()
        .map(|row| {
            Ok(PastOrder {
                id: OrderId(row.id),
                action: action(row.action)?,
                state: state(row.state)?,
                created_at: timestamp(row.created_at),
                ended_at: row.ended_at.map(timestamp),
            })
        })
        .collect()
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) async fn read(tx: &mut PgConnection, ask: &Ask) -> Result<Facts, Fault> {
    let target = &ask.proposal.target;
    let gateway = Target::Gateway(target.gateway().clone());
    let mut scopes = vec![PauseScope::All, PauseScope::Group(ask.group.clone()), PauseScope::Target(gateway)];
    let on_gateway = matches!(target, Target::Gateway(_));
    if !on_gateway {
        scopes.push(PauseScope::Target(target.clone()));
    }
    let pauses = pauses::in_force(tx, ask.now, &scopes).await?;
    let (key, gateway_key) = (Key::of(target).0, Key::of(target.gateway()).0);
    let on_target = sqlx::query_as!(
        Past,
        "SELECT id, action, state, created_at, ended_at FROM orders WHERE target_key = $1 ORDER BY id DESC LIMIT $2",
        key,
        rows(rules::ORDERS_LOOKED_AT),
    )
    .fetch_all(&mut *tx)
    .await?;
    // For an order on the gateway every live order under it is in the way.
    let conflicting = sqlx::query_as!(
        Past,
        "SELECT id, action, state, created_at, ended_at FROM orders
         WHERE gateway_key = $1 AND state < 10 AND ($2 OR target_key IN ($1, $3)) ORDER BY id",
        gateway_key,
        on_gateway,
        key,
    )
    .fetch_all(&mut *tx)
    .await?;
    let restarts = sqlx::query_as!(
        Past,
        "SELECT id, action, state, created_at, ended_at FROM orders
         WHERE gateway_key = $1 AND (action = 4 OR (action = 3 AND target_key = $2)) AND created_at > $3
           AND (state <> 12 OR accepted_at IS NOT NULL)
         ORDER BY id DESC LIMIT $4",
        gateway_key,
        key,
        time(ask.now.before(ask.policy.restarts.window)),
        rows(rules::RESTARTS_LOOKED_AT),
    )
    .fetch_all(&mut *tx)
    .await?;
    let in_flight = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM orders WHERE grp = $1 AND state < 10"#,
        ask.group.as_str(),
    )
    .fetch_one(&mut *tx)
    .await?;
    let minute = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(created_at) AS oldest FROM orders WHERE grp = $1 AND created_at > $2"#,
        ask.group.as_str(),
        time(ask.now.before(RATE_WINDOW)),
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(Facts {
        pauses,
        on_target: past(on_target)?,
        conflicting: past(conflicting)?,
        restarts_in_window: past(restarts)?,
        group_in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
        group_last_minute: u32::try_from(minute.count).unwrap_or(u32::MAX),
        group_oldest_in_minute: minute.oldest.map(timestamp),
        backoff_until: ask.backoff_until,
        belief: ask.belief.clone(),
    })
}
