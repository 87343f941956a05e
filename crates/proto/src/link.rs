//! Conversions of the agent link.
//!
//! Outward (`to_*`) they cannot fail. Inward they check everything: an agent is a peer, and what it says ends up in
//! tables, metrics and other people's terminals.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{Fence, GatewayId, Incarnation, InstanceId, OrderId, PolicyId, Target};
use mooring_core::kind::Kind;
use mooring_core::limits::{
    MAX_EVIDENCE, MAX_EVIDENCE_KEY, MAX_EVIDENCE_VALUE, MAX_LABEL, MAX_LABELS, MAX_MESSAGE, MAX_OUTPUT_TAIL,
    clip,
};
use mooring_core::order::{Action, Receipt, Stage};
use mooring_core::planner::Abilities;
use mooring_core::session::Source;
use mooring_core::time::Timestamp;
use uuid::Uuid;

use crate::agent_v1 as pb;
use crate::{Invalid, duration, duration_from, timestamp, timestamp_from};

/// A gateway as the agent declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayDecl {
    /// Its number in this boot.
    pub handle: u32,
    /// Its id.
    pub id: GatewayId,
    /// Its kind; `None` when it is not known to this version.
    pub kind: Option<Kind>,
    /// Where it is, without secrets.
    pub address: String,
    /// Its group.
    pub group: PolicyId,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What can be done to it.
    pub abilities: Abilities,
    /// The current run of its process.
    pub incarnation: Option<Incarnation>,
    /// How it is watched; ways that are not known to this version are left out.
    pub watch: Vec<Source>,
}

impl GatewayDecl {
    /// For the wire.
    #[must_use]
    pub fn to_pb(&self) -> pb::Gateway {
        pb::Gateway {
            handle: self.handle,
            id: self.id.to_string(),
            kind: self.kind.map_or_else(String::new, |k| k.name().to_owned()),
            address: self.address.clone(),
            group: self.group.to_string(),
            labels: self.labels.clone(),
            abilities: u32::from(self.abilities.bits()),
            incarnation: self.incarnation.map_or(0, |i| i.0),
            watch: self.watch.iter().map(|source| source.name().to_owned()).collect(),
        }
    }

    /// From the wire.
    ///
    /// # Errors
    /// When an id, group or label is malformed or too long.
    pub fn from_pb(g: pb::Gateway) -> Result<Self, Invalid> {
        if g.labels.len() > MAX_LABELS {
            return Err(Invalid::new(
                "gateways.labels",
                format!("{} labels, at most {MAX_LABELS}", g.labels.len()),
            ));
        }
        if g.labels.iter().any(|(k, v)| k.is_empty() || k.len() > MAX_LABEL || v.len() > MAX_LABEL) {
            return Err(Invalid::new(
                "gateways.labels",
                format!("keys and values have 1 to {MAX_LABEL} bytes"),
            ));
        }
        Ok(Self {
            handle: g.handle,
            id: GatewayId::new(&g.id).map_err(|e| Invalid::new("gateways.id", e))?,
            kind: g.kind.parse().ok(),
            address: printable(&clip(&g.address, MAX_MESSAGE)),
            group: PolicyId::new(if g.group.is_empty() { "default" } else { &g.group })
                .map_err(|e| Invalid::new("gateways.group", e))?,
            labels: g.labels.into_iter().map(|(k, v)| (printable(&k), printable(&v))).collect(),
            abilities: Abilities::from_bits(u8::try_from(g.abilities & 0xff).unwrap_or(0)),
            incarnation: (g.incarnation != 0).then_some(Incarnation(g.incarnation)),
            watch: g.watch.iter().take(Source::ALL.len()).filter_map(|name| name.parse().ok()).collect(),
        })
    }
}

/// An instance as the agent declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceDecl {
    /// Its number in this boot.
    pub handle: u32,
    /// Its gateway's number.
    pub gateway: u32,
    /// Its id.
    pub id: InstanceId,
}

impl InstanceDecl {
    /// For the wire.
    #[must_use]
    pub fn to_pb(&self) -> pb::Instance {
        pb::Instance { handle: self.handle, gateway: self.gateway, id: self.id.to_string() }
    }

    /// From the wire.
    ///
    /// # Errors
    /// When the id is malformed.
    pub fn from_pb(i: &pb::Instance) -> Result<Self, Invalid> {
        let id = InstanceId::new(&i.id).map_err(|e| Invalid::new("instances.id", e))?;
        Ok(Self { handle: i.handle, gateway: i.gateway, id })
    }
}

