//! Policies, pauses and cases.

use std::time::Duration;

use mooring_core::gate::{Pause, PauseScope};
use mooring_core::policy::Policy;
use uuid::Uuid;

use super::fixtures::{all_events, at, case, event, group, must, target};
use crate::{NewPause, PolicyChange, Store};

#[track_caller]
fn done(change: PolicyChange) -> u64 {
    match change {
        PolicyChange::Done(stored) => stored.version,
        other => panic!("not done: {other:?}"),
    }
}

pub(super) async fn policies_change_by_version(store: &dyn Store) {
    let id = group("lines");
    let changed = event("policies/lines", "changed", 1);
    let first = Policy { act_after: Duration::from_millis(1500), ..Policy::default() };
    let second = Policy { dry_run: true, ..Policy::default() };
    assert!(must(store.policies().await).is_empty());
    assert_eq!(must(store.put_policy(&id, &first, Some(1), &changed).await), PolicyChange::Missing);
    assert_eq!(must(store.delete_policy(&id, 1, &changed).await), PolicyChange::Missing);

    let v1 = done(must(store.put_policy(&id, &first, None, &changed).await));
    let again = must(store.put_policy(&id, &second, None, &changed).await);
    assert_eq!(again, PolicyChange::OtherVersion(v1), "it exists already");
    let v2 = done(must(store.put_policy(&id, &second, Some(v1), &changed).await));
    assert!(v2 > v1);
    assert_eq!(must(store.put_policy(&id, &first, Some(v1), &changed).await), PolicyChange::OtherVersion(v2));
    assert_eq!(must(store.delete_policy(&id, v1, &changed).await), PolicyChange::OtherVersion(v2));

    done(must(store.put_policy(&group("default"), &first, None, &changed).await));
    let stored = must(store.policies().await);
    assert_eq!(stored.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["default", "lines"]);
    assert_eq!(stored.iter().map(|p| &p.policy).collect::<Vec<_>>(), [&first, &second]);
    assert!(stored.iter().all(|p| !p.from_file));
    assert_eq!(done(must(store.delete_policy(&id, v2, &changed).await)), v2);
    assert_eq!(must(store.policies().await).len(), 1);
    assert_eq!(all_events(store).await.len(), 4, "one for each change that was done");
}

pub(super) async fn a_policy_made_anew_has_a_new_version(store: &dyn Store) {
    let id = group("lines");
    let changed = event("policies/lines", "changed", 1);
    let v1 = done(must(store.put_policy(&id, &Policy::default(), None, &changed).await));
    done(must(store.delete_policy(&id, v1, &changed).await));
    let v2 = done(must(store.put_policy(&id, &Policy::default(), None, &changed).await));
    assert!(v2 > v1, "who still holds the first version must not change the second policy");
    assert_eq!(must(store.delete_policy(&id, v1, &changed).await), PolicyChange::OtherVersion(v2));
}

fn pause(number: u128, until: i64) -> NewPause {
    NewPause {
        pause: Pause {
            id: Uuid::from_u128(number),
            scope: PauseScope::Target(target("a/g/i")),
            reason: "works".to_owned(),
            by: "ann".to_owned(),
            created_at: at(0),
            until: at(until),
        },
        request_id: Some(format!("req-{number}")),
    }
}

pub(super) async fn pauses_end_by_time_or_by_hand(store: &dyn Store) {
    let note = event("agents/a/gateways/g/instances/i", "pause", 1);
    let scopes = [PauseScope::All, PauseScope::Group(group("lines")), PauseScope::Target(target("a/g"))];
    let mut made = Vec::new();
    for (number, scope) in (1..).zip(scopes) {
        let mut new = pause(number, 100 * i64::try_from(number).unwrap_or(0));
        new.pause.scope = scope;
        assert_eq!(must(store.create_pause(&new, &note).await), new.pause);
        made.push(new.pause);
    }
    assert_eq!(must(store.pauses(at(99)).await), made);
    assert_eq!(must(store.pauses(at(100)).await), made[1..], "a pause ends when its time is reached");
    assert!(must(store.end_pause(Uuid::from_u128(9), at(101), &note).await).is_none());
    assert!(must(store.end_pause(Uuid::from_u128(1), at(101), &note).await).is_none(), "it is over");

    let ended = must(store.end_pause(Uuid::from_u128(2), at(101), &note).await);
    assert_eq!(ended, Some(Pause { until: at(101), ..made[1].clone() }));
    assert!(must(store.end_pause(Uuid::from_u128(2), at(101), &note).await).is_none());
    // Also for a controller whose clock is behind.
    assert_eq!(must(store.pauses(at(50)).await), [made[0].clone(), made[2].clone()]);
    assert_eq!(all_events(store).await.len(), 4);
}

pub(super) async fn a_pause_is_made_once_per_request(store: &dyn Store) {
    let note = event("agents/a", "pause", 1);
    let first = pause(1, 100);
    must(store.create_pause(&first, &note).await);
    let mut again = pause(2, 500);
    again.request_id.clone_from(&first.request_id);
    assert_eq!(must(store.create_pause(&again, &note).await), first.pause);
    assert_eq!(must(store.create_pause(&first, &note).await), first.pause);
    assert_eq!(must(store.pauses(at(1)).await), std::slice::from_ref(&first.pause));
    assert_eq!(all_events(store).await.len(), 1);
    let without = NewPause { request_id: None, ..pause(3, 100) };
    let another = NewPause { request_id: None, ..pause(4, 100) };
    must(store.create_pause(&without, &note).await);
    must(store.create_pause(&another, &note).await);
    assert_eq!(must(store.pauses(at(1)).await), [first.pause, without.pause, another.pause]);
}

pub(super) async fn cases_are_kept_until_closed(store: &dyn Store) {
    let (mut a, b) = (case("a/g/i", 1), case("a/g", 2));
    must(store.save_cases(&[], &[]).await);
    must(store.save_cases(&[a.clone(), b.clone()], &[]).await);
    a.step = 2;
    a.healthy_since = None;
    a.human_called_at = None;
    a.last_order = None;
    must(store.save_cases(std::slice::from_ref(&a), &[target("a/never")]).await);
    let mut cases = must(store.load().await).cases;
    cases.sort_by_key(|c| c.target.clone());
    assert_eq!(cases, [b, a.clone()]);
    must(store.save_cases(&[], &[target("a/g")]).await);
    assert_eq!(must(store.load().await).cases, [a]);
    // Closed and opened in one call: a new case.
    let anew = case("a/g/i", 9);
    must(store.save_cases(std::slice::from_ref(&anew), &[target("a/g/i")]).await);
    assert_eq!(must(store.load().await).cases, [anew]);
}
