//! Sessions: numbers and ends with their gateway, bounded; orders on them without a row of their own.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::gate::{Gate, Pause, PauseScope};
use mooring_core::order::{Action, Origin, State};
use mooring_core::session::{EndedBy, SessionCounts, Source};
use uuid::Uuid;

use super::fixtures::{
    Reporter, agent, ask, at, close, counts, end, event, gateway, made, must, order_id, shut, target,
};
use crate::rules::CLOSES_KEPT;
use crate::{
    Admission, Changes, CloseRecord, Committed, CountsRecord, NewClose, NewPause, Retention, SessionScope,
    Store,
};

/// `a`, `a/g` or `-/g`; empty for all.
fn scope(short: &str) -> SessionScope {
    let (a, g) = short.split_once('/').unwrap_or((short, ""));
    let some = |id: &str| (!id.is_empty() && id != "-").then(|| id.to_owned());
    SessionScope {
        agent: some(a).map(|id| agent(&id)),
        gateway: some(g).map(|g| gateway(&format!("x/{g}")).gateway),
    }
}

async fn closes(store: &dyn Store, short: &str, before: Option<i64>, limit: u32) -> Vec<CloseRecord> {
    must(store.closes_before(&scope(short), before, limit).await)
}

fn ids(found: &[CloseRecord]) -> Vec<&str> {
    found.iter().map(|c| c.close.id.as_str()).collect()
}

fn told(session_counts: Vec<CountsRecord>, session_closes: Vec<NewClose>) -> Changes {
    Changes { session_counts, session_closes, ..Changes::default() }
}

pub(super) async fn the_newest_numbers_of_a_gateway_are_kept(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &[]).await;
    one.declare("h", &[]).await;
    let mut odd = counts("a/h", u64::MAX - 7, 3);
    odd.counts = SessionCounts { open: u64::MAX, closed: u64::MAX - 1, ..SessionCounts::default() };
    one.report(told(vec![counts("a/g", 1, 1), odd.clone(), counts("a/g", 2, 2)], vec![])).await;
    let all = async || must(store.session_counts(&scope(""), None, 100).await);
    assert_eq!(all().await, [counts("a/g", 2, 2), odd.clone()]);
    assert_eq!(must(store.load().await).session_counts.len(), 2);
    // Twice within one commit, once more, and of a gateway that nobody declared.
    let first = one.delta(told(vec![counts("a/g", 3, 3)], vec![]));
    let second = one.delta(told(vec![counts("a/g", 4, 4), counts("a/x", 1, 1)], vec![]));
    assert_eq!(must(store.commit(&[first.clone(), second]).await), [Committed::Durable; 2]);
    assert_eq!(all().await, [counts("a/g", 4, 4), odd.clone()]);
    assert_eq!(must(store.commit(&[first]).await), [Committed::Durable]);
    assert_eq!(all().await, [counts("a/g", 4, 4), odd], "what is durable is not written again");
    let mut loaded = must(store.load().await).session_counts;
    loaded.sort_by_key(|c| c.gateway.clone());
    assert_eq!(loaded, all().await);
}

pub(super) async fn numbers_page_by_name(store: &dyn Store) {
    for (name, gateways) in [("a", ["g", "h"]), ("a-b", ["g", "i"]), ("b", ["g", "h"])] {
        let mut one = Reporter::attach(store, name).await;
        for g in gateways {
            one.declare(g, &[]).await;
            one.report(told(vec![counts(&format!("{name}/{g}"), 1, 1)], vec![])).await;
        }
    }
    let names = async |short: &str, after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(gateway);
        let found = must(store.session_counts(&scope(short), after.as_ref(), limit).await);
        found.into_iter().map(|c| format!("{}/{}", c.gateway.agent, c.gateway.gateway)).collect()
    };
    assert_eq!(names("", None, 3).await, ["a/g", "a/h", "a-b/g"]);
    assert_eq!(names("", Some("a-b/g"), 9).await, ["a-b/i", "b/g", "b/h"]);
    assert_eq!(names("", Some("a/x"), 1).await, ["a-b/g"], "the place need not exist any more");
    assert_eq!(names("a", None, 9).await, ["a/g", "a/h"]);
    assert_eq!(names("-/g", None, 9).await, ["a/g", "a-b/g", "b/g"]);
    assert_eq!(names("b/h", None, 9).await, ["b/h"]);
    assert!(names("c", None, 9).await.is_empty() && names("", None, 0).await.is_empty());
}

