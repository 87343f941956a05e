//! The cases: which targets Mooring has acted on, and how far up the ladder each is.
//!
//! A case is opened by the first order on a target, or by the first call for a human, not by mere sickness: sickness
//! without an order has nothing to remember, and a storm must not write a row per instance.

use std::collections::{BTreeMap, BTreeSet};

use mooring_core::id::{GatewayRef, Target};
use mooring_core::planner::Case;

/// The open cases, by target.
#[derive(Debug, Default)]
pub struct CaseBook {
    cases: BTreeMap<Target, Case>,
    gateways: BTreeMap<GatewayRef, BTreeSet<Target>>,
}

impl CaseBook {
    /// With the cases that the store holds.
    #[must_use]
    pub fn new(cases: Vec<Case>) -> Self {
        let mut book = Self::default();
        for case in cases {
            book.put(case);
        }
        book
    }

    /// A target's case.
    #[must_use]
    pub fn get(&self, target: &Target) -> Option<&Case> {
        self.cases.get(target)
    }

    /// Opens or replaces one.
    pub fn put(&mut self, case: Case) {
        self.gateways.entry(case.target.gateway().clone()).or_default().insert(case.target.clone());
        self.cases.insert(case.target.clone(), case);
    }

    /// Closes one.
    pub fn remove(&mut self, target: &Target) {
        self.cases.remove(target);
        if let Some(targets) = self.gateways.get_mut(target.gateway()) {
            targets.remove(target);
            if targets.is_empty() {
                self.gateways.remove(target.gateway());
            }
        }
    }

    /// Targets with a case under a gateway, the gateway itself included.
    pub fn under(&self, gateway: &GatewayRef) -> impl Iterator<Item = &Target> {
        self.gateways.get(gateway).into_iter().flatten()
    }

    /// Gateways with at least one case.
    pub fn gateways(&self) -> impl Iterator<Item = &GatewayRef> {
        self.gateways.keys()
    }

    /// All cases.
    #[must_use]
    pub fn all(&self) -> Vec<Case> {
        self.cases.values().cloned().collect()
    }
}
