//! Asking the gates, and what came of it: also when the answer was lost.
//!
//! An order exists once the store has made it, whether or not the answer arrived. One that nobody knows of would stand
//! in the way of every other order on its target for ever, so an ask whose outcome is unknown is kept and put to the
//! store once more, as a question only: the store finds an order by its id before it asks any gate, and it asks under
//! the group's lock, which a commit that is still under way holds.

use mooring_core::id::OrderId;
use mooring_core::order::{Order, Origin, Proposal};
use mooring_core::time::Timestamp;
use mooring_store::{Admission, Ask, StoreError};
use uuid::Uuid;

use super::DeskError;
use super::clerk::{Clerk, away};
use crate::database::now;
use crate::fleet::State;

impl Clerk {
    /// Puts an operator's proposal to the gates, and makes and sends the order if they are open.
    pub(super) async fn ask(
        &mut self,
        proposal: Proposal,
        validate_only: bool,
    ) -> Result<Admission, DeskError> {
        if self.away() {
            return Err(away());
        }
        let ask = match self.asked(proposal, validate_only, now()) {
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
        drop(state);
        belief.warming = self.parts.warmup.state(&self.parts.fleet, at);
        let backoff_until = self.cases.get(&proposal.target).map(|c| c.not_before);
        let id = OrderId(Uuid::now_v7());
        Ok(Ask { id, proposal, policy, group, belief, backoff_until, case: None, validate_only, now: at })
    }

    /// Asks the store, and sends what was made.
    pub(super) async fn admit(&mut self, ask: &Ask) -> Result<Admission, StoreError> {
        self.settle_doubts().await?;
        if State::stormy(&ask.belief, &ask.policy) {
            self.parts.fleet.note_storm(&ask.group, ask.now);
        }
        let admission = self.parts.database.note(self.parts.store.admit(ask).await);
        if !ask.validate_only && matches!(admission, Err(StoreError::Away(_))) {
            self.doubtful.push(ask.clone());
        }
        let admission = admission?;
        match &admission {
            Admission::Made(order, _) if !ask.validate_only => self.made(ask, order).await?,
            // The very order, made by an earlier try of which the store did not learn the end.
            Admission::Already(order) if order.id == ask.id => self.made(ask, order).await?,
            // Made before, by this controller or another one, and perhaps not known here.
            Admission::Already(order) => self.adopt(order),
            Admission::Shut(verdicts) if !ask.validate_only => {
                for verdict in mooring_core::gate::shut(verdicts) {
                    self.parts.metrics.suppressed(verdict.gate);
                }
            }
            Admission::Made(..)
            | Admission::Shut(_)
            | Admission::RequestIdReused(_)
            | Admission::NoTarget => {}
        }
        Ok(admission)
    }

    /// An order was made for an ask: believe it, with the case as it stands with it, and send it.
    async fn made(&mut self, ask: &Ask, order: &Order) -> Result<(), StoreError> {
        let by_planner = order.proposal.origin == Origin::Planner;
        self.parts.metrics.issued(order.proposal.action, by_planner);
        tracing::info!(
            order = %order.id, target = %order.proposal.target, action = %order.proposal.action,
            by = %order.proposal.origin, reason = %order.proposal.reason, "order made"
        );
        if let Some(trace) = &order.proposal.traceparent {
            self.traces.insert(order.id, trace.clone());
        }
        if let Some(case) = &ask.case {
            self.cases.put(case.clone());
        }
        self.adopt(order);
        self.send(order.id, now()).await
    }

    /// Finds out what became of orders whose admission was not answered.
    pub(super) async fn settle_doubts(&mut self) -> Result<(), StoreError> {
        while let Some(ask) = self.doubtful.first().cloned() {
            let question = Ask { validate_only: true, ..ask.clone() };
            let admission = self.parts.database.note(self.parts.store.admit(&question).await)?;
            self.doubtful.remove(0);
            match admission {
                Admission::Already(order) if order.id == ask.id => {
                    tracing::info!(order = %order.id, "the order had been made before the database went away");
                    self.made(&ask, &order).await?;
                }
                Admission::Already(order) => self.adopt(&order),
                Admission::Made(..)
                | Admission::Shut(_)
                | Admission::RequestIdReused(_)
                | Admission::NoTarget => {}
            }
        }
        Ok(())
    }

    /// Takes over a live order that is not known here.
    pub(super) fn adopt(&mut self, order: &Order) {
        if !order.state.ended() && !self.orders.contains_key(&order.id) {
            self.parts.fleet.put_order(order.clone());
            self.orders.insert(order.id, order.clone());
        }
    }
}
