//! The causes engine: findings in, ranked causes out.
//!
//! One engine for the agent's watchers, for `mooring doctor` and for `ExplainInstance`: whoever found something, the same
//! facts lead to the same causes in the same words. Pure and driven by data: what a finding looks like is a row of
//! `sign`, what that means a row of `rules`, what a protocol's own codes mean a row of `codes`.
//!
//! **Where.** Places are walked from the gateway outwards; the fault is at the innermost place that fails, and what outer
//! places show because of it is the same fault seen from outside: one verdict. A failure further out that does not follow
//! from it is a second one, told apart.
//!
//! **How sure.** Each candidate has what speaks for it and against it, in words; a verdict is only called that when the
//! first candidate leads. What would decide between candidates is named ([`wanted`]), so that an examination asks the
//! next question instead of guessing.

pub mod codes;
mod engine;
mod finding;
mod rules;
mod sign;
mod tell;
mod timers;

pub use engine::{Candidate, Diagnosis, Fault, LEAD, Sureness, Want, diagnose, first_opinion, wanted};
pub use finding::{
    Case, EngineSaw, Failed, Finding, LinkSaw, MAX_FINDINGS, MAX_PLACES, Place, Probe, Saw, Say,
};
pub use sign::Sign;
pub use timers::{MAX_LIMITS, Misfit, NONEBOT_LOCK_OUT, Pings, Timers, misfits};
