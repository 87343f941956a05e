//! From a report to a delta: decoded, checked against the limits, names completed with the agent's own id, and reduced
//! to what is new.
//!
//! Pure but for reading the fleet: the session's handles and the snapshot under way are its state.

use std::collections::HashSet;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, Status};
use mooring_core::id::{AgentId, BootId, GatewayRef, InstanceRef};
use mooring_core::order::Receipt;
use mooring_core::time::Timestamp;
use mooring_proto::link::{self, ConditionChange, GatewayDecl, InstanceDecl};
use mooring_proto::{Invalid, agent_v1 as pb};
use mooring_store::{Changes, Delta, EventKind, GatewayRecord, InstanceRecord, NewEvent};

use crate::fleet::{Fleet, Handles};

/// Most condition rows of one report.
pub const MAX_ROWS: usize = 16_384;
/// Most receipts of one report.
pub const MAX_RECEIPTS: usize = 1_024;

/// What of an agent's reports must be remembered between them.
#[derive(Debug)]
pub struct Intake {
    agent: AgentId,
    epoch: u64,
    handles: Handles,
    /// Names declared since a snapshot began; `None` when none is under way.
    declared: Option<Declared>,
    max_gateways: usize,
    max_instances: usize,
    /// The number of the next report.
    pub expected: u64,
}

#[derive(Debug, Default)]
struct Declared {
    gateways: HashSet<GatewayRef>,
    instances: HashSet<InstanceRef>,
}

/// A report, taken in.
#[derive(Debug)]
pub struct Taken {
    /// To be written.
    pub delta: Delta,
    /// To be applied to their orders.
    pub receipts: Vec<Receipt>,
}

/// What a report turned out to be.
#[derive(Debug)]
pub enum Verdict {
    /// The next one.
    New(Box<Taken>),
    /// One that is durable already: acknowledge again.
    Old,
    /// One or more are missing before it.
    Gap,
}

impl Intake {
    /// An intake for a new attachment. `resume_after` is what is durable of this boot.
    #[must_use]
    pub fn new(
        agent: AgentId,
        boot: BootId,
        epoch: u64,
        resume_after: Option<u64>,
        fleet: &Fleet,
        max_gateways: usize,
        max_instances: usize,
    ) -> Self {
        let handles = match resume_after {
            Some(_) => fleet.read().handles(&agent, boot).unwrap_or_default(),
            None => Handles::default(),
        };
        let expected = resume_after.unwrap_or(0) + 1;
        Self { agent, epoch, handles, declared: None, max_gateways, max_instances, expected }
    }

