//! One instance in memory, packed.

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Evidence, Status};
use mooring_core::id::InstanceId;
use mooring_core::phase::Phase;
use mooring_core::planner::Sickness;
use mooring_core::time::Timestamp;

/// "Not sick", where an `Option` would cost eight bytes more in every row.
const WELL: Timestamp = Timestamp(i64::MIN);

/// The words of one condition that is not True.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    kind: ConditionKind,
    message: Box<str>,
    evidence: Box<[(String, String)]>,
}

/// One instance.
#[derive(Debug)]
pub struct Row {
    /// Its id.
    pub id: InstanceId,
    /// Index of its gateway.
    pub gateway: u32,
    /// Its number in the agent's boot.
    pub handle: u32,
    /// When it last changed.
    pub revision: u64,
    since: [i64; 5],
    cause: [u16; 5],
    status: [u8; 5],
    /// When the controller learnt that it is sick (policy times run on the controller's clock); [`WELL`] while it is not.
    sick_since: Timestamp,
    #[expect(
        clippy::box_collection,
        reason = "one word in the row instead of three: almost every row has none"
    )]
    words: Option<Box<Vec<Words>>>,
}

impl Row {
    pub(super) fn new(id: InstanceId, gateway: u32, handle: u32, now: Timestamp) -> Self {
        Self {
            id,
            gateway,
            handle,
            revision: 0,
            since: [now.0; 5],
            cause: [Cause::NotYetObserved.code(); 5],
            status: [Status::Unknown.code(); 5],
            sick_since: WELL,
            words: None,
        }
    }

    pub(super) fn set(&mut self, c: &Condition, now: Timestamp) {
        let i = c.kind.index();
        self.since[i] = c.since.0;
        self.cause[i] = c.cause.map_or(0, Cause::code);
        self.status[i] = c.status.code();
        if let Some(words) = &mut self.words {
            words.retain(|w| w.kind != c.kind);
        }
        if !c.message.is_empty() || !c.evidence.is_empty() {
            let words = Words {
                kind: c.kind,
                message: c.message.as_str().into(),
                evidence: c.evidence.clone().into_boxed_slice(),
            };
            self.words.get_or_insert_default().push(words);
        }
        if self.words.as_ref().is_some_and(|w| w.is_empty()) {
            self.words = None;
        }
        let sick = self.first_false().is_some();
        self.sick_since = match (sick, self.sick_since) {
            (true, WELL) => now,
            (true, since) => since,
            (false, _) => WELL,
        };
    }

    /// The answer to one question.
    #[must_use]
    pub fn status(&self, kind: ConditionKind) -> Status {
        Status::from_code(self.status[kind.index()]).unwrap_or_default()
    }

    /// Since when, by the agent's clock.
    #[must_use]
    pub fn since(&self, kind: ConditionKind) -> Timestamp {
        Timestamp(self.since[kind.index()])
    }

    /// Why it is not True.
    #[must_use]
    pub fn cause(&self, kind: ConditionKind) -> Option<Cause> {
        Cause::from_code(self.cause[kind.index()])
    }

    /// The words of one condition.
    #[must_use]
    pub fn words(&self, kind: ConditionKind) -> (&str, &[(String, String)]) {
        self.words
            .as_ref()
            .and_then(|w| w.iter().find(|w| w.kind == kind))
            .map_or(("", &[]), |w| (&w.message, &w.evidence))
    }

    /// One condition in full.
    #[must_use]
    pub fn condition(&self, kind: ConditionKind) -> Condition {
        let (message, evidence) = self.words(kind);
        let evidence: Evidence = evidence.to_vec();
        Condition {
            kind,
            status: self.status(kind),
            cause: self.cause(kind),
            message: message.to_owned(),
            evidence,
            since: self.since(kind),
        }
    }

    /// The phase that follows from what the agent last said.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::of_brief(
            ConditionKind::ALL.into_iter().map(|k| (k, self.status(k), self.cause(k).map(Cause::handling))),
        )
    }

    /// The first False condition of the layers, wire first. `Stable` is no sickness of its own.
    fn first_false(&self) -> Option<ConditionKind> {
        ConditionKind::ALL
            .into_iter()
            .filter(|k| *k != ConditionKind::Stable)
            .find(|k| self.status(*k) == Status::False)
    }

    /// Why it is sick, if it is.
    #[must_use]
    pub fn sickness(&self) -> Option<Sickness> {
        let condition = self.first_false()?;
        Some(Sickness {
            condition,
            cause: self.cause(condition).unwrap_or(Cause::Unrecognised),
            message: self.words(condition).0.to_owned(),
            since: self.sick_since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_small() {
        assert!(std::mem::size_of::<Option<Row>>() <= 104, "{}", std::mem::size_of::<Option<Row>>());
    }

    #[test]
    fn words_come_and_go_with_sickness() {
        let mut row = Row::new(InstanceId::new("a").unwrap(), 0, 1, Timestamp(5));
        assert_eq!(row.phase(), Phase::Unknown);
        let mut c = Condition {
            kind: ConditionKind::Reachable,
            status: Status::False,
            cause: Some(Cause::ConnectionRefused),
            message: "refused".to_owned(),
            evidence: vec![("tries".to_owned(), "2".to_owned())],
            since: Timestamp(7),
        };
        row.set(&c, Timestamp(8));
        assert_eq!(row.condition(ConditionKind::Reachable), c);
        assert_eq!(row.phase(), Phase::Down);
        let sickness = row.sickness().unwrap();
        assert_eq!((sickness.cause, sickness.since), (Cause::ConnectionRefused, Timestamp(8)));
        // Another False condition later does not reset how long it has been sick.
        row.set(&Condition { kind: ConditionKind::Beating, ..c.clone() }, Timestamp(20));
        assert_eq!(row.sickness().unwrap().since, Timestamp(8));
        c = Condition { status: Status::True, cause: None, message: String::new(), evidence: vec![], ..c };
        row.set(&c, Timestamp(30));
        row.set(&Condition { kind: ConditionKind::Beating, ..c.clone() }, Timestamp(30));
        assert_eq!((row.sickness(), row.words.is_none(), row.phase()), (None, true, Phase::Healthy));
    }
}
