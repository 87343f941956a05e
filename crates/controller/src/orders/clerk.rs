//! The clerk: the one task behind the desk. It waits for a slip, a change in the fleet, or the clock, and does what the
//! pure machines say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::{AgentId, GatewayRef, Incarnation, OrderId, Target};
use mooring_core::order::{Event, Order, Origin, Proposal};
use mooring_core::planner::{CaseEvent, Decision};
use mooring_core::time::Timestamp;
use mooring_runtime::lifecycle::Tokens;
use mooring_store::{Admission, Ask, FleetRecord, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::case_book::CaseBook;
use super::{DeskError, Slip, Slips, Warmup};
use crate::database::{Database, now};
use crate::fleet::{Fleet, State};
use crate::link::Sessions;
use crate::metrics::Metrics;
use crate::policies::Policies;

/// How often the clock is looked at: expiries, deadlines, plans that wait for a time.
const TICK: Duration = Duration::from_millis(100);
/// How often everything that waits is looked at, whatever it waits for: no wake-up is ever needed to be right.
pub(super) const ROUND: Duration = Duration::from_secs(5);

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
    /// Gateways to be looked at again, and when.
    pub(super) agenda: BTreeMap<GatewayRef, Timestamp>,
    /// When dispatched orders were last put on the wire, so that they are repeated at leisure.
    pub(super) sent: BTreeMap<OrderId, Timestamp>,
    /// The newest trace context of each live order: decision, then execution.
    pub(super) traces: BTreeMap<OrderId, String>,
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
            agenda: BTreeMap::new(),
            sent: BTreeMap::new(),
            traces: BTreeMap::new(),
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
        self.settle_ended().await?;
        loop {
            tokio::select! {
                () = tokens.soft.cancelled() => return Ok(()),
                slip = self.slips.0.recv() => match slip {
                    Some(slip) => self.slip(slip).await?,
                    None => {
                        // Everyone who could put a slip on the desk has stopped; our turn comes after theirs.
                        tokens.soft.cancelled().await;
                        return Ok(());
                    }
                },
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let dirty = self.parts.fleet.take_dirty();
                    self.consider_all(dirty).await?;
                }
                _ = tick.tick() => self.tick().await?,
                _ = round.tick() => {
                    let waiting: BTreeSet<GatewayRef> = self.everything_that_waits();
                    self.consider_all(waiting).await?;
                }
            }
        }
    }

    async fn slip(&mut self, slip: Slip) -> Result<(), StoreError> {
        match slip {
            Slip::Ask { proposal, validate_only, reply } => {
                let answer = self.ask(*proposal, validate_only).await;
                // Whoever asked may have gone; the order stands all the same.
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
                self.adopt(&agent).await?;
                self.resend(&agent);
            }
            Slip::Cases { reply } => {
                let _ = reply.send(self.cases.all());
            }
            Slip::Look => {
                let waiting = self.everything_that_waits();
                self.consider_all(waiting).await?;
            }
        }
        Ok(())
    }

    /// Whatever may need doing though nothing tells so: cases, live orders, sick gateways on the agenda.
    fn everything_that_waits(&self) -> BTreeSet<GatewayRef> {
        let mut out: BTreeSet<GatewayRef> = self.cases.gateways().cloned().collect();
        out.extend(self.agenda.keys().cloned());
        out.extend(self.orders.values().map(|o| o.proposal.target.gateway().clone()));
        out
    }

    /// Looks at the clock.
    async fn tick(&mut self) -> Result<(), StoreError> {
        let at = now();
        let due: Vec<OrderId> =
            self.orders.values().filter(|o| o.due().is_some_and(|due| due <= at)).map(|o| o.id).collect();
        for id in due {
            self.step_quietly(id, Event::Tick).await?;
        }
        self.repeat(at);
        let due: BTreeSet<GatewayRef> = self.agenda.iter().filter(|(_, t)| **t <= at).map(|(g, _)| g.clone()).collect();
        if !due.is_empty() {
            self.consider_all(due).await?;
        }
        Ok(())
    }

    /// Cases whose order ended while nobody was counting (a crash between the two writes).
    async fn settle_ended(&mut self) -> Result<(), StoreError> {
        for case in self.cases.all() {
            let Some(id) = case.last_order else { continue };
            match self.parts.database.note(self.parts.store.order(id).await) {
                Ok(Some(order)) if order.state.ended() => {
                    self.case_event(&case.target, CaseEvent::OrderEnded { id, state: order.state }).await?;
                }
                // Away: the next start counts it; until then the case only waits longer.
                Ok(_) | Err(StoreError::Away(_) | StoreError::Conflict(_)) => {}
                Err(e @ StoreError::Broken(_)) => return Err(e),
            }
        }
        Ok(())
    }

    /// Puts a proposal to the gates, and makes and sends the order if they are open.
    async fn ask(&mut self, proposal: Proposal, validate_only: bool) -> Result<Admission, DeskError> {
        let at = now();
        let ask = match self.asked(proposal, validate_only, at) {
            Ok(ask) => ask,
            Err(admission) => return Ok(admission),
        };
        Ok(self.admit(&ask).await?)
    }

    /// An operator's wish, completed with what the controller believes.
    fn asked(&self, mut proposal: Proposal, validate_only: bool, at: Timestamp) -> Result<Ask, Admission> {
        let state = self.parts.fleet.read();
        let Some(gateway) = state.gateway(proposal.target.gateway()) else { return Err(Admission::NoTarget) };
        if !state.has(&proposal.target) {
            return Err(Admission::NoTarget);
        }
        if proposal.incarnation.is_none() {
            proposal.incarnation = gateway.record.incarnation;
        }
        let group = gateway.record.group.clone();
        let (_, policy) = self.parts.policies.of_group(&group);
        let mut belief = state.belief(&group, &proposal.target, proposal.action);
        belief.warming = self.parts.warmup.state(&self.parts.fleet, at);
        let backoff_until = self.cases.get(&proposal.target).map(|c| c.not_before);
        let id = OrderId(Uuid::now_v7());
        Ok(Ask { id, proposal, policy, group, belief, backoff_until, case: None, validate_only, now: at })
    }

    /// Asks the store, and sends what was made.
    pub(super) async fn admit(&mut self, ask: &Ask) -> Result<Admission, StoreError> {
        if State::stormy(&ask.belief, &ask.policy) {
            self.parts.fleet.note_storm(&ask.group, ask.now);
        }
        let admission = self.parts.database.note(self.parts.store.admit(ask).await)?;
        match &admission {
            Admission::Made(order, _) if !ask.validate_only => {
                let by_planner = order.proposal.origin == Origin::Planner;
                self.parts.metrics.issued(order.proposal.action, by_planner);
                tracing::info!(
                    order = %order.id, target = %order.proposal.target, action = %order.proposal.action,
                    by = %order.proposal.origin, reason = %order.proposal.reason, "order made"
                );
                if let Some(trace) = &order.proposal.traceparent {
                    self.traces.insert(order.id, trace.clone());
                }
                self.orders.insert(order.id, (**order).clone());
                self.parts.fleet.put_order((**order).clone());
                self.dispatch(order.id).await?;
            }
            Admission::Shut(verdicts) if !ask.validate_only => {
                for verdict in mooring_core::gate::shut(verdicts) {
                    self.parts.metrics.suppressed(verdict.gate);
                }
            }
            Admission::Made(..)
            | Admission::Shut(_)
            | Admission::Already(_)
            | Admission::RequestIdReused(_)
            | Admission::NoTarget => {}
        }
        Ok(admission)
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

    /// Live orders of an agent that another controller made before the agent came here.
    async fn adopt(&mut self, agent: &AgentId) -> Result<(), StoreError> {
        let live = match self.parts.database.note(self.parts.store.live_orders(agent).await) {
            Ok(live) => live,
            // An order that is not adopted now is when its receipt comes.
            Err(StoreError::Away(_) | StoreError::Conflict(_)) => return Ok(()),
            Err(e @ StoreError::Broken(_)) => return Err(e),
        };
        for order in live {
            if !self.orders.contains_key(&order.id) {
                self.parts.fleet.put_order(order.clone());
                self.orders.insert(order.id, order);
            }
        }
        Ok(())
    }

    /// Orders of an agent, sent again: it has a new stream.
    fn resend(&mut self, agent: &AgentId) {
        let ids: Vec<OrderId> =
            self.orders.values().filter(|o| o.proposal.target.gateway().agent == *agent).map(|o| o.id).collect();
        for id in ids {
            self.sent.remove(&id);
        }
        self.repeat(now());
    }
}

/// What a decision waits for, if it waits for a time.
pub(super) fn until(decision: &Decision) -> Option<Timestamp> {
    match decision {
        Decision::Wait { until, .. } => *until,
        Decision::Propose { .. } | Decision::Human { .. } => None,
    }
}
