//! From the book to a report, within its bounds.

use mooring_core::order::Receipt;
use mooring_core::session::{MAX_CLOSES, SessionClose};
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::{ConditionChange, receipt_to_pb, to_columns};
use mooring_proto::sessions::{close_to_pb, counts_to_pb};
use prost::Message as _;

use super::Outbox;
use super::book::{Book, Key};

/// Most condition rows of one report. The controller takes four times as many.
pub(super) const MAX_ROWS: usize = 4_096;
/// Most receipts of one report. The controller takes four times as many.
const MAX_RECEIPTS: usize = 256;
/// A report is closed when it has reached this size, estimated. One more entry is far smaller than what is left to the
/// 4 MiB a message may have.
const MAX_BYTES: usize = 1 << 20;
/// What a row without details costs at most in the columns.
const ROW_BYTES: usize = 24;

/// A report in the making.
#[derive(Default)]
struct Draft {
    report: pb::Report,
    rows: Vec<ConditionChange>,
    receipts: Vec<Receipt>,
    /// Instances that are gone, with their gateways.
    gone: Vec<(u32, u32)>,
    bytes: usize,
}

impl Draft {
    fn full(&self) -> bool {
        self.rows.len() + 5 > MAX_ROWS || self.bytes >= MAX_BYTES
    }

    fn is_empty(&self) -> bool {
        let r = &self.report;
        r.gateways.is_empty()
            && r.gateways_gone.is_empty()
            && r.instances.is_empty()
            && self.gone.is_empty()
            && self.rows.is_empty()
            && self.receipts.is_empty()
            && r.session_counts.is_empty()
            && r.session_closes.is_empty()
    }

    fn receipt(&mut self, receipt: Receipt) {
        let packed = receipt_to_pb(&receipt);
        self.bytes += packed.encoded_len();
        self.report.receipts.push(packed);
        self.receipts.push(receipt);
    }

    fn tell(&mut self, key: Key, book: &mut Book) {
        match key {
            Key::Gateway(handle) => match book.gateway(handle) {
                Some(gateway) if gateway.gone => {
                    if book.knows(key) {
                        self.report.gateways_gone.push(handle);
                    }
                    book.forget_gateway(handle);
                }
                Some(_) => self.gateway(handle, book),
                None => {}
            },
            Key::Instance(handle) => match book.instance(handle) {
                Some(instance) if instance.gone => {
                    if book.knows(key) {
                        self.gone.push((instance.decl.gateway, handle));
                    }
                    book.forget_instance(handle);
                }
                Some(instance) => {
                    let gateway = instance.decl.gateway;
                    if !book.knows(Key::Gateway(gateway)) {
                        self.gateway(gateway, book);
                    }
                    self.instance(handle, book);
                }
                None => {}
            },
        }
    }

    fn gateway(&mut self, handle: u32, book: &mut Book) {
        let Some((decl, counts)) = book.gateway_told(handle) else { return };
        if let Some(decl) = decl {
            let packed = decl.to_pb();
            self.bytes += packed.encoded_len();
            self.report.gateways.push(packed);
        }
        if let Some(counts) = counts {
            let packed = counts_to_pb(handle, counts);
            self.bytes += packed.encoded_len();
            self.report.session_counts.push(packed);
        }
    }

    /// A session that ended. One of a gateway that is gone has nobody left to be told of.
    fn close(&mut self, gateway: u32, close: &SessionClose, book: &mut Book) {
        if book.gateway(gateway).is_none_or(|g| g.gone) {
            return;
        }
        if !book.knows(Key::Gateway(gateway)) {
            self.gateway(gateway, book);
        }
        let packed = close_to_pb(gateway, close);
        self.bytes += packed.encoded_len();
        self.report.session_closes.push(packed);
    }

    fn instance(&mut self, handle: u32, book: &mut Book) {
        let Some((decl, rows)) = book.instance_told(handle) else { return };
        if let Some(decl) = decl {
            let packed = decl.to_pb();
            self.bytes += packed.encoded_len();
            self.report.instances.push(packed);
        }
        for row in rows {
            let c = &row.condition;
            let evidence: usize = c.evidence.iter().map(|(k, v)| k.len() + v.len() + 8).sum();
            self.bytes +=
                ROW_BYTES + c.message.len() + evidence + row.traceparent.as_ref().map_or(0, String::len);
            self.rows.push(row);
        }
    }

    fn finish(mut self) -> (pb::Report, Vec<Receipt>) {
        // A gateway takes its instances with it, and what is gone already cannot go.
        let report = &mut self.report;
        let alone = self.gone.iter().filter(|(gateway, _)| !report.gateways_gone.contains(gateway));
        report.instances_gone = alone.map(|(_, instance)| *instance).collect();
        if !self.rows.is_empty() {
            self.report.conditions = Some(to_columns(&self.rows));
        }
        (self.report, self.receipts)
    }
}

impl Outbox {
    /// The next new report, not yet numbered; `None` when there is nothing to tell now.
    ///
    /// Things go in this order: receipts, changes oldest first, ends of sessions, then the bulk of a snapshot that is due.
    pub(super) fn compose(&mut self, now: mooring_core::time::Mono) -> Option<(pb::Report, Vec<Receipt>)> {
        let begin = self.snapshot.as_ref().is_some_and(|s| !s.begun());
        let bulk = self.snapshot.as_ref().is_some_and(|s| s.bulk(now));
        let mut draft = Draft::default();
        while draft.receipts.len() < MAX_RECEIPTS && !draft.full() {
            let Some(receipt) = self.receipts.pop_front() else { break };
            draft.receipt(receipt);
        }
        while !draft.full() {
            let Some(key) = self.book.pop() else { break };
            draft.tell(key, &mut self.book);
        }
        while draft.report.session_closes.len() < MAX_CLOSES && !draft.full() {
            let Some((gateway, close)) = self.closes.pop_front() else { break };
            draft.close(gateway, &close, &mut self.book);
        }
        if bulk {
            while !draft.full() {
                let Some(key) = self.book.next_untold() else {
                    draft.report.snapshot_end = true;
                    break;
                };
                draft.tell(key, &mut self.book);
            }
        }
        if draft.is_empty() && !draft.report.snapshot_end {
            return None;
        }
        draft.report.snapshot_begin = begin;
        Some(draft.finish())
    }
}
