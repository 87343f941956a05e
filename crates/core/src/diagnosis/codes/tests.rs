//! The rows one by one, and the windows at their edges.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cause::Handling;

fn at(seconds: u64) -> Mono {
    Mono((1000 + seconds) * 1_000_000)
}

fn end(code: impl Into<Option<i32>>, message: &str) -> End<'_> {
    End { protocol: Protocol::Baileys, code: code.into(), message }
}

fn alone(code: impl Into<Option<i32>>, message: &str) -> Ruling {
    judge(&end(code, message), at(0), &History::default())
}

#[test]
fn every_row_of_what_was_seen_of_baileys() {
    use Cause::{
        AccountForbidden, ClientOutdated, ConnectingStuck, LoginRevoked, PairingNeeded, ReportedClosed,
        ServiceUnavailable, SessionReplaced,
    };
    use Retry::{Backoff, Few, Never, Now, Slowly};
    let table = [
        (Some(428), "Connection Terminated", ReportedClosed, Backoff),
        (Some(428), "Connection Terminated by Server", ReportedClosed, Backoff),
        (Some(408), "Connection was lost", ReportedClosed, Backoff),
        (Some(408), "WebSocket Error (connect ECONNREFUSED 127.0.0.1:1)", ReportedClosed, Backoff),
        (Some(408), "WebSocket Error (Opening handshake has timed out)", ReportedClosed, Backoff),
        (Some(408), "Timed Out", ReportedClosed, Backoff),
        (Some(408), "QR refs attempts ended", PairingNeeded, Never),
        (Some(503), "Stream Errored (unknown)", ServiceUnavailable, Slowly),
        (Some(503), "Connection Failure", ServiceUnavailable, Slowly),
        (Some(500), "Stream Errored (ack)", ReportedClosed, Few),
        (Some(440), "Stream Errored (conflict)", SessionReplaced, Never),
        (Some(401), "Connection Failure", LoginRevoked, Never),
        (Some(401), "Stream Errored (conflict)", LoginRevoked, Never),
        (Some(402), "Connection Failure", AccountForbidden, Never),
        (Some(403), "Connection Failure", AccountForbidden, Never),
        (Some(406), "Connection Failure", AccountForbidden, Never),
        (Some(405), "Connection Failure", ClientOutdated, Never),
        (Some(411), "Multi-device beta not joined", AccountForbidden, Never),
        (Some(999), "whatever", ReportedClosed, Backoff),
        (None, "nothing was heard for 25 s while connecting", ConnectingStuck, Backoff),
        (None, "reconnect was ordered", ReportedClosed, Now),
    ];
    for (code, message, cause, retry) in table {
        let ruling = alone(code, message);
        assert_eq!(
            (ruling.cause, ruling.retry, ruling.weight),
            (cause, retry, Weight::Fault),
            "{code:?} {message}"
        );
        assert!(ruling.message.ends_with(message), "{}", ruling.message);
        assert!(code.is_none_or(|code| ruling.message.contains(&format!("({code})"))), "{}", ruling.message);
    }
}

/// A rule that asks for an order for what is a human's would be acted on by nobody, and one that leaves nothing to anybody
/// would end in silence.
#[test]
fn what_a_rule_says_to_do_agrees_with_its_cause() {
    for rule in RULES {
        let human = rule.cause.handling() == Handling::Human;
        assert_eq!(rule.order.is_some(), rule.cause.handling() == Handling::Reconnect, "{rule:?}");
        assert_eq!(!rule.human.is_empty(), human, "{rule:?}");
        assert_eq!(rule.retry == Retry::Never, human, "{rule:?}");
        assert!(rule.words.iter().all(|w| w.to_ascii_lowercase() == *w), "{rule:?}");
    }
    for rule in WINDOWS {
        assert_eq!((rule.cause.handling(), rule.retry), (Handling::Human, Retry::Never), "{rule:?}");
        assert!(RULES.iter().any(|r| r.code == Some(rule.code)), "{rule:?}");
    }
    assert_eq!(FLEET.cause.handling(), Handling::Human);
    assert!(RULES.iter().any(|r| r.code == Some(FLEET.code) && r.cause == FLEET.alone));
}

#[test]
fn a_restart_is_expected_and_a_401_in_its_wake_is_doubted_once() {
    let restart = alone(515, "Stream Errored (restart required)");
    assert_eq!((restart.cause, restart.retry), (Cause::RestartExpected, Retry::Now));
    assert_eq!(restart.weight, Weight::After(Duration::from_secs(30), Cause::ReportedClosed));

    let mut history = History::default();
    history.remember(at(0), Some(515), None);
    let logout = |when, history: &History| judge(&end(401, "Connection Failure"), at(when), history);
    let first = logout(29, &history);
    assert_eq!(first.cause, Cause::LoginRevoked);
    assert_eq!(first.weight, Weight::After(Duration::from_secs(30), Cause::LoginRevoked));
    assert_eq!(first.retry, Retry::Backoff);
    assert_eq!(logout(30, &history).weight, Weight::Fault, "too late to be its wake");
    history.remember(at(29), Some(401), None);
    assert_eq!(logout(29, &history).weight, Weight::Fault, "the second time");
    // A login settles it: the next 401 is a new one.
    history.opened();
    assert_eq!(logout(29, &history).weight, Weight::Fault);
}

