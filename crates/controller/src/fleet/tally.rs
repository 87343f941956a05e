//! How many of each group are known and how many are sick: what the storm brake and the budgets ask for.
//!
//! Counted as changes come in rather than when somebody asks: a storm asks thousands of times, and counting a hundred
//! thousand instances for each would hold up the reports that could end it. What a gateway stands for in its group's
//! numbers is remembered with the gateway, so that taking it back never depends on what it was taken for.

use std::collections::BTreeMap;

use mooring_core::id::PolicyId;
use mooring_core::phase::Phase;

use super::{Presence, State};

/// The numbers of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Instances.
    pub instances: u32,
    /// Gateways of which at least one instance is not Unknown.
    pub known: u32,
    /// Of those, gateways at least half of whose known instances are Down or need a human.
    pub sick: u32,
}

/// The numbers of all groups that have instances.
pub(super) type Tallies = BTreeMap<PolicyId, Tally>;

/// One gateway's part.
#[derive(Debug, Default)]
pub struct Part {
    /// Instances that are not Unknown, by what the agent last said.
    known: u32,
    /// Of those, the ones that are Down or need a human.
    down: u32,
    /// What stands in the group's numbers for this gateway, and in which group.
    stands: Option<(PolicyId, Tally)>,
}

impl Part {
    /// An instance went from one phase to another; a new one comes from Unknown, one that is gone goes there.
    pub(super) fn moved(&mut self, from: Phase, to: Phase) -> bool {
        let ((known, down), (known_now, down_now)) = (weight(from), weight(to));
        self.known = (self.known + known_now).saturating_sub(known);
        self.down = (self.down + down_now).saturating_sub(down);
        (known, down) != (known_now, down_now)
    }
}

fn weight(phase: Phase) -> (u32, u32) {
    match phase {
        Phase::Unknown => (0, 0),
        Phase::Down | Phase::NeedsHuman => (1, 1),
        Phase::Healthy | Phase::Degraded | Phase::Flapping => (1, 0),
    }
}

impl State {
    /// The numbers of a group.
    #[must_use]
    pub fn tally(&self, group: &PolicyId) -> Tally {
        self.tallies.get(group).copied().unwrap_or_default()
    }

    /// All groups with their numbers.
    pub fn tallies(&self) -> impl Iterator<Item = (&PolicyId, Tally)> {
        self.tallies.iter().map(|(g, t)| (g, *t))
    }

    /// Brings the group's numbers up to date with a gateway: its instances, their phases, its group, its agent.
    pub(super) fn recount(&mut self, index: u32) {
        let Some(Some(gateway)) = self.gateways.get_mut(index as usize) else { return };
        let silent = self
            .agents
            .get(&gateway.record.gateway.agent)
            .is_none_or(|a| matches!(a.presence, Presence::Offline(_)));
        let known = if silent { 0 } else { gateway.part.known };
        let now = Tally {
            instances: u32::try_from(gateway.instances.len()).unwrap_or(u32::MAX),
            known: u32::from(known > 0),
            sick: u32::from(known > 0 && u64::from(gateway.part.down) * 2 >= u64::from(known)),
        };
        let stands = Some((gateway.record.group.clone(), now));
        if gateway.part.stands == stands {
            return;
        }
        let before = std::mem::replace(&mut gateway.part.stands, stands);
        withdraw(&mut self.tallies, before);
        let tally = self.tallies.entry(gateway.record.group.clone()).or_default();
        tally.instances += now.instances;
        tally.known += now.known;
        tally.sick += now.sick;
    }

    /// Takes a gateway that goes out of its group's numbers.
    pub(super) fn uncount(&mut self, index: u32) {
        let Some(Some(gateway)) = self.gateways.get_mut(index as usize) else { return };
        let before = gateway.part.stands.take();
        withdraw(&mut self.tallies, before);
    }
}

fn withdraw(tallies: &mut Tallies, part: Option<(PolicyId, Tally)>) {
    let Some((group, part)) = part else { return };
    let Some(tally) = tallies.get_mut(&group) else { return };
    tally.instances -= part.instances;
    tally.known -= part.known;
    tally.sick -= part.sick;
    if *tally == Tally::default() {
        tallies.remove(&group);
    }
}
