//! What a code means that many instances say at once.
//!
//! One bot whose version is refused is old. When a third of them are refused in the same minute, nothing has changed but the
//! network they connect to: restarting any of them is useless, and all of them need the same new version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Protocol;
use crate::cause::Cause;
use crate::time::Mono;

/// When a code is the fleet's and no instance's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetRule {
    /// Whose code it is.
    pub protocol: Protocol,
    /// The code.
    pub code: i32,
    /// All of them within this time.
    pub within: Duration,
    /// At least so many instances, or two bots of four would be a fleet.
    pub least: usize,
    /// And at least so many of a hundred ...
    pub percent: usize,
    /// ... or so many in all: a version is refused for a part of a large fleet first.
    pub many: usize,
    /// What the code means for one instance.
    pub alone: Cause,
    /// And for all of them.
    pub cause: Cause,
    /// What is left for a human.
    pub human: &'static str,
}

/// The version that is given up for everybody.
pub const FLEET: FleetRule = FleetRule {
    protocol: Protocol::Baileys,
    code: 405,
    within: Duration::from_secs(60),
    least: 3,
    percent: 30,
    many: 10,
    alone: Cause::ClientOutdated,
    cause: Cause::UpstreamDeprecated,
    human: "upgrade the client, or the version it states, on all of them; restarting helps none",
};

impl FleetRule {
    /// Whether so many of so many instances are enough.
    #[must_use]
    pub fn is_fleet(&self, saying: usize, of: usize) -> bool {
        saying >= self.least
            && (saying >= self.many || saying.saturating_mul(100) >= of.saturating_mul(self.percent))
    }
}

/// Which instances ended with a fleet rule's code lately; each once, with the newest time. As many as its keeper has
/// instances, who bounds them.
#[derive(Debug, Clone)]
pub struct FleetWindow<I> {
    rule: &'static FleetRule,
    newest: BTreeMap<I, Mono>,
    by_time: BTreeSet<(Mono, I)>,
}

impl<I: Ord + Clone> FleetWindow<I> {
    /// An empty window.
    #[must_use]
    pub fn new(rule: &'static FleetRule) -> Self {
        Self { rule, newest: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Its rule.
    #[must_use]
    pub fn rule(&self) -> &'static FleetRule {
        self.rule
    }

    /// An instance ended with a code of this protocol; what is no concern of the rule is passed over. Gives whether it is.
    pub fn saw(&mut self, at: Mono, instance: &I, protocol: Protocol, code: Option<i32>) -> bool {
        if protocol != self.rule.protocol || code != Some(self.rule.code) {
            return false;
        }
        let before = self.newest.get(instance).copied();
        let newest = before.map_or(at, |before| before.max(at));
        if let Some(before) = before {
            self.by_time.remove(&(before, instance.clone()));
        }
        self.newest.insert(instance.clone(), newest);
        self.by_time.insert((newest, instance.clone()));
        true
    }

    /// An instance is not one any more.
    pub fn forget(&mut self, instance: &I) {
        if let Some(at) = self.newest.remove(instance) {
            self.by_time.remove(&(at, instance.clone()));
        }
    }

    /// Those that said it within the rule's time, if they are enough of `instances`. What is older is forgotten.
    pub fn fleet(&mut self, now: Mono, instances: usize) -> Option<impl ExactSizeIterator<Item = &I>> {
        while let Some((at, _)) = self.by_time.first()
            && now.since(*at) > self.rule.within
        {
            if let Some((_, instance)) = self.by_time.pop_first() {
                self.newest.remove(&instance);
            }
        }
        self.rule.is_fleet(self.newest.len(), instances).then(|| self.newest.keys())
    }
}
