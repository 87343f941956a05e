//! The fleet: what the controller believes, in memory. Feeds reads, watches, metrics and the planner.
//!
//! Belief follows the journal: nothing gets in here before it is durable, so no order is ever decided on something that
//! a crash could take back. It is packed for size (a hundred thousand instances are an ordinary fleet): one row per
//! instance in a slab, words and evidence only for conditions that are not True, names once.
//!
//! Silence is laid over it, not written into it: while an agent is offline its instances *read* as Unknown, but what it
//! last said is kept, since a returning agent resends only what changed.
//!
//! Every change gets a revision; a bounded ring remembers which instance or order changed at which one. A watcher that
//! falls out of the ring is told so and begins anew, which keeps the memory of watching bounded by the ring, not by the
//! slowest watcher.

mod row;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mooring_core::condition::Condition;
use mooring_core::id::{AgentId, BootId, GatewayId, GatewayRef, InstanceId, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::order::Order;
use mooring_core::phase::Phase;
use mooring_core::time::Timestamp;
use mooring_store::{AgentRecord, Changes, FleetRecord, GatewayRecord};
use tokio::sync::watch;

pub use row::Row;
pub use view::{AgentView, FleetCounts, GatewaySummary, InstanceFull};

/// How many recent changes are remembered for watchers.
pub const RING: usize = 65_536;

/// Whether an agent is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Attached and in sync.
    Online,
    /// Attached, still telling what it knows.
    Syncing,
    /// Gone since then; within its grace.
    Lost(Timestamp),
    /// Silent beyond its grace, or gone on purpose, since then.
    Offline(Timestamp),
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// As stored.
    pub record: AgentRecord,
    /// Whether it is attached.
    pub presence: Presence,
    /// Its gateways, by id: index into the gateways.
    pub gateways: BTreeMap<GatewayId, u32>,
}

/// One gateway.
#[derive(Debug)]
pub struct Gateway {
    /// As stored.
    pub record: GatewayRecord,
    /// Its instances, by id: index into the rows.
    pub instances: BTreeMap<InstanceId, u32>,
    /// Live orders on it or on its instances.
    pub live: BTreeSet<OrderId>,
}

/// What changed at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// The instance in this row.
    Row(u32),
    /// This order.
    Order(OrderId),
}

/// One entry of the ring.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When: the revision.
    pub revision: u64,
    /// What.
    pub what: Changed,
    /// The name of an instance that is no more.
    pub gone: Option<Arc<str>>,
}

/// The belief itself. Access through [`Fleet`].
#[derive(Debug, Default)]
pub struct State {
    agents: BTreeMap<AgentId, Agent>,
    gateways: Vec<Option<Gateway>>,
    free_gateways: Vec<u32>,
    rows: Vec<Option<Row>>,
    free_rows: Vec<u32>,
    orders: HashMap<OrderId, Order>,
    ring: VecDeque<Entry>,
    revision: u64,
    /// Gateways whose planning may have changed since the planner last took them.
    dirty: BTreeSet<GatewayRef>,
    /// When a group was last seen above its storm threshold.
    storms: BTreeMap<PolicyId, Timestamp>,
}

/// Shared handle to the belief.
#[derive(Debug, Clone)]
pub struct Fleet {
    state: Arc<RwLock<State>>,
    revision: watch::Sender<u64>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { state: Arc::default(), revision: watch::Sender::new(0) }
    }
}

impl Fleet {
    /// Loads what the store knows. Agents count as lost since `now`: they have their grace to come back.
    pub fn load(&self, record: FleetRecord, now: Timestamp) {
        let mut s = self.write();
        for agent in record.agents {
            let presence = agent.offline_since.map_or(Presence::Lost(now), Presence::Offline);
            s.agents.insert(agent.id.clone(), Agent { record: agent, presence, gateways: BTreeMap::new() });
        }
        let changes = Changes {
            gateways: record.gateways,
            instances: record.instances,
            conditions: record.conditions,
            ..Changes::default()
        };
        s.apply(&changes, now);
        for order in record.live_orders {
            s.put_order(order);
        }
        self.publish(s);
    }

    /// Reads. Hold it briefly; never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while writing would be a bug that the supervisor answers with a restart; until then, reads go on.
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn publish(&self, s: RwLockWriteGuard<'_, State>) {
        let revision = s.revision;
        drop(s);
        self.revision.send_replace(revision);
    }

