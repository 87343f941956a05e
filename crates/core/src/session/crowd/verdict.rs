//! What a crowd holds of the conditions, and when it says so: what is news, and health again and again.

use super::{Charge, Crowd, Held, Order};
use crate::cause::Cause;
use crate::classify::short;
use crate::condition::{ConditionKind, Evidence, Status};
use crate::limits::{MAX_MESSAGE, clip};
use crate::observation::Claim;
use crate::time::Mono;

/// The conditions it speaks of; the positions in [`Crowd::said`].
const KINDS: [ConditionKind; 3] = [ConditionKind::Reachable, ConditionKind::Beating, ConditionKind::Stable];

/// What was last said of a condition. At first nothing, which is as good as that nothing was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    status: Status,
    cause: Option<Cause>,
    at: Mono,
    /// The fact it rested on.
    fact: Mono,
}

/// What is held now.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    status: Status,
    cause: Option<Cause>,
    /// The newest fact behind a True.
    fact: Option<Mono>,
}

impl Verdict {
    fn of(status: Status, cause: Cause) -> Self {
        // That nothing was observed needs no saying at first, and is said by no cause.
        let cause = (cause != Cause::NotYetObserved).then_some(cause);
        Self { status, cause, fact: None }
    }

    fn healthy(fact: Mono) -> Self {
        Self { status: Status::True, cause: None, fact: Some(fact) }
    }
}

/// The words for what this step finds wrong; made only where they are news.
#[derive(Debug, Default)]
pub(super) struct Words([String; 2]);

impl Words {
    pub(super) fn reachable(&mut self, crowd: &Crowd, cause: Cause, say: impl FnOnce() -> String) {
        self.put(crowd, 0, cause, say);
    }

    pub(super) fn beating(&mut self, crowd: &Crowd, cause: Cause, say: impl FnOnce() -> String) {
        self.put(crowd, 1, cause, say);
    }

    fn put(&mut self, crowd: &Crowd, at: usize, cause: Cause, say: impl FnOnce() -> String) {
        let said = crowd.said[at];
        if said.status != Status::False || said.cause != Some(cause) {
            self.0[at] = say();
        }
    }
}

impl Charge {
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Refused(cause) | Self::Dropped(cause) => cause,
            Self::NotListening => Cause::ConnectionRefused,
            Self::Missing => Cause::NoUpstreamLink,
            Self::Cut => Cause::IdleCut,
        }
    }
}

impl Crowd {
    /// What is to be said now.
    pub(super) fn claims(&mut self, now: Mono, words: Words) -> Vec<Claim> {
        let verdicts = [self.reachable(), self.beating(), self.stable()];
        let [reachable, beating] = words.0;
        let words = [reachable, beating, String::new()];
        let mut claims = Vec::new();
        for (i, ((kind, verdict), words)) in KINDS.into_iter().zip(verdicts).zip(words).enumerate() {
            let said = self.said[i];
            let fact = verdict.fact.unwrap_or_default();
            // Half the time: the next fact may come with the next look only.
            let again = verdict.status == Status::True
                && fact > said.fact
                && now.since(said.at) >= self.config.restate / 2;
            if (verdict.status, verdict.cause) == (said.status, said.cause) && !again {
                continue;
            }
            self.said[i] = Said { status: verdict.status, cause: verdict.cause, at: now, fact };
            let message = if words.is_empty() { self.words_for(kind, verdict) } else { words };
            claims.push(Claim {
                source: self.source,
                kind,
                status: verdict.status,
                cause: match verdict.status {
                    Status::True => None,
                    Status::False | Status::Unknown => Some(verdict.cause.unwrap_or(Cause::NotYetObserved)),
                },
                message: clip(&message, MAX_MESSAGE),
                evidence: self.evidence(verdict),
                age: verdict.fact.map(|at| now.since(at)).unwrap_or_default(),
            });
        }
        claims
    }

    fn reachable(&self) -> Verdict {
        match (&self.held, self.fact) {
            (Some(Held { charge, .. }), _) => Verdict::of(Status::False, charge.cause()),
            (None, Some(fact)) => Verdict::healthy(fact),
            (None, None) => self.unknown(),
        }
    }

    fn beating(&self) -> Verdict {
        match (self.ill, self.data) {
            // Without a session there is no heartbeat to judge: what matters is why there is none.
            _ if self.open == 0 && self.held.is_some() => self.unknown(),
            (Some((cause, _)), _) => Verdict::of(Status::False, cause),
            (None, Some(data)) => Verdict::healthy(data),
            (None, None) => self.unknown(),
        }
    }

    fn stable(&self) -> Verdict {
        match self.resets[super::RESETS - 1] {
            Some(first) if self.resets[0].is_some_and(|last| last.since(first) <= super::RESET_WINDOW) => {
                Verdict::of(Status::False, Cause::MassReset)
            }
            Some(_) | None => Verdict::of(Status::Unknown, Cause::NotYetObserved),
        }
    }

    fn unknown(&self) -> Verdict {
        let cause = match self.order {
            Order::Disturbs { .. } | Order::Grace { .. } => Cause::UnderRepair,
            Order::None if self.reset => Cause::MassReset,
            Order::None => Cause::NotYetObserved,
        };
        Verdict::of(Status::Unknown, cause)
    }

    fn words_for(&self, kind: ConditionKind, verdict: Verdict) -> String {
        match (verdict.status, verdict.cause) {
            (Status::True, _) => String::new(),
            (_, Some(Cause::UnderRepair)) => "an order is being carried out".to_owned(),
            (_, Some(Cause::MassReset)) if kind == ConditionKind::Stable => {
                format!(
                    "{} times within {} sessions ended in bulk",
                    super::RESETS,
                    short(super::RESET_WINDOW)
                )
            }
            (_, Some(Cause::MassReset)) => {
                "most sessions ended at once, and nobody has come back or was refused since".to_owned()
            }
            _ if self.open == 0 => "no session is open, and none was refused".to_owned(),
            _ => "nothing new is known of the open sessions".to_owned(),
        }
    }

    fn evidence(&self, verdict: Verdict) -> Evidence {
        if verdict.status != Status::False {
            return Evidence::new();
        }
        let mut facts = vec![("sessions_open".to_owned(), self.open.to_string())];
        if verdict.cause == Some(Cause::IdleCut)
            && let Some(limit) = self.limit
        {
            facts.push(("idle_limit".to_owned(), short(limit.silence)));
        }
        facts
    }
}
