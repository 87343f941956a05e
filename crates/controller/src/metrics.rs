//! The controller's metrics. Closed enums only as attributes; never a session, an instance or an agent: which one it is
//! belongs into events, logs and traces, and the number of series must not grow with the fleet.

use std::time::Duration;

use mooring_core::gate::Gate;
use mooring_core::order::{Action, State};
use mooring_core::phase::Phase;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};

use crate::database::Database;
use crate::fleet::{Fleet, Presence};

/// Shared instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    meter: Meter,
    commits: Counter<u64>,
    rows: Counter<u64>,
    transitions: Counter<u64>,
    issued: Counter<u64>,
    suppressed: Counter<u64>,
    ended: Counter<u64>,
    duration: Histogram<f64>,
    streams_closed: Counter<u64>,
    refused_reports: Counter<u64>,
    questions: Counter<u64>,
    question_duration: Histogram<f64>,
    ignored_answers: Counter<u64>,
}

/// Why a stream ended; closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The agent said goodbye.
    Goodbye,
    /// The transport broke or the agent closed it.
    Lost,
    /// No heartbeat in time.
    Silent,
    /// A newer attachment of the same agent took over.
    Replaced,
    /// The agent broke the protocol or a limit.
    Violation,
    /// The controller stops.
    Stopping,
}

impl StreamEnd {
    fn name(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
            Self::Violation => "violation",
            Self::Stopping => "stopping",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let meter = global::meter("mooring.controller");
        Self {
            commits: meter
                .u64_counter("mooring.journal.commits")
                .with_description("Group commits of what agents reported")
                .build(),
            rows: meter.u64_counter("mooring.journal.rows").with_description("Rows in those commits").build(),
            transitions: meter
                .u64_counter("mooring.condition.transitions")
                .with_description("Condition changes made durable")
                .build(),
            issued: meter.u64_counter("mooring.order.issued").with_description("Orders made").build(),
            suppressed: meter
                .u64_counter("mooring.order.suppressed")
                .with_description("Times that a gate was shut for an order")
                .build(),
            ended: meter
                .u64_counter("mooring.order.ended")
                .with_description("Orders whose life is over")
                .build(),
            duration: meter
                .f64_histogram("mooring.order.duration")
                .with_unit("s")
                .with_description("From making an order to its end")
                .with_boundaries(vec![0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0])
                .build(),
            streams_closed: meter
                .u64_counter("mooring.agent.stream.closed")
                .with_description("Agent streams that ended, by reason")
                .build(),
            refused_reports: meter
                .u64_counter("mooring.agent.report.refused")
                .with_description("Reports refused as malformed or over a limit")
                .build(),
            questions: meter
                .u64_counter("mooring.session.question.count")
                .with_description("Questions about sessions put to agents, by what came of them")
                .build(),
            question_duration: meter
                .f64_histogram("mooring.session.question.duration")
                .with_unit("s")
                .with_description("From asking an agent about sessions to its answer")
                .with_boundaries(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
                .build(),
            ignored_answers: meter
                .u64_counter("mooring.session.answer.ignored")
                .with_description("Answers about sessions that nobody waited for (any more)")
                .build(),
            meter,
        }
    }
}

impl Metrics {
    /// A commit of so many reports with so many rows.
    pub fn committed(&self, _reports: usize, rows: usize) {
        self.commits.add(1, &[]);
        self.rows.add(rows as u64, &[]);
    }

    /// Condition changes made durable.
    pub fn transitions(&self, n: usize) {
        self.transitions.add(n as u64, &[]);
    }

    /// An order was made.
    pub fn issued(&self, action: Action, by_planner: bool) {
        let origin = if by_planner { "planner" } else { "operator" };
        self.issued.add(1, &[KeyValue::new("action", action.name()), KeyValue::new("origin", origin)]);
    }

    /// A gate was shut.
    pub fn suppressed(&self, gate: Gate) {
        self.suppressed.add(1, &[KeyValue::new("gate", gate.name())]);
    }

    /// An order ended.
    pub fn ended(&self, action: Action, state: State, took: Duration) {
        let attributes = [KeyValue::new("action", action.name()), KeyValue::new("outcome", state.name())];
        self.ended.add(1, &attributes);
        self.duration.record(took.as_secs_f64(), &attributes);
    }

    /// A stream ended.
    pub fn stream_closed(&self, why: StreamEnd) {
        self.streams_closed.add(1, &[KeyValue::new("reason", why.name())]);
    }

    /// A report was refused.
    pub fn report_refused(&self) {
        self.refused_reports.add(1, &[]);
    }

    /// A question about sessions came to an end.
    pub fn question(&self, outcome: &'static str, took: Duration) {
        let attributes = [KeyValue::new("outcome", outcome)];
        self.questions.add(1, &attributes);
        self.question_duration.record(took.as_secs_f64(), &attributes);
    }

    /// An answer came that nobody waits for.
    pub fn answer_ignored(&self) {
        self.ignored_answers.add(1, &[]);
    }

    /// Registers what is read at each collection. Callbacks take a read lock for as long as a count takes and never
    /// panic: a panic here would end the reader's thread.
    pub fn observe(&self, fleet: &Fleet, database: &Database) {
        let of = fleet.clone();
        self.meter
            .u64_observable_gauge("mooring.instance.count")
            .with_description("Instances by phase")
            .with_callback(move |o| {
                let counts = of.read().counts();
                for phase in Phase::ALL {
                    let n = counts.phases.get(&phase).copied().unwrap_or(0);
                    o.observe(n as u64, &[KeyValue::new("phase", phase.name())]);
                }
            })
            .build();
        let of = fleet.clone();
        self.meter
            .u64_observable_gauge("mooring.agent.count")
            .with_description("Agents by whether they are attached")
            .with_callback(move |o| {
                let state = of.read();
                let mut counts = [0u64; 4];
                for agent in state.agents() {
                    counts[match agent.presence {
                        Presence::Online => 0,
                        Presence::Syncing => 1,
                        Presence::Lost(_) => 2,
                        Presence::Offline(_) => 3,
                    }] += 1;
                }
                for (name, n) in ["online", "syncing", "lost", "offline"].into_iter().zip(counts) {
                    o.observe(n, &[KeyValue::new("state", name)]);
                }
            })
            .build();
        let of = fleet.clone();
        self.meter
            .u64_observable_gauge("mooring.order.live")
            .with_description("Orders that are not over")
            .with_callback(move |o| o.observe(of.read().counts().live_orders as u64, &[]))
            .build();
        let of = database.clone();
        self.meter
            .u64_observable_gauge("mooring.db.away")
            .with_description("1 while the database is away and no order is made")
            .with_callback(move |o| o.observe(u64::from(of.away_since().is_some()), &[]))
            .build();
    }
}
