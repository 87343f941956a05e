//! From reports to deltas.

use mooring_core::id::BootId;
use mooring_proto::Invalid;
use mooring_store::{AgentRecord, Delta};
use uuid::Uuid;

use super::super::intake::{Intake, MAX_RECEIPTS, MAX_ROWS, Verdict};
use super::*;
use crate::fleet::{Fleet, Presence};

const BOOT: BootId = BootId(Uuid::from_u128(1));

struct World {
    fleet: Fleet,
    intake: Intake,
}

impl World {
    fn new() -> Self {
        let fleet = Fleet::default();
        let record = AgentRecord {
            id: agent(),
            boot: BOOT,
            node: String::new(),
            version: String::new(),
            epoch: 1,
            last_sequence: 0,
            synced: false,
            attached_at: Timestamp(0),
            last_seen: Timestamp(0),
            offline_since: None,
        };
        fleet.attached(record, Presence::Syncing);
        let intake = Intake::new(agent(), BOOT, 1, None, &fleet, 3, 4);
        Self { fleet, intake }
    }

    /// With everything told and durable.
    fn synced() -> Self {
        let mut world = Self::new();
        let delta = world.new_report(everything(1));
        world.durable(&delta);
        world
    }

    fn take(&mut self, report: pb::Report) -> Result<Verdict, Invalid> {
        self.intake.take(report, &self.fleet, Timestamp(100))
    }

    #[track_caller]
    fn new_report(&mut self, report: pb::Report) -> Delta {
        match self.take(report) {
            Ok(Verdict::New(taken)) => taken.delta,
            other => panic!("{other:?}"),
        }
    }

    /// What the journal does, then the session.
    fn durable(&mut self, delta: &Delta) {
        self.fleet.apply([&delta.changes], Timestamp(100));
        self.fleet.progressed(&agent(), 1, delta.sequence, delta.synced);
        self.intake.settled(delta.sequence);
    }

