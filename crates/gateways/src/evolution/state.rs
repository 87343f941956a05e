//! How an instance is, from everything that was seen of it: a pure function of its trace and the time.
//!
//! No source is to be believed alone. The word of REST is the process's own opinion: `open` proves nothing about the
//! network for up to 65 s, and in a storm it is whatever the moment hits. The row of the database is late by design: in a
//! storm it stays `open`. Events are silent about drops that are retried: a drop is a `connecting` out of `open`, and its
//! code is never told. So each rule below takes two of the three, or one and its rate, over a window of time.
//!
//! The rules stand in order and the first that applies is the verdict; the table is all there is. What they cannot tell,
//! they leave Unknown: that a session which is lost again and again was *taken over* (440) shows in `close` being seen
//! between `open` and `connecting` for a tenth of a second, so it takes a second, closer look ([`wants_look`]).

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{Evidence, Status};

pub use super::facts::{Around, Facts};
use super::facts::{OUTAGE, PROVES_NOTHING, STORM, STUCK, WAR, seconds};
use super::seen::State;

/// Traffic that is older than this says nothing about now.
const TRAFFIC: Duration = Duration::from_secs(300);

/// An answer to one of the questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// True, False or Unknown.
    pub status: Status,
    /// Why it is not True.
    pub cause: Option<Cause>,
    /// In words.
    pub message: String,
    /// The facts.
    pub evidence: Evidence,
    /// How old the newest fact is.
    pub age: Duration,
}

/// What is to be said of an instance. `None`: nothing new, what was said stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Whether its account is logged in.
    pub linked: Option<Finding>,
    /// Whether it stays so.
    pub stable: Option<Finding>,
    /// Whether traffic flows.
    pub delivering: Option<Finding>,
}

