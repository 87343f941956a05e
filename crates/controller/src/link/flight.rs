//! What reports that are not durable yet say: news must be told from what was said last, and the belief does not know it
//! before the journal does.
//!
//! Without it a cause that changes and changes back within one commit would be compared with what was believed before
//! both, be taken for nothing new, and leave the one in between standing.

use std::collections::HashMap;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{GatewayRef, InstanceRef};

/// What is under way, each with the number of the newest report that says it. Bounded by the window of reports.
#[derive(Debug, Default)]
pub(super) struct Flight {
    said: HashMap<(u32, ConditionKind), (u64, Status, Option<Cause>)>,
    gone: HashMap<InstanceRef, u64>,
    gateways_gone: HashMap<GatewayRef, u64>,
    /// Handles of instances that were gone and are declared anew.
    anew: HashMap<u32, u64>,
}

/// What a condition was before a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// What is believed.
    Believed,
    /// Nothing: the instance begins anew with a report under way.
    Nothing,
    /// This, by a report under way.
    Said(Status, Option<Cause>),
}

impl Flight {
    pub(super) fn before(&self, handle: u32, kind: ConditionKind) -> Before {
        match self.said.get(&(handle, kind)) {
            Some((_, status, cause)) => Before::Said(*status, *cause),
            None if self.anew.contains_key(&handle) => Before::Nothing,
            None => Before::Believed,
        }
    }

    pub(super) fn say(&mut self, sequence: u64, handle: u32, condition: &Condition) {
        self.said.insert((handle, condition.kind), (sequence, condition.status, condition.cause));
    }

    pub(super) fn gone(&mut self, sequence: u64, handle: u32, name: InstanceRef) {
        self.forget(handle);
        self.gone.insert(name, sequence);
    }

    pub(super) fn gateway_gone(&mut self, sequence: u64, name: GatewayRef) {
        self.gateways_gone.insert(name, sequence);
    }

    pub(super) fn declared(&mut self, sequence: u64, handle: u32, name: &InstanceRef) {
        if self.gone.contains_key(name) || self.gateways_gone.contains_key(&name.gateway) {
            self.anew.insert(handle, sequence);
        }
    }

    /// The handle means nothing any more.
    pub(super) fn forget(&mut self, handle: u32) {
        self.anew.remove(&handle);
        for kind in ConditionKind::ALL {
            self.said.remove(&(handle, kind));
        }
    }

    /// Reports up to this one are believed.
    pub(super) fn settled(&mut self, sequence: u64) {
        self.said.retain(|_, (of, ..)| *of > sequence);
        self.gone.retain(|_, of| *of > sequence);
        self.gateways_gone.retain(|_, of| *of > sequence);
        self.anew.retain(|_, of| *of > sequence);
    }
}
