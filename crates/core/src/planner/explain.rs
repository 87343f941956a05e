//! What comes next for one target, as data: the planner's half of "why is nothing being done?" (the gates' verdicts are
//! the other). It is read off the very plan that would be carried out, so it cannot say anything else.

use crate::id::Target;
use crate::order::Action;
use crate::planner::GatewayView;
use crate::planner::ladder::RungAt;
use crate::planner::plan::{Cases, Decision, HumanReason, WaitReason, plan_gateway};
use crate::policy::Policy;
use crate::time::Timestamp;

/// What comes next for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// What would be acted on: the target, or the gateway that holds it.
    pub target: Target,
    /// What would be ordered; `None`: nothing, `why` tells the reason.
    pub action: Option<Action>,
    /// Which step of the ladder that is.
    pub at: Option<RungAt>,
    /// When at the earliest; `None` together with an action: once the order that is under way has ended.
    pub not_before: Option<Timestamp>,
    /// What is waited for.
    pub waiting: Option<WaitReason>,
    /// Set when a human is needed.
    pub human: Option<HumanReason>,
    /// In words.
    pub why: String,
}

/// Says what comes next for a target of this gateway.
#[must_use]
pub fn next_step<'a>(
    now: Timestamp,
    policy: &'a Policy,
    view: &'a GatewayView,
    cases: &Cases<'a>,
    (live, target): (&[Target], &Target),
) -> NextStep {
    let nothing = |why: &str| NextStep {
        target: target.clone(),
        action: None,
        at: None,
        not_before: None,
        waiting: None,
        human: None,
        why: why.to_owned(),
    };
    if !view.agent_online {
        return nothing("the agent is away: what is not known is not sick, and nothing is ordered");
    }
    let sick = target
        .instance()
        .is_some_and(|t| view.instances.iter().any(|i| i.instance == t.instance && i.sickness.is_some()));
    let plan = plan_gateway(now, policy, view, cases, live);
    let own = plan.iter().find(|d| d.target() == target);
    let above = || plan.iter().find(|d| sick && matches!(d.target(), Target::Gateway(_)));
    match own.or_else(above) {
        Some(decision) => of(now, decision),
        None if target.instance().is_some() => nothing("the instance is not sick"),
        None => nothing("no step on the gateway as a whole is due"),
    }
}

fn of(now: Timestamp, decision: &Decision) -> NextStep {
    let target = decision.target().clone();
    match decision {
        Decision::Propose { proposal, at, .. } => NextStep {
            target,
            action: Some(proposal.action),
            at: Some(*at),
            not_before: Some(now),
            waiting: None,
            human: None,
            why: proposal.reason.clone(),
        },
        Decision::Wait { until, reason, next, why, .. } => NextStep {
            target,
            action: next.map(|(action, _)| action),
            at: next.map(|(_, at)| at),
            not_before: *until,
            waiting: Some(*reason),
            human: None,
            why: why.clone(),
        },
        Decision::Human { reason, why, .. } => NextStep {
            target,
            action: None,
            at: None,
            not_before: None,
            waiting: None,
            human: Some(*reason),
            why: why.clone(),
        },
    }
}
