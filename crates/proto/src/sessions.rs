//! Sessions on the agent link: questions, answers, numbers and ends.
//!
//! Inward everything is bounded and checked, as with the rest of the link: an answer ends up in operators' terminals and
//! in tables. What one row breaks is that row's: an answer with one bad session is refused as a whole, because its order
//! would not hold any more.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::{GatewayId, InstanceId, SessionId};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::session::{
    EndedBy, Flow, Histogram, MAX_PAGE, MAX_SESSION_TEXT, Rank, SessionClose, SessionCounts, SessionOrder,
    SessionPage, SessionQuery, SessionState, SessionSummary, SessionView, Source,
};

use crate::agent_v1 as pb;
use crate::link::printable;
use crate::{Invalid, duration, duration_from, timestamp, timestamp_from};

/// Most causes that one gateway's numbers are told by.
const MAX_CAUSES: usize = 256;

/// A question for the wire.
#[must_use]
pub fn question_to_pb(number: u64, gateway: &GatewayId, q: &SessionQuery) -> pb::SessionsQuestion {
    let order =
        SessionOrder::ALL.iter().find(|(order, ..)| *order == q.order).map_or(0, |(_, code, _)| *code);
    pb::SessionsQuestion {
        number,
        gateway: gateway.to_string(),
        instance: q.instance.as_ref().map_or_else(String::new, ToString::to_string),
        source: q.source.map_or(0, |s| u32::from(s.code())),
        sick: q.sick,
        session: q.id.as_ref().map_or_else(String::new, ToString::to_string),
        order,
        after: q.after.as_ref().map(|(rank, id)| pb::SessionPlace { rank: rank.0, session: id.to_string() }),
        limit: u32::try_from(q.limit.min(MAX_PAGE)).unwrap_or(u32::MAX),
        begun: q.begun.map(timestamp),
    }
}

/// A question from the wire: its gateway, and what is asked.
///
/// # Errors
/// When an id, code or time is malformed.
pub fn question_from_pb(q: &pb::SessionsQuestion) -> Result<(GatewayId, SessionQuery), Invalid> {
    let gateway = GatewayId::new(&q.gateway).map_err(|e| Invalid::new("gateway", e))?;
    let (order, ..) = SessionOrder::ALL
        .iter()
        .find(|(_, code, _)| *code == q.order)
        .ok_or_else(|| Invalid::new("order", format!("{} is not an order known here", q.order)))?;
    let source = match q.source {
        0 => None,
        code => Some(source(code)?),
    };
    let after = match &q.after {
        Some(place) => Some((Rank(place.rank), session_id("after", &place.session)?)),
        None => None,
    };
    let begun = match &q.begun {
        Some(begun) => {
            Some(timestamp_from(begun).ok_or_else(|| Invalid::new("begun", "is not a valid time"))?)
        }
        None => None,
    };
    let query = SessionQuery {
        instance: instance(&q.instance)?,
        source,
        sick: q.sick,
        id: if q.session.is_empty() { None } else { Some(session_id("session", &q.session)?) },
        order: *order,
        after,
        begun,
        limit: (q.limit as usize).clamp(1, MAX_PAGE),
    };
    Ok((gateway, query))
}

/// An answer for the wire.
#[must_use]
pub fn answer_to_pb(number: u64, answer: &Result<SessionPage, String>) -> pb::SessionsAnswer {
    match answer {
        Ok(page) => pb::SessionsAnswer {
            number,
            error: String::new(),
            sessions: page.sessions.iter().map(session_to_pb).collect(),
            more: page.more,
            summary: Some(summary_to_pb(&page.summary)),
        },
        Err(why) => {
            pb::SessionsAnswer { number, error: clip(why, MAX_MESSAGE), ..pb::SessionsAnswer::default() }
        }
    }
}

/// An answer from the wire: a page, or the agent's own words for why there is none.
///
/// # Errors
/// When a session in it is malformed, or there are too many.
pub fn answer_from_pb(a: pb::SessionsAnswer) -> Result<Result<SessionPage, String>, Invalid> {
    if !a.error.is_empty() {
        return Ok(Err(text(&a.error, MAX_MESSAGE)));
    }
    if a.sessions.len() > MAX_PAGE {
        return Err(Invalid::new(
            "sessions",
            format!("{} sessions, at most {MAX_PAGE} were asked for", a.sessions.len()),
        ));
    }
    let sessions = a.sessions.into_iter().map(session_from_pb).collect::<Result<_, _>>()?;
    let summary = a.summary.map(summary_from_pb).transpose()?.unwrap_or_default();
    Ok(Ok(SessionPage { sessions, more: a.more, summary }))
}