/// One rule: when it applies, and what it says then.
struct Rule {
    applies: fn(&Facts<'_>) -> bool,
    status: Status,
    cause: Option<Cause>,
    words: fn(&Facts<'_>) -> String,
}

const fn no(cause: Cause, applies: fn(&Facts<'_>) -> bool, words: fn(&Facts<'_>) -> String) -> Rule {
    Rule { applies, status: Status::False, cause: Some(cause), words }
}

const fn unknown(cause: Cause, applies: fn(&Facts<'_>) -> bool, words: fn(&Facts<'_>) -> String) -> Rule {
    Rule { applies, status: Status::Unknown, cause: Some(cause), words }
}

fn code_is(f: &Facts<'_>, codes: &[u16]) -> bool {
    f.closed() && f.code().is_some_and(|code| codes.contains(&code))
}

fn in_words(f: &Facts<'_>) -> String {
    f.code().map_or_else(|| "no code".to_owned(), |code| format!("code {code}"))
}

fn storm_words(f: &Facts<'_>) -> String {
    let many = match f.around.storming {
        Some((sick, all)) => format!(
            "; {sick} of {all} instances do so at once: the network dropped this version (405), or the way out is \
             blocked; the gateway's log tells which"
        ),
        None => String::new(),
    };
    match f.logins(STORM.0) {
        0 => format!(
            "its state was seen changing {} times in 10 s{many}",
            f.trace.flips.within(f.now, STORM.0)
        ),
        logins => format!(
            "{logins} logins began within 10 s and {} succeeded; the code behind it is not told{many}",
            f.successes(STORM.0)
        ),
    }
}

/// Linked: is the account logged in?
const LINKED: &[Rule] = &[
    unknown(Cause::NotYetObserved, |f| f.state().is_none(), |_| "nothing was heard of it yet".to_owned()),
    no(
        Cause::InstanceNotLoaded,
        |f| f.state() == Some(State::NotLoaded),
        |_| {
            "it is in the database and not in the process (made outside the API?): no order reaches it, only a start \
             of the process loads it"
                .to_owned()
        },
    ),
    no(
        Cause::TakeoverWar,
        |f| f.war(),
        |f| {
            format!(
                "{} logins in 30 s, each thrown out again (440) and retried by the gateway at once: a second client \
                 uses this account",
                f.successes(WAR.0).max(f.trace.replaced.within(f.now, WAR.0))
            )
        },
    ),
    no(
        Cause::UpstreamDeprecated,
        |f| f.around.deprecated && (f.code() == Some(405) || f.storm()),
        |_| "many instances were refused for their client's version (405) within a minute".to_owned(),
    ),
    no(
        Cause::LoginRevoked,
        |f| code_is(f, &[401]),
        |_| "logged out for good (401); the gateway has deleted its session".to_owned(),
    ),
    no(
        Cause::LoginRevoked,
        |f| code_is(f, &[408]) && f.around.version.wipes_on_408(),
        |f| format!("a network outage (408), upon which version {} deletes the session", f.around.version),
    ),
    no(
        Cause::AccountForbidden,
        |f| code_is(f, &[402, 403, 406]),
        |f| format!("refused for good ({}): the account is restricted or banned", in_words(f)),
    ),
    no(
        Cause::SessionReplaced,
        |f| code_is(f, &[440]),
        |_| "another client took the session over (440)".to_owned(),
    ),
    no(Cause::ClientOutdated, |f| code_is(f, &[405]), |_| "the client's version is refused (405)".to_owned()),
    no(
        Cause::PairingNeeded,
        |f| f.unpaired(),
        |f| match f.state() {
            Some(State::Open) => {
                "the process says open, but no account was ever paired and nothing was stored".to_owned()
            }
            Some(State::Connecting) => "it waits for its QR code to be scanned".to_owned(),
            _ if f.trace.qr_limit || f.stored(State::Connecting) => {
                "no QR code was scanned before their limit; it is mute until somebody asks for a new one"
                    .to_owned()
            }
            _ => "no account was ever paired".to_owned(),
        },
    ),
    no(Cause::ReconnectStorm, |f| f.storm(), storm_words),
    no(
        Cause::ConnectingStuck,
        |f| f.state() == Some(State::Connecting) && f.quiet_for() > STUCK,
        |f| {
            format!("connecting for {} without any event; it does not fail by itself", seconds(f.quiet_for()))
        },
    ),
    no(
        Cause::NoUpstreamLink,
        |f| f.state() == Some(State::Connecting) && f.down_for() > OUTAGE,
        |f| format!("connecting for {}", seconds(f.down_for())),
    ),
    no(
        Cause::ReportedClosed,
        |f| f.state() == Some(State::Close) && f.down_for() > OUTAGE,
        |f| {
            let row = f.row().map_or("not known", |row| row.status.name());
            let left =
                f.stored(State::Close) && f.code().is_none() && f.around.version.starts_only_connected();
            let why = if left { "; since 2.3.7 a process start leaves it so" } else { "" };
            format!("closed for {} ({}); the database says {row}{why}", seconds(f.down_for()), in_words(f))
        },
    ),
    unknown(
        Cause::Unrecognised,
        |f| f.state() == Some(State::Odd),
        |_| "the gateway says a word that this version of Mooring does not know".to_owned(),
    ),
    unknown(
        Cause::NotObservable,
        |f| f.state() == Some(State::Open) && f.stored(State::Close) && f.settled(),
        |_| "the process says open, the database says close: one of them is wrong".to_owned(),
    ),
    Rule {
        applies: |f| f.state() == Some(State::Open),
        status: Status::True,
        cause: None,
        words: |f| match f.trace.traffic.map(|at| f.now.since(at)).filter(|age| *age < PROVES_NOTHING) {
            Some(age) => format!("open, and the network was heard {} ago", seconds(age)),
            None => format!(
                "the process says open, which proves nothing about the network for up to {}",
                seconds(PROVES_NOTHING)
            ),
        },
    },
];

/// Stable: does it stay logged in?
const STABLE: &[Rule] = &[
    no(Cause::TakeoverWar, |f| f.war(), |f| format!("{} logins in 30 s", f.successes(WAR.0))),
    no(Cause::ReconnectStorm, |f| f.storm(), storm_words),
    no(
        Cause::Flapping,
        |f| f.successes(WAR.0) >= WAR.1,
        |f| {
            format!(
                "{} logins in 30 s, each lost again; the gateway does not tell why, and logs in by itself",
                f.successes(WAR.0)
            )
        },
    ),
    Rule {
        applies: |f| f.around.listening.is_some_and(|for_| for_ >= WAR.0) && !f.rapid(),
        status: Status::True,
        cause: None,
        words: |f| format!("{} logins in 30 s", f.successes(WAR.0)),
    },
    unknown(
        Cause::NotObservable,
        |_| true,
        |f| match f.around.listening {
            Some(_) => "not listened to for long enough".to_owned(),
            None => "a drop lasts a tenth of a second: only events would tell".to_owned(),
        },
    ),
];

/// What is to be said of an instance now.
#[must_use]
pub fn verdict(facts: &Facts<'_>) -> Verdict {
    let first = |rules: &[Rule]| {
        let rule = rules.iter().find(|rule| (rule.applies)(facts))?;
        Some(found(facts, rule.status, rule.cause, (rule.words)(facts)))
    };
    Verdict { linked: first(LINKED), stable: first(STABLE), delivering: delivering(facts) }
}

fn found(f: &Facts<'_>, status: Status, cause: Option<Cause>, message: String) -> Finding {
    let newest = f.trace.state.map(|(at, ..)| at).max(f.trace.event).unwrap_or_default();
    Finding { status, cause, message, evidence: f.evidence(), age: f.now.since(newest) }
}

/// Only its presence proves something: an account may be silent for hours.
fn delivering(f: &Facts<'_>) -> Option<Finding> {
    let age = f.now.since(f.trace.traffic?);
    let evidence = vec![("traffic.age".to_owned(), seconds(age))];
    let message = format!("the last event that only the network can have caused came {} ago", seconds(age));
    let fresh = age < TRAFFIC && f.state() == Some(State::Open);
    let (status, cause) =
        if fresh { (Status::True, None) } else { (Status::Unknown, Some(Cause::NotObservable)) };
    Some(Finding { status, cause, message, evidence, age })
}

/// Whether a second, closer look (many in a row) would tell apart what the trace cannot: a war from a storm, and, where no
/// events are heard, a storm from a hang.
#[must_use]
pub fn wants_look(f: &Facts<'_>) -> bool {
    let blind = f.around.listening.is_none()
        && f.state() == Some(State::Connecting)
        && f.down_for() > OUTAGE
        && !f.unpaired();
    let lost_again = f.successes(WAR.0) >= 3 && !f.war();
    !f.looked() && (blind || lost_again)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
