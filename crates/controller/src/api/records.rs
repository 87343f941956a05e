//! What filters see of each kind of resource. Values are taken one by one as a comparison asks for them, so that a
//! filter over a hundred thousand instances builds none of those that do not match.

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{GatewayRef, InstanceId};
use mooring_core::order::Order;
use mooring_core::session::SessionView;
use mooring_core::time::Timestamp;
use mooring_proto::operator::order_name;
use mooring_store::{CloseRecord, EventKind, EventRecord};

use super::convert::agent_name;
use super::filter::{Record, Value};
use crate::fleet::{AgentView, Gateway, GatewaySummary, Presence, Row, State};

/// An instance where it lies.
pub struct InstanceRow<'a> {
    /// The belief.
    pub state: &'a State,
    /// Its gateway.
    pub gateway: &'a Gateway,
    /// Its row.
    pub row: &'a Row,
    /// The row's index.
    pub index: u32,
    /// Whether the database is away.
    pub away: bool,
}

impl InstanceRow<'_> {
    fn presence(&self) -> Option<Presence> {
        self.state.agent(&self.gateway.record.gateway.agent).map(|a| a.presence)
    }

    fn silent(&self) -> bool {
        matches!(self.presence(), None | Some(Presence::Offline(_)))
    }

    fn status(&self, kind: ConditionKind) -> Value<'_> {
        let status = if self.silent() { Status::Unknown } else { self.row.status(kind) };
        Value::text(status.name())
    }

    fn causes(&self) -> Value<'_> {
        if self.silent() {
            return Value::Texts(vec![Cause::AgentSilent.name().into()]);
        }
        let causes = ConditionKind::ALL.into_iter().filter(|k| self.row.status(*k) != Status::True);
        Value::Texts(causes.filter_map(|k| self.row.cause(k)).map(|c| c.name().into()).collect())
    }

    fn id(&self) -> &InstanceId {
        &self.row.id
    }
}

impl Record for InstanceRow<'_> {
    fn value(&self, field: &'static str, key: Option<&str>) -> Value<'_> {
        let record = &self.gateway.record;
        match field {
            "name" => Value::text(format!("{}/instances/{}", record.gateway, self.id())),
            "agent" => Value::text(record.gateway.agent.as_str()),
            "gateway" => Value::text(record.gateway.gateway.as_str()),
            "instance" => Value::text(self.id().as_str()),
            "phase" => Value::text(self.state.phase(self.row).name()),
            "cause" => self.causes(),
            "kind" => record.kind.map_or(Value::Absent, |k| Value::text(k.name())),
            "group" => Value::text(record.group.as_str()),
            "labels" => labels(&record.labels, key),
            "live_order" if self.gateway.live.is_empty() => Value::Absent,
            "live_order" => match self.state.full(self.index).and_then(|f| f.live_order) {
                Some(id) => Value::text(order_name(id)),
                None => Value::Absent,
            },
            "stale" => Value::Bool(self.away || self.presence() != Some(Presence::Online)),
            "reachable" => self.status(ConditionKind::Reachable),
            "beating" => self.status(ConditionKind::Beating),
            "linked" => self.status(ConditionKind::Linked),
            "delivering" => self.status(ConditionKind::Delivering),
            "stable" => self.status(ConditionKind::Stable),
            _ => Value::Absent,
        }
    }
}

fn labels<'a>(labels: &'a std::collections::BTreeMap<String, String>, key: Option<&str>) -> Value<'a> {
    match key {
        None => Value::Map(labels),
        Some(key) => labels.get(key).map_or(Value::Absent, |v| Value::text(v.as_str())),
    }
}

impl Record for AgentView {
    fn value(&self, field: &'static str, _key: Option<&str>) -> Value<'_> {
        match field {
            "name" => Value::text(agent_name(&self.record.id)),
            "agent" => Value::text(self.record.id.as_str()),
            "state" => Value::text(match self.presence {
                Presence::Online => "online",
                Presence::Syncing => "syncing",
                Presence::Lost(_) => "lost",
                Presence::Offline(_) => "offline",
            }),
            "node" => Value::text(self.record.node.as_str()),
            "version" => Value::text(self.record.version.as_str()),
            "attach_time" => Value::Time(self.record.attached_at),
            "last_seen_time" => Value::Time(self.record.last_seen),
            "gateway_count" => Value::count(self.gateways),
            "instance_count" => Value::count(self.instances),
            _ => Value::Absent,
        }
    }
}

impl Record for GatewaySummary {
    fn value(&self, field: &'static str, key: Option<&str>) -> Value<'_> {
        let r = &self.record;
        match field {
            "name" => Value::text(r.gateway.to_string()),
            "agent" => Value::text(r.gateway.agent.as_str()),
            "gateway" => Value::text(r.gateway.gateway.as_str()),
            "kind" => r.kind.map_or(Value::Absent, |k| Value::text(k.name())),
            "group" => Value::text(r.group.as_str()),
            "labels" => labels(&r.labels, key),
            "address" => Value::text(r.address.as_str()),
            "watch" => Value::Texts(r.watch.iter().map(|source| source.name().into()).collect()),
            "instance_count" => Value::count(self.instances),
            "healthy_count" => Value::count(self.healthy),
            "sick_count" => Value::count(self.sick),
            _ => Value::Absent,
        }
    }
}

fn age(now: Timestamp, at: Timestamp) -> Value<'static> {
    Value::duration(now.since(at))
}

/// An order at a time.
pub struct OrderAt<'a>(pub &'a Order, pub Timestamp);

