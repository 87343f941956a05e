//! The agent's instruments. Attributes are closed sets: never an instance, a session or an address. Those of real
//! sessions know their gateway, of which an agent has a bounded number; a series per session there is not.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::GatewayId;
use mooring_core::session::{SessionClose, Source};

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

/// Bounds of lifetimes and silences, seconds: around the idle limits that proxies ship with (30, 60, 120, 300 …).
const AGES: [f64; 14] =
    [0.05, 0.5, 5.0, 15.0, 31.0, 46.0, 61.0, 91.0, 121.0, 301.0, 601.0, 3_600.0, 21_600.0, 86_400.0];

/// Whose sessions: the gateway, and who sees them.
#[derive(Debug, Clone)]
pub struct SessionLabels([KeyValue; 2]);

impl SessionLabels {
    /// Of this gateway, by this watcher.
    #[must_use]
    pub fn new(gateway: &GatewayId, source: Source) -> Self {
        Self([KeyValue::new("gateway", gateway.as_str().to_owned()), KeyValue::new("source", source.name())])
    }

    fn with(&self, cause: Option<Cause>) -> [KeyValue; 3] {
        let [gateway, source] = self.0.clone();
        [gateway, source, KeyValue::new("cause", cause.map_or("none", Cause::name))]
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
    real_open: Gauge<u64>,
    real_sick: Gauge<u64>,
    real_opened: Counter<u64>,
    real_refused: Counter<u64>,
    rtt: Histogram<f64>,
    lifetime: Histogram<f64>,
    silence: Histogram<f64>,
    lost: Counter<u64>,
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
            real_open: meter
                .u64_gauge("mooring.session.open")
                .with_unit("{session}")
                .with_description("Real sessions open now, by gateway and by who sees them.")
                .build(),
            real_sick: meter
                .u64_gauge("mooring.session.sick")
                .with_unit("{session}")
                .with_description("Real sessions with something wrong now, by gateway and by who sees them.")
                .build(),
            real_opened: meter
                .u64_counter("mooring.session.real.opened")
                .with_unit("{session}")
                .with_description("Real sessions that were opened, by gateway and by who saw it.")
                .build(),
            real_refused: meter
                .u64_counter("mooring.session.refused")
                .with_unit("{session}")
                .with_description("Sessions that were refused, by gateway, by who saw it, and by cause.")
                .build(),
            rtt: meter
                .f64_histogram("mooring.session.rtt")
                .with_unit("s")
                .with_description("Round trips of real sessions, of pings or of TCP, by gateway.")
                .with_boundaries(vec![
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
                ])
                .build(),
            lifetime: meter
                .f64_histogram("mooring.session.lifetime")
                .with_unit("s")
                .with_description("From the opening to the end of real sessions, by gateway and cause.")
                .with_boundaries(AGES.to_vec())
                .build(),
            silence: meter
                .f64_histogram("mooring.session.silence")
                .with_unit("s")
                .with_description(
                    "How long real sessions had been silent when they ended, by gateway and cause.",
                )
                .with_boundaries(AGES.to_vec())
                .build(),
            lost: meter
                .u64_counter("mooring.session.events.lost")
                .with_unit("{event}")
                .with_description(
                    "Events of real sessions that were not taken in time; what is open is counted anew.",
                )
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

    /// A real session was opened.
    pub fn real_opened(&self, of: &SessionLabels) {
        self.real_opened.add(1, &of.0);
    }

    /// A session was refused.
    pub fn real_refused(&self, of: &SessionLabels, cause: Cause) {
        self.real_refused.add(1, &of.with(Some(cause)));
    }

    /// A real session ended.
    pub fn real_closed(&self, of: &SessionLabels, close: &SessionClose) {
        let labels = of.with(close.cause);
        self.lifetime.record(close.age.as_secs_f64(), &labels);
        self.silence.record(close.silent_for.as_secs_f64(), &labels);
    }

    /// A round trip was measured.
    pub fn round_trip(&self, of: &SessionLabels, rtt: Duration) {
        self.rtt.record(rtt.as_secs_f64(), &of.0);
    }

    /// How many real sessions there are.
    pub fn real_sessions(&self, of: &SessionLabels, open: u64, sick: u64) {
        self.real_open.record(open, &of.0);
        self.real_sick.record(sick, &of.0);
    }

    /// Events of real sessions were lost.
    pub fn real_events_lost(&self, of: &SessionLabels, n: u64) {
        if n > 0 {
            self.lost.add(n, &of.0);
        }
    }

    /// The agent was held up.
    pub fn lag(&self, lag: Duration) {
        self.lag.record(lag.as_secs_f64(), &[]);
    }

    /// The configuration was read again.
    pub fn reload(&self, accepted: bool) {
        self.reloads.add(1, &[KeyValue::new("outcome", if accepted { "accepted" } else { "refused" })]);
    }
}
