//! Orders: once, answered, and verified by what is seen.

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::order::{Action, Stage};
use mooring_proto::link::OrderMessage;

use crate::controller::Controller;
use crate::support::{Home, eventually, gateway, order, watched};

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_opens_one_new_session_and_is_no_fault() {
    let controller = Controller::start();
    let chat = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &chat)]);
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    assert_eq!(chat.stats().sessions_accepted, 1);
    let reconnect = order("gateways/chat/instances/chat", Action::Reconnect, 1);
    // Twice in one message and again in another, as happens when an acknowledgement is lost.
    controller.order(&[&reconnect, &reconnect]);
    let second = controller.order(&[&reconnect]);
    controller.until("the end", |s| s.stages(&reconnect).contains(&Stage::Done)).await;
    controller.until("both messages acknowledged", |s| s.order_acks.contains(&second)).await;
    eventually("the new session", || chat.stats().sessions_accepted == 2).await;
    let acks = controller.state.borrow().order_acks.clone();
    assert_eq!(acks, [1, 2]);
    let late = order("gateways/chat/instances/chat", Action::Reconnect, 1);
    controller.order(&[&late]);
    controller.until("a refusal", |s| s.stages(&late) == [Stage::Refused]).await;
    assert_eq!(chat.stats().sessions_accepted, 2);
    let fell = controller.state.borrow().history.iter().any(|(_, _, told)| told.status == Status::False);
    assert!(!fell, "a disturbance on purpose is no fault");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_carried_out_once_even_over_the_agents_own_restart() {
    let controller = Controller::start();
    let chat = gateway().await;
    let mut home = Home::new(&controller, vec![watched("chat", &chat)]);
    let marks = home.folder.path().join("marks");
    let script = format!("echo restarted >> {}", marks.display());
    home.config.gateways[0].restart = Some(
        serde_json::from_value(serde_json::json!({"how": "command", "command": ["/bin/sh", "-c", script]}))
            .unwrap(),
    );
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    let restart = order("gateways/chat", Action::RestartGateway, 7);
    controller.order(&[&restart]);
    controller
        .until("receipts", |s| s.stages(&restart) == [Stage::Accepted, Stage::Started, Stage::Done])
        .await;
    let traced = controller
        .state
        .borrow()
        .receipts
        .iter()
        .all(|r| r.traceparent.as_deref().is_none_or(|t| t.contains("4bf92f3577b34da6a3ce929d0e0e4736")));
    assert!(traced, "the execution joins the trace of the decision");
    agent.stop().await;

    let agent = home.start().await;
    controller.until("the next life", |s| s.streams == 2).await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    controller.order(&[&restart]);
    controller.until("the same answer", |s| s.stages(&restart).len() > 3).await;
    assert_eq!(controller.state.borrow().stages(&restart).last(), Some(&Stage::Done));
    assert_eq!(std::fs::read_to_string(&marks).unwrap(), "restarted\n");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_others_and_orders_that_cannot_be_read_are_answered() {
    use mooring_proto::agent_v1 as pb;
    use mooring_proto::agent_v1::attach_response::Message as Down;
    let controller = Controller::start();
    let home = Home::new(&controller, Vec::new());
    let agent = home.start().await;
    controller.until("attached", |s| s.snapshots == 1).await;
    let stranger = order("gateways/nobody", Action::RestartGateway, 1);
    controller.order(&[&stranger]);
    controller.until("a refusal", |s| s.stages(&stranger) == [Stage::Refused]).await;
    let odd = order("gateways/nobody", Action::RestartGateway, 2);
    let packed = pb::Order { action: 99, ..odd.to_pb() };
    controller.send(Down::Orders(pb::Orders { sequence: 9, orders: vec![packed] }));
    controller.until("a refusal", |s| s.stages(&odd) == [Stage::Refused]).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervised_gateway_is_named_restarted_and_stopped() {
    let controller = Controller::start();
    let chat = gateway().await;
    let mut home = Home::new(&controller, vec![watched("chat", &chat)]);
    let marks = home.folder.path().join("pids");
    // What serves stands beside it: here it is the process that matters.
    let script = format!("echo $$ >> {}; exec sleep 1000", marks.display());
    let supervise = serde_json::json!({"how": "supervise", "command": ["/bin/sh", "-c", script]});
    home.config.gateways[0].restart = Some(serde_json::from_value(supervise).unwrap());
    let pids = || -> Vec<i32> {
        let text = std::fs::read_to_string(&marks).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    let lives = |pid: i32| {
        rustix::process::Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    };
    let run = |s: &crate::controller::State| s.gateways.values().next().and_then(|g| g.incarnation);
    let agent = home.start().await;
    controller.until("its run", |s| run(s).is_some()).await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    let first = run(&controller.state.borrow()).unwrap();
    eventually("its pid", || pids().len() == 1).await;

    let pid = rustix::process::Pid::from_raw(pids()[0]).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    controller
        .until("the death", |s| {
            let killed = |told: &crate::controller::Told| told.cause == Some(Cause::ProcessKilled);
            s.history.iter().any(|(_, kind, told)| *kind == ConditionKind::Reachable && killed(told))
        })
        .await;
    let restart = order("gateways/chat", Action::RestartGateway, 1);
    controller.order(&[&OrderMessage { incarnation: Some(first), ..restart.clone() }]);
    controller.until("the restart", |s| s.stages(&restart).contains(&Stage::Done)).await;
    controller.until("another run", |s| run(s).is_some_and(|now| now > first)).await;
    eventually("its pid", || pids().len() == 2).await;
    let stale = order("gateways/chat", Action::RestartGateway, 2);
    controller.order(&[&OrderMessage { incarnation: Some(first), ..stale.clone() }]);
    controller.until("a refusal", |s| s.stages(&stale) == [Stage::Refused]).await;
    controller.until("well again", |s| s.is("chat/chat", ConditionKind::Reachable, Status::True)).await;

    assert!(lives(pids()[1]));
    let report = agent.stop().await;
    assert_eq!((report.code, report.graceful), (0, true), "{report:?}");
    assert!(!pids().into_iter().any(lives), "the gateway ends with its agent");
}
