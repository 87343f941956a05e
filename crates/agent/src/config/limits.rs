//! Bounds on what a gateway may make the agent hold and wait for.

use mooring_runtime::config::{HumanDuration, Problem};
use serde::{Deserialize, Serialize};

use super::{ByteSize, join};

/// `[gateway.limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest frame, 125 B (a control frame's payload) to 16 MiB.
    pub frame: ByteSize,
    /// Largest message of several frames, at least a frame, at most 64 MiB.
    pub message: ByteSize,
    /// Longest answer to the opening handshake, 1 KiB to 64 KiB.
    pub handshake: ByteSize,
    /// How long resolving and connecting (TLS included) may take, up to 5 min.
    pub connect: HumanDuration,
    /// How long the answer to the opening handshake may take, up to 5 min.
    pub answer: HumanDuration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            frame: ByteSize::mib(1),
            message: ByteSize::mib(4),
            handshake: ByteSize::kib(16),
            connect: HumanDuration::from_secs(5),
            answer: HumanDuration::from_secs(5),
        }
    }
}

impl LimitsConfig {
    /// What is wrong; `prefix` is the section's key path.
    pub(super) fn problems(&self, prefix: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut within = |key: &str, size: ByteSize, low: ByteSize, high: ByteSize| {
            if !(low..=high).contains(&size) {
                found
                    .push(Problem::new(join(prefix, key), format!("{size} is not between {low} and {high}")));
            }
        };
        within("frame", self.frame, ByteSize(125), ByteSize::mib(16));
        within("message", self.message, ByteSize(125), ByteSize::mib(64));
        within("handshake", self.handshake, ByteSize::kib(1), ByteSize::kib(64));
        if self.message < self.frame {
            found.push(Problem::new(
                join(prefix, "message"),
                format!("message ({}) must not be below frame ({})", self.message, self.frame),
            ));
        }
        let most = HumanDuration::from_secs(300);
        for (key, time) in [("connect", self.connect), ("answer", self.answer)] {
            if time.get().is_zero() || time > most {
                found.push(Problem::new(
                    join(prefix, key),
                    format!("{time} is not above 0s and up to {most}"),
                ));
            }
        }
        found
    }
}
