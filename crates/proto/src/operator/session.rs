//! Sessions as operators see them.

use mooring_core::id::{GatewayRef, SessionRef};
use mooring_core::session::{
    Flow, Histogram, SessionClose, SessionCounts, SessionState, SessionSummary, SessionView, Source,
};
use mooring_core::time::Timestamp;

use crate::{duration, timestamp, v1};

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A source.
#[must_use]
pub fn session_source(source: Source) -> v1::SessionSource {
    match source {
        Source::Canary => v1::SessionSource::Canary,
        Source::Relay => v1::SessionSource::Relay,
        Source::Kernel => v1::SessionSource::Kernel,
        Source::Report => v1::SessionSource::Report,
        Source::Adapter => v1::SessionSource::Adapter,
    }
}

/// A state.
#[must_use]
pub fn session_state(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Opening => v1::SessionState::Opening,
        SessionState::Open => v1::SessionState::Open,
        SessionState::Closing => v1::SessionState::Closing,
        SessionState::Held => v1::SessionState::Held,
    }
}

/// The resource name of a session.
#[must_use]
pub fn session_name(gateway: &GatewayRef, session: &SessionView) -> String {
    SessionRef { gateway: gateway.clone(), session: session.id.clone() }.to_string()
}

/// A session of a gateway.
#[must_use]
pub fn session(gateway: &GatewayRef, s: &SessionView) -> v1::Session {
    let instance = s.instance.as_ref().map(|i| gateway.instance(i.clone()).to_string());
    v1::Session {
        name: session_name(gateway, s),
        instance: instance.unwrap_or_default(),
        source: session_source(s.source).into(),
        state: session_state(s.state).into(),
        peer: s.peer.clone(),
        local: s.local.clone(),
        age: Some(duration(s.age)),
        age_at_least: s.age_at_least,
        received: Some(flow(&s.received)),
        sent: Some(flow(&s.sent)),
        silent: Some(duration(s.silent())),
        rtt: s.rtt.map(duration),
        retransmits: s.retransmits.map(count),
        beat: s.beat.map(duration),
        protocol: s.protocol.clone(),
        cause: s.cause.map_or_else(String::new, |c| c.name().to_owned()),
        message: s.message.clone(),
    }
}

fn flow(f: &Flow) -> v1::SessionFlow {
    v1::SessionFlow {
        bytes: f.bytes.map(count),
        messages: f.messages.map(count),
        silent: f.silent.map(duration),
        queued: f.queued.map(count),
    }
}

/// Many sessions in a few numbers.
#[must_use]
pub fn session_summary(s: &SessionSummary) -> v1::SessionSummary {
    v1::SessionSummary {
        open: count(s.open),
        sick: s.sick.iter().map(|(cause, n)| (cause.name().to_owned(), count(*n))).collect(),
        unwatched: count(s.unwatched),
        rtt: quantiles(&s.rtt),
        silence: quantiles(&s.silence),
        age: quantiles(&s.age),
    }
}

/// A distribution in a few numbers; `None` when nothing was counted.
fn quantiles(h: &Histogram) -> Option<v1::Quantiles> {
    (h.count() > 0).then(|| {
        let at = |share| h.quantile(share).map(duration);
        v1::Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    })
}

/// How a session ended.
#[must_use]
pub fn session_close(gateway: &GatewayRef, c: &SessionClose) -> v1::SessionClose {
    let instance = c.instance.as_ref().map(|i| gateway.instance(i.clone()).to_string());
    v1::SessionClose {
        session: gateway.session(c.id.clone()).to_string(),
        instance: instance.unwrap_or_default(),
        source: session_source(c.source).into(),
        peer: c.peer.clone(),
        time: Some(timestamp(c.at)),
        age: Some(duration(c.age)),
        silent_for: Some(duration(c.silent_for)),
        ended_by: c.by.name().to_owned(),
        code: c.code.map_or(0, i32::from),
        cause: c.cause.map_or_else(String::new, |c| c.name().to_owned()),
        message: c.message.clone(),
    }
}

/// A gateway's numbers, as told at `at`.
#[must_use]
pub fn session_counts(gateway: &GatewayRef, c: &SessionCounts, at: Timestamp) -> v1::SessionCounts {
    v1::SessionCounts {
        gateway: gateway.to_string(),
        open: count(c.open),
        sick: count(c.sick),
        opened: count(c.opened),
        closed: count(c.closed),
        closed_by_cause: c.closed_by_cause.iter().map(|(c, n)| (c.name().to_owned(), count(*n))).collect(),
        time: Some(timestamp(at)),
    }
}
