//! The order of receipts, journal and acknowledgement.

use std::sync::Arc;

use mooring_core::id::{BootId, OrderId};
use mooring_core::order::{Receipt, Stage};
use mooring_store::memory::MemoryStore;
use mooring_store::{AgentStore, Attach, Changes, Delta};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::intake::Taken;
use super::super::settle::{Overtaken, Settling};
use super::*;
use crate::database::{Database, now};
use crate::fleet::Fleet;
use crate::journal::journal;
use crate::metrics::Metrics;
use crate::orders::{Slip, Slips, desk};

struct World {
    store: Arc<MemoryStore>,
    settling: Settling,
    slips: Slips,
    epoch: u64,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let attach = Attach {
            agent: agent(),
            boot: BootId(Uuid::from_u128(1)),
            node: String::new(),
            version: String::new(),
            now: now(),
        };
        let epoch = store.attach(&attach).await.unwrap().epoch;
        let (journal, writer) = journal();
        let stop = CancellationToken::new();
        let (_, reload) = tokio::sync::watch::channel(0);
        let tokens =
            mooring_runtime::lifecycle::Tokens { soft: stop.clone(), hard: CancellationToken::new(), reload };
        let (fleet, database) = (Fleet::default(), Database::default());
        tokio::spawn(writer.run(Arc::clone(&store) as _, fleet, database, Metrics::default(), tokens));
        let (desk, slips) = desk();
        let settling = Settling::new(agent(), journal, desk);
        Self { store, settling, slips, epoch, _stop: stop.drop_guard() }
    }

    fn put(&mut self, sequence: u64, receipts: &[Stage]) {
        let one = |stage: &Stage| Receipt {
            order: OrderId(Uuid::from_u128(u128::from(sequence))),
            stage: *stage,
            at: Timestamp(1),
            message: String::new(),
            output: String::new(),
            traceparent: None,
        };
        let changes = Changes::default();
        let (epoch, events) = (self.epoch, Vec::new());
        let delta = Delta { agent: agent(), epoch, sequence, synced: None, changes, events };
        self.settling.put(Taken { delta, receipts: receipts.iter().map(one).collect(), in_sync: true });
    }

    /// The next receipt on the desk, answered as the clerk would.
    async fn clerk(&mut self) -> (OrderId, Stage) {
        match self.slips.slips.recv().await {
            Some(Slip::Receipt { receipt, reply, .. }) => {
                reply.send(Ok(())).unwrap();
                (receipt.order, receipt.stage)
            }
            _ => panic!("a receipt was expected"),
        }
    }

    async fn durable(&self) -> u64 {
        self.store.agents().await.unwrap()[0].last_sequence
    }
}

#[tokio::test]
async fn a_report_is_not_durable_before_its_receipts_are() {
    let mut w = World::new().await;
    w.put(1, &[]);
    w.put(2, &[Stage::Accepted, Stage::Started]);
    w.put(3, &[]);
    w.put(4, &[Stage::Done]);
    assert_eq!(w.settling.len(), 4, "all of them count against the window");
    assert_eq!(w.settling.next().await, Ok((1, true)));
    // The clerk is slow: whoever attaches now is told that 1 is durable, and will tell 2 again.
    let waits = tokio::time::timeout(std::time::Duration::from_millis(50), w.settling.next()).await;
    assert!(waits.is_err());
    assert_eq!(w.durable().await, 1);
    let World { settling, slips, .. } = &mut w;
    let mut seen = Vec::new();
    let mut acknowledged = Vec::new();
    loop {
        tokio::select! {
            settled = settling.next() => {
                acknowledged.push(settled.unwrap().0);
                if acknowledged.len() == 3 { break; }
            }
            slip = slips.slips.recv() => if let Some(Slip::Receipt { receipt, reply, .. }) = slip {
                seen.push(receipt.stage);
                reply.send(Ok(())).unwrap();
            }
        }
    }
    assert_eq!(seen, [Stage::Accepted, Stage::Started, Stage::Done], "in their order, each once");
    assert_eq!(acknowledged, [2, 3, 4]);
    assert_eq!(w.settling.len(), 0);
}

#[tokio::test]
async fn one_that_looks_away_misses_nothing() {
    let mut w = World::new().await;
    w.put(1, &[Stage::Done]);
    // Begun and dropped at each point, as a select does whenever something else comes first.
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = w.settling.next() => panic!("nobody has answered"),
            () = tokio::task::yield_now() => {}
        }
    }
    let (order, stage) = w.clerk().await;
    assert_eq!((order, stage), (OrderId(Uuid::from_u128(1)), Stage::Done));
    assert_eq!(w.settling.next().await, Ok((1, true)));
    assert!(w.slips.slips.try_recv().is_err(), "handed in once");
}

#[tokio::test]
async fn an_attachment_that_was_overtaken_acknowledges_nothing() {
    let mut w = World::new().await;
    w.epoch += 1;
    w.put(1, &[]);
    assert_eq!(w.settling.next().await, Err(Overtaken));
    w.slips.slips.close();
    w.put(2, &[Stage::Done]);
    assert_eq!(w.settling.next().await, Err(Overtaken), "nor does one whose controller stops");
}
