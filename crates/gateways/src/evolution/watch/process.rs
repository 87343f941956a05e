//! The process behind all the instances: whether it can be reached, and whether it beats. Pure: what happened goes in with
//! its time, findings come out, the same for each of its instances.
//!
//! It beats if its event socket brings the pings that Engine.IO promised; without such a socket, if REST answers when it
//! is asked. A single request without an answer proves little (`fetchInstances` of a thousand rows is slow); a refused
//! connection proves all there is to prove.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Evidence, Status};
use mooring_core::time::{Mono, human};

use crate::evolution::rest::Trouble;
use crate::evolution::state::Finding;

/// So many requests in a row without an answer, and the process counts as hung.
const MISSES: u32 = 2;

/// What is known of the process.
#[derive(Debug, Default)]
pub struct Process {
    answered: Option<Mono>,
    misses: u32,
    trouble: Option<(Mono, Cause, String)>,
    socket: Socket,
}

/// What is known of its event socket.
#[derive(Debug, Default)]
enum Socket {
    /// None is wanted, or none was opened yet.
    #[default]
    None,
    Open {
        life: Mono,
        allowed: Duration,
    },
    Lost(String),
}

impl Process {
    /// It answered, whatever it said. True if it could not be reached before.
    pub fn answered(&mut self, at: Mono) -> bool {
        self.answered = self.answered.max(Some(at));
        self.misses = 0;
        self.trouble.take().is_some()
    }

    /// A request failed. True if it was no failure of reaching it, but an answer.
    pub fn failed(&mut self, at: Mono, trouble: &Trouble) -> bool {
        let Some(cause) = trouble.unreachable() else {
            self.answered(at);
            return true;
        };
        self.misses = self.misses.saturating_add(1);
        let sure =
            !matches!(cause, Cause::HandshakeTimedOut | Cause::ClosedBeforeAnswer | Cause::ServerError);
        if sure || self.misses >= MISSES {
            let since = self.trouble.as_ref().map_or(at, |(since, ..)| *since);
            self.trouble = Some((since, cause, trouble.to_string()));
        }
        false
    }

    /// The event socket is open, and promises to be heard of this often.
    pub fn socket_open(&mut self, at: Mono, allowed: Duration) {
        self.socket = Socket::Open { life: at, allowed };
    }

    /// The event socket was heard.
    pub fn socket_life(&mut self, at: Mono) {
        if let Socket::Open { life, .. } = &mut self.socket {
            *life = at;
        }
    }

    /// The event socket is gone.
    pub fn socket_lost(&mut self, why: String) {
        self.socket = Socket::Lost(why);
    }

    /// Why it cannot be reached.
    #[must_use]
    pub fn trouble(&self) -> Option<(Cause, &str)> {
        self.trouble.as_ref().map(|(_, cause, words)| (*cause, words.as_str()))
    }

    /// Whether anything was heard of it at all.
    #[must_use]
    pub fn known(&self) -> bool {
        self.answered.is_some() || self.trouble.is_some()
    }

    fn evidence(&self, now: Mono) -> Evidence {
        let age = |at: Mono| human::format(Duration::from_secs(now.since(at).as_secs()));
        let mut evidence = Evidence::new();
        if let Some(at) = self.answered {
            evidence.push(("rest.answered".to_owned(), format!("{} ago", age(at))));
        }
        match &self.socket {
            Socket::None => {}
            Socket::Open { life, allowed } => {
                evidence.push(("events.heard".to_owned(), format!("{} ago", age(*life))));
                evidence.push(("events.promise".to_owned(), human::format(*allowed)));
            }
            Socket::Lost(why) => evidence.push(("events.lost".to_owned(), why.clone())),
        }
        evidence
    }

    fn found(&self, now: Mono, status: Status, cause: Option<Cause>, message: String) -> Finding {
        let life = match &self.socket {
            Socket::Open { life, .. } => Some(*life),
            Socket::None | Socket::Lost(_) => None,
        };
        let newest = self.answered.max(life).filter(|_| status == Status::True).unwrap_or(now);
        Finding { status, cause, message, evidence: self.evidence(now), age: now.since(newest) }
    }

