//! The OneBot v11 adapter between real frameworks and a stand-in for Lagrange.OneBot.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod behaviour;
mod forward;
mod frameworks;
mod support;
