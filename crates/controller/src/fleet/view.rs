//! Views of the belief: what reads, the planner and the gates ask of it.

use std::collections::BTreeMap;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::gate::{Belief, is_storm};
use mooring_core::id::{GatewayRef, InstanceId, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::kind::Kind;
use mooring_core::order::Action;
use mooring_core::phase::Phase;
use mooring_core::planner::{GatewayView, InstanceView};
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;

use super::{Agent, Gateway, Presence, Row, State};

/// An instance in full, silence laid over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFull {
    /// Which.
    pub name: InstanceRef,
    /// The summary.
    pub phase: Phase,
    /// All conditions, in order of their kinds.
    pub conditions: Vec<Condition>,
    /// Kind of its gateway.
    pub kind: Option<Kind>,
    /// Group of its gateway.
    pub group: PolicyId,
    /// The newest order on it or on its gateway that is not over.
    pub live_order: Option<OrderId>,
    /// The agent is not attached, so this may be out of date.
    pub stale: bool,
    /// When it last changed.
    pub revision: u64,
}

/// An agent with its numbers.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// As stored.
    pub record: mooring_store::AgentRecord,
    /// Whether it is attached.
    pub presence: Presence,
    /// How many gateways.
    pub gateways: usize,
    /// How many instances.
    pub instances: usize,
}

/// A gateway with its numbers.
#[derive(Debug, Clone)]
pub struct GatewaySummary {
    /// As stored.
    pub record: mooring_store::GatewayRecord,
    /// Instances.
    pub instances: usize,
    /// Instances that are Healthy.
    pub healthy: usize,
    /// Instances that are Down, Flapping, Degraded or NeedsHuman.
    pub sick: usize,
}

/// The fleet in a few numbers.
#[derive(Debug, Clone, Default)]
pub struct FleetCounts {
    /// Attached and in sync.
    pub agents_online: usize,
    /// Known.
    pub agents: usize,
    /// Known.
    pub gateways: usize,
    /// Known.
    pub instances: usize,
    /// By phase.
    pub phases: BTreeMap<Phase, usize>,
    /// Orders that are not over.
    pub live_orders: usize,
}

impl State {
    /// An instance in full.
    #[must_use]
    pub fn instance(&self, name: &InstanceRef) -> Option<InstanceFull> {
        self.full(self.row_index(name)?)
    }

    /// What the agent last said of one condition, silence not laid over.
    #[must_use]
    pub fn believed(&self, name: &InstanceRef, kind: ConditionKind) -> Option<Condition> {
        Some(self.row(self.row_index(name)?)?.condition(kind))
    }

    /// The instance of a row in full.
    #[must_use]
    pub fn full(&self, index: u32) -> Option<InstanceFull> {
        let row = self.row(index)?;
        let gateway = self.gateways[row.gateway as usize].as_ref()?;
        let agent = self.agents.get(&gateway.record.gateway.agent)?;
        let name = gateway.record.gateway.instance(row.id.clone());
        let offline = match agent.presence {
            Presence::Offline(since) => Some(since),
            Presence::Online | Presence::Syncing | Presence::Lost(_) => None,
        };
        let conditions = ConditionKind::ALL
            .into_iter()
            .map(|kind| match offline {
                Some(since) => silent(row.condition(kind), since),
                None => row.condition(kind),
            })
            .collect();
        let on = |id: &&OrderId| {
            self.orders.get(*id).is_some_and(|o| match &o.proposal.target {
                Target::Gateway(_) => true,
                Target::Instance(i) => i.instance == row.id,
                Target::Session(_) => false,
            })
        };
        Some(InstanceFull {
            phase: self.phase(row),
            conditions,
            kind: gateway.record.kind,
            group: gateway.record.group.clone(),
            live_order: gateway.live.iter().rev().find(on).copied(),
            stale: !matches!(agent.presence, Presence::Online),
            revision: row.revision,
            name,
        })
    }

    /// An agent with its numbers.
    #[must_use]
    pub fn agent_view(&self, agent: &Agent) -> AgentView {
        AgentView {
            record: agent.record.clone(),
            presence: agent.presence,
            gateways: agent.gateways.len(),
            instances: self.gateways_of(agent).map(|g| g.instances.len()).sum(),
        }
    }

    /// A gateway with its numbers.
    #[must_use]
    pub fn summary(&self, gateway: &Gateway) -> GatewaySummary {
        let mut out = GatewaySummary {
            record: gateway.record.clone(),
            instances: gateway.instances.len(),
            healthy: 0,
            sick: 0,
        };
        for row in gateway.instances.values().filter_map(|i| self.row(*i)) {
            match self.phase(row) {
                Phase::Healthy => out.healthy += 1,
                Phase::Unknown => {}
                Phase::Degraded | Phase::Flapping | Phase::Down | Phase::NeedsHuman => out.sick += 1,
            }
        }
        out
    }

    /// What the planner needs of a gateway. `None` for one that is gone or of a kind unknown here.
    #[must_use]
    pub fn gateway_view(&self, gateway: &GatewayRef) -> Option<GatewayView> {
        let g = self.gateway(gateway)?;
        let agent = self.agents.get(&gateway.agent)?;
        Some(GatewayView {
            gateway: gateway.clone(),
            kind: g.record.kind?,
            group: g.record.group.clone(),
            incarnation: g.record.incarnation,
            abilities: g.record.abilities,
            agent_online: agent.presence == Presence::Online,
            instances: g
                .instances
                .iter()
                .filter_map(|(id, i)| self.row(*i).map(|row| (id, row)))
                .map(|(id, row)| InstanceView {
                    instance: id.clone(),
                    phase: self.phase(row),
                    sickness: row.sickness(),
                    flapping: row.status(ConditionKind::Stable) == Status::False,
                })
                .collect(),
        })
    }

