//! Ends: idle limits, mass resets, sessions that do not stay.

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::session::EndedBy;
use mooring_core::session::crowd::{Census, CrowdEvent};

use crate::support::{End, NOTHING, WELL, World, end, ms, secs, sick};

fn cut(silence_ms: u64) -> End {
    end().silent(ms(silence_ms)).by(EndedBy::Path)
}

/// One session that is cut after a minute of silence and comes back.
fn cut_and_back(w: &mut World) -> Option<Cause> {
    w.pass(secs(60));
    let cause = w.closed(&cut(60_000 + w.now.0 / 1_000_000 % 7 * 20));
    w.pass(secs(1)).opened();
    cause
}

#[test]
fn a_single_session_cut_by_a_proxy_is_named_at_the_third() {
    let mut w = World::with(1);
    let causes: Vec<_> = (0..3).map(|_| cut_and_back(&mut w)).collect();
    assert_eq!(causes, [None, None, Some(Cause::IdleCut)]);
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    let limit = w.crowd.limit().expect("learnt");
    assert!(limit.abs_diff(secs(60)) < ms(500), "{limit:?}");
    // A session opened, or its data, says nothing of how long it may be silent; one that outlives it by half does.
    w.look(1);
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    w.pass(secs(80)).census(Census { open: 1, longest_silence: Some(secs(80)), ..Census::default() });
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    w.pass(secs(12)).census(Census { open: 1, longest_silence: Some(secs(92)), ..Census::default() });
    assert_eq!((w.reachable(), w.crowd.limit()), (WELL, None));
}

#[test]
fn the_words_have_the_limit() {
    let mut w = World::with(1);
    cut_and_back(&mut w);
    cut_and_back(&mut w);
    w.pass(secs(60));
    let step = w.step(CrowdEvent::Closed(&cut(60_050).0));
    let (cause, message) = step.cause.expect("named");
    assert_eq!(
        (cause, message.as_str()),
        (Cause::IdleCut, "cut after 60 s of silence: an idle timeout on the way")
    );
    let claim = &step.claims[0];
    assert!(claim.message.starts_with("cut after 60 s of silence"), "{}", claim.message);
    assert!(claim.evidence.contains(&("idle_limit".to_owned(), "60 s".to_owned())));
}

#[test]
fn silences_that_are_no_limit() {
    let by = |by| move |ms| cut(ms).by(by);
    let code = |ms| cut(ms).code(1000, None);
    let rows: [(&str, Vec<End>); 6] = [
        ("too short", [4_000; 9].map(cut).into()),
        ("different", [60_000, 63_000, 66_500, 70_000, 74_000, 78_000].map(cut).into()),
        ("a third of them", [60_000, 20_000, 33_000, 60_000, 45_000, 90_500, 60_000].map(cut).into()),
        ("our own", [60_000; 9].map(by(EndedBy::Mooring)).into()),
        ("in good order", [60_000; 9].map(code).into()),
        ("two", [60_000; 2].map(cut).into()),
    ];
    for (what, ends) in rows {
        let mut w = World::with(50);
        for end in &ends {
            w.pass(secs(20));
            assert_eq!(w.closed(end), None, "{what}");
        }
        assert_eq!((w.reachable(), w.crowd.limit()), (WELL, None), "{what}");
    }
}

#[test]
fn a_crash_after_a_broadcast_is_no_idle_limit() {
    let mut w = World::with(500);
    for _ in 0..500 {
        w.pass(ms(1)).closed(&cut(60_000));
    }
    assert_eq!(w.crowd.limit(), None);
}

#[test]
fn a_few_idle_peers_among_many_are_labelled_and_no_matter_of_the_instance() {
    let mut w = World::with(1_000);
    for i in 0..30 {
        w.pass(secs(20));
        let cause = w.closed(&cut(60_100));
        assert_eq!(cause, (i >= 2).then_some(Cause::IdleCut));
        w.opened();
        w.look(1_000);
    }
    assert_eq!(w.reachable(), WELL);
    assert!(w.crowd.limit().is_some());
    // The more of them meet it, the more it is the instance's: here each of them, within one and a half limits.
    for _ in 0..1_000 {
        w.pass(ms(90)).closed(&cut(60_000));
        w.opened();
    }
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    // Somebody turned pings on: nobody is cut any more, nobody is silent for so long.
    let last = w.now;
    assert_eq!(w.crowd.wake_at(), Some(last.after(ms(90_150))));
    w.pass(ms(90_149)).look(1_000);
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    w.pass(ms(1)).look(1_000);
    assert_eq!(w.reachable(), WELL);
    assert!(w.crowd.limit().is_some(), "the path is as it was");
}

