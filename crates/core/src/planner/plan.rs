//! The plan for one gateway: what should be ordered now, what is waited for, where a human is needed.
//!
//! Who is acted on:
//!
//! - Only instances whose `Reachable` or `Beating` is False, or whose `Linked` is for want of a connection. Not knowing is not sickness, so an agent that is away gives
//!   an empty plan. A cause for humans gives no order, and neither does anything on an instance whose phase is
//!   `NeedsHuman` for another condition's sake: reconnecting a revoked account can lock it.
//! - After `act_after` of sickness, and not before the case's backoff is over. **Flapping** instances come back by
//!   themselves, that is what the word means, so they must have been sick for `verify_within` first (the time an order
//!   would be given to show an effect); a flapper whose outages are shorter gets no orders at all. The same holds for
//!   restarts of a gateway that said it is restarting.
//!
//! **One gateway, one order.** Steps on instances are counted by the instances' cases, steps on the gateway by the
//! gateway's own. Where at least half of a gateway's instances are sick, and two at least, for causes whose
//! ladders lead to its restart, the fault is the gateway's: one plan is made for the gateway, straight to the step that restarts it,
//! whatever the instances tried before, and none for its instances. A hundred instances whose process died are one
//! order. Where no such step is within reach (ladder or abilities), each instance climbs by itself. An instance that
//! has climbed to the step that restarts its gateway gets there only if half of the gateway is sick: with fewer, more
//! would be interrupted than helped, and a human is called instead.
//!
//! Nothing is planned on what has a live order, nor on the gateway above or the instances below it.
//!
//! The plan depends neither on the order of the instances nor on anything but its arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::cause::{Cause, Handling, Lang};
use crate::condition::ConditionKind;
use crate::id::Target;
use crate::limits::{MAX_REASON, clip};
use crate::order::{Action, Origin, Proposal};
use crate::phase::Phase;
use crate::planner::ladder::{End, Found, Place, RungAt, Walk, reaches_gateway};
use crate::planner::{Case, CaseEvent, GatewayView, InstanceView, Sickness};
use crate::policy::Policy;
use crate::time::Timestamp;

/// Looks a target's open case up.
pub type Cases<'a> = dyn Fn(&Target) -> Option<&'a Case> + 'a;

/// What the planner decides about a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Put this to the gates. If the order is made, the case of `proposal.target` gets [`CaseEvent::OrderMade`] with
    /// this cause (it is in the proposal) and step.
    Propose {
        /// What is wanted, and on what.
        proposal: Proposal,
        /// Index of the step in the cause's ladder.
        step: u32,
        /// The same, for people.
        at: RungAt,
    },
    /// Nothing now.
    Wait {
        /// For what.
        target: Target,
        /// Until when, where time alone will change it.
        until: Option<Timestamp>,
        /// What for.
        reason: WaitReason,
        /// What is due then, where that is known.
        next: Option<(Action, RungAt)>,
        /// In words.
        why: String,
    },
    /// Mooring will do no more; a human is needed.
    Human {
        /// For what.
        target: Target,
        /// Because of what.
        cause: Cause,
        /// Why Mooring does no more.
        reason: HumanReason,
        /// In words, with the remedy.
        why: String,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// The sickness is younger than `act_after`.
    ActAfter,
    /// It comes and goes; the sickness is younger than `verify_within`.
    Flapping,
    /// The gateway said it is restarting, less than `verify_within` ago.
    Restarting,
    /// The backoff runs.
    Backoff,
    /// An order is under way on it, or on the gateway above or an instance below it.
    LiveOrder,
    /// The cause passes by itself, or belongs to somebody else's recovery.
    Passes,
    /// Wire and protocol are well; no orders are made for the conditions above them.
    NoOrders,
}

/// Why a human is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HumanReason {
    /// The cause must never be retried.
    Cause,
    /// The ladder is used up.
    LadderDone,
    /// The agent can do nothing that the ladder asks for.
    NothingConfigured,
    /// Only a restart of the gateway is left, and fewer than half of its instances need it.
    OthersHealthy,
}

impl Decision {
    /// What it is about.
    #[must_use]
    pub fn target(&self) -> &Target {
        match self {
            Self::Propose { proposal, .. } => &proposal.target,
            Self::Wait { target, .. } | Self::Human { target, .. } => target,
        }
    }
}

