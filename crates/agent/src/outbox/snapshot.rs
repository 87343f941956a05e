//! How far the telling of everything has come.

use std::time::Duration;

use mooring_core::backoff::between;
use mooring_core::time::Mono;
use mooring_proto::agent_v1 as pb;
use rand::Rng;

/// A snapshot that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// When the healthy bulk may be told.
    bulk_at: Mono,
    begun: bool,
    /// The number of the report that ended it.
    ended: Option<u64>,
}

impl Snapshot {
    pub(super) fn new(now: Mono, spread: Duration, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self { bulk_at: now.after(between(Duration::ZERO, spread, rng)), begun: false, ended: None }
    }

    /// Whether a report of it has been made.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Whether the bulk is to be told now.
    pub(super) fn bulk(&self, now: Mono) -> bool {
        self.ended.is_none() && now >= self.bulk_at
    }

    /// The number of its last report, once that has been made.
    pub(super) fn ended(&self) -> Option<u64> {
        self.ended
    }

    /// When the bulk may be told, until it has been.
    pub(super) fn due(&self) -> Option<Mono> {
        self.ended.is_none().then_some(self.bulk_at)
    }

    /// A report was made.
    pub(super) fn sent(&mut self, report: &pb::Report) {
        self.begun |= report.snapshot_begin;
        if report.snapshot_end {
            self.ended = Some(report.sequence);
        }
    }
}
