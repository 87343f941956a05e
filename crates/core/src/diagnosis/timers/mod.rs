//! The timers on a path, held against each other: what they will do to a session before they have done it.
//!
//! Every end of a connection has a patience, and everything between them has one, too; a session lives as long as
//! something passes more often than the shortest of them. Nobody sees all of them in one place, so they are gathered:
//! what an operator knows ([`Timers`] of the case), and what was learnt of the pings and cuts by looking ([`learnt`]). Pure,
//! and notes only: a path whose timers contradict each other works until it is idle, so none of this makes a fault.

mod lint;

use std::time::Duration;

use super::engine::Diagnosis;
use super::finding::{Case, Probe};
use crate::cause::{Cause, Lang};
use crate::classify::short;
use crate::kind::Kind;

pub use lint::misfits;

/// How long NoneBot refuses the successor of a connection that died without a word: until uvicorn's ping, each 20 s with
/// 20 s to answer, has found it out (41.1 s measured).
pub const NONEBOT_LOCK_OUT: Duration = Duration::from_secs(40);
/// Most idle limits of one path.
pub const MAX_LIMITS: usize = 16;

/// How often a server pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pings {
    /// Nobody knows.
    #[default]
    Unknown,
    /// Not once in this time. [`Duration::MAX`]: never.
    NotWithin(Duration),
    /// At least this often.
    Every(Duration),
}

/// Every timer that is known. What is not known is not judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timers {
    /// The server's WebSocket pings.
    pub server_ping: Pings,
    /// How long the server waits for a pong.
    pub server_timeout: Option<Duration>,
    /// How long the client waits for anything at all.
    pub client_timeout: Option<Duration>,
    /// How long each thing on the way lets a connection be silent, with its name; at most [`MAX_LIMITS`] are looked at.
    pub proxy_idle: Vec<(String, Duration)>,
    /// Between two attempts of the client.
    pub reconnect_interval: Option<Duration>,
    /// Whether that grows with each attempt.
    pub reconnect_backoff: Option<bool>,
    /// What Engine.IO promised: a ping each so often, and the time to answer it.
    pub engine: Option<(Duration, Duration)>,
    /// Between two heartbeats of a OneBot implementation.
    pub heartbeat: Option<Duration>,
    /// Baileys' `keepAliveIntervalMs`.
    pub keepalive: Option<Duration>,
    /// How long the framework refuses a successor while it believes in the old connection.
    pub lock_out: Option<Duration>,
    /// How soon a dead connection has to be noticed.
    pub detect_within: Option<Duration>,
}

/// Two timers that do not fit, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What it becomes, or has.
    pub cause: Cause,
    /// It follows from the numbers alone; otherwise it depends on what else passes, or leaves no room.
    pub certain: bool,
    what: [String; 2],
    fix: [String; 2],
}

impl Misfit {
    /// What does not fit, in a sentence with the numbers.
    #[must_use]
    pub fn what(&self, lang: Lang) -> &str {
        pick(&self.what, lang)
    }

    /// What to set, in a sentence.
    #[must_use]
    pub fn fix(&self, lang: Lang) -> &str {
        pick(&self.fix, lang)
    }
}

fn pick([en, zh]: &[String; 2], lang: Lang) -> &str {
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

/// What the operator gave, and what was learnt where nothing was given.
#[must_use]
pub fn learnt(case: &Case, diagnosis: &Diagnosis) -> Timers {
    let mut timers = case.timers.clone();
    let engine = || case.findings.iter().find_map(|f| f.saw.engine.as_ref()?.promise);
    timers.engine = timers.engine.or_else(engine);
    if timers.server_ping == Pings::Unknown && timers.engine.is_none() {
        timers.server_ping = pings(case);
    }
    if timers.lock_out.is_none() && case.expect == Some(Kind::Onebot11) {
        let known = match (timers.server_ping, timers.server_timeout) {
            (Pings::Every(every), Some(timeout)) => every.checked_add(timeout),
            _ => None,
        };
        timers.lock_out = Some(known.unwrap_or(NONEBOT_LOCK_OUT));
    }
    // A limit that was met, where the verdict is that it was one.
    for fault in diagnosis.faults.iter().filter(|f| f.verdict().is_some_and(|c| c.cause == Cause::IdleCut)) {
        let cut = case.at(fault.place, Probe::HoldSilent).and_then(|f| f.saw.close.as_ref());
        if let (Some(cut), Some(place)) = (cut, case.places.get(fault.place)) {
            timers.proxy_idle.push((place.name.clone(), cut.silent_for));
        }
    }
    timers
}

/// What the sessions that were held heard. The longest gap counts: a limit is met by the worst.
fn pings(case: &Case) -> Pings {
    let held = case.findings.iter().filter(|f| matches!(f.probe, Probe::HoldSilent | Probe::HoldPinging));
    let links: Vec<_> = held.filter_map(|f| f.saw.link.as_ref()).collect();
    if let Some(every) = links.iter().filter_map(|l| l.ping_interval).max() {
        return Pings::Every(every);
    }
    match links.iter().map(|l| l.age).max() {
        Some(age) if links.iter().all(|l| l.pings == 0) => Pings::NotWithin(age),
        _ => Pings::Unknown,
    }
}

/// What the timers of a case have against each other, without what is a fault of it already.
#[must_use]
pub fn notes(case: &Case, diagnosis: &Diagnosis) -> Vec<Misfit> {
    let firsts: Vec<Cause> =
        diagnosis.faults.iter().filter_map(|f| f.candidates.first()).map(|c| c.cause).collect();
    let mut notes = misfits(&learnt(case, diagnosis));
    notes.retain(|note| !firsts.contains(&note.cause));
    notes
}

#[cfg(test)]
mod tests;
