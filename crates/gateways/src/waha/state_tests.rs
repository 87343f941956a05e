//! Events in, words out.

use mooring_runtime::config::HumanDuration;

use super::*;
use crate::waha::api::Engine;

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000)
}

fn state() -> State {
    with(Settings { stuck_after: HumanDuration::from_secs(60), ..Settings::default() })
}

fn with(settings: Settings) -> State {
    State::new(&settings, InstanceId::new(GATEWAY).unwrap())
}

fn seen(status: Status) -> Seen {
    Seen { name: "default".to_owned(), status, me: Some(true), activity: None, engine: engine("WEBJS", None) }
}

fn engine(kind: &str, says: Option<Cause>) -> Option<Engine> {
    Some(Engine { kind: kind.to_owned(), says })
}

fn listed(seen: &Seen) -> Event {
    Event::List(Ok(vec![seen.clone()]), Duration::ZERO)
}

type Found = Option<(Answer, Option<Cause>)>;

fn of(words: &[Word], instance: &str, kind: Kind) -> Found {
    let claims = words.iter().filter(|w| w.instance.as_str() == instance).filter_map(|w| match &w.said {
        Said::Claims(claims) => Some(claims),
        _ => None,
    });
    claims.flatten().filter(|c| c.kind == kind).map(|c| (c.status, c.cause)).next_back()
}

/// A session's life as statuses with their times; what is claimed at its end.
fn life(mut state: State, last: &Seen, before: &[(u64, Status)], end: u64) -> [Found; 2] {
    for (time, status) in before {
        state.step(at(*time), listed(&Seen { status: *status, ..last.clone() }));
    }
    let words = state.step(at(end), listed(last));
    [Kind::Reachable, Kind::Linked].map(|kind| of(&words, "default", kind))
}