/// One condition change with the handle of its instance and the trace context of the observation behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionChange {
    /// The instance's number in this boot.
    pub instance: u32,
    /// The condition as it is now.
    pub condition: Condition,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// Packs condition changes into columns.
#[must_use]
pub fn to_columns(changes: &[ConditionChange]) -> pb::ConditionChanges {
    let base = changes.iter().map(|c| c.condition.since).min().unwrap_or_default();
    let mut out = pb::ConditionChanges { base_time: Some(timestamp(base)), ..Default::default() };
    for (row, change) in changes.iter().enumerate() {
        let c = &change.condition;
        out.instance.push(change.instance);
        out.condition_status
            .push(4 * u32::try_from(c.kind.index()).unwrap_or(0) + u32::from(c.status.code()));
        out.cause.push(c.cause.map_or(0, |c| u32::from(c.code())));
        out.since_offset_us.push(c.since.0 - base.0);
        if !c.message.is_empty() || !c.evidence.is_empty() || change.traceparent.is_some() {
            out.details.push(pb::Detail {
                row: u32::try_from(row).unwrap_or(u32::MAX),
                message: c.message.clone(),
                evidence: c
                    .evidence
                    .iter()
                    .map(|(k, v)| pb::Evidence { key: k.clone(), value: v.clone() })
                    .collect(),
                traceparent: change.traceparent.clone().unwrap_or_default(),
            });
        }
    }
    out
}

/// Unpacks columns. Text is clipped to its bounds and stripped of control characters rather than refused: evidence
/// often quotes what a gateway sent.
///
/// # Errors
/// When the columns differ in length, or a code is not one.
pub fn from_columns(columns: pb::ConditionChanges) -> Result<Vec<ConditionChange>, Invalid> {
    let rows = columns.instance.len();
    for (name, len) in [
        ("condition_status", columns.condition_status.len()),
        ("cause", columns.cause.len()),
        ("since_offset_us", columns.since_offset_us.len()),
    ] {
        if len != rows {
            return Err(Invalid::new(
                format!("conditions.{name}"),
                format!("has {len} rows where instance has {rows}"),
            ));
        }
    }
    let base = columns
        .base_time
        .as_ref()
        .map_or(Some(Timestamp(0)), timestamp_from)
        .ok_or_else(|| Invalid::new("conditions.base_time", "is not a valid time"))?;
    let mut out = Vec::with_capacity(rows);
    for row in 0..rows {
        let packed = columns.condition_status[row];
        let bad = || {
            Invalid::new("conditions.condition_status", format!("{packed} is not a condition and a status"))
        };
        let kind = ConditionKind::from_index((packed / 4) as usize).ok_or_else(bad)?;
        let status = u8::try_from(packed % 4).ok().and_then(Status::from_code).ok_or_else(bad)?;
        let cause = match columns.cause[row] {
            0 => None,
            code => Some(u16::try_from(code).ok().and_then(Cause::from_code).unwrap_or(Cause::Unrecognised)),
        };
        let offset = columns.since_offset_us[row];
        out.push(ConditionChange {
            instance: columns.instance[row],
            condition: Condition {
                kind,
                status,
                cause,
                message: String::new(),
                evidence: Vec::new(),
                since: Timestamp(base.0.saturating_add(offset)),
            },
            traceparent: None,
        });
    }
    for detail in columns.details {
        let row = out
            .get_mut(detail.row as usize)
            .ok_or_else(|| Invalid::new("conditions.details.row", format!("{} is not a row", detail.row)))?;
        row.condition.message = printable(&clip(&detail.message, MAX_MESSAGE));
        row.condition.evidence = detail
            .evidence
            .into_iter()
            .take(MAX_EVIDENCE)
            .map(|e| {
                (printable(&clip(&e.key, MAX_EVIDENCE_KEY)), printable(&clip(&e.value, MAX_EVIDENCE_VALUE)))
            })
            .collect();
        row.traceparent = traceparent(&detail.traceparent);
    }
    Ok(out)
}

/// An order as the agent gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderMessage {
    /// Which.
    pub id: OrderId,
    /// On what.
    pub target: Target,
    /// What to do.
    pub action: Action,
    /// Must be above the last one taken for the target.
    pub fence: Fence,
    /// The run of the process it is aimed at.
    pub incarnation: Option<Incarnation>,
    /// From its receipt.
    pub valid_for: Duration,
    /// Between closing and reconnecting.
    pub delay: Duration,
    /// For the execution.
    pub time_limit: Duration,
    /// Over how much time sessions are closed; `None`: as the agent is configured.
    pub spread: Option<Duration>,
    /// Why.
    pub reason: String,
    /// Trace context of the decision.
    pub traceparent: Option<String>,
}

