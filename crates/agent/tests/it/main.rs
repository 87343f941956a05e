//! The agent against a scripted controller and real gateways.

mod controller;
mod examine;
mod lifecycle;
mod link;
mod orders;
mod support;
