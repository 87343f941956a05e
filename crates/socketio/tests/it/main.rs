//! Against the real `socket.io` from npm (`tests/gateways/sio-server.js`). Each test starts a server of its own with the
//! settings it is about, and looks at both ends: what the client says, and what the server saw.
#![expect(clippy::unwrap_used, reason = "the helpers of tests panic as the tests do: that is the report")]

mod client;
mod probes;
mod refused;
mod stock;
mod support;
