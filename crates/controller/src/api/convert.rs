//! Resources put together from the belief and the store.

use mooring_core::id::AgentId;
use mooring_core::order::Action;
use mooring_proto::operator::{self, condition, evidence, order_name, phase, status};
use mooring_proto::{timestamp, v1};
use mooring_store::{EventKind, EventRecord};

use crate::fleet::{AgentView, GatewaySummary, InstanceFull, Presence};

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The resource name of an agent.
pub fn agent_name(id: &AgentId) -> String {
    format!("agents/{id}")
}

/// Whether an agent is attached.
pub fn agent_state(presence: Presence) -> v1::AgentState {
    match presence {
        Presence::Online => v1::AgentState::Online,
        Presence::Syncing => v1::AgentState::Syncing,
        Presence::Lost(_) => v1::AgentState::Lost,
        Presence::Offline(_) => v1::AgentState::Offline,
    }
}

/// An agent.
pub fn agent(view: &AgentView) -> v1::Agent {
    let r = &view.record;
    v1::Agent {
        name: agent_name(&r.id),
        state: agent_state(view.presence).into(),
        node: r.node.clone(),
        version: r.version.clone(),
        boot_id: r.boot.0.to_string(),
        attach_time: Some(timestamp(r.attached_at)),
        last_seen_time: Some(timestamp(r.last_seen)),
        gateway_count: count(view.gateways),
        instance_count: count(view.instances),
    }
}

/// A gateway.
pub fn gateway(summary: &GatewaySummary) -> v1::Gateway {
    let r = &summary.record;
    let can = Action::ALL.iter().filter(|a| r.abilities.can(**a));
    v1::Gateway {
        name: r.gateway.to_string(),
        kind: r.kind.map_or_else(String::new, |k| k.name().to_owned()),
        address: r.address.clone(),
        group: r.group.to_string(),
        labels: r.labels.clone(),
        actions: can.map(|a| operator::action(*a).into()).collect(),
        incarnation: r.incarnation.map(|i| i.0.to_string()),
        instance_count: count(summary.instances),
        healthy_count: count(summary.healthy),
        sick_count: count(summary.sick),
        watch: r.watch.iter().map(|source| source.name().to_owned()).collect(),
    }
}

/// An instance. `away`: the database is, so that what is shown may be out of date.
pub fn instance(full: &InstanceFull, away: bool) -> v1::Instance {
    v1::Instance {
        name: full.name.to_string(),
        phase: phase(full.phase).into(),
        conditions: full.conditions.iter().map(condition).collect(),
        kind: full.kind.map_or_else(String::new, |k| k.name().to_owned()),
        group: full.group.to_string(),
        live_order: full.live_order.map_or_else(String::new, order_name),
        stale: full.stale || away,
        etag: operator::etag(full.revision),
    }
}

/// What kind of thing happened.
pub fn event_type(kind: EventKind) -> v1::EventType {
    match kind {
        EventKind::Condition => v1::EventType::Condition,
        EventKind::Order => v1::EventType::Order,
        EventKind::Refusal => v1::EventType::Refusal,
        EventKind::Agent => v1::EventType::Agent,
        EventKind::Pause => v1::EventType::Pause,
        EventKind::Policy => v1::EventType::Policy,
        EventKind::Human => v1::EventType::Human,
    }
}

/// An event.
pub fn event(record: &EventRecord) -> v1::Event {
    let e = &record.event;
    let answer = e.condition.map_or(v1::ConditionStatus::Unspecified, |(_, s)| status(s));
    v1::Event {
        name: format!("events/{}", record.number),
        create_time: Some(timestamp(e.at)),
        r#type: event_type(e.kind).into(),
        subject: e.subject.clone(),
        message: e.message.clone(),
        condition: e.condition.map_or_else(String::new, |(kind, _)| kind.name().to_owned()),
        status: answer.into(),
        cause: e.cause.map_or_else(String::new, |c| c.name().to_owned()),
        evidence: evidence(&e.evidence),
        trace_id: e.trace_id.clone().unwrap_or_default(),
    }
}
