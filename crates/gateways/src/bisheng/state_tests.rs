//! Looks in, claims out.

use mooring_core::handshake::{Established, HandshakeReport, Refusal};
use mooring_runtime::config::HumanDuration;

use super::*;

fn walked(place: &str, outcome: Result<(), Cause>) -> Walked {
    let outcome = match outcome {
        Ok(()) => Ok(Established::default()),
        Err(cause) => Err(Refusal { step: Step::Connect, cause, message: cause.name().to_owned() }),
    };
    let report = HandshakeReport { steps: Vec::new(), answer: None, outcome, took: Duration::ZERO };
    Walked { place: place.to_owned(), url: format!("http://{place}"), report }
}

fn fine() -> Look {
    Look { health: Told::Fine, login: None, worker: None, walk: Some(vec![walked("backend", Ok(()))]) }
}

fn wrong(cause: Cause) -> Told {
    Told::Wrong { cause, words: "HTTP 200, but status_code 500 in the body".to_owned() }
}

fn state(confirm: u32) -> State {
    State::new(&Settings { confirm, poll: HumanDuration::from_secs(10), ..Settings::default() })
}

fn of(claims: &[Claim], kind: ConditionKind) -> Option<(Status, Option<Cause>)> {
    claims.iter().find(|c| c.kind == kind).map(|c| (c.status, c.cause))
}

#[test]
fn what_each_look_means() {
    use Cause as C;
    use ConditionKind as K;
    let health = |health| Look { health, ..fine() };
    let login = |told| Look { login: Some(told), ..fine() };
    let worker = |told| Look { worker: Some(told), ..fine() };
    let gone = || Told::Refused("refused".to_owned());
    let no_way = Look {
        walk: Some(vec![walked("backend", Err(C::ConnectTimedOut))]),
        ..health(Told::Mute("-".into()))
    };
    let bad_tls = Look {
        walk: Some(vec![walked("backend", Err(C::CertificateInvalid))]),
        ..health(Told::Failed("TLS".into()))
    };
    let (t, f, u) = (Status::True, Status::False, Status::Unknown);
    let rows = [
        (fine(), K::Reachable, t, None),
        (fine(), K::Beating, t, None),
        (fine(), K::Linked, u, Some(C::NotObservable)),
        (fine(), K::Delivering, u, Some(C::NotObservable)),
        (health(gone()), K::Beating, f, Some(C::BackendDown)),
        (health(Told::Mute("x".to_owned())), K::Beating, f, Some(C::GatewayStalled)),
        (health(Told::Failed("x".to_owned())), K::Beating, f, Some(C::BackendUnhealthy)),
        (health(wrong(C::SpaFallback)), K::Beating, f, Some(C::SpaFallback)),
        (no_way, K::Beating, f, Some(C::ConnectTimedOut)),
        (bad_tls, K::Beating, f, Some(C::CertificateInvalid)),
        (login(Told::Fine), K::Linked, t, None),
        (login(wrong(C::CredentialsRefused)), K::Linked, f, Some(C::CredentialsRefused)),
        (login(wrong(C::CredentialsRefused)), K::Beating, t, None),
        (login(wrong(C::BackendUnhealthy)), K::Beating, f, Some(C::BackendUnhealthy)),
        (login(wrong(C::BackendUnhealthy)), K::Linked, u, Some(C::NotObservable)),
        (login(Told::Mute("x".to_owned())), K::Beating, f, Some(C::BackendUnhealthy)),
        (login(wrong(C::WrongPath)), K::Linked, u, Some(C::NotObservable)),
        (worker(Told::Fine), K::Delivering, t, None),
        (worker(wrong(C::BackendUnhealthy)), K::Delivering, f, Some(C::BackendUnhealthy)),
        (worker(wrong(C::BackendUnhealthy)), K::Beating, t, None),
        (worker(wrong(C::WrongPath)), K::Delivering, u, Some(C::NotObservable)),
        (worker(gone()), K::Delivering, u, Some(C::NotObservable)),
    ];
    for (look, kind, status, cause) in rows {
        let claims = state(1).step(Mono(1), &look, Duration::ZERO);
        assert_eq!(of(&claims, kind), Some((status, cause)), "{kind} of {look:?}");
    }
}

#[test]
fn a_fault_is_said_when_it_repeats_and_health_at_once() {
    let mut state = state(3);
    let down = Look { health: Told::Refused("refused".to_owned()), ..fine() };
    let mute = Look { health: Told::Mute("mute".to_owned()), ..fine() };
    let mut step = |look: &Look| of(&state.step(Mono(1), look, Duration::ZERO), ConditionKind::Beating);
    let said = |cause| Some((Status::False, Some(cause)));
    assert_eq!(step(&fine()), Some((Status::True, None)));
    assert_eq!((step(&down), step(&down)), (None, None));
    // Another fault begins anew.
    assert_eq!((step(&mute), step(&down), step(&down)), (None, None, None));
    assert_eq!(step(&down), said(Cause::BackendDown));
    assert_eq!(step(&down), said(Cause::BackendDown));
    assert_eq!(step(&fine()), Some((Status::True, None)));
    assert_eq!(step(&down), None);
}

#[test]
fn one_cause_at_two_places_is_two_faults() {
    let mut state = state(2);
    let at = |inner: Result<(), Cause>| Look {
        walk: Some(vec![
            walked("backend", Ok(())),
            walked("nginx", inner),
            walked("apache", Err(Cause::ProxyStrippedUpgrade)),
        ]),
        ..fine()
    };
    let mut step = |look: &Look| of(&state.step(Mono(1), look, Duration::ZERO), ConditionKind::Reachable);
    assert_eq!(step(&at(Ok(()))), None);
    assert_eq!(step(&at(Err(Cause::ProxyStrippedUpgrade))), None);
    assert!(step(&at(Err(Cause::ProxyStrippedUpgrade))).is_some());
}

#[test]
fn walks_are_seldom_while_all_is_well() {
    let mut state = state(2);
    let second = |s: u64| Mono(s * 1_000_000);
    assert!(state.wants_walk(second(1)));
    state.step(second(1), &fine(), Duration::ZERO);
    assert!(!state.wants_walk(second(30)));
    assert!(state.wants_walk(second(31)));
    assert_eq!(state.pause(), Duration::from_secs(10));
    let failing = Look { walk: Some(vec![walked("backend", Err(Cause::ConnectionRefused))]), ..fine() };
    state.step(second(2), &failing, Duration::ZERO);
    assert!(state.wants_walk(second(3)), "in doubt it looks again");
    assert_eq!(state.pause(), Duration::from_millis(2500));
    state.step(second(3), &failing, Duration::ZERO);
    assert_eq!(state.pause(), Duration::from_secs(10), "known and not in doubt any more");
    assert!(state.wants_walk(second(4)), "but recovery is seen at the next look");
}
