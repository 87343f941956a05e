//! A small world: one group, its gateways, an agent that carries orders out, and the whole loop of decisions on it:
//! view, plan, gates, order, receipts, case. What is asked is how many orders come of it in the long run.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::Status;
use mooring_core::gate::{Belief, Facts, PastOrder, evaluate, is_storm, passes};
use mooring_core::id::{Fence, OrderId, Target};
use mooring_core::order::{Action, Effect, Event, Order, Receipt, Stage, State};
use mooring_core::planner::{Abilities, Case, CaseChange, CaseEvent, Decision, plan_gateway, seen};
use mooring_core::policy::Policy;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::support::{ALL_ABLE, KIND, at, instance, one, view};

/// How an instance is at a second: sick of what since when, or well.
type Truth = dyn Fn(usize, u64) -> Option<(Cause, u64)>;

struct World<'a> {
    policy: Policy,
    abilities: Abilities,
    instances: usize,
    truth: &'a Truth,
    /// What else the group holds: gateways in all, of which sick.
    group: (u32, u32),
    cases: BTreeMap<Target, Case>,
    orders: Vec<Order>,
    humans: BTreeMap<Target, u64>,
    rng: StdRng,
}

impl<'a> World<'a> {
    fn new(instances: usize, truth: &'a Truth) -> Self {
        Self {
            policy: Policy::default(),
            abilities: ALL_ABLE,
            instances,
            truth,
            group: (20, 1),
            cases: BTreeMap::new(),
            orders: Vec::new(),
            humans: BTreeMap::new(),
            rng: StdRng::seed_from_u64(3),
        }
    }

    fn run(mut self, secs: u64) -> Self {
        for s in 0..secs {
            self.second(s);
        }
        self
    }

    fn second(&mut self, s: u64) {
        let now = at(s);
        let mut v = view(
            (0..self.instances)
                .map(|n| one(n, (self.truth)(n, s).map(|(cause, since)| (cause, at(since)))))
                .collect(),
        );
        v.abilities = self.abilities;
        self.carry_out(s);
        let targets: Vec<Target> = self.cases.keys().cloned().collect();
        for target in targets {
            self.tell(s, &target, seen(&v, &target));
        }
        let live: Vec<Target> =
            self.orders.iter().filter(|o| !o.state.ended()).map(|o| o.proposal.target.clone()).collect();
        let decisions = plan_gateway(now, &self.policy, &v, &|t| self.cases.get(t), &live);
        for decision in decisions {
            match decision {
                Decision::Wait { .. } => {}
                Decision::Human { target, .. } => {
                    self.humans.entry(target).or_insert(s);
                }
                Decision::Propose { proposal, step, .. } => {
                    let facts = self.facts(s, &proposal.target);
                    if !passes(&evaluate(now, &self.policy, &proposal, &facts)) {
                        continue;
                    }
                    let id = OrderId(Uuid::from_u128(self.orders.len() as u128 + 1));
                    let (target, cause) =
                        (proposal.target.clone(), proposal.cause.expect("the planner names one"));
                    self.cases
                        .entry(target.clone())
                        .or_insert_with(|| Case::open(target.clone(), cause, now));
                    self.tell(s, &target, CaseEvent::OrderMade { id, cause, step });
                    self.orders.push(Order::new(id, proposal, Fence(1), now, &self.policy));
                }
            }
        }
    }

    fn tell(&mut self, s: u64, target: &Target, event: CaseEvent) {
        let Some(case) = self.cases.get_mut(target) else { return };
        if case.step(at(s), &self.policy, KIND, event, &mut self.rng) == CaseChange::Closed {
            self.cases.remove(target);
        }
    }

