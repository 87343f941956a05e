//! Reports: once, in order, completely, and without harm to each other.

use std::collections::BTreeMap;

use mooring_core::cause::Cause;
use mooring_core::condition::{Condition, ConditionKind, Status};
use mooring_core::id::{Incarnation, InstanceRef};
use mooring_core::planner::Abilities;
use mooring_core::session::Source;

use super::fixtures::{
    Reporter, all_events, at, condition, event, gateway, gateway_record, instance, instance_record, must,
};
use crate::{Changes, Committed, FleetRecord, InstanceRecord, Store};

pub(super) async fn a_report_counts_once(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    agent.declare("g", &["i"]).await;
    let mut delta = agent.delta(Changes {
        conditions: vec![(instance("a/g/i"), condition(ConditionKind::Beating, Status::False, 1))],
        ..Changes::default()
    });
    delta.events = vec![event("agents/a/gateways/g/instances/i", "beats no more", 1)];
    for deltas in [vec![delta.clone(), delta.clone()], vec![delta.clone()]] {
        let committed = must(store.commit(&deltas).await);
        assert!(committed.iter().all(|c| *c == Committed::Durable), "{committed:?}");
    }
    // What is durable is skipped even when it says something else, and the newer one beside it is not.
    let mut other = delta.clone();
    other.events[0].message = "something else".to_owned();
    other.changes.gateways_gone.push(gateway("a/g"));
    let mut next = agent.delta(Changes::default());
    next.events = vec![event("agents/a", "the next", 2)];
    assert_eq!(must(store.commit(&[other, next]).await), [Committed::Durable; 2]);

    let messages: Vec<String> = all_events(store).await.into_iter().map(|e| e.event.message).collect();
    assert_eq!(messages, ["beats no more", "the next"]);
    let fleet = must(store.load().await);
    assert_eq!(fleet.agents[0].last_sequence, 3);
    assert_eq!((fleet.gateways.len(), fleet.conditions.len()), (1, 1));
    assert!(must(store.commit(&[]).await).is_empty());
}

fn sorted(mut fleet: FleetRecord) -> FleetRecord {
    fleet.gateways.sort_by_key(|g| g.gateway.clone());
    fleet.instances.sort_by_key(|i| i.instance.clone());
    fleet.conditions.sort_by_key(|(i, c)| (i.clone(), c.kind));
    fleet
}

pub(super) async fn what_was_declared_comes_back(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let mut plain = gateway_record("a/g1");
    plain.incarnation = None;
    plain.watch = Vec::new();
    plain.labels = BTreeMap::new();
    let mut odd = gateway_record("a/g2");
    odd.kind = None;
    odd.handle = u32::MAX;
    odd.incarnation = Some(Incarnation(u64::MAX));
    odd.labels.insert("名".to_owned(), "\"quoted\", {braced} and \\".to_owned());
    odd.abilities = Abilities { restart_instance: true, drain: true, ..Abilities::default() };
    odd.watch = Source::ALL.to_vec();
    let instances =
        vec![instance_record("a/g1/x"), InstanceRecord { instance: instance("a/g2/x"), handle: u32::MAX }];
    let mut full = condition(ConditionKind::Reachable, Status::False, 1);
    full.message = "网关 \"refused\"\n".to_owned();
    let mut conditions: Vec<(InstanceRef, Condition)> = vec![(instance("a/g1/x"), full)];
    for (kind, status) in
        ConditionKind::ALL.into_iter().zip([Status::Unknown, Status::False, Status::True].into_iter().cycle())
    {
        conditions.push((instance("a/g2/x"), condition(kind, status, 2)));
    }
    let changes = Changes {
        gateways: vec![plain.clone(), odd.clone()],
        instances: instances.clone(),
        conditions: conditions.clone(),
        ..Changes::default()
    };
    agent.report(changes).await;
    let fleet = sorted(must(store.load().await));
    assert_eq!(fleet.gateways, [plain.clone(), odd]);
    assert_eq!(fleet.instances, instances);
    assert_eq!(fleet.conditions, conditions);

    // A changed declaration replaces the first; what is not mentioned stays.
    plain.address = "ws://elsewhere/".to_owned();
    plain.group = super::fixtures::group("others");
    plain.incarnation = Some(Incarnation(4));
    plain.watch = vec![Source::Kernel];
    plain.abilities.close_sessions = true;
    let mut moved = instance_record("a/g1/x");
    moved.handle = 99;
    let changes =
        Changes { gateways: vec![plain.clone()], instances: vec![moved.clone()], ..Changes::default() };
    agent.report(changes).await;
    let fleet = sorted(must(store.load().await));
    assert_eq!((&fleet.gateways[0], &fleet.instances[0]), (&plain, &moved));
    assert_eq!((fleet.gateways.len(), fleet.conditions), (2, conditions));
}