/// Plans for one gateway: at most one decision per target, sorted by target, none for what is well.
///
/// `live` are the targets with orders that are not over; those of other gateways are ignored.
#[must_use]
pub fn plan_gateway<'a>(
    now: Timestamp,
    policy: &'a Policy,
    view: &'a GatewayView,
    cases: &Cases<'a>,
    live: &[Target],
) -> Vec<Decision> {
    if !view.agent_online || view.instances.iter().all(|i| i.sickness.is_none()) {
        return Vec::new();
    }
    let live: BTreeSet<&Target> = live.iter().filter(|t| *t.gateway() == view.gateway).collect();
    let mut decisions = Plan { now, policy, view, cases, live }.decide();
    decisions.sort_by(|a, b| a.target().cmp(b.target()));
    decisions
}

/// What a target's case is to be told about the present. Feed it whenever the view changes and from time to time.
///
/// A gateway counts as sick while half of its instances are, as healthy while half of them are known to be well.
#[must_use]
pub fn seen(view: &GatewayView, target: &Target) -> CaseEvent {
    let one = |i: &InstanceView| match &i.sickness {
        Some(s) if acts_on(s) || s.cause.handling() == Handling::Human => {
            CaseEvent::SickSeen { cause: s.cause }
        }
        Some(_) | None => match i.phase {
            Phase::Healthy | Phase::Degraded => CaseEvent::HealthySeen,
            Phase::Unknown | Phase::Flapping | Phase::Down | Phase::NeedsHuman => CaseEvent::UnknownSeen,
        },
    };
    if !view.agent_online {
        return CaseEvent::UnknownSeen;
    }
    if let Some(instance) = target.instance() {
        return view
            .instances
            .iter()
            .find(|i| i.instance == instance.instance)
            .map_or(CaseEvent::UnknownSeen, one);
    }
    let all = view.instances.len();
    let sick: Vec<&Sickness> =
        view.instances.iter().filter_map(|i| i.sickness.as_ref()).filter(|s| acts_on(s)).collect();
    let well = view.instances.iter().filter(|i| one(i) == CaseEvent::HealthySeen).count();
    if let Some(cause) = most_frequent(sick.iter().map(|s| s.cause)).filter(|_| half(sick.len(), all)) {
        CaseEvent::SickSeen { cause }
    } else if well > 0 && half(well, all) {
        CaseEvent::HealthySeen
    } else {
        CaseEvent::UnknownSeen
    }
}

/// Orders are made for the wire and the protocol; for the purpose only where its cause is a connection that is gone or
/// stuck: a revoked login or a lack of traffic is not mended by a new one. (A gateway may be reachable itself while the
/// connection of one of its accounts hangs: Evolution API is.)
fn acts_on(sickness: &Sickness) -> bool {
    match sickness.condition {
        ConditionKind::Reachable | ConditionKind::Beating => true,
        ConditionKind::Linked => {
            matches!(sickness.cause.handling(), Handling::Reconnect | Handling::Restart)
        }
        ConditionKind::Delivering | ConditionKind::Stable => false,
    }
}

fn half(part: usize, whole: usize) -> bool {
    part.saturating_mul(2) >= whole
}

/// The value that occurs most; of several the least.
fn most_frequent<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    // Turned round because `max_by_key` gives the last of equals.
    counts.into_iter().rev().max_by_key(|(_, n)| *n).map(|(value, _)| value)
}

/// An instance that orders could help.
#[derive(Clone, Copy)]
struct Patient<'a> {
    view: &'a InstanceView,
    sickness: &'a Sickness,
}

/// A target that is to get an order, with all that the proposal needs.
struct Due<'p> {
    target: Target,
    sickness: &'p Sickness,
    evidence: String,
    found: Found,
    skipped: Vec<String>,
    ripe: (Timestamp, WaitReason),
    backoff: Option<Timestamp>,
    blocked: bool,
}

struct Plan<'p, 'c> {
    now: Timestamp,
    policy: &'p Policy,
    view: &'p GatewayView,
    cases: &'p Cases<'c>,
    live: BTreeSet<&'p Target>,
}