#[test]
fn a_limit_outlives_an_order_and_changes_with_the_path() {
    let mut w = World::with(1);
    for _ in 0..3 {
        cut_and_back(&mut w);
    }
    w.step(CrowdEvent::Disturbed);
    w.pass(secs(1)).step(CrowdEvent::Settled);
    w.pass(secs(6)).look(1);
    assert_eq!(w.reachable(), WELL);
    assert_eq!(cut_and_back(&mut w), Some(Cause::IdleCut));
    assert_eq!(w.reachable(), sick(Cause::IdleCut));
    w.pass(secs(300)).closed(&cut(300_000));
    assert_eq!(w.crowd.limit(), None);
    w.pass(secs(300)).closed(&cut(300_000));
    assert_eq!(w.pass(secs(300)).closed(&cut(300_000)), Some(Cause::IdleCut));
    assert_eq!(w.crowd.limit(), Some(secs(300)));
}

#[test]
fn mass_resets() {
    let leaving = end().by(EndedBy::Peer).code(1001, None);
    let restart = end().code(1012, Some(Cause::GatewayRestarting));
    // open, ends, all of them within, Reachable, whether the last is part of a mass
    let unknown = (Status::Unknown, Some(Cause::MassReset));
    let rows = [
        (500, 500, 400, end(), unknown, true),
        (500, 500, 400, restart, unknown, true),
        (500, 500, 400, leaving, WELL, false),
        (500, 500, 400, end().by(EndedBy::Mooring), WELL, false),
        (500, 400, 60_000, end(), WELL, false),
        // Most are still served: their health is known.
        (500, 100, 400, end(), WELL, true),
        (500, 99, 400, end(), WELL, false),
        (5, 5, 400, end(), unknown, true),
        (4, 4, 400, end(), WELL, false),
    ];
    for (open, ends, within, end, reachable, mass) in rows {
        let mut w = World::with(open);
        let pause = ms(within) / ends;
        let mut last = None;
        for _ in 0..ends {
            last = w.pass(pause).closed(&end);
        }
        let what = format!("{ends} of {open} within {within} ms by {}", end.0.by);
        assert_eq!((w.reachable(), last == Some(Cause::MassReset)), (reachable, mass), "{what}");
        assert_eq!(w.stable(), NOTHING);
    }
}

fn crash(w: &mut World, n: u64) {
    for _ in 0..n {
        w.closed(&end());
    }
}

#[test]
fn after_a_mass_reset_the_next_facts_decide() {
    let mut w = World::with(100);
    crash(&mut w, 100);
    assert!(w.words(ConditionKind::Reachable).is_empty(), "said once, at the end that made it one");
    w.pass(ms(500)).refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), (Status::Unknown, Some(Cause::MassReset)));
    w.refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
    let mut w = World::with(100);
    crash(&mut w, 100);
    w.pass(ms(500)).opened();
    assert_eq!(w.reachable(), WELL);
    let mut w = World::with(100);
    crash(&mut w, 60);
    w.census(Census { open: 40, newest_data_age: Some(ms(10)), ..Census::default() });
    assert_eq!(w.reachable(), (Status::Unknown, Some(Cause::MassReset)), "data from before it");
    w.pass(secs(2)).look(40);
    assert_eq!(w.reachable(), WELL);
}

