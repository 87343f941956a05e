//! Which order, when none, and what counts as its effect.

use mooring_core::condition::Status;

use super::*;
use crate::evolution::seen::Row;
use crate::evolution::state::{Around, verdict};
use crate::evolution::trace::Trace;
use crate::evolution::version::Version;

const HOLD: Duration = Duration::from_secs(10);

fn at(ms: u64) -> Mono {
    Mono(1_000_000_000 + ms * 1_000)
}

fn planned(trace: &Trace, version: Version) -> Result<Act, String> {
    let listening = Some(Duration::from_secs(600));
    let around = Around { version, listening, storming: None, deprecated: false };
    let facts = Facts { trace, now: at(30_000), around };
    plan(&facts, &verdict(&facts))
}

/// An instance in this state, closed with this code.
fn trace(state: State, code: Option<u16>) -> Trace {
    let mut trace = Trace::default();
    trace.rest(at(0), state);
    let status = if code.is_some() { State::Close } else { State::Open };
    trace.stored(at(100), Row { name: "a".into(), status, code, paired: true, events: false });
    trace
}

#[test]
fn the_order_that_can_have_an_effect() {
    let plan = |state| planned(&trace(state, None), Version::ASSUMED);
    assert_eq!(plan(State::Open), Ok(Act::Restart));
    assert_eq!(plan(State::Connecting), Ok(Act::Restart));
    assert_eq!(plan(State::Close), Ok(Act::Connect));
    assert!(plan(State::NotLoaded).unwrap_err().contains("start of the whole process"));
    assert!(plan(State::Refused).is_err() && plan(State::Odd).is_err());
    assert!(planned(&Trace::default(), Version::ASSUMED).is_err());
}

#[test]
fn what_is_never_done() {
    for code in [401, 402, 403, 405, 406, 440] {
        assert!(planned(&trace(State::Close, Some(code)), Version::ASSUMED).is_err(), "{code}");
    }
    let blip = trace(State::Close, Some(408));
    assert_eq!(planned(&blip, Version(2, 3, 7)), Ok(Act::Connect));
    assert!(planned(&blip, Version(2, 4, 0)).is_err());
    // Somebody asked for a QR code after a 401: hands off.
    let why = planned(&trace(State::Connecting, Some(401)), Version::ASSUMED).unwrap_err();
    assert!(why.contains("QR code"), "{why}");
    let mut storm = trace(State::Connecting, None);
    let mut war = trace(State::Open, None);
    for n in 0..10 {
        storm.event(at(29_000 + n * 100), Happened::Connecting);
        war.event(at(20_000 + n * 1_000), Happened::Close(Some(440)));
        war.event(at(20_100 + n * 1_000), Happened::Open);
    }
    assert!(planned(&storm, Version::ASSUMED).unwrap_err().contains("many times a second"));
    assert!(planned(&war, Version::ASSUMED).unwrap_err().contains("throw the other client out"));
}

#[test]
fn a_known_code_is_history_once_it_is_open_again() {
    assert!(planned(&trace(State::Open, Some(401)), Version::ASSUMED).is_ok());
}

#[test]
fn a_login_told_by_events_and_confirmed_by_rest_is_an_effect() {
    let mut effect = Effect::new(Act::Restart, at(0), Some(State::Open), HOLD);
    // What restart answers, before the old socket has gone.
    effect.rest(at(10), State::Open);
    effect.event(at(30), Happened::Connecting);
    // REST was quicker than the event.
    effect.rest(at(140), State::Open);
    effect.event(at(150), Happened::Open);
    assert_eq!(effect.outcome(at(160)), Outcome::Open, "REST has not been read since");
    effect.rest(at(200), State::Open);
    let Outcome::Done(words) = effect.outcome(at(200)) else { panic!("{effect:?}") };
    assert!(words.contains("POST restart") && words.contains("events"), "{words}");
}

#[test]
fn without_events_it_must_have_changed_and_held() {
    let mut effect = Effect::new(Act::Restart, at(0), Some(State::Open), HOLD);
    effect.rest(at(100), State::Open);
    assert_eq!(effect.outcome(at(60_000)), Outcome::Open, "it never changed");
    assert!(effect.overdue(at(65_000)).contains("as if nothing had been ordered"));
    effect.rest(at(60_000), State::Connecting);
    effect.rest(at(61_000), State::Open);
    assert_eq!(effect.outcome(at(70_000)), Outcome::Open);
    assert!(matches!(effect.outcome(at(71_000)), Outcome::Done(_)));
    effect.rest(at(72_000), State::Close);
    assert_eq!(effect.outcome(at(90_000)), Outcome::Open);
}

#[test]
fn a_login_that_hung_or_was_closed_has_changed_when_it_opens() {
    for before in [State::Connecting, State::Close] {
        let mut effect = Effect::new(Act::Connect, at(0), Some(before), HOLD);
        effect.rest(at(500), State::Open);
        assert!(matches!(effect.outcome(at(10_500)), Outcome::Done(_)), "{before:?}");
    }
}

#[test]
fn an_end_is_told_at_once() {
    for (happened, word) in [
        (Happened::Close(Some(401)), "401"),
        (Happened::Qr, "QR"),
        (Happened::QrLimit, "QR"),
        (Happened::Refused, "QR"),
    ] {
        let mut effect = Effect::new(Act::Connect, at(0), Some(State::Close), HOLD);
        effect.event(at(100), happened);
        let Outcome::Failed(words) = effect.outcome(at(100)) else { panic!("{happened:?}") };
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn the_verdict_of_what_is_well_forbids_nothing() {
    let trace = trace(State::Open, None);
    let around = Around { version: Version::ASSUMED, listening: None, storming: None, deprecated: false };
    let verdict = verdict(&Facts { trace: &trace, now: at(1_000), around });
    assert_eq!(verdict.linked.map(|f| f.status), Some(Status::True));
}
