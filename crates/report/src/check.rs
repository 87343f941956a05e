//! From wire to our own types: every text bounded and made harmless, every number in range.
//!
//! What names something is refused when it is too long; what is only words is cut. Control characters become blanks, for
//! these texts end up in terminals and logs.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::id::InstanceId;
use mooring_core::limits::{MAX_LABEL, MAX_LABELS, MAX_MESSAGE, clip};
use mooring_core::order::Action;
use mooring_core::session::MAX_SESSION_TEXT;
use mooring_proto::duration_from;
use mooring_proto::report_v1 as v1;
use mooring_proto::report_v1::event::What;

use crate::meaning::{Closed, Event, MAX_LINE, Protocol, Registration};
use crate::refusal::Refusal;

/// Longest name of a connection, bytes.
pub(crate) const MAX_SESSION: usize = 128;
/// Longest name of a client, bytes.
pub(crate) const MAX_CLIENT: usize = 64;
/// Longest name of a protocol or software, bytes.
const MAX_SOFTWARE: usize = 100;
/// No event is older than this.
const OLDEST: Duration = Duration::from_secs(3600);

/// An event, checked.
pub(crate) struct Checked {
    pub session: Arc<str>,
    pub ago: Duration,
    pub event: Event,
}

pub(crate) fn instance(field: &str, name: &str) -> Result<InstanceId, Refusal> {
    InstanceId::new(name).map_err(|e| Refusal::invalid(field, e))
}

pub(crate) fn client(name: &str) -> Result<Arc<str>, Refusal> {
    named("client", name, MAX_CLIENT).map(Arc::from)
}

pub(crate) fn event(event: &v1::Event) -> Result<Checked, Refusal> {
    let ago = optional("ago", event.ago.as_ref())?.unwrap_or_default().min(OLDEST);
    let session = named("session", &event.session, MAX_SESSION)?.into();
    let what = event.what.as_ref().ok_or_else(|| {
        Refusal::invalid("event", "says nothing").hint(
            "one of registered, connecting, open, closing, closed, waitingForLogin, beat, line is needed",
        )
    })?;
    let event = match what {
        What::Registered(r) => Event::Registered(Box::new(registration(r)?)),
        What::Connecting(_) => Event::Connecting,
        What::Open(open) => Event::Open { peer: words(&open.peer, MAX_SESSION_TEXT) },
        What::Closing(_) => Event::Closing,
        What::Closed(closed) => Event::Closed(Box::new(self::closed(closed)?)),
        What::WaitingForLogin(_) => Event::WaitingForLogin,
        What::Beat(beat) => {
            Event::Beat { rtt: optional("beat.rtt", beat.rtt.as_ref())?.map(|d| d.min(OLDEST)) }
        }
        What::Line(line) => Event::Line(words(&line.text, MAX_LINE)),
    };
    Ok(Checked { session, ago, event })
}

pub(crate) fn registration(r: &v1::Registration) -> Result<Registration, Refusal> {
    if r.labels.len() > MAX_LABELS {
        return Err(Refusal::invalid(
            "labels",
            format!("{}, at most {MAX_LABELS} are allowed", r.labels.len()),
        ));
    }
    for (name, value) in &r.labels {
        if name.is_empty() || name.len() > MAX_LABEL || value.len() > MAX_LABEL {
            let problem = format!("a label's name has 1 to {MAX_LABEL} bytes, its value at most {MAX_LABEL}");
            return Err(Refusal::invalid("labels", problem));
        }
    }
    if r.can.len() > Action::ALL.len() {
        return Err(Refusal::invalid(
            "can",
            format!("{} actions, there are {}", r.can.len(), Action::ALL.len()),
        ));
    }
    let can = r.can.iter().map(|name| name.parse().map_err(|e: String| Refusal::invalid("can", e)));
    let heartbeat = r.heartbeat.as_ref().map(promise).transpose()?;
    Ok(Registration {
        protocol: Protocol::named(&r.protocol),
        protocol_name: named("protocol", &r.protocol, MAX_SOFTWARE)?.to_owned(),
        software: words(&r.software, MAX_SOFTWARE),
        labels: r.labels.iter().map(|(k, v)| (words(k, MAX_LABEL), words(v, MAX_LABEL))).collect(),
        heartbeat,
        can: can.collect::<Result<_, _>>()?,
        pid: r.pid,
    })
}

