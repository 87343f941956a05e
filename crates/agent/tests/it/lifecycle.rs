//! Start, reload, end.

use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::AgentId;

use crate::controller::Controller;
use crate::support::{Home, eventually, gateway, watched};

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_leaves_alone_what_it_does_not_change() {
    let controller = Controller::start();
    let (kept, tuned, gone, new) = (gateway().await, gateway().await, gateway().await, gateway().await);
    let mut home = Home::new(
        &controller,
        vec![watched("kept", &kept), watched("tuned", &tuned), watched("gone", &gone)],
    );
    home.write();
    let mut agent = home.start().await;
    for name in ["kept/kept", "tuned/tuned", "gone/gone"] {
        controller.until(name, |s| s.is(name, ConditionKind::Beating, Status::True)).await;
    }
    home.config.gateways[0].labels.insert("room".to_owned(), "7".to_owned());
    home.config.gateways[1].tracker.fall = Some(3);
    home.config.gateways[2] = watched("new", &new);
    home.write();
    agent.reload().await;
    controller.until("the new one", |s| s.is("new/new", ConditionKind::Beating, Status::True)).await;
    controller.until("the old one gone", |s| s.gateways.values().all(|g| g.id.as_str() != "gone")).await;
    controller
        .until("the label", |s| {
            s.gateways.values().any(|g| g.labels.get("room").map(String::as_str) == Some("7"))
        })
        .await;
    eventually("its session closed", || gone.stats().sessions_open == 0).await;
    assert_eq!(kept.stats().sessions_accepted, 1);
    assert_eq!(tuned.stats().sessions_accepted, 1, "how it is judged does not concern the session");

    // Another ping interval needs another session; nobody else does.
    home.config.gateways[1].heartbeat.ping_interval =
        mooring_runtime::config::HumanDuration::from_millis(150);
    home.write();
    agent.reload().await;
    eventually("a new session", || tuned.stats().sessions_accepted == 2).await;
    assert_eq!(kept.stats().sessions_accepted, 1);
    assert_eq!(controller.state.borrow().streams, 1, "the link was not touched");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_and_the_old_settings_stay() {
    let controller = Controller::start();
    let kept = gateway().await;
    let home = Home::new(&controller, vec![watched("kept", &kept)]);
    home.write();
    let mut agent = home.start().await;
    controller.until("well", |s| s.is("kept/kept", ConditionKind::Beating, Status::True)).await;
    for bad in ["[[gateway]\n", "[[gateway]]\nid = \"kept\"\n", "[controler]\n"] {
        std::fs::write(home.file(), bad).unwrap();
        agent.reload().await;
    }
    assert_eq!((kept.stats().sessions_accepted, kept.stats().sessions_open), (1, 1));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_goodbye_and_a_closed_session() {
    let controller = Controller::start();
    let chat = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &chat)]);
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    let report = agent.stop().await;
    assert_eq!((report.code, report.graceful), (0, true), "{report:?}");
    controller.until("goodbye", |s| s.goodbyes.len() == 1).await;
    assert_eq!(controller.state.borrow().goodbyes, ["the agent stops"]);
    eventually("its session closed", || chat.stats().sessions_open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_as_well_without_a_controller() {
    let mut controller = Controller::start();
    let home = Home::new(&controller, Vec::new());
    controller.kill();
    let agent = home.start().await;
    let report = agent.stop().await;
    assert_eq!((report.code, report.graceful), (0, true), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_do_not_share_a_folder() {
    let controller = Controller::start();
    let home = Home::new(&controller, Vec::new());
    let agent = home.start().await;
    let mut config = home.config.clone();
    config.agent.id = Some(AgentId::new("a2").unwrap());
    let supervisor = mooring_runtime::lifecycle::Supervisor::new(std::time::Duration::from_secs(1));
    let options = mooring_agent::app::Options::new(config);
    let error = mooring_agent::app::start(options, &supervisor.handle()).await.unwrap_err();
    assert!(mooring_runtime::lifecycle::error_chain(&error).contains("in use by another agent"), "{error}");
    agent.stop().await;
}
