//! File descriptors: a relayed session needs two of them, and the usual soft limit is 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::AgentConfig;

/// Everything of an agent that is not a relayed connection.
const OTHERS: u64 = 256;

/// Raises the soft limit to the hard one where a relay is configured, and says so if that is not enough for what it may
/// hold. Gateways that the agent runs inherit the limit.
pub(super) fn prepare(config: &AgentConfig) {
    let wanted: u64 = config
        .gateways
        .iter()
        .filter_map(|gateway| gateway.relay.as_ref())
        .map(|relay| 2 * u64::from(relay.limits.connections))
        .sum();
    if wanted == 0 {
        return;
    }
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let have = getrlimit(Resource::Nofile).current;
    if let Some(have) = have.filter(|have| *have < wanted + OTHERS) {
        tracing::warn!(
            limit = have,
            wanted = wanted + OTHERS,
            "the limit of open files is below what the relays may hold; beyond it connections wait in the kernel's \
             queue: raise it (LimitNOFILE), or lower relay.limits.connections"
        );
    }
}
