//! Plans: one gateway, one look, what follows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{ALL_ABLE, at, gateway, instance, one, view};
use mooring_core::cause::{Cause, Handling};
use mooring_core::condition::ConditionKind;
use mooring_core::id::{Incarnation, Target};
use mooring_core::order::Action;
use mooring_core::phase::Phase;
use mooring_core::planner::{
    Abilities, Case, CaseEvent, Decision, GatewayView, HumanReason, InstanceView, RungAt, WaitReason,
    next_step, plan_gateway, seen,
};
use mooring_core::policy::{Ladder, Policy, Rung, RungAction};
use mooring_core::time::Timestamp;
use proptest::prelude::*;

type CaseMap = BTreeMap<Target, Case>;

fn plan_at(now: Timestamp, view: &GatewayView, cases: &CaseMap, live: &[Target]) -> Vec<Decision> {
    plan_gateway(now, &Policy::default(), view, &|t| cases.get(t), live)
}

fn plan(view: &GatewayView) -> Vec<Decision> {
    plan_at(at(100), view, &CaseMap::new(), &[])
}

fn case(target: Target, cause: Cause, (step, tries): (u32, u32), not_before: Timestamp) -> (Target, Case) {
    let fresh = Case::open(target.clone(), cause, at(0));
    (target, Case { step, tries, attempts: step + tries, not_before, ..fresh })
}

fn sick(n: usize, cause: Cause) -> InstanceView {
    one(n, Some((cause, at(0))))
}

fn proposed(decisions: &[Decision]) -> Vec<(Target, Action)> {
    decisions
        .iter()
        .filter_map(|d| match d {
            Decision::Propose { proposal, .. } => Some((proposal.target.clone(), proposal.action)),
            Decision::Wait { .. } | Decision::Human { .. } => None,
        })
        .collect()
}

fn waits(decisions: &[Decision]) -> Vec<(Target, WaitReason, Option<Timestamp>)> {
    decisions
        .iter()
        .filter_map(|d| match d {
            Decision::Wait { target, reason, until, .. } => Some((target.clone(), *reason, *until)),
            Decision::Propose { .. } | Decision::Human { .. } => None,
        })
        .collect()
}

fn humans(decisions: &[Decision]) -> Vec<(Target, HumanReason)> {
    decisions
        .iter()
        .filter_map(|d| match d {
            Decision::Human { target, reason, .. } => Some((target.clone(), *reason)),
            Decision::Propose { .. } | Decision::Wait { .. } => None,
        })
        .collect()
}

#[test]
fn one_sick_of_many_is_reconnected_and_the_proposal_says_all() {
    let mut v = view(vec![one(1, None), sick(2, Cause::HeartbeatMissed), one(3, None)]);
    v.incarnation = Some(Incarnation(4));
    let decisions = plan(&v);
    let [Decision::Propose { proposal, step, at }] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!((&proposal.target, proposal.action), (&instance(2), Action::Reconnect));
    assert_eq!((proposal.expect, proposal.cause), (ConditionKind::Beating, Some(Cause::HeartbeatMissed)));
    assert_eq!(proposal.incarnation, Some(Incarnation(4)));
    assert_eq!(proposal.reason, "HeartbeatMissed: message of 2 (step 1 of 4, try 1 of 1)");
    assert_eq!((*step, *at), (0, RungAt { step: 1, of: 4, attempt: 1, times: 1 }));
}

#[test]
fn a_hundred_instances_of_a_dead_process_are_one_order() {
    for cause in [Cause::ConnectionRefused, Cause::ProcessExited, Cause::SessionLost] {
        let v = view((0..100).map(|n| sick(n, cause)).collect());
        let decisions = plan(&v);
        assert_eq!(proposed(&decisions), vec![(gateway(), Action::RestartGateway)], "{cause}");
        assert_eq!(decisions.len(), 1);
    }
    // Fewer than half: each by itself. Exactly half: the gateway.
    let some =
        |n| view((0..10).map(|i| if i < n { sick(i, Cause::SessionLost) } else { one(i, None) }).collect());
    assert_eq!(proposed(&plan(&some(4))).len(), 4);
    assert_eq!(proposed(&plan(&some(5))), vec![(gateway(), Action::RestartGateway)]);
}

