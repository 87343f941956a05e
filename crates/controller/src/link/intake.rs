//! From a report to a delta: decoded, checked against the limits, names completed with the agent's own id, and reduced
//! to what is new.
//!
//! Pure but for reading the fleet: the session's handles, the snapshot and what is under way are its state.

use mooring_core::condition::Status;
use mooring_core::id::{AgentId, BootId, GatewayRef};
use mooring_core::order::Receipt;
use mooring_core::time::Timestamp;
use mooring_proto::link::{self, ConditionChange, GatewayDecl, InstanceDecl};
use mooring_proto::{Invalid, agent_v1 as pb};
use mooring_store::{Changes, Delta, NewEvent};

use super::declare::Declared;
use super::flight::{Before, Flight};
use super::news::{event, same, says_nothing};
use crate::fleet::{Fleet, Handles};

/// Highest number of a report: what the database's numbers can hold, and one more can be counted.
const MAX_SEQUENCE: u64 = i64::MAX as u64 - 1;
/// Most condition rows of one report.
pub const MAX_ROWS: usize = 16_384;
/// Most receipts of one report.
pub const MAX_RECEIPTS: usize = 1_024;

/// What of an agent's reports must be remembered between them.
#[derive(Debug)]
pub struct Intake {
    pub(super) agent: AgentId,
    epoch: u64,
    pub(super) handles: Handles,
    /// Names declared since a snapshot began; `None` when none is under way.
    pub(super) declared: Option<Declared>,
    /// Something is missing that only a snapshot can tell; whether it has been asked for.
    missing: Option<Asked>,
    pub(super) flight: Flight,
    pub(super) max_gateways: usize,
    pub(super) max_instances: usize,
    /// The number of the next report.
    expected: u64,
    /// Up to this one reports are durable.
    durable: u64,
}

/// Whether the agent has been told that a snapshot is needed, since it last sent something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked(bool);

/// A report, taken in.
#[derive(Debug)]
pub struct Taken {
    /// To be written.
    pub delta: Delta,
    /// To be applied to their orders.
    pub receipts: Vec<Receipt>,
    /// Whether everything has been told with it: no snapshot is under way.
    pub in_sync: bool,
}

