//! Orders on sessions: what they are aimed at, what proves them, which gates they meet, and who never makes them.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::gate::{Belief, Facts, Gate, PastOrder, Warming, evaluate, passes};
use mooring_core::id::{Fence, OrderId, Target};
use mooring_core::kind::Kind;
use mooring_core::order::{
    Action, Aim, Effect, Event, Order, Origin, Proposal, Receipt, Stage, State, execution_allowance,
};
use mooring_core::planner::Abilities;
use mooring_core::policy::Policy;
use mooring_core::time::Timestamp;
use uuid::Uuid;

const BORN: Timestamp = Timestamp(1_000_000_000_000);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn proven_by_receipt() -> Vec<Action> {
    Action::ALL.iter().copied().filter(|a| a.proven_by_receipt()).collect()
}

fn target(action: Action) -> Target {
    let Aim { gateway, instance, session } = action.aim();
    let name = match (gateway, instance, session) {
        (true, _, _) => "agents/a/gateways/g",
        (_, true, _) => "agents/a/gateways/g/instances/i",
        _ => "agents/a/gateways/g/sessions/r7",
    };
    name.parse().expect("a name")
}

fn proposal(action: Action, origin: Origin) -> Proposal {
    Proposal {
        target: target(action),
        action,
        origin,
        cause: None,
        reason: "test".to_owned(),
        expect: ConditionKind::Reachable,
        spread: None,
        incarnation: None,
        request_id: None,
        traceparent: None,
    }
}

fn operator() -> Origin {
    Origin::Operator("ann".to_owned())
}

fn order(action: Action, spread: Option<Duration>) -> Order {
    let proposal = Proposal { spread, ..proposal(action, operator()) };
    Order::new(OrderId(Uuid::from_u128(7)), proposal, Fence(1), BORN, &Policy::default())
}

fn receipt(stage: Stage, message: &str) -> Event {
    let (order, message) = (OrderId(Uuid::from_u128(7)), message.to_owned());
    Event::Receipt(Receipt { order, stage, at: BORN, message, output: "out".to_owned(), traceparent: None })
}

#[test]
fn what_each_action_is() {
    use Action::{
        CloseSession, CloseSessions, Drain, Reconnect, ReconnectSlowly, RestartGateway, RestartInstance,
        Resume,
    };
    let aim = |gateway, instance, session| Aim { gateway, instance, session };
    let (g, i, s, gi) =
        (aim(true, false, false), aim(false, true, false), aim(false, false, true), aim(true, true, false));
    // aim, destructive, restarts, on the gateway and nothing less, proven by its receipt, the ability's bit
    let rows = [
        (Reconnect, i, false, false, false, false, 1),
        (ReconnectSlowly, i, false, false, false, false, 1),
        (RestartInstance, i, true, true, false, false, 2),
        (RestartGateway, g, true, true, true, false, 4),
        (CloseSession, s, false, false, false, true, 8),
        (CloseSessions, gi, true, false, false, true, 16),
        (Drain, g, true, false, true, true, 32),
        (Resume, g, false, false, true, true, 32),
    ];
    assert_eq!(rows.map(|r| r.0).to_vec(), Action::ALL.to_vec());
    for (action, aim, destructive, restarts, on_gateway, by_receipt, bit) in rows {
        assert_eq!(action.aim(), aim, "{action}");
        assert_eq!((action.destructive(), action.restarts()), (destructive, restarts), "{action}");
        assert_eq!((action.on_gateway(), action.proven_by_receipt()), (on_gateway, by_receipt), "{action}");
        for bits in 0..64 {
            let abilities = Abilities::from_bits(bits);
            assert_eq!(abilities.bits(), bits);
            assert_eq!(abilities.can(action), bits & bit != 0, "{action} with {bits:06b}");
        }
        assert_eq!(action.name().parse(), Ok(action));
        assert_eq!(Action::from_code(action.code()), Some(action));
    }
}

