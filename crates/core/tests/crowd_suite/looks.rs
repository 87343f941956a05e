//! Refusals and looks: who is reachable, whose sickness counts, what an order voids.

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::session::crowd::{Census, CrowdEvent};

use crate::support::{NOTHING, WELL, World, end, ms, secs, sick};

#[test]
fn refusals_count_in_a_row_and_by_what_they_are_about() {
    use Cause::{
        ClosedBeforeAnswer, ConnectionRefused, CredentialsRefused, HandshakeTimedOut, ObserverStalled,
        RateLimited, RelayLimit, ServerError, WrongPath,
    };
    let (idle, busy) = (0, 10);
    // sessions served meanwhile, refusals, what Reachable is then
    let before = |open| if open == 0 { NOTHING } else { WELL };
    let rows: &[(u64, &[Cause], _)] = &[
        (idle, &[ConnectionRefused], before(idle)),
        (idle, &[ConnectionRefused, ConnectionRefused], sick(ConnectionRefused)),
        (idle, &[HandshakeTimedOut, ConnectionRefused], sick(ConnectionRefused)),
        // The standing cause changes when the new one is confirmed.
        (idle, &[ConnectionRefused, ConnectionRefused, ServerError], sick(ConnectionRefused)),
        (idle, &[ConnectionRefused, ConnectionRefused, ServerError, ServerError], sick(ServerError)),
        (idle, &[RelayLimit, RelayLimit, RelayLimit, ObserverStalled], before(idle)),
        (idle, &[ConnectionRefused, RelayLimit, ConnectionRefused], sick(ConnectionRefused)),
        (idle, &[WrongPath, WrongPath], sick(WrongPath)),
        // Others are served: what only concerns who asks is theirs, what concerns everybody is not.
        (busy, &[WrongPath, WrongPath, CredentialsRefused, RateLimited, RateLimited], before(busy)),
        (busy, &[HandshakeTimedOut, HandshakeTimedOut, ClosedBeforeAnswer, ClosedBeforeAnswer], before(busy)),
        (idle, &[HandshakeTimedOut, HandshakeTimedOut], sick(HandshakeTimedOut)),
        (busy, &[ConnectionRefused, ConnectionRefused], sick(ConnectionRefused)),
    ];
    for (open, refusals, want) in rows {
        let mut w = if *open == 0 { World::new() } else { World::with(*open) };
        for cause in *refusals {
            w.pass(secs(1)).refused(*cause);
        }
        assert_eq!(w.reachable(), *want, "{refusals:?} with {open} open");
    }
    let mut w = World::new();
    w.refused(ConnectionRefused);
    w.pass(secs(1)).opened();
    w.pass(secs(1)).refused(ConnectionRefused);
    assert_eq!(w.reachable(), WELL, "one was opened between");
    w.refused(ConnectionRefused);
    assert_eq!(w.words(ConditionKind::Reachable), "2 refused in a row, the last: no way");
}

#[test]
fn refusals_are_refuted_by_a_session_or_by_data_after_a_quiet_time() {
    let refused = || {
        let mut w = World::with(10);
        w.refused(Cause::ConnectionRefused);
        w.refused(Cause::ConnectionRefused);
        w
    };
    let mut w = refused();
    w.pass(ms(10)).opened();
    assert_eq!(w.reachable(), WELL);
    let mut w = refused();
    for _ in 0..4 {
        w.pass(secs(2)).look(10);
    }
    assert_eq!(
        w.reachable(),
        sick(Cause::ConnectionRefused),
        "data of old sessions, 8 s after the last refusal"
    );
    w.pass(secs(2)).look(10);
    assert_eq!(w.reachable(), WELL);
    // Nobody tries any more: it is not known whether it lasts.
    let mut w = World::new();
    w.refused(Cause::ConnectionRefused);
    w.refused(Cause::ConnectionRefused);
    w.pass(secs(299)).tick();
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
    assert_eq!(w.crowd.wake_at(), Some(w.now.after(secs(1))));
    w.pass(secs(1)).tick();
    assert_eq!(w.reachable(), NOTHING);
}

#[test]
fn nobody_listens_at_two_looks() {
    let look = |listening| Census { listening, ..Census::default() };
    let mut w = World::new();
    w.census(look(Some(false)));
    w.pass(secs(2)).census(look(None));
    w.pass(secs(2)).census(look(Some(false)));
    assert_eq!(w.reachable(), NOTHING);
    w.pass(secs(2)).census(look(Some(false)));
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
    w.pass(secs(2)).census(look(Some(true)));
    assert_eq!(w.reachable(), NOTHING, "to listen is not to serve");
    w.opened();
    assert_eq!(w.reachable(), WELL);
}

