//! What the tests of this crate share: a moment, a look, and a few resources.

mod server;
pub(crate) mod sessions;

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use mooring_core::cause::Lang;
use mooring_core::time::Timestamp;
use mooring_proto::v1::{
    Condition, ConditionStatus, Evidence, Instance, Order, OrderAction, OrderState, Phase,
};

use crate::args::{Cli, Globals};
use crate::show::Look;

/// 2025-01-01T12:34:56Z.
pub(crate) const NOW: Timestamp = Timestamp(1_735_734_896_000_000);

/// So many seconds before [`NOW`].
pub(crate) fn ago(seconds: i64) -> prost_types::Timestamp {
    mooring_proto::timestamp(Timestamp(NOW.0 - seconds * 1_000_000))
}

/// Plain, as wide as it takes.
pub(crate) fn look(lang: Lang) -> Look {
    Look { lang, color: false, width: None, wide: false, now: NOW }
}

/// Global arguments as the command line would give them.
pub(crate) fn globals(arguments: &[&str]) -> Globals {
    let line = ["mooring"].iter().chain(arguments).chain(&["version"]);
    Cli::try_parse_from(line).unwrap().globals
}

fn condition(kind: &str, status: ConditionStatus, since: i64) -> Condition {
    Condition {
        r#type: kind.to_owned(),
        status: status.into(),
        since_time: Some(ago(since)),
        ..Condition::default()
    }
}

/// An instance that is well.
pub(crate) fn healthy(agent: &str, gateway: &str, instance: &str) -> Instance {
    Instance {
        name: format!("agents/{agent}/gateways/{gateway}/instances/{instance}"),
        phase: Phase::Healthy.into(),
        conditions: vec![
            condition("Reachable", ConditionStatus::True, 120),
            condition("Beating", ConditionStatus::True, 120),
        ],
        kind: "websocket".to_owned(),
        group: "default".to_owned(),
        etag: "1".to_owned(),
        ..Instance::default()
    }
}

/// An instance that is down, with a cause and an order on it.
pub(crate) fn sick(agent: &str, gateway: &str, instance: &str) -> Instance {
    let mut sick = healthy(agent, gateway, instance);
    sick.set_phase(Phase::Down);
    sick.live_order = "orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901".to_owned();
    sick.conditions[0] = Condition {
        cause: "ConnectionRefused".to_owned(),
        message: "nothing listens on 127.0.0.1:7652".to_owned(),
        evidence: vec![Evidence { key: "errno".to_owned(), value: "111".to_owned() }],
        ..condition("Reachable", ConditionStatus::False, 12)
    };
    sick
}

/// A restart of a gateway, in this state.
pub(crate) fn order(state: OrderState) -> Order {
    let outcome = if state == OrderState::Succeeded { "Reachable was seen after 2s" } else { "" };
    Order {
        name: "orders/0192f6c4-7f1e-7cc3-98a1-4fd3a6b2c901".to_owned(),
        target: "agents/h/gateways/moody".to_owned(),
        action: OrderAction::RestartGateway.into(),
        state: state.into(),
        requested_by: "planner".to_owned(),
        cause: "ConnectionRefused".to_owned(),
        reason: "ConnectionRefused for 4s".to_owned(),
        fence: 3,
        create_time: Some(ago(30)),
        outcome: outcome.to_owned(),
        ..Order::default()
    }
}

/// Bytes written, for a look afterwards.
#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// What was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
