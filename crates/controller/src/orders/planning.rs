//! Planning: from what the belief shows of a gateway, through the pure plan, to the gates.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::{GatewayRef, OrderId, Target};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::order::{Proposal, State};
use mooring_core::planner::{Case, CaseChange, CaseEvent, Decision, GatewayView, plan_gateway, seen};
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;
use mooring_runtime::telemetry::trace_context;
use mooring_store::{Admission, Ask, EventKind, NewEvent, StoreError};
use rand::RngExt;
use tracing::Instrument;
use uuid::Uuid;

use super::clerk::{Clerk, ROUND, until};
use crate::database::now;

/// Least time before a gate that was shut is asked again.
const LEAST_RETRY: Duration = Duration::from_millis(200);
/// Orders asked for in one look at a gateway: one of thousands of instances must not hold up all others.
const ASKED_AT_ONCE: usize = 32;

impl Clerk {
    /// Looks at a gateway.
    pub(super) async fn consider(&mut self, gateway: &GatewayRef, at: Timestamp) -> Result<(), StoreError> {
        self.verify(gateway).await?;
        let view = self.parts.fleet.read().gateway_view(gateway);
        let Some(view) = view else {
            return self.close_orphans(gateway).await;
        };
        let (_, policy) = self.parts.policies.of_group(&view.group);
        self.tend_cases(&view, &policy, at).await?;
        let live = self.parts.fleet.read().live_targets(gateway);
        let decisions = plan_gateway(at, &policy, &view, &|t| self.cases.get(t), &live);
        let mut asked = 0;
        for decision in decisions {
            if let Some(when) = until(&decision) {
                self.look_at(gateway, when);
            }
            match decision {
                Decision::Propose { proposal, step, at: rung } => {
                    let refused = self.refused.get(&(proposal.target.clone(), proposal.action)).copied();
                    if let Some(until) = refused.filter(|until| *until > at) {
                        self.look_at(gateway, until);
                    } else if asked == ASKED_AT_ONCE {
                        self.look_at(gateway, at.after(LEAST_RETRY));
                    } else {
                        asked += 1;
                        tracing::debug!(target = %proposal.target, action = %proposal.action, ?rung, "proposed");
                        self.propose(&view, &policy, proposal, step, at).await?;
                    }
                }
                Decision::Human { target, cause, why, .. } => {
                    self.call_human(&target, cause, &why, at).await?
                }
                Decision::Wait { .. } => {}
            }
        }
        Ok(())
    }

    /// Keeps the cases of a gateway up to date with what is seen: only stability closes them.
    async fn tend_cases(
        &mut self,
        view: &GatewayView,
        policy: &Policy,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let targets: Vec<Target> = self.cases.under(&view.gateway).cloned().collect();
        for target in targets {
            if !self.parts.fleet.read().has(&target) {
                self.close_case(&target).await?;
                continue;
            }
            self.settle_case(&target).await?;
            let event = seen(view, &target);
            self.case_event(&target, event).await?;
            if let Some(since) = self.cases.get(&target).and_then(|c| c.healthy_since) {
                self.look_at(&view.gateway, since.after(policy.stable_for).max(at.after(LEAST_RETRY)));
            }
        }
        Ok(())
    }

    /// Counts an order whose end the case has not been told of: between the two writes the controller or the database
    /// went away. A try that is not counted would be made again at once, without backoff.
    async fn settle_case(&mut self, target: &Target) -> Result<(), StoreError> {
        let Some(id) = self.cases.get(target).and_then(|c| c.last_order) else { return Ok(()) };
        if self.orders.contains_key(&id) {
            return Ok(());
        }
        let state = match self.parts.database.note(self.parts.store.order(id).await)? {
            Some(order) if !order.state.ended() => {
                self.adopt(&order);
                return Ok(());
            }
            Some(order) => order.state,
            // Long over and cleared away: whatever came of it counts no more.
            None => State::Cancelled,
        };
        self.case_event(target, CaseEvent::OrderEnded { id, state }).await
    }

    /// Gives a case an event and stores what became of it.
    pub(super) async fn case_event(&mut self, target: &Target, event: CaseEvent) -> Result<(), StoreError> {
        let Some(mut case) = self.cases.get(target).cloned() else { return Ok(()) };
        let group = {
            let state = self.parts.fleet.read();
            state.gateway(target.gateway()).and_then(|g| g.record.kind.map(|k| (g.record.group.clone(), k)))
        };
        let Some((group, kind)) = group else { return Ok(()) };
        let (_, policy) = self.parts.policies.of_group(&group);
        match case.step(now(), &policy, kind, event, &mut self.rng) {
            CaseChange::Unchanged => Ok(()),
            CaseChange::Changed => self.store_case(case).await,
            CaseChange::Closed => self.close_case(target).await,
        }
    }

