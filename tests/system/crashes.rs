//! Killed in the middle of an order: what was begun is not begun again, and its end is known.

use std::path::Path;

use mooring_proto::v1::{CreateOrderRequest, Order, OrderAction, OrderState, Phase};
use mooring_tests::gateway::Gateway;
use mooring_tests::wait::until;
use mooring_tests::world::{Watched, World};

/// A restart that notes that it ran, then waits until it is let go.
fn slow_restart(dir: &Path) -> String {
    let script = format!("echo run >> {0}/runs; while [ ! -e {0}/go ]; do sleep 0.05; done", dir.display());
    format!(
        "[gateway.restart]\nhow = \"command\"\ncommand = [\"sh\", \"-c\", {script:?}]\ntime_limit = \"50s\"\n"
    )
}

fn runs(dir: &Path) -> usize {
    std::fs::read_to_string(dir.join("runs")).map(|t| t.lines().count()).unwrap_or(0)
}

async fn order_restart(world: &World, watched: &Watched) -> Order {
    let request = CreateOrderRequest {
        target: watched.gateway(),
        action: OrderAction::RestartGateway.into(),
        reason: "the test asks for it".to_owned(),
        ..Default::default()
    };
    world.api.orders.clone().create_order(request).await.expect("the order is made").into_inner()
}

/// A patient policy: the order must not run out while the test looks on.
fn patient() -> String {
    mooring_tests::world::QUICK_POLICY
        .replace("verify_within = \"10s\"", "verify_within = \"40s\"")
        .replace("order_ttl = \"10s\"", "order_ttl = \"60s\"")
}

async fn begun() -> (Gateway, Watched, World, Order, tempfile::TempDir) {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let dir = tempfile::tempdir().expect("a folder");
    let watched = Watched::at("chat", &gateway.address).with(&slow_restart(dir.path()));
    let database = mooring_tests::postgres::fresh_database().await;
    let world = World::start_with(std::slice::from_ref(&watched), &patient(), database).await;
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    let order = order_restart(&world, &watched).await;
    world.api.order_in(&watched.gateway(), OrderState::Running).await;
    until("the command to run", || async {
        if runs(dir.path()) == 1 { Ok(()) } else { Err(runs(dir.path())) }
    })
    .await;
    (gateway, watched, world, order, dir)
}

#[tokio::test]
async fn the_agent_is_killed_mid_order() {
    let (_gateway, watched, mut world, order, dir) = begun().await;

    world.kill_agent().await;
    std::fs::write(dir.path().join("go"), "").expect("go");
    world.start_agent();

    let ended = world.api.ended(&order.name).await;
    assert_eq!(ended.state(), OrderState::Failed, "{ended:#?}");
    assert!(ended.outcome.contains("died"), "{}", ended.outcome);
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    assert_eq!(runs(dir.path()), 1, "it was begun once");
}

#[tokio::test]
async fn the_controller_is_killed_mid_order() {
    let (_gateway, watched, mut world, order, dir) = begun().await;

    world.kill_controller().await;
    // It ends while nobody is there to hear of it.
    std::fs::write(dir.path().join("go"), "").expect("go");
    world.start_controller().await;

    let ended = world.api.ended(&order.name).await;
    assert_eq!(ended.state(), OrderState::Succeeded, "{ended:#?}");
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    assert_eq!(runs(dir.path()), 1, "it was done once");
    assert_eq!(world.api.orders().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_silent_agent_makes_its_instances_unknown_and_restarts_nothing() {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let watched = Watched::at("chat", &gateway.address);
    let mut world = World::start(std::slice::from_ref(&watched)).await;
    world.api.phase(&watched.instance(), Phase::Healthy).await;

    world.kill_agent().await;
    let instance = world.api.phase(&watched.instance(), Phase::Unknown).await;
    assert!(instance.stale && instance.conditions.iter().all(|c| c.cause == "AgentSilent"), "{instance:#?}");
    assert_eq!(world.api.orders().await.unwrap(), vec![]);

    world.start_agent();
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
}

#[tokio::test]
async fn both_stop_in_order_when_asked() {
    let gateway = Gateway::node("ws-plain.js", &[]).await;
    let watched = Watched::at("chat", &gateway.address);
    let mut world = World::start(std::slice::from_ref(&watched)).await;
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    let agent = world.agent.take().expect("running");
    let (code, log) = agent.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    let controller = world.controller.take().expect("running");
    let (code, log) = controller.terminate().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn an_agent_killed_beside_its_gateway_takes_it_over_again() {
    let port = mooring_tests::gateway::free_port();
    let watched =
        Watched::supervised("chat", port, &mooring_tests::gateway::node_command("ws-plain.js", port));
    let mut world = World::start(std::slice::from_ref(&watched)).await;
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    let pid = mooring_tests::gateway::pid(port).await;

    world.kill_agent().await;
    world.api.phase(&watched.instance(), Phase::Unknown).await;
    world.start_agent();
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    assert_eq!(mooring_tests::gateway::pid(port).await, pid, "its sessions were not cut");
    assert_eq!(world.api.orders().await.unwrap(), vec![]);

    // Taken over, it is still known when it dies.
    mooring_tests::process::send(pid, rustix::process::Signal::KILL);
    world.api.order_in(&watched.gateway(), OrderState::Succeeded).await;
    world.api.phase(&watched.instance(), Phase::Healthy).await;
    assert_ne!(mooring_tests::gateway::pid(port).await, pid);
}
