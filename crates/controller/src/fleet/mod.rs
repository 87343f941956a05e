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

mod changes;
mod index;
mod lookup;
mod row;
mod tally;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mooring_core::id::{AgentId, GatewayId, GatewayRef, InstanceId, OrderId, PolicyId};
use mooring_core::order::Order;
use mooring_core::session::SessionCounts;
use mooring_core::time::Timestamp;
use mooring_store::{AgentRecord, Changes, FleetRecord, GatewayRecord};
use tokio::sync::watch;

pub use index::Index;
pub use row::Row;
pub use tally::Tally;
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
    pub instances: Index,
    /// Live orders on it, on its instances or on its sessions.
    pub live: BTreeSet<OrderId>,
    /// Its sessions in numbers, and when they were told. Apart, as most gateways of a large fleet have none.
    pub sessions: Option<Box<(SessionCounts, Timestamp)>>,
    /// Its part in the numbers of its group.
    part: tally::Part,
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
    /// The numbers of each group.
    tallies: tally::Tallies,
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
            session_counts: record.session_counts,
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

    /// Notes a new attachment. Of two that begin at once the one with the newer epoch stays, whichever comes first.
    pub fn attached(&self, record: AgentRecord, presence: Presence) {
        let mut s = self.write();
        let id = record.id.clone();
        match s.agents.get_mut(&id) {
            Some(agent) if agent.record.epoch > record.epoch => return,
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
            self.publish(s);
        }
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

    /// Forgets an order that the store does not have (any more).
    pub fn forget_order(&self, id: OrderId) {
        let mut s = self.write();
        s.forget_order(id);
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

/// Handles of one boot, resolved.
#[derive(Debug, Default, Clone)]
pub struct Handles {
    /// Gateway number → id.
    pub gateways: HashMap<u32, GatewayId>,
    /// Instance number → its gateway's number and its id.
    pub instances: HashMap<u32, (u32, InstanceId)>,
}
