//! The agent: sits beside gateways, watches their WebSocket sessions, tells a controller what it sees, and carries out the
//! orders that come back.
//!
//! ```text
//! gateway ──> watcher ──> track (core's tracker) ──> outbox ──> uplink ══gRPC══> controller
//!    ▲                                                 ▲           │
//!    └──── executor <──── inbox + ledger <─────────────┼───────────┘ orders
//!               └───────────────── receipts ───────────┘
//! ```
//!
//! Real sessions come in from the side: relay, kernel and report ([`sessions`]) feed the same trackers with claims.
//!
//! [`app::start`] puts it together; [`cli`] is the binary around it.

pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod doctor;
pub mod executor;
pub mod inbox;
pub mod ledger;
pub mod metrics;
pub mod outbox;
pub mod sessions;
pub mod track;
pub mod uplink;
pub mod watcher;