#[test]
fn mass_resets_again_and_again_are_flapping() {
    let mut w = World::with(100);
    for round in 1..=3 {
        assert_eq!(w.stable(), NOTHING, "round {round}");
        w.pass(secs(100));
        crash(&mut w, 100);
        w.pass(secs(2));
        (0..100).for_each(|_| drop(w.opened()));
    }
    assert_eq!((w.stable(), w.reachable()), (sick(Cause::MassReset), WELL));
    w.pass(secs(297)).look(100);
    assert_eq!(w.stable(), sick(Cause::MassReset));
    w.pass(secs(1)).look(100);
    assert_eq!(w.stable(), NOTHING);
    // Further apart than that they are not.
    for _ in 0..5 {
        w.pass(secs(299));
        crash(&mut w, 100);
        (0..100).for_each(|_| drop(w.opened()));
    }
    assert_eq!(w.stable(), sick(Cause::MassReset), "three within ten minutes");
    let mut w = World::with(100);
    for _ in 0..5 {
        w.pass(secs(301));
        crash(&mut w, 100);
        (0..100).for_each(|_| drop(w.opened()));
    }
    assert_eq!(w.stable(), NOTHING);
}

#[test]
fn a_peer_dropped_twice_a_second_for_ever_is_labelled_and_alone() {
    let dropped = end().age(ms(2)).peer("198.51.100.7:1");
    let mut w = World::with(100);
    let mut labelled = 0;
    for i in 0..200 {
        w.pass(ms(500)).opened();
        labelled += u32::from(w.closed(&dropped) == Some(Cause::DroppedAtOnce));
        // Others come and go in good order.
        assert_eq!(
            w.closed(&end().peer(&format!("192.0.2.{}:7", i % 5)).by(EndedBy::Peer).code(1000, None)),
            None
        );
        w.opened();
        if i % 4 == 0 {
            w.look(100);
        }
        assert_eq!(w.reachable(), WELL, "round {i}");
    }
    assert_eq!(labelled, 198);
}

#[test]
fn where_nobody_stays_the_instance_is_sick_until_somebody_does() {
    let mut w = World::new();
    let drop_one = |w: &mut World| {
        w.pass(ms(500)).opened();
        w.closed(&end().age(ms(3)))
    };
    let labels = [0; 3].map(|_| drop_one(&mut w));
    assert_eq!(labels, [None, None, Some(Cause::DroppedAtOnce)]);
    for _ in 0..60 {
        assert_eq!(w.reachable(), sick(Cause::DroppedAtOnce), "a handshake refutes nothing");
        drop_one(&mut w);
        w.look(0);
    }
    w.opened();
    for _ in 0..4 {
        w.pass(secs(2)).census(Census { open: 1, ..Census::default() });
        assert_eq!(w.reachable(), sick(Cause::DroppedAtOnce));
    }
    w.pass(secs(2)).census(Census { open: 1, ..Census::default() });
    assert_eq!(w.reachable(), WELL);
}

#[test]
fn sessions_that_end_after_seconds_count_by_their_own_cause() {
    let failed = |age| end().age(ms(age)).code(1011, Some(Cause::GatewayFailed));
    let gone = end().age(secs(2)).by(EndedBy::Peer);
    let good = end().age(secs(2)).code(1000, None);
    // ends, two seconds apart, and what Reachable is then
    let rows: [(&str, Vec<End>, _); 6] = [
        ("three", vec![failed(900), failed(2_000), failed(800)], sick(Cause::GatewayFailed)),
        ("two", vec![failed(900), failed(2_000)], WELL),
        ("one stayed between", vec![failed(900), failed(900), end(), failed(900)], WELL),
        ("one was served between", vec![failed(900), failed(900), good.clone(), failed(900)], WELL),
        ("peers that vanish", vec![gone; 6], WELL),
        ("short and well", vec![good; 6], WELL),
    ];
    for (what, ends, want) in rows {
        let mut w = World::new();
        w.opened();
        for end in &ends {
            w.pass(secs(2)).opened();
            w.census(Census { open: 1, ..Census::default() });
            w.closed(end);
        }
        assert_eq!(w.reachable(), want, "{what}");
    }
    // Of one moment, they are one case.
    let mut w = World::new();
    (0..4).for_each(|_| drop(w.opened()));
    for _ in 0..4 {
        w.closed(&failed(3_000));
    }
    assert_eq!(w.reachable(), WELL);
}