#[test]
fn a_sessions_name_is_a_target_of_its_own() {
    let target = target(Action::CloseSession);
    assert_eq!(target.to_string(), "agents/a/gateways/g/sessions/r7");
    assert_eq!(
        (target.instance(), target.session().map(ToString::to_string)),
        (None, Some(target.to_string()))
    );
    assert_eq!(target.gateway().to_string(), "agents/a/gateways/g");
    for bad in
        ["agents/a/gateways/g/sessions", "agents/a/gateways/g/sessions/", "agents/a/gateways/g/session/r7"]
    {
        let error = bad.parse::<Target>().expect_err(bad).to_string();
        assert!(!error.is_empty());
    }
}

#[test]
fn the_receipt_of_its_end_is_proof_and_nothing_else_is() {
    let seen =
        |status| Event::Seen { condition: ConditionKind::Reachable, status, since: BORN.after(secs(9)) };
    for action in proven_by_receipt() {
        let paths: [&[Stage]; 4] =
            [&[], &[Stage::Accepted], &[Stage::Accepted, Stage::Started], &[Stage::Started]];
        for path in paths {
            let mut o = order(action, None);
            for stage in path {
                o.step(BORN.after(secs(1)), receipt(*stage, "")).expect("legal");
                assert_eq!(o.step(BORN.after(secs(1)), seen(Status::True)), Ok(vec![]), "not by being well");
            }
            let before = o.state;
            let fx = o.step(BORN.after(secs(2)), receipt(Stage::Done, "3 sessions closed"));
            // No look is asked for: nothing is waited for any more.
            assert_eq!(fx, Ok(vec![Effect::Changed { from: before, to: State::Succeeded }]), "{action}");
            assert_eq!((o.outcome.as_str(), o.output.as_str()), ("3 sessions closed", "out"));
            assert_eq!((o.ended_at, o.due(), o.deadline), (Some(BORN.after(secs(2))), None, None));
            assert!(o.accepted_at.is_some() && o.started_at.is_some());
            let ended = o.clone();
            assert_eq!(o.step(BORN.after(secs(3)), receipt(Stage::Failed, "")), Ok(vec![]));
            assert_eq!(o.step(BORN.after(secs(3)), receipt(Stage::Done, "again")), Ok(vec![]));
            assert_eq!(o, ended);
        }
        let mut o = order(action, None);
        o.step(BORN, receipt(Stage::Done, "")).expect("legal");
        assert_eq!(o.outcome, "the agent saw it take effect");
        let mut o = order(action, None);
        o.step(BORN, receipt(Stage::Failed, "no such session")).expect("legal");
        assert_eq!((o.state, o.outcome.as_str()), (State::Failed, "no such session"));
    }
    for action in Action::ALL.iter().filter(|a| !a.proven_by_receipt()) {
        let mut o = order(*action, None);
        o.step(BORN, receipt(Stage::Done, "")).expect("legal");
        assert_eq!(o.state, State::Verifying, "{action}");
    }
}

#[test]
fn an_order_may_take_as_long_as_it_is_to_be_spread() {
    let policy = Policy::default();
    let allowance = execution_allowance(policy.verify_within);
    for (spread, extra) in [(None, secs(0)), (Some(secs(0)), secs(0)), (Some(secs(600)), secs(600))] {
        for stages in [&[Stage::Accepted][..], &[Stage::Accepted, Stage::Started]] {
            let mut o = order(Action::CloseSessions, spread);
            for stage in stages {
                o.step(BORN.after(secs(5)), receipt(*stage, "")).expect("legal");
            }
            let due = BORN.after(secs(5) + allowance + extra);
            assert_eq!((o.allowance(), o.due()), (allowance + extra, Some(due)));
            assert_eq!(o.step(due.before(Duration::from_micros(1)), Event::Tick), Ok(vec![]));
            o.step(due, Event::Tick).expect("legal");
            assert_eq!(o.state, State::Failed);
        }
    }
    let endless = order(Action::Drain, Some(Duration::MAX));
    assert_eq!(endless.allowance(), Duration::MAX);
}

