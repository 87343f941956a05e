//! Real sessions through an agent's relay: seen, closed, paced, kept out and held, from the operator's command to the
//! client's Close frame.

use std::time::Duration;

use mooring_proto::v1::{OrderAction, OrderState, Phase, SessionSource, SessionState};
use mooring_tests::gateway::{Gateway, free_port, node_command, pid};
use mooring_tests::process::send;
use mooring_tests::visitor::{Crowd, Visitor, connect};
use mooring_tests::wait::until;
use mooring_tests::world::{Watched, World};
use rustix::process::Signal;

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A gateway that talks, watched by nothing but its relay; the relay's address; and a system that watches it.
async fn relayed(flags: &[&str]) -> (Gateway, Watched, String, World) {
    let gateway = Gateway::node("ws-plain.js", &[&["--tick", "100ms"], flags].concat()).await;
    let port = free_port();
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", port, "");
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Unknown).await;
    (gateway, chat, at(port), world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_is_seen_and_closed_by_hand() {
    let (_gateway, chat, relay, world) = relayed(&[]).await;
    let visitor = Visitor::of(&relay, "/ws");
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    visitor.when("messages", |v| v.messages > 2).await;

    let session = world.api.listed(&chat.gateway(), "", 1).await.remove(0);
    assert_eq!(
        (session.source(), session.state()),
        (SessionSource::Relay, SessionState::Open),
        "{session:#?}"
    );
    assert_eq!(session.instance, chat.instance());
    assert!(session.sent.as_ref().and_then(|f| f.messages) > Some(0), "{session:#?}");
    let (code, shown) = world.mooring(&["sessions", "chat"]).await;
    let id = session.name.rsplit('/').next().expect("a name");
    assert!(code == Some(0) && shown.contains(id), "{shown}");

    let (code, said) =
        world.mooring(&["close", &format!("chat/{id}"), "--reason", "half open", "--wait"]).await;
    assert_eq!(code, Some(0), "{said}");
    let visits = visitor.when("to be back", |v| v.opened == 2 && v.open == 1).await;
    assert_eq!((visits.codes(), visits.torn.len(), visits.refused.len()), (vec![1012], 0, 0), "{visits:?}");
    let order = world.api.order_in(&session.name, OrderState::Succeeded).await;
    assert_eq!(order.action(), OrderAction::CloseSession);
    let close = world.api.close_of(&chat.gateway(), |c| c.session == session.name).await;
    assert_eq!(
        (close.ended_by.as_str(), close.code, close.cause.as_str()),
        ("mooring", 1012, ""),
        "{close:#?}"
    );
    // Told as soon as there is something to tell, and then twice a minute.
    until("numbers in the database", || async {
        let counts = world.api.counts(&chat.gateway()).await;
        let told = counts.as_ref().ok().and_then(|c| c.first()).is_some_and(|c| c.opened > 0);
        if told { Ok(()) } else { Err(counts) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_closed_over_a_time_and_come_back() {
    let (_gateway, chat, relay, world) = relayed(&[]).await;
    let crowd = Crowd::of(20, &relay, "/ws");
    crowd.all_in().await;

    let args = ["close", "--all", "chat", "--over", "2s", "--reason", "new certificates", "--yes", "--wait"];
    let (code, said) = world.mooring(&args).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("20 closed properly"), "{said}");
    let visits = crowd.when("all to be back", |v| v.opened == 40 && v.open == 20).await;
    assert!(visits.torn.is_empty() && visits.refused.is_empty(), "{visits:?}");
    assert!(visits.codes().iter().all(|code| *code == 1012), "{visits:?}");
    let mut times: Vec<_> = visits.closes.iter().map(|(.., at)| *at).collect();
    times.sort();
    let took = *times.last().expect("20") - times[0];
    assert!(took > Duration::from_millis(1_200), "paced, not at once: {took:?}");
    // Paced throughout, and not in two heaps: no half second saw more than half of them.
    let most = times
        .iter()
        .map(|t| times.iter().filter(|u| **u >= *t && **u - *t < Duration::from_millis(500)).count());
    assert!(most.max() < Some(11), "{:?}", times.iter().map(|t| *t - times[0]).collect::<Vec<_>>());
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_gateway_lets_nobody_in_until_it_is_resumed() {
    let restart = "[gateway.restart]\nhow = \"command\"\ncommand = [\"true\"]\n";
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let port = free_port();
    // The canary goes to the gateway itself: it proves the restart while nobody else may get in.
    let chat = Watched::at("chat", &gateway.address).relayed("\"canary\", \"relay\"", port, restart);
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let crowd = Crowd::of(5, &at(port), "/ws");
    crowd.all_in().await;

    let (code, said) =
        world.mooring(&["drain", "chat", "--over", "300ms", "--reason", "upgrade", "--yes", "--wait"]).await;
    assert_eq!(code, Some(0), "{said}");
    let visits = crowd.when("all to be out and refused", |v| v.open == 0 && v.refused.len() > 5).await;
    assert!(visits.closes.len() >= 5 && visits.codes().iter().all(|c| *c == 1012), "{visits:?}");
    assert!(visits.refused.iter().all(|why| why == "503"), "{visits:?}");
    // What a drain is for: the gateway is restarted meanwhile, and still nobody gets in.
    let restart = (chat.gateway(), OrderAction::RestartGateway);
    let order = until("the cooldown to be over", || world.api.order(&restart.0, restart.1)).await;
    let ended = world.api.ended(&order.name).await;
    assert_eq!(ended.state(), OrderState::Succeeded, "{ended:#?}");
    let refused = crowd.visits().refused.len();
    let visits = crowd.when("more refusals", |v| v.refused.len() > refused + 5).await;
    assert_eq!((visits.open, visits.opened), (0, 5), "{visits:?}");

    until("the cooldown to be over", || async {
        match world.mooring(&["resume", "chat", "--reason", "done", "--wait"]).await {
            (Some(0), _) => Ok(()),
            refused => Err(refused),
        }
    })
    .await;
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_told_apart_by_path() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms", "--any-path", "true"]).await;
    let port = free_port();
    let instances = "[[gateway.instance]]\nid = \"acct-1\"\npath = \"/ws/1\"\n\
                     [[gateway.instance]]\nid = \"acct-2\"\npath = \"/ws/2\"\n";
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", port, instances);
    let world = World::start(std::slice::from_ref(&chat)).await;
    let (first, second) = (Crowd::of(3, &at(port), "/ws/1"), Crowd::of(2, &at(port), "/ws/2"));
    let of = |id: &str| format!("{}/instances/{id}", chat.gateway());
    world.api.phase(&of("acct-1"), Phase::Healthy).await;
    world.api.phase(&of("acct-2"), Phase::Healthy).await;
    first.all_in().await;
    second.all_in().await;
    world.api.listed(&of("acct-1"), "", 3).await;
    world.api.listed(&of("acct-2"), "", 2).await;

    world.api.done(&of("acct-1"), OrderAction::Reconnect).await;
    let visits = first.when("the first to be back", |v| v.opened == 6 && v.open == 3).await;
    assert_eq!(visits.codes(), [1012; 3], "{visits:?}");
    let visits = second.visits();
    assert_eq!((visits.opened, visits.open), (2, 2), "the others notice nothing: {visits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_dies_takes_its_sessions_along_and_is_missed() {
    let (gateway, chat, relay, world) = relayed(&[]).await;
    let crowd = Crowd::of(10, &relay, "/ws");
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    // What comes and goes within a second is no crowd that was lost: a message each 100 ms, so they have been in for longer.
    crowd.when("all to have settled", |v| v.messages > 150).await;
    let port = gateway.port().to_string();

    gateway.process.kill().await;
    let event = world.api.event_of(&chat.instance(), "ConnectionRefused").await;
    assert!(event.message.contains("refused"), "{event:?}");
    let close = world.api.close_of(&chat.gateway(), |c| c.cause == "MassReset").await;
    assert!(close.message.contains("of 10 sessions"), "{close:#?}");
    let visits = crowd.when("all to be out", |v| v.open == 0 && v.torn.len() == 10).await;
    assert!(visits.refused.iter().all(|why| why == "503"), "{visits:?}");
    let (code, shown) = world.mooring(&["sessions", "chat", "--closes"]).await;
    assert!(code == Some(0) && shown.contains("MassReset"), "{shown}");

    let _gateway = Gateway::node("ws-plain.js", &["--tick", "100ms", "--port", &port]).await;
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_held_while_a_gateway_is_restarted() {
    let (port, relay) = (free_port(), free_port());
    let hold = "[gateway.relay.hold]\nwhen_refused = true\n";
    let command = [node_command("ws-plain.js", port), vec!["--tick".to_owned(), "100ms".to_owned()]].concat();
    let chat = Watched::supervised("chat", port, &command).relayed("\"relay\"", relay, hold);
    let world = World::start(std::slice::from_ref(&chat)).await;
    until("the relay to serve", || async {
        connect(&at(relay), &format!("ws://{}/ws", at(relay))).await.map(drop)
    })
    .await;
    let crowd = Crowd::of(10, &at(relay), "/ws");
    crowd.all_in().await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let before = pid(port).await;

    send(before, Signal::KILL);
    let order = world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::RestartGateway, "ProcessKilled"));
    let visits = crowd.all_in().await;
    assert_eq!((visits.torn.len(), visits.refused.len()), (10, 0), "nobody is refused: {visits:?}");
    world.api.phase(&chat.instance(), Phase::Healthy).await;

    // By an operator's order the same, and the sessions end with the gateway's own Close frame.
    world.api.done(&chat.gateway(), OrderAction::RestartGateway).await;
    let visits = crowd.when("all to be back", |v| v.open == 10 && v.opened == 30).await;
    assert_eq!((visits.codes(), visits.refused.len()), (vec![1001; 10], 0), "{visits:?}");
    assert_ne!(pid(port).await, before);
}
