//! What a reported end means: a table per protocol, and the WebSocket's own codes for everybody else.
//!
//! Baileys invents HTTP-like numbers for what it saw (measured on 7.0.0-rc14). They say less than they seem to: every
//! close of the WebSocket is 428, whatever its code, and 408 is a lost connection, a refused dial, and a QR code that
//! nobody scanned. So the words decide 408, and the real close code stands beside the number as evidence. What must not
//! be retried is named so that nothing retries it: 401, 402, 403, 405, 406, 411 and 440 are for people.

use std::time::Duration;

use mooring_core::cause::{Cause, Handling};
use mooring_core::classify::{RecentCloses, cause_of_close};
use mooring_core::condition::Evidence;
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Close;

use super::event::{Closed, Protocol};

/// For how long a 515 (restart required, normal after pairing) is no fault, and a 401 after it is not believed.
pub const RESTART_GRACE: Duration = Duration::from_secs(30);
/// Bad sessions (500) in a row, without one login between them, until a human is called.
pub const BAD_SESSIONS: u32 = 3;

/// What is known beside the end itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// Whose codes these are.
    pub protocol: Protocol,
    /// How long the session was open; `None`: it never was.
    pub open_for: Option<Duration>,
    /// Since the gateway last said that it restarts on purpose.
    pub since_restart: Option<Duration>,
    /// A 401 was doubted already and nothing has opened since.
    pub doubted: bool,
    /// Bad sessions in a row before this one.
    pub bad_sessions: u32,
    /// How the sessions before it ended.
    pub recent: &'a RecentCloses,
}

/// How an end is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// As a fault, now.
    Fault,
    /// As none, unless nothing better has come within this time.
    After(Duration),
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
    let (cause, weight, message) = match closed.protocol.unwrap_or(context.protocol) {
        Protocol::Baileys => baileys(closed, context),
        Protocol::WebSocket => websocket(closed, context),
    };
    Verdict { cause, weight, message: clip(&message, MAX_MESSAGE), evidence: evidence(closed, context) }
}

fn baileys(closed: &Closed, context: &Context<'_>) -> (Cause, Weight, String) {
    let after_restart = context.since_restart.is_some_and(|since| since < RESTART_GRACE);
    let words = said(closed);
    let fault = |cause, text: &str| (cause, Weight::Fault, format!("{text}{words}"));
    match closed.code {
        Some(515) => (
            Cause::ReportedClosed,
            Weight::After(RESTART_GRACE),
            format!("restarts as it does after pairing (515){words}"),
        ),
        Some(401) if after_restart && !context.doubted => (
            Cause::LoginRevoked,
            Weight::After(RESTART_GRACE),
            format!("logged out (401) right after a restart, which is not believed at once{words}"),
        ),
        Some(401) => fault(Cause::LoginRevoked, "logged out (401)"),
        Some(440) => fault(Cause::SessionReplaced, "another client took the session over (440)"),
        Some(code @ (402 | 403 | 406)) => {
            fault(Cause::AccountForbidden, &format!("the account is refused ({code})"))
        }
        Some(405) => fault(Cause::ClientOutdated, "the client's version is refused (405)"),
        Some(411) => fault(Cause::AccountForbidden, "the account is not set up for linked devices (411)"),
        Some(408) if is_qr_expiry(&closed.message) => {
            fault(Cause::PairingNeeded, "nobody scanned the QR code in time (408)")
        }
        Some(500) if context.bad_sessions + 1 >= BAD_SESSIONS => fault(
            Cause::RefusedByPolicy,
            &format!(
                "bad session (500) {} times in a row: look at the stored keys, and delete none without a copy",
                context.bad_sessions + 1
            ),
        ),
        Some(500) => fault(Cause::ReportedClosed, "bad session (500)"),
        Some(503) => fault(Cause::ReportedClosed, "the service is unavailable (503)"),
        Some(428) => fault(Cause::ReportedClosed, "the connection was closed (428)"),
        Some(408) => fault(Cause::ReportedClosed, "the connection was lost or never came about (408)"),
        Some(code) => fault(Cause::ReportedClosed, &format!("closed with code {code}")),
        None => fault(Cause::ReportedClosed, "closed without a code"),
    }
}

