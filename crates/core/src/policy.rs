//! Policy: which causes lead to which orders, how fast, how many at once.
//!
//! A policy belongs to a group (its id is the group's name; `default` serves every group without one). It needs not be
//! written: [`Policy::default`] carries the numbers of systems that have been run for years (Kubernetes, Nomad, Envoy,
//! medik8s; `numbers.md` of the design has the anchors). Every brake is offered as a percentage *and* as an absolute
//! number, since percentages alone fail small fleets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Handling};
use crate::id::PolicyId;
use crate::kind::Kind;
use crate::limits::MAX_LADDER;
use crate::order::Action;
use crate::time::human;

/// What may be done in a group, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Only say what would be ordered, never order it.
    pub dry_run: bool,
    /// How long an instance must have been sick before anything is ordered: many faults pass by themselves.
    #[serde(with = "human")]
    pub act_after: Duration,
    /// Least time between the end of one order on a target and the next order on it.
    #[serde(with = "human")]
    pub cooldown: Duration,
    /// Full-jitter backoff between tries on one target.
    pub backoff: BackoffPolicy,
    /// Health for this long clears the tries and the ladder; mere "connected" does not.
    #[serde(with = "human")]
    pub stable_for: Duration,
    /// How long an undelivered order stays valid.
    #[serde(with = "human")]
    pub order_ttl: Duration,
    /// How long after its execution an order's expected condition may take to be seen.
    #[serde(with = "human")]
    pub verify_within: Duration,
    /// How much of the group may be under orders.
    pub budget: Budget,
    /// Restarts allowed per gateway before it is parked.
    pub restarts: RestartBudget,
    /// When too many are sick at once.
    pub storm: Storm,
    /// Which causes lead to which steps; the first that matches counts. Where none matches, the built-in ladder of the
    /// cause's [`Handling`] does.
    #[serde(rename = "ladder")]
    pub ladders: Vec<Ladder>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dry_run: false,
            act_after: Duration::from_secs(2),
            cooldown: Duration::from_secs(10),
            backoff: BackoffPolicy::default(),
            stable_for: Duration::from_secs(600),
            order_ttl: Duration::from_secs(60),
            verify_within: Duration::from_secs(60),
            budget: Budget::default(),
            restarts: RestartBudget::default(),
            storm: Storm::default(),
            ladders: Vec::new(),
        }
    }
}

/// Full-jitter backoff: before try n, wait a random time in `[0, min(cap, base × 2ⁿ)]`, but at least `base / 2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackoffPolicy {
    /// First ceiling.
    #[serde(with = "human")]
    pub base: Duration,
    /// Highest ceiling.
    #[serde(with = "human")]
    pub cap: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self { base: Duration::from_secs(5), cap: Duration::from_secs(300) }
    }
}

/// How much of a group may be under live orders at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Live orders in the group, at most.
    pub in_flight: u32,
    /// Live orders as a share of the group's instances, percent, 1–100; at least one is always allowed.
    pub in_flight_percent: u32,
    /// New orders in any 60 s, at most.
    pub per_minute: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { in_flight: 10, in_flight_percent: 10, per_minute: 30 }
    }
}

/// Restarts per gateway within a sliding window; beyond it the gateway is parked for a human (Nomad: 2 in 30 min).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartBudget {
    /// How many.
    pub count: u32,
    /// In which time.
    #[serde(with = "human")]
    pub window: Duration,
}

impl Default for RestartBudget {
    fn default() -> Self {
        Self { count: 2, window: Duration::from_secs(1800) }
    }
}

/// The storm brake: when more than `percent` of the group's gateways (and at least `at_least` of them) are sick at once,
/// the fault is probably not theirs: restarts stop, until it has been calm for `cooldown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storm {
    /// Percent of the group's gateways, 1–100 (Kubernetes' node controller: 55).
    pub percent: u32,
    /// And at least this many gateways: one of one is not a storm.
    pub at_least: u32,
    /// Calm needed before orders flow again.
    #[serde(with = "human")]
    pub cooldown: Duration,
}

impl Default for Storm {
    fn default() -> Self {
        Self { percent: 55, at_least: 3, cooldown: Duration::from_secs(60) }
    }
}

/// Steps for some causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// For these causes; empty: for all.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// For these kinds of gateway; empty: for all.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// The steps, in order. After the last one a human is called.
    #[serde(rename = "step", default)]
    pub steps: Vec<Rung>,
}

/// One step of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What to order.
    pub action: RungAction,
    /// How many tries before the next step, 1–100.
    #[serde(default = "one")]
    pub times: u32,
}

