//! System tests: the binaries as operators run them, against real gateways and a real Postgres. A module per behaviour.

mod crashes;
mod database_away;
mod gates;
mod heal;
mod human;
mod link;
mod metrics;
mod readme;
mod reload;
mod secure;
mod trace;
mod up;
