//! The link: what is made of reports, and a session as an agent sees it over a loopback connection.

mod examinations;
mod peer;
mod questions;
mod reports;
mod sessions;
mod settling;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{AgentId, GatewayRef, InstanceRef};
use mooring_core::kind::Kind;
use mooring_core::planner::Abilities;
use mooring_core::time::Timestamp;
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::{ConditionChange, GatewayDecl, InstanceDecl, to_columns};

fn agent() -> AgentId {
    "a".parse().unwrap()
}

fn gateway(id: &str) -> GatewayRef {
    format!("agents/a/gateways/{id}").parse().unwrap()
}

/// `g/x` is an instance.
fn instance(name: &str) -> InstanceRef {
    let (g, i) = name.split_once('/').unwrap();
    gateway(g).instance(i.parse().unwrap())
}

fn report(sequence: u64) -> pb::Report {
    pb::Report { sequence, ..pb::Report::default() }
}

fn a_gateway(handle: u32, id: &str) -> pb::Gateway {
    let decl = GatewayDecl {
        handle,
        id: id.parse().unwrap(),
        kind: Some(Kind::Websocket),
        address: String::new(),
        group: "lines".parse().unwrap(),
        labels: [].into(),
        abilities: Abilities::default(),
        incarnation: None,
        watch: Vec::new(),
    };
    decl.to_pb()
}

fn an_instance(handle: u32, gateway: u32, id: &str) -> pb::Instance {
    InstanceDecl { handle, gateway, id: id.parse().unwrap() }.to_pb()
}

fn row(handle: u32, status: Status, cause: Option<Cause>, since: i64) -> ConditionChange {
    let kind = ConditionKind::Reachable;
    let message = String::new();
    let condition = Condition { kind, status, cause, message, evidence: Vec::new(), since: Timestamp(since) };
    ConditionChange { instance: handle, condition, traceparent: None }
}

fn rows(sequence: u64, rows: &[ConditionChange]) -> pb::Report {
    pb::Report { conditions: Some(to_columns(rows)), ..report(sequence) }
}

/// Everything there is, in one report: gateway `g` (handle 1) with `x` (2) and `y` (3).
fn everything(sequence: u64) -> pb::Report {
    pb::Report {
        snapshot_begin: true,
        snapshot_end: true,
        gateways: vec![a_gateway(1, "g")],
        instances: vec![an_instance(2, 1, "x"), an_instance(3, 1, "y")],
        conditions: Some(to_columns(&[row(2, Status::True, None, 10), row(3, Status::True, None, 10)])),
        ..report(sequence)
    }
}
