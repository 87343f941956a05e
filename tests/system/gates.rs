//! Gates, from the outside: pause, dry run, storm; each refusal is kept with its numbers.

use mooring_proto::v1::{
    CreateOrderRequest, CreatePauseRequest, EventType, ExplainInstanceRequest, OrderAction, OrderState,
    Pause, Phase,
};
use mooring_tests::gateway::{free_port, node_command};
use mooring_tests::process::send;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use rustix::process::Signal;

fn supervised(id: &str) -> (Watched, u16) {
    let port = free_port();
    (Watched::supervised(id, port, &node_command("ws-plain.js", port)), port)
}

async fn kill(port: u16) {
    send(mooring_tests::gateway::pid(port).await, Signal::KILL);
}

/// Waits until a refusal by this gate is among the events.
async fn refused_by(world: &World, gate: &str) {
    until(&format!("a refusal by {gate}"), || async {
        let events = world.api.events().await.unwrap_or_default();
        let found = events.iter().any(|e| {
            e.r#type() == EventType::Refusal
                && (e.message.contains(gate)
                    || e.evidence.iter().any(|x| x.value == gate || x.key.contains(gate)))
        });
        if found { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test]
async fn a_pause_stops_orders_until_it_ends() {
    let (chat, port) = supervised("chat");
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let request = CreatePauseRequest {
        pause: Some(Pause {
            scope: chat.gateway(),
            reason: "maintenance".to_owned(),
            ttl: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let pause = world.api.pauses.clone().create_pause(request).await.expect("the pause is made").into_inner();

    kill(port).await;
    refused_by(&world, "paused").await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
    let explained = world
        .api
        .fleet
        .clone()
        .explain_instance(ExplainInstanceRequest { name: chat.instance(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    let paused = explained.gates.iter().find(|g| g.gate == "paused").expect("every gate is explained");
    assert!(!paused.open && paused.message.contains("maintenance"), "{paused:?}");

    let request = mooring_proto::v1::DeletePauseRequest { name: pause.name };
    world.api.pauses.clone().delete_pause(request).await.expect("the pause ends");
    world.api.order_in(&chat.gateway(), OrderState::Succeeded).await;
}

#[tokio::test]
async fn a_dry_run_orders_nothing_and_says_what_it_would() {
    let (chat, port) = supervised("chat");
    let policy = QUICK_POLICY.replace("[policy.default]", "[policy.default]\ndry_run = true");
    let database = mooring_tests::postgres::fresh_database().await;
    let world = World::start_with(std::slice::from_ref(&chat), &policy, database).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    kill(port).await;
    refused_by(&world, "dry_run").await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_storm_stops_restarts() {
    let all: Vec<(Watched, u16)> = ["a", "b", "c", "d"].into_iter().map(supervised).collect();
    // Slow enough to act that all are down before anything is ordered.
    let policy = QUICK_POLICY.replace("act_after = \"200ms\"", "act_after = \"3s\"");
    let watched: Vec<Watched> = all.iter().map(|(w, _)| w.clone()).collect();
    let database = mooring_tests::postgres::fresh_database().await;
    let world = World::start_with(&watched, &policy, database).await;
    for w in &watched {
        world.api.phase(&w.instance(), Phase::Healthy).await;
    }
    for (_, port) in &all {
        kill(*port).await;
    }
    refused_by(&world, "storm").await;
    assert_eq!(world.api.orders().await.unwrap(), vec![], "nothing is restarted in a storm");
}

#[tokio::test]
async fn an_operators_order_is_idempotent_and_can_be_tried_dry() {
    let (chat, _) = supervised("chat");
    let world = World::start(std::slice::from_ref(&chat)).await;
    world.api.phase(&chat.instance(), Phase::Healthy).await;
    let mut request = CreateOrderRequest {
        target: chat.gateway(),
        action: OrderAction::RestartGateway.into(),
        reason: "a try".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        validate_only: true,
        ..Default::default()
    };
    world.api.orders.clone().create_order(request.clone()).await.expect("it would be made");
    assert_eq!(world.api.orders().await.unwrap(), vec![], "nothing was made");

    request.validate_only = false;
    let first = world.api.orders.clone().create_order(request.clone()).await.expect("made").into_inner();
    let again = world.api.orders.clone().create_order(request.clone()).await.expect("the same").into_inner();
    assert_eq!(first.name, again.name);
    let ended = world.api.ended(&first.name).await;
    assert_eq!(ended.state(), OrderState::Succeeded, "{ended:#?}");
    assert_eq!(ended.requested_by, "operator:local");
    assert_eq!(world.api.orders().await.unwrap().len(), 1);

    request.reason = "another".to_owned();
    let reused =
        world.api.orders.clone().create_order(request).await.expect_err("the id was used for something else");
    assert_eq!(reused.code(), tonic::Code::InvalidArgument, "{reused:?}");
}
