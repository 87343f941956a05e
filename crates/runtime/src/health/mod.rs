//! A plain HTTP page for probes and scrapers: `/livez`, `/readyz`, `/metrics`.
//!
//! Liveness says only that the process turns its event loop: a restart heals nothing that readiness complains about,
//! and a liveness probe that looks at Postgres turns one outage into two. Readiness is a set of named flags, each owned
//! by the part it speaks for, each with a reason, so that "not ready" always says who and why. The server has no TLS
//! and no token and serves nothing secret; it is small on purpose and guards itself with few connections and short
//! time limits.

mod readiness;
mod server;

pub use readiness::{Flag, FlagState, Readiness};
pub use server::{HealthServer, MAX_CONNECTIONS};
