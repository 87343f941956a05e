//! The rules: which cause a sign speaks for, how strongly by itself, and which other findings speak for it or against it.
//!
//! Data, not code: a rule is a row. Its `base` is how sure one is with nothing but the sign; each lift that holds moves it.
//! A lift that is not yet decided names the probe that would decide it, and that is how the examination knows what to
//! look at next. The numbers are judgement, held to account by the confusion table (`cargo xtask bench doctor`).

mod accepted;
mod below;
mod engine_io;
mod lifts;
mod refused;

use super::finding::{Probe, Say};
use super::sign::Sign;
use crate::cause::Cause;
use crate::kind::Kind;

/// Something else that is, or is not, so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clue {
    /// The upgrade at the next place nearer to the gateway shows one of these.
    Nearer(&'static [Sign]),
    /// The upgrade at some place further out shows one of these.
    Outer(&'static [Sign]),
    /// This probe at the same place shows one of these.
    Here(Probe, &'static [Sign]),
    /// The answer bears the name of a proxy (nginx, Apache, Envoy, …) or a `Via`.
    Proxied,
    /// It bears none.
    NotProxied,
    /// The place is the gateway itself.
    Direct,
    /// It is said to be one of these.
    Expects(&'static [Kind]),
    /// The path is Engine.IO's.
    EnginePath,
    /// No credentials were sent.
    NoToken,
    /// An id of somebody was sent.
    HasIdentity,
    /// Credentials were sent.
    HasToken,
    /// The silence was 60 s within two per cent: the default of nginx and of Apache.
    DefaultIdle,
    /// Another session ended after the same silence.
    Again,
    /// Many others ended in the same moment.
    Others,
    /// Our end, or the client told of, was sending when the other cut it.
    WasSending,
}

/// A clue, and how much it moves the rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lift {
    pub by: i8,
    pub clue: Clue,
    pub why: Say,
}

impl Lift {
    /// The same clue in the same words, of another weight.
    const fn by(self, by: i8) -> Self {
        Self { by, ..self }
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub cause: Cause,
    pub signs: &'static [Sign],
    pub base: u8,
    pub lifts: &'static [Lift],
}

const fn lift(by: i8, clue: Clue, en: &'static str, zh: &'static str) -> Lift {
    Lift { by, clue, why: Say { en, zh } }
}

const fn rule(cause: Cause, base: u8, signs: &'static [Sign], lifts: &'static [Lift]) -> Rule {
    Rule { cause, signs, base, lifts }
}

/// Every rule.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    [below::RULES, refused::RULES, engine_io::RULES, accepted::RULES].into_iter().flatten()
}
