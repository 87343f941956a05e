//! The wire against real sockets: every failure signature is served by a script on loopback, byte for byte, and each
//! test asserts cause, step, order of the steps, and that the scripted server saw an orderly end (no reset).
#![expect(clippy::unwrap_used, reason = "the helpers of tests panic as the tests do: that is the report")]

mod canary;
mod examine;
mod exchange;
mod frames;
mod lag;
mod refused;
mod session;
mod support;
mod tls;
mod unreachable;
