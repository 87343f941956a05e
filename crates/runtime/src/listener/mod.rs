//! An accept loop of our own under tonic: limits on connections in total and per source, TLS handshakes off the accept
//! path, certificates that can be replaced, and Unix sockets, none of which tonic's own offers.
//!
//! What it defends against (the numbers are in [`Limits`]): one source holding every connection; clients that open a
//! connection and never finish the handshake; a burst of handshakes eating the processor; running out of file
//! descriptors, which must pause the loop and never end it. What it leaves to HTTP/2 and above: streams, messages, rates.
//!
//! A refused connection is closed without a word. At the limit of handshakes the loop stops accepting and the system's
//! queue takes over, so that a burst is served late instead of being refused; one source may hold at most half of the
//! handshakes, so it cannot stall the loop for the others.

mod accept;
mod address;
mod bind;
mod connection;
mod exposure;
mod sources;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use accept::{Incoming, Listener};
pub use address::{AddressError, ListenAddr};
pub use bind::BindError;
pub use connection::{Connection, Peer, PeerInfo};
pub use exposure::{Exposure, ExposureError, check_exposure};

use crate::config::{HumanDuration, Problem};

/// What a listener admits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at once, handshaking ones included.
    pub max_connections: usize,
    /// Connections at once from one source: an IPv4 address, or an IPv6 /64 network. Clients behind one address
    /// translator or load balancer are one source. Unix sockets are not limited by source.
    pub max_connections_per_source: usize,
    /// TLS handshakes at once; one source may hold half of them.
    pub max_handshakes: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_source: 2_000,
            max_handshakes: 256,
            handshake_timeout: HumanDuration::from_secs(10),
        }
    }
}

impl Limits {
    /// What is wrong with these limits; `prefix` is their key path.
    pub fn problems(&self, prefix: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("{prefix}.{key}"), message));
        };
        for (key, limit) in [
            ("max_connections", self.max_connections),
            ("max_connections_per_source", self.max_connections_per_source),
            ("max_handshakes", self.max_handshakes),
        ] {
            if limit == 0 {
                refuse(key, "0 would admit nobody".to_owned());
            }
        }
        if self.max_connections_per_source > self.max_connections {
            refuse(
                "max_connections_per_source",
                format!("must not exceed `max_connections` ({})", self.max_connections),
            );
        }
        if self.handshake_timeout.get().is_zero() {
            refuse("handshake_timeout", "must be longer than 0s".to_owned());
        }
        problems
    }
}
