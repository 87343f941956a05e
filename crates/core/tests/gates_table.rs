//! Every gate with exact numbers, one row per case.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::ConditionKind;
use mooring_core::gate::{
    Belief, Facts, Gate, PastOrder, Pause, PauseScope, Verdict, Warming, evaluate, passes, retry_after,
    share, shut,
};
use mooring_core::id::OrderId;
use mooring_core::order::{Action, Origin, Proposal, State};
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

const NOW: Timestamp = Timestamp(10_000_000_000_000);

fn ago(secs: u64) -> Timestamp {
    NOW.before(Duration::from_secs(secs))
}

fn ahead(secs: u64) -> Timestamp {
    NOW.after(Duration::from_secs(secs))
}

fn proposal(action: Action, origin: Origin) -> Proposal {
    let target = if action.on_gateway() { "agents/a/gateways/g" } else { "agents/a/gateways/g/instances/i" };
    Proposal {
        target: target.parse().expect("a name"),
        action,
        origin,
        cause: Some(Cause::SessionLost),
        reason: "test".to_owned(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    }
}

fn planner(action: Action) -> Proposal {
    proposal(action, Origin::Planner)
}

fn operator(action: Action) -> Proposal {
    proposal(action, Origin::Operator("ann".to_owned()))
}

/// A group of 100 instances on 20 gateways in which nothing is amiss.
fn calm() -> Facts {
    let belief = Belief {
        group_instances: 100,
        group_gateways: 20,
        agent_online: true,
        configured: true,
        ..Belief::default()
    };
    Facts { belief, ..Facts::default() }
}

fn past(id: u128, action: Action, state: State, created: u64) -> PastOrder {
    let ended_at = state.ended().then(|| ago(created.saturating_sub(1)));
    PastOrder { id: OrderId(Uuid::from_u128(id)), action, state, created_at: ago(created), ended_at }
}

fn ask(gate: Gate, policy: &Policy, proposal: &Proposal, facts: &Facts) -> Verdict {
    let verdicts = evaluate(NOW, policy, proposal, facts);
    let asked: Vec<Gate> = verdicts.iter().map(|v| v.gate).collect();
    assert_eq!(asked, Gate::ALL, "all gates answer, in order");
    assert!(verdicts.iter().all(|v| !v.message.is_empty()));
    verdicts.into_iter().find(|v| v.gate == gate).expect("every gate answers")
}

/// Asks one gate with the default policy: open, its numbers, and when to ask again in milliseconds.
fn answer(gate: Gate, proposal: &Proposal, facts: &Facts) -> (bool, Vec<(String, i64)>, Option<u128>) {
    let v = ask(gate, &Policy::default(), proposal, facts);
    (v.open, v.numbers, v.retry_after.map(|d| d.as_millis()))
}

fn numbers(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
}

#[test]
fn a_calm_group_lets_everything_pass_and_nothing_known_lets_nothing_pass() {
    for action in Action::ALL {
        let verdicts = evaluate(NOW, &Policy::default(), &planner(*action), &calm());
        assert!(passes(&verdicts), "{action}: {:?}", shut(&verdicts).collect::<Vec<_>>());
        assert_eq!(retry_after(&verdicts), None);
        assert!(!passes(&evaluate(NOW, &Policy::default(), &planner(*action), &Facts::default())));
    }
    assert!(!passes(&[]), "verdicts that were not given do not let pass");
}

#[test]
fn paused() {
    let pause = |id, until| Pause {
        id: Uuid::from_u128(id),
        scope: PauseScope::All,
        reason: "night shift".to_owned(),
        by: "ann".to_owned(),
        created_at: ago(600),
        until,
    };
    let p = operator(Action::Reconnect);
    let none = Facts { pauses: vec![pause(1, ago(1)), pause(2, NOW)], ..calm() };
    assert_eq!(answer(Gate::Paused, &p, &none), (true, numbers(&[("pauses", 0)]), None));
    let two = Facts { pauses: vec![pause(1, ahead(90)), pause(2, ahead(30))], ..calm() };
    assert_eq!(answer(Gate::Paused, &p, &two), (false, numbers(&[("pauses", 2)]), Some(90_000)));
    let said = ask(Gate::Paused, &Policy::default(), &p, &two).message;
    assert!(said.contains("ann") && said.contains("night shift") && said.contains("1m30s"), "{said}");
}

#[test]
fn dry_run() {
    let dry = Policy { dry_run: true, ..Policy::default() };
    for p in [planner(Action::Reconnect), operator(Action::Reconnect)] {
        assert!(!ask(Gate::DryRun, &dry, &p, &calm()).open);
        assert!(ask(Gate::DryRun, &Policy::default(), &p, &calm()).open);
    }
}

#[test]
fn warming_up() {
    let warming = |back, known, until| {
        let mut f = calm();
        f.belief.warming = Some(Warming { back, known, until });
        f
    };
    let n = |back, known, percent| {
        numbers(&[("back", back), ("known", known), ("percent", percent), ("limit_percent", 95)])
    };
    for restart in [planner(Action::RestartGateway), operator(Action::RestartInstance)] {
        let shut = (false, n(94, 100, 94), Some(30_000));
        assert_eq!(answer(Gate::WarmingUp, &restart, &warming(94, 100, ahead(30))), shut);
        assert_eq!(
            answer(Gate::WarmingUp, &restart, &warming(95, 100, ahead(30))),
            (true, n(95, 100, 95), None)
        );
        assert_eq!(answer(Gate::WarmingUp, &restart, &warming(1, 100, NOW)), (true, n(1, 100, 1), None));
        assert!(answer(Gate::WarmingUp, &restart, &warming(0, 0, ahead(30))).0, "an empty fleet is complete");
    }
    assert!(answer(Gate::WarmingUp, &planner(Action::Reconnect), &warming(0, 100, ahead(30))).0);
}

#[test]
fn agent_offline_and_not_configured() {
    let mut facts = calm();
    facts.belief.agent_online = false;
    assert!(!answer(Gate::AgentOffline, &operator(Action::Reconnect), &facts).0);
    assert!(answer(Gate::NotConfigured, &operator(Action::Reconnect), &facts).0);
    facts.belief = Belief { agent_online: true, configured: false, ..facts.belief };
    assert!(answer(Gate::AgentOffline, &operator(Action::Reconnect), &facts).0);
    assert!(!answer(Gate::NotConfigured, &operator(Action::Reconnect), &facts).0);
}

#[test]
fn live_order() {
    let live = past(1, Action::Reconnect, State::Running, 5);
    let over = past(2, Action::Reconnect, State::Failed, 50);
    for (facts, used) in [
        (Facts { conflicting: vec![over], ..calm() }, 0),
        (Facts { conflicting: vec![live], on_target: vec![live, over], ..calm() }, 1),
        (Facts { on_target: vec![live], ..calm() }, 1),
    ] {
        let want = (used == 0, numbers(&[("used", used), ("limit", 1)]), None);
        assert_eq!(answer(Gate::LiveOrder, &operator(Action::Reconnect), &facts), want);
    }
}

#[test]
fn cooldown() {
    let p = operator(Action::Reconnect);
    let ended = |seconds| {
        let o = PastOrder { ended_at: Some(ago(seconds)), ..past(1, Action::Reconnect, State::Failed, 300) };
        Facts { on_target: vec![past(2, Action::Reconnect, State::Succeeded, 400), o], ..calm() }
    };
    let n = |used| numbers(&[("used", used), ("limit", 10_000)]);
    assert_eq!(answer(Gate::Cooldown, &p, &ended(4)), (false, n(4_000), Some(6_000)));
    assert_eq!(answer(Gate::Cooldown, &p, &ended(10)), (true, n(10_000), None));
    assert_eq!(answer(Gate::Cooldown, &p, &calm()), (true, numbers(&[("limit", 10_000)]), None));
    let live = Facts { on_target: vec![past(1, Action::Reconnect, State::Running, 1)], ..calm() };
    assert!(answer(Gate::Cooldown, &p, &live).0, "what is not over has not ended");
    // The clock was set back: no longer than the cooldown at a time.
    let future = PastOrder { ended_at: Some(ahead(500)), ..past(1, Action::Reconnect, State::Failed, 9) };
    let set_back = Facts { on_target: vec![future], ..calm() };
    assert_eq!(answer(Gate::Cooldown, &p, &set_back), (false, n(0), Some(10_000)));
}

#[test]
fn backoff() {
    let facts = Facts { backoff_until: Some(ahead(7)), ..calm() };
    let n = numbers(&[("left", 7_000)]);
    assert_eq!(answer(Gate::Backoff, &planner(Action::Reconnect), &facts), (false, n.clone(), Some(7_000)));
    assert_eq!(answer(Gate::Backoff, &operator(Action::Reconnect), &facts), (true, n, None));
    let over = Facts { backoff_until: Some(NOW), ..calm() };
    assert_eq!(
        answer(Gate::Backoff, &planner(Action::Reconnect), &over),
        (true, numbers(&[("left", 0)]), None)
    );
}

#[test]
fn restart_budget() {
    let n = |used| numbers(&[("used", used), ("limit", 2), ("window", 1_800_000)]);
    let with = |orders: &[PastOrder]| Facts { restarts_in_window: orders.to_vec(), ..calm() };
    let gateway = |id, age| past(id, Action::RestartGateway, State::Succeeded, age);
    let instance = |id, age| past(id, Action::RestartInstance, State::Failed, age);
    let p = planner(Action::RestartGateway);
    assert_eq!(answer(Gate::RestartBudget, &p, &with(&[gateway(1, 100)])), (true, n(1), None));
    let two = with(&[gateway(1, 100), gateway(2, 700)]);
    assert_eq!(answer(Gate::RestartBudget, &p, &two), (false, n(2), Some(1_100_000)));
    assert_eq!(answer(Gate::RestartBudget, &operator(Action::RestartGateway), &two), (true, n(2), None));
    assert!(answer(Gate::RestartBudget, &planner(Action::Reconnect), &two).0, "a reconnect is not a restart");
    // Three: the two oldest have to leave.
    let three = with(&[gateway(1, 100), gateway(2, 700), gateway(3, 1000)]);
    assert_eq!(answer(Gate::RestartBudget, &p, &three), (false, n(3), Some(1_100_000)));
    let old = with(&[gateway(1, 100), gateway(2, 1800)]);
    assert_eq!(answer(Gate::RestartBudget, &p, &old), (true, n(1), None));
    // Restarts of instances count for that instance, not for the gateway.
    let mixed = with(&[instance(1, 100), gateway(2, 200)]);
    assert_eq!(answer(Gate::RestartBudget, &p, &mixed), (true, n(1), None));
    assert_eq!(
        answer(Gate::RestartBudget, &planner(Action::RestartInstance), &mixed),
        (false, n(2), Some(1_600_000))
    );
    // What was never carried out is no restart; what may have been is one.
    let undone = with(&[
        past(1, Action::RestartGateway, State::Cancelled, 10),
        past(2, Action::RestartGateway, State::Refused, 20),
        past(3, Action::RestartGateway, State::Expired, 30),
    ]);
    assert_eq!(answer(Gate::RestartBudget, &p, &undone), (true, n(1), None));
    let mut never = Policy::default();
    never.restarts.count = 0;
    let v = ask(Gate::RestartBudget, &never, &p, &calm());
    assert_eq!((v.open, v.retry_after), (false, None));
}

#[test]
fn group_in_flight_and_percent() {
    let p = operator(Action::Reconnect);
    let with = |in_flight, instances| {
        let mut f = Facts { group_in_flight: in_flight, ..calm() };
        f.belief.group_instances = instances;
        f
    };
    for (used, open) in [(9, true), (10, false), (11, false)] {
        let want = (open, numbers(&[("used", i64::from(used)), ("limit", 10)]), None);
        assert_eq!(answer(Gate::GroupInFlight, &p, &with(used, 1000)), want);
    }
    // 10 % of the group, at least one: (instances, in flight, limit, open).
    for (instances, used, limit, open) in [
        (0, 0, 1, true),
        (1, 0, 1, true),
        (1, 1, 1, false),
        (2, 0, 1, true),
        (3, 0, 1, true),
        (3, 1, 1, false),
        (19, 1, 1, false),
        (20, 1, 2, true),
        (20, 2, 2, false),
        (100, 9, 10, true),
        (100, 10, 10, false),
    ] {
        let n = [
            ("used", i64::from(used)),
            ("limit", limit),
            ("percent", 10),
            ("instances", i64::from(instances)),
        ];
        let want = (open, numbers(&n), None);
        assert_eq!(answer(Gate::GroupPercent, &p, &with(used, instances)), want, "{used} of {instances}");
    }
    assert_eq!(share(100, u32::MAX), u32::MAX);
}

#[test]
fn group_rate() {
    let p = operator(Action::Reconnect);
    let n = |used| numbers(&[("used", used), ("limit", 30), ("window", 60_000)]);
    let with = |used, oldest| Facts { group_last_minute: used, group_oldest_in_minute: oldest, ..calm() };
    assert_eq!(answer(Gate::GroupRate, &p, &with(29, Some(ago(50)))), (true, n(29), None));
    assert_eq!(answer(Gate::GroupRate, &p, &with(30, Some(ago(50)))), (false, n(30), Some(10_000)));
    assert_eq!(answer(Gate::GroupRate, &p, &with(30, None)), (false, n(30), None));
}

#[test]
fn storm() {
    let with = |sick, known, seen| {
        let mut f = calm();
        f.belief =
            Belief { group_sick_gateways: sick, group_gateways: known, storm_seen_at: seen, ..f.belief };
        f
    };
    // More than 55 %, and three at least: (sick, known, open).
    for (sick, known, open) in [
        (1, 1, true),
        (2, 2, true),
        (2, 3, true),
        (3, 3, false),
        (3, 5, false),
        (11, 20, true),
        (12, 20, false),
        (20, 20, false),
        (0, 0, true),
    ] {
        let n = [
            ("used", i64::from(sick)),
            ("known", i64::from(known)),
            ("percent", 55),
            ("at_least", 3),
            ("cooldown", 60_000),
        ];
        let again = (!open).then_some(60_000);
        for p in [planner(Action::RestartGateway), operator(Action::RestartInstance)] {
            let want = (open, numbers(&n), again);
            assert_eq!(answer(Gate::Storm, &p, &with(sick, known, None)), want, "{sick} of {known}");
        }
        assert!(answer(Gate::Storm, &planner(Action::Reconnect), &with(sick, known, None)).0);
    }
    let restart = planner(Action::RestartGateway);
    let after = answer(Gate::Storm, &restart, &with(1, 20, Some(ago(20))));
    assert_eq!((after.0, after.2), (false, Some(40_000)));
    assert!(after.1.contains(&("calm".to_owned(), 20_000)));
    assert!(answer(Gate::Storm, &restart, &with(1, 20, Some(ago(60)))).0);
}

#[test]
fn the_longest_wait_of_the_shut_gates_counts() {
    let o = PastOrder { ended_at: Some(ago(4)), ..past(1, Action::Reconnect, State::Failed, 300) };
    let facts = Facts { on_target: vec![o], backoff_until: Some(ahead(25)), ..calm() };
    let verdicts = evaluate(NOW, &Policy::default(), &planner(Action::Reconnect), &facts);
    assert_eq!(shut(&verdicts).map(|v| v.gate).collect::<Vec<_>>(), vec![Gate::Cooldown, Gate::Backoff]);
    assert_eq!(retry_after(&verdicts), Some(Duration::from_secs(25)));
}

proptest! {
    /// However large the group and whatever its other figures: with all of it sick, nothing is restarted by anybody.
    #[test]
    fn a_group_that_is_all_sick_gets_no_destructive_order(
        known in 3u32..5_000,
        in_flight in 0u32..5,
        by_planner in any::<bool>(),
        on_gateway in any::<bool>(),
    ) {
        let mut facts = Facts { group_in_flight: in_flight, ..calm() };
        facts.belief = Belief { group_gateways: known, group_sick_gateways: known, ..facts.belief };
        let action = if on_gateway { Action::RestartGateway } else { Action::RestartInstance };
        let p = if by_planner { planner(action) } else { operator(action) };
        prop_assert!(!passes(&evaluate(NOW, &Policy::default(), &p, &facts)));
    }
}