#[test]
fn the_most_frequent_cause_speaks_for_the_gateway() {
    let mut all: Vec<_> = (0..6).map(|n| sick(n, Cause::ConnectionRefused)).collect();
    all.extend((6..10).map(|n| sick(n, Cause::HeartbeatMissed)));
    let decisions = plan(&view(all));
    let [Decision::Propose { proposal, .. }] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!((proposal.cause, proposal.expect), (Some(Cause::ConnectionRefused), ConditionKind::Reachable));
    assert_eq!(
        proposal.reason,
        "10 of 10 instances are sick, most with ConnectionRefused: message of 0 (step 2 of 2, try 1 of 2)"
    );
}

#[test]
fn a_gateway_that_cannot_be_restarted_gets_what_can_be_done_for_its_instances() {
    let mut v = view((0..4).map(|n| sick(n, Cause::SessionLost)).collect());
    v.abilities.restart_gateway = false;
    assert_eq!(proposed(&plan(&v)).len(), 4);
    v.abilities = Abilities { restart_instance: true, ..Abilities::default() };
    let decisions = plan(&v);
    assert!(proposed(&decisions).iter().all(|(_, action)| *action == Action::RestartInstance));
    let Some(Decision::Propose { proposal, .. }) = decisions.first() else { panic!("{decisions:?}") };
    let skipped = "skipped: reconnect (nothing configured), reconnect_slowly (nothing configured)";
    assert!(proposal.reason.contains(skipped), "{}", proposal.reason);
    v.abilities = Abilities::default();
    assert_eq!(humans(&plan(&v)).len(), 4);
    assert_eq!(humans(&plan(&v))[0], (instance(0), HumanReason::NothingConfigured));
}

#[test]
fn one_sick_instance_never_takes_a_healthy_majority_down() {
    let climbed = || case(instance(1), Cause::SessionLost, (3, 0), at(50));
    let v =
        |n| view((1..=n).map(|i| if i == 1 { sick(1, Cause::SessionLost) } else { one(i, None) }).collect());
    let run = |n| plan_at(at(100), &v(n), &CaseMap::from([climbed()]), &[]);
    assert_eq!(proposed(&run(1)), vec![(gateway(), Action::RestartGateway)]);
    assert_eq!(proposed(&run(2)), vec![(gateway(), Action::RestartGateway)]);
    assert_eq!(humans(&run(3)), vec![(instance(1), HumanReason::OthersHealthy)]);
}

#[test]
fn the_gateways_own_case_counts_its_restarts() {
    let v = view((0..4).map(|n| sick(n, Cause::ConnectionRefused)).collect());
    let with =
        |place, not_before| CaseMap::from([case(gateway(), Cause::ConnectionRefused, place, not_before)]);
    let second = plan_at(at(100), &v, &with((1, 1), at(90)), &[]);
    let [Decision::Propose { at: rung, .. }] = second.as_slice() else { panic!("{second:?}") };
    assert_eq!(*rung, RungAt { step: 2, of: 2, attempt: 2, times: 2 });
    let paused = plan_at(at(100), &v, &with((1, 1), at(130)), &[]);
    assert_eq!(waits(&paused), vec![(gateway(), WaitReason::Backoff, Some(at(130)))]);
    let done = plan_at(at(100), &v, &with((2, 0), at(130)), &[]);
    assert_eq!(humans(&done), vec![(gateway(), HumanReason::LadderDone)]);
    // A single instance that has climbed to the gateway waits for both pauses.
    let alone = view(vec![sick(0, Cause::ConnectionRefused)]);
    let mut cases = with((1, 1), at(110));
    cases.extend([case(instance(0), Cause::ConnectionRefused, (1, 0), at(140))]);
    let both = plan_at(at(100), &alone, &cases, &[]);
    assert_eq!(waits(&both), vec![(gateway(), WaitReason::Backoff, Some(at(140)))]);
}

