//! Phase: the one word that sums an instance up. Derived from its conditions by a pure function, never stored on its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cause::Handling;
use crate::condition::{Condition, ConditionKind, Status};

/// The summary of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Not enough is known to say.
    Unknown,
    /// Every condition that is known is True.
    Healthy,
    /// Serving, with something amiss: the purpose layer is False while wire and protocol are well.
    Degraded,
    /// Wire or protocol layer is False.
    Down,
    /// Up and down too often.
    Flapping,
    /// Down for a cause that only a human can mend.
    NeedsHuman,
}

impl Phase {
    /// Every phase, in order of severity for "worst first" lists (last is worst).
    pub const ALL: [Phase; 6] =
        [Self::Healthy, Self::Unknown, Self::Degraded, Self::Flapping, Self::Down, Self::NeedsHuman];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Down => "Down",
            Self::Flapping => "Flapping",
            Self::NeedsHuman => "NeedsHuman",
        }
    }

    /// 0 is best: rank in [`Phase::ALL`].
    #[must_use]
    pub fn severity(self) -> usize {
        Self::ALL.iter().position(|p| *p == self).unwrap_or(0)
    }

    /// The phase that follows from conditions. Order does not matter; absent conditions count as Unknown.
    #[must_use]
    pub fn of<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> Self {
        Self::of_brief(
            conditions.into_iter().map(|c| (c.kind, c.status, c.cause.map(crate::cause::Cause::handling))),
        )
    }

    /// As [`Phase::of`], from the bare facts.
    #[must_use]
    pub fn of_brief(conditions: impl IntoIterator<Item = (ConditionKind, Status, Option<Handling>)>) -> Self {
        let mut status = [Status::Unknown; 5];
        let mut human = false;
        for (kind, s, handling) in conditions {
            status[kind.index()] = s;
            human |= s == Status::False && handling == Some(Handling::Human);
        }
        let at = |k: ConditionKind| status[k.index()];
        if human {
            return Self::NeedsHuman;
        }
        if at(ConditionKind::Reachable) == Status::False || at(ConditionKind::Beating) == Status::False {
            return Self::Down;
        }
        if at(ConditionKind::Stable) == Status::False {
            return Self::Flapping;
        }
        if at(ConditionKind::Linked) == Status::False || at(ConditionKind::Delivering) == Status::False {
            return Self::Degraded;
        }
        if at(ConditionKind::Reachable) == Status::True {
            return Self::Healthy;
        }
        Self::Unknown
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Phase {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|p| p.name() == s).ok_or_else(|| {
            format!("`{s}` is not a phase; known: Healthy, Unknown, Degraded, Flapping, Down, NeedsHuman")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionKind::{Beating, Delivering, Linked, Reachable, Stable};
    use Status::{False, True, Unknown};

    #[test]
    fn table() {
        type Row = (&'static [(ConditionKind, Status, Option<Handling>)], Phase);
        let rows: &[Row] = &[
            (&[], Phase::Unknown),
            (&[(Reachable, Unknown, None), (Beating, True, None)], Phase::Unknown),
            (&[(Reachable, True, None)], Phase::Healthy),
            (&[(Reachable, True, None), (Beating, Unknown, None)], Phase::Healthy),
            (&[(Reachable, False, Some(Handling::Restart))], Phase::Down),
            (&[(Reachable, True, None), (Beating, False, Some(Handling::Reconnect))], Phase::Down),
            (&[(Reachable, False, Some(Handling::Human))], Phase::NeedsHuman),
            (&[(Reachable, Unknown, Some(Handling::Human))], Phase::Unknown),
            (&[(Reachable, True, None), (Stable, False, Some(Handling::Wait))], Phase::Flapping),
            (&[(Reachable, False, Some(Handling::Restart)), (Stable, False, None)], Phase::Down),
            (&[(Reachable, True, None), (Linked, False, Some(Handling::Wait))], Phase::Degraded),
            (&[(Reachable, True, None), (Delivering, False, None)], Phase::Degraded),
        ];
        for (given, want) in rows {
            assert_eq!(Phase::of_brief(given.iter().copied()), *want, "{given:?}");
        }
    }
}
