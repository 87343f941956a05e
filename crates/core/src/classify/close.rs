//! Why a session ended: the close code, judged with how the sessions before it ended.
//!
//! A code is what one side chose to say. `1006` (no Close frame at all) is said by a crash, a proxy's idle timeout, a
//! wrong path on servers that accept before they look, and a network that went away: only repetition tells them apart.
//! Two patterns are read from [`RecentCloses`]:
//!
//! * **dropped at once**: three ends in a row, none older than [`YOUNG`] — accept-then-terminate, the signature of a
//!   wrong path or role on servers that upgrade first and route later;
//! * **idle cut**: three ends without a Close frame whose silence before the end agrees within 2 % or half a second and
//!   is longer than [`IDLE_LEAST`] — a proxy's timeout, which is then known to the second.

use std::collections::VecDeque;
use std::time::Duration;

use super::text::{quote, short};
use crate::cause::Cause;
use crate::condition::Evidence;
use crate::diagnosis::{LinkSaw, Probe, Saw, first_opinion};
use crate::limits::{MAX_EVIDENCE_VALUE, MAX_MESSAGE, clip};
use crate::observation::Close;
use crate::time::Mono;

/// A session this young at its end was dropped at once (measured: 1–10 ms on loopback; a LAN or proxy adds some).
pub const YOUNG: Duration = Duration::from_millis(50);
/// Ends in a row that make a pattern.
pub const PATTERN: usize = 3;
/// Silences up to this long are ordinary traffic gaps, not an idle timeout.
pub const IDLE_LEAST: Duration = Duration::from_secs(5);
/// Ends remembered.
const KEPT: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Past {
    at: Mono,
    code: Option<u16>,
    age: Duration,
    silent_for: Duration,
}

/// The last few ends of this instance's sessions; those we asked for are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentCloses(VecDeque<Past>);

impl RecentCloses {
    /// Remembers an end, forgetting the oldest beyond eight.
    pub fn push(&mut self, at: Mono, close: &Close) {
        if close.by_us {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Past { at, code: close.code, age: close.age, silent_for: close.silent_for });
    }

    /// Ends not older than `window`.
    #[must_use]
    pub fn within(&self, window: Duration, now: Mono) -> usize {
        self.0.iter().filter(|p| now.since(p.at) <= window).count()
    }

    /// Forgets everything, e.g. when the gateway became another process.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Ends before this one that were, like it, without a Close frame after the same silence.
    fn same_silence(&self, silence: Duration) -> usize {
        self.0.iter().filter(|p| p.code.is_none() && agree(p.silent_for, silence)).count()
    }

    fn same_age(&self, age: Duration) -> usize {
        self.0.iter().filter(|p| agree(p.age, age)).count()
    }

    /// How many ends in a row before this one were young.
    fn young_run(&self) -> usize {
        self.0.iter().rev().take_while(|p| p.age <= YOUNG).count()
    }
}

/// Within 2 % or half a second, whichever is more.
pub(crate) fn agree(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= (b / 50).max(Duration::from_millis(500))
}

/// What an end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseVerdict {
    /// Why, named.
    pub cause: Cause,
    /// Why, in words with the numbers of this case.
    pub message: String,
    /// The facts.
    pub evidence: Evidence,
    /// The peer said it in so many words, or the history shows it: needs no second occurrence to be believed.
    pub certain: bool,
    /// The idle limit learnt, when that is the cause. A session that outlives it refutes the verdict.
    pub idle_limit: Option<Duration>,
}

