//! Orders, gates and cases.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mooring_core::gate::{Facts, PastOrder, RATE_WINDOW, Verdict, evaluate};
use mooring_core::id::{AgentId, Fence, OrderId, Target};
use mooring_core::order::{Action, Order, State as Life};
use mooring_core::planner::Case;

use super::{MemoryStore, Result, State, StoredOrder};
use crate::rules::{self, Settled};
use crate::{Admission, Ask, CaseStore, OrderStore, OrderWrite, Refusal};

#[async_trait]
impl OrderStore for MemoryStore {
    async fn admit(&self, ask: &Ask) -> Result<Admission> {
        self.run(|s| s.admit(ask))
    }

    async fn save_orders(&self, writes: &[OrderWrite]) -> Result<Vec<bool>> {
        self.run(|s| s.save_orders(writes))
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.run(|s| s.orders.get(&id).map(|o| o.order.clone()))
    }

    async fn live_orders(&self, agent: &AgentId) -> Result<Vec<Order>> {
        self.run(|s| {
            s.live_orders().filter(|o| &o.proposal.target.gateway().agent == agent).cloned().collect()
        })
    }

    async fn orders_before(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        self.run(|s| {
            s.newest().filter(|o| before.is_none_or(|b| o.id < b)).take(limit as usize).cloned().collect()
        })
    }

    async fn orders_on(&self, target: &Target, limit: u32) -> Result<Vec<Order>> {
        let gateway = Target::Gateway(target.gateway().clone());
        let on = |o: &&Order| o.proposal.target == *target || o.proposal.target == gateway;
        self.run(|s| s.newest().filter(on).take(limit as usize).cloned().collect())
    }

    async fn refusals(&self, target: &Target) -> Result<Vec<Refusal>> {
        self.run(|s| s.refusals.values().filter(|r| r.target == *target).cloned().collect())
    }
}

#[async_trait]
impl CaseStore for MemoryStore {
    async fn save_cases(&self, open: &[Case], closed: &[Target]) -> Result<()> {
        self.run(|s| {
            for target in closed {
                s.cases.remove(target);
            }
            for case in open {
                s.cases.insert(case.target.clone(), case.clone());
            }
        })
    }
}

impl State {
    fn newest(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().rev().map(|o| &o.order)
    }

    fn live_orders(&self) -> impl Iterator<Item = &Order> {
        self.live.iter().map(|id| &self.orders[id].order)
    }

    fn admit(&mut self, ask: &Ask) -> Admission {
        if let Some(made) = self.orders.get(&ask.id) {
            return Admission::Already(Box::new(made.order.clone()));
        }
        if let Some(request) = &ask.proposal.request_id {
            let made = self.newest().find(|o| o.proposal.request_id.as_ref() == Some(request));
            if let Some(made) = made {
                let again = rules::same_request(&made.proposal, &ask.proposal);
                let made = Box::new(made.clone());
                return if again { Admission::Already(made) } else { Admission::RequestIdReused(made) };
            }
        }
        let known = match &ask.proposal.target {
            // Sessions live on the agent alone: whether there is one is the agent's to say.
            target @ (Target::Gateway(_) | Target::Session(_)) => self.knows_gateway(target.gateway()),
            Target::Instance(i) => self.instances.contains_key(i),
        };
        if !known {
            return Admission::NoTarget;
        }
        let verdicts = evaluate(ask.now, &ask.policy, &ask.proposal, &self.facts(ask));
        if verdicts.iter().any(|v| !v.open) {
            if !ask.validate_only {
                self.refuse(ask, &verdicts);
            }
            return Admission::Shut(verdicts);
        }
        let order =
            Order::new(ask.id, ask.proposal.clone(), Fence(self.last_fence + 1), ask.now, &ask.policy);
        if !ask.validate_only {
            self.last_fence += 1;
            self.live.insert(order.id);
            self.orders.insert(order.id, StoredOrder { order: order.clone(), group: ask.group.clone() });
            if let Some(case) = &ask.case {
                self.cases.insert(case.target.clone(), case.clone());
            }
            self.remember(&rules::order_made(&order));
        }
        Admission::Made(Box::new(order), verdicts)
    }

    fn facts(&self, ask: &Ask) -> Facts {
        let target = &ask.proposal.target;
        let minute = ask.now.before(RATE_WINDOW);
        let window = ask.now.before(ask.policy.restarts.window);
        let in_group = || self.orders.values().filter(|o| o.group == ask.group).map(|o| &o.order);
        let in_minute = || in_group().filter(|o| o.created_at > minute).map(|o| o.created_at);
        let restarts = self.newest().filter(|o| {
            // The gateway's own restarts, and of instances' only the target's: a neighbour's do not park it. One that
            // expired without being accepted did not happen.
            (o.proposal.action == Action::RestartGateway
                || (o.proposal.action == Action::RestartInstance && o.proposal.target == *target))
                && o.proposal.target.gateway() == target.gateway()
                && o.created_at > window
                && (o.state != Life::Expired || o.accepted_at.is_some())
        });
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let on_target = self.newest().filter(|o| o.proposal.target == *target);
        let conflicting = self.live_orders().filter(|o| rules::conflicts(target, &o.proposal.target));
        Facts {
            pauses: self
                .pauses_in_force(ask.now)
                .filter(|p| p.scope.covers(target, &ask.group))
                .cloned()
                .collect(),
            on_target: on_target.take(rules::ORDERS_LOOKED_AT).map(rules::past).collect(),
            conflicting: conflicting.map(rules::past).collect::<Vec<PastOrder>>(),
            restarts_in_window: restarts.take(rules::RESTARTS_LOOKED_AT).map(rules::past).collect(),
            group_in_flight: count(in_group().filter(|o| !o.state.ended()).count()),
            group_last_minute: count(in_minute().count()),
            group_oldest_in_minute: in_minute().min(),
            backoff_until: ask.backoff_until,
            belief: ask.belief.clone(),
        }
    }

    fn refuse(&mut self, ask: &Ask, verdicts: &[Verdict]) {
        let target = &ask.proposal.target;
        let mut begun: Vec<&Verdict> = Vec::new();
        for verdict in verdicts.iter().filter(|v| !v.open) {
            let old = self.refusals.get(&(target.clone(), verdict.gate));
            if rules::begins_series(old.map(|r| r.last_at), ask.now) {
                begun.push(verdict);
            }
            let refusal = Refusal {
                target: target.clone(),
                verdict: verdict.clone(),
                first_at: old.map_or(ask.now, |r| r.first_at),
                last_at: ask.now,
                count: old.map_or(0, |r| r.count) + 1,
            };
            self.refusals.insert((target.clone(), verdict.gate), refusal);
        }
        if !begun.is_empty() {
            self.remember(&rules::refused(ask, &begun));
        }
    }

    fn save_orders(&mut self, writes: &[OrderWrite]) -> Vec<bool> {
        let wanted = writes.iter().filter_map(|w| self.orders.get(&w.order.id));
        let mut stored: BTreeMap<OrderId, Order> = wanted.map(|o| (o.order.id, o.order.clone())).collect();
        let settled = rules::settle(&mut stored, writes);
        for (id, order) in stored {
            if order.state.ended() {
                self.live.remove(&id);
            }
            if let Some(kept) = self.orders.get_mut(&id) {
                kept.order = order;
            }
        }
        for (write, settled) in writes.iter().zip(&settled) {
            if *settled == Settled::Applies {
                write.events.iter().for_each(|event| self.remember(event));
            }
        }
        settled.iter().map(|s| *s != Settled::Other).collect()
    }
}
