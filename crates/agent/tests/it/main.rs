//! The agent against a scripted controller and real gateways.

mod controller;
mod lifecycle;
mod link;
mod orders;
mod support;
