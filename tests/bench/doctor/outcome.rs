//! What an examination came to, held against what is so.

use std::time::Duration;

use mooring_core::cause::{Cause, Lang};
use mooring_core::diagnosis::Probe;
use mooring_tests::faults::Fault;
use mooring_tests::faults::judge::{Eyes, Judged};

/// How it stands to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The cause was named; what is well was called so.
    Right,
    /// From where it was looked at, the fault looks the same as another one, and that was named.
    Alike,
    /// No verdict, and the cause is among those thought of.
    NotSure,
    /// No verdict, and the cause is not among them.
    Missed,
    /// Another cause was named.
    Wrong,
    /// Something was found where nothing is wrong.
    FalseAlarm,
}

impl Outcome {
    /// In a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Alike => "alike",
            Self::NotSure => "not sure",
            Self::Missed => "**missed**",
            Self::Wrong => "**wrong**",
            Self::FalseAlarm => "**false alarm**",
        }
    }
}

/// What was said; the columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// A verdict.
    Cause(Cause),
    /// That it is well.
    Well,
    /// Candidates, and that none is certain; or that nothing known fits.
    NotSure,
}

/// One examination.
#[derive(Debug)]
pub struct Row {
    /// Of what.
    pub fault: Fault,
    /// From where; `None`: there is one place only.
    eyes: Option<Eyes>,
    /// What was said.
    pub said: Said,
    /// How that is.
    pub outcome: Outcome,
    /// The first candidate, whether or not it makes a verdict.
    pub first: Option<Cause>,
    /// How sure it is, in words and of a hundred.
    pub sureness: String,
    /// The second candidate.
    pub runner_up: Option<(Cause, u8)>,
    /// Verdicts besides: a second fault was seen.
    pub besides: Vec<Cause>,
    /// Probes that found something.
    pub probes: usize,
    /// From the first probe until it was said.
    pub took: Duration,
    /// What died.
    pub dead: Vec<String>,
}

impl Row {
    /// Holds it against the fault.
    pub fn new(fault: Fault, eyes: Option<Eyes>, judged: &Judged, dead: Vec<String>) -> Self {
        let over = &judged.examination;
        let faults = &over.diagnosis.faults;
        // The fault the verdict is of; without one, the first.
        let main = faults.iter().find(|f| f.verdict().is_some()).or(faults.first());
        let verdict = judged.verdict();
        let candidates = main.map_or(&[][..], |f| &f.candidates);
        let (said, first) = match (verdict, over.diagnosis.healthy()) {
            (Some(cause), _) => (Said::Cause(cause), candidates.first()),
            (None, true) => (Said::Well, None),
            (None, false) => (Said::NotSure, candidates.first()),
        };
        let all = judged.candidates();
        let outcome = match (fault.cause, said) {
            (None, Said::Well) => Outcome::Right,
            (None, _) => Outcome::FalseAlarm,
            (Some(cause), Said::Cause(named)) if named == cause => Outcome::Right,
            // The honest others count where not everything was to be seen: from one place.
            (Some(_), Said::Cause(named)) if eyes != Some(Eyes::All) && fault.also.contains(&named) => {
                Outcome::Alike
            }
            (Some(_), Said::Cause(_) | Said::Well) => Outcome::Wrong,
            (Some(cause), Said::NotSure) if all.iter().any(|(c, _)| *c == cause) => Outcome::NotSure,
            (Some(_), Said::NotSure) => Outcome::Missed,
        };
        let mut probes: Vec<(usize, Probe)> = over.case.findings.iter().map(|f| (f.place, f.probe)).collect();
        probes.retain(|(_, probe)| *probe != Probe::Told);
        probes.sort_unstable();
        probes.dedup();
        Self {
            fault,
            eyes,
            said,
            outcome,
            first: first.map(|c| c.cause),
            sureness: first
                .map_or_else(String::new, |c| format!("{} ({})", c.sureness().words(Lang::En), c.score)),
            runner_up: candidates.get(1).map(|c| (c.cause, c.score)),
            besides: faults.iter().filter_map(|f| f.verdict()).map(|c| c.cause).skip(1).collect(),
            probes: probes.len(),
            took: over.took,
            dead,
        }
    }

    /// Whether it belongs to the table of what is seen from there.
    pub fn seen_by(&self, eyes: Eyes) -> bool {
        self.eyes.is_none_or(|mine| mine == eyes)
    }

    /// What was to be said.
    pub fn expected(&self) -> Said {
        self.fault.cause.map_or(Said::Well, Said::Cause)
    }
}