pub(super) async fn the_newest_of_a_batch_wins(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    agent.declare("g", &["i"]).await;
    let change = |status, seconds| (instance("a/g/i"), condition(ConditionKind::Reachable, status, seconds));
    for round in [0, 10] {
        let first = agent.delta(Changes {
            conditions: vec![change(Status::False, round + 1), change(Status::Unknown, round + 2)],
            ..Changes::default()
        });
        let last = change(Status::True, round + 3);
        let second = agent.delta(Changes { conditions: vec![last.clone()], ..Changes::default() });
        assert_eq!(must(store.commit(&[first, second]).await), [Committed::Durable; 2]);
        assert_eq!(must(store.load().await).conditions, [last]);
    }
    let mut vague = condition(ConditionKind::Reachable, Status::Unknown, 20);
    vague.cause = Some(Cause::AgentSilent);
    agent
        .report(Changes { conditions: vec![(instance("a/g/i"), vague.clone())], ..Changes::default() })
        .await;
    assert_eq!(must(store.load().await).conditions, [(instance("a/g/i"), vague)]);
}

pub(super) async fn what_is_gone_is_gone_with_all_it_held(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let well = |i: &str| (instance(i), condition(ConditionKind::Reachable, Status::True, 1));
    agent.declare("g", &["x", "y"]).await;
    agent.declare("h", &["x"]).await;
    let conditions = vec![well("a/g/x"), well("a/g/y"), well("a/h/x")];
    agent.report(Changes { conditions, ..Changes::default() }).await;

    let changes = Changes {
        instances_gone: vec![instance("a/g/x"), instance("a/g/never")],
        gateways_gone: vec![gateway("a/h"), gateway("a/never")],
        ..Changes::default()
    };
    agent.report(changes).await;
    let fleet = must(store.load().await);
    assert_eq!(fleet.instances, [instance_record("a/g/y")]);
    assert_eq!(fleet.conditions, [well("a/g/y")]);
    assert_eq!(fleet.gateways, [gateway_record("a/g")]);

    // Gone and new in one report, and gone and new in one batch: it begins anew, without its old conditions.
    let changes = Changes {
        instances_gone: vec![instance("a/g/y")],
        instances: vec![instance_record("a/g/y")],
        ..Changes::default()
    };
    agent.report(changes).await;
    let fleet = must(store.load().await);
    assert_eq!((fleet.instances.len(), fleet.conditions.len()), (1, 0));
    agent.report(Changes { conditions: vec![well("a/g/y")], ..Changes::default() }).await;
    let gone = agent.delta(Changes { gateways_gone: vec![gateway("a/g")], ..Changes::default() });
    let anew = agent.delta(Changes { gateways: vec![gateway_record("a/g")], ..Changes::default() });
    must(store.commit(&[gone, anew]).await);
    let fleet = must(store.load().await);
    assert_eq!((fleet.gateways.len(), fleet.instances.len(), fleet.conditions.len()), (1, 0, 0));

    // New and then gone in one batch: nothing is left.
    let new = agent.delta(Changes {
        gateways: vec![gateway_record("a/k")],
        instances: vec![instance_record("a/k/x")],
        conditions: vec![well("a/k/x")],
        ..Changes::default()
    });
    let gone = agent.delta(Changes { gateways_gone: vec![gateway("a/k")], ..Changes::default() });
    must(store.commit(&[new, gone]).await);
    assert_eq!(must(store.load().await).gateways, [gateway_record("a/g")]);
}

