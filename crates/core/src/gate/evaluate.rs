//! All gates, asked at once: facts in, thirteen verdicts out, always in [`Gate::ALL`]'s order.
//!
//! Every gate answers, also those that do not apply (they are open and say why), so that `explain` can show the whole
//! row. Nothing here reads a clock or counts anything itself: what is counted is read in one transaction by the store.
//! Which gates ask whom:
//!
//! | gate | planner | operator |
//! |---|---|---|
//! | warming up, storm | destructive orders | destructive orders |
//! | backoff | all orders | – |
//! | restart budget | restarts | – |
//! | cooldown | all orders | all but the end of a drain |
//! | all others | all orders | all orders |
//!
//! An operator may overrule what protects one target from repetition, not what protects the group from a mistake.
//! Where a time is known after which asking again makes sense, the verdict has it; a lower bound is good enough, as
//! everything is judged anew then.

use std::time::Duration;

use crate::gate::{Facts, Gate, PastOrder, Verdict};
use crate::order::{Action, Origin, Proposal, State};
use crate::policy::Policy;
use crate::time::{Timestamp, human};

/// Share of the known agents that must be back, in percent, before a started controller issues destructive orders.
pub const WARM_PERCENT: u32 = 95;

/// The window of [`Gate::GroupRate`].
pub const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Asks every gate. The result has one verdict per gate, in [`Gate::ALL`]'s order.
#[must_use]
pub fn evaluate(now: Timestamp, policy: &Policy, proposal: &Proposal, facts: &Facts) -> Vec<Verdict> {
    let asked = Asked { now, policy, proposal, facts };
    Gate::ALL.iter().map(|gate| asked.ask(*gate)).collect()
}

/// Those that are shut.
pub fn shut(verdicts: &[Verdict]) -> impl Iterator<Item = &Verdict> {
    verdicts.iter().filter(|v| !v.open)
}

/// Whether the order may be made.
#[must_use]
pub fn passes(verdicts: &[Verdict]) -> bool {
    verdicts.len() == Gate::ALL.len() && shut(verdicts).next().is_none()
}

/// When it is worth asking again: the longest wait that a shut gate names. `None` when none is shut, or none knows.
#[must_use]
pub fn retry_after(verdicts: &[Verdict]) -> Option<Duration> {
    shut(verdicts).filter_map(|v| v.retry_after).max()
}

/// How many are `percent` of `whole`, rounded down, but at least one.
#[must_use]
pub fn share(percent: u32, whole: u32) -> u32 {
    let part = u64::from(percent) * u64::from(whole) / 100;
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

struct Asked<'a> {
    now: Timestamp,
    policy: &'a Policy,
    proposal: &'a Proposal,
    facts: &'a Facts,
}