#[test]
fn a_status_means_what_came_before_it() {
    use Cause as C;
    use Status as S;
    let (t, f, u) = (Answer::True, Answer::False, Answer::Unknown);
    let some = |status, cause| Some((status, Some(cause)));
    let (fine, none) = (Some((t, None)), None);
    let noweb = Seen { engine: engine("NOWEB", None), ..seen(S::Failed) };
    let says = |status, cause| Seen { engine: engine("WEBJS", Some(cause)), ..seen(status) };
    let unasked = Seen { engine: None, ..seen(S::Failed) };
    let nobody = |status| Seen { me: Some(false), ..seen(status) };
    type Row = (Seen, &'static [(u64, Status)], u64, [Found; 2]);
    let rows: Vec<Row> = vec![
        (seen(S::Working), &[], 1, [fine, fine]),
        // The planned renewal, and the hang.
        (seen(S::Starting), &[(0, S::Working)], 1, [some(u, C::RestartExpected), none]),
        (seen(S::Starting), &[(0, S::Working), (1, S::Starting)], 60, [some(u, C::RestartExpected), none]),
        (
            seen(S::Starting),
            &[(0, S::Working), (1, S::Starting)],
            61,
            [some(f, C::ConnectingStuck), some(u, C::ConnectingStuck)],
        ),
        // It came up in between: the time begins anew.
        (
            seen(S::Starting),
            &[(0, S::Starting), (50, S::Working), (51, S::Starting)],
            70,
            [some(u, C::RestartExpected), none],
        ),
        // A first login, and one that was lost.
        (seen(S::ScanQrCode), &[], 1, [fine, some(f, C::PairingNeeded)]),
        (seen(S::ScanQrCode), &[(0, S::Working), (1, S::Starting)], 2, [fine, some(f, C::LoginRevoked)]),
        // FAILED.
        (seen(S::Failed), &[(0, S::ScanQrCode)], 1, [some(u, C::PairingNeeded), some(f, C::PairingNeeded)]),
        (
            seen(S::Failed),
            &[(0, S::Working), (1, S::ScanQrCode)],
            2,
            [some(u, C::LoginRevoked), some(f, C::LoginRevoked)],
        ),
        (noweb, &[(0, S::Working)], 1, [some(u, C::LoginRevoked), some(f, C::LoginRevoked)]),
        (seen(S::Failed), &[(0, S::Working)], 1, [some(f, C::ReportedClosed), some(u, C::ReportedClosed)]),
        (nobody(S::Failed), &[], 1, [some(u, C::PairingNeeded), some(f, C::PairingNeeded)]),
        (
            says(S::Failed, C::SessionReplaced),
            &[],
            1,
            [some(f, C::SessionReplaced), some(u, C::SessionReplaced)],
        ),
        (
            says(S::Failed, C::ClientOutdated),
            &[],
            1,
            [some(f, C::ClientOutdated), some(u, C::ClientOutdated)],
        ),
        (
            says(S::Failed, C::AccountForbidden),
            &[],
            1,
            [some(u, C::AccountForbidden), some(f, C::AccountForbidden)],
        ),
        (unasked, &[(0, S::Working)], 1, [some(u, C::NotYetObserved), some(u, C::NotYetObserved)]),
        // WORKING, and unlinked all the same.
        (nobody(S::Working), &[], 1, [fine, fine]),
        (nobody(S::Working), &[(0, S::Working)], 1, [fine, some(f, C::LoginRevoked)]),
        (says(S::Working, C::LoginRevoked), &[], 1, [fine, some(f, C::LoginRevoked)]),
        // Stopped by somebody.
        (seen(S::Stopped), &[(0, S::Working)], 1, [some(u, C::NotObservable), some(u, C::NotObservable)]),
        (seen(S::Other), &[], 1, [some(u, C::NotObservable), some(u, C::NotObservable)]),
    ];
    for (last, before, end, expected) in rows {
        assert_eq!(life(state(), &last, before, end), expected, "{last:?} after {before:?}");
    }
    let named = Settings { sessions: vec!["default".to_owned()], ..Settings::default() };
    let [reachable, _] = life(with(named), &seen(S::Stopped), &[], 1);
    assert_eq!(reachable, some(f, C::ReportedClosed), "named, it is meant to run");
}

#[test]
fn what_stopped_with_its_process_did_not_mean_to() {
    let mut state = state();
    state.step(at(0), listed(&seen(Status::Working)));
    state.step(at(1), Event::List(Err(Trouble::Refused("x".to_owned())), Duration::ZERO));
    let words = state.step(at(2), listed(&seen(Status::Stopped)));
    assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::False, Some(Cause::ReportedClosed))));
}

#[test]
fn a_waha_that_does_not_answer_is_one_fault_and_not_many() {
    let mute = |alive| Trouble::Mute { alive, words: "-".to_owned() };
    let rows = [
        (Trouble::Refused("-".to_owned()), Cause::ConnectionRefused),
        (mute(true), Cause::ApiUnresponsive),
        (mute(false), Cause::GatewayStalled),
        (Trouble::Denied("HTTP 401".to_owned()), Cause::CredentialsRefused),
        (Trouble::Other(Cause::BackendUnhealthy, "HTTP 500".to_owned()), Cause::BackendUnhealthy),
    ];
    for (trouble, cause) in rows {
        let mut state = state();
        state.step(at(0), listed(&seen(Status::Working)));
        assert_eq!(
            state.step(at(1), Event::List(Err(trouble.clone()), Duration::ZERO)),
            [],
            "once is not enough"
        );
        let words = state.step(at(2), Event::List(Err(trouble), Duration::ZERO));
        assert_eq!(of(&words, GATEWAY, Kind::Reachable), Some((Answer::False, Some(cause))));
        assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::Unknown, Some(cause))));
        let id = InstanceId::new("default").unwrap();
        assert!(state.permit(at(2), &id, Doing::Restart).is_err());
        let words = state.step(at(3), listed(&seen(Status::Working)));
        assert_eq!(of(&words, GATEWAY, Kind::Reachable), Some((Answer::True, None)));
        assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::True, None)));
    }
}

