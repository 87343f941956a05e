//! System tests: the binaries as operators run them, against real gateways and a real Postgres. A module per behaviour.

mod crashes;
mod database_away;
mod five;
mod gates;
mod heal;
mod human;
mod kernel;
mod kernel_support;
mod link;
mod metrics;
mod readme;
mod relayed;
mod relayed_reload;
mod relayed_sick;
mod reload;
mod reported;
mod secure;
mod session_orders;
mod trace;
mod up;
mod upgrade;
