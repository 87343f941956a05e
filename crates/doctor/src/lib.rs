//! Examines a WebSocket endpoint, step by step, from one or more places, and asks the causes engine after each step what
//! is worth looking at next.
//!
//! The engine ([`mooring_core::diagnosis`]) decides what a finding means and which probe would tell more; this crate only
//! carries probes out, at a pace, within bounds. So a second look is taken where it decides something and nowhere else.
//!
//! **Safe by construction.** What is examined may die of a careless probe (each rule was learnt from a process that did):
//! the wire is [`mooring_wire`]'s, with valid frames only, no resets, proper closes; nothing is sent that a foreign
//! protocol could take for a message; a OneBot role goes out only together with an id, which is nobody's account; no
//! lifecycle event is ever sent; one probe at a time per place, with a pause between, and no more than a few dozen in all.

mod exam;
mod probe;
mod run;

pub use exam::{Audience, Dial, Exam, ExamError, RESERVED_ID, Spot, Stop};
pub use run::{Examination, MAX_PROBES, examine};