#[test]
fn nothing_happens_before_act_after_nor_on_a_flapper_that_comes_back_by_itself() {
    let fresh = view(vec![one(1, Some((Cause::SessionLost, at(99)))), one(2, None), one(3, None)]);
    assert_eq!(waits(&plan(&fresh)), vec![(instance(1), WaitReason::ActAfter, Some(at(101)))]);
    assert_eq!(proposed(&plan_at(at(101), &fresh, &CaseMap::new(), &[])).len(), 1);
    let mut flapper = fresh.clone();
    flapper.instances[0].flapping = true;
    assert_eq!(
        waits(&plan_at(at(101), &flapper, &CaseMap::new(), &[])),
        vec![(instance(1), WaitReason::Flapping, Some(at(159)))]
    );
    assert_eq!(proposed(&plan_at(at(159), &flapper, &CaseMap::new(), &[])).len(), 1);
    // Half of the gateway must be ripe, not just the first.
    let staggered = view((0..4).map(|n| one(n, Some((Cause::SessionLost, at(n as u64 * 10))))).collect());
    assert_eq!(
        waits(&plan_at(at(5), &staggered, &CaseMap::new(), &[])),
        vec![(gateway(), WaitReason::ActAfter, Some(at(12)))]
    );
}

#[test]
fn a_gateway_that_says_it_is_restarting_is_given_time_to() {
    let v = view((0..10).map(|n| sick(n, Cause::GatewayRestarting)).collect());
    let early = plan_at(at(30), &v, &CaseMap::new(), &[]);
    assert_eq!(waits(&early), vec![(gateway(), WaitReason::Restarting, Some(at(60)))]);
    assert_eq!(proposed(&plan_at(at(60), &v, &CaseMap::new(), &[])).len(), 1);
}

#[test]
fn live_orders_block_themselves_and_what_is_above_or_below() {
    let v = view((0..5).map(|n| if n < 2 { sick(n, Cause::SessionLost) } else { one(n, None) }).collect());
    let cases = CaseMap::new();
    assert_eq!(
        proposed(&plan_at(at(100), &v, &cases, &[instance(0)])),
        vec![(instance(1), Action::Reconnect)]
    );
    assert_eq!(proposed(&plan_at(at(100), &v, &cases, &[gateway()])), vec![]);
    let all = view((0..4).map(|n| sick(n, Cause::SessionLost)).collect());
    let blocked = plan_at(at(100), &all, &cases, &[instance(3)]);
    assert_eq!(waits(&blocked), vec![(gateway(), WaitReason::LiveOrder, None)]);
    let elsewhere: Target = "agents/a/gateways/other".parse().expect("a name");
    assert_eq!(proposed(&plan_at(at(100), &all, &cases, &[elsewhere])).len(), 1);
}

#[test]
fn causes_that_pass_or_are_not_of_the_wire_are_waited_for() {
    let mut linked = sick(1, Cause::Flapping);
    linked.phase = Phase::Degraded;
    linked.sickness.as_mut().expect("sick").condition = ConditionKind::Linked;
    let v = view(vec![sick(0, Cause::ConnectTimedOut), linked, sick(2, Cause::LoginRevoked)]);
    let decisions = plan(&v);
    assert_eq!(
        waits(&decisions),
        vec![(instance(0), WaitReason::Passes, None), (instance(1), WaitReason::NoOrders, None)]
    );
    assert_eq!(humans(&decisions), vec![(instance(2), HumanReason::Cause)]);
    // A login that was revoked is not touched although its session is lost as well.
    let mut both = view(vec![sick(0, Cause::SessionLost)]);
    both.instances[0].phase = Phase::NeedsHuman;
    assert_eq!((proposed(&plan(&both)).len(), humans(&plan(&both)).len()), (0, 1));
}

