//! What the detector says: trust, or suspicion with the numbers it rests on.

use std::time::Duration;

use crate::classify::short;
use crate::condition::Evidence;
use crate::time::Mono;

/// The answer to [`Detector::check`](super::Detector::check).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is overdue, or it cannot be judged yet.
    Trust,
    /// Something is overdue.
    Suspect(Suspicion),
}

impl Verdict {
    /// The suspicion, if there is one.
    #[must_use]
    pub fn suspicion(&self) -> Option<&Suspicion> {
        match self {
            Self::Trust => None,
            Self::Suspect(s) => Some(s),
        }
    }
}

/// What a deadline rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The protocol's own statement.
    Promise,
    /// Answers to our questions; `learnt` is false while there were too few.
    Answers {
        /// Whether the margin is learnt, not initial.
        learnt: bool,
    },
    /// Beats that come by themselves.
    Beats {
        /// Whether the margin is learnt, not initial.
        learnt: bool,
    },
}

/// A suspicion and its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    /// When it was first raised.
    pub since: Mono,
    /// Time since the unanswered question, or since the last sign of life where none is asked.
    pub waited: Duration,
    /// When the sign of life was expected, from the same start.
    pub expected_within: Duration,
    /// The deadline, from the same start: expectation, margin and observer's lag.
    pub allowed: Duration,
    /// How far it is exceeded.
    pub overdue: Duration,
    /// Time since anything at all arrived.
    pub silent_for: Duration,
    /// How much of the wait was the observer's own.
    pub observer_lag: Duration,
    /// The last round trip measured.
    pub last_rtt: Option<Duration>,
    /// Signs of life learnt from.
    pub samples: u32,
    /// What the deadline rests on.
    pub basis: Basis,
}

impl Suspicion {
    /// One line with the numbers of this case.
    #[must_use]
    pub fn message(&self) -> String {
        let (waited, allowed) = (short(self.waited), short(self.allowed));
        let n = self.samples;
        match self.basis {
            Basis::Promise => format!("no sign of life for {waited}, promised within {allowed}"),
            Basis::Answers { learnt: true } => {
                format!("no pong for {waited}, expected within {allowed} (learnt from {n} pings)")
            }
            Basis::Answers { learnt: false } => {
                format!("no pong for {waited}, expected within {allowed} (only {n} pings answered so far)")
            }
            Basis::Beats { .. } => {
                format!("no beat for {waited}, expected within {allowed} (learnt from {n} beats)")
            }
        }
    }

    /// The numbers as key–value pairs.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let mut out: Evidence = [
            ("waited", short(self.waited)),
            ("expected_within", short(self.expected_within)),
            ("allowed", short(self.allowed)),
            ("overdue", short(self.overdue)),
            ("silent_for", short(self.silent_for)),
            ("samples", self.samples.to_string()),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into();
        if let Some(rtt) = self.last_rtt {
            out.push(("last_rtt".to_owned(), short(rtt)));
        }
        if !self.observer_lag.is_zero() {
            out.push(("observer_lag".to_owned(), short(self.observer_lag)));
        }
        out
    }
}