    /// Follows the revision: wakes at every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Takes in durable changes.
    pub fn apply<'a>(&self, changes: impl IntoIterator<Item = &'a Changes>, now: Timestamp) {
        let mut s = self.write();
        for c in changes {
            s.apply(c, now);
        }
        self.publish(s);
    }

    /// Notes a new attachment.
    pub fn attached(&self, record: AgentRecord, presence: Presence) {
        let mut s = self.write();
        let id = record.id.clone();
        match s.agents.get_mut(&id) {
            Some(agent) => {
                agent.record = record;
                agent.presence = presence;
            }
            None => {
                s.agents.insert(id.clone(), Agent { record, presence, gateways: BTreeMap::new() });
            }
        }
        s.touch_agent(&id);
        self.publish(s);
    }

    /// Changes an agent's presence, if `epoch` is still its newest attachment. Returns whether it was.
    pub fn set_presence(&self, agent: &AgentId, epoch: u64, presence: Presence) -> bool {
        let mut s = self.write();
        let Some(a) = s.agents.get_mut(agent).filter(|a| a.record.epoch == epoch) else { return false };
        if a.presence != presence {
            a.presence = presence;
            s.touch_agent(agent);
        }
        self.publish(s);
        true
    }

    /// Notes how far an agent's reports are durable, and when it was last heard of.
    pub fn progressed(&self, agent: &AgentId, epoch: u64, sequence: u64, synced: Option<bool>) {
        let mut s = self.write();
        if let Some(a) = s.agents.get_mut(agent).filter(|a| a.record.epoch == epoch) {
            a.record.last_sequence = a.record.last_sequence.max(sequence);
            if let Some(synced) = synced {
                a.record.synced = synced;
            }
        }
    }

    /// Notes when agents were last heard of.
    pub fn seen(&self, agent: &AgentId, at: Timestamp) {
        let mut s = self.write();
        if let Some(a) = s.agents.get_mut(agent) {
            a.record.last_seen = a.record.last_seen.max(at);
        }
    }

    /// Takes in an order after a step; ended ones are forgotten after the change has been published.
    pub fn put_order(&self, order: Order) {
        let mut s = self.write();
        s.put_order(order);
        self.publish(s);
    }

    /// Takes the gateways whose planning may have changed.
    #[must_use]
    pub fn take_dirty(&self) -> BTreeSet<GatewayRef> {
        std::mem::take(&mut self.write().dirty)
    }

    /// Notes that a group is above its storm threshold.
    pub fn note_storm(&self, group: &PolicyId, now: Timestamp) {
        self.write().storms.insert(group.clone(), now);
    }
}

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

    fn note(&mut self, what: Changed, gone: Option<Arc<str>>) -> u64 {
        self.revision += 1;
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry { revision: self.revision, what, gone });
        self.revision
    }

    fn touch_row(&mut self, index: u32) {
        let revision = self.note(Changed::Row(index), None);
        if let Some(Some(row)) = self.rows.get_mut(index as usize) {
            row.revision = revision;
        }
    }

    fn touch_agent(&mut self, agent: &AgentId) {
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
        }
    }

    fn apply(&mut self, changes: &Changes, now: Timestamp) {
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
    }

    fn put_gateway(&mut self, record: GatewayRecord) {
        let reference = record.gateway.clone();
        let Some(agent) = self.agents.get_mut(&reference.agent) else { return };
        self.dirty.insert(reference.clone());
        if let Some(index) = agent.gateways.get(&reference.gateway).copied() {
            if let Some(Some(g)) = self.gateways.get_mut(index as usize) {
                g.record = record;
            }
            return;
        }
        let gateway = Gateway { record, instances: BTreeMap::new(), live: BTreeSet::new() };
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
    }

    fn put_instance(&mut self, instance: &InstanceRef, handle: u32, now: Timestamp) {
        let Some(g) = self.gateway_index(&instance.gateway) else { return };
        let existing = self.gateways[g as usize].as_ref().and_then(|g| g.instances.get(&instance.instance)).copied();
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
                index
            }
        };
        self.touch_row(index);
        self.dirty.insert(instance.gateway.clone());
    }

    fn put_condition(&mut self, instance: &InstanceRef, condition: &Condition, now: Timestamp) {
        let Some(index) = self.row_index(instance) else { return };
        if let Some(Some(row)) = self.rows.get_mut(index as usize) {
            row.set(condition, now);
        }
        self.touch_row(index);
        self.dirty.insert(instance.gateway.clone());
    }

    fn remove_instance(&mut self, instance: &InstanceRef) {
        let Some(g) = self.gateway_index(&instance.gateway) else { return };
        let removed = self.gateways[g as usize].as_mut().and_then(|g| g.instances.remove(&instance.instance));
        if let Some(index) = removed {
            self.rows[index as usize] = None;
            self.free_rows.push(index);
            self.note(Changed::Row(index), Some(instance.to_string().into()));
            self.dirty.insert(instance.gateway.clone());
        }
    }

    fn remove_gateway(&mut self, gateway: &GatewayRef) {
        let Some(g) = self.gateway_index(gateway) else { return };
        let ids: Vec<InstanceId> =
            self.gateways[g as usize].as_ref().map_or_else(Vec::new, |g| g.instances.keys().cloned().collect());
        for id in ids {
            self.remove_instance(&gateway.instance(id));
        }
        self.gateways[g as usize] = None;
        self.free_gateways.push(g);
        if let Some(agent) = self.agents.get_mut(&gateway.agent) {
            agent.gateways.remove(&gateway.gateway);
        }
    }

    fn put_order(&mut self, order: Order) {
        let gateway = order.proposal.target.gateway().clone();
        let id = order.id;
        let ended = order.state.ended();
        if let Some(g) = self.gateway_index(&gateway)
            && let Some(Some(g)) = self.gateways.get_mut(g as usize)
        {
            if ended {
                g.live.remove(&id);
            } else {
                g.live.insert(id);
            }
        }
        self.orders.insert(id, order);
        self.note(Changed::Order(id), None);
        self.dirty.insert(gateway);
        if ended {
            self.forget_ended(id);
        }
    }

    /// Ended orders stay for watchers while they are in the ring, at most this many.
    fn forget_ended(&mut self, newest: OrderId) {
        const KEEP: usize = 1_024;
        let ended = self.orders.values().filter(|o| o.state.ended()).count();
        if ended > KEEP {
            let oldest = self.orders.values().filter(|o| o.state.ended() && o.id != newest).map(|o| o.id).min();
            if let Some(id) = oldest {
                self.orders.remove(&id);
            }
        }
    }

    fn gateway_index(&self, gateway: &GatewayRef) -> Option<u32> {
        self.agents.get(&gateway.agent)?.gateways.get(&gateway.gateway).copied()
    }

    fn row_index(&self, instance: &InstanceRef) -> Option<u32> {
        let g = self.gateway_index(&instance.gateway)?;
        self.gateways[g as usize].as_ref()?.instances.get(&instance.instance).copied()
    }

    /// An agent.
    #[must_use]
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// All agents, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// A gateway.
    #[must_use]
    pub fn gateway(&self, gateway: &GatewayRef) -> Option<&Gateway> {
        self.gateways[self.gateway_index(gateway)? as usize].as_ref()
    }

    /// All gateways of an agent, by id.
    pub fn gateways_of<'a>(&'a self, agent: &'a Agent) -> impl Iterator<Item = &'a Gateway> {
        agent.gateways.values().filter_map(|i| self.gateways[*i as usize].as_ref())
    }

    /// Whether the target exists.
    #[must_use]
    pub fn has(&self, target: &Target) -> bool {
        match target {
            Target::Gateway(g) => self.gateway_index(g).is_some(),
            Target::Instance(i) => self.row_index(i).is_some(),
        }
    }

    /// A row of the slab.
    #[must_use]
    pub fn row(&self, index: u32) -> Option<&Row> {
        self.rows.get(index as usize)?.as_ref()
    }

    /// The gateway of a row.
    #[must_use]
    pub fn gateway_of(&self, row: &Row) -> Option<&Gateway> {
        self.gateways.get(row.gateway as usize)?.as_ref()
    }

    /// The orders in memory: all live ones and some that ended lately.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// An order in memory.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// When the group was last above its storm threshold.
    #[must_use]
    pub fn storm_seen(&self, group: &PolicyId) -> Option<Timestamp> {
        self.storms.get(group).copied()
    }

    /// Groups that were ever above their threshold, with when last.
    pub fn storms(&self) -> impl Iterator<Item = (&PolicyId, Timestamp)> {
        self.storms.iter().map(|(g, t)| (g, *t))
    }

    /// The handles of an agent's current boot, if `boot` is it: instance and gateway numbers to names.
    #[must_use]
    pub fn handles(&self, agent: &AgentId, boot: BootId) -> Option<Handles> {
        let a = self.agents.get(agent).filter(|a| a.record.boot == boot)?;
        let mut handles = Handles::default();
        for g in self.gateways_of(a) {
            handles.gateways.insert(g.record.handle, g.record.gateway.gateway.clone());
            for (id, row) in &g.instances {
                if let Some(row) = self.row(*row) {
                    handles.instances.insert(row.handle, (g.record.handle, id.clone()));
                }
            }
        }
        Some(handles)
    }

    /// The phase of a row, silence laid over.
    #[must_use]
    pub fn phase(&self, row: &Row) -> Phase {
        let offline = self.gateways[row.gateway as usize]
            .as_ref()
            .and_then(|g| self.agents.get(&g.record.gateway.agent))
            .is_none_or(|a| matches!(a.presence, Presence::Offline(_)));
        if offline { Phase::Unknown } else { row.phase() }
    }
}

/// Handles of one boot, resolved.
#[derive(Debug, Default, Clone)]
pub struct Handles {
    /// Gateway number → id.
    pub gateways: HashMap<u32, GatewayId>,
    /// Instance number → its gateway's number and its id.
    pub instances: HashMap<u32, (u32, InstanceId)>,
}