#[test]
fn a_written_ladder_is_followed_past_the_gateways_steps() {
    let steps = [
        RungAction::RestartGateway,
        RungAction::Reconnect,
        RungAction::CallHuman,
        RungAction::RestartGateway,
    ];
    let steps = steps.map(|action| Rung { action, times: 1 }).to_vec();
    let policy =
        Policy { ladders: vec![Ladder { causes: vec![], kinds: vec![], steps }], ..Policy::default() };
    let v = view(vec![sick(0, Cause::SessionLost)]);
    let run = |cases: &CaseMap| plan_gateway(at(100), &policy, &v, &|t| cases.get(t), &[]);
    let mut cases = CaseMap::new();
    assert_eq!(proposed(&run(&cases)), vec![(gateway(), Action::RestartGateway)]);
    cases.extend([case(gateway(), Cause::SessionLost, (1, 0), at(0))]);
    assert_eq!(proposed(&run(&cases)), vec![(instance(0), Action::Reconnect)]);
    cases.extend([case(instance(0), Cause::SessionLost, (2, 0), at(0))]);
    assert_eq!(humans(&run(&cases)), vec![(instance(0), HumanReason::LadderDone)]);
}

#[test]
fn explain_tells_the_next_step_from_the_same_plan() {
    let v = view(vec![one(1, Some((Cause::SessionLost, at(99)))), one(2, None), one(3, None)]);
    let (cases, policy) = (CaseMap::new(), Policy::default());
    let ask = |v: &GatewayView, t: &Target| next_step(at(100), &policy, v, &|t| cases.get(t), (&[], t));
    let next = ask(&v, &instance(1));
    assert_eq!((next.action, next.not_before), (Some(Action::Reconnect), Some(at(101))));
    assert_eq!((next.waiting, next.at.map(|r| r.of)), (Some(WaitReason::ActAfter), Some(4)));
    assert_eq!(ask(&v, &instance(2)).action, None);
    assert_eq!(ask(&v, &gateway()).action, None);
    let all = view((0..3).map(|n| sick(n, Cause::SessionLost)).collect());
    let next = ask(&all, &instance(2));
    assert_eq!(
        (next.target, next.action, next.not_before),
        (gateway(), Some(Action::RestartGateway), Some(at(100)))
    );
    let away = GatewayView { agent_online: false, ..all };
    assert_eq!((ask(&away, &instance(2)).action, ask(&away, &gateway()).human), (None, None));
    assert_eq!(ask(&view(vec![sick(0, Cause::WrongPath)]), &instance(0)).human, Some(HumanReason::Cause));
}

#[test]
fn what_a_case_is_told() {
    let v = view((0..4).map(|n| if n < 2 { sick(n, Cause::SessionLost) } else { one(n, None) }).collect());
    let lost = CaseEvent::SickSeen { cause: Cause::SessionLost };
    assert_eq!((seen(&v, &instance(0)), seen(&v, &instance(3))), (lost, CaseEvent::HealthySeen));
    assert_eq!(seen(&v, &gateway()), lost);
    let mut better = v.clone();
    better.instances[0] = one(0, None);
    assert_eq!(seen(&better, &gateway()), CaseEvent::HealthySeen);
    for i in &mut better.instances[1..] {
        *i = InstanceView { phase: Phase::Unknown, sickness: None, ..i.clone() };
    }
    assert_eq!(seen(&better, &gateway()), CaseEvent::UnknownSeen);
    assert_eq!(seen(&GatewayView { agent_online: false, ..v }, &instance(0)), CaseEvent::UnknownSeen);
}

fn any_instance() -> impl Strategy<Value = Option<(Cause, u64, bool)>> {
    let causes: Vec<Cause> = Cause::all().collect();
    let usual =
        vec![Cause::SessionLost, Cause::ConnectionRefused, Cause::HeartbeatMissed, Cause::RateLimited];
    let cause = prop_oneof![3 => proptest::sample::select(usual), 1 => proptest::sample::select(causes)];
    proptest::option::of((cause, 0u64..110, any::<bool>()))
}

fn any_case() -> impl Strategy<Value = Option<(u32, u32, u64)>> {
    proptest::option::of((0u32..6, 0u32..3, 0u64..130))
}

