//! What the codes mean by which a chat client says that its connection ended: rules as data, and windows of time where one
//! code alone does not tell.
//!
//! A number says less than it seems to. Baileys (measured on 7.0.0-rc14, and Evolution passes its numbers on) calls every
//! close of the WebSocket 428 whatever its code, and 408 is a lost connection, a refused dial and a QR code that nobody
//! scanned: there the words decide. Other numbers change their meaning with what came before or happens beside them:
//!
//! * a 401 within [`AFTER_RESTART`]'s window of a 515 is no logout at once;
//! * five 440s within 30 s are two clients in a war, not one that took over ([`WINDOWS`]);
//! * the third 500 in a row is a bad session for a human; a connection that held forgives the earlier ones;
//! * 405 on many instances at once is the network giving a client version up, not one bot that is old ([`FLEET`]).
//!
//! Everything is pure: [`History`] is what one instance did, [`FleetWindow`] what many did, and the clock is an argument.
//! Each rule also says what to do: whether the client should try again by itself, the cheapest order that can help, and what
//! is left for a human. The client for Node acts by the same table (`clients/node/lib/policy.js`, held to this one by a
//! test). The WebSocket's own close codes are judged elsewhere, by [`crate::classify`].

mod fleet;
mod history;
mod table;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::cause::Cause;
use crate::order::Action;
use crate::time::Mono;

pub use fleet::{FLEET, FleetRule, FleetWindow};
pub use history::{HELD, History};
pub use table::{AFTER_RESTART, RULES, UNKNOWN, WINDOWS};

/// Whose codes a gateway reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// The WebSocket's own close codes (RFC 6455 §7.4).
    #[default]
    WebSocket,
    /// Baileys' `DisconnectReason`, which Evolution's `statusReason` repeats.
    Baileys,
}

impl Protocol {
    /// The protocol of this name; every name there is no table for is taken for the WebSocket's own codes.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name.eq_ignore_ascii_case("baileys") { Self::Baileys } else { Self::WebSocket }
    }
}

/// Whether the client itself should connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, and it counts as no failure.
    Now,
    /// After a random pause below a ceiling that doubles.
    Backoff,
    /// The same with much longer pauses.
    Slowly,
    /// A few times; the window rule of its code says how many.
    Few,
    /// Never: it would get nowhere, or do harm.
    Never,
}

impl Retry {
    /// Stable name, the same as in the client for Node.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Backoff => "backoff",
            Self::Slowly => "slowly",
            Self::Few => "few",
            Self::Never => "never",
        }
    }
}

/// How an end is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As a fault, now.
    Fault,
    /// As none, unless nothing better has come within this time; and what it is then.
    After(Duration, Cause),
}

/// What one code means by itself. The first rule that fits decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRule {
    /// Whose code it is.
    pub protocol: Protocol,
    /// The code; `None`: an end without one.
    pub code: Option<i32>,
    /// Any of these, in lower case, is in the message; empty: whatever it says.
    pub words: &'static [&'static str],
    /// Why.
    pub cause: Cause,
    /// How it is to be taken.
    pub weight: Weight,
    /// Whether the client should connect again.
    pub retry: Retry,
    /// The cheapest order that can help; `None`: none can.
    pub order: Option<Action>,
    /// What happened, to be followed by the code and the client's own words.
    pub said: &'static str,
    /// What is left for a human; empty: nothing.
    pub human: &'static str,
}

/// What the same code means when one instance says it several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRule {
    /// Whose code it is.
    pub protocol: Protocol,
    /// The code.
    pub code: i32,
    /// So many times, this one included.
    pub times: usize,
    /// Within this time.
    pub within: Duration,
    /// Why.
    pub cause: Cause,
    /// Whether the client should connect again.
    pub retry: Retry,
    /// What is left for a human.
    pub human: &'static str,
}

/// What a code means in the wake of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AfterRule {
    /// Whose codes they are.
    pub protocol: Protocol,
    /// The code that is doubted, once.
    pub code: i32,
    /// The code before it.
    pub after: i32,
    /// For how long.
    pub within: Duration,
}

/// How a connection ended, as its client tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End<'a> {
    /// Whose codes.
    pub protocol: Protocol,
    /// The code.
    pub code: Option<i32>,
    /// The client's words.
    pub message: &'a str,
}

/// What an end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Why.
    pub cause: Cause,
    /// How it is to be taken.
    pub weight: Weight,
    /// Whether the client should connect again.
    pub retry: Retry,
    /// The cheapest order that can help.
    pub order: Option<Action>,
    /// What is left for a human; empty: nothing.
    pub human: &'static str,
    /// In words, with the client's own. As long as those are: bound it before it is kept.
    pub message: String,
}

/// Judges an end that happened at `at`. `history` holds the ends before it; remember this one afterwards.
#[must_use]
pub fn judge(end: &End<'_>, at: Mono, history: &History) -> Ruling {
    let rule = rule_of(end);
    let code = end.code.map_or_else(String::new, |code| format!(" ({code})"));
    let words = if end.message.is_empty() { String::new() } else { format!(": {}", end.message) };
    let ruling = |said: &str| Ruling {
        cause: rule.cause,
        weight: rule.weight,
        retry: rule.retry,
        order: rule.order,
        human: rule.human,
        message: format!("{}{code}{said}{words}", rule.said),
    };
    if let Some(doubt) = doubted(end, at, history) {
        return Ruling {
            weight: Weight::After(doubt.within, rule.cause),
            retry: Retry::Backoff,
            ..ruling(" right after a restart, which is not believed at once")
        };
    }
    let Some((window, times)) = windowed(end, at, history) else { return ruling("") };
    Ruling {
        cause: window.cause,
        weight: Weight::Fault,
        retry: window.retry,
        order: None,
        human: window.human,
        ..ruling(&format!(" {times} times within {} s; {}", window.within.as_secs(), window.human))
    }
}

/// The rule that fits an end by itself.
#[must_use]
pub fn rule_of(end: &End<'_>) -> &'static CodeRule {
    let lower = end.message.to_ascii_lowercase();
    let fits = |rule: &&CodeRule| {
        rule.protocol == end.protocol
            && rule.code == end.code
            && (rule.words.is_empty() || rule.words.iter().any(|words| lower.contains(words)))
    };
    RULES.iter().find(fits).unwrap_or(&UNKNOWN)
}

fn doubted(end: &End<'_>, at: Mono, history: &History) -> Option<&'static AfterRule> {
    let rule = &AFTER_RESTART;
    let fits = rule.protocol == end.protocol
        && Some(rule.code) == end.code
        && !history.doubted()
        && history.since_restart(at).is_some_and(|since| since < rule.within);
    fits.then_some(rule)
}

fn windowed(end: &End<'_>, at: Mono, history: &History) -> Option<(&'static WindowRule, usize)> {
    WINDOWS.iter().find_map(|rule| {
        if rule.protocol != end.protocol || Some(rule.code) != end.code {
            return None;
        }
        let times = history.times(rule.code, rule.within, at) + 1;
        (times >= rule.times).then_some((rule, times))
    })
}
