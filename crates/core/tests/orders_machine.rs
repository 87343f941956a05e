//! The order machine: its table row by row, and what holds for every sequence of events.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{Fence, OrderId};
use mooring_core::order::{
    Action, DELIVERY_MARGIN, Effect, Event, Order, Origin, Proposal, Receipt, Stage, State,
    execution_allowance,
};
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

const BORN: Timestamp = Timestamp(1_000_000_000);
/// The agent's clock is an hour behind, on purpose.
const AGENT: Timestamp = Timestamp(BORN.0 - 3_600_000_000);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn id() -> OrderId {
    OrderId(Uuid::from_u128(7))
}

fn order(origin: Origin) -> Order {
    let proposal = Proposal {
        target: "agents/a/gateways/g/instances/i".parse().expect("a name"),
        action: Action::RestartInstance,
        origin,
        cause: Some(Cause::ConnectionRefused),
        reason: "test".to_owned(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    };
    Order::new(id(), proposal, Fence(1), BORN, &Policy::default())
}

fn receipt(stage: Stage) -> Event {
    receipt_at(stage, AGENT)
}

fn receipt_at(stage: Stage, at: Timestamp) -> Event {
    let message = format!("agent says {stage}");
    Event::Receipt(Receipt { order: id(), stage, at, message, output: "out".to_owned(), traceparent: None })
}

fn good(since: Timestamp) -> Event {
    Event::Seen { condition: ConditionKind::Reachable, status: Status::True, since }
}

fn cancel() -> Event {
    Event::Cancel { by: "ann".to_owned() }
}

/// An order brought into a state the ordinary way, a second after its birth at the latest.
fn order_in(state: State, origin: Origin) -> Order {
    let mut o = order(origin);
    let path: Vec<Event> = match state {
        State::Pending => vec![],
        State::Dispatched => vec![Event::Sent],
        State::Accepted => vec![Event::Sent, receipt(Stage::Accepted)],
        State::Running => vec![Event::Sent, receipt(Stage::Accepted), receipt(Stage::Started)],
        State::Verifying => {
            vec![Event::Sent, receipt(Stage::Accepted), receipt(Stage::Started), receipt(Stage::Done)]
        }
        State::Succeeded => vec![receipt(Stage::Started), receipt(Stage::Done), good(AGENT)],
        State::Failed => vec![receipt(Stage::Failed)],
        State::Expired => vec![receipt(Stage::Expired)],
        State::Cancelled => vec![cancel()],
        State::Refused => vec![receipt(Stage::Refused)],
    };
    for event in path {
        o.step(BORN.after(secs(1)), event).expect("legal");
    }
    assert_eq!(o.state, state);
    o
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    Same,
    Illegal,
    Late,
    To(State),
}

/// The table of the module's documentation, as data: for each state what each of the eleven events does.
#[test]
fn the_table_holds() {
    use State::{
        Accepted, Cancelled, Dispatched, Expired, Failed, Pending, Refused, Running, Succeeded, Verifying,
    };
    use Want::{Illegal, Late, Same, To};
    let events = [
        Event::Sent,
        receipt(Stage::Accepted),
        receipt(Stage::Started),
        receipt(Stage::Done),
        receipt(Stage::Failed),
        receipt(Stage::Refused),
        receipt(Stage::Expired),
        good(AGENT),
        Event::Recovered,
        cancel(),
        Event::Tick,
    ];
    let over = [Illegal, Same, Same, Same, Same, Same, Same, Same, Same, Illegal, Same];
    let given_up = |cancelling| [Illegal, Late, Late, Late, Late, Same, Same, Same, Same, cancelling, Same];
    let rows: &[(State, [Want; 11])] = &[
        (
            Pending,
            [
                To(Dispatched),
                To(Accepted),
                To(Running),
                To(Verifying),
                To(Failed),
                To(Refused),
                To(Expired),
                Same,
                To(Cancelled),
                To(Cancelled),
                To(Expired),
            ],
        ),
        (
            Dispatched,
            [
                Same,
                To(Accepted),
                To(Running),
                To(Verifying),
                To(Failed),
                To(Refused),
                To(Expired),
                Same,
                To(Cancelled),
                To(Cancelled),
                To(Expired),
            ],
        ),
        (
            Accepted,
            [
                Same,
                Same,
                To(Running),
                To(Verifying),
                To(Failed),
                To(Refused),
                Illegal,
                Same,
                Same,
                Illegal,
                To(Failed),
            ],
        ),
        (
            Running,
            [Same, Same, Same, To(Verifying), To(Failed), Illegal, Illegal, Same, Same, Illegal, To(Failed)],
        ),
        (
            Verifying,
            [Same, Same, Same, Same, Illegal, Illegal, Illegal, To(Succeeded), Same, Illegal, To(Failed)],
        ),
        (Succeeded, over),
        (Failed, over),
        (Refused, over),
        (Expired, given_up(Illegal)),
        (Cancelled, given_up(Same)),
    ];
    assert_eq!(rows.len(), State::ALL.len());
    for (state, wants) in rows {
        for (event, want) in events.iter().zip(wants) {
            let before = order_in(*state, Origin::Planner);
            let mut after = before.clone();
            // An hour later: every clock has run out.
            let result = after.step(BORN.after(secs(3600)), event.clone());
            let got = match &result {
                Err(e) => {
                    assert_eq!((e.state, e.event), (*state, event.name()));
                    assert!(!e.why.is_empty());
                    Want::Illegal
                }
                Ok(effects) => match effects.first() {
                    None => Want::Same,
                    Some(Effect::Late { .. }) => Want::Late,
                    Some(Effect::Changed { from, to }) => {
                        assert_eq!((*from, *to), (*state, after.state));
                        Want::To(*to)
                    }
                    Some(Effect::CheckNow) => panic!("CheckNow comes after a change"),
                },
            };
            assert_eq!(got, *want, "{state} + {}", event.name());
            match want {
                Want::Same | Want::Illegal => assert_eq!(after, before, "{state} + {}", event.name()),
                Want::Late | Want::To(_) => assert_eq!(after.version, before.version + 1),
            }
            if after.state.ended() {
                assert!(after.ended_at.is_some() && !after.outcome.is_empty() && after.deadline.is_none());
                assert_eq!(after.due(), None);
            }
        }
    }
}

#[test]
fn expiry_and_deadlines_fall_at_their_time_and_not_before() {
    let policy = Policy::default();
    let born = |d| BORN.after(d);
    let entered = secs(1);
    let rows = [
        (State::Pending, policy.order_ttl, State::Expired),
        (State::Dispatched, policy.order_ttl + DELIVERY_MARGIN, State::Expired),
        (State::Accepted, entered + execution_allowance(policy.verify_within), State::Failed),
        (State::Running, entered + execution_allowance(policy.verify_within), State::Failed),
        (State::Verifying, entered + policy.verify_within, State::Failed),
    ];
    for (state, after, to) in rows {
        let mut o = order_in(state, Origin::Planner);
        assert_eq!(o.due(), Some(born(after)), "{state}");
        assert_eq!(o.step(born(after - Duration::from_micros(1)), Event::Tick), Ok(vec![]), "{state}");
        assert_eq!(o.step(born(after), Event::Tick), Ok(vec![Effect::Changed { from: state, to }]));
        assert_eq!(o.ended_at, Some(born(after)));
    }
}

#[test]
fn done_asks_for_a_look_and_only_what_was_seen_since_the_start_counts() {
    let mut o = order_in(State::Running, Origin::Planner);
    let began = o.started_at.expect("started");
    let done = o.step(BORN.after(secs(5)), receipt_at(Stage::Done, began.after(secs(3)))).expect("legal");
    assert_eq!(done, vec![Effect::Changed { from: State::Running, to: State::Verifying }, Effect::CheckNow]);
    let look = |o: &mut Order, condition, status, since| {
        o.step(BORN.after(secs(6)), Event::Seen { condition, status, since }).expect("legal")
    };
    assert_eq!(look(&mut o, ConditionKind::Reachable, Status::True, began.before(secs(1))), vec![]);
    assert_eq!(look(&mut o, ConditionKind::Reachable, Status::False, began.after(secs(1))), vec![]);
    assert_eq!(look(&mut o, ConditionKind::Reachable, Status::Unknown, began.after(secs(1))), vec![]);
    assert_eq!(look(&mut o, ConditionKind::Beating, Status::True, began.after(secs(1))), vec![]);
    // Healthy again between start and receipt: a fast restart.
    look(&mut o, ConditionKind::Reachable, Status::True, began.after(secs(1)));
    assert_eq!(o.state, State::Succeeded);
}

#[test]
fn without_a_start_on_record_only_what_comes_after_the_end_counts() {
    let mut o = order_in(State::Dispatched, Origin::Planner);
    o.step(BORN.after(secs(5)), receipt_at(Stage::Done, AGENT.after(secs(3)))).expect("legal");
    o.step(BORN.after(secs(6)), good(AGENT.after(secs(2)))).expect("legal");
    assert_eq!(o.state, State::Verifying);
    o.step(BORN.after(secs(6)), good(AGENT.after(secs(3)))).expect("legal");
    assert_eq!(o.state, State::Succeeded);
    assert_eq!(o.accepted_at, Some(BORN.after(secs(5))));
}

#[test]
fn an_operators_order_is_not_taken_back_because_things_look_well() {
    for state in [State::Pending, State::Dispatched] {
        let mut o = order_in(state, Origin::Operator("ann".to_owned()));
        assert_eq!(o.step(BORN.after(secs(2)), Event::Recovered), Ok(vec![]));
        assert_eq!(o.state, state);
    }
}

#[test]
fn a_given_up_order_that_was_carried_out_says_so_once() {
    let mut o = order_in(State::Cancelled, Origin::Planner);
    let version = o.version;
    let first = o.step(BORN.after(secs(9)), receipt(Stage::Accepted)).expect("legal");
    assert_eq!(first, vec![Effect::Late { stage: Stage::Accepted }]);
    assert_eq!(o.step(BORN.after(secs(9)), receipt(Stage::Done)), Ok(vec![]));
    assert_eq!(
        (o.state, o.version, o.accepted_at),
        (State::Cancelled, version + 1, Some(BORN.after(secs(9))))
    );
    assert!(
        o.outcome.contains("cancelled by ann") && o.outcome.contains("agent says accepted"),
        "{}",
        o.outcome
    );
}

#[test]
fn a_receipt_for_another_order_is_refused_and_long_words_are_cut() {
    let mut o = order_in(State::Accepted, Origin::Planner);
    let long = Receipt {
        order: OrderId(Uuid::from_u128(8)),
        stage: Stage::Failed,
        at: AGENT,
        message: "é".repeat(9_000),
        output: "ö".repeat(9_000),
        traceparent: None,
    };
    assert!(o.step(BORN, Event::Receipt(long.clone())).is_err());
    o.step(BORN, Event::Receipt(Receipt { order: id(), ..long })).expect("legal");
    assert!(o.outcome.len() <= 512 && o.output.len() <= 4096 && o.outcome.starts_with('é'));
}

fn any_event() -> impl Strategy<Value = Event> {
    let stage = proptest::sample::select(Stage::ALL);
    let status = proptest::sample::select(vec![Status::Unknown, Status::False, Status::True]);
    let condition = proptest::sample::select(vec![ConditionKind::Reachable, ConditionKind::Beating]);
    prop_oneof![
        2 => Just(Event::Sent),
        6 => (stage, -50i64..50).prop_map(|(s, t)| receipt_at(s, Timestamp(AGENT.0 + t * 1_000_000))),
        3 => (condition, status, -50i64..50).prop_map(|(condition, status, t)| {
            Event::Seen { condition, status, since: Timestamp(AGENT.0 + t * 1_000_000) }
        }),
        1 => Just(Event::Recovered),
        3 => Just(Event::Tick),
        1 => Just(cancel()),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_life_ends_once_and_for_good(
        by_planner in any::<bool>(),
        punctual in any::<bool>(),
        events in proptest::collection::vec((any_event(), 0u64..120), 0..60),
    ) {
        let origin = if by_planner { Origin::Planner } else { Origin::Operator("ann".to_owned()) };
        let mut o = order(origin);
        let mut now = BORN;
        let (mut endings, mut begun) = (0, false);
        for (event, pause) in events {
            now = now.after(secs(pause));
            if punctual && let Some(due) = o.due().filter(|due| *due <= now) {
                endings += 1;
                o.step(due, Event::Tick).expect("legal");
            }
            let before = o.clone();
            let result = o.step(now, event);
            match &result {
                Err(_) => prop_assert_eq!(&o, &before),
                Ok(effects) if effects.is_empty() => prop_assert_eq!(&o, &before),
                Ok(_) => prop_assert_eq!(o.version, before.version + 1),
            }
            if before.state.ended() {
                prop_assert_eq!(o.state, before.state);
            } else if o.state.ended() {
                endings += 1;
                prop_assert!(!o.outcome.is_empty());
            } else {
                prop_assert!(o.state >= before.state, "{} after {}", o.state, before.state);
                prop_assert!(o.due().is_some());
            }
            begun |= o.state.begun();
            prop_assert!(!(begun && matches!(o.state, State::Expired | State::Cancelled)));
        }
        prop_assert!(endings <= 1);
        // Time alone ends whatever is left, within the documented bound if ticks were in time.
        if let Some(due) = o.due() {
            o.step(due, Event::Tick).expect("legal");
        }
        prop_assert!(o.state.ended());
        let bound = BORN.after(secs(60) + DELIVERY_MARGIN + secs(7 * 60));
        prop_assert!(!punctual || o.ended_at.is_some_and(|at| at <= bound));
    }
}