fn one() -> u32 {
    1
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungAction {
    /// [`Action::Reconnect`].
    Reconnect,
    /// [`Action::ReconnectSlowly`].
    ReconnectSlowly,
    /// [`Action::RestartInstance`].
    RestartInstance,
    /// [`Action::RestartGateway`].
    RestartGateway,
    /// Order nothing more; say that a human is needed, with the remedy.
    CallHuman,
}

impl RungAction {
    /// The order it stands for; `None` for calling a human.
    #[must_use]
    pub fn action(self) -> Option<Action> {
        match self {
            Self::Reconnect => Some(Action::Reconnect),
            Self::ReconnectSlowly => Some(Action::ReconnectSlowly),
            Self::RestartInstance => Some(Action::RestartInstance),
            Self::RestartGateway => Some(Action::RestartGateway),
            Self::CallHuman => None,
        }
    }
}

const fn rung(action: RungAction, times: u32) -> Rung {
    Rung { action, times }
}

/// The built-in ladders.
static RECONNECT_LADDER: [Rung; 4] = [
    rung(RungAction::Reconnect, 1),
    rung(RungAction::ReconnectSlowly, 1),
    rung(RungAction::RestartInstance, 1),
    rung(RungAction::RestartGateway, 2),
];
static RESTART_LADDER: [Rung; 2] =
    [rung(RungAction::RestartInstance, 1), rung(RungAction::RestartGateway, 2)];
/// Only a start of the process reads what is not in it.
static LOAD_LADDER: [Rung; 1] = [rung(RungAction::RestartGateway, 2)];
static RATE_LADDER: [Rung; 1] = [rung(RungAction::ReconnectSlowly, 3)];

impl Policy {
    /// The steps for a cause on a kind. Empty means: nothing is ordered for it (it passes by itself, or a human is
    /// needed; [`Cause::handling`] tells which). A [`Handling::Human`] cause has no steps whatever a policy says, and
    /// neither has a cause that only says that something is not known (code below 20): a ladder written for all causes
    /// must not restart a gateway whose agent is silent.
    #[must_use]
    pub fn steps(&self, cause: Cause, kind: Kind) -> &[Rung] {
        if cause.handling() == Handling::Human || cause.code() < 20 {
            return &[];
        }
        let written = self.ladders.iter().find(|l| {
            (l.causes.is_empty() || l.causes.contains(&cause))
                && (l.kinds.is_empty() || l.kinds.contains(&kind))
        });
        if let Some(ladder) = written {
            return &ladder.steps;
        }
        match (cause, cause.handling()) {
            (Cause::RateLimited, _) => &RATE_LADDER,
            (Cause::InstanceNotLoaded, _) => &LOAD_LADDER,
            (_, Handling::Reconnect) => &RECONNECT_LADDER,
            (_, Handling::Restart) => &RESTART_LADDER,
            (_, Handling::Wait | Handling::Human) => &[],
        }
    }

    /// What is wrong with the numbers: key path and words, for each problem.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut need = |ok: bool, key: &str, what: &str| {
            if !ok {
                out.push((key.to_owned(), what.to_owned()));
            }
        };
        need(self.backoff.base >= Duration::from_millis(100), "backoff.base", "must be at least 100ms");
        need(self.backoff.cap >= self.backoff.base, "backoff.cap", "must not be less than backoff.base");
        need(self.order_ttl >= Duration::from_secs(1), "order_ttl", "must be at least 1s");
        need(self.verify_within >= Duration::from_secs(1), "verify_within", "must be at least 1s");
        need(
            self.stable_for > self.cooldown,
            "stable_for",
            "must be longer than cooldown, or each order clears the last",
        );
        need(
            self.budget.in_flight >= 1,
            "budget.in_flight",
            "must be at least 1; use dry_run or a pause to stop orders",
        );
        need(
            (1..=100).contains(&self.budget.in_flight_percent),
            "budget.in_flight_percent",
            "must be 1 to 100",
        );
        need(
            self.budget.per_minute >= 1,
            "budget.per_minute",
            "must be at least 1; use dry_run or a pause to stop orders",
        );
        need(self.restarts.window >= Duration::from_secs(1), "restarts.window", "must be at least 1s");
        need((1..=100).contains(&self.storm.percent), "storm.percent", "must be 1 to 100");
        need(self.storm.at_least >= 1, "storm.at_least", "must be at least 1");
        for (i, ladder) in self.ladders.iter().enumerate() {
            need(
                ladder.steps.len() <= MAX_LADDER,
                &format!("ladder[{i}].step"),
                "has too many steps (at most 16)",
            );
            for (j, step) in ladder.steps.iter().enumerate() {
                let key = format!("ladder[{i}].step[{j}].times");
                need((1..=100).contains(&step.times), &key, "must be 1 to 100");
            }
            for cause in &ladder.causes {
                let retries = ladder.steps.iter().any(|s| s.action.action().is_some());
                need(
                    !(cause.handling() == Handling::Human && retries),
                    &format!("ladder[{i}].causes"),
                    &format!("{cause} must never be retried; only call_human can follow it"),
                );
            }
        }
        out
    }
}

/// A policy with its name and version, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its id: the group's name, or `default`.
    pub id: PolicyId,
    /// The policy.
    pub policy: Policy,
    /// Rises with each change.
    pub version: u64,
    /// Whether it comes from the controller's policy file, and so cannot be changed through the API.
    pub from_file: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_never_retries_what_must_not_be() {
        let policy = Policy::default();
        assert_eq!(policy.problems(), vec![]);
        for cause in Cause::all().filter(|c| c.handling() == Handling::Human) {
            assert!(policy.steps(cause, Kind::Websocket).is_empty(), "{cause}");
        }
        assert_eq!(
            policy.steps(Cause::ConnectionRefused, Kind::Websocket)[0].action,
            RungAction::RestartInstance
        );
    }

    #[test]
    fn a_written_ladder_comes_first_but_cannot_retry_a_human_cause() {
        let ladder =
            Ladder { causes: vec![], kinds: vec![], steps: vec![rung(RungAction::RestartGateway, 1)] };
        let policy = Policy { ladders: vec![ladder], ..Policy::default() };
        assert_eq!(policy.steps(Cause::SessionLost, Kind::Websocket).len(), 1);
        assert!(policy.steps(Cause::WrongPath, Kind::Websocket).is_empty());
        for not_known in [Cause::AgentSilent, Cause::UnderRepair, Cause::ObserverStalled] {
            assert!(policy.steps(not_known, Kind::Websocket).is_empty(), "{not_known}");
        }
        let named = Ladder {
            causes: vec![Cause::WrongPath],
            kinds: vec![],
            steps: vec![rung(RungAction::Reconnect, 1)],
        };
        assert_eq!(Policy { ladders: vec![named], ..Policy::default() }.problems().len(), 1);
    }
}
