//! What the controller is told, whatever happens to the link.

use std::time::Duration;

use mooring_agent::uplink::UplinkState;
use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::duration;
use mooring_runtime::config::SecretFile;
use mooring_sample_gateway::{Misbehaviour, Verb};
use tonic::Status as Code;

use crate::controller::Controller;
use crate::support::{Home, eventually, gateway, watched};

fn misbehave(what: Misbehaviour) -> Verb {
    Verb::Misbehave { what, lasts: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_seen_reported_and_its_end_too() {
    let controller = Controller::start();
    let chat = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &chat)]);
    let agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    assert!(controller.state.borrow().is("chat/chat", ConditionKind::Reachable, Status::True));
    let hello = controller.state.borrow().hellos[0].clone();
    assert_eq!((hello.agent_id.as_str(), hello.gateways, hello.instances), ("a1", 1, 1));
    let declared = controller.state.borrow().gateways.values().next().cloned().unwrap();
    assert!(declared.abilities.reconnect && !declared.abilities.restart_gateway);

    chat.apply(&misbehave(Misbehaviour::Hang));
    controller.until("the hang", |s| s.is("chat/chat", ConditionKind::Beating, Status::False)).await;
    let told = controller.state.borrow().condition("chat/chat", ConditionKind::Beating).unwrap();
    assert_eq!(told.cause, Some(Cause::HeartbeatMissed));
    chat.apply(&Verb::Heal);
    controller.until("well again", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    assert_eq!(agent.stop().await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_is_told_again_and_nothing_twice() {
    let mut controller = Controller::start();
    let chat = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &chat)]);
    let mut agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    let snapshots = controller.state.borrow().snapshots;

    // It takes reports and dies before any of them is durable.
    controller.set(|s| s.withhold_acks = true);
    chat.apply(&misbehave(Misbehaviour::HttpOnly));
    chat.apply(&misbehave(Misbehaviour::Drop));
    eventually("reports under way", || agent.agent.outgoing.usage().unacknowledged > 0).await;
    controller.kill();
    agent.until_link("the loss", |l| matches!(l, UplinkState::Disconnected { .. })).await;
    controller.set(|s| s.withhold_acks = false);
    controller.come_back();
    controller.until("the fault", |s| s.is("chat/chat", ConditionKind::Reachable, Status::False)).await;
    let told = controller.state.borrow().condition("chat/chat", ConditionKind::Reachable).unwrap();
    assert_eq!(told.cause, Some(Cause::UpgradeNotPerformed));
    assert_eq!(controller.state.borrow().snapshots, snapshots, "resumed, not told anew");
    let falls = |s: &crate::controller::State| {
        let fall = |(_, kind, told): &&(String, ConditionKind, crate::controller::Told)| {
            *kind == ConditionKind::Reachable && told.status == Status::False
        };
        s.history.iter().filter(fall).count()
    };
    eventually("everything to be acknowledged", || agent.agent.outgoing.settled()).await;
    assert_eq!(falls(&controller.state.borrow()), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_goes_on_watching_and_tells_the_newest_afterwards() {
    let mut controller = Controller::start();
    let chat = gateway().await;
    let home = Home::new(&controller, vec![watched("chat", &chat)]);
    let mut agent = home.start().await;
    controller.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    controller.kill();
    agent.until_link("the loss", |l| matches!(l, UplinkState::Disconnected { .. })).await;
    let before = chat.stats().sessions_accepted;
    // It falls and rises while nobody can be told.
    chat.apply(&misbehave(Misbehaviour::Mute));
    eventually("a new session", || chat.stats().sessions_accepted > before).await;
    chat.apply(&Verb::Heal);
    chat.apply(&misbehave(Misbehaviour::Refuse));
    chat.apply(&misbehave(Misbehaviour::Drop));
    eventually("something to tell", || agent.agent.outgoing.usage().pending > 0).await;
    assert!(agent.agent.outgoing.usage().pending <= 2, "one gateway, one instance");
    controller.come_back();
    controller.until("the newest", |s| s.is("chat/chat", ConditionKind::Reachable, Status::False)).await;
    let told = controller.state.borrow().condition("chat/chat", ConditionKind::Reachable).unwrap();
    assert_eq!(told.cause, Some(Cause::ConnectionRefused));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_knows_nothing_is_told_everything_and_can_ask_for_it() {
    let mut controller = Controller::start();
    let (one, two) = (gateway().await, gateway().await);
    let home = Home::new(&controller, vec![watched("one", &one), watched("two", &two)]);
    let mut agent = home.start().await;
    controller.until("well", |s| s.is("two/two", ConditionKind::Beating, Status::True)).await;
    controller.until("well", |s| s.is("one/one", ConditionKind::Beating, Status::True)).await;
    controller.kill();
    controller.forget();
    agent.until_link("the loss", |l| matches!(l, UplinkState::Disconnected { .. })).await;
    controller.come_back();
    controller.until("everything", |s| s.is("one/one", ConditionKind::Beating, Status::True)).await;
    controller.until("everything", |s| s.is("two/two", ConditionKind::Reachable, Status::True)).await;
    let snapshots = controller.state.borrow().snapshots;
    controller.set(|s| s.conditions.clear());
    controller.send(Down::Resync(pb::Resync { reason: "a test".to_owned(), spread: None }));
    controller.until("everything again", |s| s.snapshots == snapshots + 1).await;
    controller.until("everything again", |s| s.is("one/one", ConditionKind::Reachable, Status::True)).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_controller_is_left_and_heartbeats_are_answered() {
    let controller = Controller::start();
    controller.set(|s| {
        s.beat = Some(Duration::from_millis(100));
        s.silence = Some(Duration::from_millis(600));
    });
    let home = Home::new(&controller, Vec::new());
    let mut agent = home.start().await;
    controller.until("heartbeats", |s| s.heartbeats >= 5).await;
    assert_eq!(controller.state.borrow().streams, 1, "it was never silent for too long");
    controller.set(|s| s.mute = true);
    agent
        .until_link(
            "the loss",
            |l| matches!(l, UplinkState::Disconnected { why, .. } if why.contains("nothing was heard")),
        )
        .await;
    controller.set(|s| s.mute = false);
    controller.until("another stream", |s| s.streams >= 2).await;
    agent.until_link("attached", |l| matches!(l, UplinkState::Attached { epoch, .. } if *epoch >= 2)).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_moves_before_it_breaks() {
    let (first, second) = (Controller::start(), Controller::start());
    let chat = gateway().await;
    let home = Home::new(&first, vec![watched("chat", &chat)]);
    let mut agent = home.start().await;
    first.until("well", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    agent.agent.uplink.borrow_and_update();
    first.send(Down::Move(pb::Move {
        addresses: vec!["http://127.0.0.1:1".to_owned(), second.url()],
        within: Some(duration(Duration::from_millis(50))),
        reason: "a test".to_owned(),
    }));
    // The very next state is the new attachment: there was no moment without one.
    crate::support::soon("a change", agent.agent.uplink.changed()).await.unwrap();
    let at = agent.agent.uplink.borrow_and_update().clone();
    assert!(matches!(&at, UplinkState::Attached { address, .. } if *address == second.url()), "{at:?}");
    second.until("well there", |s| s.is("chat/chat", ConditionKind::Beating, Status::True)).await;
    assert!(first.state.borrow().goodbyes.is_empty());
    agent.stop().await;
    second.until("goodbye", |s| s.goodbyes.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_and_tried_again_with_the_token() {
    let controller = Controller::start();
    controller.set(|s| s.turn_away = Some(Code::unauthenticated("who are you?")));
    let mut home = Home::new(&controller, Vec::new());
    let token = home.folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    home.config.controller.join_token_file = Some(SecretFile::new(token));
    let mut agent = home.start().await;
    agent
        .until_link("the refusal", |l| {
            matches!(l, UplinkState::Disconnected { why, .. } if why.contains("who are you?") && why.contains("Unauthenticated"))
        })
        .await;
    controller.set(|s| s.turn_away = None);
    controller.until("attached", |s| s.streams == 1).await;
    let shown = controller.state.borrow().authorizations.clone();
    assert!(shown.iter().all(|a| a.as_deref() == Some("Bearer 0123456789abcdef")), "{shown:?}");
    agent.stop().await;
}