#[test]
fn connections_that_are_expected_and_missing() {
    let look = |open, expected| Census { open, expected, ..Census::default() };
    let mut w = World::with(3);
    for (open, expected, pause, want) in [
        (1, Some(3), 0, WELL),
        (1, Some(3), 9, WELL),
        (3, Some(3), 2, WELL),
        (0, Some(3), 2, WELL),
        (1, Some(3), 5, WELL),
        (1, Some(3), 5, sick(Cause::NoUpstreamLink)),
        (2, Some(3), 2, sick(Cause::NoUpstreamLink)),
        (3, Some(3), 2, NOTHING),
        (0, None, 60, NOTHING),
    ] {
        w.pass(secs(pause)).census(look(open, expected));
        assert_eq!(w.reachable(), want, "{open} of {expected:?}");
    }
}

#[test]
fn health_is_said_again_while_there_are_facts() {
    let mut w = World::with(5);
    let mut said = w.now;
    for _ in 0..60 {
        w.pass(secs(2)).census(Census { open: 5, newest_data_age: Some(ms(700)), ..Census::default() });
        if let Some(claim) = w.last.iter().find(|c| c.kind == ConditionKind::Reachable) {
            assert_eq!((claim.status, claim.age), (Status::True, ms(700)));
            said = w.now;
        }
        assert!(w.now.since(said) <= secs(10));
    }
    // Without news there is nothing to say, and what was known stays while sessions are open.
    for age in (2..=120).step_by(2) {
        w.pass(secs(2)).census(Census { open: 5, newest_data_age: Some(secs(age)), ..Census::default() });
        assert!(w.last.iter().all(|c| c.age < secs(10)), "{:?}", w.last);
    }
    assert_eq!((w.reachable(), w.beating()), (WELL, WELL));
    // An idle gateway is not sick: once nobody is there, nothing is known.
    for _ in 0..29 {
        w.pass(secs(2)).look(0);
    }
    assert_eq!((w.reachable(), w.beating()), (WELL, WELL));
    let wake = w.crowd.wake_at().expect("to forget");
    w.now = wake;
    w.tick();
    assert_eq!((w.reachable(), w.beating()), (NOTHING, NOTHING));
    assert_eq!(w.words(ConditionKind::Reachable), "no session is open, and none was refused");
}

#[test]
fn shares_of_sick_sessions() {
    use Cause::{GatewayStalled, HalfOpen, HeartbeatMissed, PeerStalled, SilentBeyondHabit};
    // open, sick, Beating after one look, after two
    let rows: &[(u64, &[(Cause, u64)], _, _)] = &[
        (1, &[(HeartbeatMissed, 1)], WELL, sick(HeartbeatMissed)),
        (1, &[(PeerStalled, 1)], WELL, WELL),
        (2, &[(HalfOpen, 1)], WELL, WELL),
        (2, &[(HalfOpen, 2)], WELL, sick(HalfOpen)),
        (3, &[(HalfOpen, 2)], WELL, WELL),
        (3, &[(HalfOpen, 3)], sick(HalfOpen), sick(HalfOpen)),
        (6, &[(SilentBeyondHabit, 3)], sick(SilentBeyondHabit), sick(SilentBeyondHabit)),
        (100, &[(HeartbeatMissed, 49)], WELL, WELL),
        (100, &[(HeartbeatMissed, 20), (GatewayStalled, 30)], sick(GatewayStalled), sick(GatewayStalled)),
        (100, &[(PeerStalled, 100)], WELL, WELL),
        (100, &[(PeerStalled, 60), (HalfOpen, 40)], WELL, WELL),
        (0, &[(HalfOpen, 9)], WELL, WELL),
    ];
    for (open, bad, first, second) in rows {
        let mut w = World::with((*open).max(1));
        w.pass(secs(2)).look_sick(*open, bad);
        assert_eq!(w.beating(), *first, "{bad:?} of {open}, one look");
        w.pass(secs(2)).look_sick(*open, bad);
        assert_eq!(w.beating(), *second, "{bad:?} of {open}, two looks");
        assert_eq!(w.reachable(), WELL);
    }
    let mut w = World::with(60);
    w.look_sick(60, &[(HeartbeatMissed, 30), (HalfOpen, 7)]);
    let want = "37 of 60 sessions are sick: 30 of them with HeartbeatMissed";
    assert_eq!(w.words(ConditionKind::Beating), want);
}

