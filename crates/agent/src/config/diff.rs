//! What a reload changes, so that everything it does not change stays as it is: no watch is dropped, no process
//! restarted, because a file was read again.
//!
//! The comparison is of effective settings, not of text: a default that is now written out changes nothing.

use std::collections::BTreeMap;

use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::session::Source;

use super::{AgentConfig, GatewayConfig, InstanceConfig};
use crate::executor::How;

/// The way from one configuration to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Gateways to begin with.
    pub added: Vec<GatewayId>,
    /// Gateways to let go: a supervised one is stopped.
    pub removed: Vec<GatewayId>,
    /// Gateways of which something changed.
    pub changed: Vec<Changed>,
    /// Gateways to leave alone.
    pub unchanged: Vec<GatewayId>,
    /// Sections that changed but are read at the agent's start only.
    pub at_next_start: Vec<&'static str>,
}

/// What changed of one gateway, and so what must be done anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub gateway: GatewayId,
    /// What the controller is told of it: kind, address, group, labels, abilities.
    pub declaration: bool,
    /// Its watches.
    pub instances: InstanceDiff,
    /// How orders are carried out. Cheap to replace; what is under way ends the old way.
    pub executors: bool,
    /// How its real sessions are watched.
    pub sources: SourceDiff,
    /// How its process is run. Applies when it is next started: the running one is not interrupted.
    pub process: bool,
}

/// Which watchers of real sessions begin anew, or end. A relay that begins anew takes its listeners over from the old one,
/// which closes its sessions in good order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceDiff {
    /// The relay.
    pub relay: bool,
    /// The kernel's view.
    pub kernel: bool,
    /// The gateway's own word.
    pub report: bool,
    /// The adapter of its kind.
    pub adapter: bool,
}

impl SourceDiff {
    /// All of them: for a gateway that is new.
    pub const ALL: Self = Self { relay: true, kernel: true, report: true, adapter: true };

    /// Those that are concerned; what can fail without harm comes before the relay.
    pub fn ways(self) -> impl Iterator<Item = Source> {
        let ways = [
            (self.kernel, Source::Kernel),
            (self.report, Source::Report),
            (self.adapter, Source::Adapter),
            (self.relay, Source::Relay),
        ];
        ways.into_iter().filter(|(changed, _)| *changed).map(|(_, way)| way)
    }
}

/// Which watches begin, end, begin anew, or stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceDiff {
    /// To begin.
    pub added: Vec<InstanceId>,
    /// To end.
    pub removed: Vec<InstanceId>,
    /// To begin anew with other settings.
    pub changed: Vec<InstanceId>,
    /// To leave alone.
    pub unchanged: Vec<InstanceId>,
}

impl InstanceDiff {
    /// Whether every watch stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl Diff {
    /// Whether nothing at all is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.at_next_start.is_empty()
    }
}

/// Compares the configuration in force with the next one. Both must be valid.
#[must_use]
pub fn diff(old: &AgentConfig, new: &AgentConfig) -> Diff {
    let mut out = Diff::default();
    for (name, same) in [
        ("agent", old.agent == new.agent),
        ("controller", old.controller == new.controller),
        ("health", old.health == new.health),
        ("telemetry", old.telemetry == new.telemetry),
        ("report", old.report == new.report),
    ] {
        if !same {
            out.at_next_start.push(name);
        }
    }
    let mut before: BTreeMap<&GatewayId, &GatewayConfig> = old.gateways.iter().map(|g| (&g.id, g)).collect();
    for gateway in &new.gateways {
        match before.remove(&gateway.id) {
            None => out.added.push(gateway.id.clone()),
            Some(old) => match changed(old, gateway) {
                None => out.unchanged.push(gateway.id.clone()),
                Some(changed) => out.changed.push(changed),
            },
        }
    }
    out.removed = before.into_keys().cloned().collect();
    out
}

fn changed(old: &GatewayConfig, new: &GatewayConfig) -> Option<Changed> {
    let said = |g: &GatewayConfig| {
        (g.kind, g.url.clone(), g.group.clone(), g.labels.clone(), g.abilities(), g.ways())
    };
    let changed = Changed {
        gateway: new.id.clone(),
        declaration: said(old) != said(new),
        instances: instances(old, new),
        executors: hands(old) != hands(new),
        sources: sources(old, new),
        process: process(old) != process(new),
    };
    let nothing = !(changed.declaration || changed.executors || changed.process)
        && changed.sources == SourceDiff::default()
        && changed.instances.is_empty();
    (!nothing).then_some(changed)
}

fn instances(old: &GatewayConfig, new: &GatewayConfig) -> InstanceDiff {
    let mut out = InstanceDiff::default();
    let mut before: BTreeMap<InstanceId, InstanceConfig> =
        old.instances().into_iter().map(|i| (i.id.clone(), i)).collect();
    for instance in new.instances() {
        let list = match before.remove(&instance.id) {
            None => &mut out.added,
            Some(was) if old.watch(&was).means(&new.watch(&instance)) => &mut out.unchanged,
            Some(_) => &mut out.changed,
        };
        list.push(instance.id);
    }
    out.removed = before.into_keys().collect();
    out
}

/// How orders are carried out on a gateway and its instances.
type Hands = (Option<How>, BTreeMap<InstanceId, (How, Option<How>)>);

fn hands(gateway: &GatewayConfig) -> Hands {
    let instances = gateway
        .instances()
        .into_iter()
        .map(|i| (i.id.clone(), (gateway.reconnect_of(&i), gateway.restart_of(&i))))
        .collect();
    // The settings of a supervised process are the process's, not the executor's.
    let restart = gateway.restart.clone().filter(|how| !matches!(how, How::Supervise(_)));
    (restart, instances)
}

/// Compares what each watcher of real sessions is started with. The relay finds sessions' instances by path; the kernel
/// may be told whose connections to look at by who runs the process.
fn sources(old: &GatewayConfig, new: &GatewayConfig) -> SourceDiff {
    let instances = |g: &GatewayConfig| g.instances().into_iter().map(|i| (i.id, i.path)).collect::<Vec<_>>();
    let same = old.url == new.url && instances(old) == instances(new);
    let way = |way: Source, settings: bool| {
        let (before, after) = (old.watched_by(way), new.watched_by(way));
        before != after || (after && !(settings && same))
    };
    SourceDiff {
        relay: way(Source::Relay, old.relay == new.relay),
        kernel: way(
            Source::Kernel,
            old.kernel == new.kernel && process(old).is_some() == process(new).is_some(),
        ),
        report: way(Source::Report, old.report == new.report),
        adapter: way(Source::Adapter, old.adapter() == new.adapter()),
    }
}

fn process(gateway: &GatewayConfig) -> Option<&How> {
    gateway.restart.as_ref().filter(|how| matches!(how, How::Supervise(_)))
}