#[test]
fn five_takeovers_in_half_a_minute_are_a_war() {
    let story = |times: &[u64]| {
        let mut history = History::default();
        let mut last = Cause::NotYetObserved;
        for when in times {
            last = judge(&end(440, "Stream Errored (conflict)"), at(*when), &history).cause;
            history.remember(at(*when), Some(440), Some(Duration::from_secs(2)));
        }
        last
    };
    assert_eq!(story(&[0]), Cause::SessionReplaced);
    assert_eq!(story(&[0, 5, 10, 15]), Cause::SessionReplaced);
    assert_eq!(story(&[0, 5, 10, 15, 30]), Cause::TakeoverWar);
    assert_eq!(story(&[0, 5, 10, 15, 31]), Cause::SessionReplaced, "the first is too old");
    assert_eq!(story(&[0, 5, 10, 15, 31, 32]), Cause::TakeoverWar);
}

#[test]
fn the_third_bad_session_is_for_a_human_unless_a_connection_held_between() {
    let story = |open_for: &[Option<u64>]| {
        let mut history = History::default();
        let mut last = alone(500, "");
        for (n, open_for) in (0u64..).zip(open_for) {
            let open_for = open_for.map(Duration::from_secs);
            history.forgive(open_for);
            last = judge(&end(500, "Stream Errored (ack)"), at(100 * n), &history);
            history.remember(at(100 * n), Some(500), open_for);
        }
        (last.cause, last.retry)
    };
    let (again, bad) = ((Cause::ReportedClosed, Retry::Few), (Cause::BadSession, Retry::Never));
    assert_eq!(story(&[None, None]), again);
    assert_eq!(story(&[None, None, None]), bad);
    assert_eq!(story(&[Some(2), Some(2), Some(2)]), bad, "a login alone forgives nothing");
    assert_eq!(story(&[None, None, Some(60)]), again);
    assert_eq!(story(&[None, None, Some(60), None, None]), bad);
}

#[test]
fn a_version_that_is_refused_for_many_at_once_is_the_networks_doing() {
    let refused = |window: &mut FleetWindow<u32>, seconds, who: u32| {
        assert!(window.saw(at(seconds), &who, Protocol::Baileys, Some(405)));
    };
    let mut window = FleetWindow::new(&FLEET);
    assert!(!window.saw(at(0), &1, Protocol::Baileys, Some(428)));
    assert!(!window.saw(at(0), &1, Protocol::WebSocket, Some(405)));
    refused(&mut window, 0, 1);
    refused(&mut window, 1, 1);
    refused(&mut window, 2, 2);
    assert!(window.fleet(at(2), 2).is_none(), "two bots are no fleet");
    refused(&mut window, 60, 3);
    assert_eq!(window.fleet(at(60), 10).map(|who| who.copied().collect()), Some(vec![1, 2, 3]));
    assert!(window.fleet(at(60), 11).is_none(), "27 %");
    assert!(window.fleet(at(62), 10).is_none(), "the first was too long ago");
    refused(&mut window, 63, 1);
    window.forget(&3);
    assert!(window.fleet(at(63), 2).is_none());
    for who in 10..20 {
        refused(&mut window, 63, who);
    }
    assert!(window.fleet(at(63), 1_000_000).is_some(), "many are enough, however many there are");
}

#[test]
fn the_websockets_own_numbers_are_nobodys_here() {
    let other = End { protocol: Protocol::WebSocket, code: Some(401), message: "" };
    assert_eq!(rule_of(&other), &UNKNOWN);
    assert_eq!(Protocol::named("Baileys"), Protocol::Baileys);
    assert_eq!(Protocol::named("onebot11"), Protocol::WebSocket);
}

proptest! {
    /// Whatever came before: a human's code never becomes one that is retried, but for the doubted logout, once; the words
    /// are always kept; nothing is counted that is out of its window.
    #[test]
    fn history_only_makes_worse(
        story in prop::collection::vec((0u64..120, prop_oneof![Just(401), Just(440), Just(500), Just(515), 400i32..520], prop::option::of(0u64..120)), 0..40),
        code in prop_oneof![Just(401), Just(440), Just(500), 400i32..520],
    ) {
        let mut history = History::default();
        let mut now = 0;
        for (pass, before, open_for) in story {
            now += pass;
            history.remember(at(now), Some(before), open_for.map(Duration::from_secs));
        }
        let end = end(code, "as told");
        let ruling = judge(&end, at(now), &history);
        let rule = rule_of(&end);
        prop_assert!(ruling.message.ends_with("as told"));
        if rule.retry == Retry::Never && ruling.retry != Retry::Never {
            prop_assert_eq!(code, 401);
            prop_assert!(!history.doubted() && history.since_restart(at(now)).is_some());
        }
        if ruling.cause == Cause::TakeoverWar {
            prop_assert!(history.times(440, Duration::from_secs(30), at(now)) >= 4);
        }
        prop_assert_eq!(judge(&end, at(now + 100_000), &history).cause, rule.cause, "all windows end");
    }
}