impl Asked<'_> {
    fn ask(&self, gate: Gate) -> Verdict {
        match gate {
            Gate::Paused => self.paused(),
            Gate::DryRun => self.dry_run(),
            Gate::WarmingUp => self.warming_up(),
            Gate::AgentOffline => self.agent_offline(),
            Gate::NotConfigured => self.not_configured(),
            Gate::LiveOrder => self.live_order(),
            Gate::Cooldown => self.cooldown(),
            Gate::Backoff => self.backoff(),
            Gate::RestartBudget => self.restart_budget(),
            Gate::GroupInFlight => self.group_in_flight(),
            Gate::GroupPercent => self.group_percent(),
            Gate::GroupRate => self.group_rate(),
            Gate::Storm => self.storm(),
        }
    }

    fn destructive(&self) -> bool {
        self.proposal.action.destructive()
    }

    fn by_planner(&self) -> bool {
        self.proposal.origin == Origin::Planner
    }

    /// The longest pause counts: only after it can the order pass.
    fn paused(&self) -> Verdict {
        let in_force = self.facts.pauses.iter().filter(|p| p.until > self.now);
        let count = in_force.clone().count();
        match in_force.max_by_key(|p| (p.until, p.id)) {
            None => open(Gate::Paused, "no pause covers the target"),
            Some(pause) => {
                let left = pause.until.since(self.now);
                closed(
                    Gate::Paused,
                    format!("paused by {} for {} more: {}", pause.by, show(left), pause.reason),
                )
                .again(left)
            }
        }
        .with("pauses", count_of(count))
    }

    fn dry_run(&self) -> Verdict {
        if self.policy.dry_run {
            closed(Gate::DryRun, "the policy is on dry run: it only says what would be ordered".to_owned())
        } else {
            open(Gate::DryRun, "the policy gives orders")
        }
    }

    fn warming_up(&self) -> Verdict {
        let gate = Gate::WarmingUp;
        let Some(w) = self.facts.belief.warming else {
            return open(gate, "the controller knows its fleet");
        };
        let percent = if w.known == 0 { 100 } else { u64::from(w.back) * 100 / u64::from(w.known) };
        let back = format!("{} of {} agents are back", w.back, w.known);
        let verdict = if !self.destructive() {
            open(gate, format!("{back}; only destructive orders wait for the others"))
        } else if u64::from(w.back) * 100 >= u64::from(WARM_PERCENT) * u64::from(w.known) {
            open(gate, back)
        } else if self.now >= w.until {
            open(gate, format!("{back}; the others have been waited for long enough"))
        } else {
            let left = w.until.since(self.now);
            let words = format!(
                "{back}; destructive orders, operators' too, wait for {WARM_PERCENT} % or for {} more",
                show(left)
            );
            closed(gate, words).again(left)
        };
        verdict
            .with("back", i64::from(w.back))
            .with("known", i64::from(w.known))
            .with("percent", i64::try_from(percent).unwrap_or(i64::MAX))
            .with("limit_percent", i64::from(WARM_PERCENT))
    }

    fn agent_offline(&self) -> Verdict {
        if self.facts.belief.agent_online {
            open(Gate::AgentOffline, "the agent is attached and in sync")
        } else {
            closed(
                Gate::AgentOffline,
                "the agent is not attached or not in sync: nobody could carry it out".to_owned(),
            )
        }
    }

    fn not_configured(&self) -> Verdict {
        let action = self.proposal.action;
        if self.facts.belief.configured {
            open(Gate::NotConfigured, format!("the agent can {action}"))
        } else {
            closed(
                Gate::NotConfigured,
                format!("the agent has nothing configured that could {action} this target"),
            )
        }
    }

    fn live_order(&self) -> Verdict {
        // The target's own orders are looked at as well: one read that missed something is no reason for two orders.
        let mut live: Vec<&PastOrder> =
            self.facts.conflicting.iter().chain(&self.facts.on_target).filter(|o| !o.state.ended()).collect();
        live.sort_by_key(|o| o.id);
        live.dedup_by_key(|o| o.id);
        match live.first() {
            None => open(Gate::LiveOrder, "no other order is under way"),
            Some(o) => closed(
                Gate::LiveOrder,
                format!(
                    "order {} ({}, {}) must end first; {} under way",
                    o.id,
                    o.action,
                    o.state,
                    live.len()
                ),
            ),
        }
        .with("used", count_of(live.len()))
        .with("limit", 1)
    }

    fn cooldown(&self) -> Verdict {
        let gate = Gate::Cooldown;
        let need = self.policy.cooldown;
        if self.proposal.action == Action::Resume {
            // Whoever shut the door may open it again at once.
            return open(gate, "opening a door needs no rest").with("limit", ms(need));
        }
        let ended = self.facts.on_target.iter().filter(|o| o.state.ended());
        let Some(last) = ended.map(|o| o.ended_at.unwrap_or(o.created_at)).max() else {
            return open(gate, "no recent order on this target").with("limit", ms(need));
        };
        // A clock that was set back makes `since` zero: shut, for the cooldown at most per asking.
        let ago = self.now.since(last);
        let verdict = if ago >= need {
            open(gate, format!("the last order ended {} ago", show(ago)))
        } else {
            let words = format!("the last order ended {} ago, {} must pass", show(ago), show(need));
            closed(gate, words).again(need - ago)
        };
        verdict.with("used", ms(ago)).with("limit", ms(need))
    }

    fn backoff(&self) -> Verdict {
        let gate = Gate::Backoff;
        let left = self.facts.backoff_until.map_or(Duration::ZERO, |until| until.since(self.now));
        let verdict = if left.is_zero() {
            open(gate, "no backoff is running")
        } else if self.by_planner() {
            closed(gate, format!("the next try comes in {}", show(left))).again(left)
        } else {
            open(gate, format!("the planner would wait {} more; operators need not", show(left)))
        };
        verdict.with("left", ms(left))
    }

    fn restart_budget(&self) -> Verdict {
        let gate = Gate::RestartBudget;
        let budget = &self.policy.restarts;
        let mut counted: Vec<Timestamp> =
            self.facts.restarts_in_window.iter().filter(|o| self.counts(o)).map(|o| o.created_at).collect();
        counted.sort_unstable();
        let used = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        let words = format!("{used} of {} restarts within {} are used", budget.count, show(budget.window));
        let verdict = if used < budget.count {
            open(gate, words)
        } else if !self.proposal.action.restarts() {
            open(gate, format!("{words}; this is not a restart"))
        } else if !self.by_planner() {
            open(gate, format!("{words}; an operator may restart all the same"))
        } else {
            // Enough of the oldest must leave the window for one to fit in; with a count of 0 that never happens.
            let leaves = counted.get((used - budget.count) as usize).map(|at| at.after(budget.window));
            let shut = closed(gate, format!("{words}: parked, a human should look"));
            leaves.map_or(shut.clone(), |at| shut.again(at.since(self.now)))
        };
        verdict
            .with("used", i64::from(used))
            .with("limit", i64::from(budget.count))
            .with("window", ms(budget.window))
    }

    /// Whether a past order is a restart that weighs on this one: it may have been carried out, within the window, and
    /// for an order on the gateway it was one on the gateway.
    fn counts(&self, o: &PastOrder) -> bool {
        let bears = if self.proposal.action.on_gateway() {
            o.action == Action::RestartGateway
        } else {
            o.action.restarts()
        };
        let may_have_happened = match o.state {
            State::Pending
            | State::Dispatched
            | State::Accepted
            | State::Running
            | State::Verifying
            | State::Succeeded
            | State::Failed
            | State::Expired => true,
            State::Cancelled | State::Refused => false,
        };
        bears && may_have_happened && self.now.since(o.created_at) < self.policy.restarts.window
    }

    fn group_in_flight(&self) -> Verdict {
        let (used, limit) = (self.facts.group_in_flight, self.policy.budget.in_flight);
        let words = format!("{used} of {limit} orders of the group are under way");
        open_if(used < limit, Gate::GroupInFlight, words)
            .with("used", i64::from(used))
            .with("limit", i64::from(limit))
    }

    fn group_percent(&self) -> Verdict {
        let percent = self.policy.budget.in_flight_percent;
        let instances = self.facts.belief.group_instances;
        let (used, limit) = (self.facts.group_in_flight, share(percent, instances));
        let words = format!(
            "{used} of {limit} orders are under way ({percent} % of {instances} instances, at least one)"
        );
        open_if(used < limit, Gate::GroupPercent, words)
            .with("used", i64::from(used))
            .with("limit", i64::from(limit))
            .with("percent", i64::from(percent))
            .with("instances", i64::from(instances))
    }

    fn group_rate(&self) -> Verdict {
        let (used, limit) = (self.facts.group_last_minute, self.policy.budget.per_minute);
        let words = format!("{used} of {limit} new orders of the group within {}", show(RATE_WINDOW));
        let mut verdict = open_if(used < limit, Gate::GroupRate, words);
        if let (false, Some(oldest)) = (verdict.open, self.facts.group_oldest_in_minute) {
            verdict = verdict.again(oldest.after(RATE_WINDOW).since(self.now).min(RATE_WINDOW));
        }
        verdict.with("used", i64::from(used)).with("limit", i64::from(limit)).with("window", ms(RATE_WINDOW))
    }

    fn storm(&self) -> Verdict {
        let gate = Gate::Storm;
        let (policy, belief) = (&self.policy.storm, &self.facts.belief);
        let (sick, known) = (belief.group_sick_gateways, belief.group_gateways);
        let calm = belief.storm_seen_at.map(|at| self.now.since(at));
        let words = format!("{sick} of {known} known gateways of the group are sick");
        let verdict = if !self.destructive() {
            open(gate, format!("{words}; only destructive orders stop in a storm"))
        } else if is_storm(policy.percent, policy.at_least, sick, known) {
            let limit = format!("{} % and {}", policy.percent, policy.at_least);
            closed(gate, format!("{words} (limit {limit}): the fault is probably not theirs"))
                .again(policy.cooldown)
        } else if let Some(calm) = calm.filter(|c| *c < policy.cooldown) {
            let need = show(policy.cooldown);
            let words =
                format!("{words}; it has been calm for {} after a storm, {need} are needed", show(calm));
            closed(gate, words).again(policy.cooldown - calm)
        } else {
            open(gate, words)
        };
        let verdict = verdict
            .with("used", i64::from(sick))
            .with("known", i64::from(known))
            .with("percent", i64::from(policy.percent))
            .with("at_least", i64::from(policy.at_least))
            .with("cooldown", ms(policy.cooldown));
        match calm {
            Some(calm) => verdict.with("calm", ms(calm)),
            None => verdict,
        }
    }
}

