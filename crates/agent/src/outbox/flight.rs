//! Reports that were numbered and are not acknowledged yet.

use std::collections::VecDeque;

use mooring_core::order::Receipt;
use mooring_proto::agent_v1 as pb;

#[derive(Debug)]
struct Sent {
    report: pb::Report,
    receipts: Vec<Receipt>,
}

/// The reports under way, by number without gaps.
#[derive(Debug, Default)]
pub(super) struct Flight {
    sent: VecDeque<Sent>,
    last: u64,
    /// How many of `sent`, from the front, were sent on the present stream.
    told: usize,
    /// Only one report at a time until this number is acknowledged: see [`Flight::wait_for`].
    probe: Option<u64>,
}

impl Flight {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last
    }

    /// Whether another report may not be made now.
    pub(super) fn is_full(&self, window: usize) -> bool {
        self.sent.len() >= if self.probe.is_some() { 1 } else { window }
    }

    /// Numbers a report and keeps it.
    pub(super) fn launch(&mut self, mut report: pb::Report, receipts: Vec<Receipt>) -> pb::Report {
        self.last += 1;
        report.sequence = self.last;
        self.sent.push_back(Sent { report: report.clone(), receipts });
        self.told = self.sent.len();
        report
    }

    /// Forgets what is durable. A number that was never given is not believed beyond the last one that was.
    pub(super) fn acknowledged(&mut self, sequence: u64) -> Vec<Receipt> {
        let mut durable = Vec::new();
        while self.sent.front().is_some_and(|s| s.report.sequence <= sequence) {
            if let Some(sent) = self.sent.pop_front() {
                durable.extend(sent.receipts);
                self.told = self.told.saturating_sub(1);
            }
        }
        if self.probe.is_some_and(|p| sequence >= p) {
            self.probe = None;
        }
        durable
    }

    /// Whether what is kept is exactly what comes after this number.
    pub(super) fn continues_after(&self, sequence: u64) -> bool {
        match self.sent.front() {
            Some(first) => first.report.sequence == sequence + 1,
            None => sequence == self.last,
        }
    }

    /// The controller has numbers that were never given: the next ones come after them.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.last = self.last.max(sequence);
    }

    /// A new stream: everything is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.told = 0;
        self.probe = None;
    }

    /// The next report that the present stream has not seen.
    pub(super) fn send_again(&mut self) -> Option<pb::Report> {
        let again = self.sent.get(self.told)?.report.clone();
        self.told += 1;
        Some(again)
    }

    /// The number of the report that follows those that are given up on the present stream.
    pub(super) fn lost(&self) -> u64 {
        self.last + 1
    }

    /// After reports were given up on an open stream, the controller may still be busy with some of them, and what it
    /// has not acknowledged counts against the window. One report at a time fits whatever happened: at least one of the
    /// old ones never arrived, or nothing would have been asked for again.
    pub(super) fn wait_for(&mut self, sequence: u64) {
        self.probe = Some(sequence);
    }

    /// Gives up everything under way. Returns the receipts that were in it, oldest first.
    pub(super) fn drop_all(&mut self) -> Vec<Receipt> {
        self.told = 0;
        self.probe = None;
        self.sent.drain(..).flat_map(|s| s.receipts).collect()
    }
}
