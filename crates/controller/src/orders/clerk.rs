//! The clerk: the one task behind the desk. It waits for a slip, a change in the fleet, or the clock, and does what the
//! pure machines say.
//!
//! Looking at gateways goes in short slices between slips: when thousands are sick at once, a receipt must not wait
//! until all of them have been asked for. While the database is away nothing is looked at and nothing is stepped (what
//! is to be looked at waits in the queue), and who puts a slip on the desk is told at once instead of held up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mooring_core::id::{AgentId, GatewayRef, Incarnation, OrderId, Target};
use mooring_core::order::{Action, Order};
use mooring_core::planner::Decision;
use mooring_core::time::Timestamp;
use mooring_runtime::lifecycle::Tokens;
use mooring_store::{Ask, FleetRecord, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{MissedTickBehavior, interval};

use super::case_book::CaseBook;
use super::queue::Queue;
use super::{DeskError, Slip, Slips, Warmup};
use crate::database::{Database, now};
use crate::fleet::Fleet;
use crate::link::Sessions;
use crate::metrics::Metrics;
use crate::policies::Policies;

/// How often the clock is looked at: expiries, deadlines, plans that wait for a time.
const TICK: Duration = Duration::from_millis(100);
/// How often everything that waits is looked at, whatever it waits for: no wake-up is ever needed to be right.
pub(super) const ROUND: Duration = Duration::from_secs(5);
/// How long gateways are looked at before slips are again.
const SLICE: Duration = Duration::from_millis(20);
/// How many slips are done before gateways are looked at again.
const SLIPS_AT_ONCE: usize = 64;

/// What the clerk works with.
#[derive(Clone)]
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether it is there.
    pub database: Database,
    /// The belief.
    pub fleet: Fleet,
    /// The agents' streams.
    pub sessions: Sessions,
    /// The policies in force.
    pub policies: Policies,
    /// Whether the controller knows its fleet yet.
    pub warmup: Warmup,
    /// Instruments.
    pub metrics: Metrics,
}

/// The clerk.
pub struct Clerk {
    pub(super) parts: Parts,
    pub(super) slips: Slips,
    pub(super) orders: BTreeMap<OrderId, Order>,
    pub(super) cases: CaseBook,
    /// Gateways to be looked at now.
    pub(super) queue: Queue,
    /// Gateways to be looked at again, and when.
    pub(super) agenda: BTreeMap<GatewayRef, Timestamp>,
    /// What the gates refused, and until when they are not asked for it again, whatever changes meanwhile.
    pub(super) refused: BTreeMap<(Target, Action), Timestamp>,
    /// Orders that were asked for when the database went: made or not, nobody knows yet.
    pub(super) doubtful: Vec<Ask>,
    /// Agents that have attached and whose live orders are yet to be read from the store.
    pub(super) newcomers: BTreeSet<AgentId>,
    /// When dispatched orders were last put on the wire, so that they are repeated at leisure.
    pub(super) sent: BTreeMap<OrderId, Timestamp>,
    /// The newest trace context of each live order: decision, then execution.
    pub(super) traces: BTreeMap<OrderId, String>,
    /// Whether the controller was still warming up when that was last looked at.
    pub(super) warming: bool,
    pub(super) rng: StdRng,
}

impl std::fmt::Debug for Clerk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clerk").field("orders", &self.orders.len()).finish_non_exhaustive()
    }
}