pub(super) async fn every_field_of_an_end_comes_back(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &[]).await;
    let full = close("a/g", "r1", 1);
    let mut bare = close("a/g", "k2", 2);
    (bare.close.source, bare.close.by) = (Source::Kernel, EndedBy::Unknown);
    (bare.close.code, bare.close.cause, bare.close.instance) = (None, None, None);
    bare.close.silent_for = Duration::ZERO;
    let mut odd = close("a/g", "p3", 3);
    odd.close.instance = Some("acct-1".parse().expect("a sound name"));
    odd.close.code = Some(u16::MAX);
    odd.close.peer = "网 \"quoted\"".to_owned();
    odd.close.message = "第一行\n\\".to_owned();
    one.report(told(vec![], vec![full.clone(), bare.clone(), odd.clone()])).await;
    let found = closes(store, "", None, 10).await;
    let found: Vec<NewClose> =
        found.into_iter().map(|c| NewClose { gateway: c.gateway, close: c.close }).collect();
    assert_eq!(found, [odd, bare, full]);
}

pub(super) async fn ends_page_from_the_newest(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    let mut two = Reporter::attach(store, "b").await;
    one.declare("g", &[]).await;
    one.declare("h", &[]).await;
    two.declare("g", &[]).await;
    one.report(told(vec![], vec![close("a/g", "r1", 5), close("a/h", "r2", 4), close("a/x", "r0", 9)])).await;
    two.report(told(vec![], vec![close("b/g", "r3", 1)])).await;
    let again = one.delta(told(vec![], vec![close("a/g", "r4", 2)]));
    assert_eq!(must(store.commit(&[again.clone(), again]).await), [Committed::Durable; 2]);

    let all = closes(store, "", None, 10).await;
    assert_eq!(ids(&all), ["r4", "r3", "r2", "r1"], "by when they were told, each once");
    assert!(all.is_sorted_by(|a, b| a.number > b.number));
    assert_eq!(ids(&closes(store, "", Some(all[1].number), 1).await), ["r2"]);
    assert_eq!(ids(&closes(store, "a", None, 10).await), ["r4", "r2", "r1"]);
    assert_eq!(ids(&closes(store, "a", Some(all[0].number), 1).await), ["r2"]);
    assert_eq!(ids(&closes(store, "a/g", None, 10).await), ["r4", "r1"]);
    assert_eq!(ids(&closes(store, "a/g", Some(all[0].number), 10).await), ["r1"]);
    assert_eq!(ids(&closes(store, "-/g", None, 2).await), ["r4", "r3"]);
    assert!(closes(store, "c/g", None, 10).await.is_empty() && closes(store, "", None, 0).await.is_empty());
}

pub(super) async fn what_is_kept_of_sessions_goes_with_their_gateway(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &[]).await;
    one.declare("h", &[]).await;
    let both = || vec![counts("a/g", 1, 1), counts("a/h", 1, 1)];
    one.report(told(both(), vec![close("a/g", "r1", 1), close("a/h", "r2", 2)])).await;
    // Told and gone in one commit, and gone and told anew in one report.
    let last = one.delta(told(vec![counts("a/g", 2, 2)], vec![close("a/g", "r3", 3)]));
    let gone = one.delta(Changes { gateways_gone: vec![gateway("a/g")], ..Changes::default() });
    must(store.commit(&[last, gone]).await);
    assert_eq!(must(store.session_counts(&scope(""), None, 10).await), [counts("a/h", 1, 1)]);
    assert_eq!(ids(&closes(store, "", None, 10).await), ["r2"]);
    let anew = Changes {
        gateways_gone: vec![gateway("a/h")],
        gateways: vec![super::fixtures::gateway_record("a/h")],
        ..told(vec![counts("a/h", 5, 5)], vec![close("a/h", "r5", 5)])
    };
    one.report(anew).await;
    assert_eq!(must(store.session_counts(&scope(""), None, 10).await), [counts("a/h", 5, 5)]);
    assert_eq!(ids(&closes(store, "", None, 10).await), ["r5"]);
}

pub(super) async fn ends_are_kept_up_to_an_age_and_a_number(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &[]).await;
    one.declare("h", &[]).await;
    let more = CLOSES_KEPT + 5;
    let many = (0..more).map(|n| close("a/g", &format!("r{n}"), 50)).collect();
    one.report(told(vec![counts("a/g", 1, 1)], many)).await;
    one.report(told(vec![], vec![close("a/h", "old", 0), close("a/h", "young", 90)])).await;
    let year = Duration::from_secs(365 * 86_400);
    let keep = Retention { events: year, orders: year, closes: Duration::from_secs(60) };
    assert_eq!(must(store.prune(at(100), keep).await), 6, "five that are too many, one that is too old");
    assert_eq!(must(store.prune(at(100), keep).await), 0);
    let left = closes(store, "a/g", None, 10_000).await;
    assert_eq!(left.len(), CLOSES_KEPT);
    assert_eq!(left.last().map(|c| c.close.id.to_string()), Some("r5".to_owned()), "the oldest went");
    assert_eq!(ids(&closes(store, "a/h", None, 10).await), ["young"]);
    assert_eq!(must(store.session_counts(&scope(""), None, 10).await).len(), 1);
}

