//! Where along the way the upgrade fails: the same handshake, judged at the backend and at each proxy before it.
//!
//! Users come in at the outermost place, so that is what decides whether Bisheng can be reached. When it cannot, the
//! first place that fails, counted from the inside, is the one to be mended: everything further out only passes its
//! answer on. (Through Apache, nginx' 404 still says `Server: nginx`; the header names nobody.)
//!
//! A proxy's fault is never given a cause that leads to a restart of Bisheng while the place behind the proxy works:
//! restarting a healthy backend would end every running workflow and mend nothing.

use mooring_core::cause::Cause;
use mooring_core::condition::Evidence;
use mooring_core::handshake::{HandshakeReport, Step};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, MAX_MESSAGE, clip};

use super::rest::Told;
use super::settings::BACKEND;

/// A handshake that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// At which place: the backend or a hop, by its name.
    pub place: String,
    /// Its address, without the path of the probe.
    pub url: String,
    /// What came of it.
    pub report: HandshakeReport,
}

/// How far a handshake came.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Passage {
    /// Accepted by the application.
    Through,
    /// Refused by the application itself, which therefore got the upgrade.
    Reached(Cause),
    /// Failed on its way.
    Barred(Cause),
}

/// What a walk along the hops came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is wrong and where; `None`: users get through.
    pub fault: Option<(Cause, String)>,
    /// In words.
    pub message: String,
    /// One line per place, from the inside out.
    pub evidence: Evidence,
}

/// Judges a walk. `walked` goes from the backend outwards; `logged_in`: a login went along; `health`: what the backend's
/// `/health` said at the same time.
#[must_use]
pub fn locate(walked: &[Walked], logged_in: bool, health: &Told) -> Verdict {
    let passages: Vec<Passage> = walked.iter().map(|w| passage(&w.report)).collect();
    let application_refuses = matches!(passages.first(), Some(Passage::Reached(_)));
    let fine = |passage: &Passage| match passage {
        Passage::Through => true,
        // Without a login the application must refuse, and its refusal proves that the upgrade came through.
        Passage::Reached(_) => !logged_in && application_refuses,
        Passage::Barred(_) => false,
    };
    let evidence = evidence(walked);
    let failing = passages.iter().position(|p| !fine(p));
    let outermost_fine = passages.last().is_some_and(fine);
    let (Some(at), false) = (failing, outermost_fine) else {
        return Verdict { fault: None, message: well(walked, failing, application_refuses), evidence };
    };
    let (Some(walk), Some(passage)) = (walked.get(at), passages.get(at)) else {
        return Verdict { fault: None, message: String::new(), evidence };
    };
    let (cause, words) = name(at, walk, passage, walked, health);
    let mut evidence = evidence;
    evidence.insert(0, ("fault at".to_owned(), format!("{} ({})", walk.place, walk.url)));
    Verdict { fault: Some((cause, walk.place.clone())), message: clip(&words, MAX_MESSAGE), evidence }
}

fn well(walked: &[Walked], failing: Option<usize>, refused: bool) -> String {
    let outermost = walked.last().map_or(BACKEND, |w| w.place.as_str());
    let mut words = if refused {
        format!(
            "the upgrade reaches the application by way of `{outermost}`; it lets nobody in without a login, and no \
             cookie_file is configured"
        )
    } else {
        format!("the handshake goes through at `{outermost}`")
    };
    if let Some(inner) = failing.and_then(|i| walked.get(i)) {
        words.push_str(&format!(
            ", though not at `{}` further in: {}",
            inner.place,
            told(&inner.report).unwrap_or_default()
        ));
    }
    clip(&words, MAX_MESSAGE)
}

fn evidence(walked: &[Walked]) -> Evidence {
    let line = |w: &Walked| match told(&w.report) {
        Some(refused) => refused.to_owned(),
        None => {
            let close = w.report.steps.last().filter(|s| s.step == Step::Close);
            format!("101 in {:.1?}; {}", w.report.took, close.map_or("", |s| s.detail.as_str()))
        }
    };
    walked.iter().map(|w| (w.place.clone(), clip(&line(w), MAX_EVIDENCE_VALUE))).collect()
}

fn told(report: &HandshakeReport) -> Option<&str> {
    report.outcome.as_ref().err().map(|refusal| refusal.message.as_str())
}

