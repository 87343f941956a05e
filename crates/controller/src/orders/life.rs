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
use super::clerk::{Clerk, away};
use crate::database::now;

/// How long an unanswered order waits before it is put on the wire again.
const REPEAT: Duration = Duration::from_secs(5);
/// The longest pause of a slow reconnect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Clerk {
    /// Puts an order on the wire and records that. The order itself is durable; that it was sent need not be before it
    /// is, since sending it twice does nothing.
    pub(super) async fn send(&mut self, id: OrderId, at: Timestamp) -> Result<(), StoreError> {
        let Some(order) = self.orders.get(&id) else { return Ok(()) };
        let agent = order.proposal.target.gateway().agent.clone();
        if !self.parts.sessions.send(&agent, vec![message(order, at)]) {
            return Ok(());
        }
        let pending = order.state == State::Pending;
        self.sent.insert(id, at);
        if pending { self.step_quietly(id, Event::Sent).await } else { Ok(()) }
    }

    /// Puts pending and unanswered orders on the wire again.
    pub(super) async fn repeat(&mut self, at: Timestamp) -> Result<(), StoreError> {
        let waiting = self.orders.values().filter(|o| matches!(o.state, State::Pending | State::Dispatched));
        let waiting = waiting.filter(|o| self.sent.get(&o.id).is_none_or(|t| at.since(*t) >= REPEAT));
        let waiting: Vec<OrderId> = waiting.map(|o| o.id).collect();
        for id in waiting {
            self.send(id, at).await?;
        }
        Ok(())
    }

    /// Takes an order back.
    pub(super) async fn cancel(&mut self, id: OrderId, by: String) -> Result<Order, DeskError> {
        if self.away() {
            return Err(away());
        }
        if !self.orders.contains_key(&id) {
            let order = self.parts.database.note(self.parts.store.order(id).await)?;
            let mut order = order.ok_or(DeskError::NoOrder(id))?;
            if order.state.ended() {
                // Nothing to be stored: the machine has the right words for it.
                order.step(now(), Event::Cancel { by })?;
                return Ok(order);
            }
            self.adopt(&order);
        }
        self.step(id, Event::Cancel { by }).await
    }

    /// What an agent says happened to an order.
    pub(super) async fn receipt(&mut self, agent: &AgentId, receipt: Receipt) -> Result<(), DeskError> {
        if self.away() {
            return Err(away());
        }
        let id = receipt.order;
        let order = match self.orders.get(&id) {
            Some(order) => order.clone(),
            None => match self.parts.database.note(self.parts.store.order(id).await)? {
                Some(order) => order,
                None => {
                    tracing::warn!(%agent, order = %id, stage = %receipt.stage, "a receipt for an order that does not exist");
                    return Ok(());
                }
            },
        };
        if order.proposal.target.gateway().agent != *agent {
            tracing::warn!(%agent, order = %id, "a receipt for another agent's order is ignored");
            return Ok(());
        }
        self.adopt(&order);
        // An order that is over is looked at once more, for a late receipt is worth a note.
        self.orders.entry(id).or_insert(order);
        if let Some(trace) = &receipt.traceparent {
            self.traces.insert(id, trace.clone());
        }
        tracing::info!(order = %id, stage = %receipt.stage, said = %receipt.message, "receipt");
        let outcome = self.step(id, Event::Receipt(receipt)).await;
        self.drop_if_ended(id);
        match outcome {
            Err(DeskError::Illegal(e)) => {
                tracing::warn!(order = %id, error = %e, "a receipt that does not fit is ignored");
                Ok(())
            }
            other => other.map(drop),
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
                State::Pending
                    if !self.sent.contains_key(&id) && self.parts.fleet.read().recovered(&target) =>
                {
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
            return Ok(order);
        }
        let write =
            OrderWrite { previous: before.version, events: vec![self.event(&order, name, at)], order };
        let written =
            self.parts.database.note(self.parts.store.save_orders(std::slice::from_ref(&write)).await)?;
        if written != [true] {
            // Another controller took the step first, or this one did and never learnt of it: the store's word counts.
            self.read_again(id, at).await?;
            return Err(StoreError::Conflict(format!("order {id} is not as it was believed to be")).into());
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
                }
            }
        }
        if check {
            Box::pin(self.check(id)).await?;
        }
        Ok(order)
    }

    /// Believes what the store has of an order, with all that follows from it.
    async fn read_again(&mut self, id: OrderId, at: Timestamp) -> Result<(), StoreError> {
        let Some(order) = self.parts.database.note(self.parts.store.order(id).await)? else {
            tracing::error!(order = %id, "the order is not in the database any more; it is forgotten");
            if let Some(order) = self.orders.remove(&id) {
                self.queue.push(order.proposal.target.gateway().clone());
            }
            self.parts.fleet.forget_order(id);
            return Ok(());
        };
        self.parts.fleet.put_order(order.clone());
        self.queue.push(order.proposal.target.gateway().clone());
        if order.state.ended() {
            return self.ended(&order, at).await;
        }
        self.orders.insert(id, order);
        Ok(())
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
        self.queue.push(order.proposal.target.gateway().clone());
        // Should this not be stored now, the case still waits for the order's end, and is settled before it is planned on.
        let ended = CaseEvent::OrderEnded { id: order.id, state: order.state };
        self.case_event(&order.proposal.target, ended).await
    }

    fn drop_if_ended(&mut self, id: OrderId) {
        if self.orders.get(&id).is_some_and(|o| o.state.ended()) {
            self.orders.remove(&id);
            self.sent.remove(&id);
            self.traces.remove(&id);
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
        Action::Reconnect
        | Action::RestartInstance
        | Action::RestartGateway
        | Action::CloseSession
        | Action::CloseSessions
        | Action::Drain
        | Action::Resume => Duration::ZERO,
    };
    OrderMessage {
        id: order.id,
        target: order.proposal.target.clone(),
        action: order.proposal.action,
        fence: order.fence,
        incarnation: order.proposal.incarnation,
        valid_for: order.expires_at.since(at),
        delay,
        // The allowance of the order machine is three times the verify time from the start, and the time over which it is
        // spread; the agent ends before that.
        time_limit: delay
            .saturating_add(order.verify_within.saturating_mul(2))
            .saturating_add(order.proposal.spread.unwrap_or_default()),
        spread: order.proposal.spread,
        reason: order.proposal.reason.clone(),
        traceparent: order.proposal.traceparent.clone(),
    }
}