/// Judges the end of a session. `recent` holds the ends before this one.
///
/// Our own closing is judged only for what made us close (a protocol violation, a message too big); otherwise it is
/// [`Cause::SessionLost`] by our own hand, which callers do not count against the gateway.
#[must_use]
pub fn cause_of_close(close: &Close, recent: &RecentCloses) -> CloseVerdict {
    let age = short(close.age);
    let reason = quote(&close.reason, 120);
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let mut certain = false;
    let mut idle_limit = None;
    let (cause, message) = if let Some(found) = violation(close) {
        found
    } else if close.by_us {
        (Cause::SessionLost, format!("closed by us after {age}"))
    } else if let Some((cause, limit, message)) = pattern(close, recent) {
        certain = true;
        idle_limit = limit;
        (cause, message)
    } else if let Some(cause) = spoken(close) {
        certain = true;
        let code = close.code.unwrap_or(1005);
        (cause, format!("closed after {age} with code {code}{said}"))
    } else {
        match close.code {
            Some(code @ (1008 | 3000 | 3003 | 4401 | 4403)) => {
                certain = true;
                (Cause::RefusedByPolicy, format!("refused after {age} with code {code}{said}"))
            }
            // An application that accepts and at once closes with a code of its own says no.
            Some(code @ 3000..=4999) if close.age < Duration::from_secs(1) => (
                Cause::RefusedByPolicy,
                format!("accepted, then refused after {age} with the application's code {code}{said}"),
            ),
            Some(1009) => {
                (Cause::MessageTooBig, format!("closed after {age}: a message was too big (1009){said}"))
            }
            Some(code @ (1011 | 1014)) => {
                (Cause::GatewayFailed, format!("the gateway failed after {age} (code {code}){said}"))
            }
            Some(code @ (1001 | 1012 | 1013)) => {
                (Cause::GatewayRestarting, format!("the gateway goes away or restarts (code {code}){said}"))
            }
            Some(code @ (1000 | 1005)) => (
                Cause::ClosedByGateway,
                format!("closed in good order after {age} (code {code}){said}{}", repeats(close, recent)),
            ),
            Some(code) => (Cause::ClosedByGateway, format!("closed after {age} with code {code}{said}")),
            None => {
                let error =
                    close.error.as_deref().map_or_else(String::new, |e| format!(": {}", quote(e, 120)));
                let silent = short(close.silent_for);
                let more = repeats(close, recent);
                (
                    Cause::SessionLost,
                    format!(
                        "ended without a Close frame after {age}, {silent} after the last sign of life{error}{more}"
                    ),
                )
            }
        }
    };
    CloseVerdict {
        cause,
        message: clip(&message, MAX_MESSAGE),
        evidence: evidence(close),
        certain,
        idle_limit,
    }
}

/// A close that says in so many words what is wrong, by the engine's own signs. What only its age or its silence would
/// speak for is left to the history: one early end is no wrong path yet.
fn spoken(close: &Close) -> Option<Cause> {
    let link = LinkSaw { age: close.age, silent_for: close.silent_for, ..LinkSaw::default() };
    let saw = Saw { established: true, close: Some(close.clone()), link: Some(link), ..Saw::default() };
    let said = |probe| first_opinion(saw.clone(), probe).filter(|opinion| opinion.sign.is_spoken());
    said(Probe::Told).or_else(|| said(Probe::Upgrade)).map(|opinion| opinion.cause)
}

/// Faults in what was sent, whoever closed because of them.
fn violation(close: &Close) -> Option<(Cause, String)> {
    let side = if close.by_us { "the gateway" } else { "the gateway says that we" };
    match close.code {
        Some(code @ (1002 | 1003 | 1007 | 1010)) => {
            let text = close.error.as_deref().unwrap_or(&close.reason);
            return Some((
                Cause::ProtocolViolated,
                format!("{side} broke the protocol (code {code}): {}", quote(text, 120)),
            ));
        }
        Some(1009) if close.by_us => {
            return Some((
                Cause::MessageTooBig,
                "the gateway sent a message larger than our limit".to_owned(),
            ));
        }
        _ => {}
    }
    // Errors of the WebSocket library, which has no code for what it could not even parse.
    let error = close.error.as_deref()?;
    let lower = error.to_ascii_lowercase();
    if lower.contains("protocol error") || lower.contains("protocol violation") {
        return Some((
            Cause::ProtocolViolated,
            format!("the gateway broke the protocol: {}", quote(error, 120)),
        ));
    }
    if lower.contains("too long") || lower.contains("too big") || lower.contains("too large") {
        return Some((
            Cause::MessageTooBig,
            format!("a message was larger than our limit: {}", quote(error, 120)),
        ));
    }
    None
}

