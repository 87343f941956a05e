//! What is known of one Bisheng, and what is claimed of it. Pure: looks and the time in, claims out.
//!
//! Nothing is said to be wrong before the same fault was found by several looks in a row (`confirm`): a container that is
//! being replaced fails for a look or two, and each look is a fresh set of connections, so a chance failure does not
//! repeat. Health is believed at once. While something is in doubt the looks come faster, so that doubt costs seconds
//! and not whole intervals.
//!
//! The layers: `Reachable` is the outermost hop, where the users are. `Beating` is `/health` and what REST says behind
//! its 200. `Linked` is the login of `cookie_file`, `Delivering` the workers; both are Unknown where no check is
//! configured, as `/health` knows of neither.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Evidence, Status};
use mooring_core::handshake::Step;
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Claim;
use mooring_core::session::Source;
use mooring_core::time::Mono;

use super::locate::{Walked, locate};
use super::rest::Told;
use super::settings::Settings;

/// Looks in doubt come so many times as often.
const HASTE: u32 = 4;
/// And yet no faster than this.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// One look at everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What `/health` said.
    pub health: Told,
    /// What `login_check` said, where there is one.
    pub login: Option<Told>,
    /// What `worker_check` said, where there is one.
    pub worker: Option<Told>,
    /// Handshakes from the backend outwards, where it was time for them.
    pub walk: Option<Vec<Walked>>,
}

/// What is known of one Bisheng.
#[derive(Debug)]
pub struct State {
    poll: Duration,
    walk: Duration,
    logged_in: bool,
    walked: Option<Mono>,
    reachable: Judge,
    beating: Judge,
    linked: Judge,
    delivering: Judge,
}

impl State {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let judge = |kind| Judge { kind, confirm: settings.confirm, doubt: None, failing: false };
        Self {
            poll: settings.poll.get(),
            walk: settings.walk.get(),
            logged_in: settings.cookie_file.is_some(),
            walked: None,
            reachable: judge(ConditionKind::Reachable),
            beating: judge(ConditionKind::Beating),
            linked: judge(ConditionKind::Linked),
            delivering: judge(ConditionKind::Delivering),
        }
    }

    /// Whether the next look walks along the hops even if `/health` is fine.
    #[must_use]
    pub fn wants_walk(&self, now: Mono) -> bool {
        let troubled = self.reachable.doubt.is_some() || self.reachable.failing;
        troubled || self.walked.is_none_or(|at| now.since(at) >= self.walk)
    }

    /// Time from the end of one look to the begin of the next.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let judges = [&self.reachable, &self.beating, &self.linked, &self.delivering];
        let doubtful = judges.iter().any(|j| j.doubt.as_ref().is_some_and(|d| d.times < j.confirm));
        if doubtful { (self.poll / HASTE).max(LEAST_PAUSE) } else { self.poll }
    }

    /// Takes a look into account that was ended now and took so long; returns what is to be claimed.
    pub fn step(&mut self, now: Mono, look: &Look, took: Duration) -> Vec<Claim> {
        let mut claims = Vec::new();
        let mut opinions = vec![(Layer::Beating, beating(look))];
        if let Some(walk) = &look.walk {
            self.walked = Some(now);
            opinions.push((Layer::Reachable, reachable(walk, self.logged_in, &look.health)));
        }
        opinions.push((Layer::Linked, linked(look)));
        opinions.push((Layer::Delivering, delivering(look)));
        for (layer, opinion) in opinions {
            let judge = match layer {
                Layer::Reachable => &mut self.reachable,
                Layer::Beating => &mut self.beating,
                Layer::Linked => &mut self.linked,
                Layer::Delivering => &mut self.delivering,
            };
            claims.extend(judge.hear(opinion, took));
        }
        claims
    }
}

#[derive(Clone, Copy)]
enum Layer {
    Reachable,
    Beating,
    Linked,
    Delivering,
}

/// What one look makes of a layer.
struct Opinion {
    status: Status,
    cause: Option<Cause>,
    /// Where: two faults of one cause at two places are two faults.
    place: String,
    message: String,
    evidence: Evidence,
}

impl Opinion {
    fn well(message: String, evidence: Evidence) -> Self {
        Self { status: Status::True, cause: None, place: String::new(), message, evidence }
    }

    fn wrong(cause: Cause, message: String, evidence: Evidence) -> Self {
        Self { status: Status::False, cause: Some(cause), place: String::new(), message, evidence }
    }

    fn unknown(cause: Cause, message: &str) -> Self {
        let message = message.to_owned();
        Self {
            status: Status::Unknown,
            cause: Some(cause),
            place: String::new(),
            message,
            evidence: Vec::new(),
        }
    }
}

/// A fault that was found and not yet often enough.
#[derive(Debug)]
struct Doubt {
    cause: Option<Cause>,
    place: String,
    times: u32,
}

/// Asks for agreement before it says that something is wrong.
#[derive(Debug)]
struct Judge {
    kind: ConditionKind,
    confirm: u32,
    doubt: Option<Doubt>,
    /// Said to be wrong.
    failing: bool,
}