    /// The agent's clock is the controller's here; it does at once what it is told.
    fn carry_out(&mut self, s: u64) {
        let mut ended = Vec::new();
        for order in self.orders.iter_mut().filter(|o| !o.state.ended()) {
            let id = order.id;
            let receipt = |stage| {
                let (message, output) = (String::new(), String::new());
                Event::Receipt(Receipt { order: id, stage, at: at(s), message, output, traceparent: None })
            };
            let mut effects = match order.state {
                State::Pending => [Event::Sent, receipt(Stage::Started), receipt(Stage::Done)]
                    .into_iter()
                    .flat_map(|e| order.step(at(s), e).expect("legal"))
                    .collect(),
                _ => order.step(at(s), Event::Tick).expect("legal"),
            };
            let well = match order.proposal.target.instance() {
                Some(i) => (self.truth)(i.instance.as_str()[1..].parse().expect("a number"), s).is_none(),
                None => (0..self.instances).all(|n| (self.truth)(n, s).is_none()),
            };
            if well {
                let seen =
                    Event::Seen { condition: order.proposal.expect, status: Status::True, since: at(s) };
                effects.extend(order.step(at(s), seen).expect("legal"));
            }
            for effect in effects {
                if let Effect::Changed { to, .. } = effect
                    && to.ended()
                {
                    ended.push((order.proposal.target.clone(), id, to));
                }
            }
        }
        for (target, id, state) in ended {
            self.tell(s, &target, CaseEvent::OrderEnded { id, state });
        }
    }

    fn facts(&self, s: u64, target: &Target) -> Facts {
        let past = |o: &Order| PastOrder {
            id: o.id,
            action: o.proposal.action,
            state: o.state,
            created_at: o.created_at,
            ended_at: o.ended_at,
        };
        let made = |window: Duration| {
            let since = at(s).before(window);
            self.orders.iter().rev().take_while(move |o| o.created_at > since)
        };
        let bears = |o: &&Order| o.proposal.target == *target || o.proposal.action.on_gateway();
        let live = self.orders.iter().filter(|o| !o.state.ended());
        let (known, sick) = self.group;
        let storm = is_storm(self.policy.storm.percent, self.policy.storm.at_least, sick, known);
        Facts {
            pauses: vec![],
            on_target: self.orders.iter().rev().filter(|o| o.proposal.target == *target).map(past).collect(),
            conflicting: live.clone().filter(|o| o.proposal.target == *target).map(past).collect(),
            restarts_in_window: made(self.policy.restarts.window)
                .filter(|o| o.proposal.action.destructive())
                .filter(bears)
                .map(past)
                .collect(),
            group_in_flight: u32::try_from(live.count()).expect("few"),
            group_last_minute: u32::try_from(made(Duration::from_secs(60)).count()).expect("few"),
            group_oldest_in_minute: made(Duration::from_secs(60)).last().map(|o| o.created_at),
            backoff_until: self.cases.get(target).map(|c| c.not_before),
            belief: Belief {
                group_instances: 100,
                group_gateways: known,
                group_sick_gateways: sick,
                storm_seen_at: storm.then(|| at(s)),
                agent_online: true,
                configured: true,
                warming: None,
            },
        }
    }

    fn actions(&self) -> Vec<Action> {
        self.orders.iter().map(|o| o.proposal.action).collect()
    }

    /// How many orders were made in the hour that had most.
    fn most_in_an_hour(&self) -> usize {
        let hour = Duration::from_secs(3600);
        self.orders
            .iter()
            .map(|o| {
                self.orders
                    .iter()
                    .filter(|p| p.created_at >= o.created_at && p.created_at.since(o.created_at) < hour)
                    .count()
            })
            .max()
            .unwrap_or(0)
    }
}

#[test]
fn what_never_recovers_climbs_the_whole_ladder_once_and_ends_with_a_human() {
    let world = World::new(1, &|_, _| Some((Cause::SessionLost, 0))).run(6 * 3600);
    let ladder = [
        Action::Reconnect,
        Action::ReconnectSlowly,
        Action::RestartInstance,
        Action::RestartGateway,
        Action::RestartGateway,
    ];
    assert_eq!(world.actions(), ladder);
    assert!(world.orders.iter().all(|o| o.state == State::Failed));
    let called = world.humans[&instance(0)];
    assert!(called > 5 * 60 && called < 2 * 3600, "after five orders of a minute each: {called}");
}