fn passage(report: &HandshakeReport) -> Passage {
    let Err(refusal) = &report.outcome else { return Passage::Through };
    if refusal.step == Step::Close {
        return after_open(refusal.cause, &refusal.message);
    }
    let Some(answer) = &report.answer else { return Passage::Barred(refusal.cause) };
    let html = answer.header("content-type").is_some_and(|t| t.starts_with("text/html"));
    match answer.status {
        200..=299 if html => Passage::Barred(Cause::SpaFallback),
        // A proxy that asks for a password of its own does so in HTML; uvicorn with an empty text or with JSON.
        401 | 403 if !html => Passage::Reached(Cause::CredentialsRefused),
        // Starlette's words for an exception that nobody handled: 2.6.0's handler reads `.method` of a WebSocket.
        500 if answer.body_start.trim() == "Internal Server Error" && !html => {
            Passage::Reached(Cause::HandlerFailed)
        }
        502 | 503 => Passage::Barred(Cause::BackendDown),
        504 => Passage::Barred(Cause::BackendHung),
        _ => Passage::Barred(refusal.cause),
    }
}

/// Accepted, and closed by the other side before we could. The probe's id is nobody's, so that being sent away is no
/// fault; being sent away for the login is.
fn after_open(cause: Cause, message: &str) -> Passage {
    let lower = message.to_ascii_lowercase();
    let login = ["token", "login", "expired", "signature", "unauthor", "jwt", "cookie"];
    match cause {
        Cause::RefusedByPolicy if login.iter().any(|word| lower.contains(word)) => {
            Passage::Reached(Cause::CredentialsRefused)
        }
        Cause::RefusedByPolicy | Cause::ClosedByGateway => Passage::Through,
        Cause::HeartbeatMissed => Passage::Barred(Cause::GatewayStalled),
        other => Passage::Barred(other),
    }
}

/// The cause and the words for the place where it fails. Everything further in works.
fn name(at: usize, walk: &Walked, passage: &Passage, walked: &[Walked], health: &Told) -> (Cause, String) {
    let place = format!("`{}` ({})", walk.place, walk.url);
    let said = told(&walk.report).unwrap_or_default();
    let (Passage::Reached(cause) | Passage::Barred(cause)) = *passage else {
        return (Cause::Unrecognised, String::new());
    };
    let inner = at.checked_sub(1).and_then(|i| walked.get(i));
    let Some(inner) = inner else { return at_backend(cause, &place, said, health) };
    let works = format!("it works at `{}`, one further in", inner.place);
    match cause {
        Cause::ProxyStrippedUpgrade | Cause::UpgradeNotPerformed => (
            Cause::ProxyStrippedUpgrade,
            format!(
                "{place} does not pass the upgrade on, {works}: {said}. Its `Upgrade` and `Connection` headers must be set there"
            ),
        ),
        Cause::SpaFallback => (
            cause,
            format!(
                "{place} answers the upgrade with a web page, {works}: this path is not sent to the API there. {said}"
            ),
        ),
        Cause::BackendDown | Cause::BackendHung => (
            Cause::NetworkUnreachable,
            format!(
                "{place} cannot reach what stands behind it, although {works} when dialled from here: its upstream \
                 address is wrong, or it is in another network. Restarting Bisheng would not help. {said}"
            ),
        ),
        Cause::ConnectionRefused => (
            Cause::NetworkUnreachable,
            format!("nothing listens at {place}, while {works}: this proxy is down, Bisheng is not. {said}"),
        ),
        Cause::HandshakeTimedOut | Cause::ClosedBeforeAnswer | Cause::SessionLost => (
            Cause::NetworkUnreachable,
            format!(
                "{place} takes the request and does not answer it properly, {works}: look at this proxy. {said}"
            ),
        ),
        Cause::CredentialsRefused => (cause, format!("{place} refuses the handshake, {works}: {said}")),
        other => (other, format!("at {place}, {works}: {said}")),
    }
}

fn at_backend(cause: Cause, place: &str, said: &str, health: &Told) -> (Cause, String) {
    let mute = matches!(health, Told::Mute(_));
    match cause {
        Cause::ConnectionRefused => (
            Cause::BackendDown,
            format!("nothing listens at {place}: bisheng-backend is down or not yet up. {said}"),
        ),
        Cause::HandshakeTimedOut | Cause::GatewayStalled if mute => (
            Cause::GatewayStalled,
            format!(
                "{place} accepts connections and answers nothing, /health included: its process is stopped or blocked. {said}"
            ),
        ),
        Cause::HandlerFailed => (
            cause,
            format!(
                "the application at {place} breaks while it answers the upgrade: its error handler reads what a \
                 WebSocket does not have (2.6.0 does, on any refused login). {said}"
            ),
        ),
        Cause::CredentialsRefused => (
            cause,
            format!(
                "the application at {place} refuses the login of cookie_file: {said}. Log in again and write the new token there"
            ),
        ),
        Cause::ProxyStrippedUpgrade | Cause::SpaFallback => (
            cause,
            format!(
                "{place} is no backend: a proxy or the front end answers there. {said}. `backend` must be the API's own address (7860)"
            ),
        ),
        Cause::GatewayFailed => {
            (cause, format!("the application at {place} accepts the session and fails (1011): {said}"))
        }
        other => (other, format!("at {place}: {said}")),
    }
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
