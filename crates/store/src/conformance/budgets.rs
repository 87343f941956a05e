//! The group's budgets, when many ask at once.

use futures_util::future::join_all;
use mooring_core::gate::Gate;
use mooring_core::order::{Action, State};

use super::fixtures::{Reporter, ask, closed, end, group, made, must, shut, target};
use crate::{Admission, Ask, Store};

/// How many were made; the rest must have been refused by this gate alone.
async fn race(store: &dyn Store, asks: &[Ask], gate: Gate) -> usize {
    let mut count = 0;
    for answer in join_all(asks.iter().map(|ask| store.admit(ask))).await {
        match must(answer) {
            Admission::Made(..) => count += 1,
            Admission::Shut(verdicts) => assert_eq!(closed(&verdicts), [gate]),
            other => panic!("neither made nor refused: {other:?}"),
        }
    }
    count
}

pub(super) async fn racing_orders_never_overspend_the_group(store: &dyn Store) {
    let names: Vec<String> = (1..=20).map(|n| format!("i{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // On gateways of their own, so that nothing but the group's budget keeps the racers apart.
    let mut agent = Reporter::attach(store, "a").await;
    for name in &names {
        agent.declare(name, &[name]).await;
    }
    let asks = |from: u128, group_name: &str| -> Vec<Ask> {
        (from..)
            .zip(&names)
            .map(|(n, name)| {
                let mut wanted = ask(n, &format!("a/{name}/{name}"), Action::Reconnect, 1);
                wanted.policy.budget.in_flight = 3;
                wanted.group = group(group_name);
                wanted
            })
            .collect()
    };
    assert_eq!(race(store, &asks(1, "lines"), Gate::GroupInFlight).await, 3);
    let live = must(store.live_orders(&agent.id).await);
    assert_eq!(live.len(), 3);
    assert_eq!(race(store, &asks(100, "lines")[..0], Gate::GroupInFlight).await, 0);
    // One ends, one more fits; another group has its own budget.
    end(store, &live[0], State::Succeeded, 2).await;
    let free: Vec<Ask> = asks(200, "lines")
        .into_iter()
        .filter(|a| live.iter().all(|o| o.proposal.target != a.proposal.target))
        .collect();
    assert_eq!(race(store, &free, Gate::GroupInFlight).await, 1);
    let live = must(store.live_orders(&agent.id).await);
    let others: Vec<Ask> = asks(300, "others")
        .into_iter()
        .filter(|a| live.iter().all(|o| o.proposal.target != a.proposal.target))
        .collect();
    assert_eq!(race(store, &others, Gate::GroupInFlight).await, 3);
}

pub(super) async fn racing_orders_on_one_target_make_one(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["x", "y"]).await;
    // In groups of their own, as when two controllers disagree about the group: the target itself must hold.
    let asks: Vec<Ask> = (1..=12)
        .map(|n| {
            let mut wanted = match n % 2 {
                0 => ask(n, "a/g", Action::RestartGateway, 1),
                _ => ask(n, "a/g/x", Action::Reconnect, 1),
            };
            wanted.group = group(&format!("group-{n}"));
            wanted
        })
        .collect();
    assert_eq!(race(store, &asks, Gate::LiveOrder).await, 1);
    let orders = must(store.orders_before(None, 100).await);
    assert_eq!(orders.len(), 1);
    let refused = [target("a/g"), target("a/g/x")];
    let mut count = 0;
    for target in &refused {
        count += must(store.refusals(target).await).iter().map(|r| r.count).sum::<u64>();
    }
    assert_eq!(count, 11, "every refusal is counted");
}

pub(super) async fn the_rate_counts_orders_that_have_ended(store: &dyn Store) {
    Reporter::attach(store, "a").await.declare("g", &["i"]).await;
    let limited = |number, seconds| {
        let mut wanted = ask(number, "a/g/i", Action::Reconnect, seconds);
        wanted.policy.budget.per_minute = 2;
        wanted
    };
    for (number, seconds) in [(1, 0), (2, 30)] {
        let order = made(store, &limited(number, seconds)).await;
        end(store, &order, State::Cancelled, seconds).await;
    }
    let answer = must(store.admit(&limited(3, 59)).await);
    let Admission::Shut(verdicts) = answer else { panic!("not refused: {answer:?}") };
    assert_eq!(closed(&verdicts), [Gate::GroupRate]);
    let rate = verdicts.iter().find(|v| v.gate == Gate::GroupRate);
    let again = rate.and_then(|v| v.retry_after);
    assert_eq!(again, Some(std::time::Duration::from_secs(1)), "when the oldest leaves the minute");
    let order = made(store, &limited(3, 60)).await;
    end(store, &order, State::Cancelled, 60).await;
    assert_eq!(shut(store, &limited(4, 61)).await, [Gate::GroupRate]);
    let mut elsewhere = limited(4, 61);
    elsewhere.group = group("others");
    made(store, &elsewhere).await;
}