impl Judge {
    fn hear(&mut self, opinion: Opinion, age: Duration) -> Option<Claim> {
        if opinion.status == Status::False {
            let same = |d: &&mut Doubt| d.cause == opinion.cause && d.place == opinion.place;
            match self.doubt.as_mut().filter(same) {
                Some(doubt) => doubt.times = doubt.times.saturating_add(1),
                None => {
                    self.doubt = Some(Doubt { cause: opinion.cause, place: opinion.place, times: 1 });
                }
            }
            if self.doubt.as_ref().is_none_or(|d| d.times < self.confirm) {
                return None;
            }
            self.failing = true;
        } else {
            self.doubt = None;
            self.failing = false;
        }
        Some(Claim {
            source: Source::Adapter,
            kind: self.kind,
            status: opinion.status,
            cause: opinion.cause,
            message: clip(&opinion.message, MAX_MESSAGE),
            evidence: opinion.evidence,
            age,
        })
    }
}

fn reachable(walk: &[Walked], logged_in: bool, health: &Told) -> Opinion {
    let verdict = locate(walk, logged_in, health);
    match verdict.fault {
        None => Opinion::well(verdict.message, verdict.evidence),
        Some((cause, place)) => Opinion { place, ..Opinion::wrong(cause, verdict.message, verdict.evidence) },
    }
}

fn beating(look: &Look) -> Opinion {
    let evidence = |words: &str| vec![("GET /health".to_owned(), words.to_owned())];
    let backend = look.walk.as_ref().and_then(|walk| walk.first());
    let refusal = backend.and_then(|b| b.report.outcome.as_ref().err());
    // The dial tells what plain HTTP does not: that it never came to the process. Restarting that would mend nothing.
    let no_way =
        refusal.filter(|r| r.step <= Step::Tls && r.cause != Cause::ConnectionRefused).map(|r| r.cause);
    match (&look.health, no_way) {
        (Told::Fine, _) => beating_behind(look),
        (Told::Refused(words) | Told::Mute(words) | Told::Failed(words), Some(cause)) => {
            Opinion::wrong(cause, format!("there is no way to the backend: {words}"), evidence(words))
        }
        (Told::Refused(words), None) => {
            let message = format!("nothing listens at the backend's address: {words}");
            Opinion::wrong(Cause::BackendDown, message, evidence(words))
        }
        (Told::Mute(words), None) => {
            let message = format!("the backend takes the connection and does not answer /health: {words}");
            Opinion::wrong(Cause::GatewayStalled, message, evidence(words))
        }
        (Told::Failed(words), None) => {
            let message = format!("the backend does not answer /health properly: {words}");
            Opinion::wrong(Cause::BackendUnhealthy, message, evidence(words))
        }
        (Told::Wrong { cause, words }, _) => {
            Opinion::wrong(*cause, format!("/health does not say OK: {words}"), evidence(words))
        }
    }
}

/// `/health` is fine; REST may know better. A refused login is not its failure.
fn beating_behind(look: &Look) -> Opinion {
    match &look.login {
        Some(Told::Wrong { cause: cause @ (Cause::BackendUnhealthy | Cause::SpaFallback), words }) => {
            let message = format!("/health says OK, and yet REST fails: {words}");
            Opinion::wrong(*cause, message, vec![("login_check".to_owned(), words.clone())])
        }
        Some(Told::Mute(words)) => {
            let message = format!("/health says OK, and yet REST does not answer: {words}");
            Opinion::wrong(Cause::BackendUnhealthy, message, vec![("login_check".to_owned(), words.clone())])
        }
        _ => Opinion::well("/health says OK".to_owned(), Vec::new()),
    }
}

fn linked(look: &Look) -> Opinion {
    match &look.login {
        None => Opinion::unknown(Cause::NotObservable, "no login_check is configured"),
        Some(Told::Fine) => Opinion::well("the login of cookie_file holds".to_owned(), Vec::new()),
        Some(Told::Wrong { cause: Cause::CredentialsRefused, words }) => Opinion::wrong(
            Cause::CredentialsRefused,
            format!(
                "the login of cookie_file is refused: {words}. Log in again and write the new token there"
            ),
            vec![("login_check".to_owned(), words.clone())],
        ),
        Some(Told::Wrong { cause: Cause::WrongPath, words }) => Opinion::unknown(
            Cause::NotObservable,
            &format!("login_check names a path that the backend does not have: {words}"),
        ),
        Some(_) => Opinion::unknown(Cause::NotObservable, "the backend does not tell now"),
    }
}

fn delivering(look: &Look) -> Opinion {
    match &look.worker {
        None => Opinion::unknown(
            Cause::NotObservable,
            "no worker_check is configured: workflows run in other processes, of which /health knows nothing",
        ),
        Some(Told::Fine) => Opinion::well("the workers answer".to_owned(), Vec::new()),
        Some(Told::Wrong { cause: Cause::BackendUnhealthy, words }) => Opinion::wrong(
            Cause::BackendUnhealthy,
            format!("sessions open, but workflows do not run: {words}. Look at `bisheng-backend-worker`"),
            vec![("worker_check".to_owned(), words.clone())],
        ),
        Some(Told::Wrong { cause, words }) => {
            let message = format!("worker_check does not tell of the workers: {cause}: {words}");
            Opinion::unknown(Cause::NotObservable, &message)
        }
        Some(_) => Opinion::unknown(Cause::NotObservable, "the backend does not tell now"),
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
