//! The relay against independent peers: the same through it as without it.
//!
//! Each peer is a script that goes through its cases and says what it saw, on both ends, with what differs by chance left
//! out. It is run once directly and once through the relay, and what was said must be the same, word for word. Nothing here
//! knows what WebSocket prescribes: the peers do, and whatever they do must survive.

mod bytes;
mod faults;
mod meddler;
mod npm_ws;
mod orders;
mod python_websockets;
mod socketio;
mod support;
mod tungstenite;