#[test]
fn sessions_come_and_go_and_only_those_wanted() {
    let both = |names: &[&str]| {
        let seen = names.iter().map(|n| Seen { name: (*n).to_owned(), ..seen(Status::Working) });
        Event::List(Ok(seen.collect()), Duration::ZERO)
    };
    let here = |words: &[Word], said: &Said| -> Vec<String> {
        words.iter().filter(|w| w.said == *said).map(|w| w.instance.to_string()).collect()
    };
    let mut state = state();
    assert_eq!(here(&state.step(at(0), both(&["a", "b"])), &Said::Here), ["a", "b"]);
    let words = state.step(at(1), both(&["b"]));
    assert_eq!((here(&words, &Said::Gone), here(&words, &Said::Here)), (vec!["a".to_owned()], vec![]));
    // A look that failed says nothing of who is there.
    assert_eq!(
        here(
            &state.step(
                at(2),
                Event::List(Err(Trouble::Other(Cause::RateLimited, String::new())), Duration::ZERO)
            ),
            &Said::Gone
        ),
        [""; 0]
    );
    let mut named = with(Settings { sessions: vec!["b".to_owned()], ..Settings::default() });
    assert_eq!(here(&named.step(at(0), both(&["a", "b"])), &Said::Here), ["b"]);
}

#[test]
fn names_become_ids_that_stay_and_stay_apart() {
    let id = |name: &str| instance_id(name, 0).unwrap().to_string();
    assert_eq!(id("default"), "default");
    assert_ne!(id("Main"), id("main"));
    assert_eq!(id("Main"), id("Main"));
    assert!(id("Main").starts_with("main-"));
    for odd in ["é", "---", "a b", &"x".repeat(200), "waha/.."] {
        assert!(InstanceId::new(id(odd)).is_ok(), "{odd}");
    }
    // One that is called as the gateway is.
    let mut state = state();
    let words = state.step(at(0), listed(&Seen { name: GATEWAY.to_owned(), ..seen(Status::Working) }));
    let here = words.iter().find(|w| w.said == Said::Here).unwrap();
    assert!(here.instance.as_str().starts_with("waha-"), "{here:?}");
}

#[test]
fn the_servers_ping_is_learnt_and_missed() {
    let mut state = state();
    let beating = |words: &[Word]| of(words, GATEWAY, Kind::Beating);
    state.step(at(0), Event::Opened);
    assert_eq!(state.step(at(149), Event::Tick), []);
    let late = Some((Answer::False, Some(Cause::HeartbeatMissed)));
    assert_eq!(beating(&state.step(at(151), Event::Tick)), late);
    assert_eq!(state.step(at(152), Event::Tick), [], "said once");
    for time in [160, 170, 180] {
        assert_eq!(beating(&state.step(at(time), Event::Ping)), Some((Answer::True, None)));
    }
    // Ten seconds are the habit; that the first ping came at once says nothing.
    let mut state = self::state();
    state.step(at(9), Event::Opened);
    state.step(at(10), Event::Ping);
    assert_eq!(state.step(at(100), Event::Tick), []);
    let mut state = self::state();
    state.step(at(9), Event::Opened);
    for time in [10, 20, 30] {
        state.step(at(time), Event::Ping);
    }
    assert_eq!(beating(&state.step(at(62), Event::Tick)), None);
    assert_eq!(beating(&state.step(at(63), Event::Tick)), late);
    let words = state.step(at(64), Event::Shut(Cause::SessionLost, "1006".to_owned()));
    assert_eq!(beating(&words), Some((Answer::Unknown, Some(Cause::SessionLost))));
    let words = state.step(at(65), Event::Shut(Cause::CredentialsRefused, "1008".to_owned()));
    assert_eq!(beating(&words), Some((Answer::False, Some(Cause::CredentialsRefused))));
}

