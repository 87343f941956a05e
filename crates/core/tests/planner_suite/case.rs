//! Cases: what closes them, what counts as a try, how causes change and how long the pauses are.

use std::time::Duration;

use crate::support::{KIND, at, instance};
use mooring_core::cause::Cause;
use mooring_core::id::OrderId;
use mooring_core::order::State;
use mooring_core::planner::{Case, CaseChange, CaseEvent, Place};
use mooring_core::policy::{BackoffPolicy, Policy};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

struct Bench {
    case: Case,
    policy: Policy,
    rng: StdRng,
    orders: u128,
}

impl Bench {
    fn new(cause: Cause) -> Self {
        let case = Case::open(instance(1), cause, at(0));
        Self { case, policy: Policy::default(), rng: StdRng::seed_from_u64(1), orders: 0 }
    }

    fn feed(&mut self, secs: u64, event: CaseEvent) -> CaseChange {
        self.case.step(at(secs), &self.policy, KIND, event, &mut self.rng)
    }

    fn sick(&mut self, secs: u64, cause: Cause) -> CaseChange {
        self.feed(secs, CaseEvent::SickSeen { cause })
    }

    /// An order on a step, made and ended.
    fn order(&mut self, secs: u64, step: u32, state: State) -> OrderId {
        self.orders += 1;
        let id = OrderId(Uuid::from_u128(self.orders));
        let cause = self.case.cause;
        assert_eq!(self.feed(secs, CaseEvent::OrderMade { id, cause, step }), CaseChange::Changed);
        assert_eq!(self.feed(secs, CaseEvent::OrderEnded { id, state }), CaseChange::Changed);
        id
    }

    fn place(&self) -> (u32, u32) {
        (self.case.step, self.case.tries)
    }
}

#[test]
fn only_uninterrupted_health_closes_a_case() {
    let mut b = Bench::new(Cause::SessionLost);
    assert_eq!(b.feed(10, CaseEvent::HealthySeen), CaseChange::Changed);
    assert_eq!(b.feed(609, CaseEvent::HealthySeen), CaseChange::Unchanged);
    assert_eq!(b.feed(609, CaseEvent::UnknownSeen), CaseChange::Changed);
    assert_eq!(b.feed(611, CaseEvent::HealthySeen), CaseChange::Changed);
    assert_eq!(b.sick(700, Cause::SessionLost), CaseChange::Changed);
    assert_eq!(b.feed(701, CaseEvent::HealthySeen), CaseChange::Changed);
    assert_eq!(b.feed(1_300, CaseEvent::HealthySeen), CaseChange::Unchanged);
    assert_eq!(b.feed(1_301, CaseEvent::HealthySeen), CaseChange::Closed);
}

#[test]
fn a_sickness_after_stability_that_nobody_looked_at_is_a_new_one() {
    let mut b = Bench::new(Cause::SessionLost);
    b.order(1, 0, State::Failed);
    assert_eq!(b.feed(10, CaseEvent::HealthySeen), CaseChange::Changed);
    assert_eq!(b.sick(610, Cause::ConnectionRefused), CaseChange::Changed);
    assert_eq!(b.case, Case::open(instance(1), Cause::ConnectionRefused, at(610)));
}

#[test]
fn what_counts_as_a_try() {
    // One try of Reconnect is all that the first step allows.
    for (state, place, attempts) in [
        (State::Succeeded, (1, 0), 1),
        (State::Failed, (1, 0), 1),
        (State::Expired, (1, 0), 1),
        (State::Refused, (1, 0), 1),
        (State::Cancelled, (0, 0), 0),
    ] {
        let mut b = Bench::new(Cause::SessionLost);
        let id = b.order(5, 0, state);
        assert_eq!((b.place(), b.case.attempts), (place, attempts), "{state}");
        assert_eq!(b.case.not_before > at(5), attempts == 1, "{state}");
        let counted = b.case.clone();
        assert_eq!(b.feed(9, CaseEvent::OrderEnded { id, state }), CaseChange::Unchanged, "told twice");
        assert_eq!(b.case, counted);
    }
    let mut b = Bench::new(Cause::SessionLost);
    let other = OrderId(Uuid::from_u128(99));
    let ended = CaseEvent::OrderEnded { id: other, state: State::Failed };
    assert_eq!(b.feed(1, ended), CaseChange::Unchanged, "an operator's order uses up no try");
    assert_eq!(b.feed(1, CaseEvent::HumanCalled), CaseChange::Changed);
    assert_eq!(b.feed(2, CaseEvent::HumanCalled), CaseChange::Unchanged);
    assert_eq!(b.case.human_called_at, Some(at(1)));
}

