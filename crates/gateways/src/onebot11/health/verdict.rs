//! The four answers, from the facts.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Evidence, Status};
use mooring_core::time::Mono;

use super::{Account, End, Health, Role};

/// An answer.
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) cause: Option<Cause>,
    pub(super) message: String,
    pub(super) evidence: Evidence,
    /// When the newest fact was learnt.
    pub(super) at: Mono,
}

impl Verdict {
    pub(super) fn well(at: Mono) -> Self {
        Self { status: Status::True, cause: None, message: String::new(), evidence: Evidence::new(), at }
    }

    pub(super) fn other(status: Status, cause: Cause, message: impl Into<String>, at: Mono) -> Self {
        Self { status, cause: Some(cause), message: message.into(), evidence: Evidence::new(), at }
    }
}

impl Health {
    pub(super) fn reachable(&self, now: Mono) -> Verdict {
        let away = |ends: &BTreeMap<Role, End>| {
            ends.values().find_map(|end| match end {
                End::Away { since, cause, message, evidence } => {
                    Some((*since, *cause, message.clone(), evidence.clone()))
                }
                End::Here(_) | End::Awaited(_) => None,
            })
        };
        let missing = self.implementation.is_empty();
        let gone = away(&self.implementation);
        if (missing || gone.is_some())
            && let Some((at, cause, message, evidence)) = &self.turned_away
        {
            return Verdict {
                status: Status::False,
                cause: Some(*cause),
                message: message.clone(),
                evidence: evidence.clone(),
                at: *at,
            };
        }
        if let Some((at, cause, message, evidence)) = gone.or_else(|| away(&self.framework)) {
            return Verdict { status: Status::False, cause: Some(cause), message, evidence, at };
        }
        if missing {
            let message = "the implementation has not dialled in";
            return Verdict::other(Status::False, Cause::PeerAbsent, message, self.started);
        }
        if self.framework.values().any(|end| matches!(end, End::Awaited(_))) {
            let message = "the framework is being dialled";
            return Verdict::other(Status::Unknown, Cause::NotYetObserved, message, now);
        }
        let recent = self.replaced.iter().filter(|at| now.since(**at) < Duration::from_secs(60)).count();
        if recent >= 5 {
            let message =
                format!("two implementations with this id throw each other out: {recent} times within 60 s");
            return Verdict::other(Status::False, Cause::TakeoverWar, message, now);
        }
        let ends = self.implementation.values().chain(self.framework.values());
        let since = ends.map(End::since).max().unwrap_or(self.started);
        Verdict::well(since.max(self.heard.unwrap_or_default()))
    }

    pub(super) fn beating(&self, now: Mono) -> Verdict {
        if !self.events_here() {
            return Verdict::other(Status::Unknown, Cause::NotYetObserved, "not connected", self.started);
        }
        match (&self.late, self.interval, self.beat) {
            (Some(late), ..) => Verdict {
                status: Status::False,
                cause: Some(Cause::HeartbeatMissed),
                // The count of seconds would make a new message of each look.
                message: format!(
                    "no heartbeat within {:.1} s, and one was promised every {:.1} s",
                    late.allowed.as_secs_f64(),
                    self.interval.unwrap_or_default().as_secs_f64()
                ),
                evidence: late.evidence(),
                at: now,
            },
            (None, Some(_), Some(beat)) => Verdict::well(beat),
            _ => {
                let message = "no heartbeat came yet; in OneBot 11 it is off unless it is configured";
                Verdict::other(Status::Unknown, Cause::NotYetObserved, message, self.started)
            }
        }
    }

    pub(super) fn linked(&self) -> Verdict {
        match &self.account {
            Account::Unknown => Verdict::other(
                Status::Unknown,
                Cause::NotYetObserved,
                "nothing was said of the account",
                self.started,
            ),
            Account::Online { at, by } => {
                let mut verdict = Verdict::well(*at);
                verdict.evidence.push(("said_by".to_owned(), (*by).to_owned()));
                verdict
            }
            Account::Offline { at, words } => {
                let mut verdict = Verdict::other(Status::False, Cause::AccountOffline, words.clone(), *at);
                if self.beat.is_some_and(|beat| beat > *at) {
                    let said = "its heartbeat goes on all the same, which proves nothing";
                    verdict.evidence.push(("heartbeat".to_owned(), said.to_owned()));
                }
                verdict
            }
        }
    }

    pub(super) fn delivering(&self, now: Mono) -> Verdict {
        let unknown =
            |message: &str| Verdict::other(Status::Unknown, Cause::NotYetObserved, message, self.started);
        if self.connected().is_none() {
            return unknown("not connected");
        }
        match (self.api.failed, self.api.answered) {
            (Some(asked), _) if self.heard.is_some_and(|heard| heard > asked) => {
                let message = format!(
                    "a call was not answered within {:.1} s, while other messages arrived",
                    self.probing.timeout.as_secs_f64()
                );
                let mut verdict = Verdict::other(Status::False, Cause::ApiUnresponsive, message, now);
                if let Some(answered) = self.api.answered {
                    let ago = format!("{} s ago", now.since(answered).as_secs());
                    verdict.evidence.push(("last_answer".to_owned(), ago));
                }
                verdict
            }
            (Some(_), _) => unknown("a call was not answered, but nothing else arrived either"),
            (None, Some(answered)) => {
                let mut verdict = Verdict::well(answered);
                if let Some(rtt) = self.api.rtt {
                    verdict
                        .evidence
                        .push(("api_rtt".to_owned(), format!("{:.1} ms", rtt.as_secs_f64() * 1e3)));
                }
                verdict
            }
            (None, None) => unknown("no call was answered yet"),
        }
    }
}
