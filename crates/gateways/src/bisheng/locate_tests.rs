//! Walks, and where each says the fault is.

use std::time::Duration;

use mooring_core::handshake::{Established, HttpAnswer, Refusal};

use super::*;

fn walked(place: &str, report: HandshakeReport) -> Walked {
    Walked { place: place.to_owned(), url: format!("http://{place}:1"), report }
}

fn open(place: &str) -> Walked {
    let report = HandshakeReport {
        steps: Vec::new(),
        answer: None,
        outcome: Ok(Established::default()),
        took: Duration::from_millis(3),
    };
    walked(place, report)
}

fn refused(place: &str, step: Step, cause: Cause, message: &str) -> Walked {
    let refusal = Refusal { step, cause, message: message.to_owned() };
    let report = HandshakeReport {
        steps: Vec::new(),
        answer: None,
        outcome: Err(refusal),
        took: Duration::from_millis(3),
    };
    walked(place, report)
}

fn answered(place: &str, status: u16, kind: &str, body: &str, cause: Cause) -> Walked {
    let mut walked = refused(place, Step::Status, cause, &format!("HTTP {status} instead of 101"));
    walked.report.answer = Some(HttpAnswer {
        status,
        reason: String::new(),
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body_start: body.to_owned(),
    });
    walked
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html";

fn stripped(place: &str) -> Walked {
    answered(place, 404, JSON, r#"{"detail":"Not Found"}"#, Cause::ProxyStrippedUpgrade)
}

fn unauthorised(place: &str) -> Walked {
    answered(place, 401, JSON, r#"{"detail":"x"}"#, Cause::CredentialsRefused)
}

fn broken(place: &str) -> Walked {
    answered(place, 500, TEXT, "Internal Server Error", Cause::ServerError)
}

#[test]
fn the_first_that_fails_from_the_inside_is_named() {
    use Cause as C;
    let down = |place: &str| answered(place, 502, HTML, "<html>502", C::BackendDown);
    let mute = Told::Mute("no answer".to_owned());
    let gone = Told::Refused("refused".to_owned());
    let timeout = |place: &str| refused(place, Step::Status, C::HandshakeTimedOut, "no answer");
    let nobody = |place: &str| refused(place, Step::Connect, C::ConnectionRefused, "refused");
    let closed = |place: &str, cause, words: &str| refused(place, Step::Close, cause, words);
    type Row = (Vec<Walked>, bool, Told, Option<(Cause, &'static str)>);
    let (b, n, a) = ("backend", "nginx", "apache");
    let rows: Vec<Row> = vec![
        (vec![open(b)], true, Told::Fine, None),
        (vec![open(b), open(n), open(a)], true, Told::Fine, None),
        // Stripped: by the inner proxy, by the outer one, by both.
        (vec![open(b), stripped(n), stripped(a)], true, Told::Fine, Some((C::ProxyStrippedUpgrade, n))),
        (vec![open(b), open(n), stripped(a)], true, Told::Fine, Some((C::ProxyStrippedUpgrade, a))),
        // Without a login the application refuses, and that shows as much.
        (vec![unauthorised(b), unauthorised(n), unauthorised(a)], false, Told::Fine, None),
        (
            vec![unauthorised(b), unauthorised(n), stripped(a)],
            false,
            Told::Fine,
            Some((C::ProxyStrippedUpgrade, a)),
        ),
        (vec![broken(b), broken(n)], false, Told::Fine, None),
        (vec![open(b), unauthorised(n)], false, Told::Fine, Some((C::CredentialsRefused, n))),
        // With one, it is the login or the handler.
        (vec![unauthorised(b), unauthorised(n)], true, Told::Fine, Some((C::CredentialsRefused, b))),
        (vec![broken(b), broken(n)], true, Told::Fine, Some((C::HandlerFailed, b))),
        (
            vec![answered(b, 403, TEXT, "", C::CredentialsRefused)],
            true,
            Told::Fine,
            Some((C::CredentialsRefused, b)),
        ),
        // The front end answers.
        (
            vec![open(b), answered(n, 200, HTML, "<!doctype html>", C::UpgradeNotPerformed)],
            true,
            Told::Fine,
            Some((C::SpaFallback, n)),
        ),
        // The process.
        (vec![nobody(b), down(n), down(a)], true, gone, Some((C::BackendDown, b))),
        (vec![timeout(b), timeout(n), timeout(a)], true, mute, Some((C::GatewayStalled, b))),
        (vec![timeout(b), timeout(n)], true, Told::Fine, Some((C::HandshakeTimedOut, b))),
        // A proxy's own trouble leads to no restart of what works.
        (vec![open(b), down(n), down(a)], true, Told::Fine, Some((C::NetworkUnreachable, n))),
        (vec![open(b), open(n), nobody(a)], true, Told::Fine, Some((C::NetworkUnreachable, a))),
        (vec![open(b), timeout(n)], true, Told::Fine, Some((C::NetworkUnreachable, n))),
        // Only the agent cannot get to the backend: users are fine.
        (vec![nobody(b), open(n), open(a)], true, Told::Fine, None),
        // Accepted and closed: by policy, because nobody has this id; for the login; restarting; failed.
        (vec![closed(b, C::RefusedByPolicy, "no permission")], true, Told::Fine, None),
        (vec![closed(b, C::ClosedByGateway, "1000")], true, Told::Fine, None),
        (
            vec![closed(b, C::RefusedByPolicy, "token expired")],
            true,
            Told::Fine,
            Some((C::CredentialsRefused, b)),
        ),
        (vec![closed(b, C::GatewayRestarting, "1012")], true, Told::Fine, Some((C::GatewayRestarting, b))),
        (vec![closed(b, C::GatewayFailed, "1011")], true, Told::Fine, Some((C::GatewayFailed, b))),
        (vec![closed(b, C::HeartbeatMissed, "mute")], true, Told::Fine, Some((C::GatewayStalled, b))),
    ];
    for (walk, logged_in, health, expected) in rows {
        let verdict = locate(&walk, logged_in, &health);
        let found = verdict.fault.as_ref().map(|(cause, place)| (*cause, place.as_str()));
        assert_eq!(found, expected, "{walk:#?}: {verdict:#?}");
        if let Some((cause, place)) = expected {
            assert!(verdict.message.contains(&format!("`{place}`")), "{cause}: {}", verdict.message);
            assert_eq!(verdict.evidence[0].0, "fault at");
        }
        let lines = walk.len() + usize::from(expected.is_some());
        assert_eq!(verdict.evidence.len(), lines);
    }
}

#[test]
fn a_healthy_chain_behind_a_closed_door_is_said() {
    let nobody = refused("backend", Step::Connect, Cause::ConnectionRefused, "refused");
    let verdict = locate(&[nobody, open("nginx")], true, &Told::Fine);
    assert!(verdict.message.contains("though not at `backend`"), "{}", verdict.message);
    let verdict = locate(&[unauthorised("backend")], false, &Told::Fine);
    assert!(verdict.message.contains("no cookie_file"), "{}", verdict.message);
}
