//! The agent's instruments. Attributes are closed sets: never a gateway, an instance or an address.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};

use crate::outbox::Usage;

/// Why a stream to a controller ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// It could not be opened.
    Refused,
    /// It broke, or the controller ended it.
    Lost,
    /// The controller was silent for too long.
    Silent,
    /// A newer stream took its place.
    Moved,
    /// The agent stops.
    Stopping,
}

impl StreamEnd {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Moved => "moved",
            Self::Stopping => "stopping",
        }
    }
}

/// All of them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    stream: Gauge<u64>,
    ended: Counter<u64>,
    outbox: Gauge<u64>,
    watched: Gauge<u64>,
    transitions: Counter<u64>,
    sessions: Counter<u64>,
    lag: Histogram<f64>,
    reloads: Counter<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// On the meter provider that is global now.
    #[must_use]
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("mooring.agent");
        Self {
            stream: meter
                .u64_gauge("mooring.agent.stream.active")
                .with_unit("{stream}")
                .with_description("Streams open to a controller: 0 or 1.")
                .build(),
            ended: meter
                .u64_counter("mooring.agent.streams.ended")
                .with_unit("{stream}")
                .with_description("Streams that ended or could not be opened, by reason.")
                .build(),
            outbox: meter
                .u64_gauge("mooring.outbox.usage")
                .with_unit("{entry}")
                .with_description("Entries waiting in the outbox: changes, receipts, unacknowledged reports.")
                .build(),
            watched: meter
                .u64_gauge("mooring.agent.watched")
                .with_unit("{entity}")
                .with_description("Gateways and instances that are watched.")
                .build(),
            transitions: meter
                .u64_counter("mooring.condition.transitions")
                .with_unit("{transition}")
                .with_description("Changes of a condition's status or cause.")
                .build(),
            sessions: meter
                .u64_counter("mooring.session.opened")
                .with_unit("{session}")
                .with_description("WebSocket sessions that the watchers opened.")
                .build(),
            lag: meter
                .f64_histogram("mooring.observer.lag")
                .with_unit("s")
                .with_description("How long the agent itself was held up, whenever it was.")
                .build(),
            reloads: meter
                .u64_counter("mooring.config.reloads")
                .with_unit("{reload}")
                .with_description("Reloads of the configuration, by outcome.")
                .build(),
        }
    }

    /// Whether a stream is open.
    pub fn stream(&self, open: bool) {
        self.stream.record(u64::from(open), &[]);
    }

    /// A stream ended, or was not even opened.
    pub fn stream_ended(&self, why: StreamEnd) {
        self.ended.add(1, &[KeyValue::new("reason", why.name())]);
    }

    /// How full the outbox is.
    pub fn outbox(&self, usage: Usage) {
        for (kind, n) in
            [("change", usage.pending), ("receipt", usage.receipts), ("report", usage.unacknowledged)]
        {
            self.outbox.record(n as u64, &[KeyValue::new("kind", kind)]);
        }
        for (kind, n) in [("gateway", usage.gateways), ("instance", usage.instances)] {
            self.watched.record(n as u64, &[KeyValue::new("kind", kind)]);
        }
    }

    /// A condition changed.
    pub fn transition(&self, kind: ConditionKind, to: Status, cause: Option<Cause>) {
        let cause = cause.map_or("none", Cause::name);
        self.transitions.add(
            1,
            &[
                KeyValue::new("cause", cause),
                KeyValue::new("condition", kind.name()),
                KeyValue::new("status", to.name()),
            ],
        );
    }

    /// A session was opened.
    pub fn session_opened(&self) {
        self.sessions.add(1, &[]);
    }

    /// The agent was held up.
    pub fn lag(&self, lag: std::time::Duration) {
        self.lag.record(lag.as_secs_f64(), &[]);
    }

    /// The configuration was read again.
    pub fn reload(&self, accepted: bool) {
        self.reloads.add(1, &[KeyValue::new("outcome", if accepted { "accepted" } else { "refused" })]);
    }
}