#[test]
fn sickness_is_refuted_by_data_and_fewer_sick_and_not_by_their_being_closed() {
    let bad = |n| [(Cause::HeartbeatMissed, n)];
    let ill = || {
        let mut w = World::with(100);
        w.pass(secs(2)).look_sick(100, &bad(80));
        w
    };
    let data = Some(ms(100));
    let held = sick(Cause::HeartbeatMissed);
    // sick, data since, Beating
    for (n, newest_data_age, want) in [
        (49, data, held),
        (25, data, held),
        (24, None, held),
        (24, Some(secs(9)), held),
        (24, data, WELL),
        (0, data, WELL),
    ] {
        let mut w = ill();
        let sick = bad(n);
        w.pass(secs(2)).census(Census { open: 100, sick: &sick, newest_data_age, ..Census::default() });
        assert_eq!(w.beating(), want, "{n} sick, data {newest_data_age:?} ago");
    }
    let mut w = ill();
    w.pass(secs(2)).look_sick(0, &[]);
    assert_eq!(w.beating(), held, "nobody has refuted it");
    w.pass(secs(1)).opened();
    assert_eq!(w.beating(), held, "a handshake is no heartbeat");
    w.pass(secs(1)).look(1);
    assert_eq!(w.beating(), WELL);
    // Nobody can come back: why that is matters more.
    let mut w = ill();
    w.pass(secs(2)).look_sick(0, &[]);
    w.refused(Cause::HandshakeTimedOut);
    w.refused(Cause::HandshakeTimedOut);
    assert_eq!((w.reachable(), w.beating()), (sick(Cause::HandshakeTimedOut), NOTHING));
}

#[test]
fn nothing_is_judged_over_our_own_lag() {
    let bad = [(Cause::HeartbeatMissed, 100)];
    let mut w = World::with(100);
    w.step(CrowdEvent::Lag(secs(30)));
    w.look_sick(100, &bad);
    for _ in 0..5 {
        w.refused(Cause::HandshakeTimedOut);
        assert_eq!(w.closed(&end()), None);
    }
    for _ in 0..3 {
        w.census(Census { open: 95, listening: Some(false), ..Census::default() });
    }
    assert_eq!((w.reachable(), w.beating()), (WELL, WELL));
    // A second later everything has been read, and what still is counts.
    w.pass(secs(1)).look_sick(95, &bad);
    assert_eq!(w.beating(), sick(Cause::HeartbeatMissed));
    // A short one changes nothing, and health is health.
    let mut w = World::new();
    w.step(CrowdEvent::Lag(ms(900)));
    w.refused(Cause::ConnectionRefused);
    w.refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
    w.step(CrowdEvent::Lag(secs(30)));
    w.opened();
    assert_eq!(w.reachable(), WELL);
}

#[test]
fn what_happens_while_an_order_is_at_work_is_its_doing() {
    let repair = (Status::Unknown, Some(Cause::UnderRepair));
    let bad = [(Cause::HeartbeatMissed, 100)];
    let mut w = World::with(100);
    w.step(CrowdEvent::Disturbed);
    assert_eq!((w.reachable(), w.beating()), (repair, repair));
    let fails = |w: &mut World| {
        for _ in 0..50 {
            assert_eq!(w.closed(&end().silent(secs(60))), None);
            w.refused(Cause::ConnectionRefused);
        }
        for _ in 0..3 {
            w.census(Census { open: 50, sick: &bad, listening: Some(false), ..Census::default() });
        }
        assert_eq!((w.reachable(), w.beating()), (repair, repair));
    };
    fails(&mut w);
    // The old process's data is no fact; a session opened since is, unless it is gone again.
    w.pass(secs(1)).look(50);
    assert_eq!(w.reachable(), repair);
    w.opened();
    assert_eq!((w.reachable(), w.beating()), (WELL, repair));
    assert_eq!(w.last[0].age, ms(0));
    w.look(1);
    w.closed(&end());
    assert_eq!(w.reachable(), repair);
    w.pass(secs(20)).step(CrowdEvent::Settled);
    fails(&mut w);
    w.pass(secs(2)).census(Census { open: 50, newest_data_age: Some(secs(3)), ..Census::default() });
    assert_eq!(w.reachable(), repair, "data from before the order was done");
    w.census(Census { open: 50, newest_data_age: Some(secs(1)), ..Census::default() });
    assert_eq!((w.reachable(), w.beating()), (WELL, WELL));
    // The grace is over: what fails now is a fault, and counted from nothing.
    w.pass(secs(3)).refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), WELL);
    w.refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
    // An order whose end is never told is over after five minutes and the grace.
    w.step(CrowdEvent::Disturbed);
    w.pass(secs(304)).refused(Cause::ConnectionRefused);
    w.refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), repair);
    w.pass(secs(1)).refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), NOTHING);
    w.refused(Cause::ConnectionRefused);
    assert_eq!(w.reachable(), sick(Cause::ConnectionRefused));
}
