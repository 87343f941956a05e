//! The belief against simple models of it: the numbers of groups, slots that are used again, the ring, presence.

use std::collections::BTreeMap;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{BootId, Fence, Target};
use mooring_core::kind::Kind;
use mooring_core::order::{Action, Order, Origin, Proposal};
use mooring_core::phase::Phase;
use mooring_core::planner::Abilities;
use mooring_core::policy::Policy;
use mooring_store::InstanceRecord;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn gateway(agent: &str, id: &str) -> GatewayRef {
    format!("agents/{agent}/gateways/{id}").parse().unwrap()
}

fn agent_record(id: &str, epoch: u64) -> AgentRecord {
    AgentRecord {
        id: id.parse().unwrap(),
        boot: BootId(Uuid::from_u128(1)),
        node: String::new(),
        version: String::new(),
        epoch,
        last_sequence: 0,
        synced: true,
        attached_at: Timestamp(0),
        last_seen: Timestamp(0),
        offline_since: None,
    }
}

fn gateway_record(gateway: &GatewayRef, group: &str) -> GatewayRecord {
    GatewayRecord {
        gateway: gateway.clone(),
        handle: 1,
        kind: Some(Kind::Websocket),
        address: String::new(),
        group: group.parse().unwrap(),
        labels: BTreeMap::new(),
        abilities: Abilities::default(),
        incarnation: None,
        watch: Vec::new(),
    }
}

fn condition(kind: ConditionKind, status: Status, cause: Option<Cause>) -> Condition {
    Condition { kind, status, cause, message: String::new(), evidence: Vec::new(), since: Timestamp(1) }
}

fn declare(gateway: &GatewayRef, ids: &[&str]) -> Changes {
    let instance = |id: &&str| InstanceRecord { instance: gateway.instance(id.parse().unwrap()), handle: 2 };
    Changes {
        gateways: vec![gateway_record(gateway, "lines")],
        instances: ids.iter().map(instance).collect(),
        ..Changes::default()
    }
}

