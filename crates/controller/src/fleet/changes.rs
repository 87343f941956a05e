//! What changes the belief, and the ring that remembers at which revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use mooring_core::condition::Condition;
use mooring_core::id::{AgentId, GatewayRef, InstanceId, InstanceRef, OrderId, Target};
use mooring_core::order::Order;
use mooring_core::phase::Phase;
use mooring_core::time::Timestamp;
use mooring_store::{Changes, CountsRecord, GatewayRecord};

use super::tally::Part;
use super::{Changed, Entry, Gateway, Index, RING, Row, State};

impl State {
    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Entries after a revision, oldest first; `None` when it is older than the ring.
    #[must_use]
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Entry>> {
        let oldest = self.ring.front().map_or(self.revision + 1, |e| e.revision);
        if revision > self.revision || revision + 1 < oldest {
            return None;
        }
        let skip = self.ring.partition_point(|e| e.revision <= revision);
        Some(self.ring.iter().skip(skip))
    }

    pub(super) fn note(&mut self, what: Changed, gone: Option<Arc<str>>) -> u64 {
        self.revision += 1;
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry { revision: self.revision, what, gone });
        self.revision
    }

    pub(super) fn touch_row(&mut self, index: u32) {
        let revision = self.note(Changed::Row(index), None);
        if let Some(Some(row)) = self.rows.get_mut(index as usize) {
            row.revision = revision;
        }
    }

    pub(super) fn touch_agent(&mut self, agent: &AgentId) {
        let Some(a) = self.agents.get(agent) else { return };
        let gateways: Vec<u32> = a.gateways.values().copied().collect();
        for g in gateways {
            let Some(gateway) = self.gateways[g as usize].as_ref() else { continue };
            let reference = gateway.record.gateway.clone();
            let rows: Vec<u32> = gateway.instances.values().copied().collect();
            for row in rows {
                self.touch_row(row);
            }
            self.dirty.insert(reference);
            self.recount(g);
        }
    }

    pub(super) fn apply(&mut self, changes: &Changes, now: Timestamp) {
        for gone in &changes.instances_gone {
            self.remove_instance(gone);
        }
        for gone in &changes.gateways_gone {
            self.remove_gateway(gone);
        }
        for g in &changes.gateways {
            self.put_gateway(g.clone());
        }
        for i in &changes.instances {
            self.put_instance(&i.instance, i.handle, now);
        }
        for (instance, condition) in &changes.conditions {
            self.put_condition(instance, condition, now);
        }
        for told in &changes.session_counts {
            self.put_counts(told);
        }
    }

    fn put_gateway(&mut self, record: GatewayRecord) {
        let reference = record.gateway.clone();
        let Some(agent) = self.agents.get_mut(&reference.agent) else { return };
        self.dirty.insert(reference.clone());
        if let Some(index) = agent.gateways.get(&reference.gateway).copied() {
            self.change_gateway(index, record);
            return;
        }
        // Orders outlive a gateway that goes and comes back: it may be their doing.
        let live =
            self.orders.values().filter(|o| !o.state.ended() && *o.proposal.target.gateway() == reference);
        let live: BTreeSet<OrderId> = live.map(|o| o.id).collect();
        let gateway =
            Gateway { record, instances: Index::default(), live, sessions: None, part: Part::default() };
        let index = match self.free_gateways.pop() {
            Some(i) => {
                self.gateways[i as usize] = Some(gateway);
                i
            }
            None => {
                self.gateways.push(Some(gateway));
                u32::try_from(self.gateways.len() - 1).unwrap_or(u32::MAX)
            }
        };
        agent.gateways.insert(reference.gateway, index);
        self.recount(index);
    }

    /// What is said of a gateway shows in each of its instances.
    fn change_gateway(&mut self, index: u32, record: GatewayRecord) {
        let Some(Some(g)) = self.gateways.get_mut(index as usize) else { return };
        let shows = g.record.kind != record.kind
            || g.record.group != record.group
            || g.record.labels != record.labels;
        g.record = record;
        if shows {
            let rows: Vec<u32> = g.instances.values().copied().collect();
            rows.into_iter().for_each(|row| self.touch_row(row));
            self.recount(index);
        }
    }

    fn put_instance(&mut self, instance: &InstanceRef, handle: u32, now: Timestamp) {
        let Some(g) = self.gateway_index(&instance.gateway) else { return };
        let existing =
            self.gateways[g as usize].as_ref().and_then(|g| g.instances.get(&instance.instance)).copied();
        let index = match existing {
            Some(index) => {
                if let Some(Some(row)) = self.rows.get_mut(index as usize) {
                    row.handle = handle;
                }
                index
            }
            None => {
                let row = Row::new(instance.instance.clone(), g, handle, now);
                let index = match self.free_rows.pop() {
                    Some(i) => {
                        self.rows[i as usize] = Some(row);
                        i
                    }
                    None => {
                        self.rows.push(Some(row));
                        u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
                    }
                };
                if let Some(Some(g)) = self.gateways.get_mut(g as usize) {
                    g.instances.insert(instance.instance.clone(), index);
                }
                self.recount(g);
                index
            }
        };
        self.touch_row(index);
        self.dirty.insert(instance.gateway.clone());
    }

    fn put_condition(&mut self, instance: &InstanceRef, condition: &Condition, now: Timestamp) {
        let Some(index) = self.row_index(instance) else { return };
        if let Some(Some(row)) = self.rows.get_mut(index as usize) {
            let (gateway, before) = (row.gateway, row.phase());
            row.set(condition, now);
            let after = row.phase();
            self.moved(gateway, before, after);
        }
        self.touch_row(index);
        self.dirty.insert(instance.gateway.clone());
    }

    /// Numbers only: nothing is decided on them, so nobody is woken.
    fn put_counts(&mut self, told: &CountsRecord) {
        if let Some(g) = self.gateway_index(&told.gateway)
            && let Some(Some(g)) = self.gateways.get_mut(g as usize)
        {
            g.sessions = Some(Box::new((told.counts.clone(), told.at)));
        }
    }

    fn remove_instance(&mut self, instance: &InstanceRef) {
        let Some(g) = self.gateway_index(&instance.gateway) else { return };
        let removed = self.gateways[g as usize].as_mut().and_then(|g| g.instances.remove(&instance.instance));
        if let Some(index) = removed {
            let row = self.rows[index as usize].take();
            self.moved(g, row.map_or(Phase::Unknown, |r| r.phase()), Phase::Unknown);
            self.recount(g);
            self.free_rows.push(index);
            self.note(Changed::Row(index), Some(instance.to_string().into()));
            self.dirty.insert(instance.gateway.clone());
        }
    }

    fn remove_gateway(&mut self, gateway: &GatewayRef) {
        let Some(g) = self.gateway_index(gateway) else { return };
        let ids: Vec<InstanceId> = self.gateways[g as usize]
            .as_ref()
            .map_or_else(Vec::new, |g| g.instances.keys().cloned().collect());
        for id in ids {
            self.remove_instance(&gateway.instance(id));
        }
        self.uncount(g);
        self.gateways[g as usize] = None;
        self.free_gateways.push(g);
        self.dirty.insert(gateway.clone());
        if let Some(agent) = self.agents.get_mut(&gateway.agent) {
            agent.gateways.remove(&gateway.gateway);
        }
    }

    pub(super) fn put_order(&mut self, order: Order) {
        let gateway = order.proposal.target.gateway().clone();
        let id = order.id;
        let ended = order.state.ended();
        let mut begun_or_over = false;
        if let Some(g) = self.gateway_index(&gateway)
            && let Some(Some(g)) = self.gateways.get_mut(g as usize)
        {
            begun_or_over = if ended { g.live.remove(&id) } else { g.live.insert(id) };
        }
        if begun_or_over {
            self.touch_target(&order.proposal.target);
        }
        self.orders.insert(id, order);
        self.note(Changed::Order(id), None);
        self.dirty.insert(gateway);
        if ended {
            self.forget_ended(id);
        }
    }

    /// What an order is on shows that order: whoever watches is told when it begins to and when it ceases to.
    fn touch_target(&mut self, target: &Target) {
        let rows: Vec<u32> = match target {
            Target::Instance(i) => self.row_index(i).into_iter().collect(),
            // Instances do not show the orders on sessions.
            Target::Session(_) => Vec::new(),
            Target::Gateway(g) => {
                self.gateway(g).map_or_else(Vec::new, |g| g.instances.values().copied().collect())
            }
        };
        for row in rows {
            self.touch_row(row);
        }
    }

    fn moved(&mut self, gateway: u32, from: Phase, to: Phase) {
        let Some(Some(g)) = self.gateways.get_mut(gateway as usize) else { return };
        if g.part.moved(from, to) {
            self.recount(gateway);
        }
    }

    pub(super) fn forget_order(&mut self, id: OrderId) {
        let Some(order) = self.orders.remove(&id) else { return };
        let gateway = order.proposal.target.gateway().clone();
        if let Some(index) = self.gateway_index(&gateway)
            && let Some(Some(g)) = self.gateways.get_mut(index as usize)
        {
            g.live.remove(&id);
        }
        self.note(Changed::Order(id), None);
        self.dirty.insert(gateway);
    }

    /// Ended orders stay for watchers while they are in the ring, at most this many.
    fn forget_ended(&mut self, newest: OrderId) {
        const KEEP: usize = 1_024;
        let ended = self.orders.values().filter(|o| o.state.ended()).count();
        if ended > KEEP {
            let oldest =
                self.orders.values().filter(|o| o.state.ended() && o.id != newest).map(|o| o.id).min();
            if let Some(id) = oldest {
                self.orders.remove(&id);
            }
        }
    }
}