fn session_to_pb(s: &SessionView) -> pb::Session {
    pb::Session {
        id: s.id.to_string(),
        source: s.source.code().into(),
        instance: s.instance.as_ref().map_or_else(String::new, ToString::to_string),
        peer: clip(&s.peer, MAX_SESSION_TEXT),
        local: clip(&s.local, MAX_SESSION_TEXT),
        state: s.state.code().into(),
        age: Some(duration(s.age)),
        age_at_least: s.age_at_least,
        received: Some(flow_to_pb(&s.received)),
        sent: Some(flow_to_pb(&s.sent)),
        rtt: s.rtt.map(duration),
        retransmits: s.retransmits,
        beat: s.beat.map(duration),
        protocol: clip(&s.protocol, MAX_SESSION_TEXT),
        cause: s.cause.map_or(0, |c| c.code().into()),
        message: clip(&s.message, MAX_MESSAGE),
        time: Some(timestamp(s.at)),
    }
}

fn session_from_pb(s: pb::Session) -> Result<SessionView, Invalid> {
    Ok(SessionView {
        id: session_id("sessions.id", &s.id)?,
        source: source(s.source)?,
        at: s.time.as_ref().and_then(timestamp_from).ok_or_else(|| {
            Invalid::new("sessions.time", "is missing or not a valid time; pages cannot go on from it")
        })?,
        instance: instance(&s.instance)?,
        peer: text(&s.peer, MAX_SESSION_TEXT),
        local: text(&s.local, MAX_SESSION_TEXT),
        state: SessionState::from_code(s.state)
            .ok_or_else(|| Invalid::new("sessions.state", format!("{} is not a state", s.state)))?,
        age: time("sessions.age", s.age.as_ref())?.unwrap_or_default(),
        age_at_least: s.age_at_least,
        received: flow_from_pb(s.received)?,
        sent: flow_from_pb(s.sent)?,
        rtt: time("sessions.rtt", s.rtt.as_ref())?,
        retransmits: s.retransmits,
        beat: time("sessions.beat", s.beat.as_ref())?,
        protocol: text(&s.protocol, MAX_SESSION_TEXT),
        cause: cause(s.cause),
        message: text(&s.message, MAX_MESSAGE),
    })
}

fn flow_to_pb(f: &Flow) -> pb::SessionFlow {
    pb::SessionFlow { bytes: f.bytes, messages: f.messages, silent: f.silent.map(duration), queued: f.queued }
}

fn flow_from_pb(f: Option<pb::SessionFlow>) -> Result<Flow, Invalid> {
    let f = f.unwrap_or_default();
    let silent = time("sessions.silent", f.silent.as_ref())?;
    Ok(Flow { bytes: f.bytes, messages: f.messages, silent, queued: f.queued })
}

fn summary_to_pb(s: &SessionSummary) -> pb::SessionSummary {
    pb::SessionSummary {
        open: s.open,
        cause: s.sick.iter().map(|(cause, _)| u32::from(cause.code())).collect(),
        sick: s.sick.iter().map(|(_, n)| *n).collect(),
        unwatched: s.unwatched,
        rtt: s.rtt.counts().to_vec(),
        silence: s.silence.counts().to_vec(),
        age: s.age.counts().to_vec(),
    }
}

fn summary_from_pb(s: pb::SessionSummary) -> Result<SessionSummary, Invalid> {
    Ok(SessionSummary {
        open: s.open,
        sick: by_cause("summary", &s.cause, &s.sick)?,
        unwatched: s.unwatched,
        rtt: Histogram::from_counts(&s.rtt),
        silence: Histogram::from_counts(&s.silence),
        age: Histogram::from_counts(&s.age),
    })
}

/// A gateway's numbers for the wire.
#[must_use]
pub fn counts_to_pb(gateway: u32, c: &SessionCounts) -> pb::SessionCounts {
    pb::SessionCounts {
        gateway,
        open: c.open,
        sick: c.sick,
        opened: c.opened,
        closed: c.closed,
        cause: c.closed_by_cause.iter().map(|(cause, _)| u32::from(cause.code())).collect(),
        closed_by_cause: c.closed_by_cause.iter().map(|(_, n)| *n).collect(),
    }
}

