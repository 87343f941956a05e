//! The examination itself: look, ask the engine, look again.

use std::time::Duration;

use mooring_core::diagnosis::{Case, Diagnosis, Finding, Want, diagnose, wanted};
use tokio::time::{Instant, sleep_until};

use crate::exam::Exam;
use crate::probe;

/// Most probes of one examination.
pub const MAX_PROBES: usize = 40;

/// An examination that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Examination {
    /// Everything that was found.
    pub case: Case,
    /// What it means.
    pub diagnosis: Diagnosis,
    /// How long it took.
    pub took: Duration,
    /// The bound on probes was reached, or it was told to end, before everything worth asking was asked.
    pub cut_short: bool,
}

/// Examines; `seen` is told of each finding as it is made. Dropping the future half-way closes sockets at once, which is
/// rude to what is examined: let it run to its end, or end it early with [`Exam::stop`].
pub async fn examine(exam: &Exam, mut seen: impl FnMut(&Case, &Finding)) -> Examination {
    let started = Instant::now();
    let mut case = exam.case();
    let mut done: Vec<Want> = Vec::new();
    let mut next_at = started;
    let mut cut_short = false;
    while let Some(want) = wanted(&case).into_iter().find(|want| !done.contains(want)) {
        if done.len() >= MAX_PROBES || exam.stop.is_stopped() {
            cut_short = true;
            break;
        }
        done.push(want);
        sleep_until(next_at).await;
        let findings = Box::pin(probe::take(exam, want)).await;
        // One probe at a time, with a pause: a crowd of dials is what it is meant to find, not to be.
        next_at = Instant::now() + exam.pace;
        if findings.is_empty() {
            // It cannot be done here: nobody must wait for it.
            case.without.push(want.probe);
        }
        for finding in findings {
            seen(&case, &finding);
            case.push(finding);
        }
    }
    cut_short |= exam.stop.is_stopped();
    let diagnosis = diagnose(&case);
    Examination { case, diagnosis, took: started.elapsed(), cut_short }
}