impl Record for OrderAt<'_> {
    fn value(&self, field: &'static str, _key: Option<&str>) -> Value<'_> {
        let Self(order, now) = self;
        let p = &order.proposal;
        match field {
            "name" => Value::text(order_name(order.id)),
            "target" => Value::text(p.target.to_string()),
            "action" => Value::text(p.action.name()),
            "state" => Value::text(order.state.name()),
            "requested_by" => Value::text(p.origin.to_string()),
            "cause" => p.cause.map_or(Value::Absent, |c| Value::text(c.name())),
            "reason" => Value::text(p.reason.as_str()),
            "fence" => Value::Number(i64::try_from(order.fence.0).unwrap_or(i64::MAX)),
            "create_time" => Value::Time(order.created_at),
            "end_time" => Value::time(order.ended_at),
            "age" => age(*now, order.created_at),
            _ => Value::Absent,
        }
    }
}

/// An event at a time.
pub struct EventAt<'a>(pub &'a EventRecord, pub Timestamp);

impl Record for EventAt<'_> {
    fn value(&self, field: &'static str, _key: Option<&str>) -> Value<'_> {
        let Self(record, now) = self;
        let e = &record.event;
        match field {
            "subject" => Value::text(e.subject.as_str()),
            "type" => Value::text(match e.kind {
                EventKind::Condition => "condition",
                EventKind::Order => "order",
                EventKind::Refusal => "refusal",
                EventKind::Agent => "agent",
                EventKind::Pause => "pause",
                EventKind::Policy => "policy",
                EventKind::Human => "human",
            }),
            "cause" => e.cause.map_or(Value::Absent, |c| Value::text(c.name())),
            "message" => Value::text(e.message.as_str()),
            "create_time" => Value::Time(e.at),
            "age" => age(*now, e.at),
            _ => Value::Absent,
        }
    }
}

/// A session of a gateway.
pub struct SessionOf<'a>(pub &'a GatewayRef, pub &'a SessionView);

impl Record for SessionOf<'_> {
    fn value(&self, field: &'static str, _key: Option<&str>) -> Value<'_> {
        let Self(gateway, s) = self;
        let number =
            |n: Option<u64>| n.map_or(Value::Absent, |n| Value::Number(i64::try_from(n).unwrap_or(i64::MAX)));
        let time = |d: Option<std::time::Duration>| d.map_or(Value::Absent, Value::duration);
        match field {
            "name" => Value::text(gateway.session(s.id.clone()).to_string()),
            "agent" => Value::text(gateway.agent.as_str()),
            "gateway" => Value::text(gateway.gateway.as_str()),
            "session" => Value::text(s.id.as_str()),
            "instance" => s.instance.as_ref().map_or(Value::Absent, |i| Value::text(i.as_str())),
            "source" => Value::text(s.source.name()),
            "state" => Value::text(s.state.name()),
            "peer" => Value::text(s.peer.as_str()),
            "local" => Value::text(s.local.as_str()),
            "cause" => s.cause.map_or(Value::Absent, |c| Value::text(c.name())),
            "message" => Value::text(s.message.as_str()),
            "protocol" => Value::text(s.protocol.as_str()),
            "silent" => Value::duration(s.silent()),
            "age" => Value::duration(s.age),
            "age_at_least" => Value::Bool(s.age_at_least),
            "rtt" => time(s.rtt),
            "beat" => time(s.beat),
            "retransmits" => number(s.retransmits),
            "received.bytes" => number(s.received.bytes),
            "received.messages" => number(s.received.messages),
            "received.silent" => time(s.received.silent),
            "received.queued" => number(s.received.queued),
            "sent.bytes" => number(s.sent.bytes),
            "sent.messages" => number(s.sent.messages),
            "sent.silent" => time(s.sent.silent),
            "sent.queued" => number(s.sent.queued),
            _ => Value::Absent,
        }
    }
}

impl Record for CloseRecord {
    fn value(&self, field: &'static str, _key: Option<&str>) -> Value<'_> {
        let c = &self.close;
        match field {
            "agent" => Value::text(self.gateway.agent.as_str()),
            "gateway" => Value::text(self.gateway.gateway.as_str()),
            "session" => Value::text(c.id.as_str()),
            "instance" => c.instance.as_ref().map_or(Value::Absent, |i| Value::text(i.as_str())),
            "source" => Value::text(c.source.name()),
            "peer" => Value::text(c.peer.as_str()),
            "time" => Value::Time(c.at),
            "age" => Value::duration(c.age),
            "silent_for" => Value::duration(c.silent_for),
            "ended_by" => Value::text(c.by.name()),
            "code" => c.code.map_or(Value::Absent, |code| Value::Number(i64::from(code))),
            "cause" => c.cause.map_or(Value::Absent, |cause| Value::text(cause.name())),
            "message" => Value::text(c.message.as_str()),
            _ => Value::Absent,
        }
    }
}
