//! What a reported end means: the table of [`mooring_core::diagnosis::codes`] for the protocols that have codes of their own,
//! and the WebSocket's for everybody else.
//!
//! Baileys' numbers say less than they seem to, so the real close code stands beside the number as evidence. What must not
//! be retried is named so that nothing retries it.

use std::time::Duration;

use mooring_core::cause::{Cause, Handling};
use mooring_core::classify::{RecentCloses, cause_of_close};
use mooring_core::condition::Evidence;
use mooring_core::diagnosis::codes::{self, End, History, Weight};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Close;
use mooring_core::time::Mono;

use super::event::{Closed, Protocol};

/// The age that is taken for a session's that was never open: old enough to be none of the patterns of the young.
const NO_AGE: Duration = Duration::from_secs(30);

/// What is known beside the end itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// Whose codes these are.
    pub protocol: Protocol,
    /// When it ended.
    pub at: Mono,
    /// How long the session was open; `None`: it never was.
    pub open_for: Option<Duration>,
    /// The ends before it, by their codes ...
    pub history: &'a History,
    /// ... and as closes of a WebSocket.
    pub recent: &'a RecentCloses,
}

/// What an end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub cause: Cause,
    pub weight: Weight,
    pub message: String,
    pub evidence: Evidence,
}

impl Verdict {
    /// Whether the wire is to blame too: then a reconnect may help. A refusal by the other end came over a wire that works.
    pub fn blames_wire(&self) -> bool {
        self.cause.handling() != Handling::Human
    }
}

/// Judges an end.
pub(super) fn judge(closed: &Closed, context: &Context<'_>) -> Verdict {
    let protocol = closed.protocol.unwrap_or(context.protocol);
    let mut evidence = evidence(closed, context);
    let (cause, weight, message) = match protocol {
        Protocol::Baileys => {
            let end = End { protocol, code: closed.code, message: &closed.message };
            let ruling = codes::judge(&end, context.at, context.history);
            if !ruling.human.is_empty() {
                evidence.push(("to.do".to_owned(), ruling.human.to_owned()));
            }
            (ruling.cause, ruling.weight, ruling.message)
        }
        Protocol::WebSocket => websocket(closed, context),
    };
    Verdict { cause, weight, message: clip(&message, MAX_MESSAGE), evidence }
}

/// The WebSocket's own codes. A number outside their range says nothing but that it is closed.
fn websocket(closed: &Closed, context: &Context<'_>) -> (Cause, Weight, String) {
    let own = closed.code.and_then(|code| u16::try_from(code).ok()).filter(|c| (1000..5000).contains(c));
    let Some(code) = closed.close_code.or(own) else {
        let text = closed.code.map_or_else(|| "without a code".to_owned(), |c| format!("with code {c}"));
        return (Cause::ReportedClosed, Weight::Fault, format!("closed {text}{}", said(closed)));
    };
    let close = Close {
        // What libraries report where there was no Close frame.
        code: (code != 1006).then_some(code),
        reason: closed.message.clone(),
        by_us: false,
        age: context.open_for.unwrap_or(NO_AGE),
        silent_for: Duration::ZERO,
        error: None,
    };
    let none = RecentCloses::default();
    let verdict = cause_of_close(&close, if context.open_for.is_some() { context.recent } else { &none });
    (verdict.cause, Weight::Fault, verdict.message)
}

fn said(closed: &Closed) -> String {
    if closed.message.is_empty() { String::new() } else { format!(": {}", closed.message) }
}

fn evidence(closed: &Closed, context: &Context<'_>) -> Evidence {
    let mut out = Evidence::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push((key.to_owned(), value));
        }
    };
    put("reported.code", closed.code.map(|c| c.to_string()));
    put("close.code", closed.close_code.map(|c| c.to_string()));
    put("reported.message", (!closed.message.is_empty()).then(|| clip(&closed.message, 200)));
    put("open_for", context.open_for.map(|d| format!("{:.1} s", d.as_secs_f64())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(protocol: Protocol, closed: &Closed) -> Verdict {
        let (history, recent) = (History::default(), RecentCloses::default());
        let open_for = Some(Duration::from_secs(600));
        judge(closed, &Context { protocol, at: Mono(1), open_for, history: &history, recent: &recent })
    }

    fn closed(code: impl Into<Option<i32>>, message: &str) -> Closed {
        Closed { code: code.into(), message: message.to_owned(), ..Closed::default() }
    }

    #[test]
    fn a_refusal_by_the_other_end_came_over_a_wire_that_works() {
        for rule in codes::RULES {
            let verdict =
                judged(rule.protocol, &closed(rule.code, rule.words.first().copied().unwrap_or("")));
            assert_eq!(verdict.cause, rule.cause, "{rule:?}");
            assert_eq!(verdict.blames_wire(), rule.cause.handling() != Handling::Human, "{rule:?}");
            let to_do = verdict.evidence.iter().find(|(key, _)| key == "to.do");
            assert_eq!(to_do.is_some(), !verdict.blames_wire(), "{rule:?}");
        }
    }

    #[test]
    fn the_websockets_own_codes_for_everybody_else() {
        let table = [
            (Some(1000), Cause::ClosedByGateway),
            (Some(1001), Cause::GatewayRestarting),
            (Some(1002), Cause::ProtocolViolated),
            (Some(1006), Cause::SessionLost),
            (Some(1008), Cause::RefusedByPolicy),
            (Some(1009), Cause::MessageTooBig),
            (Some(1011), Cause::GatewayFailed),
            (Some(1012), Cause::GatewayRestarting),
            (Some(4999), Cause::ClosedByGateway),
            (Some(428), Cause::ReportedClosed),
            (Some(-1), Cause::ReportedClosed),
            (None, Cause::ReportedClosed),
        ];
        for (code, cause) in table {
            assert_eq!(judged(Protocol::WebSocket, &closed(code, "")).cause, cause, "{code:?}");
        }
        // The real close code wins over the protocol's own; one end may speak another protocol than it registered.
        let both = Closed { close_code: Some(1011), ..closed(77, "") };
        assert_eq!(judged(Protocol::WebSocket, &both).cause, Cause::GatewayFailed);
        let other = Closed { protocol: Some(Protocol::Baileys), ..closed(440, "") };
        assert_eq!(judged(Protocol::WebSocket, &other).cause, Cause::SessionReplaced);
    }

    #[test]
    fn the_invented_code_and_the_real_one_stand_side_by_side() {
        let end = Closed { close_code: Some(1006), ..closed(428, "Connection Terminated") };
        let evidence = judged(Protocol::Baileys, &end).evidence;
        let has = |k: &str, v: &str| evidence.iter().any(|(key, value)| key == k && value == v);
        assert!(has("reported.code", "428") && has("close.code", "1006"), "{evidence:?}");
    }
}
