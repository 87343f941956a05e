//! The net effect of a batch of reports. Pure.
//!
//! Reports are added in the order they count in. What is gone is removed from what was to be written and noted as to be
//! deleted; deletions are carried out first, so that a name that is gone and new again begins anew.

use std::collections::{BTreeMap, BTreeSet};

use mooring_core::condition::Condition;
use mooring_core::id::{GatewayRef, InstanceId, InstanceRef};
use mooring_store::{CountsRecord, Delta, GatewayRecord, InstanceRecord, NewClose, NewEvent};

/// What a batch comes to.
#[derive(Debug, Default)]
pub(super) struct Net<'d> {
    pub gateways_gone: BTreeSet<&'d GatewayRef>,
    pub instances_gone: BTreeSet<&'d InstanceRef>,
    pub gateways: BTreeMap<&'d GatewayRef, Gateway<'d>>,
    pub session_counts: BTreeMap<&'d GatewayRef, &'d CountsRecord>,
    pub session_closes: Vec<&'d NewClose>,
    pub events: Vec<&'d NewEvent>,
}

/// What is to be written of a gateway. Without a record it stays as it is.
#[derive(Debug, Default)]
pub(super) struct Gateway<'d> {
    pub record: Option<&'d GatewayRecord>,
    pub instances: BTreeMap<&'d InstanceId, Instance<'d>>,
}

/// What is to be written of an instance, with the newest of each of its conditions.
#[derive(Debug, Default)]
pub(super) struct Instance<'d> {
    pub record: Option<&'d InstanceRecord>,
    pub conditions: [Option<&'d Condition>; 5],
}

impl<'d> Net<'d> {
    /// Adds a report that counts.
    pub(super) fn add(&mut self, delta: &'d Delta) {
        let changes = &delta.changes;
        for gateway in &changes.gateways_gone {
            self.gateways.remove(gateway);
            self.session_counts.remove(gateway);
            self.session_closes.retain(|new| new.gateway != *gateway);
            self.gateways_gone.insert(gateway);
        }
        for instance in &changes.instances_gone {
            if let Some(gateway) = self.gateways.get_mut(&instance.gateway) {
                gateway.instances.remove(&instance.instance);
            }
            self.instances_gone.insert(instance);
        }
        for record in &changes.gateways {
            self.gateways.entry(&record.gateway).or_default().record = Some(record);
        }
        for record in &changes.instances {
            self.instance(&record.instance).record = Some(record);
        }
        for (instance, condition) in &changes.conditions {
            self.instance(instance).conditions[condition.kind.index()] = Some(condition);
        }
        self.session_counts.extend(changes.session_counts.iter().map(|counts| (&counts.gateway, counts)));
        self.session_closes.extend(&changes.session_closes);
        self.events.extend(&delta.events);
    }

    fn instance(&mut self, of: &'d InstanceRef) -> &mut Instance<'d> {
        self.gateways.entry(&of.gateway).or_default().instances.entry(&of.instance).or_default()
    }
}
