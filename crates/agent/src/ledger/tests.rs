//! The ledger on real files: deaths at every mark, torn ends, full disks, two agents.

use std::fs;

use mooring_core::limits::MAX_OUTPUT_TAIL;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn acceptance(n: u128, target: &str, fence: u64) -> Acceptance {
    Acceptance { order: order(n), target: on(target), fence: Fence(fence), at: NOW, traceparent: None }
}

fn on(target: &str) -> Target {
    format!("agents/a/gateways/g/instances/{target}").parse().unwrap()
}

fn done(n: u128) -> Receipt {
    Receipt {
        order: order(n),
        stage: Stage::Done,
        at: NOW,
        message: "done\nand dusted".to_owned(),
        output: "é".repeat(10),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

fn open(folder: &Path) -> Ledger {
    Ledger::open(folder, NOW).unwrap()
}

fn said(ledger: &Ledger, n: u128) -> (Stage, String) {
    let receipt = ledger.last_receipt(order(n)).unwrap();
    (receipt.stage, receipt.message)
}

#[test]
fn a_death_at_each_mark_is_answered_for_and_nothing_is_begun_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 5), acceptance(2, "y", 6), acceptance(3, "z", 7)]).unwrap();
    ledger.start(order(2), NOW, None).unwrap();
    ledger.start(order(3), NOW, None).unwrap();
    ledger.finish(&done(3)).unwrap();
    // As after a kill: nothing is flushed, nothing is closed in order.
    drop(ledger);

    let mut ledger = open(folder.path());
    let (stage, message) = said(&ledger, 1);
    assert!(stage == Stage::Failed && message.contains("not begun before the agent died"), "{message}");
    let (stage, message) = said(&ledger, 2);
    assert!(stage == Stage::Failed && message.contains("not known whether it took effect"), "{message}");
    assert_eq!(ledger.last_receipt(order(3)), Some(done(3)));
    assert_eq!(ledger.outstanding().len(), 3);
    for n in 1..=3 {
        assert!(
            matches!(ledger.start(order(n), NOW, None), Err(LedgerError::OutOfTurn { .. })),
            "order {n} began again"
        );
    }
    assert_eq!([ledger.fence(&on("x")), ledger.fence(&on("q"))], [Some(Fence(5)), None]);
    // And the answers last.
    drop(ledger);
    assert!(said(&open(folder.path()), 2).1.contains("not known"));
}

#[test]
fn what_is_acknowledged_is_not_said_again_but_stays_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 1)]).unwrap();
    ledger.acknowledged(order(1), Stage::Accepted);
    assert_eq!(ledger.outstanding().len(), 1, "only an end is done with");
    ledger.start(order(1), NOW, None).unwrap();
    ledger.finish(&done(1)).unwrap();
    ledger.acknowledged(order(1), Stage::Failed);
    assert_eq!(ledger.outstanding().len(), 1, "that is not how it ended");
    ledger.acknowledged(order(1), Stage::Done);
    assert_eq!(ledger.outstanding(), []);
    drop(ledger);
    let ledger = open(folder.path());
    assert_eq!(ledger.outstanding(), []);
    assert_eq!(ledger.last_receipt(order(1)), Some(done(1)));
}

#[test]
fn a_torn_end_costs_only_what_was_never_acted_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 1)]).unwrap();
    let path = ledger.path.clone();
    let whole = fs::metadata(&path).unwrap().len();
    ledger.accept(&[acceptance(2, "x", 2)]).unwrap();
    drop(ledger);
    let bytes = fs::read(&path).unwrap();
    for length in usize::try_from(whole).unwrap() + 1..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let ledger = open(folder.path());
        assert_eq!(ledger.degraded(), None);
        assert_eq!(ledger.fence(&on("x")), Some(Fence(1)), "torn at {length}");
        assert_eq!(ledger.last_receipt(order(2)), None);
        assert!(ledger.last_receipt(order(1)).is_some());
    }
    assert!(!path.with_extension("damaged").exists());
}

#[test]
fn damage_in_the_middle_is_skipped_and_the_evidence_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 1), acceptance(2, "y", 2), acceptance(3, "z", 3)]).unwrap();
    let path = ledger.path.clone();
    drop(ledger);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&path, &bytes).unwrap();
    let ledger = open(folder.path());
    let known: Vec<bool> = (1..=3).map(|n| ledger.last_receipt(order(n)).is_some()).collect();
    assert_eq!(known, [true, false, true]);
    assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), bytes);
}

