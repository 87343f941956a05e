//! Finding things in the belief.

use mooring_core::id::{AgentId, BootId, GatewayRef, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::order::Order;
use mooring_core::phase::Phase;
use mooring_core::time::Timestamp;

use super::{Agent, Gateway, Handles, Presence, Row, State};

impl State {
    pub(super) fn gateway_index(&self, gateway: &GatewayRef) -> Option<u32> {
        self.agents.get(&gateway.agent)?.gateways.get(&gateway.gateway).copied()
    }

    pub(super) fn row_index(&self, instance: &InstanceRef) -> Option<u32> {
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

    /// Whether the target exists. Of a session only the agent knows: here its gateway stands for it.
    #[must_use]
    pub fn has(&self, target: &Target) -> bool {
        match target {
            Target::Gateway(_) | Target::Session(_) => self.gateway_index(target.gateway()).is_some(),
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
            for (id, row) in g.instances.iter() {
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