#[test]
fn a_session_on_which_nothing_happens_any_more_is_doubted() {
    let quiet = Settings { quiet_after: Some(HumanDuration::from_secs(100)), ..Settings::default() };
    let mut state = with(quiet);
    let look = |state: &mut State, time, activity| {
        let seen = Seen { activity: Some(activity), ..seen(Status::Working) };
        of(&state.step(at(time), listed(&seen)), "default", Kind::Delivering)
    };
    assert_eq!(look(&mut state, 0, 7), Some((Answer::Unknown, Some(Cause::NotYetObserved))));
    assert_eq!(
        look(&mut state, 500, 7),
        Some((Answer::Unknown, Some(Cause::NotYetObserved))),
        "it may be idle"
    );
    assert_eq!(look(&mut state, 501, 8), Some((Answer::True, None)));
    assert_eq!(look(&mut state, 601, 8), Some((Answer::True, None)));
    assert_eq!(look(&mut state, 602, 8), Some((Answer::False, Some(Cause::SilentBeyondHabit))));
    // The socket's word turns it at once; what is quiet while it is not up is not silent.
    let words = state.step(at(603), Event::Status("default".to_owned(), Status::Starting));
    assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::Unknown, Some(Cause::RestartExpected))));
    assert_eq!(look(&mut state, 604, 8), Some((Answer::True, None)));
}

#[test]
fn one_that_failed_is_asked_why_before_anything_is_done() {
    let mut state = state();
    let unasked = Seen { engine: None, ..seen(Status::Failed) };
    state.step(at(0), listed(&Seen { engine: None, ..seen(Status::Working) }));
    assert_eq!(state.unexplained(8), [""; 0]);
    state.step(at(1), Event::Status("default".to_owned(), Status::Failed));
    state.step(at(2), listed(&unasked));
    assert_eq!(state.unexplained(8), ["default"]);
    let id = InstanceId::new("default").unwrap();
    assert!(state.permit(at(2), &id, Doing::Reconnect).is_err());
    let said = Seen { engine: Some(Engine::default()), ..unasked.clone() };
    let words = state.step(at(3), Event::One(said, Duration::ZERO));
    assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::False, Some(Cause::ReportedClosed))));
    // The list knows less, and does not make it forgotten.
    let words = state.step(at(4), listed(&unasked));
    assert_eq!(of(&words, "default", Kind::Reachable), Some((Answer::False, Some(Cause::ReportedClosed))));
    assert!(state.permit(at(4), &id, Doing::Reconnect).is_ok());
    // It failed again, perhaps for another reason.
    state.step(at(5), listed(&Seen { engine: None, ..seen(Status::Working) }));
    state.step(at(6), listed(&unasked));
    assert_eq!(state.unexplained(8), ["default"]);
}

#[test]
fn orders_are_permitted_by_what_is_known() {
    let mut state = state();
    state.step(at(0), listed(&seen(Status::Working)));
    let id = InstanceId::new("default").unwrap();
    let permitted = state.permit(at(1), &id, Doing::Reconnect).unwrap();
    assert_eq!(permitted, ("default".to_owned(), Status::Working, Call::Restart));
    assert!(state.permit(at(1), &InstanceId::new("other").unwrap(), Doing::Restart).is_err());
    assert!(state.permit(at(1), &InstanceId::new(GATEWAY).unwrap(), Doing::Restart).is_err());
    // The same moment the socket says that a code is shown, nothing may be done any more.
    state.step(at(2), Event::Status("default".to_owned(), Status::ScanQrCode));
    assert!(state.permit(at(2), &id, Doing::Reconnect).is_err());
    state.step(at(3), Event::Status("default".to_owned(), Status::Starting));
    assert!(state.permit(at(60), &id, Doing::Restart).is_err());
    assert!(state.permit(at(63), &id, Doing::Restart).is_ok(), "stuck");
}

#[test]
fn the_newer_word_counts() {
    let mut state = state();
    let slow = |status, took| Event::List(Ok(vec![seen(status)]), Duration::from_secs(took));
    state.step(at(0), slow(Status::Working, 0));
    state.step(at(10), Event::Status("default".to_owned(), Status::ScanQrCode));
    // Asked at 9, answered at 11, and overtaken by the socket.
    let words = state.step(at(11), slow(Status::Working, 2));
    assert_eq!(of(&words, "default", Kind::Linked), Some((Answer::False, Some(Cause::LoginRevoked))));
    let words = state.step(at(12), slow(Status::Working, 2));
    assert_eq!(of(&words, "default", Kind::Linked), Some((Answer::True, None)));
}
