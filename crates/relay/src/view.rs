//! Sessions as they are shown: one, and pages of them with the worst first.
//!
//! A question about 100,000 sessions looks at each once, in numbers, and makes words of a page's worth only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mooring_core::id::SessionId;
use mooring_core::session::{
    Flow as FlowView, MAX_PAGE, MAX_SESSION_TEXT, Rank, SessionPage, SessionQuery, SessionSummary,
    SessionView, Source,
};
use mooring_core::time::Mono;

use crate::judge::judge;
use crate::record::{Flow, Record, id_number, id_text};
use crate::shared::Shared;

/// Subprotocol and compression, for people.
pub(crate) fn protocol(record: &Record) -> String {
    let Some(agreed) = record.agreed.get() else { return String::new() };
    let parts = [agreed.subprotocol.as_deref(), agreed.deflate.then_some("permessage-deflate")];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    mooring_core::limits::clip(&text, MAX_SESSION_TEXT)
}

fn flow(flow: &Flow, now: Mono) -> FlowView {
    let last = Some(Mono(flow.last.load(Relaxed))).filter(|at| at.0 != 0);
    FlowView {
        bytes: Some(flow.bytes.load(Relaxed)),
        messages: Some(flow.messages.load(Relaxed)),
        silent: last.map(|at| now.since(at)),
        queued: Some(flow.waiting.load(Relaxed).into()),
    }
}

/// The slower of the last two round trips: of the client and of the gateway.
fn rtt(record: &Record) -> Option<Duration> {
    let rtt = record.client.rtt.load(Relaxed).max(record.gateway.rtt.load(Relaxed));
    (rtt != 0).then(|| Duration::from_micros(rtt.into()))
}

/// Fills in the numbers of a session and what is wrong with it, without words.
fn measure(view: &mut SessionView, record: &Record, now: Mono, shared: &Shared) {
    view.state = record.state();
    view.age = now.since(Mono(record.opened.load(Relaxed)));
    view.received = flow(&record.up, now);
    view.sent = flow(&record.down, now);
    view.rtt = rtt(record);
    view.cause = judge(record, now, &shared.config.times).map(|sick| sick.cause());
}

fn blank(id: SessionId) -> SessionView {
    SessionView {
        id,
        source: Source::Relay,
        instance: None,
        peer: String::new(),
        local: String::new(),
        state: mooring_core::session::SessionState::Opening,
        age: Duration::ZERO,
        age_at_least: false,
        received: FlowView::default(),
        sent: FlowView::default(),
        rtt: None,
        retransmits: None,
        beat: None,
        protocol: String::new(),
        cause: None,
        message: String::new(),
    }
}

/// One session in full.
pub(crate) fn view(record: &Record, now: Mono, shared: &Shared) -> SessionView {
    let mut view = blank(record.session_id());
    measure(&mut view, record, now, shared);
    view.instance = record.instance.clone();
    view.peer = record.peer.to_string();
    view.local = shared.listening.get(usize::from(record.listener)).cloned().unwrap_or_default();
    let beat = record.beats.interval.load(Relaxed);
    view.beat = (beat != 0).then(|| Duration::from_millis(beat.into()));
    view.protocol = protocol(record);
    view.message = judge(record, now, &shared.config.times).map(|sick| sick.message()).unwrap_or_default();
    view
}

/// Answers a question.
pub(crate) fn list(shared: &Shared, query: &SessionQuery, now: Mono) -> SessionPage {
    if query.source.is_some_and(|source| source != Source::Relay) {
        return SessionPage::default();
    }
    let limit = query.limit.clamp(1, MAX_PAGE);
    let wanted = query.id.as_ref().map(id_number);
    let mut summary = SessionSummary::default();
    let mut sick = std::collections::BTreeMap::new();
    // The worst `limit` so far, the least bad of them on top.
    let mut worst: BinaryHeap<(Reverse<Rank>, u64)> = BinaryHeap::with_capacity(limit + 1);
    let mut more = false;
    let mut numbers: Option<SessionView> = None;
    shared.registry.walk(|record| {
        if query.instance.is_some() && record.instance != query.instance {
            return;
        }
        let numbers = numbers.get_or_insert_with(|| blank(record.session_id()));
        measure(numbers, record, now, shared);
        summary.open += 1;
        summary.age.record(numbers.age);
        summary.silence.record(numbers.silent());
        if let Some(rtt) = numbers.rtt {
            summary.rtt.record(rtt);
        }
        if let Some(cause) = numbers.cause {
            *sick.entry(cause).or_insert(0u64) += 1;
        }
        let rank = Rank::of(numbers, query.order);
        let out = (query.sick && numbers.cause.is_none())
            || wanted.is_some_and(|id| id != Some(record.id))
            || query.after.as_ref().is_some_and(|after| !comes_after(rank, record.id, after));
        if out {
            return;
        }
        worst.push((Reverse(rank), record.id));
        if worst.len() > limit {
            worst.pop();
            more = true;
        }
    });
    summary.sick = sick.into_iter().collect();
    let ids = worst.into_sorted_vec();
    let sessions =
        ids.iter().filter_map(|(_, id)| shared.registry.find(*id)).map(|r| view(&r, now, shared)).collect();
    SessionPage { sessions, more, summary }
}

/// Worst first, then by id.
fn comes_after(rank: Rank, id: u64, after: &(Rank, SessionId)) -> bool {
    (Reverse(rank), id_text(id).as_slice()) > (Reverse(after.0), after.1.as_str().as_bytes())
}
