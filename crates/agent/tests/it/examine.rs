//! Examinations that a controller asks for.

use std::time::Duration;

use mooring_core::condition::{ConditionKind, Status};
use mooring_core::order::{Action, Stage};
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::v1::{DiagnoseRequest, Diagnosis};
use mooring_proto::{duration, v1};

use crate::controller::{Controller, State};
use crate::support::{Home, eventually, gateway, order, watched};

fn ask(controller: &Controller, number: u64, request: DiagnoseRequest) {
    controller.send(Down::Examine(pb::ExamineQuestion { number, request: Some(request) }));
}

fn chat() -> DiagnoseRequest {
    DiagnoseRequest { name: "agents/a1/gateways/chat".to_owned(), ..DiagnoseRequest::default() }
}

fn events(state: &State, number: u64) -> Vec<Event> {
    let of = state.examined.iter().filter(|a| a.number == number);
    of.filter_map(|a| a.step.clone()?.event).collect()
}

fn over(state: &State, number: u64) -> bool {
    state.examined.iter().any(|a| a.number == number && a.last)
}

fn error(state: &State, number: u64) -> Option<String> {
    state.examined.iter().find(|a| a.number == number && a.last).map(|a| a.error.clone())
}

fn diagnosis(state: &State, number: u64) -> Diagnosis {
    match events(state, number).pop() {
        Some(Event::Diagnosis(diagnosis)) => diagnosis,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_examined_step_by_step_in_the_language_asked_for() {
    let controller = Controller::start();
    let gateway = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &gateway)]);
    let agent = home.start().await;
    controller.until("attached", |s| s.snapshots == 1).await;
    let able = controller.state.borrow().hellos[0].capabilities.contains(&"doctor".to_owned());
    assert!(able, "it says what it can");
    ask(&controller, 1, DiagnoseRequest { language: "zh-CN".to_owned(), ..chat() });
    controller.until("the diagnosis", |s| over(s, 1)).await;
    let state = controller.state.borrow();
    let told = events(&state, 1);
    let diagnosis = diagnosis(&state, 1);
    assert!(diagnosis.healthy, "{diagnosis:?}");
    let findings: Vec<v1::DiagnosisFinding> = told
        .into_iter()
        .filter_map(|e| match e {
            Event::Finding(finding) => Some(finding),
            Event::Diagnosis(_) => None,
        })
        .collect();
    assert_eq!(findings, diagnosis.findings, "each was told as it was made");
    let chinese = |f: &v1::DiagnosisFinding| f.meaning.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
    assert!(findings.iter().all(chinese), "{findings:?}");
    drop(state);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_others_are_refused_unless_the_configuration_allows_them() {
    let controller = Controller::start();
    let (gateway, other) = (gateway().await, gateway().await);
    let mut home = Home::new(&controller, vec![watched("chat", &gateway)]);
    let agent = home.start().await;
    controller.until("attached", |s| s.snapshots == 1).await;
    let at =
        |url: String| DiagnoseRequest { name: "agents/a1".to_owned(), url, ..DiagnoseRequest::default() };
    let foreign = format!("ws://localhost:{}/ws", other.local_addr().port());
    ask(&controller, 1, at(foreign.clone()));
    ask(&controller, 2, at("ws://169.254.169.254/latest/meta-data".to_owned()));
    ask(&controller, 3, DiagnoseRequest { name: "agents/a2/gateways/chat".to_owned(), ..chat() });
    ask(&controller, 4, DiagnoseRequest { name: "chat".to_owned(), ..chat() });
    for (number, words) in [
        (1, "`localhost` is not a host of this agent's gateways"),
        (2, "metadata"),
        (3, "not a2"),
        (4, "name: "),
    ] {
        controller.until("a refusal", |s| over(s, number)).await;
        let error = error(&controller.state.borrow(), number).unwrap();
        assert!(error.contains(words), "{number}: {error}");
    }
    assert_eq!(other.stats().sessions_accepted, 0, "nothing was dialled");
    agent.stop().await;

    home.config.doctor.allow = mooring_agent::config::Allow::Any;
    let agent = home.start().await;
    controller.until("attached again", |s| s.hellos.len() == 2 && s.snapshots == 2).await;
    ask(&controller, 5, at(foreign));
    ask(&controller, 6, at("ws://169.254.169.254/latest/meta-data".to_owned()));
    controller.until("both", |s| over(s, 5) && over(s, 6)).await;
    assert!(diagnosis(&controller.state.borrow(), 5).healthy);
    assert!(error(&controller.state.borrow(), 6).unwrap().contains("metadata"), "that never");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_waits_for_ends_in_good_order_and_holds_nothing_up() {
    let controller = Controller::start();
    let gateway = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &gateway)]);
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    // Three sessions are held on it, beside the canary's.
    let long = DiagnoseRequest { watch: Some(duration(Duration::from_secs(600))), ..chat() };
    ask(&controller, 1, long.clone());
    eventually("the sessions held", || gateway.stats().sessions_open == 4).await;

    // Meanwhile everything else goes on.
    let reconnect = order("gateways/chat/instances/chat", Action::Reconnect, 1);
    controller.order(&[&reconnect]);
    controller.until("an order done", |s| s.stages(&reconnect).contains(&Stage::Done)).await;

    controller.send(Down::Examine(pb::ExamineQuestion { number: 1, request: None }));
    eventually("the sessions closed", || gateway.stats().sessions_open == 1).await;
    // Two places: they are free again, and a third is refused until one is.
    ask(&controller, 2, long.clone());
    ask(&controller, 3, long.clone());
    ask(&controller, 4, chat());
    controller.until("a refusal", |s| over(s, 4)).await;
    let refused = controller.state.borrow().examined.iter().find(|a| a.number == 4).cloned().unwrap();
    assert!(refused.error.contains("under way") && refused.retry_after.is_some(), "{refused:?}");
    eventually("the sessions held", || gateway.stats().sessions_open == 7).await;
    assert!(!over(&controller.state.borrow(), 1), "nobody waits for it");
    // The agent's own end is in good order as well.
    let report = agent.stop().await;
    assert!(report.graceful, "{report:?}");
    eventually("everything closed", || gateway.stats().sessions_open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn examinations_end_with_their_stream() {
    let mut controller = Controller::start();
    let gateway = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &gateway)]);
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    ask(&controller, 1, DiagnoseRequest { watch: Some(duration(Duration::from_secs(600))), ..chat() });
    eventually("the sessions held", || gateway.stats().sessions_open == 4).await;
    controller.kill();
    eventually("the sessions closed", || gateway.stats().sessions_open == 1).await;
    controller.come_back();
    controller.until("attached again", |s| s.streams == 2).await;
    ask(&controller, 1, chat());
    controller.until("the diagnosis", |s| over(s, 1)).await;
    assert!(diagnosis(&controller.state.borrow(), 1).healthy);
    agent.stop().await;
}