    /// Targets under a gateway that have a live order.
    #[must_use]
    pub fn live_targets(&self, gateway: &GatewayRef) -> Vec<Target> {
        let Some(g) = self.gateway(gateway) else { return Vec::new() };
        g.live.iter().filter_map(|id| self.orders.get(id)).map(|o| o.proposal.target.clone()).collect()
    }

    /// What the gates need to know from memory about a group and a target. Warming up is the caller's to add.
    #[must_use]
    pub fn belief(&self, group: &PolicyId, target: &Target, action: Action) -> Belief {
        let tally = self.tally(group);
        let mut belief = Belief {
            group_instances: tally.instances,
            group_gateways: tally.known,
            group_sick_gateways: tally.sick,
            storm_seen_at: self.storm_seen(group),
            ..Belief::default()
        };
        if let Some(g) = self.gateway(target.gateway()) {
            belief.configured = g.record.abilities.can(action);
            belief.agent_online =
                self.agents.get(&target.gateway().agent).is_some_and(|a| a.presence == Presence::Online);
        }
        belief
    }

    /// Whether a group is above its policy's storm threshold right now.
    #[must_use]
    pub fn stormy(belief: &Belief, policy: &Policy) -> bool {
        let storm = &policy.storm;
        is_storm(storm.percent, storm.at_least, belief.group_sick_gateways, belief.group_gateways)
    }

    /// What verifies an order on a target: the condition's status and since when, by the agent's clock. A gateway
    /// counts as True when none of its instances is False and at least one is True, since the latest of those.
    #[must_use]
    pub fn seen(&self, target: &Target, condition: ConditionKind) -> Option<(Status, Timestamp)> {
        let rows: Vec<&Row> = match target {
            Target::Instance(i) => self.row_index(i).and_then(|i| self.row(i)).into_iter().collect(),
            Target::Gateway(g) => self.gateway(g)?.instances.values().filter_map(|i| self.row(*i)).collect(),
            // No condition tells of a session: its orders are proven by their receipts.
            Target::Session(_) => return None,
        };
        let mut seen: Option<Timestamp> = None;
        for row in rows {
            match row.status(condition) {
                Status::False => return Some((Status::False, row.since(condition))),
                Status::Unknown => {}
                Status::True => {
                    let since = row.since(condition);
                    seen = Some(seen.map_or(since, |s: Timestamp| s.max(since)));
                }
            }
        }
        seen.map(|since| (Status::True, since))
    }

    /// Whether nothing about the target is False any more, and something is True.
    #[must_use]
    pub fn recovered(&self, target: &Target) -> bool {
        let well =
            |row: &Row| row.sickness().is_none() && row.status(ConditionKind::Reachable) == Status::True;
        match target {
            Target::Instance(i) => self.row_index(i).and_then(|i| self.row(i)).is_some_and(well),
            Target::Gateway(g) => self.gateway(g).is_some_and(|g| {
                !g.instances.is_empty() && g.instances.values().filter_map(|i| self.row(*i)).all(well)
            }),
            Target::Session(_) => false,
        }
    }

    /// The instances in the order of their names, from after `after`.
    pub fn instances_after<'a>(
        &'a self,
        after: Option<&'a InstanceRef>,
    ) -> impl Iterator<Item = (&'a Gateway, &'a InstanceId, u32)> + 'a {
        let from = after.map(|a| &a.gateway.agent);
        self.agents
            .iter()
            .filter(move |(id, _)| from.is_none_or(|f| *id >= f))
            .flat_map(|(_, agent)| self.gateways_of(agent))
            .flat_map(|g| g.instances.iter().map(move |(id, row)| (g, id, *row)))
            .filter(move |(g, id, _)| {
                after.is_none_or(|a| {
                    (&g.record.gateway.agent, &g.record.gateway.gateway, *id)
                        > (&a.gateway.agent, &a.gateway.gateway, &a.instance)
                })
            })
    }

    /// The fleet in a few numbers.
    #[must_use]
    pub fn counts(&self) -> FleetCounts {
        let mut out = FleetCounts {
            agents: self.agents.len(),
            agents_online: self.agents.values().filter(|a| a.presence == Presence::Online).count(),
            gateways: self.gateways.iter().flatten().count(),
            live_orders: self.orders.values().filter(|o| !o.state.ended()).count(),
            ..FleetCounts::default()
        };
        for row in self.rows.iter().flatten() {
            out.instances += 1;
            *out.phases.entry(self.phase(row)).or_default() += 1;
        }
        out
    }

    /// Gateways of which an instance is sick by what the agent last said.
    #[must_use]
    pub fn sick_gateways(&self) -> Vec<GatewayRef> {
        let sick =
            |g: &&Gateway| g.instances.values().filter_map(|i| self.row(*i)).any(|r| r.sickness().is_some());
        self.gateways.iter().flatten().filter(sick).map(|g| g.record.gateway.clone()).collect()
    }

    /// Every group with at least one gateway.
    #[must_use]
    pub fn groups(&self) -> std::collections::BTreeSet<PolicyId> {
        self.gateways.iter().flatten().map(|g| g.record.group.clone()).collect()
    }
}

/// What an offline agent's condition reads as.
fn silent(condition: Condition, since: Timestamp) -> Condition {
    let last = format!("last known: {}", condition.status);
    Condition {
        status: Status::Unknown,
        cause: Some(Cause::AgentSilent),
        message: format!("the agent is silent; {last}"),
        evidence: vec![("last_status".to_owned(), condition.status.name().to_owned())],
        since,
        ..condition
    }
}