#[test]
fn a_step_with_two_tries_takes_two_and_a_skipped_step_starts_with_none() {
    let mut b = Bench::new(Cause::SessionLost);
    b.order(1, 3, State::Failed);
    assert_eq!(b.place(), (3, 1));
    b.order(50, 3, State::Succeeded);
    assert_eq!(b.place(), (4, 0), "used up");
    assert_eq!(b.case.attempts, 2);
}

#[test]
fn a_missed_heartbeat_that_turns_into_a_hung_handshake_keeps_climbing() {
    let mut b = Bench::new(Cause::HeartbeatMissed);
    b.order(1, 0, State::Failed);
    b.order(50, 1, State::Failed);
    assert_eq!(b.place(), (2, 0), "RestartInstance of the reconnect ladder");
    assert_ne!(b.sick(100, Cause::HandshakeTimedOut), CaseChange::Closed);
    assert_eq!(b.place(), (0, 0), "RestartInstance of the restart ladder");
    b.order(120, 0, State::Failed);
    assert_eq!((b.place(), b.case.attempts), ((1, 0), 3));
    // It beats again for a moment, then not: no way back down.
    assert_ne!(b.sick(200, Cause::HeartbeatMissed), CaseChange::Closed);
    assert_eq!(b.place(), (3, 0), "RestartGateway of the reconnect ladder");
    // Causes without a ladder change nothing.
    for cause in [Cause::NameNotResolved, Cause::WrongPath, Cause::AgentSilent] {
        assert_ne!(b.sick(210, cause), CaseChange::Closed);
        assert_eq!((b.place(), b.case.cause), ((3, 0), Cause::HeartbeatMissed), "{cause}");
    }
    let rate = b.case.place(&b.policy, KIND, Cause::RateLimited);
    assert_eq!(rate, Place { step: 1, tries: 0 }, "a ladder of reconnects only is used up");
}

fn any_event() -> impl Strategy<Value = CaseEvent> {
    let causes: Vec<Cause> = Cause::all().collect();
    let states = proptest::sample::select(State::ALL);
    let id = (0u128..4).prop_map(|n| OrderId(Uuid::from_u128(n)));
    prop_oneof![
        4 => proptest::sample::select(causes).prop_map(|cause| CaseEvent::SickSeen { cause }),
        2 => Just(CaseEvent::HealthySeen),
        1 => Just(CaseEvent::UnknownSeen),
        2 => (id.clone(), 0u32..4).prop_map(|(id, step)| CaseEvent::OrderMade {
            id, cause: Cause::SessionLost, step,
        }),
        3 => (id, states).prop_map(|(id, state)| CaseEvent::OrderEnded { id, state }),
        1 => Just(CaseEvent::HumanCalled),
    ]
}

proptest! {
    /// Whatever happens: a case says truly whether it changed, counts each order once at most, and pauses within
    /// `[base / 2, min(cap, base × 2ⁿ)]`.
    #[test]
    fn bookkeeping(
        seed in any::<u64>(),
        base_ms in 100u64..20_000,
        cap_factor in 1u32..200,
        events in proptest::collection::vec((any_event(), 0u64..400), 0..50),
    ) {
        let base = Duration::from_millis(base_ms);
        let policy = Policy { backoff: BackoffPolicy { base, cap: base * cap_factor }, ..Policy::default() };
        let mut rng = StdRng::seed_from_u64(seed);
        let mut case = Case::open(instance(1), Cause::SessionLost, at(0));
        let (mut now, mut made) = (0, 0);
        for (event, pause) in events {
            now += pause;
            made += u32::from(matches!(event, CaseEvent::OrderMade { .. }));
            let before = case.clone();
            match case.step(at(now), &policy, KIND, event, &mut rng) {
                CaseChange::Unchanged => prop_assert_eq!(&case, &before),
                CaseChange::Changed => {}
                CaseChange::Closed => {
                    prop_assert!(case.healthy_since.is_some_and(|s| at(now).since(s) >= policy.stable_for));
                    break;
                }
            }
            if case.opened_at == before.opened_at {
                prop_assert!(case.attempts >= before.attempts && case.attempts <= made);
            }
            if case.attempts > before.attempts {
                let pause = case.not_before.since(at(now)) + Duration::from_micros(1);
                let ceiling = base.saturating_mul(1 << case.attempts.min(31)).min(policy.backoff.cap);
                prop_assert!(pause >= base / 2 && pause <= ceiling + Duration::from_micros(1), "{pause:?}");
            }
        }
    }
}