#[test]
fn the_file_and_the_memory_are_bounded_and_fences_outlast_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    // Without a sync per order, which on a slow disk would take minutes: the same code otherwise.
    let most = u128::try_from(MAX_FINISHED).unwrap();
    for n in 1..=most + 5 {
        ledger.state.apply(Entry::accepted(&acceptance(n, "x", u64::try_from(n).unwrap())));
        ledger.state.apply(Entry::started(order(n), NOW, None));
        ledger.state.apply(Entry::finished(&done(n)));
        if n == 3 {
            ledger.acknowledged(order(3), Stage::Done);
        }
    }
    assert_eq!(ledger.outstanding().len(), MAX_FINISHED);
    assert_eq!(ledger.last_receipt(order(3)), None, "an acknowledged one goes first");
    assert_eq!(ledger.last_receipt(order(4)), None, "then the oldest");
    assert!(ledger.last_receipt(order(6)).is_some());
    ledger.lines = 1_000_000;
    ledger.accept(&[acceptance(99_999, "y", 1)]).unwrap();
    assert!(ledger.lines < 2 * MAX_FINISHED + 8, "{} lines after writing anew", ledger.lines);
    assert_eq!(fs::read_to_string(&ledger.path).unwrap().lines().count(), ledger.lines);
    drop(ledger);
    let ledger = open(folder.path());
    assert_eq!(ledger.fence(&on("x")), Some(Fence(u64::try_from(most + 5).unwrap())));
    assert_eq!(said(&ledger, 99_999).0, Stage::Failed);
    let longest = Receipt { output: "x".repeat(MAX_OUTPUT_TAIL), ..done(1) };
    assert!(line::write(&Entry::finished(&longest)).len() < 3 * MAX_OUTPUT_TAIL);
}

#[test]
fn orders_under_way_survive_the_file_being_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 1), acceptance(2, "y", 2)]).unwrap();
    ledger.start(order(1), NOW, None).unwrap();
    ledger.rewrite();
    assert_eq!(ledger.degraded(), None);
    ledger.start(order(2), NOW, None).unwrap();
    drop(ledger);
    let ledger = open(folder.path());
    for n in 1..=2 {
        assert!(said(&ledger, n).1.contains("not known"), "order {n}");
    }
}

#[test]
fn a_folder_belongs_to_one_agent() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    assert!(matches!(Ledger::open(folder.path(), NOW), Err(LedgerError::Locked { .. })));
    drop(first);
    open(folder.path());
}

#[test]
fn a_disk_that_refuses_degrades_and_one_that_relents_heals() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: refused to root as well, as permissions would not be.
    let place = folder.path().join("data");
    fs::write(&place, "").unwrap();
    let mut ledger = open(&place);
    assert!(ledger.degraded().is_some());
    assert!(matches!(ledger.accept(&[acceptance(1, "x", 1)]), Err(LedgerError::Degraded { .. })));
    assert_eq!(ledger.fence(&on("x")), None, "what is not on disk is not on record");
    assert_eq!(ledger.last_receipt(order(1)), None);
    // Refusals are remembered all the same, so that a duplicate is answered alike.
    assert!(ledger.finish(&Receipt { stage: Stage::Refused, ..done(1) }).is_err());
    assert_eq!(said(&ledger, 1).0, Stage::Refused);
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    ledger.accept(&[acceptance(2, "x", 2)]).unwrap();
    assert_eq!(ledger.degraded(), None);
    drop(ledger);
    let ledger = open(&place);
    assert_eq!((said(&ledger, 1).0, said(&ledger, 2).0), (Stage::Refused, Stage::Failed));
}

#[test]
fn a_disk_that_fills_up_refuses_the_next_order_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.accept(&[acceptance(1, "x", 1)]).unwrap();
    // /dev/full answers every write with ENOSPC. A folder in place of the new file keeps it from being written anew.
    ledger.file = File::options().write(true).open("/dev/full").map_err(|e| e.to_string());
    fs::create_dir(ledger.path.with_extension("new")).unwrap();
    let error = ledger.start(order(1), NOW, None).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(ledger.accept(&[acceptance(2, "x", 2)]).is_err());
    fs::remove_dir(ledger.path.with_extension("new")).unwrap();
    ledger.start(order(1), NOW, None).unwrap();
    drop(ledger);
    assert!(said(&open(folder.path()), 1).1.contains("not known"));
}