impl OrderMessage {
    /// For the wire.
    #[must_use]
    pub fn to_pb(&self) -> pb::Order {
        pb::Order {
            order_id: self.id.to_string(),
            target: self.target.to_string(),
            action: match self.action {
                Action::Reconnect => pb::Action::Reconnect,
                Action::ReconnectSlowly => pb::Action::ReconnectSlowly,
                Action::RestartInstance => pb::Action::RestartInstance,
                Action::RestartGateway => pb::Action::RestartGateway,
                Action::CloseSession => pb::Action::CloseSession,
                Action::CloseSessions => pb::Action::CloseSessions,
                Action::Drain => pb::Action::Drain,
                Action::Resume => pb::Action::Resume,
            }
            .into(),
            fence: self.fence.0,
            incarnation: self.incarnation.map_or(0, |i| i.0),
            valid_for: Some(duration(self.valid_for)),
            delay: Some(duration(self.delay)),
            time_limit: Some(duration(self.time_limit)),
            reason: self.reason.clone(),
            traceparent: self.traceparent.clone().unwrap_or_default(),
            spread: self.spread.map(duration),
        }
    }

    /// From the wire.
    ///
    /// # Errors
    /// When the id, target, action or a duration is malformed. The order's id is in the text, where it has one.
    pub fn from_pb(o: &pb::Order) -> Result<Self, Invalid> {
        let id = order_id(&o.order_id)?;
        let field = |name: &str| format!("order {id}: {name}");
        let action = match o.action() {
            pb::Action::Reconnect => Action::Reconnect,
            pb::Action::ReconnectSlowly => Action::ReconnectSlowly,
            pb::Action::RestartInstance => Action::RestartInstance,
            pb::Action::RestartGateway => Action::RestartGateway,
            pb::Action::CloseSession => Action::CloseSession,
            pb::Action::CloseSessions => Action::CloseSessions,
            pb::Action::Drain => Action::Drain,
            pb::Action::Resume => Action::Resume,
            pb::Action::Unspecified => {
                return Err(Invalid::new(
                    field("action"),
                    format!("{} is not an action known here", o.action),
                ));
            }
        };
        let time = |name: &str, d: &Option<prost_types::Duration>| match d {
            None => Ok(Duration::ZERO),
            Some(d) => duration_from(d).ok_or_else(|| Invalid::new(field(name), "is not a valid duration")),
        };
        Ok(Self {
            id,
            target: o.target.parse().map_err(|e| Invalid::new(field("target"), e))?,
            action,
            fence: Fence(o.fence),
            incarnation: (o.incarnation != 0).then_some(Incarnation(o.incarnation)),
            valid_for: time("valid_for", &o.valid_for)?,
            delay: time("delay", &o.delay)?,
            time_limit: time("time_limit", &o.time_limit)?,
            spread: o.spread.as_ref().map(|_| time("spread", &o.spread)).transpose()?,
            reason: clip(&o.reason, mooring_core::limits::MAX_REASON),
            traceparent: traceparent(&o.traceparent),
        })
    }
}

/// A receipt for the wire.
#[must_use]
pub fn receipt_to_pb(r: &Receipt) -> pb::Receipt {
    pb::Receipt {
        order_id: r.order.to_string(),
        stage: match r.stage {
            Stage::Accepted => pb::Stage::Accepted,
            Stage::Started => pb::Stage::Started,
            Stage::Done => pb::Stage::Done,
            Stage::Failed => pb::Stage::Failed,
            Stage::Refused => pb::Stage::Refused,
            Stage::Expired => pb::Stage::Expired,
        }
        .into(),
        time: Some(timestamp(r.at)),
        message: r.message.clone(),
        output: r.output.clone(),
        traceparent: r.traceparent.clone().unwrap_or_default(),
    }
}

/// A receipt from the wire.
///
/// # Errors
/// When the id, stage or time is malformed.
pub fn receipt_from_pb(r: &pb::Receipt) -> Result<Receipt, Invalid> {
    let stage = match r.stage() {
        pb::Stage::Accepted => Stage::Accepted,
        pb::Stage::Started => Stage::Started,
        pb::Stage::Done => Stage::Done,
        pb::Stage::Failed => Stage::Failed,
        pb::Stage::Refused => Stage::Refused,
        pb::Stage::Expired => Stage::Expired,
        pb::Stage::Unspecified => {
            return Err(Invalid::new("receipts.stage", format!("{} is not a stage", r.stage)));
        }
    };
    Ok(Receipt {
        order: order_id(&r.order_id)?,
        stage,
        at: r
            .time
            .as_ref()
            .and_then(timestamp_from)
            .ok_or_else(|| Invalid::new("receipts.time", "is missing or not a valid time"))?,
        message: printable(&clip(&r.message, MAX_MESSAGE)),
        output: printable(&clip(&r.output, MAX_OUTPUT_TAIL)),
        traceparent: traceparent(&r.traceparent),
    })
}

