//! What the system tests stand on: real processes, a real Postgres, real gateways, and ways to wait for what they do.
//!
//! A [`world::World`] is one controller and one agent, run from their binaries as an operator runs them, with a database
//! of their own in a Postgres that the whole test run shares. Nothing here sleeps: everything is awaited through the
//! operator API with a limit, and a limit that is reached says what was seen last, with the logs.

pub mod agents;
pub mod client;
pub mod cost;
pub mod faults;
pub mod gateway;
pub mod netns;
pub mod postgres;
pub mod process;
pub mod relay;
pub mod visitor;
pub mod wait;
pub mod world;
