//! What a simulated agent watches, and how that is told.

use std::time::{SystemTime, UNIX_EPOCH};

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::time::Timestamp;
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::{ConditionChange, to_columns};

/// Instances told in one report of a snapshot: two rows each, far below the controller's limits.
const PART: u32 = 2_000;

/// How many gateways, and how many instances each.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Gateways, handles from 1.
    pub gateways: u32,
    /// Instances of each; handles from 1, gateway by gateway.
    pub instances: u32,
    /// The group of all of them.
    pub group: String,
}

impl Shape {
    /// In the group `default`.
    #[must_use]
    pub fn new(gateways: u32, instances: u32) -> Self {
        Self { gateways, instances, group: "default".to_owned() }
    }

    /// All instances.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.gateways * self.instances
    }

    /// Handle of the gateway of an instance.
    #[must_use]
    pub fn gateway_of(&self, instance: u32) -> u32 {
        (instance - 1) / self.instances + 1
    }

    /// Handles of the instances of a gateway.
    #[must_use]
    pub fn instances_of(&self, gateway: u32) -> std::ops::Range<u32> {
        let first = (gateway - 1) * self.instances + 1;
        first..first + self.instances
    }

    /// A gateway's id.
    #[must_use]
    pub fn gateway_id(gateway: u32) -> String {
        format!("gw-{gateway:05}")
    }

    /// An instance's id: as long as a telephone number is.
    #[must_use]
    pub fn instance_id(instance: u32) -> String {
        format!("in-{instance:010}")
    }

    /// The full name of an instance.
    #[must_use]
    pub fn instance_name(&self, agent: &str, instance: u32) -> String {
        let gateway = Self::gateway_id(self.gateway_of(instance));
        format!("agents/{agent}/gateways/{gateway}/instances/{}", Self::instance_id(instance))
    }

    /// The instances that a target's resource name means.
    #[must_use]
    pub fn meant(&self, target: &str) -> std::ops::Range<u32> {
        let number = |text: &str| text.rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let parts: Vec<&str> = target.split('/').collect();
        match parts.as_slice() {
            ["agents", _, "gateways", g] => self.instances_of(number(g)),
            ["agents", _, "gateways", _, "instances", i] => number(i)..number(i) + 1,
            _ => 0..0,
        }
    }

    /// A gateway as it is declared: everything can be done to it.
    #[must_use]
    pub fn gateway(&self, gateway: u32) -> pb::Gateway {
        pb::Gateway {
            handle: gateway,
            id: Self::gateway_id(gateway),
            kind: "websocket".to_owned(),
            address: "ws://127.0.0.1:9/ws".to_owned(),
            group: self.group.clone(),
            abilities: 7,
            ..Default::default()
        }
    }

    /// An instance as it is declared.
    #[must_use]
    pub fn instance(&self, instance: u32) -> pb::Instance {
        pb::Instance { handle: instance, gateway: self.gateway_of(instance), id: Self::instance_id(instance) }
    }

    /// Everything, in as many reports as it takes, without their numbers. Healthy but for what `sick` says.
    #[must_use]
    pub fn snapshot(&self, sick: &[ConditionChange]) -> Vec<pb::Report> {
        let at = now();
        let all: Vec<u32> = (1..=self.total()).collect();
        let parts: Vec<&[u32]> = if all.is_empty() { vec![&[]] } else { all.chunks(PART as usize).collect() };
        let last = parts.len() - 1;
        let report = |(n, part): (usize, &&[u32])| {
            let healthy = part.iter().flat_map(|i| {
                [ConditionKind::Reachable, ConditionKind::Beating]
                    .map(|k| condition(*i, k, Status::True, None, at))
            });
            let told: Vec<ConditionChange> = healthy
                .filter(|c| {
                    !sick.iter().any(|s| s.instance == c.instance && s.condition.kind == c.condition.kind)
                })
                .chain(sick.iter().filter(|s| part.contains(&s.instance)).cloned())
                .collect();
            pb::Report {
                snapshot_begin: n == 0,
                snapshot_end: n == last,
                gateways: if n == 0 {
                    (1..=self.gateways).map(|g| self.gateway(g)).collect()
                } else {
                    Vec::new()
                },
                instances: part.iter().map(|i| self.instance(*i)).collect(),
                conditions: Some(to_columns(&told)),
                ..Default::default()
            }
        };
        parts.iter().enumerate().map(report).collect()
    }
}

/// The present, by the wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// One condition of an instance.
#[must_use]
pub fn condition(
    instance: u32,
    kind: ConditionKind,
    status: Status,
    cause: Option<Cause>,
    since: Timestamp,
) -> ConditionChange {
    let condition = Condition { kind, status, cause, message: String::new(), evidence: Vec::new(), since };
    ConditionChange { instance, condition, traceparent: None }
}

/// An instance that is not reachable for a cause, from now on.
#[must_use]
pub fn sick(instance: u32, cause: Cause) -> ConditionChange {
    condition(instance, ConditionKind::Reachable, Status::False, Some(cause), now())
}

/// An instance that is reachable from now on.
#[must_use]
pub fn well(instance: u32) -> ConditionChange {
    condition(instance, ConditionKind::Reachable, Status::True, None, now())
}
