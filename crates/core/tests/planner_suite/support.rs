//! What the planner's tests share: short ways to say who is sick of what.

use std::time::Duration;

use mooring_core::cause::{Cause, Handling};
use mooring_core::condition::ConditionKind;
use mooring_core::id::{GatewayRef, InstanceId, PolicyId, Target};
use mooring_core::kind::Kind;
use mooring_core::phase::Phase;
use mooring_core::planner::{Abilities, GatewayView, InstanceView, Sickness};
use mooring_core::time::Timestamp;

pub const T0: Timestamp = Timestamp(1_700_000_000_000_000);
pub const KIND: Kind = Kind::Websocket;
pub const ALL_ABLE: Abilities = Abilities {
    reconnect: true,
    restart_instance: true,
    restart_gateway: true,
    close_session: true,
    close_sessions: true,
    drain: true,
};

pub fn at(secs: u64) -> Timestamp {
    T0.after(Duration::from_secs(secs))
}

pub fn gateway_ref() -> GatewayRef {
    "agents/a/gateways/g".parse().expect("a name")
}

pub fn gateway() -> Target {
    Target::Gateway(gateway_ref())
}

pub fn instance(n: usize) -> Target {
    Target::Instance(gateway_ref().instance(instance_id(n)))
}

pub fn instance_id(n: usize) -> InstanceId {
    InstanceId::new(format!("i{n:04}")).expect("a name")
}

/// An instance, well or sick since a time.
pub fn one(n: usize, sick: Option<(Cause, Timestamp)>) -> InstanceView {
    let phase = match sick.map(|(c, _)| c.handling()) {
        None => Phase::Healthy,
        Some(Handling::Human) => Phase::NeedsHuman,
        Some(_) => Phase::Down,
    };
    let sickness = sick.map(|(cause, since)| Sickness {
        condition: if cause == Cause::HeartbeatMissed {
            ConditionKind::Beating
        } else {
            ConditionKind::Reachable
        },
        cause,
        message: format!("message of {n}"),
        since,
    });
    InstanceView { instance: instance_id(n), phase, sickness, flapping: false }
}

pub fn view(instances: Vec<InstanceView>) -> GatewayView {
    GatewayView {
        gateway: gateway_ref(),
        kind: KIND,
        group: PolicyId::new("default").expect("a name"),
        incarnation: None,
        abilities: ALL_ABLE,
        agent_online: true,
        instances,
    }
}
