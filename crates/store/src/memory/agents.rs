//! Agents and what they report.

use async_trait::async_trait;
use mooring_core::condition::ConditionKind;
use mooring_core::id::{AgentId, GatewayRef, InstanceRef};
use mooring_core::time::Timestamp;

use super::{MemoryStore, Result, State};
use crate::{
    AgentRecord, AgentStore, Attach, Attached, Changes, Committed, Delta, FleetRecord, JournalStore, NewEvent,
};

#[async_trait]
impl AgentStore for MemoryStore {
    async fn load(&self) -> Result<FleetRecord> {
        self.run(|s| FleetRecord {
            agents: s.agents.values().cloned().collect(),
            gateways: s.gateways.values().cloned().collect(),
            instances: s.instances.values().cloned().collect(),
            conditions: s.conditions.iter().map(|((i, _), c)| (i.clone(), c.clone())).collect(),
            session_counts: s.session_counts.values().cloned().collect(),
            live_orders: s.live.iter().map(|id| s.orders[id].order.clone()).collect(),
            cases: s.cases.values().cloned().collect(),
        })
    }

    async fn agents(&self) -> Result<Vec<AgentRecord>> {
        self.run(|s| s.agents.values().cloned().collect())
    }

    async fn attach(&self, attach: &Attach) -> Result<Attached> {
        self.run(|s| s.attach(attach))
    }

    async fn touch(&self, seen: &[(AgentId, Timestamp)]) -> Result<()> {
        self.run(|s| {
            for (agent, at) in seen {
                if let Some(agent) = s.agents.get_mut(agent) {
                    agent.last_seen = agent.last_seen.max(*at);
                }
            }
        })
    }

    async fn offline(&self, agent: &AgentId, epoch: u64, now: Timestamp, event: &NewEvent) -> Result<bool> {
        self.run(|s| {
            let Some(agent) = s.agents.get_mut(agent).filter(|a| a.epoch == epoch) else { return false };
            if agent.offline_since.is_none() {
                agent.offline_since = Some(now);
                s.remember(event);
            }
            true
        })
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn commit(&self, deltas: &[Delta]) -> Result<Vec<Committed>> {
        self.run(|s| deltas.iter().map(|delta| s.commit(delta)).collect())
    }
}

impl State {
    fn attach(&mut self, attach: &Attach) -> Attached {
        let old = self.agents.get(&attach.agent);
        let epoch = old.map_or(0, |a| a.epoch) + 1;
        let resumed = old.filter(|a| a.boot == attach.boot);
        let (last_sequence, synced) = resumed.map_or((0, false), |a| (a.last_sequence, a.synced));
        let record = AgentRecord {
            id: attach.agent.clone(),
            boot: attach.boot,
            node: attach.node.clone(),
            version: attach.version.clone(),
            epoch,
            last_sequence,
            synced,
            attached_at: attach.now,
            last_seen: attach.now,
            offline_since: None,
        };
        self.agents.insert(attach.agent.clone(), record);
        Attached { epoch, resume_after: synced.then_some(last_sequence) }
    }

    fn commit(&mut self, delta: &Delta) -> Committed {
        let Some(agent) = self.agents.get_mut(&delta.agent).filter(|a| a.epoch == delta.epoch) else {
            return Committed::StaleEpoch;
        };
        if delta.sequence <= agent.last_sequence {
            return Committed::Durable;
        }
        agent.last_sequence = delta.sequence;
        agent.synced = delta.synced.unwrap_or(agent.synced);
        self.apply(&delta.changes);
        delta.events.iter().for_each(|event| self.remember(event));
        Committed::Durable
    }

    fn apply(&mut self, changes: &Changes) {
        for gateway in &changes.gateways_gone {
            self.gateways.remove(gateway);
            self.forget_instances(|i| &i.gateway == gateway);
            self.forget_sessions(gateway);
        }
        for instance in &changes.instances_gone {
            self.forget_instances(|i| i == instance);
        }
        for gateway in &changes.gateways {
            self.gateways.insert(gateway.gateway.clone(), gateway.clone());
        }
        for instance in &changes.instances {
            if self.gateways.contains_key(&instance.instance.gateway) {
                self.instances.insert(instance.instance.clone(), instance.clone());
            }
        }
        for (instance, condition) in &changes.conditions {
            if self.instances.contains_key(instance) {
                self.conditions.insert((instance.clone(), condition.kind), condition.clone());
            }
        }
        self.apply_sessions(changes);
    }

    fn forget_instances(&mut self, gone: impl Fn(&InstanceRef) -> bool) {
        self.instances.retain(|i, _| !gone(i));
        self.conditions.retain(|(i, _): &(InstanceRef, ConditionKind), _| !gone(i));
    }

    /// Whether there is such a gateway.
    pub(super) fn knows_gateway(&self, gateway: &GatewayRef) -> bool {
        self.gateways.contains_key(gateway)
    }
}
