//! Names, times and records for the checks, and an agent that reports.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::gate::{Belief, Gate, Verdict};
use mooring_core::id::{AgentId, BootId, GatewayRef, Incarnation, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::kind::Kind;
use mooring_core::order::{Action, Order, Origin, Proposal, State};
use mooring_core::planner::{Abilities, Case};
use mooring_core::policy::{Budget, Policy};
use mooring_core::session::{EndedBy, SessionClose, SessionCounts, Source};
use mooring_core::time::Timestamp;
use uuid::Uuid;

use crate::{
    Admission, Ask, Attach, Changes, Committed, CountsRecord, Delta, EventKind, EventRecord, GatewayRecord,
    InstanceRecord, NewClose, NewEvent, OrderWrite, Store, StoreError,
};

/// The answer, or a panic at the caller's line.
#[track_caller]
pub fn must<T>(answer: Result<T, StoreError>) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("the store answered: {error}"),
    }
}

/// A time, in seconds of the check; with odd microseconds, as these must be kept.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(1_790_000_000_123_457 + seconds * 1_000_000)
}

pub fn agent(id: &str) -> AgentId {
    AgentId::new(id).expect("a sound name")
}

pub fn group(id: &str) -> PolicyId {
    PolicyId::new(id).expect("a sound name")
}

/// `a/g` is a gateway, `a/g/i` an instance, `a/g/+s` a session.
pub fn target(short: &str) -> Target {
    let parts: Vec<&str> = short.split('/').collect();
    let name = match parts.as_slice() {
        [a, g] => format!("agents/{a}/gateways/{g}"),
        [a, g, s] if s.starts_with('+') => format!("agents/{a}/gateways/{g}/sessions/{}", &s[1..]),
        [a, g, i] => format!("agents/{a}/gateways/{g}/instances/{i}"),
        _ => panic!("`{short}` is neither a/g nor a/g/i"),
    };
    name.parse().expect("a sound name")
}

pub fn gateway(short: &str) -> GatewayRef {
    target(short).gateway().clone()
}

pub fn instance(short: &str) -> InstanceRef {
    target(short).instance().expect("a/g/i").clone()
}

pub fn gateway_record(short: &str) -> GatewayRecord {
    GatewayRecord {
        gateway: gateway(short),
        handle: 7,
        kind: Some(Kind::Websocket),
        address: "ws://127.0.0.1:1/".to_owned(),
        group: group("lines"),
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        abilities: Abilities {
            reconnect: true,
            restart_instance: true,
            restart_gateway: true,
            ..Abilities::default()
        },
        incarnation: Some(Incarnation(3)),
        watch: vec![Source::Canary, Source::Relay],
    }
}

pub fn instance_record(short: &str) -> InstanceRecord {
    InstanceRecord { instance: instance(short), handle: 8 }
}

pub fn condition(kind: ConditionKind, status: Status, seconds: i64) -> Condition {
    let bad = status != Status::True;
    Condition {
        kind,
        status,
        cause: bad.then_some(Cause::ConnectionRefused),
        message: if bad { "connection refused".to_owned() } else { String::new() },
        evidence: vec![("port".to_owned(), "8080".to_owned()), ("port".to_owned(), "8081".to_owned())],
        since: at(seconds),
    }
}

pub fn event(subject: &str, message: &str, seconds: i64) -> NewEvent {
    NewEvent {
        at: at(seconds),
        kind: EventKind::Condition,
        subject: subject.to_owned(),
        message: message.to_owned(),
        condition: None,
        cause: None,
        evidence: Vec::new(),
        trace_id: None,
    }
}

/// An attached agent.
pub struct Reporter<'a> {
    pub store: &'a dyn Store,
    pub id: AgentId,
    pub boot: BootId,
    pub epoch: u64,
    pub sequence: u64,
}

impl<'a> Reporter<'a> {
    /// Attaches an agent with a boot of its own.
    pub async fn attach(store: &'a dyn Store, id: &str) -> Self {
        let boot = BootId(Uuid::from_u128(1));
        let mut this = Self { store, id: agent(id), boot, epoch: 0, sequence: 0 };
        this.attach_again(boot).await;
        this
    }

    /// Attaches again; the answer is where the boot can resume.
    pub async fn attach_again(&mut self, boot: BootId) -> Option<u64> {
        self.boot = boot;
        let attach = Attach {
            agent: self.id.clone(),
            boot,
            node: "node-1".to_owned(),
            version: "0.1.0".to_owned(),
            now: at(0),
        };
        let attached = must(self.store.attach(&attach).await);
        self.epoch = attached.epoch;
        attached.resume_after
    }

    /// The next report.
    pub fn delta(&mut self, changes: Changes) -> Delta {
        self.sequence += 1;
        Delta {
            agent: self.id.clone(),
            epoch: self.epoch,
            sequence: self.sequence,
            synced: None,
            changes,
            events: Vec::new(),
        }
    }

