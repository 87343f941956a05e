//! Each rule on both sides of its limit, and what is learnt by looking.

use super::*;
use crate::diagnosis::{EngineSaw, Finding, LinkSaw, Place, Saw, diagnose};
use crate::observation::Close;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn behind(idle: u64) -> Timers {
    Timers { proxy_idle: vec![("nginx".to_owned(), s(idle))], ..Timers::default() }
}

/// Causes, and whether they are certain.
fn found(timers: &Timers) -> Vec<(Cause, bool)> {
    misfits(timers).iter().map(|m| (m.cause, m.certain)).collect()
}

#[test]
fn what_is_not_known_is_not_judged() {
    assert_eq!(found(&Timers::default()), []);
    assert_eq!(found(&behind(60)), []);
    assert_eq!(found(&Timers { client_timeout: Some(s(1)), ..Timers::default() }), []);
}

#[test]
fn a_ping_has_to_come_well_before_the_shortest_idle_limit() {
    for (every, expected) in
        [(25, None), (53, None), (54, Some(false)), (59, Some(false)), (60, Some(true)), (90, Some(true))]
    {
        let expected: Vec<_> = expected.map(|certain| (Cause::TimersMisfit, certain)).into_iter().collect();
        let timers = Timers { server_ping: Pings::Every(s(every)), ..behind(60) };
        assert_eq!(found(&timers), expected, "ping {every}");
        assert_eq!(found(&Timers { heartbeat: Some(s(every)), ..behind(60) }), expected, "heartbeat {every}");
        assert_eq!(
            found(&Timers { keepalive: Some(s(every)), ..behind(60) }),
            expected,
            "keep-alive {every}"
        );
    }
    // Each limit of its own; and the most frequent sign of life counts.
    let mut two = Timers { server_ping: Pings::Every(s(45)), ..behind(60) };
    two.proxy_idle.push(("haproxy".to_owned(), s(30)));
    assert_eq!(found(&two), [(Cause::TimersMisfit, true)]);
    assert!(misfits(&two)[0].what(Lang::En).contains("haproxy"), "{two:?}");
    two.heartbeat = Some(s(5));
    assert_eq!(found(&two), []);
}

#[test]
fn nothing_that_pings_behind_a_limit_is_an_idle_cut_to_come() {
    let silent = |for_how_long| Timers { server_ping: Pings::NotWithin(for_how_long), ..behind(60) };
    assert_eq!(found(&silent(Duration::MAX)), [(Cause::IdleCut, false)]);
    assert_eq!(found(&silent(s(60))), [(Cause::IdleCut, false)]);
    assert_eq!(found(&silent(s(10))), [], "ten seconds say nothing of a ping each 25");
    assert_eq!(found(&Timers { heartbeat: Some(s(5)), ..silent(Duration::MAX) }), []);
}

#[test]
fn engine_io_s_patience_fits_into_the_limit() {
    let engine = |idle| Timers { engine: Some((s(25), s(20))), ..behind(idle) };
    assert_eq!(found(&engine(60)), []);
    assert_eq!(found(&engine(45)), [(Cause::TimersMisfit, false)]);
    assert_eq!(found(&engine(25)), [(Cause::TimersMisfit, true)]);
}

#[test]
fn a_client_waits_longer_than_the_server_s_ping() {
    let client =
        |wait, server_ping| Timers { client_timeout: Some(s(wait)), server_ping, ..Timers::default() };
    let every = Pings::Every(s(25));
    assert_eq!(found(&client(60, every)), []);
    assert_eq!(found(&client(27, every)), [(Cause::TimersMisfit, false)]);
    assert_eq!(found(&client(25, every)), [(Cause::TimersMisfit, true)]);
    assert_eq!(found(&client(30, Pings::NotWithin(Duration::MAX))), [(Cause::TimersMisfit, false)]);
    assert_eq!(found(&client(30, Pings::NotWithin(s(10)))), []);
    let engine = Timers { engine: Some((s(25), s(20))), ..client(10, Pings::Unknown) };
    assert_eq!(found(&engine), [(Cause::TimersMisfit, true)]);
}

#[test]
fn half_a_second_without_backoff_is_a_storm() {
    let again = |ms, reconnect_backoff| Timers {
        reconnect_interval: Some(Duration::from_millis(ms)),
        reconnect_backoff,
        ..Timers::default()
    };
    assert_eq!(found(&again(500, Some(false))), [(Cause::ReconnectStorm, true)]);
    assert_eq!(found(&again(500, None)), [(Cause::ReconnectStorm, false)]);
    assert_eq!(found(&again(500, Some(true))), []);
    assert_eq!(found(&again(1_000, Some(false))), []);
}