fn order_id(text: &str) -> Result<OrderId, Invalid> {
    Uuid::parse_str(text)
        .map(OrderId)
        .map_err(|_| Invalid::new("order_id", format!("{:?} is not a UUID", clip(text, 64))))
}

/// A W3C `traceparent` (version 00) if it is one; anything else is dropped: it ends up in logs and exporters.
fn traceparent(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |s: &str, n: usize| {
        s.len() == n && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match parts.as_slice() {
        ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && hex(flags, 2) => {
            Some(text.to_owned())
        }
        _ => None,
    }
}

/// Text that may be shown in a terminal: control characters other than newline and tab become `�`.
#[must_use]
pub fn printable(text: &str) -> String {
    if !text.chars().any(unsafe_in_terminal) {
        return text.to_owned();
    }
    text.chars().map(|c| if unsafe_in_terminal(c) { '\u{fffd}' } else { c }).collect()
}

fn unsafe_in_terminal(c: char) -> bool {
    // Bidirectional overrides can make a line read as something else than it says (Trojan Source).
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(instance: u32, status: Status, cause: Option<Cause>) -> ConditionChange {
        ConditionChange {
            instance,
            condition: Condition {
                kind: ConditionKind::Beating,
                status,
                cause,
                message: if cause.is_some() { "no pong for 4 s".to_owned() } else { String::new() },
                evidence: cause.map(|_| ("rtt".to_owned(), "3 ms".to_owned())).into_iter().collect(),
                since: Timestamp(1_700_000_000_000_000 + i64::from(instance)),
            },
            traceparent: None,
        }
    }

    #[test]
    fn columns_round_trip() {
        let rows = vec![
            change(3, Status::True, None),
            change(1, Status::False, Some(Cause::HeartbeatMissed)),
            change(2, Status::Unknown, Some(Cause::NotYetObserved)),
        ];
        assert_eq!(from_columns(to_columns(&rows)), Ok(rows));
        assert_eq!(from_columns(to_columns(&[])), Ok(vec![]));
    }

    #[test]
    fn malformed_columns_are_refused_with_the_field() {
        let mut columns = to_columns(&[change(1, Status::True, None)]);
        columns.cause.push(1);
        assert_eq!(from_columns(columns).unwrap_err().field, "conditions.cause");
        let mut columns = to_columns(&[change(1, Status::True, None)]);
        columns.condition_status[0] = 99;
        assert_eq!(from_columns(columns).unwrap_err().field, "conditions.condition_status");
        let mut columns = to_columns(&[change(1, Status::True, None)]);
        columns.details.push(pb::Detail { row: 7, ..Default::default() });
        assert_eq!(from_columns(columns).unwrap_err().field, "conditions.details.row");
    }

    #[test]
    fn an_unknown_cause_stays_a_cause() {
        let mut columns = to_columns(&[change(1, Status::False, Some(Cause::SessionLost))]);
        columns.cause[0] = 60_000;
        assert_eq!(from_columns(columns).unwrap()[0].condition.cause, Some(Cause::Unrecognised));
    }

    #[test]
    fn hostile_text_is_defused() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\n"), "a\u{fffd}[31mb\u{fffd}c\n");
        assert!(traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
        assert_eq!(traceparent("00-xyz"), None);
    }

    #[test]
    fn orders_round_trip() {
        let order = OrderMessage {
            id: OrderId(Uuid::from_u128(5)),
            target: "agents/a/gateways/g/instances/i".parse().unwrap(),
            action: Action::Reconnect,
            fence: Fence(9),
            incarnation: Some(Incarnation(3)),
            valid_for: Duration::from_secs(60),
            delay: Duration::ZERO,
            time_limit: Duration::from_secs(5),
            spread: Some(Duration::from_secs(90)),
            reason: "because".to_owned(),
            traceparent: None,
        };
        assert_eq!(OrderMessage::from_pb(&order.to_pb()), Ok(order.clone()));
        let mut bad = order.to_pb();
        bad.target = "agents/A".to_owned();
        assert!(OrderMessage::from_pb(&bad).unwrap_err().field.contains("target"));
    }
}
