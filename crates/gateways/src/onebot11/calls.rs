//! The framework's calls that wait for an answer.
//!
//! Frameworks number their calls from one again when they restart, and the implementation answers to numbers. An answer
//! to the process before must not reach the one after it as the answer to another question, so every call is remembered
//! with the framework connection it came over, first come, first answered.

use std::collections::VecDeque;
use std::time::Duration;

use mooring_core::time::Mono;

/// Most calls remembered; beyond, the oldest is forgotten, and its answer is dropped when it comes.
pub const MOST_CALLS: usize = 1024;
/// After so many times the limit a call that was given up is forgotten altogether.
const FORGET: u32 = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    echo: String,
    connection: u64,
    at: Mono,
    given_up: bool,
}

/// What is to be done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is awaited.
    Awaited,
    /// Nobody waits any more: the framework was told something else meanwhile, or is another process.
    Stale,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Calls(VecDeque<Call>);

impl Calls {
    /// A call went out.
    pub fn asked(&mut self, now: Mono, connection: u64, echo: String) {
        if self.0.len() >= MOST_CALLS {
            self.0.pop_front();
        }
        self.0.push_back(Call { echo, connection, at: now, given_up: false });
    }

    /// An answer came in, while this connection is the framework's.
    pub fn answered(&mut self, connection: u64, echo: &str) -> Settled {
        let Some(at) = self.0.iter().position(|call| call.echo == echo) else { return Settled::Stale };
        match self.0.remove(at) {
            Some(call) if call.connection == connection && !call.given_up => Settled::Awaited,
            _ => Settled::Stale,
        }
    }

    /// The echoes of this connection's calls that are older than the limit: each is told once.
    pub fn overdue(&mut self, now: Mono, connection: u64, limit: Duration) -> Vec<String> {
        self.0.retain(|call| now.since(call.at) < limit.saturating_mul(FORGET));
        let late =
            |call: &&mut Call| !call.given_up && call.connection == connection && now.since(call.at) >= limit;
        self.0
            .iter_mut()
            .filter(late)
            .map(|call| {
                call.given_up = true;
                call.echo.clone()
            })
            .collect()
    }

    /// Nothing will be answered any more: the echoes of this connection's calls, and all are forgotten.
    pub fn abandon(&mut self, connection: u64) -> Vec<String> {
        let open = |call: &Call| call.connection == connection && !call.given_up;
        self.0.drain(..).filter(open).map(|call| call.echo).collect()
    }

    /// When the oldest call that still waits was made.
    #[must_use]
    pub fn oldest(&self, connection: u64) -> Option<Mono> {
        self.0.iter().find(|call| call.connection == connection && !call.given_up).map(|call| call.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_the_connection_that_asked() {
        let mut calls = Calls::default();
        calls.asked(Mono(1), 1, "1".to_owned());
        // The framework restarts and numbers anew.
        calls.asked(Mono(2), 2, "1".to_owned());
        assert_eq!(calls.answered(2, "1"), Settled::Stale, "the first answer is to the first call");
        assert_eq!(calls.answered(2, "1"), Settled::Awaited);
        assert_eq!(calls.answered(2, "1"), Settled::Stale, "nobody asked a third time");
    }

    #[test]
    fn what_is_late_is_told_once_and_its_answer_dropped() {
        let mut calls = Calls::default();
        let second = Duration::from_secs(1);
        calls.asked(Mono(0), 1, "a".to_owned());
        calls.asked(Mono(900_000), 1, "b".to_owned());
        assert_eq!(calls.oldest(1), Some(Mono(0)));
        assert_eq!(calls.overdue(Mono(1_000_000), 1, second), ["a"]);
        assert_eq!(calls.overdue(Mono(1_000_001), 1, second), Vec::<String>::new());
        assert_eq!(calls.oldest(1), Some(Mono(900_000)));
        assert_eq!(calls.answered(1, "a"), Settled::Stale);
        assert_eq!(calls.abandon(1), ["b"]);
        assert_eq!(calls.answered(1, "b"), Settled::Stale);
    }

    #[test]
    fn there_is_a_bound() {
        let mut calls = Calls::default();
        for i in 0..=MOST_CALLS {
            calls.asked(Mono(0), 1, i.to_string());
        }
        assert_eq!(calls.answered(1, "0"), Settled::Stale);
        assert_eq!(calls.answered(1, "1"), Settled::Awaited);
    }
}