    /// Reports, and sees that it is durable.
    pub async fn report(&mut self, changes: Changes) {
        let delta = self.delta(changes);
        assert_eq!(must(self.store.commit(&[delta]).await), [Committed::Durable]);
    }

    /// Declares a gateway (`g`) with instances.
    pub async fn declare(&mut self, g: &str, instances: &[&str]) {
        let gateway = format!("{}/{g}", self.id);
        let changes = Changes {
            gateways: vec![gateway_record(&gateway)],
            instances: instances.iter().map(|i| instance_record(&format!("{gateway}/{i}"))).collect(),
            ..Changes::default()
        };
        self.report(changes).await;
    }
}

/// Numbers of a gateway's sessions, told at a time.
pub fn counts(short: &str, open: u64, seconds: i64) -> CountsRecord {
    let counts = SessionCounts {
        open,
        sick: 1,
        opened: open + 7,
        closed: 7,
        closed_by_cause: vec![(Cause::ConnectionRefused, 3), (Cause::SessionLost, 2)],
    };
    CountsRecord { gateway: gateway(short), counts, at: at(seconds) }
}

/// The end of a session at a time.
pub fn close(short: &str, session: &str, seconds: i64) -> NewClose {
    let close = SessionClose {
        id: session.parse().expect("a sound name"),
        source: Source::Relay,
        instance: None,
        peer: "192.0.2.7:50000".to_owned(),
        at: at(seconds),
        age: Duration::from_micros(61_000_001),
        silent_for: Duration::from_secs(60),
        by: EndedBy::Peer,
        code: Some(1006),
        cause: Some(Cause::SessionLost),
        message: "gone".to_owned(),
    };
    NewClose { gateway: gateway(short), close }
}

pub fn order_id(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

/// An ask to which every gate is open in a store without orders. Number, target, action.
pub fn ask(number: u128, short: &str, action: Action, seconds: i64) -> Ask {
    Ask {
        id: order_id(number),
        proposal: Proposal {
            target: target(short),
            action,
            origin: Origin::Operator("ann".to_owned()),
            cause: Some(Cause::ConnectionRefused),
            reason: "because".to_owned(),
            expect: ConditionKind::Reachable,
            spread: None,
            incarnation: Some(Incarnation(3)),
            request_id: None,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        },
        policy: Policy {
            cooldown: Duration::ZERO,
            budget: Budget { in_flight: 1000, in_flight_percent: 100, per_minute: 1000 },
            ..Policy::default()
        },
        group: group("lines"),
        belief: Belief {
            group_instances: 1000,
            group_gateways: 10,
            group_sick_gateways: 0,
            storm_seen_at: None,
            agent_online: true,
            configured: true,
            warming: None,
        },
        backoff_until: None,
        case: None,
        validate_only: false,
        now: at(seconds),
    }
}

/// Puts an ask to the gates and sees the order made.
pub async fn made(store: &dyn Store, ask: &Ask) -> Order {
    match must(store.admit(ask).await) {
        Admission::Made(order, verdicts) => {
            assert_eq!(verdicts.len(), Gate::ALL.len());
            *order
        }
        other => panic!("not made: {other:?}"),
    }
}

/// Puts an ask to the gates and sees it refused; the gates that are shut.
pub async fn shut(store: &dyn Store, ask: &Ask) -> Vec<Gate> {
    match must(store.admit(ask).await) {
        Admission::Shut(verdicts) => closed(&verdicts),
        other => panic!("not refused: {other:?}"),
    }
}

pub fn closed(verdicts: &[Verdict]) -> Vec<Gate> {
    verdicts.iter().filter(|v| !v.open).map(|v| v.gate).collect()
}

/// The write of the order's next state.
pub fn step(order: &Order, state: State, seconds: i64) -> OrderWrite {
    let mut next = order.clone();
    next.state = state;
    next.version += 1;
    next.ended_at = state.ended().then(|| at(seconds));
    OrderWrite { order: next, previous: order.version, events: Vec::new() }
}

/// Ends an order.
pub async fn end(store: &dyn Store, order: &Order, state: State, seconds: i64) -> Order {
    let write = step(order, state, seconds);
    assert_eq!(must(store.save_orders(std::slice::from_ref(&write)).await), [true]);
    write.order
}

pub fn case(short: &str, seconds: i64) -> Case {
    Case {
        target: target(short),
        cause: Cause::ConnectionRefused,
        opened_at: at(seconds),
        step: 1,
        tries: 2,
        attempts: 3,
        not_before: at(seconds + 5),
        healthy_since: Some(at(seconds + 1)),
        human_called_at: Some(at(seconds + 2)),
        last_order: Some(order_id(9)),
    }
}

/// Every event, oldest first.
pub async fn all_events(store: &dyn Store) -> Vec<EventRecord> {
    must(store.events_after(0, 100_000).await)
}