proptest! {
    #[test]
    fn plans_are_safe_and_do_not_depend_on_the_order_of_instances(
        given in proptest::collection::vec((any_instance(), any_case(), any::<bool>()), 1..12),
        own in any_case(),
        bits in 0u8..64,
        agent_online in proptest::bool::weighted(0.9),
        shift in 0usize..12,
    ) {
        let mut v = view(vec![]);
        v.abilities = Abilities::from_bits(bits);
        v.agent_online = agent_online;
        let mut cases = CaseMap::new();
        let mut live = Vec::new();
        for (n, (sickness, known, is_live)) in given.iter().enumerate() {
            let mut i = one(n, sickness.map(|(cause, since, _)| (cause, at(since))));
            i.flapping = sickness.is_some_and(|(_, _, flapping)| flapping);
            v.instances.push(i);
            if let Some((step, tries, until)) = known {
                cases.extend([case(instance(n), Cause::SessionLost, (*step, *tries), at(*until))]);
            }
            if *is_live && n % 3 == 0 {
                live.push(instance(n));
            }
        }
        if let Some((step, tries, until)) = own {
            cases.extend([case(gateway(), Cause::SessionLost, (step, tries), at(until))]);
        }
        let decisions = plan_at(at(100), &v, &cases, &live);
        let mut turned = v.clone();
        let len = turned.instances.len();
        turned.instances.rotate_left(shift % len);
        prop_assert_eq!(&plan_at(at(100), &turned, &cases, &live), &decisions);
        turned.instances.reverse();
        prop_assert_eq!(&plan_at(at(100), &turned, &cases, &live), &decisions);
        prop_assert!(agent_online || decisions.is_empty());
        let targets: Vec<_> = decisions.iter().map(Decision::target).collect();
        prop_assert!(targets.windows(2).all(|w| w[0] < w[1]), "one decision per target");
        let proposals = proposed(&decisions);
        if proposals.iter().any(|(target, _)| *target == gateway()) {
            prop_assert_eq!(proposals.len(), 1, "a restart of the gateway stands alone");
            prop_assert!(live.is_empty());
        }
        for d in &decisions {
            let Decision::Propose { proposal, .. } = d else { continue };
            let cause = proposal.cause.expect("the planner names one");
            prop_assert!(cause.handling() != Handling::Human && cause.code() >= 20);
            prop_assert!(v.abilities.can(proposal.action));
            prop_assert!(!proposal.action.proven_by_receipt(), "sessions are closed by people alone");
            prop_assert_eq!(proposal.action.on_gateway(), proposal.target == gateway());
            prop_assert!(!live.contains(&proposal.target));
            prop_assert!(cases.get(&proposal.target).is_none_or(|c| c.not_before <= at(100)));
            if let Some(t) = proposal.target.instance() {
                let i = v.instances.iter().find(|i| i.instance == t.instance).expect("known");
                let s = i.sickness.as_ref().expect("only the sick");
                prop_assert!(s.since.after(Duration::from_secs(2)) <= at(100));
                prop_assert!(!i.flapping || s.since.after(Duration::from_secs(60)) <= at(100));
            } else {
                let ill = v.instances.iter().filter(|i| i.sickness.is_some()).count();
                prop_assert!(ill * 2 >= v.instances.len());
            }
        }
    }

    /// A human is needed for an instance whatever its case and its gateway are like.
    #[test]
    fn causes_for_humans_call_one_at_once(n in 1usize..8, known in any_case(), bits in 0u8..8) {
        for cause in Cause::all().filter(|c| c.handling() == Handling::Human) {
            let mut v = view((0..n).map(|i| one(i, Some((cause, at(100))))).collect());
            v.abilities = if bits == 7 { ALL_ABLE } else { Abilities::from_bits(bits) };
            let cases: CaseMap =
                known.iter().map(|(s, t, until)| case(instance(0), Cause::SessionLost, (*s, *t), at(*until))).collect();
            let decisions = plan_at(at(100), &v, &cases, &[]);
            prop_assert_eq!(humans(&decisions).len(), n, "{}", cause);
            prop_assert_eq!(decisions.len(), n);
        }
    }
}
