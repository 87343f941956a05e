//! The sweeper: what only time does. Agents that stay away beyond their grace, times last seen, old history.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::AgentId;
use mooring_core::time::Timestamp;
use mooring_runtime::lifecycle::Tokens;
use mooring_store::{Retention, Store};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::database::{Database, now};
use crate::fleet::{Fleet, Presence};
use crate::link::agent_event;

/// How often absences are looked at.
const TICK: Duration = Duration::from_millis(500);
/// How often times last seen are stored: coarse on purpose, one statement for all.
const TOUCH: Duration = Duration::from_secs(30);
/// How often old history is dropped: so often that a gateway whose sessions end by the hundred a second does not pile
/// them up for an hour.
const PRUNE: Duration = Duration::from_secs(600);

/// What the sweeper works with.
pub struct Sweeper {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether it is there.
    pub database: Database,
    /// The belief.
    pub fleet: Fleet,
    /// How long an agent may be away.
    pub grace: Duration,
    /// How long history is kept.
    pub retention: Retention,
}

impl Sweeper {
    /// Sweeps until told to stop.
    pub async fn run(self, tokens: Tokens) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut touched, mut pruned) = (Instant::now(), Instant::now());
        let mut last = Timestamp::default();
        loop {
            tokio::select! {
                () = tokens.soft.cancelled() => return,
                _ = tick.tick() => {}
            }
            if self.database.away_since().is_some() {
                continue;
            }
            self.silence().await;
            if touched.elapsed() >= TOUCH {
                touched = Instant::now();
                self.touch(&mut last).await;
            }
            if pruned.elapsed() >= PRUNE {
                pruned = Instant::now();
                match self.database.note(self.store.prune(now(), self.retention).await) {
                    Ok(0) => {}
                    Ok(rows) => tracing::info!(rows, "old history was dropped"),
                    Err(e) => {
                        tracing::warn!(error = %e, "old history could not be dropped; tried again in ten minutes")
                    }
                }
            }
        }
    }

    /// Agents that have been lost for longer than their grace are offline: what they said reads as Unknown from now on.
    async fn silence(&self) {
        let at = now();
        let late: Vec<(AgentId, u64)> = {
            let state = self.fleet.read();
            let beyond = |p: Presence| matches!(p, Presence::Lost(since) if at.since(since) >= self.grace);
            state
                .agents()
                .filter(|a| beyond(a.presence))
                .map(|a| (a.record.id.clone(), a.record.epoch))
                .collect()
        };
        for (agent, epoch) in late {
            let message = format!(
                "the agent has been silent for more than {:?}: its instances are Unknown",
                self.grace
            );
            let event = agent_event(&agent, message);
            match self.database.note(self.store.offline(&agent, epoch, at, &event).await) {
                Ok(newest) => {
                    if newest {
                        tracing::warn!(%agent, "the agent is silent beyond its grace");
                    }
                    // Otherwise it has attached anew. If that was at another controller, nothing that is believed of it
                    // here is fresh; if it was here, its epoch is another one by now, and this changes nothing.
                    self.fleet.set_presence(&agent, epoch, Presence::Offline(at));
                }
                Err(e) => {
                    tracing::warn!(%agent, error = %e, "cannot note that the agent is offline; tried again");
                    return;
                }
            }
        }
    }

    /// Stores when agents were last heard of, for those where that has changed.
    async fn touch(&self, last: &mut Timestamp) {
        let seen: Vec<(AgentId, Timestamp)> = {
            let state = self.fleet.read();
            let newer = state.agents().filter(|a| a.record.last_seen > *last);
            newer.map(|a| (a.record.id.clone(), a.record.last_seen)).collect()
        };
        let newest = seen.iter().map(|(_, t)| *t).max();
        if self.database.note(self.store.touch(&seen).await).is_ok()
            && let Some(newest) = newest
        {
            *last = newest;
        }
    }
}

#[cfg(test)]
mod tests;
