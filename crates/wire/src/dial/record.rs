//! The stop-watch of a dial: one record per step, each from the end of the one before it.

use std::time::{Duration, Instant};

use mooring_core::handshake::{Established, HandshakeReport, HttpAnswer, Refusal, Step, StepRecord};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};

/// Collects steps.
pub(crate) struct Recorder {
    start: Instant,
    last: Instant,
    held: Option<Instant>,
    steps: Vec<StepRecord>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now, held: None, steps: Vec::with_capacity(11) }
    }

    /// Time since the last step ended.
    pub(crate) fn since_last(&self) -> Duration {
        self.last.elapsed()
    }

    /// Stops the watch for the next record: what follows until then (reading a body for evidence) is not its time.
    pub(crate) fn hold(&mut self) {
        self.held = Some(Instant::now());
    }

    pub(crate) fn done(&mut self, step: Step, detail: &str) {
        self.push(step, true, detail);
    }

    pub(crate) fn failed(&mut self, step: Step, detail: &str) {
        self.push(step, false, detail);
    }

    fn push(&mut self, step: Step, ok: bool, detail: &str) {
        let now = self.held.take().unwrap_or_else(Instant::now);
        self.steps.push(StepRecord {
            step,
            at: now.duration_since(self.start),
            took: now.duration_since(self.last),
            ok,
            detail: clip(detail, MAX_EVIDENCE_VALUE),
        });
        self.last = now;
    }

    pub(crate) fn into_steps(self) -> Vec<StepRecord> {
        self.steps
    }

    pub(crate) fn report(
        self,
        answer: Option<HttpAnswer>,
        outcome: Result<Established, Refusal>,
    ) -> HandshakeReport {
        HandshakeReport { steps: self.steps, answer, outcome, took: self.start.elapsed() }
    }
}