pub(super) async fn orders_on_sessions_need_their_gateway_only(store: &dyn Store) {
    let mut one = Reporter::attach(store, "a").await;
    one.declare("g", &["i"]).await;
    let answer = must(store.admit(&ask(1, "a/h/+r1", Action::CloseSession, 1)).await);
    assert_eq!(answer, Admission::NoTarget);
    let order = made(store, &ask(1, "a/g/+r1", Action::CloseSession, 1)).await;
    assert_eq!(order.proposal.target, target("a/g/+r1"));
    assert_eq!(must(store.load().await).live_orders, std::slice::from_ref(&order));
    assert_eq!(must(store.orders_on(&target("a/g/+r1"), 10).await), std::slice::from_ref(&order));
    assert!(must(store.orders_on(&target("a/g"), 10).await).is_empty());
    // The same session and its gateway are taken; another session and the instances are not.
    for (short, action) in
        [("a/g/+r1", Action::CloseSession), ("a/g", Action::Drain), ("a/g", Action::CloseSessions)]
    {
        assert_eq!(shut(store, &ask(2, short, action, 1)).await, [Gate::LiveOrder], "{short} {action}");
    }
    let neighbour = made(store, &ask(3, "a/g/+r2", Action::CloseSession, 1)).await;
    let instance = made(store, &ask(4, "a/g/i", Action::CloseSessions, 1)).await;
    for order in [order, neighbour, instance] {
        end(store, &order, State::Succeeded, 2).await;
    }
    made(store, &ask(5, "a/g", Action::Drain, 3)).await;
    assert_eq!(shut(store, &ask(6, "a/g/+r1", Action::CloseSession, 3)).await, [Gate::LiveOrder]);
    let found = must(store.orders_on(&target("a/g/+r1"), 10).await);
    assert_eq!(found.iter().map(|o| o.id).collect::<Vec<_>>(), [order_id(5), order_id(1)]);
}

pub(super) async fn orders_on_sessions_pass_the_same_gates(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let mut wanted = ask(1, "a/g/+r1", Action::CloseSession, 0);
    wanted.policy.cooldown = Duration::from_secs(10);
    wanted.proposal.cause = Some(Cause::HalfOpen);
    let order = made(store, &wanted).await;
    end(store, &order, State::Succeeded, 0).await;
    (wanted.id, wanted.now) = (order_id(2), at(9));
    assert_eq!(shut(store, &wanted).await, [Gate::Cooldown]);
    let refusals = must(store.refusals(&target("a/g/+r1")).await);
    assert_eq!((refusals.len(), &refusals[0].target), (1, &target("a/g/+r1")));
    wanted.proposal.target = target("a/g/+r2");
    wanted.validate_only = true;
    made(store, &wanted).await;
    // Its gateway's pause holds for it; an instance's does not.
    for (number, short, covers) in [(1, "a/g", true), (2, "a/g/i", false)] {
        let pause = Pause {
            id: Uuid::from_u128(number),
            scope: PauseScope::Target(target(short)),
            reason: "works".to_owned(),
            by: "ann".to_owned(),
            created_at: at(0),
            until: at(100),
        };
        must(store.create_pause(&NewPause { pause, request_id: None }, &event("x", "paused", 0)).await);
        if covers {
            assert_eq!(shut(store, &wanted).await, [Gate::Paused]);
        } else {
            made(store, &wanted).await;
        }
        must(store.end_pause(Uuid::from_u128(number), at(5), &event("x", "goes on", 0)).await);
    }
    wanted.policy.budget.in_flight = 0;
    assert_eq!(shut(store, &wanted).await, [Gate::GroupInFlight]);
}

pub(super) async fn restarts_are_not_spent_by_closing_sessions(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let asked = [
        (1, "a/g/+r1", Action::CloseSession),
        (2, "a/g/i", Action::CloseSessions),
        (3, "a/g", Action::CloseSessions),
        (4, "a/g", Action::Drain),
        (5, "a/g", Action::Resume),
    ];
    for (number, short, action) in asked {
        let order = made(store, &ask(number, short, action, 1)).await;
        end(store, &order, State::Succeeded, 1).await;
    }
    let mut wanted = ask(6, "a/g", Action::RestartGateway, 2);
    wanted.proposal.origin = Origin::Planner;
    wanted.policy.restarts.count = 1;
    let order = made(store, &wanted).await;
    end(store, &order, State::Succeeded, 3).await;
    (wanted.id, wanted.now) = (order_id(7), at(4));
    assert_eq!(shut(store, &wanted).await, [Gate::RestartBudget]);
    // And closing them is no restart, so it is not held up by the budget either.
    (wanted.proposal.target, wanted.proposal.action) = (target("a/g/i"), Action::CloseSessions);
    made(store, &wanted).await;
}