/// What only the history shows.
fn pattern(close: &Close, recent: &RecentCloses) -> Option<(Cause, Option<Duration>, String)> {
    let plain = matches!(close.code, None | Some(1000 | 1005));
    let run = recent.young_run() + 1;
    if plain && close.age <= YOUNG && run >= PATTERN {
        let age = short(close.age);
        return Some((
            Cause::DroppedAtOnce,
            None,
            format!("accepted and dropped at once, {run} times in a row (now after {age})"),
        ));
    }
    let same = recent.same_silence(close.silent_for) + 1;
    if close.code.is_none() && close.silent_for > IDLE_LEAST && same >= PATTERN {
        let limit = short(close.silent_for);
        let message =
            format!("cut after {limit} of silence, as {} times before: an idle timeout on the way", same - 1);
        return Some((Cause::IdleCut, Some(close.silent_for), message));
    }
    None
}

/// Ends at one age, though traffic flowed: a timer in the gateway (Engine.IO ends clients that never sent their CONNECT
/// at 45.0 s, Yunzai those that left its first call unanswered at 60.0 s). Said, not believed: it has no cause of its own.
fn repeats(close: &Close, recent: &RecentCloses) -> String {
    let same = recent.same_age(close.age) + 1;
    if close.age > IDLE_LEAST && same >= PATTERN {
        format!("; the {same}. session to end at the age of {}: a timer in the gateway", short(close.age))
    } else {
        String::new()
    }
}

