//! The process shell shared by `mooring-agent`, `mooring-controller` and `mooring`.
//!
//! Everything a long-running process needs around its work, and nothing of the work itself: settings ([`config`]), task
//! supervision and two-phase shutdown ([`lifecycle`]), logs, traces and metrics ([`telemetry`]), certificates
//! ([`tls`]), a guarded accept loop ([`listener`]), bearer tokens ([`auth`]), probes ([`health`]) and the one place that
//! reads the system's clocks ([`clock`]). [`process`] ties them together, so that a `main` is a few lines. It depends on
//! no other crate of this workspace.

pub mod auth;
pub mod clock;
pub mod config;
pub mod health;
pub mod lifecycle;
pub mod listener;
pub mod process;
pub mod reload;
pub mod telemetry;
pub mod tls;
