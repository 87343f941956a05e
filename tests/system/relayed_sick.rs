//! What is wrong with real sessions, and with the gateway behind them: named per session, judged for the instance together
//! with what the canary finds, and mended through the relay.

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_proto::v1::{OrderAction, OrderState, Phase};
use mooring_tests::gateway::{Gateway, free_port};
use mooring_tests::visitor::{Crowd, Visitor, connect};
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use tokio_tungstenite::tungstenite::Message;

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A system that mends nothing while the test looks on.
async fn lookers_on(gateways: &[Watched]) -> World {
    let policy = QUICK_POLICY.replace("act_after = \"200ms\"", "act_after = \"10m\"");
    World::start_with(gateways, &policy, mooring_tests::postgres::fresh_database().await).await
}

async fn serves(relay: &str) {
    let url = format!("ws://{relay}/ws");
    until("the relay to serve", || async { connect(relay, &url).await.map(drop) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_named_and_disturbs_nobody() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms", "--echo", "true"]).await;
    let relay = free_port();
    let limits = "[gateway.relay.limits]\nstalled = \"500ms\"\n";
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", relay, limits);
    let world = lookers_on(std::slice::from_ref(&chat)).await;
    serves(&at(relay)).await;
    let visitor = Visitor::of(&at(relay), "/ws");
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // It wants everything sent back and takes nothing of it: more than all buffers on the way hold.
    let session = connect(&at(relay), &format!("ws://{}/ws", at(relay))).await.expect("a session");
    let (mut sink, messages) = session.split();
    let sender = tokio::spawn(async move {
        for _ in 0..500 {
            let _ = sink.send(Message::binary(vec![0; 60_000])).await;
        }
        sink
    });
    let stalled = world.api.listed(&chat.gateway(), "cause = \"PeerStalled\"", 1).await.remove(0);
    assert!(stalled.sent.as_ref().and_then(|f| f.queued) > Some(0), "{stalled:#?}");
    let first = world.api.sessions(&chat.gateway(), "").await.expect("a list").sessions.remove(0);
    assert_eq!(first.name, stalled.name, "the worst comes first");

    let before = visitor.visits().messages;
    let visits = visitor.when("to be served all the same", |v| v.messages > before + 10).await;
    assert_eq!((visits.opened, visits.open), (1, 1), "{visits:?}");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    drop((messages, sender));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_sick_by_its_sessions_is_mended_through_the_relay() {
    // Promises an Engine.IO heartbeat every 300 ms and then never sends one.
    let hello = r#"0{"sid":"a","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#;
    let gateway = Gateway::node("ws-plain.js", &["--tick", "0", "--hello", hello]).await;
    let relay = free_port();
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", relay, "");
    let world = World::start(std::slice::from_ref(&chat)).await;
    serves(&at(relay)).await;
    let visitor = Visitor::of(&at(relay), "/ws");
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    let sick = world.api.listed(&chat.gateway(), "cause = \"HeartbeatMissed\"", 1).await.remove(0);
    assert_eq!((sick.instance, sick.beat.map(|d| d.nanos)), (chat.instance(), Some(300_000_000)));
    // How an instance is reconnected was not configured: by the relay, as it is watched by the relay.
    let order = world.api.order_in(&chat.instance(), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::Reconnect, "HeartbeatMissed"));
    let visits = visitor.when("to be back", |v| v.opened > 1 && v.open == 1).await;
    assert_eq!((visits.codes()[0], visits.torn.len(), visits.refused.len()), (1012, 0, 0), "{visits:?}");
    let close = world.api.close_of(&chat.gateway(), |c| c.session == sick.name).await;
    assert_eq!((close.ended_by.as_str(), close.code), ("mooring", 1012), "{close:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canary_and_relay_feed_one_tracker() {
    let direct = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let (relay, behind) = (free_port(), free_port());
    let upstream = format!("upstream = \"{}\"\n", at(behind));
    let chat = Watched::at("chat", &direct.address).relayed("\"canary\", \"relay\"", relay, &upstream);
    let world = lookers_on(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // The canary is well; whoever comes by the relay is not.
    let visitor = Visitor::of(&at(relay), "/ws");
    let reachable = world.api.cause(&chat.instance(), "ConnectionRefused").await;
    assert_eq!(reachable.r#type, "Reachable", "{reachable:#?}");
    assert_eq!(direct.stat("sessions_open").await, 1, "the canary's session is still open");
    let _behind = Gateway::node("ws-plain.js", &["--tick", "100ms", "--port", &behind.to_string()]).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // The other way round.
    direct.process.kill().await;
    world.api.cause(&chat.instance(), "ConnectionRefused").await;
    assert_eq!(visitor.visits().open, 1, "whoever is in stays in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_watch_are_changed_while_sessions_go_on() {
    let (one, two) = (Gateway::node("ws-plain.js", &[]).await, Gateway::node("ws-plain.js", &[]).await);
    let (relay, other) = (free_port(), free_port());
    let chat = Watched::at("chat", &one.address);
    let feed = Watched::at("feed", &two.address).relayed("\"relay\"", other, "");
    let world = lookers_on(&[chat.clone(), feed.clone()]).await;
    serves(&at(other)).await;
    let (past, beside) = (Visitor::of(&one.address, "/ws"), Visitor::of(&at(other), "/ws"));
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    world.api.phase(&feed.instance(), Phase::Healthy).await;

    let open = async |n: i64| {
        until(&format!("{n} sessions at the gateway"), || async {
            let open = one.stat("sessions_open").await;
            if open == n { Ok(()) } else { Err(open) }
        })
        .await;
    };
    let change = |watch: &str| {
        world.write_agent(&[chat.clone().relayed(watch, relay, ""), feed.clone()]);
        world.reload_agent();
    };
    // One past the agent, and the canary.
    open(2).await;
    change("\"relay\"");
    serves(&at(relay)).await;
    let through = Visitor::of(&at(relay), "/ws");
    world.api.listed(&chat.gateway(), "", 1).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    // The canary's is gone.
    open(2).await;
    change("\"canary\", \"relay\"");
    open(3).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    for visitor in [&past, &beside, &through] {
        let visits = visitor.visits();
        assert_eq!((visits.opened, visits.open), (1, 1), "nobody noticed: {visits:?}");
    }

    world.write_agent(&[chat.clone(), feed.clone()]);
    world.reload_agent();
    let visits = through.when("the relay to be gone", |v| v.open == 0 && !v.refused.is_empty()).await;
    assert_eq!((visits.codes(), visits.torn.len()), (vec![1001], 0), "in good order: {visits:?}");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    for visitor in [&past, &beside] {
        let visits = visitor.visits();
        assert_eq!((visits.opened, visits.open), (1, 1), "nobody noticed: {visits:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_relay_is_not_held_against_the_gateway() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let relay = free_port();
    let limits = "[gateway.relay.limits]\nper_source = 3\n";
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", relay, limits);
    let world = lookers_on(std::slice::from_ref(&chat)).await;
    serves(&at(relay)).await;
    let mut crowd = Crowd::of(5, &at(relay), "/ws");
    let visits = crowd.when("three in and two out", |v| v.open == 3 && v.refused.len() > 10).await;
    assert!(visits.refused.iter().all(|why| why == "503" || why == "429"), "{visits:?}");
    assert_eq!((visits.opened, gateway.stat("sessions_open").await), (3, 3));
    let instance = world.api.phase(&chat.instance(), Phase::Healthy).await;
    assert!(instance.conditions.iter().all(|c| c.cause != "RelayLimit"), "{instance:#?}");
    // One leaves, one of those that wait gets in.
    let stays = crowd.0.iter().position(|v| v.visits().open == 1).expect("three are in");
    drop(crowd.0.remove(stays));
    crowd.when("another one to be in", |v| v.open == 3 && v.opened == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_clients_are_held_is_found_to_be_away_at_once() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let (port, relay) = (gateway.port().to_string(), free_port());
    // What restarts it is the test, when it is asked to.
    let more = "[gateway.relay.hold]\nwhen_refused = true\n[gateway.restart]\nhow = \"command\"\ncommand = [\"true\"]\n";
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", relay, more);
    let world = World::start(std::slice::from_ref(&chat)).await;
    serves(&at(relay)).await;
    let crowd = Crowd::of(5, &at(relay), "/ws");
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    gateway.process.kill().await;
    let event = world.api.event_of(&chat.instance(), "ConnectionRefused").await;
    assert!(event.message.contains("refused"), "{event:?}");
    let held = world.api.listed(&chat.gateway(), "state = HELD", 5).await;
    assert_eq!(held[0].instance, chat.instance());
    until("a restart to be ordered", || async {
        let orders = world.api.orders().await.unwrap_or_default();
        if orders.iter().any(|o| o.action() == OrderAction::RestartGateway) { Ok(()) } else { Err(orders) }
    })
    .await;
    let _gateway = Gateway::node("ws-plain.js", &["--tick", "100ms", "--port", &port]).await;
    let visits = crowd.all_in().await;
    assert_eq!((visits.opened, visits.refused.len()), (10, 0), "nobody was refused: {visits:?}");
    world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}
