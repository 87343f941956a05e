//! Agents without gateways: the agents' side of the link, spoken from inside a test or a benchmark.
//!
//! Two of them, for two purposes. [`Link`] is the bare stream: it says what it is told to, so that a test can break every
//! rule of the protocol by hand. [`Simulated`] keeps all the rules (snapshot, window, heartbeats, receipts, conditions
//! that are judged anew under an order), so that a thousand of them are a fleet to the controller.

mod link;
mod shape;
mod simulated;

pub use link::{Down, Link, Up, Who};
pub use shape::{Shape, condition, now, sick, well};
pub use simulated::{Given, Obedience, Settings, Simulated, Tally};
