//! Admission: facts, verdicts and the order in one transaction.
//!
//! Two locks make the facts hold until the commit: the group's (its budgets), and the gateway's row (one live order per
//! target, and none on a gateway beside one on its instances), in this order. The second is needed although the first
//! exists: two controllers may for a moment disagree on which group a gateway is in.

use futures_util::future::BoxFuture;
use mooring_core::gate::evaluate;
use mooring_core::id::{Fence, Target};
use mooring_core::order::Order;
use mooring_store::{Admission, Ask, Key, NewEvent, rules};
use sqlx::PgConnection;

use super::row::select_orders;
use super::{facts, refusals};
use crate::convert::{cause_code, micros, text, time};
use crate::errors::Fault;
use crate::listen::CHANNEL;
use crate::load::condition_code;
use crate::{cases, events};

/// Class of the advisory locks on groups: "mogr" in ASCII. Groups whose names hash alike share a lock, which only costs
/// time.
const GROUP_LOCK: i32 = 0x6d6f_6772;

pub(super) fn run<'c>(tx: &'c mut PgConnection, ask: &'c Ask) -> BoxFuture<'c, Result<Admission, Fault>> {
    Box::pin(async move {
        sqlx::query!("SELECT pg_advisory_xact_lock($1, hashtext($2))", GROUP_LOCK, ask.group.as_str())
            .execute(&mut *tx)
            .await?;
        if let Some(answer) = made_before(tx, ask).await? {
            return Ok(answer);
        }
        if !lock_target(tx, &ask.proposal.target).await? {
            return Ok(Admission::NoTarget);
        }
        let facts = facts::read(tx, ask).await?;
        let verdicts = evaluate(ask.now, &ask.policy, &ask.proposal, &facts);
        if verdicts.iter().any(|verdict| !verdict.open) {
            if !ask.validate_only {
                refusals::keep(tx, ask, &verdicts).await?;
            }
            return Ok(Admission::Shut(verdicts));
        }
        let fence = next_fence(tx, ask.validate_only).await?;
        let order = Order::new(ask.id, ask.proposal.clone(), fence, ask.now, &ask.policy);
        if !ask.validate_only {
            insert(tx, ask, &order).await?;
            if let Some(case) = &ask.case {
                cases::write(tx, &[case]).await?;
            }
            let agent = ask.proposal.target.gateway().agent.as_str();
            sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, agent).execute(&mut *tx).await?;
            let made: NewEvent = rules::order_made(&order);
            events::insert(tx, &[&made]).await?;
        }
        Ok(Admission::Made(Box::new(order), verdicts))
    })
}

/// The answer, if the same order or the same request has been here before.
async fn made_before(tx: &mut PgConnection, ask: &Ask) -> Result<Option<Admission>, Fault> {
    if let Some(row) = select_orders!("WHERE id = $1", ask.id.0).fetch_optional(&mut *tx).await? {
        return Ok(Some(Admission::Already(Box::new(row.order()?))));
    }
    let Some(request) = &ask.proposal.request_id else { return Ok(None) };
    let row = select_orders!("WHERE request_id = $1", text(request)).fetch_optional(tx).await?;
    let Some(order) = row.map(|row| row.order()).transpose()? else { return Ok(None) };
    let again = rules::same_request(&order.proposal, &ask.proposal);
    let order = Box::new(order);
    Ok(Some(if again { Admission::Already(order) } else { Admission::RequestIdReused(order) }))
}

/// Locks the gateway's row; `false` when there is no such target. Of sessions nothing is stored: their gateway stands for
/// them.
async fn lock_target(tx: &mut PgConnection, target: &Target) -> Result<bool, Fault> {
    let gateway = Key::of(target.gateway()).0;
    let locked = sqlx::query!("SELECT key FROM gateways WHERE key = $1 FOR NO KEY UPDATE", gateway)
        .fetch_optional(&mut *tx)
        .await?;
    if locked.is_none() {
        return Ok(false);
    }
    let Some(instance) = target.instance() else { return Ok(true) };
    let found =
        sqlx::query!("SELECT key FROM instances WHERE key = $1", Key::of(instance).0).fetch_optional(tx);
    Ok(found.await?.is_some())
}

/// The target's next fence. For a validation only the next that may be: none is used up.
async fn next_fence(tx: &mut PgConnection, validate_only: bool) -> Result<Fence, Fault> {
    let fence = if validate_only {
        sqlx::query_scalar!(r#"SELECT last_value + 1 AS "fence!" FROM fences"#).fetch_one(tx).await?
    } else {
        sqlx::query_scalar!(r#"SELECT nextval('fences') AS "fence!""#).fetch_one(tx).await?
    };
    Ok(Fence(fence.cast_unsigned()))
}

async fn insert(tx: &mut PgConnection, ask: &Ask, order: &Order) -> Result<(), Fault> {
    let p = &order.proposal;
    sqlx::query!(
        "INSERT INTO orders
             (id, target, target_key, gateway_key, agent, grp, action, state, origin, cause, reason, expect, fence,
              incarnation, request_id, traceparent, created_at, expires_at, verify_micros, outcome, output, version,
              spread_micros)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, '', '', $20, $21)",
        order.id.0,
        p.target.to_string(),
        Key::of(&p.target).0,
        Key::of(p.target.gateway()).0,
        p.target.gateway().agent.as_str(),
        ask.group.as_str(),
        p.action.code(),
        order.state.code(),
        text(&p.origin.to_string()),
        p.cause.map(cause_code),
        text(&p.reason),
        condition_code(p.expect),
        order.fence.0.cast_signed(),
        p.incarnation.map(|i| i.0.cast_signed()),
        p.request_id.as_deref().map(text),
        p.traceparent.as_deref().map(text),
        time(order.created_at),
        time(order.expires_at),
        micros(order.verify_within),
        order.version.cast_signed(),
        p.spread.map(micros),
    )
    .execute(tx)
    .await?;
    Ok(())
}
