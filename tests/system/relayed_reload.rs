//! A relay and SIGHUP: what cannot be had leaves the old relay and its sessions alone, and what can be had takes over.

use mooring_proto::v1::Phase;
use mooring_tests::gateway::{Gateway, free_port};
use mooring_tests::visitor::Visitor;
use mooring_tests::world::{Watched, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_cannot_be_had_leaves_the_sessions_alone() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let (port, other) = (free_port(), free_port());
    let chat = |port| Watched::at("chat", &gateway.address).relayed("\"relay\"", port, "");
    let world = World::start(&[chat(port)]).await;
    let agent = world.agent.as_ref().expect("running");
    let visitor = Visitor::of(&format!("127.0.0.1:{port}"), "/ws");
    world.api.phase(&chat(port).instance(), Phase::Healthy).await;

    let occupied = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let taken = occupied.local_addr().expect("its address").port();
    world.write_agent(&[chat(taken)]);
    world.reload_agent();
    let address = format!("127.0.0.1:{taken}");
    agent.line("the refusal", |l| (l.contains(&address) && l.contains("chat")).then_some(())).await;
    // The session that was there is there, its messages are counted, and one may still come in.
    let messages = visitor.visits().messages;
    let visits = visitor.when("more messages", |v| v.messages > messages + 3).await;
    assert_eq!((visits.opened, visits.open, visits.torn.len()), (1, 1, 0), "{visits:?}");
    let second = Visitor::of(&format!("127.0.0.1:{port}"), "/ws");
    second.when("to be let in", |v| v.open == 1).await;
    world.api.listed(&chat(port).gateway(), "", 2).await;

    world.write_agent(&[chat(other)]);
    world.reload_agent();
    let moved = Visitor::of(&format!("127.0.0.1:{other}"), "/ws");
    moved.when("to be let in at the new port", |v| v.open == 1).await;
    let visits = visitor.when("to be told", |v| v.closes.len() == 1).await;
    assert_eq!((visits.codes(), visits.torn.len()), (vec![1012], 0), "{visits:?}");
    world.api.listed(&chat(other).gateway(), "", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_an_unknown_path_makes_no_instance_sick() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let port = free_port();
    // Two, so that sessions are told apart by path; nobody visits the second.
    let instances = "[[gateway.instance]]\nid = \"acct-1\"\npath = \"/ws\"\n\
                     [[gateway.instance]]\nid = \"acct-2\"\npath = \"/ws/2\"\n";
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", port, instances);
    let world = World::start(std::slice::from_ref(&chat)).await;
    let relay = format!("127.0.0.1:{port}");
    let acct = format!("{}/instances/acct-1", chat.gateway());
    let visitor = Visitor::of(&relay, "/ws");
    world.api.phase(&acct, Phase::Healthy).await;

    let stranger = Visitor::of(&relay, "/nothing/here");
    stranger.when("to be refused many times", |v| v.refused.len() > 60).await;
    assert!(stranger.visits().refused.iter().all(|why| why != "101"), "{:?}", stranger.visits());
    let seen = world.api.instance(&acct).await.expect("known");
    assert_eq!(seen.phase(), Phase::Healthy, "{seen:#?}");
    let unvisited = world.api.instance(&format!("{}/instances/acct-2", chat.gateway())).await.expect("known");
    assert_eq!(unvisited.phase(), Phase::Unknown, "{unvisited:#?}");
    assert_eq!(visitor.visits().open, 1);
}