    /// Whether everything has been told: no snapshot is under way.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.declared.is_none()
    }

    /// Takes a report in.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or refers to a handle that was never bound.
    pub fn take(&mut self, report: pb::Report, fleet: &Fleet, now: Timestamp) -> Result<Verdict, Invalid> {
        if report.snapshot_begin {
            // A snapshot may begin at any number: the agent forgets what was before it.
            self.expected = report.sequence;
        }
        if report.sequence < self.expected {
            return Ok(Verdict::Old);
        }
        if report.sequence > self.expected {
            return Ok(Verdict::Gap);
        }
        let mut changes = Changes::default();
        if report.snapshot_begin {
            self.handles = Handles::default();
            self.declared = Some(Declared::default());
        }
        for g in report.gateways {
            self.gateway(GatewayDecl::from_pb(g)?, &mut changes)?;
        }
        for handle in report.gateways_gone {
            if let Some(id) = self.handles.gateways.remove(&handle) {
                self.handles.instances.retain(|_, (g, _)| *g != handle);
                changes.gateways_gone.push(GatewayRef { agent: self.agent.clone(), gateway: id });
            }
        }
        for i in &report.instances {
            self.instance(InstanceDecl::from_pb(i)?, &mut changes)?;
        }
        for handle in report.instances_gone {
            if let Some(name) = self.name_of(handle) {
                self.handles.instances.remove(&handle);
                changes.instances_gone.push(name);
            }
        }
        let mut events = Vec::new();
        if let Some(columns) = report.conditions {
            if columns.instance.len() > MAX_ROWS {
                let n = columns.instance.len();
                return Err(Invalid::new("conditions", format!("{n} rows, at most {MAX_ROWS} in one report")));
            }
            self.conditions(link::from_columns(columns)?, fleet, now, &mut changes, &mut events)?;
        }
        if report.receipts.len() > MAX_RECEIPTS {
            let n = report.receipts.len();
            return Err(Invalid::new("receipts", format!("{n} of them, at most {MAX_RECEIPTS} in one report")));
        }
        let receipts = report.receipts.iter().map(link::receipt_from_pb).collect::<Result<Vec<_>, _>>()?;
        let mut synced = report.snapshot_begin.then_some(false);
        if report.snapshot_end {
            let declared = self
                .declared
                .take()
                .ok_or_else(|| Invalid::new("snapshot_end", "no snapshot has begun in this attachment"))?;
            self.forget_undeclared(&declared, fleet, &mut changes);
            synced = Some(true);
        }
        self.expected = report.sequence + 1;
        let delta = Delta {
            agent: self.agent.clone(),
            epoch: self.epoch,
            sequence: report.sequence,
            synced,
            changes,
            events,
        };
        Ok(Verdict::New(Box::new(Taken { delta, receipts })))
    }

    fn gateway(&mut self, decl: GatewayDecl, changes: &mut Changes) -> Result<(), Invalid> {
        let reference = GatewayRef { agent: self.agent.clone(), gateway: decl.id.clone() };
        self.handles.gateways.insert(decl.handle, decl.id);
        if self.handles.gateways.len() > self.max_gateways {
            let max = self.max_gateways;
            return Err(Invalid::new("gateways", format!("more than {max}, the limit of one agent on this controller")));
        }
        if let Some(declared) = &mut self.declared {
            declared.gateways.insert(reference.clone());
        }
        changes.gateways.push(GatewayRecord {
            gateway: reference,
            handle: decl.handle,
            kind: decl.kind,
            address: decl.address,
            group: decl.group,
            labels: decl.labels,
            abilities: decl.abilities,
            incarnation: decl.incarnation,
        });
        Ok(())
    }

    fn instance(&mut self, decl: InstanceDecl, changes: &mut Changes) -> Result<(), Invalid> {
        if !self.handles.gateways.contains_key(&decl.gateway) {
            return Err(Invalid::new("instances.gateway", format!("{} is not a gateway's handle", decl.gateway)));
        }
        self.handles.instances.insert(decl.handle, (decl.gateway, decl.id));
        if self.handles.instances.len() > self.max_instances {
            let max = self.max_instances;
            return Err(Invalid::new("instances", format!("more than {max}, the limit of one agent on this controller")));
        }
        if let Some(name) = self.name_of(decl.handle) {
            if let Some(declared) = &mut self.declared {
                declared.instances.insert(name.clone());
            }
            changes.instances.push(InstanceRecord { instance: name, handle: decl.handle });
        }
        Ok(())
    }

    /// Conditions, without those that say what is believed already: a resync tells everything, but is no event.
    fn conditions(
        &self,
        rows: Vec<ConditionChange>,
        fleet: &Fleet,
        now: Timestamp,
        changes: &mut Changes,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Invalid> {
        let state = fleet.read();
        for mut row in rows {
            let Some(name) = self.name_of(row.instance) else {
                return Err(Invalid::new("conditions.instance", format!("{} is not an instance's handle", row.instance)));
            };
            let known = state.believed(&name, row.condition.kind);
            if known.as_ref().is_some_and(|k| same(k, &row.condition)) {
                continue;
            }
            let was_unknown = known.as_ref().is_none_or(|k| k.status == Status::Unknown);
            let says_nothing = was_unknown && says_nothing(&row.condition);
            if !says_nothing && known.as_ref().is_none_or(|k| k.differs(&row.condition)) {
                events.push(event(&name, &row, now));
            }
            // Kept with the evidence, so that a decision taken much later, or after a restart, still joins the trace.
            if let (Some(trace), Some(_)) = (row.traceparent.take(), row.condition.cause) {
                row.condition.evidence.push((super::TRACE_EVIDENCE.to_owned(), trace));
            }
            changes.conditions.push((name, row.condition));
        }
        Ok(())
    }

    fn name_of(&self, handle: u32) -> Option<InstanceRef> {
        let (gateway, id) = self.handles.instances.get(&handle)?;
        let gateway = self.handles.gateways.get(gateway)?.clone();
        Some(GatewayRef { agent: self.agent.clone(), gateway }.instance(id.clone()))
    }

    fn forget_undeclared(&self, declared: &Declared, fleet: &Fleet, changes: &mut Changes) {
        let state = fleet.read();
        let Some(agent) = state.agent(&self.agent) else { return };
        for g in state.gateways_of(agent) {
            let reference = &g.record.gateway;
            if !declared.gateways.contains(reference) {
                changes.gateways_gone.push(reference.clone());
                continue;
            }
            let gone = g.instances.keys().map(|id| reference.instance(id.clone()));
            changes.instances_gone.extend(gone.filter(|name| !declared.instances.contains(name)));
        }
    }
}

/// Whether it only says that nothing has been or can be observed: where nothing was known before, that is no event.
fn says_nothing(c: &Condition) -> bool {
    c.status == Status::Unknown && matches!(c.cause, None | Some(Cause::NotYetObserved | Cause::NotObservable))
}

/// Whether two say the same, the trace that led to them aside.
fn same(known: &Condition, told: &Condition) -> bool {
    let facts = known.evidence.iter().filter(|(k, _)| k != super::TRACE_EVIDENCE);
    !known.differs(told) && known.message == told.message && known.since == told.since && facts.eq(told.evidence.iter())
}

fn event(name: &InstanceRef, row: &ConditionChange, now: Timestamp) -> NewEvent {
    let c: &Condition = &row.condition;
    let message = match (c.cause, c.message.is_empty()) {
        (Some(cause), true) => format!("{} is {}: {cause}", c.kind, c.status),
        (Some(cause), false) => format!("{} is {}: {cause}: {}", c.kind, c.status, c.message),
        (None, true) => format!("{} is {}", c.kind, c.status),
        (None, false) => format!("{} is {}: {}", c.kind, c.status, c.message),
    };
    NewEvent {
        at: now,
        kind: EventKind::Condition,
        subject: name.to_string(),
        message: mooring_core::limits::clip(&message, mooring_core::limits::MAX_MESSAGE),
        condition: Some((c.kind, c.status)),
        cause: c.cause,
        evidence: c.evidence.clone(),
        // traceparent: version-trace-span-flags, checked when it was decoded.
        trace_id: row.traceparent.as_deref().and_then(|t| t.split('-').nth(1)).map(str::to_owned),
    }
}
