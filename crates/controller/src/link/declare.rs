//! What an agent declares: handles bound to names, within its limits, and what it declares no longer; and what it tells
//! of those gateways' sessions.

use std::collections::HashSet;

use mooring_core::id::{GatewayRef, InstanceRef};
use mooring_core::session::MAX_CLOSES;
use mooring_core::time::Timestamp;
use mooring_proto::link::{GatewayDecl, InstanceDecl};
use mooring_proto::sessions::{close_from_pb, counts_from_pb};
use mooring_proto::{Invalid, agent_v1 as pb};
use mooring_store::{Changes, CountsRecord, GatewayRecord, InstanceRecord, NewClose};

use super::intake::Intake;
use crate::fleet::Fleet;

/// What has been declared since a snapshot began.
#[derive(Debug, Default)]
pub(super) struct Declared {
    gateways: HashSet<GatewayRef>,
    instances: HashSet<InstanceRef>,
}

impl Intake {
    pub(super) fn gateway(&mut self, decl: GatewayDecl, changes: &mut Changes) -> Result<(), Invalid> {
        let reference = GatewayRef { agent: self.agent.clone(), gateway: decl.id.clone() };
        self.handles.gateways.insert(decl.handle, decl.id);
        if self.handles.gateways.len() > self.max_gateways {
            let max = self.max_gateways;
            return Err(Invalid::new(
                "gateways",
                format!("more than {max}, the limit of one agent on this controller"),
            ));
        }
        if let Some(declared) = &mut self.declared {
            declared.gateways.insert(reference.clone());
        }
        let mut watch = decl.watch;
        watch.sort_unstable();
        watch.dedup();
        changes.gateways.push(GatewayRecord {
            gateway: reference,
            handle: decl.handle,
            kind: decl.kind,
            address: decl.address,
            group: decl.group,
            labels: decl.labels,
            abilities: decl.abilities,
            incarnation: decl.incarnation,
            watch,
        });
        Ok(())
    }

    pub(super) fn instance(
        &mut self,
        sequence: u64,
        decl: InstanceDecl,
        changes: &mut Changes,
    ) -> Result<(), Invalid> {
        if !self.handles.gateways.contains_key(&decl.gateway) {
            return Err(Invalid::new(
                "instances.gateway",
                format!("{} is not a gateway's handle", decl.gateway),
            ));
        }
        let bound = (decl.gateway, decl.id);
        if self.handles.instances.get(&decl.handle).is_some_and(|before| *before != bound) {
            self.flight.forget(decl.handle);
        }
        self.handles.instances.insert(decl.handle, bound);
        if self.handles.instances.len() > self.max_instances {
            let max = self.max_instances;
            return Err(Invalid::new(
                "instances",
                format!("more than {max}, the limit of one agent on this controller"),
            ));
        }
        if let Some(name) = self.name_of(decl.handle) {
            if let Some(declared) = &mut self.declared {
                declared.instances.insert(name.clone());
            }
            self.flight.declared(sequence, decl.handle, &name);
            changes.instances.push(InstanceRecord { instance: name, handle: decl.handle });
        }
        Ok(())
    }

    pub(super) fn name_of(&self, handle: u32) -> Option<InstanceRef> {
        let (gateway, id) = self.handles.instances.get(&handle)?;
        let gateway = self.handles.gateways.get(gateway)?.clone();
        Some(GatewayRef { agent: self.agent.clone(), gateway }.instance(id.clone()))
    }

    pub(super) fn forget_undeclared(&self, declared: &Declared, fleet: &Fleet, changes: &mut Changes) {
        let state = fleet.read();
        let Some(agent) = state.agent(&self.agent) else { return };
        for g in state.gateways_of(agent) {
            let reference = &g.record.gateway;
            if !declared.gateways.contains(reference) {
                changes.gateways_gone.push(reference.clone());
                continue;
            }
            let gone = g.instances.keys().map(|id| reference.instance(id.clone()));
            changes.instances_gone.extend(gone.filter(|name| !declared.instances.contains(name)));
        }
    }

    /// What is told of sessions: numbers of gateways, and ends.
    pub(super) fn sessions(
        &self,
        counts: &[pb::SessionCounts],
        closes: &[pb::SessionClose],
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Invalid> {
        for (field, n, max) in [
            ("session_counts", counts.len(), self.max_gateways),
            ("session_closes", closes.len(), MAX_CLOSES),
        ] {
            if n > max {
                return Err(Invalid::new(field, format!("{n} of them, at most {max} in one report")));
            }
        }
        for counts in counts {
            let (handle, counts) = counts_from_pb(counts)?;
            let gateway = self.gateway_named("session_counts.gateway", handle)?;
            changes.session_counts.push(CountsRecord { gateway, counts, at: now });
        }
        for close in closes {
            let (handle, mut close) = close_from_pb(close)?;
            let gateway = self.gateway_named("session_closes.gateway", handle)?;
            // By the agent's clock; but what has ended has ended by now, or it would be kept until then.
            close.at = close.at.min(now);
            changes.session_closes.push(NewClose { gateway, close });
        }
        Ok(())
    }

    fn gateway_named(&self, field: &str, handle: u32) -> Result<GatewayRef, Invalid> {
        let id = self.handles.gateways.get(&handle);
        let id = id.ok_or_else(|| Invalid::new(field, format!("{handle} is not a gateway's handle")))?;
        Ok(GatewayRef { agent: self.agent.clone(), gateway: id.clone() })
    }
}
