//! Causes that look alike, in pairs, each with what tells the two apart.

mod handshake;
mod running;

use super::{Both, Cause, Text};

/// Two causes that look alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) one: Cause,
    pub(super) two: Cause,
    pub(super) apart: Text,
}

impl Pair {
    /// The other one of the two.
    pub(super) fn other(&self, cause: Cause) -> Option<Cause> {
        if cause == self.one {
            Some(self.two)
        } else if cause == self.two {
            Some(self.one)
        } else {
            None
        }
    }
}

const fn pair(one: Cause, two: Cause, en: &'static str, zh: &'static str) -> Pair {
    Pair { one, two, apart: Both { en, zh } }
}

/// Every pair.
pub(super) fn all() -> impl Iterator<Item = &'static Pair> {
    handshake::PAIRS.iter().chain(running::PAIRS)
}