impl Clerk {
    /// A clerk with what the store holds. `seed` is for its jitter only.
    #[must_use]
    pub fn new(parts: Parts, slips: Slips, record: &FleetRecord, seed: u64) -> Self {
        let orders = record.live_orders.iter().map(|o| (o.id, o.clone())).collect();
        Self {
            parts,
            slips,
            orders,
            cases: CaseBook::new(record.cases.clone()),
            queue: Queue::default(),
            agenda: BTreeMap::new(),
            refused: BTreeMap::new(),
            doubtful: Vec::new(),
            newcomers: BTreeSet::new(),
            sent: BTreeMap::new(),
            traces: BTreeMap::new(),
            warming: true,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// When the database holds something it should not: a bug, for the supervisor to answer.
    pub async fn run(mut self, tokens: Tokens) -> Result<(), StoreError> {
        let mut changes = self.parts.fleet.changes();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let work = !self.queue.is_empty() && !self.away();
            tokio::select! {
                // The clock first: it is never due for long. Then who waits for an answer.
                biased;
                () = tokens.soft.cancelled() => return Ok(()),
                _ = tick.tick() => self.tick().await?,
                _ = round.tick() => self.round(),
                slip = self.slips.slips.recv() => match slip {
                    Some(slip) => self.slips(slip).await?,
                    None => {
                        // Everyone who could put a slip on the desk has stopped; our turn comes after theirs.
                        tokens.soft.cancelled().await;
                        return Ok(());
                    }
                },
                () = self.slips.look.notified() => self.look_everywhere(),
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.queue.extend(self.parts.fleet.take_dirty());
                }
                () = std::future::ready(()), if work => {}
            }
            self.work().await?;
        }
    }

    pub(super) fn away(&self) -> bool {
        self.parts.database.away_since().is_some()
    }

    async fn slips(&mut self, first: Slip) -> Result<(), StoreError> {
        self.slip(first).await?;
        for _ in 1..SLIPS_AT_ONCE {
            let Ok(slip) = self.slips.slips.try_recv() else { return Ok(()) };
            self.slip(slip).await?;
        }
        Ok(())
    }

    /// Does what a slip says. Whoever put it there may have gone meanwhile; what was done stands all the same.
    async fn slip(&mut self, slip: Slip) -> Result<(), StoreError> {
        match slip {
            Slip::Ask { proposal, validate_only, reply } => {
                let answer = self.ask(*proposal, validate_only).await;
                let _ = reply.send(answer);
            }
            Slip::Cancel { id, by, reply } => {
                let answer = self.cancel(id, by).await;
                let _ = reply.send(answer);
            }
            Slip::Receipt { agent, receipt, reply } => {
                let answer = self.receipt(&agent, *receipt).await;
                let _ = reply.send(answer);
            }
            Slip::Attached(agent) => {
                self.newcomers.insert(agent);
                self.welcome().await?;
            }
            Slip::Cases { reply } => {
                let _ = reply.send(self.cases.all());
            }
        }
        Ok(())
    }

    /// Looks at gateways for a while.
    pub(super) async fn work(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        while !self.away()
            && begun.elapsed() < SLICE
            && let Some(gateway) = self.queue.pop()
        {
            self.agenda.remove(&gateway);
            match self.consider(&gateway, now()).await {
                Ok(()) => {}
                Err(StoreError::Away(_)) => self.queue.push(gateway),
                Err(StoreError::Conflict(_)) => self.look_at(&gateway, now().after(ROUND)),
                Err(e @ StoreError::Broken(_)) => return Err(e),
            }
        }
        Ok(())
    }

    /// Puts a gateway on the agenda, no later than it already is.
    pub(super) fn look_at(&mut self, gateway: &GatewayRef, when: Timestamp) {
        let at = self.agenda.entry(gateway.clone()).or_insert(when);
        *at = (*at).min(when);
    }

    /// The run of the gateway's process that the belief knows.
    pub(super) fn incarnation(&self, target: &Target) -> Option<Incarnation> {
        self.parts.fleet.read().gateway(target.gateway()).and_then(|g| g.record.incarnation)
    }
}

/// While the database is away nothing is asked of it on behalf of a slip.
pub(super) fn away() -> DeskError {
    StoreError::Away("it did not answer lately".to_owned()).into()
}

/// What a decision waits for, if it waits for a time.
pub(super) fn until(decision: &Decision) -> Option<Timestamp> {
    match decision {
        Decision::Wait { until, .. } => *until,
        Decision::Propose { .. } | Decision::Human { .. } => None,
    }
}