#[test]
fn detection_is_as_late_as_its_timers_together() {
    let baileys =
        |k, within| Timers { keepalive: Some(s(k)), detect_within: Some(s(within)), ..Timers::default() };
    assert_eq!(found(&baileys(30, 65)), [], "2 × 30 + 5");
    assert_eq!(found(&baileys(30, 64)), [(Cause::TimersMisfit, true)]);
    let uvicorn = Timers {
        server_ping: Pings::Every(s(20)),
        server_timeout: Some(s(20)),
        detect_within: Some(s(30)),
        ..Timers::default()
    };
    assert_eq!(found(&uvicorn), [(Cause::TimersMisfit, true)]);
    let lagrange = Timers {
        heartbeat: Some(s(60)),
        reconnect_interval: Some(s(5)),
        detect_within: Some(s(60)),
        ..Timers::default()
    };
    assert_eq!(found(&lagrange), [(Cause::TimersMisfit, true)]);
}

#[test]
fn a_client_that_is_back_before_the_lock_out_is_over_is_told_to_wait() {
    let back = |after| Timers {
        reconnect_interval: Some(s(after)),
        lock_out: Some(NONEBOT_LOCK_OUT),
        ..Timers::default()
    };
    assert_eq!(found(&back(5)), [(Cause::PeerLockedOut, false)]);
    assert_eq!(found(&back(45)), []);
}

#[test]
fn every_note_has_both_languages_and_says_what_to_do() {
    let all = Timers {
        server_ping: Pings::Every(s(90)),
        server_timeout: Some(s(90)),
        client_timeout: Some(s(10)),
        reconnect_interval: Some(Duration::from_millis(500)),
        lock_out: Some(s(40)),
        detect_within: Some(s(5)),
        ..behind(60)
    };
    let notes = misfits(&all);
    assert!(notes.len() >= 5, "{notes:?}");
    assert!(notes.is_sorted_by_key(|n| !n.certain), "{notes:?}");
    for note in notes {
        assert!(note.what(Lang::En).is_ascii() && note.fix(Lang::En).is_ascii(), "{note:?}");
        assert!(!note.what(Lang::ZhCn).is_ascii() && !note.fix(Lang::ZhCn).is_ascii(), "{note:?}");
    }
}

fn held(link: LinkSaw, close: Option<Close>) -> Case {
    let mut case =
        Case { places: vec![Place { name: "ws://here/".to_owned(), direct: false }], ..Case::default() };
    case.push(Finding { place: 0, probe: Probe::Upgrade, saw: Saw { established: true, ..Saw::default() } });
    for _ in 0..2 {
        case.push(Finding {
            place: 0,
            probe: Probe::HoldSilent,
            saw: Saw { established: true, link: Some(link.clone()), close: close.clone(), ..Saw::default() },
        });
    }
    case
}

#[test]
fn pings_are_learnt_from_what_was_held_and_the_operator_knows_better() {
    let mut case =
        held(LinkSaw { age: s(90), pings: 3, ping_interval: Some(s(25)), ..LinkSaw::default() }, None);
    case.timers = Timers { client_timeout: Some(s(20)), ..behind(20) };
    let notes = diagnose(&case).notes;
    assert_eq!(
        notes.iter().map(|n| (n.cause, n.certain)).collect::<Vec<_>>(),
        [(Cause::TimersMisfit, true); 2]
    );
    case.timers.server_ping = Pings::Every(s(5));
    assert_eq!(diagnose(&case).notes, []);
    // None in as long as it was held.
    let mut case = held(LinkSaw { age: s(90), ..LinkSaw::default() }, None);
    case.timers = behind(60);
    assert_eq!(diagnose(&case).notes.iter().map(|n| n.cause).collect::<Vec<_>>(), [Cause::IdleCut]);
    case.timers = behind(600);
    assert_eq!(diagnose(&case).notes, []);
}

#[test]
fn a_limit_that_was_met_is_held_against_the_other_timers_and_not_told_twice() {
    let close =
        Close { code: None, reason: String::new(), by_us: false, age: s(60), silent_for: s(60), error: None };
    let mut case = held(LinkSaw { age: s(60), silent_for: s(60), ..LinkSaw::default() }, Some(close));
    let told = diagnose(&case);
    assert_eq!(told.faults[0].verdict().map(|c| c.cause), Some(Cause::IdleCut), "{told:?}");
    assert_eq!(told.notes, [], "the fault says so already");
    case.timers.heartbeat = Some(s(70));
    assert_eq!(
        diagnose(&case).notes.iter().map(|n| (n.cause, n.certain)).collect::<Vec<_>>(),
        [(Cause::TimersMisfit, true)]
    );
}

#[test]
fn what_engine_io_promised_is_learnt_and_nonebot_s_lock_out_is_known() {
    let mut case = held(LinkSaw::default(), None);
    let promise = Some((s(25), s(20)));
    case.findings[0].saw.engine = Some(EngineSaw { promise, ..EngineSaw::default() });
    case.timers = behind(20);
    assert_eq!(diagnose(&case).notes.len(), 1);
    let mut case = held(LinkSaw::default(), None);
    case.expect = Some(Kind::Onebot11);
    case.timers.reconnect_interval = Some(s(3));
    assert_eq!(diagnose(&case).notes.iter().map(|n| n.cause).collect::<Vec<_>>(), [Cause::PeerLockedOut]);
}
