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
use mooring_core::time::{Mono, Now, Timestamp};

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

fn blank(id: SessionId, at: Timestamp) -> SessionView {
    SessionView {
        id,
        source: Source::Relay,
        at,
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
pub(crate) fn view(record: &Record, now: Now, shared: &Shared) -> SessionView {
    let mut view = blank(record.session_id(), now.wall);
    measure(&mut view, record, now.mono, shared);
    view.instance = record.instance.clone();
    view.peer = record.peer.to_string();
    view.local = shared.listening.get(usize::from(record.listener)).cloned().unwrap_or_default();
    let beat = record.beats.interval.load(Relaxed);
    view.beat = (beat != 0).then(|| Duration::from_millis(beat.into()));
    view.protocol = protocol(record);
    view.message =
        judge(record, now.mono, &shared.config.times).map(|sick| sick.message()).unwrap_or_default();
    view
}

/// Answers a question.
pub(crate) fn list(shared: &Shared, query: &SessionQuery, now: Now) -> SessionPage {
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
        let numbers = numbers.get_or_insert_with(|| blank(record.session_id(), now.wall));
        measure(numbers, record, now.mono, shared);
        summary.open += 1;
        summary.age.record(numbers.age);
        if let Some(silence) = numbers.silence() {
            summary.silence.record(silence);
        }
        if let Some(rtt) = numbers.rtt {
            summary.rtt.record(rtt);
        }
        if let Some(cause) = numbers.cause {
            *sick.entry(cause).or_insert(0u64) += 1;
        }
        let rank = query.rank(numbers);
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
    let mut sessions: Vec<SessionView> =
        ids.iter().filter_map(|(_, id)| shared.registry.find(*id)).map(|r| view(&r, now, shared)).collect();
    if more && let Some((Reverse(rank), id)) = ids.last() {
        behind_is_later(&mut sessions, query, (*rank, *id));
    }
    SessionPage { sessions, more, summary }
}

/// Leaves out what spoke since it was picked and is behind the end of its page now. The next page begins behind the last
/// session of this one: were that a session that has just spoken, all between would be skipped.
fn behind_is_later(sessions: &mut Vec<SessionView>, query: &SessionQuery, (rank, id): (Rank, u64)) {
    let end = (Reverse(rank), id_text(id));
    let within =
        |s: &SessionView| (Reverse(query.rank(s)), s.id.as_str().as_bytes()) <= (end.0, end.1.as_slice());
    // A page with nothing on it would look like the end of the list.
    if sessions.iter().any(within) {
        sessions.retain(within);
    }
}

/// Worst first, then by id.
fn comes_after(rank: Rank, id: u64, after: &(Rank, SessionId)) -> bool {
    (Reverse(rank), id_text(id).as_slice()) > (Reverse(after.0), after.1.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mooring_core::session::{SessionOrder, SessionState};

    use super::*;
    use crate::config::{ListenAddress, RelayConfig, Upstream, UpstreamAddress};
    use crate::event::NoSink;
    use crate::record::Peer;

    const S: u64 = 1_000_000;

    fn at(secs: u64) -> Now {
        Now { mono: Mono(secs * S), wall: Timestamp(1_700_000_000_000_000).after(Duration::from_secs(secs)) }
    }

    fn crowd(count: u64) -> Shared {
        let any = ([127, 0, 0, 1], 1).into();
        let config = RelayConfig::new(ListenAddress::Tcp(any), Upstream::new(UpstreamAddress::Tcp(any)));
        let shared = Shared::new(config, vec!["127.0.0.1:1".to_owned()], Arc::new(NoSink));
        for n in 0..count {
            let record =
                shared.registry.add(|id| Record::new(id, None, Peer::Local, 0, Mono(n * S))).unwrap();
            record.set_state(SessionState::Open);
            record.up.last.store((n * 7919 % count) * S, Relaxed);
            record.down.last.store((n * 104_729 % count) * S, Relaxed);
            record.client.rtt.store((n * 31 % 1000) as u32, Relaxed);
            if n % 100 == 7 {
                record.down.waiting.store(9, Relaxed);
                record.down.progress.store(S, Relaxed);
            }
        }
        shared
    }

    #[test]
    fn pages_are_those_of_the_plain_way_and_follow_one_another() {
        let shared = crowd(1000);
        let now = at(2000);
        for (order, ..) in SessionOrder::ALL {
            let mut all = Vec::new();
            shared.registry.walk(|record| all.push(view(record, now, &shared)));
            let plain = SessionQuery { order, limit: MAX_PAGE, ..SessionQuery::default() };
            plain.page(&mut all);
            let mut query = SessionQuery { order, limit: 64, ..SessionQuery::default() };
            let mut seen = Vec::new();
            loop {
                let page = list(&shared, &query, now);
                assert_eq!(page.summary.open, 1000);
                assert_eq!(page.summary.sick, [(mooring_core::cause::Cause::PeerStalled, 10)]);
                let last = page.sessions.last().unwrap();
                query.after = Some((query.rank(last), last.id.clone()));
                seen.extend(page.sessions);
                if !page.more {
                    break;
                }
            }
            assert_eq!(seen, all, "{order:?}");
        }
    }

    #[test]
    fn a_silence_that_is_not_known_is_not_counted() {
        let shared = crowd(3);
        shared.registry.add(|id| Record::new(id, None, Peer::Local, 0, Mono(S))).unwrap();
        let summary = list(&shared, &SessionQuery { limit: 1, ..SessionQuery::default() }, at(9)).summary;
        // Nothing has arrived in the first one either.
        assert_eq!((summary.open, summary.silence.count(), summary.age.count()), (4, 2, 4));
    }

    #[test]
    fn nobody_is_skipped_while_time_passes_and_some_speak() {
        let shared = crowd(1000);
        for (order, _, name) in SessionOrder::ALL {
            let mut query = SessionQuery { order, limit: 64, ..SessionQuery::default() };
            let (mut seen, mut secs) = (Vec::new(), 2000);
            loop {
                let now = at(secs);
                query.begun.get_or_insert(now.wall);
                let page = list(&shared, &query, now);
                let last = page.sessions.last().unwrap();
                query.after = Some((query.rank(last), last.id.clone()));
                seen.extend(page.sessions.into_iter().map(|s| s.id));
                if !page.more {
                    break;
                }
                secs += 1;
                // One that is listed, and one that may not be.
                for id in [seen.first(), seen.last()].into_iter().flatten() {
                    let number = id_number(id).unwrap();
                    let spoke = shared.registry.find(number).unwrap();
                    spoke.up.last.store(secs * S, Relaxed);
                }
            }
            let listed = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 1000, "{name}");
            assert!(listed <= 1000 + 2 * 16, "{name}: {listed}");
        }
    }

    #[test]
    fn what_speaks_while_it_is_looked_at_is_left_for_a_later_page() {
        let shared = crowd(4);
        let query = SessionQuery { order: SessionOrder::Silent, limit: 3, ..SessionQuery::default() };
        let picked = list(&shared, &query, at(100)).sessions;
        let last = picked.last().unwrap();
        let end = (query.rank(last), id_number(&last.id).unwrap());
        let mut sessions = picked.clone();
        sessions[0].received.silent = Some(Duration::ZERO);
        behind_is_later(&mut sessions, &query, end);
        assert_eq!(sessions, picked[1..]);
        let mut all = picked;
        all.iter_mut().for_each(|s| s.received.silent = Some(Duration::ZERO));
        let before = all.clone();
        behind_is_later(&mut all, &query, end);
        assert_eq!(all, before, "an empty page would be the end");
    }

    #[test]
    fn a_hundred_thousand_are_listed_at_once() {
        let shared = crowd(100_000);
        let begun = std::time::Instant::now();
        let query = SessionQuery { limit: 100, ..SessionQuery::default() };
        let page = list(&shared, &query, at(200_000));
        println!("100,000 sessions listed in {:?}", begun.elapsed());
        assert_eq!((page.sessions.len(), page.more, page.summary.open), (100, true, 100_000));
        let begun = std::time::Instant::now();
        crate::sweep::sweep(&shared, Mono(200_000 * S), false);
        println!("and swept in {:?}", begun.elapsed());
        assert_eq!(shared.counts().sick, 1000);
    }
}