impl<'p> Plan<'p, '_> {
    fn decide(&self) -> Vec<Decision> {
        let mut instances: Vec<&InstanceView> = self.view.instances.iter().collect();
        instances.sort_by(|a, b| a.instance.cmp(&b.instance));
        let mut decisions = Vec::new();
        let mut patients = Vec::new();
        for view in instances {
            let Some(sickness) = &view.sickness else { continue };
            match self.not_for_orders(view, sickness) {
                Some(decision) => decisions.push(decision),
                None => patients.push(Patient { view, sickness }),
            }
        }
        let through: Vec<Patient<'p>> =
            patients.iter().filter(|p| self.reaches_gateway(p)).copied().collect();
        let all = self.view.instances.len();
        if through.len() >= 2 && half(through.len(), all) && self.view.abilities.restart_gateway {
            decisions.extend(self.whole_gateway(&through));
            return decisions;
        }
        // One of two, or the only one, may take its gateway with it: what is decided for the gateway stands for all.
        let alone = through.first().filter(|_| through.len() == 1 && half(1, all));
        let may_restart = |p: &Patient<'_>| alone.is_some_and(|a| a.view.instance == p.view.instance);
        let mut singles: Vec<Decision> = patients.iter().map(|p| self.single(*p, may_restart(p))).collect();
        if let Some(i) = singles.iter().position(|d| matches!(d.target(), Target::Gateway(_))) {
            singles = vec![singles.swap_remove(i)];
        }
        decisions.append(&mut singles);
        decisions
    }

    fn reaches_gateway(&self, patient: &Patient<'_>) -> bool {
        reaches_gateway(self.policy.steps(patient.sickness.cause, self.view.kind))
    }

    /// Decides for instances that never get an order as they are.
    fn not_for_orders(&self, view: &InstanceView, s: &Sickness) -> Option<Decision> {
        let target = self.instance(view);
        let words = s.cause.words(Lang::En);
        if s.cause.handling() == Handling::Human || view.phase == Phase::NeedsHuman {
            let why = format!("{}: {} {}", s.cause, s.message, words.remedy);
            return Some(Decision::Human { target, cause: s.cause, reason: HumanReason::Cause, why });
        }
        let (reason, why) = if !acts_on(s) {
            (WaitReason::NoOrders, format!("no orders are made for {}: {}", s.condition, words.remedy))
        } else if self.policy.steps(s.cause, self.view.kind).is_empty() {
            (WaitReason::Passes, format!("the policy has no steps for {}: {}", s.cause, words.remedy))
        } else {
            return None;
        };
        Some(Decision::Wait { target, until: None, reason, next: None, why })
    }

    /// Decides for the gateway as a whole, for patients (two or more) all of whose ladders lead to its restart.
    fn whole_gateway(&self, patients: &[Patient<'p>]) -> Option<Decision> {
        let cause = most_frequent(patients.iter().map(|p| p.sickness.cause))?;
        let ladder = self.policy.steps(cause, self.view.kind);
        let with_cause = || patients.iter().filter(|p| p.sickness.cause == cause);
        let condition = most_frequent(with_cause().map(|p| p.sickness.condition))?;
        let sickness = with_cause().map(|p| p.sickness).find(|s| s.condition == condition)?;
        let target = Target::Gateway(self.view.gateway.clone());
        let case = (self.cases)(&target);
        let walk = Walk {
            ladder,
            abilities: self.view.abilities,
            instance: None,
            gateway: self.place(case, cause),
            may_restart_gateway: true,
        };
        let (found, skipped) = self.walk(&walk, case);
        // As many as make a half must be ripe: the last of them decides.
        let all = self.view.instances.len();
        let mut ripe: Vec<_> = patients.iter().map(|p| self.ripe(*p, Some(Action::RestartGateway))).collect();
        ripe.sort_by_key(|(at, _)| *at);
        let ripe = *ripe.get(all.div_ceil(2).max(2) - 1)?;
        Some(self.due(Due {
            target,
            sickness,
            evidence: format!(
                "{} of {all} instances are sick, most with {cause}: {}",
                patients.len(),
                sickness.message
            ),
            found,
            skipped,
            ripe,
            backoff: case.map(|c| c.not_before),
            blocked: !self.live.is_empty(),
        }))
    }

    /// Decides for one instance, which may have climbed up to its gateway.
    fn single(&self, patient: Patient<'p>, may_restart_gateway: bool) -> Decision {
        let Sickness { cause, message, .. } = patient.sickness;
        let target = self.instance(patient.view);
        let gateway = Target::Gateway(self.view.gateway.clone());
        let (case, gateway_case) = ((self.cases)(&target), (self.cases)(&gateway));
        let walk = Walk {
            ladder: self.policy.steps(*cause, self.view.kind),
            abilities: self.view.abilities,
            instance: Some(self.place(case, *cause)),
            gateway: self.place(gateway_case, *cause),
            may_restart_gateway,
        };
        let (found, skipped) = self.walk(&walk, case);
        let action = match &found {
            Found::Step { action, .. } => Some(*action),
            Found::End(_) => None,
        };
        let on_gateway = action.is_some_and(Action::on_gateway);
        let blocked = if on_gateway {
            !self.live.is_empty()
        } else {
            self.live.contains(&target) || self.live.contains(&gateway)
        };
        // On the gateway both pauses count: the instance's own last try must have had its time as well.
        let backoff =
            case.map(|c| c.not_before).max(gateway_case.filter(|_| on_gateway).map(|c| c.not_before));
        self.due(Due {
            target: if on_gateway { gateway } else { target },
            sickness: patient.sickness,
            evidence: format!("{cause}: {message}"),
            found,
            skipped,
            ripe: self.ripe(patient, action),
            backoff,
            blocked,
        })
    }

    fn walk(&self, walk: &Walk<'_>, case: Option<&Case>) -> (Found, Vec<String>) {
        if case.is_some_and(Case::worn_out) { (Found::End(End::Done), Vec::new()) } else { walk.next() }
    }

    /// Turns a found step into a proposal if its time has come.
    fn due(&self, due: Due<'_>) -> Decision {
        let Due { target, sickness, evidence, found, skipped, ripe, backoff, blocked } = due;
        let cause = sickness.cause;
        let skipped =
            if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) };
        let next = match &found {
            Found::Step { action, at, .. } => Some((*action, *at)),
            Found::End(_) => None,
        };
        let wait =
            |until, reason, why: String| Decision::Wait { target: target.clone(), until, reason, next, why };
        if blocked {
            return wait(None, WaitReason::LiveOrder, format!("an order is under way; {evidence}"));
        }
        let backoff = backoff.filter(|until| *until > self.now);
        let why = match &next {
            Some((action, at)) => format!("{action} ({at}) is next; {evidence}{skipped}"),
            None => format!("nothing is left to order, a human is called next; {evidence}{skipped}"),
        };
        if ripe.0 > self.now && backoff.is_none_or(|until| until < ripe.0) {
            return wait(Some(ripe.0), ripe.1, why);
        }
        let (index, action, at) = match found {
            Found::Step { index, action, at } => (index, action, at),
            Found::End(end) => return human(target, cause, end, &evidence, &skipped),
        };
        if backoff.is_some() {
            return wait(backoff, WaitReason::Backoff, why);
        }
        let proposal = Proposal {
            target,
            action,
            origin: Origin::Planner,
            cause: Some(cause),
            reason: clip(&format!("{evidence} ({at}{skipped})"), MAX_REASON),
            expect: sickness.condition,
            spread: None,
            incarnation: self.view.incarnation,
            request_id: None,
            traceparent: None,
        };
        Decision::Propose { proposal, step: index, at }
    }

    fn place(&self, case: Option<&Case>, cause: Cause) -> Place {
        case.map_or_else(Place::default, |c| c.place(self.policy, self.view.kind, cause))
    }

    /// From when on a patient may be acted on, and what is waited for until then.
    fn ripe(&self, patient: Patient<'_>, action: Option<Action>) -> (Timestamp, WaitReason) {
        let Sickness { cause, since, .. } = patient.sickness;
        let longer = self.policy.act_after.max(self.policy.verify_within);
        if patient.view.flapping {
            (since.after(longer), WaitReason::Flapping)
        } else if *cause == Cause::GatewayRestarting && action.is_some_and(Action::destructive) {
            (since.after(longer), WaitReason::Restarting)
        } else {
            (since.after(self.policy.act_after), WaitReason::ActAfter)
        }
    }

    fn instance(&self, view: &InstanceView) -> Target {
        Target::Instance(self.view.gateway.instance(view.instance.clone()))
    }
}

fn human(target: Target, cause: Cause, end: End, evidence: &str, skipped: &str) -> Decision {
    let (reason, said) = match end {
        End::Done => (HumanReason::LadderDone, "all that the policy allows was tried"),
        End::NothingConfigured => {
            (HumanReason::NothingConfigured, "the agent can do nothing of what the policy asks for")
        }
        End::OthersHealthy => (
            HumanReason::OthersHealthy,
            "only a restart of the gateway is left, and fewer than half of its instances need it",
        ),
    };
    let why = format!("{said}; {evidence}{skipped}. {}", cause.words(Lang::En).remedy);
    Decision::Human { target, cause, reason, why }
}