/// A gateway's numbers from the wire, with the gateway's handle.
///
/// # Errors
/// When the columns differ in length or are too long.
pub fn counts_from_pb(c: &pb::SessionCounts) -> Result<(u32, SessionCounts), Invalid> {
    let closed_by_cause = by_cause("session_counts", &c.cause, &c.closed_by_cause)?;
    let counts =
        SessionCounts { open: c.open, sick: c.sick, opened: c.opened, closed: c.closed, closed_by_cause };
    Ok((c.gateway, counts))
}

/// An end for the wire.
#[must_use]
pub fn close_to_pb(gateway: u32, c: &SessionClose) -> pb::SessionClose {
    pb::SessionClose {
        gateway,
        session: c.id.to_string(),
        source: c.source.code().into(),
        instance: c.instance.as_ref().map_or_else(String::new, ToString::to_string),
        peer: clip(&c.peer, MAX_SESSION_TEXT),
        time: Some(timestamp(c.at)),
        age: Some(duration(c.age)),
        silent_for: Some(duration(c.silent_for)),
        ended_by: c.by.code().into(),
        code: c.code.map_or(0, u32::from),
        cause: c.cause.map_or(0, |c| c.code().into()),
        message: clip(&c.message, MAX_MESSAGE),
    }
}

/// An end from the wire, with the gateway's handle.
///
/// # Errors
/// When an id, code or time is malformed.
pub fn close_from_pb(c: &pb::SessionClose) -> Result<(u32, SessionClose), Invalid> {
    let bad = |field: &str, what: String| Invalid::new(format!("session_closes.{field}"), what);
    let code = u16::try_from(c.code).map_err(|_| bad("code", format!("{} is not a close code", c.code)))?;
    let close = SessionClose {
        id: session_id("session_closes.session", &c.session)?,
        source: source(c.source)?,
        instance: instance(&c.instance)?,
        peer: text(&c.peer, MAX_SESSION_TEXT),
        at: c
            .time
            .as_ref()
            .and_then(timestamp_from)
            .ok_or_else(|| bad("time", "is missing or not a valid time".to_owned()))?,
        age: time("session_closes.age", c.age.as_ref())?.unwrap_or_default(),
        silent_for: time("session_closes.silent_for", c.silent_for.as_ref())?.unwrap_or_default(),
        by: EndedBy::from_code(c.ended_by)
            .ok_or_else(|| bad("ended_by", format!("{} is not known", c.ended_by)))?,
        code: (code != 0).then_some(code),
        cause: cause(c.cause),
        message: text(&c.message, MAX_MESSAGE),
    };
    Ok((c.gateway, close))
}

fn by_cause(field: &str, causes: &[u32], counts: &[u64]) -> Result<Vec<(Cause, u64)>, Invalid> {
    if causes.len() != counts.len() || causes.len() > MAX_CAUSES {
        return Err(Invalid::new(
            format!("{field}.cause"),
            format!("{} causes with {} counts, at most {MAX_CAUSES}", causes.len(), counts.len()),
        ));
    }
    let mut out: Vec<(Cause, u64)> = Vec::with_capacity(causes.len());
    for (code, count) in causes.iter().zip(counts) {
        let cause = cause(*code).unwrap_or(Cause::Unrecognised);
        match out.iter_mut().find(|(c, _)| *c == cause) {
            Some((_, n)) => *n = n.saturating_add(*count),
            None => out.push((cause, *count)),
        }
    }
    Ok(out)
}

fn cause(code: u32) -> Option<Cause> {
    (code != 0).then(|| u16::try_from(code).ok().and_then(Cause::from_code).unwrap_or(Cause::Unrecognised))
}

fn source(code: u32) -> Result<Source, Invalid> {
    Source::from_code(code).ok_or_else(|| Invalid::new("source", format!("{code} is not known here")))
}

fn session_id(field: &str, id: &str) -> Result<SessionId, Invalid> {
    SessionId::new(id).map_err(|e| Invalid::new(field, e))
}

fn instance(id: &str) -> Result<Option<InstanceId>, Invalid> {
    if id.is_empty() {
        return Ok(None);
    }
    InstanceId::new(id).map(Some).map_err(|e| Invalid::new("instance", e))
}

fn time(field: &str, d: Option<&prost_types::Duration>) -> Result<Option<Duration>, Invalid> {
    d.map(|d| duration_from(d).ok_or_else(|| Invalid::new(field, "is not a valid duration"))).transpose()
}

