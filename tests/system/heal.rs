//! What breaks and can be mended is recognised, mended by the right order, verified, and mended once.

use mooring_proto::v1::{OrderAction, OrderState, Phase};
use mooring_tests::gateway::{Gateway, free_port, node_command, pid, sample_command};
use mooring_tests::process::send;
use mooring_tests::world::{Watched, World};
use rustix::process::Signal;

/// A gateway that the agent runs with the real `ws` package.
fn supervised_ws(id: &str) -> (Watched, u16) {
    let port = free_port();
    (Watched::supervised(id, port, &node_command("ws-plain.js", port)), port)
}

#[tokio::test]
async fn killed_with_signal_9() {
    let (chat, port) = supervised_ws("chat");
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    send(pid(port).await, Signal::KILL);

    let event = world.api.event_of(&chat.instance(), "ProcessKilled").await;
    assert!(event.message.contains("signal 9"), "{event:?}");
    let order = world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::RestartGateway, "ProcessKilled"));
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let orders = world.api.orders().await.unwrap();
    assert_eq!(orders.len(), 1, "it was mended once: {orders:#?}");
}

#[tokio::test]
async fn stopped_with_sigstop_accepts_but_answers_nothing() {
    let (chat, port) = supervised_ws("chat");
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let before = pid(port).await;

    send(before, Signal::STOP);

    let event = world.api.event_of(&chat.instance(), "HeartbeatMissed").await;
    assert!(!event.evidence.is_empty(), "the suspicion comes with its evidence: {event:?}");
    let order = world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
    assert_eq!(order.action(), OrderAction::RestartGateway);
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_ne!(pid(port).await, before, "it is another process");
    let restarts = world.api.orders().await.unwrap();
    let restarts: Vec<_> = restarts.iter().filter(|o| o.action() == OrderAction::RestartGateway).collect();
    assert_eq!(restarts.len(), 1, "it was restarted once: {restarts:#?}");
}

#[tokio::test]
async fn drops_its_sessions_without_a_close_frame() {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let chat = Watched::at("chat", &gateway.address);
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // One drop is a blip; the second within the window is a fault.
    let accepted = gateway.stat("sessions_accepted").await;
    gateway.control("do=drop").await;
    mooring_tests::wait::until("the canary to be back", || async {
        let now = gateway.stat("sessions_accepted").await;
        if now > accepted && gateway.stat("sessions_open").await == 1 { Ok(()) } else { Err(now) }
    })
    .await;
    gateway.control("do=drop").await;

    world.api.event_of(&chat.instance(), "SessionLost").await;
    let order = world.api.order_in(&chat.instance(), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::Reconnect, "SessionLost"));
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}

#[tokio::test]
async fn refuses_and_is_restarted_by_a_command() {
    let gateway = Gateway::sample(&[]).await;
    let process = gateway.process.pid();
    // SIGUSR1 heals the sample gateway: the command stands for `systemctl restart`.
    let restart =
        format!("[gateway.restart]\nhow = \"command\"\ncommand = [\"kill\", \"-USR1\", \"{process}\"]\n");
    let chat = Watched::at("chat", &gateway.address).with(&restart);
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    gateway.control("do=refuse&for=10m").await;
    // Its open session still works; only a new one is refused.
    gateway_drop(&world, &chat).await;

    let condition = world.api.event_of(&chat.instance(), "ConnectionRefused").await;
    assert!(condition.message.contains("refused"), "{condition:?}");
    let order = world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::RestartGateway, "ConnectionRefused"));
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_eq!(
        world
            .api
            .orders()
            .await
            .unwrap()
            .iter()
            .filter(|o| o.action() == OrderAction::RestartGateway)
            .count(),
        1
    );
}

/// Ends the canary's session from the operator's side: a reconnect, which then finds the port closed.
async fn gateway_drop(world: &World, watched: &Watched) {
    let request = mooring_proto::v1::CreateOrderRequest {
        target: watched.instance(),
        action: OrderAction::Reconnect.into(),
        reason: "the test wants a new session".to_owned(),
        ..Default::default()
    };
    world.api.orders.clone().create_order(request).await.expect("the order is made");
}

#[tokio::test]
async fn recovers_by_itself_before_anything_is_ordered() {
    let port = free_port();
    let chat = Watched::supervised("chat", port, &sample_command(port, &[]));
    let policy = mooring_tests::world::QUICK_POLICY.replace("act_after = \"200ms\"", "act_after = \"40s\"");
    let database = mooring_tests::postgres::fresh_database().await;
    let world = World::start_with(std::slice::from_ref(&chat), &policy, database).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // Hung for some seconds: the heartbeat is missed, then it is back before the policy would act.
    mooring_tests::gateway::http(&format!("127.0.0.1:{port}"), "POST", "/_control?do=hang&for=8s").await;

    world.api.event_of(&chat.instance(), "HeartbeatMissed").await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![], "nothing had to be ordered");
}
