//! The gates: refusals, when they are asked again, who waits for whom.

use mooring_core::gate::{Gate, Pause, PauseScope};
use mooring_core::policy::{Ladder, Rung, RungAction, Storm};
use mooring_store::{Admission, EventKind, NewEvent, NewPause, PauseStore};

use super::*;

fn event() -> NewEvent {
    NewEvent {
        at: now(),
        kind: EventKind::Pause,
        subject: String::new(),
        message: String::new(),
        condition: None,
        cause: None,
        evidence: Vec::new(),
        trace_id: None,
    }
}

async fn pause(w: &World, id: u128, time: Duration) {
    let pause = Pause {
        id: Uuid::from_u128(id),
        scope: PauseScope::All,
        reason: "work".to_owned(),
        by: "ann".to_owned(),
        created_at: now(),
        until: now().after(time),
    };
    w.store.create_pause(&NewPause { pause, request_id: None }, &event()).await.unwrap();
}

async fn refusals(w: &World, name: &str, gate: Gate) -> u64 {
    let of = w.store.refusals(&Target::Instance(instance(name))).await.unwrap();
    of.iter().filter(|r| r.verdict.gate == gate).map(|r| r.count).sum()
}

#[tokio::test]
async fn what_a_gate_refused_is_asked_for_again_when_its_time_has_come_and_not_at_each_change() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    pause(&w, 1, Duration::from_millis(400)).await;
    w.sick("g/x").await;
    for _ in 0..5 {
        w.drive().await;
        w.say("g/x", Status::False, Some(Cause::SessionLost), now()).await;
    }
    w.drive().await;
    assert_eq!(refusals(&w, "g/x", Gate::Paused).await, 1, "one question, however often something changed");
    w.drive_until(|w| !w.clerk.orders.is_empty()).await;
    assert!(w.clerk.refused.is_empty());
}

#[tokio::test]
async fn when_the_rules_change_nothing_waits_for_its_time() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    pause(&w, 1, Duration::from_secs(3_600)).await;
    w.sick("g/x").await;
    w.drive().await;
    w.store.end_pause(Uuid::from_u128(1), now(), &event()).await.unwrap();
    w.drive().await;
    assert_eq!(w.orders().await, [], "nobody has told yet");
    w.clerk.look_everywhere();
    w.drive().await;
    w.only_order().await;
}

#[tokio::test]
async fn a_new_policy_reaches_what_nobody_waited_for() {
    let none = Ladder { causes: vec![], kinds: vec![], steps: vec![] };
    let mut w = World::new(Policy { ladders: vec![none], ..quick() }, &["x", "y"]).await;
    w.sick("g/x").await;
    w.drive().await;
    assert!(
        w.clerk.agenda.is_empty() && w.clerk.cases.all().is_empty(),
        "nothing to be done, nothing to wait for"
    );
    let steps = vec![Rung { action: RungAction::Reconnect, times: 1 }];
    let policy = Policy { ladders: vec![Ladder { causes: vec![], kinds: vec![], steps }], ..quick() };
    w.policies.put(StoredPolicy { id: "default".parse().unwrap(), policy, version: 2, from_file: false });
    w.clerk.look_everywhere();
    w.drive().await;
    w.only_order().await;
}

#[tokio::test]
async fn a_look_gets_through_although_the_desk_is_full() {
    let (desk, slips) = desk();
    while desk.slips.try_send(super::super::Slip::Attached(agent())).is_ok() {}
    desk.look();
    tokio::time::timeout(PATIENCE, slips.look.notified()).await.unwrap();
}

#[tokio::test]
async fn a_controller_that_does_not_know_its_fleet_yet_restarts_nothing() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let mut record = w.store.load().await.unwrap();
    record.agents[0].id = "b".parse().unwrap();
    let other = Fleet::default();
    other.load(w.store.load().await.unwrap(), now());
    other.load(record, now());
    other.attached(w.store.load().await.unwrap().agents.remove(0), Presence::Online);
    let warmup = Warmup::begin(&other, Duration::from_secs(10), now());
    // Both count as expected, and only one is here; begun before it came back, as at a start.
    w.clerk.parts.fleet = other.clone();
    w.clerk.parts.warmup = warmup;
    w.clerk.warming = true;
    let target = Target::Instance(instance("g/x"));
    let answer = w.clerk.ask(wish(target.clone(), Action::RestartInstance, None), false).await.unwrap();
    let Admission::Shut(verdicts) = answer else { panic!("{answer:?}") };
    let shut: Vec<Gate> = mooring_core::gate::shut(&verdicts).map(|v| v.gate).collect();
    assert_eq!(shut, [Gate::WarmingUp], "operators wait as well");
    let mut back = w.store.load().await.unwrap().agents.remove(0);
    back.id = "b".parse().unwrap();
    other.attached(back, Presence::Online);
    let answer = w.clerk.ask(wish(target, Action::RestartInstance, None), false).await.unwrap();
    assert!(matches!(answer, Admission::Made(..)), "{answer:?}");
}

#[tokio::test]
async fn a_storm_is_seen_though_nobody_asks_for_an_order() {
    let storm = Storm { percent: 50, at_least: 2, cooldown: Duration::from_secs(60) };
    let mut w = World::new(Policy { storm, act_after: Duration::from_secs(600), ..quick() }, &["x"]).await;
    w.gateway("h", &["x"]).await;
    w.sick("g/x").await;
    w.drive().await;
    let group = "lines".parse().unwrap();
    assert_eq!(w.fleet.read().storm_seen(&group), None);
    w.sick("h/x").await;
    w.drive().await;
    assert!(w.fleet.read().storm_seen(&group).is_some());
    assert_eq!(w.orders().await, []);
}

#[tokio::test]
async fn one_gateway_of_many_sick_does_not_hold_up_the_others() {
    let names: Vec<String> = (0..100).map(|n| format!("i{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // No restart of the gateway, so that each is asked for by itself.
    let steps = vec![Rung { action: RungAction::Reconnect, times: 1 }];
    let policy = Policy { ladders: vec![Ladder { causes: vec![], kinds: vec![], steps }], ..quick() };
    let mut w = World::new(policy, &names).await;
    for name in &names {
        w.sick(&format!("g/{name}")).await;
    }
    w.drive().await;
    assert_eq!(w.orders().await.len(), 32);
    w.drive_until(|w| w.clerk.orders.len() == 100).await;
}

#[tokio::test]
async fn the_same_request_again_finds_its_order() {
    let mut w = World::new(quick(), &["x", "y"]).await;
    let target = Target::Instance(instance("g/x"));
    let first = w.clerk.ask(wish(target.clone(), Action::Reconnect, Some("r1")), false).await.unwrap();
    let Admission::Made(order, _) = first else { panic!("{first:?}") };
    let again = w.clerk.ask(wish(target.clone(), Action::Reconnect, Some("r1")), false).await.unwrap();
    assert!(matches!(&again, Admission::Already(o) if o.id == order.id), "{again:?}");
    let other = w.clerk.ask(wish(target.clone(), Action::RestartInstance, Some("r1")), false).await.unwrap();
    assert!(matches!(other, Admission::RequestIdReused(_)), "{other:?}");
    let asked = w.clerk.ask(wish(Target::Instance(instance("g/z")), Action::Reconnect, None), false).await;
    assert!(matches!(asked, Ok(Admission::NoTarget)));
    w.only_order().await;
}