fn promise(p: &v1::HeartbeatPromise) -> Result<(Duration, Duration), Refusal> {
    let within = |field: &str, d: Option<&prost_duration::Duration>| {
        let range = Duration::from_secs(1)..=Duration::from_secs(3600);
        match optional(field, d)? {
            Some(d) if range.contains(&d) => Ok(d),
            Some(d) => Err(Refusal::invalid(field, format!("{d:?} is not between 1 s and 1 h"))),
            None => Err(Refusal::invalid(field, "is needed").hint("write it like \"10s\"")),
        }
    };
    Ok((within("heartbeat.interval", p.interval.as_ref())?, within("heartbeat.timeout", p.timeout.as_ref())?))
}

fn closed(closed: &v1::Closed) -> Result<Closed, Refusal> {
    let close_code = closed
        .close_code
        .map(|code| {
            u16::try_from(code).map_err(|_| {
                Refusal::invalid("closed.closeCode", format!("{code} is no WebSocket close code"))
            })
        })
        .transpose()?;
    let protocol = named("closed.protocol", &closed.protocol, MAX_SOFTWARE)?;
    Ok(Closed {
        code: closed.code,
        close_code,
        message: words(&closed.message, MAX_MESSAGE),
        protocol: (!protocol.is_empty()).then(|| Protocol::named(protocol)),
    })
}

pub(crate) fn optional(
    field: &str,
    d: Option<&prost_duration::Duration>,
) -> Result<Option<Duration>, Refusal> {
    d.map(|d| duration_from(d).ok_or_else(|| Refusal::invalid(field, "is negative or out of range")))
        .transpose()
}

fn named<'a>(field: &str, text: &'a str, max: usize) -> Result<&'a str, Refusal> {
    if text.len() > max {
        return Err(Refusal::invalid(field, format!("{} bytes, at most {max} are allowed", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid(field, "has control characters"));
    }
    Ok(text)
}

/// Words for people: cut, on one line.
pub(crate) fn words(text: &str, max: usize) -> String {
    // Cut before it is looked through: what is cut off may be long.
    let cut = clip(text, max);
    cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The well-known type, under a name that does not look like the standard library's.
mod prost_duration {
    pub(crate) use prost_types::Duration;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Checked, String> {
        let wire: v1::Event =
            mooring_proto::json::from_json("mooring.report.v1.Event", json.as_bytes()).unwrap();
        event(&wire).map_err(|refusal| refusal.text())
    }

    #[test]
    fn what_is_said_is_taken() {
        let closed =
            parsed(r#"{"ago":"1.5s","session":"s","closed":{"code":428,"closeCode":1006,"message":"a\nb"}}"#);
        let closed = closed.map(|c| (c.ago, c.event)).unwrap();
        assert_eq!(closed.0, Duration::from_millis(1500));
        let Event::Closed(end) = closed.1 else { panic!("closed") };
        assert_eq!((end.code, end.close_code, end.message.as_str()), (Some(428), Some(1006), "a b"));
        let registered = parsed(
            r#"{"registered":{"protocol":"baileys","heartbeat":{"interval":"10s","timeout":"5s"},"can":["reconnect"]}}"#,
        );
        let Event::Registered(r) = registered.unwrap().event else { panic!("registered") };
        assert_eq!((r.protocol, r.can), (Protocol::Baileys, vec![Action::Reconnect]));
        assert_eq!(parsed(r#"{"ago":"100000s","open":{}}"#).unwrap().ago, OLDEST);
    }

    #[test]
    fn what_is_too_much_is_refused_in_words() {
        let long = "x".repeat(200);
        for (json, says) in [
            (r"{}".to_owned(), "waitingForLogin"),
            (r#"{"ago":"-1s","open":{}}"#.to_owned(), "ago: "),
            (format!(r#"{{"session":"{long}","open":{{}}}}"#), "session: 200 bytes"),
            (r#"{"closed":{"closeCode":70000}}"#.to_owned(), "70000"),
            (r#"{"registered":{"can":["fly"]}}"#.to_owned(), "reconnect_slowly"),
            (r#"{"registered":{"heartbeat":{"interval":"10s"}}}"#.to_owned(), "heartbeat.timeout: is needed"),
            (
                r#"{"registered":{"heartbeat":{"interval":"0.1s","timeout":"1s"}}}"#.to_owned(),
                "between 1 s and 1 h",
            ),
            (format!(r#"{{"registered":{{"labels":{{"a":"{long}"}}}}}}"#), "labels"),
            (r#"{"session":"a\u001bb","open":{}}"#.to_owned(), "control"),
        ] {
            let why = parsed(&json).err().unwrap_or_default();
            assert!(why.contains(says), "{json}: {why}");
        }
        let Event::Line(text) = parsed(&format!(r#"{{"line":{{"text":"{long}{long}"}}}}"#)).unwrap().event
        else {
            panic!("a line")
        };
        assert!(text.len() <= MAX_LINE);
    }
}