    /// Whether the socket brings what was promised; `None` without one.
    fn beats(&self, now: Mono) -> Option<bool> {
        match &self.socket {
            Socket::Open { life, allowed } => Some(now.since(*life) <= *allowed),
            Socket::None | Socket::Lost(_) => None,
        }
    }

    /// Reachable: do its interfaces answer?
    #[must_use]
    pub fn reachable(&self, now: Mono) -> Finding {
        match &self.trouble {
            Some((_, Cause::HandshakeTimedOut, words)) if self.beats(now) == Some(true) => {
                let words = format!("its events flow, but REST does not answer: {words}");
                self.found(now, Status::False, Some(Cause::ApiUnresponsive), words)
            }
            Some((since, cause, words)) => {
                let since = human::format(Duration::from_secs(now.since(*since).as_secs()));
                self.found(now, Status::False, Some(*cause), format!("{words}, for {since}"))
            }
            None if self.answered.is_some() => self.found(now, Status::True, None, "REST answers".to_owned()),
            None => self.found(now, Status::Unknown, Some(Cause::NotYetObserved), String::new()),
        }
    }

    /// Beating: does it do so on time?
    #[must_use]
    pub fn beating(&self, now: Mono) -> Finding {
        match (self.beats(now), &self.trouble) {
            (Some(true), _) => {
                self.found(now, Status::True, None, "its event socket keeps Engine.IO's promise".to_owned())
            }
            (Some(false), _) => self.found(
                now,
                Status::False,
                Some(Cause::HeartbeatMissed),
                "its event socket is open, but Engine.IO's pings do not come".to_owned(),
            ),
            (None, Some((_, cause, words))) => self.found(now, Status::False, Some(*cause), words.clone()),
            (None, None) if self.answered.is_some() => {
                self.found(now, Status::True, None, "REST answers each time it is asked".to_owned())
            }
            (None, None) => self.found(now, Status::Unknown, Some(Cause::NotYetObserved), String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpError;

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    fn said(f: &Finding) -> (Status, Option<Cause>) {
        (f.status, f.cause)
    }

    #[test]
    fn one_late_answer_is_none_two_are_a_hang() {
        let late = Trouble::Http(HttpError::TimedOut(Duration::from_secs(10)));
        let mut process = Process::default();
        assert_eq!(process.reachable(at(0)).status, Status::Unknown);
        process.answered(at(1));
        assert!(!process.failed(at(12), &late));
        assert_eq!(process.reachable(at(12)).status, Status::True);
        process.failed(at(23), &late);
        assert_eq!(said(&process.reachable(at(23))), (Status::False, Some(Cause::HandshakeTimedOut)));
        assert_eq!(process.beating(at(23)).status, Status::False);
        assert!(process.answered(at(30)), "it is back");
        assert_eq!(process.reachable(at(30)).status, Status::True);
    }

    #[test]
    fn a_refused_connection_is_enough_and_a_refused_key_is_an_answer() {
        let mut process = Process::default();
        process.failed(at(1), &Trouble::Http(HttpError::Connect("Connection refused (os error 111)".into())));
        assert_eq!(said(&process.reachable(at(1))), (Status::False, Some(Cause::ConnectionRefused)));
        assert!(process.failed(at(2), &Trouble::Unauthorized));
        assert_eq!(process.reachable(at(2)).status, Status::True);
    }

    #[test]
    fn the_socket_s_promise_goes_before_rest() {
        let mut process = Process::default();
        process.answered(at(1));
        process.socket_open(at(1), Duration::from_secs(45));
        process.socket_life(at(26));
        assert_eq!(process.beating(at(60)).status, Status::True);
        process.answered(at(80));
        assert_eq!(said(&process.beating(at(80))), (Status::False, Some(Cause::HeartbeatMissed)));
        process.socket_lost("closed".into());
        assert_eq!(process.beating(at(80)).status, Status::True, "REST answers");
        process.socket_open(at(90), Duration::from_secs(45));
        let late = Trouble::Http(HttpError::TimedOut(Duration::from_secs(10)));
        process.failed(at(100), &late);
        process.failed(at(110), &late);
        assert_eq!(said(&process.reachable(at(110))), (Status::False, Some(Cause::ApiUnresponsive)));
    }
}