fn text(given: &str, max: usize) -> String {
    printable(&clip(given, max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::time::Timestamp;

    fn view() -> SessionView {
        SessionView {
            id: SessionId::new("r1").unwrap(),
            source: Source::Relay,
            at: Timestamp(1_700_000_000_123_456),
            instance: Some(InstanceId::new("acct-1").unwrap()),
            peer: "192.0.2.7:50000".to_owned(),
            local: "0.0.0.0:8080".to_owned(),
            state: SessionState::Open,
            age: Duration::from_secs(9),
            age_at_least: true,
            received: Flow {
                bytes: Some(7),
                messages: Some(1),
                silent: Some(Duration::from_millis(3)),
                queued: None,
            },
            sent: Flow::default(),
            rtt: Some(Duration::from_micros(812)),
            retransmits: Some(0),
            beat: None,
            protocol: "permessage-deflate".to_owned(),
            cause: Some(Cause::HalfOpen),
            message: "nothing acknowledged for 12 s".to_owned(),
        }
    }

    #[test]
    fn questions_and_answers_round_trip() {
        let gateway = GatewayId::new("chat").unwrap();
        let query = SessionQuery {
            source: Some(Source::Kernel),
            sick: true,
            order: SessionOrder::Rtt,
            after: Some((Rank(7), SessionId::new("k9").unwrap())),
            begun: Some(Timestamp(1_700_000_000_000_001)),
            limit: 20,
            ..SessionQuery::default()
        };
        let packed = question_to_pb(3, &gateway, &query);
        assert_eq!(question_from_pb(&packed), Ok((gateway, query)));

        let mut summary = SessionSummary::default();
        summary.add(&view());
        let page = SessionPage { sessions: vec![view()], more: true, summary };
        let packed = answer_to_pb(3, &Ok(page.clone()));
        assert_eq!(answer_from_pb(packed), Ok(Ok(page)));
        let packed = answer_to_pb(4, &Err("no such gateway".to_owned()));
        assert_eq!(answer_from_pb(packed), Ok(Err("no such gateway".to_owned())));
    }

    #[test]
    fn numbers_and_ends_round_trip() {
        let counts = SessionCounts {
            open: 2,
            sick: 1,
            opened: 9,
            closed: 7,
            closed_by_cause: vec![(Cause::SessionLost, 3), (Cause::IdleCut, 2)],
        };
        assert_eq!(counts_from_pb(&counts_to_pb(5, &counts)), Ok((5, counts)));
        let close = SessionClose {
            id: SessionId::new("k2a").unwrap(),
            source: Source::Kernel,
            instance: None,
            peer: "[2001:db8::1]:443".to_owned(),
            at: Timestamp(1_700_000_000_000_000),
            age: Duration::from_secs(61),
            silent_for: Duration::from_secs(60),
            by: EndedBy::Path,
            code: None,
            cause: Some(Cause::IdleCut),
            message: "cut after 60 s of silence".to_owned(),
        };
        assert_eq!(close_from_pb(&close_to_pb(5, &close)), Ok((5, close)));
    }

    #[test]
    fn what_a_hostile_agent_says_is_refused_or_defused() {
        let page = SessionPage { sessions: vec![view()], ..SessionPage::default() };
        let packed = answer_to_pb(1, &Ok(page));
        let mut bad = packed.clone();
        bad.sessions[0].state = 77;
        assert_eq!(answer_from_pb(bad).unwrap_err().field, "sessions.state");
        for time in [None, Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })] {
            let mut bad = packed.clone();
            bad.sessions[0].time = time;
            assert_eq!(answer_from_pb(bad).unwrap_err().field, "sessions.time");
        }
        let mut many = packed.clone();
        many.sessions = vec![packed.sessions[0].clone(); MAX_PAGE + 1];
        assert_eq!(answer_from_pb(many).unwrap_err().field, "sessions");
        let mut ugly = packed.clone();
        ugly.sessions[0].peer = "\u{1b}]0;x".to_owned();
        ugly.sessions[0].cause = 60_000;
        let seen = answer_from_pb(ugly).unwrap().unwrap().sessions.remove(0);
        assert_eq!((seen.peer.as_str(), seen.cause), ("\u{fffd}]0;x", Some(Cause::Unrecognised)));
        let mut ragged = counts_to_pb(1, &SessionCounts::default());
        ragged.cause.push(60);
        assert_eq!(counts_from_pb(&ragged).unwrap_err().field, "session_counts.cause");
    }
}