pub(super) async fn what_is_not_declared_is_dropped_and_nothing_else(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let mut odd = condition(ConditionKind::Beating, Status::False, 1);
    odd.message = "before\0after".to_owned();
    odd.evidence = vec![("k\0".to_owned(), "v\0".to_owned())];
    let mut delta = agent.delta(Changes {
        gateways: vec![gateway_record("a/g")],
        instances: vec![instance_record("a/nowhere/i"), instance_record("a/g/i")],
        conditions: vec![
            (instance("a/nowhere/i"), condition(ConditionKind::Reachable, Status::True, 1)),
            (instance("a/g/never"), condition(ConditionKind::Reachable, Status::True, 1)),
            (instance("a/g/i"), odd),
        ],
        ..Changes::default()
    });
    delta.events = vec![event("agents/a", "a NUL: \0", 1)];
    assert_eq!(must(store.commit(&[delta]).await), [Committed::Durable]);
    let fleet = must(store.load().await);
    assert_eq!(fleet.instances, [instance_record("a/g/i")]);
    // A NUL may come back as something else; it must not keep anything from being written.
    assert_eq!(fleet.conditions.len(), 1);
    let (which, kept) = &fleet.conditions[0];
    assert_eq!((which, kept.kind, kept.status), (&instance("a/g/i"), ConditionKind::Beating, Status::False));
    assert!(kept.message.starts_with("before") && kept.message.ends_with("after"), "{:?}", kept.message);
    assert_eq!(kept.evidence.len(), 1);
    assert!(all_events(store).await[0].event.message.starts_with("a NUL: "));
}

pub(super) async fn a_large_snapshot_is_one_report(store: &dyn Store) {
    let mut agent = Reporter::attach(store, "a").await;
    let names: Vec<String> = (0..3_000).map(|i| format!("a/g/{i}")).collect();
    let snapshot = |seconds| Changes {
        gateways: vec![gateway_record("a/g")],
        instances: names.iter().map(|n| instance_record(n)).collect(),
        conditions: names
            .iter()
            .flat_map(|n| {
                [ConditionKind::Reachable, ConditionKind::Stable]
                    .map(|kind| (instance(n), condition(kind, Status::True, seconds)))
            })
            .collect(),
        ..Changes::default()
    };
    for seconds in [1, 1, 2] {
        let mut delta = agent.delta(snapshot(seconds));
        delta.synced = Some(true);
        assert_eq!(must(store.commit(&[delta]).await), [Committed::Durable]);
        let fleet = must(store.load().await);
        assert_eq!((fleet.instances.len(), fleet.conditions.len()), (3_000, 6_000));
        assert!(fleet.conditions.iter().all(|(_, c)| c.since == at(seconds)));
    }
}

pub(super) async fn a_batch_holds_many_agents(store: &dyn Store) {
    let mut stale = Reporter::attach(store, "c").await;
    let mut agents = [
        Reporter::attach(store, "c").await,
        Reporter::attach(store, "a").await,
        Reporter::attach(store, "b").await,
    ];
    let mut deltas =
        vec![stale.delta(Changes { gateways: vec![gateway_record("c/stale")], ..Changes::default() })];
    for round in ["g", "h"] {
        for agent in &mut agents {
            let gateway = format!("{}/{round}", agent.id);
            let mut delta =
                agent.delta(Changes { gateways: vec![gateway_record(&gateway)], ..Changes::default() });
            delta.events = vec![event(&format!("agents/{}", agent.id), round, 1)];
            delta.synced = Some(round == "h");
            deltas.push(delta);
        }
    }
    let committed = must(store.commit(&deltas).await);
    assert_eq!(committed[0], Committed::StaleEpoch);
    assert_eq!(committed[1..], [Committed::Durable; 6]);
    let fleet = must(store.load().await);
    assert_eq!(fleet.gateways.len(), 6);
    assert!(fleet.agents.iter().all(|a| a.last_sequence == 2 && a.synced), "{:?}", fleet.agents);
    let told: Vec<(String, String)> =
        all_events(store).await.into_iter().map(|e| (e.event.subject, e.event.message)).collect();
    let expected = ["g", "h"].map(|round| ["c", "a", "b"].map(|a| (format!("agents/{a}"), round.to_owned())));
    assert_eq!(told, expected.concat());
}