fn calm() -> Facts {
    let belief = Belief {
        group_instances: 100,
        group_gateways: 20,
        agent_online: true,
        configured: true,
        ..Belief::default()
    };
    Facts { belief, ..Facts::default() }
}

fn past(id: u128, action: Action) -> PastOrder {
    let (id, state, created_at) = (OrderId(Uuid::from_u128(id)), State::Succeeded, BORN.before(secs(60)));
    PastOrder { id, action, state, created_at, ended_at: Some(created_at) }
}

#[test]
fn a_drain_can_be_ended_without_a_rest() {
    let mut facts = calm();
    facts.on_target = vec![PastOrder { ended_at: Some(BORN), ..past(1, Action::Drain) }];
    let by = || Origin::Operator("o".to_owned());
    assert_eq!(shut(Action::Resume, by(), &facts), []);
    assert_eq!(shut(Action::Drain, by(), &facts), [Gate::Cooldown]);
}

fn shut(action: Action, origin: Origin, facts: &Facts) -> Vec<Gate> {
    let verdicts = evaluate(BORN, &Policy::default(), &proposal(action, origin), facts);
    verdicts.iter().filter(|v| !v.open).map(|v| v.gate).collect()
}

#[test]
fn the_budget_of_restarts_is_for_restarts() {
    let closes = [Action::CloseSession, Action::CloseSessions, Action::Drain, Action::Resume];
    let with = |actions: &[Action]| {
        let restarts_in_window = (1..).zip(actions).map(|(id, a)| past(id, *a)).collect();
        Facts { restarts_in_window, ..calm() }
    };
    // Closing uses nothing up, however often.
    for restart in [Action::RestartGateway, Action::RestartInstance] {
        assert_eq!(shut(restart, Origin::Planner, &with(&closes.repeat(9))), vec![]);
    }
    // And waits for nothing, however many restarts there were.
    let used_up = with(&[Action::RestartGateway; 9]);
    assert_eq!(shut(Action::RestartGateway, Origin::Planner, &used_up), vec![Gate::RestartBudget]);
    for action in closes {
        for origin in [Origin::Planner, operator()] {
            assert_eq!(shut(action, origin, &used_up), vec![], "{action}");
        }
    }
}

#[test]
fn closing_in_bulk_stops_in_a_storm_and_while_warming_up_and_closing_one_does_not() {
    let mut storm = calm();
    storm.belief.group_sick_gateways = 20;
    let mut warming = calm();
    warming.belief.warming = Some(Warming { back: 1, known: 100, until: BORN.after(secs(30)) });
    for action in proven_by_receipt() {
        let bulk = matches!(action, Action::CloseSessions | Action::Drain);
        let stops = |gate| if bulk { vec![gate] } else { vec![] };
        assert_eq!(shut(action, operator(), &storm), stops(Gate::Storm), "{action}");
        assert_eq!(shut(action, operator(), &warming), stops(Gate::WarmingUp), "{action}");
        assert!(passes(&evaluate(BORN, &Policy::default(), &proposal(action, operator()), &calm())));
        let mut unable = calm();
        unable.belief.configured = false;
        assert_eq!(shut(action, operator(), &unable), vec![Gate::NotConfigured]);
    }
}

#[test]
fn no_policy_leads_to_closing() {
    use mooring_core::policy::RungAction;
    let rungs = [
        RungAction::Reconnect,
        RungAction::ReconnectSlowly,
        RungAction::RestartInstance,
        RungAction::RestartGateway,
        RungAction::CallHuman,
    ];
    // Whatever may be written in a ladder, and what the built-in ones have for every cause.
    assert!(rungs.iter().filter_map(|r| r.action()).all(|a| !a.proven_by_receipt()));
    let policy = Policy::default();
    for cause in Cause::all() {
        let steps = policy.steps(cause, Kind::Websocket);
        assert!(steps.iter().filter_map(|r| r.action.action()).all(|a| !a.proven_by_receipt()), "{cause}");
    }
}
