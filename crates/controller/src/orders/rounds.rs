//! What the clerk does by the clock: whatever is due, and from time to time a look at everything that waits.

use std::collections::BTreeSet;

use mooring_core::gate::is_storm;
use mooring_core::id::{GatewayRef, OrderId, PolicyId};
use mooring_core::order::Event;
use mooring_core::time::Timestamp;
use mooring_store::StoreError;

use super::clerk::Clerk;
use crate::database::now;

impl Clerk {
    /// Whatever may need doing though nothing tells so: cases, live orders, sick gateways on the agenda.
    pub(super) fn round(&mut self) {
        let at = now();
        self.refused.retain(|_, until| *until > at);
        let of_orders: BTreeSet<GatewayRef> =
            self.orders.values().map(|o| o.proposal.target.gateway().clone()).collect();
        self.queue.extend(self.cases.gateways().cloned());
        self.queue.extend(self.agenda.keys().cloned());
        self.queue.extend(of_orders);
    }

    /// The rules have changed (a pause, a policy, the end of the warm-up): what was refused or not even tried may pass.
    pub(super) fn look_everywhere(&mut self) {
        self.refused.clear();
        self.round();
        let sick = self.parts.fleet.read().sick_gateways();
        self.queue.extend(sick);
    }

    /// Looks at the clock.
    pub(super) async fn tick(&mut self) -> Result<(), StoreError> {
        let at = now();
        self.watch_storms(at);
        if self.warming && self.parts.warmup.state(&self.parts.fleet, at).is_none() {
            self.warming = false;
            self.look_everywhere();
        }
        if self.away() {
            return Ok(());
        }
        match self.settle_doubts().await {
            Ok(()) => {}
            Err(StoreError::Away(_) | StoreError::Conflict(_)) => return Ok(()),
            Err(e @ StoreError::Broken(_)) => return Err(e),
        }
        self.welcome().await?;
        let due: Vec<OrderId> =
            self.orders.values().filter(|o| o.due().is_some_and(|due| due <= at)).map(|o| o.id).collect();
        for id in due {
            self.step_quietly(id, Event::Tick).await?;
            if self.away() {
                return Ok(());
            }
        }
        self.repeat(at).await?;
        let due = self.agenda.iter().filter(|(_, t)| **t <= at).map(|(g, _)| g.clone());
        self.queue.extend(due);
        Ok(())
    }

    /// A storm is over when it has been calm for a time, so its end must be seen though nobody asks for an order.
    fn watch_storms(&self, at: Timestamp) {
        let stormy: Vec<PolicyId> = {
            let state = self.parts.fleet.read();
            let sick = state.tallies().filter(|(_, tally)| tally.sick > 0);
            sick.filter(|(group, tally)| {
                let storm = self.parts.policies.of_group(group).1.storm;
                is_storm(storm.percent, storm.at_least, tally.sick, tally.known)
            })
            .map(|(group, _)| group.clone())
            .collect()
        };
        for group in stormy {
            self.parts.fleet.note_storm(&group, at);
        }
    }

    /// Agents that have a new stream: their live orders are taken over, whoever made them, and sent again.
    pub(super) async fn welcome(&mut self) -> Result<(), StoreError> {
        while !self.away()
            && let Some(agent) = self.newcomers.first().cloned()
        {
            match self.parts.database.note(self.parts.store.live_orders(&agent).await) {
                Ok(live) => live.iter().for_each(|order| self.adopt(order)),
                Err(StoreError::Away(_) | StoreError::Conflict(_)) => return Ok(()),
                Err(e @ StoreError::Broken(_)) => return Err(e),
            }
            self.newcomers.remove(&agent);
            let orders = &self.orders;
            let elsewhere =
                |id: &OrderId| orders.get(id).is_none_or(|o| o.proposal.target.gateway().agent != agent);
            self.sent.retain(|id, _| elsewhere(id));
            self.repeat(now()).await?;
        }
        Ok(())
    }
}