/// What a report turned out to be.
#[derive(Debug)]
pub enum Verdict {
    /// The next one.
    New(Box<Taken>),
    /// One that was taken in already.
    Old {
        /// Whether it is durable: acknowledge again. If not, that comes in its turn.
        durable: bool,
    },
    /// One or more are missing before it: ask for a snapshot.
    Gap,
    /// Of no use before the snapshot that was asked for.
    Useless,
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
        let durable = resume_after.unwrap_or(0);
        let missing = if resume_after.is_none() { Some(Asked(false)) } else { None };
        Self {
            agent,
            epoch,
            handles,
            declared: None,
            missing,
            flight: Flight::default(),
            max_gateways,
            max_instances,
            expected: durable.saturating_add(1),
            durable,
        }
    }

    /// The number of the next report.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// Up to which number reports are durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Reports up to this one are durable and believed.
    pub fn settled(&mut self, sequence: u64) {
        self.durable = self.durable.max(sequence);
        self.flight.settled(sequence);
    }

    /// Takes a report in.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or refers to a handle that was never bound.
    pub fn take(&mut self, report: pb::Report, fleet: &Fleet, now: Timestamp) -> Result<Verdict, Invalid> {
        let sequence = report.sequence;
        if sequence > MAX_SEQUENCE {
            return Err(Invalid::new("sequence", format!("{sequence} is more than {MAX_SEQUENCE}")));
        }
        if report.snapshot_begin && sequence >= self.expected {
            // A snapshot may begin at any number to come: the agent forgets what was before it.
            self.expected = sequence;
            self.missing = None;
        }
        if sequence < self.expected {
            return Ok(Verdict::Old { durable: sequence <= self.durable });
        }
        if sequence > self.expected || self.missing.is_some() {
            // Asked for once, however many reports were under way behind the one that is missing.
            let asked = self.missing.replace(Asked(true)).is_some_and(|Asked(asked)| asked);
            return Ok(if asked { Verdict::Useless } else { Verdict::Gap });
        }
        let mut changes = Changes::default();
        if report.snapshot_begin {
            self.handles = Handles::default();
            self.declared = Some(Declared::default());
        }
        // What is gone first, here and in the store: a name that is gone and new in one report begins anew.
        for handle in report.gateways_gone {
            if let Some(id) = self.handles.gateways.remove(&handle) {
                self.handles.instances.retain(|_, (g, _)| *g != handle);
                let gateway = GatewayRef { agent: self.agent.clone(), gateway: id };
                self.flight.gateway_gone(sequence, gateway.clone());
                changes.gateways_gone.push(gateway);
            }
        }
        for handle in report.instances_gone {
            if let Some(name) = self.name_of(handle) {
                self.handles.instances.remove(&handle);
                self.flight.gone(sequence, handle, name.clone());
                changes.instances_gone.push(name);
            }
        }
        for g in report.gateways {
            self.gateway(GatewayDecl::from_pb(g)?, &mut changes)?;
        }
        for i in &report.instances {
            self.instance(sequence, InstanceDecl::from_pb(i)?, &mut changes)?;
        }
        let mut events = Vec::new();
        if let Some(columns) = report.conditions {
            if columns.instance.len() > MAX_ROWS {
                let n = columns.instance.len();
                return Err(Invalid::new(
                    "conditions",
                    format!("{n} rows, at most {MAX_ROWS} in one report"),
                ));
            }
            let rows = link::from_columns(columns)?;
            self.conditions(sequence, rows, fleet, now, &mut changes, &mut events)?;
        }
        self.sessions(&report.session_counts, &report.session_closes, now, &mut changes)?;
        if report.receipts.len() > MAX_RECEIPTS {
            let n = report.receipts.len();
            return Err(Invalid::new(
                "receipts",
                format!("{n} of them, at most {MAX_RECEIPTS} in one report"),
            ));
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
        self.expected = sequence + 1;
        let delta = Delta { agent: self.agent.clone(), epoch: self.epoch, sequence, synced, changes, events };
        Ok(Verdict::New(Box::new(Taken { delta, receipts, in_sync: self.declared.is_none() })))
    }

    /// Conditions, without those that say what was said already: a resync tells everything, but is no event.
    fn conditions(
        &mut self,
        sequence: u64,
        rows: Vec<ConditionChange>,
        fleet: &Fleet,
        now: Timestamp,
        changes: &mut Changes,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Invalid> {
        let state = fleet.read();
        for mut row in rows {
            let Some(name) = self.name_of(row.instance) else {
                return Err(Invalid::new(
                    "conditions.instance",
                    format!("{} is not an instance's handle", row.instance),
                ));
            };
            let before = match self.flight.before(row.instance, row.condition.kind) {
                Before::Believed => match state.believed(&name, row.condition.kind) {
                    Some(known) if same(&known, &row.condition) => continue,
                    known => known.map(|k| (k.status, k.cause)),
                },
                Before::Nothing => None,
                Before::Said(status, cause) => Some((status, cause)),
            };
            let nothing_new =
                before.is_none_or(|(status, _)| status == Status::Unknown) && says_nothing(&row.condition);
            if !nothing_new && before != Some((row.condition.status, row.condition.cause)) {
                events.push(event(&name, &row, now));
            }
            self.flight.say(sequence, row.instance, &row.condition);
            // Kept with the evidence, so that a decision taken much later, or after a restart, still joins the trace.
            if let (Some(trace), Some(_)) = (row.traceparent.take(), row.condition.cause) {
                row.condition.evidence.push((super::TRACE_EVIDENCE.to_owned(), trace));
            }
            changes.conditions.push((name, row.condition));
        }
        Ok(())
    }
}