    async fn store_case(&mut self, case: Case) -> Result<(), StoreError> {
        self.parts.database.note(self.parts.store.save_cases(std::slice::from_ref(&case), &[]).await)?;
        self.cases.put(case);
        Ok(())
    }

    async fn close_case(&mut self, target: &Target) -> Result<(), StoreError> {
        self.parts.database.note(self.parts.store.save_cases(&[], std::slice::from_ref(target)).await)?;
        self.cases.remove(target);
        Ok(())
    }

    /// Cases of a gateway that is no more.
    async fn close_orphans(&mut self, gateway: &GatewayRef) -> Result<(), StoreError> {
        if self.parts.fleet.read().gateway(gateway).is_some() {
            return Ok(());
        }
        let targets: Vec<Target> = self.cases.under(gateway).cloned().collect();
        for target in targets {
            self.close_case(&target).await?;
        }
        Ok(())
    }

    /// Puts the planner's proposal to the gates, the case as it will stand with it.
    async fn propose(
        &mut self,
        view: &GatewayView,
        policy: &Policy,
        mut proposal: Proposal,
        step: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let target = proposal.target.clone();
        let asked = (target.clone(), proposal.action);
        let cause = proposal.cause.unwrap_or(Cause::Unrecognised);
        let id = OrderId(Uuid::now_v7());
        let mut case =
            self.cases.get(&target).cloned().unwrap_or_else(|| Case::open(target.clone(), cause, at));
        let backoff_until = Some(case.not_before);
        let made = CaseEvent::OrderMade { id, cause, step };
        // Its result would only say that it changed, which it did: it was given an order.
        let _ = case.step(at, policy, view.kind, made, &mut self.rng);
        if proposal.incarnation.is_none() {
            proposal.incarnation = self.incarnation(&target);
        }
        // The decision joins the trace of the observation that led to it.
        let span = tracing::info_span!("mooring.decide", target = %target, action = %proposal.action, cause = %cause);
        let span = trace_context::with_parent(span, self.trace_of(view, &target).as_deref());
        proposal.traceparent = trace_context::traceparent(&span);
        let mut belief = self.parts.fleet.read().belief(&view.group, &target, proposal.action);
        belief.warming = self.parts.warmup.state(&self.parts.fleet, at);
        let ask = Ask {
            id,
            proposal,
            policy: policy.clone(),
            group: view.group.clone(),
            belief,
            backoff_until,
            case: Some(case),
            validate_only: false,
            now: at,
        };
        let admission = self.admit(&ask).instrument(span).await?;
        match admission {
            Admission::Made(..) => drop(self.refused.remove(&asked)),
            Admission::Shut(verdicts) => {
                let wait =
                    mooring_core::gate::retry_after(&verdicts).unwrap_or(ROUND).clamp(LEAST_RETRY, ROUND * 6);
                // Not all at the same moment: those that were refused together come back spread.
                let spread = wait.mul_f64(self.rng.random_range(0.0..0.1));
                let until = at.after(wait + spread);
                self.refused.insert(asked, until);
                self.look_at(&view.gateway, until);
            }
            Admission::Already(_) | Admission::RequestIdReused(_) | Admission::NoTarget => {
                self.look_at(&view.gateway, at.after(ROUND));
            }
        }
        Ok(())
    }

    /// The trace context of the observation behind a sickness.
    fn trace_of(&self, view: &GatewayView, target: &Target) -> Option<String> {
        let state = self.parts.fleet.read();
        let sick =
            view.instances.iter().filter(|i| target.instance().is_none_or(|t| t.instance == i.instance));
        sick.filter_map(|i| i.sickness.as_ref().map(|s| (i, s))).find_map(|(i, s)| {
            let name = view.gateway.instance(i.instance.clone());
            let condition = state.believed(&name, s.condition)?;
            condition.evidence.into_iter().find(|(k, _)| k == crate::link::TRACE_EVIDENCE).map(|(_, v)| v)
        })
    }

    /// Says once per case that a human is needed.
    async fn call_human(
        &mut self,
        target: &Target,
        cause: Cause,
        why: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.cases.get(target).is_some_and(|c| c.human_called_at.is_some()) {
            return Ok(());
        }
        tracing::warn!(%target, %cause, why, "a human is needed");
        let event = NewEvent {
            at,
            kind: EventKind::Human,
            subject: target.to_string(),
            message: clip(&format!("a human is needed: {why}"), MAX_MESSAGE),
            condition: None,
            cause: Some(cause),
            evidence: Vec::new(),
            trace_id: None,
        };
        self.parts.database.note(self.parts.store.append_events(&[event]).await)?;
        let mut case =
            self.cases.get(target).cloned().unwrap_or_else(|| Case::open(target.clone(), cause, at));
        case.human_called_at = Some(at);
        self.store_case(case).await
    }
}
