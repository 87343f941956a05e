//! Orders on sessions are orders like any other: gates, idempotence, a dry run, and refusals that say what to do instead.

use std::time::Duration;

use mooring_proto::v1::{CreateOrderRequest, CreatePauseRequest, OrderAction, OrderState, Pause};
use mooring_tests::gateway::{Gateway, free_port};
use mooring_tests::visitor::Crowd;
use mooring_tests::world::{Watched, World};
use tonic::Code;

/// A relayed gateway with visitors in, and the names of their sessions.
struct Scene {
    _gateway: Gateway,
    chat: Watched,
    world: World,
    crowd: Crowd,
    sessions: Vec<String>,
}

async fn scene(visitors: usize) -> Scene {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let port = free_port();
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", port, "");
    let plain = Watched::at("plain", &gateway.address);
    let world = World::start(&[chat.clone(), plain]).await;
    let crowd = Crowd::of(visitors, &format!("127.0.0.1:{port}"), "/ws");
    let sessions = world.api.listed(&chat.gateway(), "", visitors).await;
    let sessions = sessions.into_iter().map(|s| s.name).collect();
    Scene { _gateway: gateway, chat, world, crowd, sessions }
}

impl Scene {
    fn close(&self, session: usize) -> CreateOrderRequest {
        CreateOrderRequest {
            target: self.sessions[session].clone(),
            action: OrderAction::CloseSession.into(),
            reason: "half open".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        }
    }

    async fn made(&self, request: &CreateOrderRequest) -> mooring_proto::v1::Order {
        let made = self.world.api.orders.clone().create_order(request.clone()).await;
        made.expect("the order is made").into_inner()
    }

    async fn refused(&self, request: &CreateOrderRequest) -> tonic::Status {
        self.world.api.orders.clone().create_order(request.clone()).await.expect_err("it is refused")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_gateways_sessions_are_let_be() {
    let scene = scene(2).await;
    let pause = Pause {
        scope: scene.chat.gateway(),
        reason: "maintenance".to_owned(),
        ttl: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    };
    let request = CreatePauseRequest { pause: Some(pause), ..Default::default() };
    scene.world.api.pauses.clone().create_pause(request).await.expect("the pause is made");

    let all = CreateOrderRequest {
        target: scene.chat.gateway(),
        action: OrderAction::CloseSessions.into(),
        ..scene.close(0)
    };
    for request in [scene.close(0), all] {
        let refused = scene.refused(&request).await;
        assert!(matches!(refused.code(), Code::FailedPrecondition | Code::ResourceExhausted), "{refused:?}");
        assert!(
            refused.message().contains("paused") && refused.message().contains("maintenance"),
            "{refused:?}"
        );
    }
    let (code, said) =
        scene.world.mooring(&["close", &scene.sessions[0], "--reason", "half open", "--wait"]).await;
    assert!(matches!(code, Some(72 | 73)) && said.contains("maintenance"), "{code:?} {said}");
    assert_eq!(scene.world.api.orders().await.unwrap(), vec![]);
    assert_eq!(scene.crowd.visits().closes.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_sent_twice_is_done_once() {
    let scene = scene(2).await;
    let request = scene.close(0);
    let first = scene.made(&request).await;
    let ended = scene.world.api.ended(&first.name).await;
    assert_eq!(ended.state(), OrderState::Succeeded, "{ended:#?}");
    assert!(ended.outcome.contains("1 closed properly"), "{ended:#?}");
    // The session is gone by now, and the same request still finds its order.
    assert_eq!(scene.made(&request).await.name, first.name);
    let reused = scene.refused(&CreateOrderRequest { reason: "another".to_owned(), ..request }).await;
    assert_eq!(reused.code(), Code::InvalidArgument, "{reused:?}");

    let gone = scene.refused(&scene.close(0)).await;
    assert_eq!(gone.code(), Code::NotFound, "{gone:?}");
    let (code, said) = scene.world.mooring(&["close", &scene.sessions[0], "--reason", "again"]).await;
    assert_eq!(code, Some(69), "{said}");
    let visits = scene.crowd.when("to be back", |v| v.open == 2 && v.opened == 3).await;
    assert_eq!((visits.codes(), visits.torn.len()), (vec![1012], 0), "{visits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_closes_nothing() {
    let scene = scene(2).await;
    let id = scene.sessions[0].rsplit('/').next().expect("a name");
    for args in [
        &["close", &format!("chat/{id}"), "--reason", "may I?", "--dry-run"][..],
        &["close", "--all", "chat", "--reason", "may I?", "--dry-run"],
        &["drain", "chat", "--reason", "may I?", "--dry-run"],
    ] {
        let (code, said) = scene.world.mooring(args).await;
        assert_eq!(code, Some(0), "{args:?}: {said}");
    }
    let would = scene.made(&CreateOrderRequest { validate_only: true, ..scene.close(1) }).await;
    assert_eq!((would.name.as_str(), would.target.as_str()), ("", scene.sessions[1].as_str()));
    assert_eq!(scene.world.api.orders().await.unwrap(), vec![]);
    let visits = scene.crowd.visits();
    assert_eq!((visits.open, visits.opened), (2, 2), "{visits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_refused_with_a_reason() {
    let scene = scene(1).await;
    let api = &scene.world.api;
    let (canary, over) = ("agents/local/gateways/plain", Some(Duration::from_secs(1)));
    // Nobody sees the sessions of a gateway that is watched by a canary alone.
    for action in [OrderAction::CloseSessions, OrderAction::Drain] {
        let refused = api.order(canary, action).await.expect_err("it cannot be done");
        assert!(matches!(refused.code(), Code::FailedPrecondition | Code::InvalidArgument), "{refused:?}");
    }
    let refused =
        api.order_over(&scene.chat.gateway(), OrderAction::Resume, over).await.expect_err("no spread");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let refused = api.order(&scene.sessions[0], OrderAction::Reconnect).await.expect_err("not a session's");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let unknown = format!("{}/sessions/rffffff", scene.chat.gateway());
    let refused = api.order(&unknown, OrderAction::CloseSession).await.expect_err("no such session");
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    assert_eq!(api.orders().await.unwrap(), vec![]);
}