/// Whether so many sick are a storm: more than `percent` of the known, and at least `at_least`. For
/// [`Belief::storm_seen_at`](crate::gate::Belief::storm_seen_at).
#[must_use]
pub fn is_storm(percent: u32, at_least: u32, sick: u32, known: u32) -> bool {
    u64::from(sick) * 100 > u64::from(percent) * u64::from(known) && sick >= at_least
}

fn open(gate: Gate, message: impl Into<String>) -> Verdict {
    Verdict { gate, open: true, message: message.into(), numbers: Vec::new(), retry_after: None }
}

fn closed(gate: Gate, message: String) -> Verdict {
    Verdict { gate, open: false, message, numbers: Vec::new(), retry_after: None }
}

fn open_if(is_open: bool, gate: Gate, message: String) -> Verdict {
    if is_open { open(gate, message) } else { closed(gate, message) }
}

impl Verdict {
    fn with(mut self, name: &str, value: i64) -> Self {
        self.numbers.push((name.to_owned(), value));
        self
    }

    fn again(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// One of its numbers.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.numbers.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }
}

fn ms(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

fn count_of(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Durations in messages: tenths of a second are enough, and never less than is left.
fn show(d: Duration) -> String {
    let tenths = d.as_millis().div_ceil(100);
    human::format(Duration::from_millis(u64::try_from(tenths).unwrap_or(u64::MAX).saturating_mul(100)))
}