    #[track_caller]
    fn refused(&mut self, report: pb::Report, field: &str) {
        match self.take(report) {
            Err(invalid) => assert!(invalid.to_string().contains(field), "{invalid}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn everything_told_again_is_no_news_and_what_is_missing_in_it_is_gone() {
    let mut w = World::synced();
    let again = w.new_report(everything(2));
    assert_eq!((again.changes.conditions.len(), again.events.len()), (0, 0));
    assert_eq!(again.synced, Some(true));
    w.durable(&again);
    let mut less = everything(3);
    less.instances.pop();
    less.conditions = None;
    let less = w.new_report(less);
    assert_eq!(less.changes.instances_gone, [instance("g/y")]);
    let other = pb::Report {
        snapshot_begin: true,
        snapshot_end: true,
        gateways: vec![a_gateway(1, "other")],
        ..report(4)
    };
    assert_eq!(w.new_report(other).changes.gateways_gone, [gateway("g")]);
}

#[test]
fn a_snapshot_in_parts_is_in_sync_at_its_end() {
    let mut w = World::new();
    let whole = everything(1);
    let begin = pb::Report { snapshot_begin: true, gateways: whole.gateways, ..report(1) };
    let middle = pb::Report { instances: whole.instances, ..report(2) };
    let end = pb::Report { snapshot_end: true, ..report(3) };
    let mut seen = Vec::new();
    for part in [begin, middle, end] {
        let Ok(Verdict::New(taken)) = w.take(part) else { panic!("a part of it") };
        seen.push((taken.in_sync, taken.delta.synced));
    }
    assert_eq!(seen, [(false, Some(false)), (false, None), (true, Some(true))]);
    w.refused(pb::Report { snapshot_end: true, ..report(4) }, "snapshot_end");
}

#[test]
fn who_was_asked_for_everything_is_heard_from_its_beginning_on() {
    let mut w = World::new();
    assert!(matches!(w.take(report(1)), Ok(Verdict::Gap)));
    assert!(matches!(w.take(report(1)), Ok(Verdict::Useless)), "asked once");
    assert_eq!(w.new_report(everything(1)).synced, Some(true));
}

#[test]
fn a_hole_is_asked_about_once_whatever_is_under_way_behind_it() {
    let mut w = World::synced();
    assert!(matches!(w.take(report(3)), Ok(Verdict::Gap)));
    for sequence in 4..10 {
        assert!(matches!(w.take(report(sequence)), Ok(Verdict::Useless)));
    }
    assert!(
        matches!(w.take(report(2)), Ok(Verdict::Useless)),
        "the receipts of what was in between are told again"
    );
    w.new_report(everything(10));
    w.new_report(report(11));
    assert!(matches!(w.take(report(13)), Ok(Verdict::Gap)), "the next hole is asked about again");
}

#[test]
fn an_old_report_is_acknowledged_only_if_it_is_durable() {
    let mut w = World::synced();
    let delta = w.new_report(report(2));
    assert!(matches!(w.take(report(2)), Ok(Verdict::Old { durable: false })));
    assert!(matches!(w.take(report(1)), Ok(Verdict::Old { durable: true })));
    assert_eq!(w.intake.durable(), 1, "2 is on its way to the database");
    w.durable(&delta);
    assert!(matches!(w.take(report(2)), Ok(Verdict::Old { durable: true })));
    assert!(matches!(w.take(everything(1)), Ok(Verdict::Old { .. })), "nor does a snapshot go back");
    assert!(matches!(w.take(everything(0)), Ok(Verdict::Old { .. })));
    assert_eq!(w.intake.expected(), 3);
}

#[test]
fn no_number_overflows() {
    let mut w = World::synced();
    for sequence in [u64::MAX, i64::MAX as u64] {
        w.refused(everything(sequence), "sequence");
    }
    w.new_report(everything(i64::MAX as u64 - 1));
    assert!(matches!(w.take(report(1)), Ok(Verdict::Old { .. })));
}

#[test]
fn what_changes_and_changes_back_before_it_is_durable_is_told_twice() {
    let mut w = World::synced();
    let down = |cause| row(2, Status::False, Some(cause), 20);
    let first = w.new_report(rows(2, &[down(Cause::SessionLost)]));
    w.durable(&first);
    // The same since when: the cause alone changes, and changes back within one commit.
    let there = w.new_report(rows(3, &[down(Cause::ConnectionRefused)]));
    let back = w.new_report(rows(4, &[down(Cause::SessionLost)]));
    assert_eq!((there.changes.conditions.len(), back.changes.conditions.len()), (1, 1));
    assert_eq!((there.events.len(), back.events.len()), (1, 1));
    w.durable(&there);
    w.durable(&back);
    let believed = w.fleet.read().believed(&instance("g/x"), ConditionKind::Reachable).unwrap();
    assert_eq!(believed.cause, Some(Cause::SessionLost));
    assert_eq!(
        w.new_report(rows(5, &[down(Cause::SessionLost)])).changes.conditions,
        [],
        "and then it is known"
    );
}

#[test]
fn an_instance_that_goes_and_comes_back_before_that_is_durable_begins_anew() {
    for whole_gateway in [false, true] {
        let mut w = World::synced();
        let gone = if whole_gateway {
            pb::Report { gateways_gone: vec![1], ..report(2) }
        } else {
            pb::Report { instances_gone: vec![2], ..report(2) }
        };
        let gone = w.new_report(gone);
        let back = pb::Report {
            gateways: vec![a_gateway(8, "g")],
            instances: vec![an_instance(9, 8, "x")],
            ..rows(3, &[row(9, Status::True, None, 10)])
        };
        let back = w.new_report(back);
        assert_eq!(back.changes.conditions.len(), 1, "what the old one was is no reason to leave it out");
        w.durable(&gone);
        w.durable(&back);
        let believed = w.fleet.read().believed(&instance("g/x"), ConditionKind::Reachable).unwrap();
        assert_eq!(believed.status, Status::True);
    }
}

#[test]
fn a_name_that_is_gone_and_new_in_one_report_begins_anew() {
    let mut w = World::synced();
    let both = pb::Report {
        instances_gone: vec![2],
        instances: vec![an_instance(9, 1, "x")],
        ..rows(2, &[row(9, Status::True, None, 10)])
    };
    let delta = w.new_report(both);
    w.durable(&delta);
    let believed = w.fleet.read().believed(&instance("g/x"), ConditionKind::Reachable).unwrap();
    assert_eq!(believed.status, Status::True);
}

#[test]
fn handles_live_as_long_as_the_boot() {
    let mut w = World::synced();
    w.fleet.progressed(&agent(), 1, 1, Some(true));
    // The stream breaks; the same boot goes on where it was.
    w.intake = Intake::new(agent(), BOOT, 2, Some(1), &w.fleet, 3, 4);
    let delta = w.new_report(rows(2, &[row(3, Status::False, Some(Cause::SessionLost), 20)]));
    assert_eq!(delta.changes.conditions[0].0, instance("g/y"));
    // Another boot begins with none.
    w.intake = Intake::new(agent(), BootId(Uuid::from_u128(2)), 3, None, &w.fleet, 3, 4);
    let begin = pb::Report { snapshot_begin: true, ..rows(1, &[row(3, Status::True, None, 20)]) };
    w.refused(begin, "conditions.instance");
}

#[test]
fn a_handle_that_is_gone_or_was_never_bound_means_nothing() {
    let mut w = World::synced();
    let delta =
        w.new_report(pb::Report { instances_gone: vec![2, 2, 77], gateways_gone: vec![78], ..report(2) });
    assert_eq!((delta.changes.instances_gone.len(), delta.changes.gateways_gone.len()), (1, 0));
    w.refused(rows(3, &[row(2, Status::True, None, 1)]), "conditions.instance");
    let mut w = World::synced();
    w.new_report(pb::Report { gateways_gone: vec![1], ..report(2) });
    w.refused(rows(3, &[row(3, Status::True, None, 1)]), "conditions.instance");
    let mut w = World::synced();
    w.refused(pb::Report { instances: vec![an_instance(5, 44, "z")], ..report(2) }, "instances.gateway");
}

#[test]
fn limits_hold() {
    let mut w = World::synced();
    let gateways = (0..4).map(|n| a_gateway(10 + n, &format!("g{n}"))).collect();
    w.refused(pb::Report { gateways, ..report(2) }, "gateways");
    let mut w = World::synced();
    let instances = (0..3).map(|n| an_instance(10 + n, 1, &format!("i{n}"))).collect();
    w.refused(pb::Report { instances, ..report(2) }, "instances");
    let mut w = World::synced();
    let many: Vec<ConditionChange> = (0..=MAX_ROWS).map(|_| row(2, Status::True, None, 1)).collect();
    w.refused(rows(2, &many), "conditions");
    let mut w = World::synced();
    let receipts = vec![pb::Receipt::default(); MAX_RECEIPTS + 1];
    w.refused(pb::Report { receipts, ..report(2) }, "receipts");
}

#[test]
fn that_nothing_is_known_yet_is_no_event() {
    let mut w = World::new();
    let whole = pb::Report {
        conditions: Some(to_columns(&[
            row(2, Status::Unknown, Some(Cause::NotYetObserved), 5),
            row(3, Status::False, Some(Cause::SessionLost), 5),
        ])),
        ..everything(1)
    };
    let delta = w.new_report(whole);
    assert_eq!(delta.events.len(), 1);
    assert_eq!(delta.events[0].subject, instance("g/y").to_string());
}
