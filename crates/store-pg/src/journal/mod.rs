//! The journal: many reports, one commit.
//!
//! The rows of the agents concerned are locked first, in order of their ids: from then on nobody else writes for them, and
//! what they say can be sorted out in memory. [`net`] reduces the accepted reports to their net effect, so that a
//! condition that changed five times within the batch is one row written; [`write`] then needs a handful of
//! statements, however many reports there are.
//!
//! Rows written per health transition: one of conditions (updated in place, HOT) and one event. The agent's row is one
//! more per agent and commit, which is what group commit is for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use mooring_store::{Committed, Delta, JournalStore, StoreError};
use sqlx::PgConnection;

use crate::errors::Fault;
use crate::{PgStore, events};

mod net;
mod sessions;
mod write;

use net::Net;

#[async_trait]
impl JournalStore for PgStore {
    #[tracing::instrument(name = "db.journal.commit", skip_all, fields(deltas = deltas.len()))]
    async fn commit(&self, deltas: &[Delta]) -> Result<Vec<Committed>, StoreError> {
        if deltas.is_empty() {
            return Ok(Vec::new());
        }
        self.transact(deltas, |tx, deltas| commit(tx, deltas)).await
    }
}

/// What an agent's row says of its reports.
struct Agent {
    epoch: u64,
    last_sequence: u64,
    synced: bool,
    changed: bool,
}

fn commit<'c>(tx: &'c mut PgConnection, deltas: &'c [Delta]) -> BoxFuture<'c, Result<Vec<Committed>, Fault>> {
    Box::pin(async move {
        let mut agents = lock(tx, deltas).await?;
        let mut net = Net::default();
        let committed = deltas.iter().map(|delta| accept(&mut agents, &mut net, delta)).collect();
        write::all(tx, &net).await?;
        sessions::all(tx, &net).await?;
        advance(tx, &agents).await?;
        events::insert(tx, &net.events).await?;
        Ok(committed)
    })
}

/// Locks the agents' rows, in order of their ids, so that two batches never wait for each other.
async fn lock(tx: &mut PgConnection, deltas: &[Delta]) -> Result<BTreeMap<String, Agent>, Fault> {
    let mut ids: Vec<String> = deltas.iter().map(|delta| delta.agent.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query!(
        "SELECT id, epoch, last_sequence, synced FROM agents WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let agent = |epoch: i64, last_sequence: i64, synced| Agent {
        epoch: epoch.cast_unsigned(),
        last_sequence: last_sequence.cast_unsigned(),
        synced,
        changed: false,
    };
    Ok(rows.into_iter().map(|r| (r.id, agent(r.epoch, r.last_sequence, r.synced))).collect())
}

fn accept<'d>(agents: &mut BTreeMap<String, Agent>, net: &mut Net<'d>, delta: &'d Delta) -> Committed {
    let Some(agent) = agents.get_mut(delta.agent.as_str()).filter(|agent| agent.epoch == delta.epoch) else {
        return Committed::StaleEpoch;
    };
    if delta.sequence > agent.last_sequence {
        agent.last_sequence = delta.sequence;
        agent.synced = delta.synced.unwrap_or(agent.synced);
        agent.changed = true;
        net.add(delta);
    }
    Committed::Durable
}

async fn advance(tx: &mut PgConnection, agents: &BTreeMap<String, Agent>) -> Result<(), Fault> {
    let changed: Vec<(&String, &Agent)> = agents.iter().filter(|(_, agent)| agent.changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = changed.iter().map(|(id, _)| (*id).clone()).collect();
    let sequences: Vec<i64> = changed.iter().map(|(_, agent)| agent.last_sequence.cast_signed()).collect();
    let synced: Vec<bool> = changed.iter().map(|(_, agent)| agent.synced).collect();
    let done = sqlx::query!(
        "UPDATE agents SET last_sequence = u.last_sequence, synced = u.synced
         FROM UNNEST($1::text[], $2::bigint[], $3::boolean[]) AS u(id, last_sequence, synced)
         WHERE agents.id = u.id",
        &ids,
        &sequences,
        &synced,
    )
    .execute(tx)
    .await?;
    if done.rows_affected() == changed.len() as u64 {
        Ok(())
    } else {
        Err(Fault::broken(
            "agents",
            format!("{} rows of {} locked ones", done.rows_affected(), changed.len()),
        ))
    }
}