fn order(n: u128, target: Target) -> Order {
    let proposal = Proposal {
        target,
        action: Action::Reconnect,
        origin: Origin::Planner,
        cause: None,
        reason: String::new(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    };
    Order::new(OrderId(Uuid::from_u128(n)), proposal, Fence(1), Timestamp(1), &Policy::default())
}

#[derive(Debug, Clone)]
enum Step {
    Gateway(u8, u8),
    GatewayGone(u8),
    Instance(u8, u8),
    InstanceGone(u8, u8),
    Condition(u8, u8, u8, u8),
    Presence(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (g, i) = (0u8..6, 0u8..4);
    prop_oneof![
        (g.clone(), 0u8..2).prop_map(|(g, group)| Step::Gateway(g, group)),
        g.clone().prop_map(Step::GatewayGone),
        (g.clone(), i.clone()).prop_map(|(g, i)| Step::Instance(g, i)),
        (g.clone(), i.clone()).prop_map(|(g, i)| Step::InstanceGone(g, i)),
        (g, i, 0u8..5, 0u8..4).prop_map(|(g, i, kind, status)| Step::Condition(g, i, kind, status)),
        (0u8..2, any::<bool>()).prop_map(|(a, online)| Step::Presence(a, online)),
    ]
}

fn changes(step: &Step) -> Changes {
    // Even gateways are agent a's, odd ones agent b's.
    let gateway = |g: u8| gateway(if g.is_multiple_of(2) { "a" } else { "b" }, &format!("g{g}"));
    let instance = |g: u8, i: u8| gateway(g).instance(format!("i{i}").parse().unwrap());
    let mut changes = Changes::default();
    match step {
        Step::Gateway(g, group) => {
            let group = if *group == 0 { "lines" } else { "bots" };
            changes.gateways.push(gateway_record(&gateway(*g), group));
        }
        Step::GatewayGone(g) => changes.gateways_gone.push(gateway(*g)),
        Step::Instance(g, i) => {
            changes.instances.push(InstanceRecord { instance: instance(*g, *i), handle: 2 });
        }
        Step::InstanceGone(g, i) => changes.instances_gone.push(instance(*g, *i)),
        Step::Condition(g, i, kind, status) => {
            let kind = ConditionKind::ALL[usize::from(*kind)];
            let (status, cause) = match status {
                0 => (Status::True, None),
                1 => (Status::False, Some(Cause::ConnectionRefused)),
                2 => (Status::False, Some(Cause::WrongPath)),
                _ => (Status::Unknown, Some(Cause::NotYetObserved)),
            };
            changes.conditions.push((instance(*g, *i), condition(kind, status, cause)));
        }
        Step::Presence(..) => {}
    }
    changes
}

/// The numbers of a group, counted one by one.
fn counted(state: &State, group: &PolicyId) -> Tally {
    let mut tally = Tally::default();
    for g in state.gateways.iter().flatten().filter(|g| g.record.group == *group) {
        let phases: Vec<Phase> = g.instances.values().map(|i| state.phase(state.row(*i).unwrap())).collect();
        let known = phases.iter().filter(|p| **p != Phase::Unknown).count();
        let down = phases.iter().filter(|p| matches!(p, Phase::Down | Phase::NeedsHuman)).count();
        tally.instances += u32::try_from(phases.len()).unwrap();
        tally.known += u32::from(known > 0);
        tally.sick += u32::from(known > 0 && down * 2 >= known);
    }
    tally
}

proptest! {
    #[test]
    fn the_numbers_of_a_group_are_what_counting_gives(steps in proptest::collection::vec(step(), 0..80)) {
        let fleet = Fleet::default();
        for agent in ["a", "b"] {
            fleet.attached(agent_record(agent, 1), Presence::Online);
        }
        for step in steps {
            if let Step::Presence(agent, online) = step {
                let agent = if agent == 0 { "a" } else { "b" };
                let presence = if online { Presence::Online } else { Presence::Offline(Timestamp(9)) };
                fleet.set_presence(&agent.parse().unwrap(), 1, presence);
            } else {
                fleet.apply([&changes(&step)], Timestamp(5));
            }
            let state = fleet.read();
            for group in ["lines", "bots"] {
                let group: PolicyId = group.parse().unwrap();
                prop_assert_eq!(state.tally(&group), counted(&state, &group), "{:?}", step);
            }
        }
        let all = Changes { gateways_gone: (0..6).map(|g| changes(&Step::GatewayGone(g)).gateways_gone.remove(0)).collect(), ..Changes::default() };
        fleet.apply([&all], Timestamp(6));
        prop_assert_eq!(fleet.read().tallies().count(), 0, "a group without gateways is forgotten");
    }
}

#[test]
fn an_older_attachment_that_comes_late_takes_nothing_from_the_newer() {
    let fleet = Fleet::default();
    let id: AgentId = "a".parse().unwrap();
    fleet.attached(agent_record("a", 6), Presence::Online);
    fleet.attached(agent_record("a", 5), Presence::Syncing);
    assert_eq!(fleet.read().agent(&id).unwrap().record.epoch, 6);
    assert!(!fleet.set_presence(&id, 5, Presence::Lost(Timestamp(1))), "the end of an old stream is no loss");
    assert_eq!(fleet.read().agent(&id).unwrap().presence, Presence::Online);
    fleet.progressed(&id, 5, 99, None);
    assert_eq!(fleet.read().agent(&id).unwrap().record.last_sequence, 0);
}

#[test]
fn a_presence_that_stays_wakes_nobody() {
    let fleet = Fleet::default();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let changes = fleet.changes();
    assert!(fleet.set_presence(&"a".parse().unwrap(), 1, Presence::Online));
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn a_slot_that_is_used_again_is_told_as_gone_first() {
    let fleet = Fleet::default();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let g = gateway("a", "g");
    fleet.apply([&declare(&g, &["old"])], Timestamp(1));
    let before = fleet.read().revision();
    let gone = Changes { instances_gone: vec![g.instance("old".parse().unwrap())], ..Changes::default() };
    fleet.apply([&gone, &declare(&g, &["new"])], Timestamp(2));
    let state = fleet.read();
    let entries: Vec<(Changed, Option<String>)> =
        state.since(before).unwrap().map(|e| (e.what, e.gone.as_ref().map(ToString::to_string))).collect();
    let old = g.instance("old".parse().unwrap()).to_string();
    assert_eq!(entries, [(Changed::Row(0), Some(old)), (Changed::Row(0), None)]);
    assert_eq!(state.full(0).unwrap().name.instance.as_str(), "new");
    assert_eq!(state.full(0).unwrap().phase, Phase::Unknown, "nothing of the old one is left");
}

#[test]
fn who_falls_out_of_the_ring_is_told_so() {
    let fleet = Fleet::default();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let g = gateway("a", "g");
    fleet.apply([&declare(&g, &["i"])], Timestamp(1));
    let start = fleet.read().revision();
    let again = declare(&g, &["i"]);
    for _ in 0..RING {
        fleet.apply([&again], Timestamp(1));
    }
    let state = fleet.read();
    assert_eq!(state.since(start).unwrap().count(), RING, "exactly what the ring holds");
    assert!(state.since(start - 1).is_none(), "one more has been forgotten");
    assert_eq!(state.since(state.revision()).unwrap().count(), 0);
    assert!(state.since(state.revision() + 1).is_none(), "a position from the future is none");
    assert!(state.since(u64::MAX).is_none());
}

#[test]
fn a_new_group_shows_in_each_instance() {
    let fleet = Fleet::default();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let g = gateway("a", "g");
    fleet.apply([&declare(&g, &["x", "y"])], Timestamp(1));
    let before = fleet.read().revision();
    let moved = Changes { gateways: vec![gateway_record(&g, "bots")], ..Changes::default() };
    fleet.apply([&moved], Timestamp(2));
    assert_eq!(fleet.read().since(before).unwrap().count(), 2);
    let same = fleet.read().revision();
    fleet.apply([&moved], Timestamp(3));
    assert_eq!(fleet.read().since(same).unwrap().count(), 0, "said again it is no change");
}

#[test]
fn a_gateway_that_comes_back_finds_its_live_orders() {
    let fleet = Fleet::default();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let g = gateway("a", "g");
    let target = Target::Instance(g.instance("x".parse().unwrap()));
    fleet.apply([&declare(&g, &["x"])], Timestamp(1));
    fleet.put_order(order(1, target.clone()));
    fleet.apply([&Changes { gateways_gone: vec![g.clone()], ..Changes::default() }], Timestamp(2));
    assert_eq!(fleet.read().live_targets(&g), []);
    assert!(fleet.take_dirty().contains(&g), "whoever has cases of it must hear of its end");
    fleet.apply([&declare(&g, &["x"])], Timestamp(3));
    assert_eq!(fleet.read().live_targets(&g), [target]);
    fleet.forget_order(OrderId(Uuid::from_u128(1)));
    assert_eq!(fleet.read().live_targets(&g), []);
}

#[test]
fn orders_that_are_over_do_not_pile_up() {
    let fleet = Fleet::default();
    let target = Target::Gateway(gateway("a", "g"));
    for n in 0..3_000 {
        let mut order = order(n, target.clone());
        order.state = mooring_core::order::State::Failed;
        fleet.put_order(order);
    }
    let state = fleet.read();
    assert_eq!(state.orders().count(), 1_024);
    assert!(state.order(OrderId(Uuid::from_u128(2_999))).is_some(), "the newest stays");
}

#[test]
fn silence_reads_as_unknown_and_what_was_said_comes_back_with_the_agent() {
    let fleet = Fleet::default();
    let id: AgentId = "a".parse().unwrap();
    fleet.attached(agent_record("a", 1), Presence::Online);
    let g = gateway("a", "g");
    let name = g.instance("x".parse().unwrap());
    fleet.apply([&declare(&g, &["x"])], Timestamp(1));
    let well = condition(ConditionKind::Reachable, Status::True, None);
    let told = Changes { conditions: vec![(name.clone(), well.clone())], ..Changes::default() };
    fleet.apply([&told], Timestamp(2));
    let phase = || fleet.read().instance(&name).unwrap().phase;
    let before = phase();
    assert_ne!(before, Phase::Unknown);
    fleet.set_presence(&id, 1, Presence::Offline(Timestamp(9)));
    assert_eq!(phase(), Phase::Unknown);
    let full = fleet.read().instance(&name).unwrap();
    assert!(
        full.conditions.iter().all(|c| c.status == Status::Unknown && c.cause == Some(Cause::AgentSilent))
    );
    assert_eq!(
        fleet.read().believed(&name, ConditionKind::Reachable),
        Some(well),
        "it is laid over, not written"
    );
    fleet.attached(agent_record("a", 2), Presence::Online);
    assert_eq!(phase(), before);
}
