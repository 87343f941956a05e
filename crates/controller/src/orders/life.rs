//! The life of orders: sending, repeating, receipts, verification, the end.

use std::time::Duration;

use mooring_core::id::{AgentId, OrderId, Target};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::order::{Action, Effect, Event, Order, Receipt, State};
use mooring_core::planner::CaseEvent;
use mooring_core::time::Timestamp;
use mooring_proto::link::OrderMessage;
use mooring_runtime::telemetry::trace_context;
use mooring_store::{EventKind, NewEvent, OrderWrite, StoreError};

use super::DeskError;
use super::clerk::Clerk;
use crate::database::now;

/// How long an unanswered order waits before it is put on the wire again.
const REPEAT: Duration = Duration::from_secs(5);
/// The longest pause of a slow reconnect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Clerk {
    /// Puts a pending order on the wire and records that. The order itself is durable; that it was sent need not be
    /// before it is, since sending it twice does nothing.
    pub(super) async fn dispatch(&mut self, id: OrderId) -> Result<(), StoreError> {
        let at = now();
        let Some(order) = self.orders.get(&id).cloned() else { return Ok(()) };
        let agent = order.proposal.target.gateway().agent.clone();
        if order.state != State::Pending || !self.parts.sessions.send(&agent, vec![message(&order, at)]) {
            return Ok(());
        }
        self.sent.insert(id, at);
        self.step_quietly(id, Event::Sent).await
    }

    /// Puts pending and unanswered orders on the wire again.
    pub(super) fn repeat(&mut self, at: Timestamp) {
        let waiting: Vec<Order> = self
            .orders
            .values()
            .filter(|o| matches!(o.state, State::Pending | State::Dispatched))
            .filter(|o| self.sent.get(&o.id).is_none_or(|t| at.since(*t) >= REPEAT))
            .cloned()
            .collect();
        for order in waiting {
            let agent = order.proposal.target.gateway().agent.clone();
            if self.parts.sessions.send(&agent, vec![message(&order, at)]) {
                self.sent.insert(order.id, at);
            }
        }
    }

    /// Takes an order back.
    pub(super) async fn cancel(&mut self, id: OrderId, by: String) -> Result<Order, DeskError> {
        if self.orders.contains_key(&id) {
            return self.step(id, Event::Cancel { by }).await;
        }
        // Not live here: whatever its state, the machine has the right words for it.
        let order = self.parts.database.note(self.parts.store.order(id).await)?;
        let mut order = order.ok_or(DeskError::NoOrder(id))?;
        order.step(now(), Event::Cancel { by })?;
        Ok(order)
    }

    /// What an agent says happened to an order.
    pub(super) async fn receipt(&mut self, agent: &AgentId, receipt: Receipt) -> Result<(), DeskError> {
        let id = receipt.order;
        if !self.orders.contains_key(&id) {
            let Some(order) = self.parts.database.note(self.parts.store.order(id).await)? else {
                tracing::warn!(%agent, order = %id, stage = %receipt.stage, "a receipt for an order that does not exist");
                return Ok(());
            };
            self.orders.insert(id, order);
        }
        let owner = self.orders.get(&id).map(|o| o.proposal.target.gateway().agent.clone());
        if owner.as_ref() != Some(agent) {
            tracing::warn!(%agent, order = %id, "a receipt for another agent's order is ignored");
            self.drop_if_ended(id);
            return Ok(());
        }
        if let Some(trace) = &receipt.traceparent {
            self.traces.insert(id, trace.clone());
        }
        tracing::info!(order = %id, stage = %receipt.stage, said = %receipt.message, "receipt");
        match self.step(id, Event::Receipt(receipt)).await {
            Ok(_) => Ok(()),
            Err(DeskError::Illegal(e)) => {
                tracing::warn!(order = %id, error = %e, "a receipt that does not fit is ignored");
                self.drop_if_ended(id);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Feeds what the belief shows to the orders on a gateway.
    pub(super) async fn verify(&mut self, gateway: &mooring_core::id::GatewayRef) -> Result<(), StoreError> {
        let live: Vec<(OrderId, State, Target)> = self
            .orders
            .values()
            .filter(|o| o.proposal.target.gateway() == gateway)
            .map(|o| (o.id, o.state, o.proposal.target.clone()))
            .collect();
        for (id, state, target) in live {
            match state {
                State::Verifying => self.check(id).await?,
                // Only what was never sent. One that is on the wire cannot be called back, and the recovery may be its
                // own doing: conditions are believed a moment before the receipts of the same report are read.
                State::Pending if self.parts.fleet.read().recovered(&target) => {
                    self.step_quietly(id, Event::Recovered).await?;
                }
                State::Pending
                | State::Dispatched
                | State::Accepted
                | State::Running
                | State::Succeeded
                | State::Failed
                | State::Expired
                | State::Cancelled
                | State::Refused => {}
            }
        }
        Ok(())
    }

    async fn check(&mut self, id: OrderId) -> Result<(), StoreError> {
        let Some(order) = self.orders.get(&id) else { return Ok(()) };
        let condition = order.proposal.expect;
        let seen = self.parts.fleet.read().seen(&order.proposal.target, condition);
        let Some((status, since)) = seen else { return Ok(()) };
        self.step_quietly(id, Event::Seen { condition, status, since }).await
    }

    /// A step whose failure to be stored is made good by the next look: nothing is lost by waiting.
    pub(super) async fn step_quietly(&mut self, id: OrderId, event: Event) -> Result<(), StoreError> {
        match Box::pin(self.step(id, event)).await {
            Err(DeskError::Store(e @ StoreError::Broken(_))) => Err(e),
            Err(DeskError::Illegal(e)) => {
                tracing::debug!(order = %id, error = %e, "order");
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Takes one step: persist, believe, and what follows.
    async fn step(&mut self, id: OrderId, event: Event) -> Result<Order, DeskError> {
        let at = now();
        let name = event.name();
        let Some(before) = self.orders.get(&id) else { return Err(DeskError::NoOrder(id)) };
        let mut order = before.clone();
        let effects = order.step(at, event)?;
        if effects.is_empty() {
            self.drop_if_ended(id);
            return Ok(order);
        }
        let write = OrderWrite { previous: before.version, events: vec![self.event(&order, name, at)], order };
        let written = self.parts.database.note(self.parts.store.save_orders(std::slice::from_ref(&write)).await)?;
        if written != [true] {
            // Another controller took the step first: its word counts.
            let fresh = self.parts.database.note(self.parts.store.order(id).await)?;
            match fresh {
                Some(order) if !order.state.ended() => drop(self.orders.insert(id, order)),
                _ => drop(self.orders.remove(&id)),
            }
            return Err(StoreError::Conflict(format!("order {id} was changed by another controller")).into());
        }
        let order = write.order;
        self.orders.insert(id, order.clone());
        self.parts.fleet.put_order(order.clone());
        let mut check = false;
        for effect in effects {
            match effect {
                Effect::Changed { to, .. } if to.ended() => self.ended(&order, at).await?,
                Effect::Changed { .. } => {}
                Effect::CheckNow => check = true,
                Effect::Late { stage } => {
                    tracing::warn!(order = %id, %stage, "carried out after it had been given up");
                    self.drop_if_ended(id);
                }
            }
        }
        if check {
            Box::pin(self.check(id)).await?;
        }
        Ok(order)
    }

    async fn ended(&mut self, order: &Order, at: Timestamp) -> Result<(), StoreError> {
        let span = tracing::info_span!("mooring.verify", order = %order.id, outcome = %order.state);
        let span = trace_context::with_parent(span, self.traces.get(&order.id).map(String::as_str));
        span.in_scope(|| {
            tracing::info!(
                order = %order.id, target = %order.proposal.target, action = %order.proposal.action,
                state = %order.state, outcome = %order.outcome, "order ended"
            );
        });
        self.parts.metrics.ended(order.proposal.action, order.state, at.since(order.created_at));
        self.orders.remove(&order.id);
        self.sent.remove(&order.id);
        self.traces.remove(&order.id);
        let ended = CaseEvent::OrderEnded { id: order.id, state: order.state };
        self.case_event(&order.proposal.target, ended).await?;
        self.look_at(order.proposal.target.gateway(), at);
        Ok(())
    }

    fn drop_if_ended(&mut self, id: OrderId) {
        if self.orders.get(&id).is_some_and(|o| o.state.ended()) {
            self.orders.remove(&id);
        }
    }

    fn event(&self, order: &Order, what: &str, at: Timestamp) -> NewEvent {
        let (action, target) = (order.proposal.action, &order.proposal.target);
        let mut message = format!("{action} on {target} is {} ({what})", order.state);
        if !order.outcome.is_empty() {
            message = format!("{message}: {}", order.outcome);
        }
        let trace = self.traces.get(&order.id).or(order.proposal.traceparent.as_ref());
        NewEvent {
            at,
            kind: EventKind::Order,
            subject: format!("orders/{}", order.id),
            message: clip(&message, MAX_MESSAGE),
            condition: None,
            cause: order.proposal.cause,
            evidence: vec![("target".to_owned(), target.to_string())],
            trace_id: trace.and_then(|t| t.split('-').nth(1)).map(str::to_owned),
        }
    }
}

/// An order as the agent gets it.
fn message(order: &Order, at: Timestamp) -> OrderMessage {
    let delay = match order.proposal.action {
        Action::ReconnectSlowly => (order.verify_within / 2).min(LONGEST_PAUSE),
        Action::Reconnect | Action::RestartInstance | Action::RestartGateway => Duration::ZERO,
    };
    OrderMessage {
        id: order.id,
        target: order.proposal.target.clone(),
        action: order.proposal.action,
        fence: order.fence,
        incarnation: order.proposal.incarnation,
        valid_for: order.expires_at.since(at),
        delay,
        // The allowance of the order machine is three times the verify time from the start; the agent ends before that.
        time_limit: delay + order.verify_within.saturating_mul(2),
        reason: order.proposal.reason.clone(),
        traceparent: order.proposal.traceparent.clone(),
    }
}
