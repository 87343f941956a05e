//! The Evolution adapter against the conformance double of Evolution API (tests/gateways/evolution.js).
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod conformance;
mod events;
mod rest;
mod support;