#[test]
fn what_comes_back_for_a_second_after_each_order_climbs_as_well() {
    // Well in one second of each minute: each order is seen to succeed, and none of them helps.
    let truth = |_, s: u64| (!s.is_multiple_of(60)).then_some((Cause::ConnectionRefused, s - s % 60 + 1));
    let world = World::new(1, &truth).run(6 * 3600);
    assert!(world.orders.iter().all(|o| o.state == State::Succeeded));
    assert_eq!(world.actions(), [Action::RestartInstance, Action::RestartGateway, Action::RestartGateway]);
    assert!(!world.humans.is_empty());
}

#[test]
fn a_flapper_every_20_s_gets_few_orders_an_hour() {
    for cause in [Cause::SessionLost, Cause::ConnectionRefused, Cause::RateLimited] {
        let truth = move |_, s: u64| (s % 40 >= 20).then_some((cause, s - s % 20));
        let world = World::new(1, &truth).run(10 * 3600);
        assert!(world.most_in_an_hour() <= 5, "{cause}: {} in an hour", world.most_in_an_hour());
        assert!(world.orders.len() <= 5, "{cause}: {} in ten hours", world.orders.len());
    }
}

#[test]
fn what_recovers_and_stays_well_starts_anew_the_next_time() {
    // Ill for 90 s every two hours.
    let truth = |_, s: u64| (s % 7200 < 90).then_some((Cause::SessionLost, s - s % 7200));
    let world = World::new(1, &truth).run(6 * 3600);
    let firsts = world.orders.iter().filter(|o| o.proposal.action == Action::Reconnect).count();
    assert_eq!(firsts, 3, "{:?}", world.actions());
    assert!(world.cases.is_empty() && world.humans.is_empty());
}

#[test]
fn a_group_that_is_all_sick_is_not_restarted_and_one_that_is_not_is_paced() {
    let all_down = |_: usize, _: u64| Some((Cause::ConnectionRefused, 0));
    for instances in [1, 3, 100] {
        let mut world = World::new(instances, &all_down);
        world.group = (20, 20);
        let world = world.run(3600);
        assert_eq!(world.orders.len(), 0);
        let world = World::new(instances, &all_down).run(3600);
        assert!(
            !world.orders.is_empty() && world.most_in_an_hour() <= 3,
            "{instances}: {:?}",
            world.actions()
        );
        if instances > 1 {
            assert_eq!(world.actions(), [Action::RestartGateway; 2]);
        }
    }
}

#[test]
fn causes_that_alternate_cannot_make_a_case_circle() {
    let causes =
        [Cause::HeartbeatMissed, Cause::HandshakeTimedOut, Cause::NameNotResolved, Cause::SessionLost];
    let truth = move |_: usize, s: u64| Some((causes[(s / 70) as usize % causes.len()], 0));
    let world = World::new(1, &truth).run(12 * 3600);
    assert!(world.orders.len() <= 5, "{:?}", world.actions());
    assert!(!world.humans.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the causes, the abilities and the size: what never recovers gets a bounded number of orders, at most a
    /// ladder for each instance and one for the gateway, and then, if anything leads to orders at all, a human.
    #[test]
    fn the_ladder_always_ends(
        picks in proptest::collection::vec(proptest::sample::select(Cause::all().collect::<Vec<_>>()), 1..4),
        period in 15u64..400,
        instances in 1usize..5,
        bits in 0u8..8,
    ) {
        let policy = Policy::default();
        let truth = {
            let picks = picks.clone();
            move |n: usize, s: u64| Some((picks[(n + (s / period) as usize) % picks.len()], 0))
        };
        let mut world = World::new(instances, &truth);
        world.abilities = Abilities::from_bits(bits);
        let world = world.run(4 * 3600);
        let on_gateway = world.actions().iter().filter(|a| a.on_gateway()).count();
        prop_assert!(on_gateway <= 2, "{:?}", world.actions());
        prop_assert!(world.orders.len() - on_gateway <= 5 * instances, "{:?}", world.actions());
        if picks.iter().all(|c| !policy.steps(*c, KIND).is_empty()) {
            prop_assert!(!world.humans.is_empty());
        }
        let last = world.orders.last().map_or(at(0), |o| o.created_at);
        prop_assert!(last < at(3 * 3600), "it is over well before the end");
    }
}