/// Baileys says `QR refs attempts ended`.
fn is_qr_expiry(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    lower.contains("qr refs") || lower.contains("qr code")
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
        // What never opened has no age to judge by; old enough to be none of the patterns of the young.
        age: context.open_for.unwrap_or(RESTART_GRACE),
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

    fn context(protocol: Protocol, recent: &RecentCloses) -> Context<'_> {
        Context {
            protocol,
            open_for: Some(Duration::from_secs(600)),
            since_restart: None,
            doubted: false,
            bad_sessions: 0,
            recent,
        }
    }

    fn closed(code: impl Into<Option<i32>>, message: &str) -> Closed {
        Closed { code: code.into(), message: message.to_owned(), ..Closed::default() }
    }

    #[test]
    fn every_code_of_baileys() {
        use Cause::{
            AccountForbidden, ClientOutdated, LoginRevoked, PairingNeeded, ReportedClosed, SessionReplaced,
        };
        let table: [(Option<i32>, &str, Cause, bool); 18] = [
            (Some(428), "Connection Terminated", ReportedClosed, true),
            (Some(428), "Connection Terminated by Server", ReportedClosed, true),
            (Some(408), "Connection was lost", ReportedClosed, true),
            (Some(408), "WebSocket Error (connect ECONNREFUSED 127.0.0.1:1)", ReportedClosed, true),
            (Some(408), "Timed Out", ReportedClosed, true),
            (Some(408), "QR refs attempts ended", PairingNeeded, false),
            (Some(503), "Stream Errored", ReportedClosed, true),
            (Some(500), "Stream Errored (ack)", ReportedClosed, true),
            (Some(440), "Stream Errored (conflict)", SessionReplaced, false),
            (Some(401), "Connection Failure", LoginRevoked, false),
            (Some(401), "Stream Errored (conflict)", LoginRevoked, false),
            (Some(403), "Connection Failure", AccountForbidden, false),
            (Some(402), "", AccountForbidden, false),
            (Some(406), "", AccountForbidden, false),
            (Some(405), "Connection Failure", ClientOutdated, false),
            (Some(411), "Multi-device beta not joined", AccountForbidden, false),
            (Some(999), "", ReportedClosed, true),
            (None, "stopped by hand", ReportedClosed, true),
        ];
        let none = RecentCloses::default();
        for (code, message, cause, wire) in table {
            let verdict = judge(&closed(code, message), &context(Protocol::Baileys, &none));
            assert_eq!(verdict.cause, cause, "{code:?} {message}");
            assert_eq!(verdict.weight, Weight::Fault, "{code:?} {message}");
            assert_eq!(verdict.blames_wire(), wire, "{code:?} {message}");
            assert!(verdict.message.ends_with(message), "{}", verdict.message);
        }
    }

    #[test]
    fn a_restart_after_pairing_is_expected_and_a_401_in_its_wake_doubted_once() {
        let none = RecentCloses::default();
        let mut context = context(Protocol::Baileys, &none);
        let restart = judge(&closed(515, "Stream Errored (restart required)"), &context);
        assert_eq!(restart.weight, Weight::After(RESTART_GRACE));
        context.since_restart = Some(Duration::from_secs(29));
        let revoked = |context: &Context<'_>| judge(&closed(401, "Connection Failure"), context);
        assert_eq!(revoked(&context).weight, Weight::After(RESTART_GRACE));
        context.doubted = true;
        assert_eq!((revoked(&context).cause, revoked(&context).weight), (Cause::LoginRevoked, Weight::Fault));
        context.doubted = false;
        context.since_restart = Some(RESTART_GRACE);
        assert_eq!(revoked(&context).weight, Weight::Fault);
    }

    #[test]
    fn the_third_bad_session_is_for_a_human() {
        let none = RecentCloses::default();
        let mut context = context(Protocol::Baileys, &none);
        let handling = |context: &Context<'_>| judge(&closed(500, "x"), context).cause.handling();
        for (before, want) in [(0, Handling::Reconnect), (1, Handling::Reconnect), (2, Handling::Human)] {
            context.bad_sessions = before;
            assert_eq!(handling(&context), want, "{before}");
        }
    }

    #[test]
    fn the_websockets_own_codes_for_everybody_else() {
        let none = RecentCloses::default();
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
            let verdict = judge(&closed(code, ""), &context(Protocol::WebSocket, &none));
            assert_eq!(verdict.cause, cause, "{code:?}");
        }
        // The real close code wins over the protocol's own; one end may speak another protocol than it registered.
        let both = Closed { close_code: Some(1011), ..closed(77, "") };
        assert_eq!(judge(&both, &context(Protocol::WebSocket, &none)).cause, Cause::GatewayFailed);
        let other = Closed { protocol: Some(Protocol::Baileys), ..closed(440, "") };
        assert_eq!(judge(&other, &context(Protocol::WebSocket, &none)).cause, Cause::SessionReplaced);
    }

    #[test]
    fn the_invented_code_and_the_real_one_stand_side_by_side() {
        let none = RecentCloses::default();
        let end = Closed { close_code: Some(1006), ..closed(428, "Connection Terminated") };
        let evidence = judge(&end, &context(Protocol::Baileys, &none)).evidence;
        let has = |k: &str, v: &str| evidence.iter().any(|(key, value)| key == k && value == v);
        assert!(has("reported.code", "428") && has("close.code", "1006"), "{evidence:?}");
    }
}