fn evidence(close: &Close) -> Evidence {
    let mut out = vec![
        ("close_code".to_owned(), close.code.map_or_else(|| "none".to_owned(), |c| c.to_string())),
        ("session_age".to_owned(), short(close.age)),
        ("silent_for".to_owned(), short(close.silent_for)),
    ];
    if !close.reason.is_empty() {
        out.push(("close_reason".to_owned(), clip(&quote(&close.reason, 400), MAX_EVIDENCE_VALUE)));
    }
    if let Some(error) = &close.error {
        out.push(("error".to_owned(), clip(&quote(error, 400), MAX_EVIDENCE_VALUE)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(code: Option<u16>, age_ms: u64, silent_ms: u64) -> Close {
        Close {
            code,
            reason: String::new(),
            by_us: false,
            age: Duration::from_millis(age_ms),
            silent_for: Duration::from_millis(silent_ms),
            error: None,
        }
    }

    #[test]
    fn codes() {
        use Cause as C;
        let rows = [
            (1000, C::ClosedByGateway),
            (1001, C::GatewayRestarting),
            (1002, C::ProtocolViolated),
            (1003, C::ProtocolViolated),
            (1005, C::ClosedByGateway),
            (1007, C::ProtocolViolated),
            (1008, C::RefusedByPolicy),
            (1009, C::MessageTooBig),
            (1011, C::GatewayFailed),
            (1012, C::GatewayRestarting),
            (1013, C::GatewayRestarting),
            (3000, C::RefusedByPolicy),
            (4001, C::ClosedByGateway),
        ];
        for (code, cause) in rows {
            assert_eq!(
                cause_of_close(&close(Some(code), 5000, 10), &RecentCloses::default()).cause,
                cause,
                "{code}"
            );
        }
        assert_eq!(cause_of_close(&close(None, 5000, 10), &RecentCloses::default()).cause, C::SessionLost);
        assert_eq!(
            cause_of_close(&close(Some(3002), 4, 4), &RecentCloses::default()).cause,
            C::RefusedByPolicy
        );
    }

    fn last(ends: &[Close]) -> CloseVerdict {
        let mut recent = RecentCloses::default();
        let (now, before) = ends.split_last().unwrap();
        before.iter().for_each(|c| recent.push(Mono(0), c));
        cause_of_close(now, &recent)
    }

    #[test]
    fn what_is_said_in_so_many_words_is_believed() {
        let because = |code, reason: &str| {
            let close = Close { reason: reason.to_owned(), ..close(Some(code), 40_000, 20_000) };
            let verdict = cause_of_close(&close, &RecentCloses::default());
            (verdict.cause, verdict.certain)
        };
        assert_eq!(because(1011, "keepalive ping timeout"), (Cause::KeepaliveTimeout, true));
        assert_eq!(because(1011, "oops"), (Cause::GatewayFailed, false));
        assert_eq!(because(1008, "invalid x-client-role"), (Cause::HeaderMissing, true));
        assert_eq!(because(1008, "no"), (Cause::RefusedByPolicy, true));
    }

    #[test]
    fn silences_that_agree_are_an_idle_cut() {
        let v = last(&[60_000, 60_100, 60_050].map(|s| close(None, s + 7, s)));
        assert_eq!((v.cause, v.certain), (Cause::IdleCut, true));
        assert!(v.message.contains("cut after 60 s of silence"), "{}", v.message);
        assert_eq!(v.idle_limit, Some(Duration::from_millis(60_050)));
        for silences in [[60_000, 60_100, 63_000], [60_000, 30_000, 60_000], [3_000, 3_000, 3_000]] {
            assert_eq!(last(&silences.map(|s| close(None, s, s))).cause, Cause::SessionLost, "{silences:?}");
        }
    }

    #[test]
    fn young_ends_in_a_row_are_drops() {
        assert_eq!(last(&[2, 3, 2].map(|a| close(None, a, a))).cause, Cause::DroppedAtOnce);
        assert_eq!(last(&[2, 3, 2].map(|a| close(Some(1005), a, a))).cause, Cause::DroppedAtOnce);
        assert_eq!(last(&[2, 300, 2].map(|a| close(None, a, a))).cause, Cause::SessionLost);
        assert_eq!(last(&[2, 2].map(|a| close(None, a, a))).cause, Cause::SessionLost);
    }

    #[test]
    fn one_age_is_said() {
        let v = last(&[45_000, 45_040, 45_010].map(|a| close(Some(1005), a, 100)));
        assert_eq!(v.cause, Cause::ClosedByGateway);
        assert!(v.message.contains("45 s: a timer"), "{}", v.message);
    }

    #[test]
    fn our_own_closing_is_judged_by_its_reason() {
        let by_us = |code, error: Option<&str>| Close {
            by_us: true,
            error: error.map(str::to_owned),
            ..close(code, 10, 1)
        };
        let cause = |c: Close| cause_of_close(&c, &RecentCloses::default()).cause;
        assert_eq!(cause(by_us(Some(1002), Some("reserved bits are set"))), Cause::ProtocolViolated);
        assert_eq!(
            cause(by_us(None, Some("WebSocket protocol error: invalid opcode"))),
            Cause::ProtocolViolated
        );
        assert_eq!(
            cause(by_us(None, Some("Space limit exceeded: Message too long: 9 > 8"))),
            Cause::MessageTooBig
        );
        assert_eq!(cause(by_us(Some(1000), None)), Cause::SessionLost);
        let mut recent = RecentCloses::default();
        recent.push(Mono(0), &by_us(Some(1000), None));
        assert_eq!(recent.within(Duration::from_secs(9), Mono(0)), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = RecentCloses::default();
        (0..100).for_each(|_| recent.push(Mono(0), &close(None, 1, 1)));
        assert_eq!(recent.0.len(), KEPT);
    }
}
