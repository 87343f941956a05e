//! Telemetry's promises: the number of series does not grow with the fleet, and no collector, absent or hanging, holds
//! anything up.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use mooring_core::cause::Cause;
use mooring_proto::v1::{GetFleetRequest, OrderState};
use mooring_tests::agents::{Settings, Shape, Simulated, Tally, Who, sick};
use mooring_tests::gateway::{Gateway, free_port, http};
use mooring_tests::postgres::fresh_database;
use mooring_tests::visitor::Crowd;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use tokio::sync::mpsc;

/// The series on the controller's page: names with their labels, without their values.
async fn series(world: &World) -> BTreeSet<String> {
    series_at(&world.health_address).await
}

/// The series on a page.
async fn series_at(health: &str) -> BTreeSet<String> {
    let page = http(health, "GET", "/metrics").await;
    let series = page.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    series.filter_map(|l| l.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

async fn agent(world: &World, id: &str, shape: Shape) -> Simulated {
    Simulated::start(&world.agents_address, Who::new(id), shape, Settings::default())
        .await
        .expect("it is let in")
}

/// One instance fails, is ordered to reconnect, and is well again.
async fn one_repair(world: &World, agent: &Simulated, instance: u32) {
    agent.report(vec![sick(instance, Cause::SessionLost)]).await.expect("durable");
    world.api.order_in(&agent.shape.instance_name(&agent.who.id, instance), OrderState::Succeeded).await;
}

async fn instances(world: &World, n: i32) {
    until(&format!("{n} instances"), || async {
        let fleet =
            world.api.fleet.clone().get_fleet(GetFleetRequest {}).await.map(tonic::Response::into_inner);
        if fleet.as_ref().is_ok_and(|f| f.instances == n) { Ok(()) } else { Err(fleet) }
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_instances_have_as_many_series_as_ten() {
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    world.start_controller().await;
    let first = agent(&world, "agent-of-ten", Shape::new(2, 5)).await;
    one_repair(&world, &first, 3).await;
    instances(&world, 10).await;
    let few = series(&world).await;
    assert!(few.iter().any(|s| s.starts_with("mooring_order_issued_total{")), "{few:#?}");
    assert!(
        few.iter().any(|s| s.starts_with("mooring_instance_count{") && s.contains("Healthy")),
        "{few:#?}"
    );

    let mut more = Vec::new();
    for n in 0..9 {
        more.push(agent(&world, &format!("agent-of-many-{n}"), Shape::new(11, 100)).await);
    }
    more.push(agent(&world, "agent-of-the-rest", Shape::new(1, 90)).await);
    instances(&world, 10_000).await;
    one_repair(&world, &more[4], 777).await;
    one_repair(&world, &first, 4).await;
    let many = series(&world).await;
    let new: Vec<_> = many.difference(&few).collect();
    assert!(new.is_empty(), "series that came with the fleet's size: {new:#?}");
    assert_eq!(few.len(), many.len());

    for name in &many {
        for id in ["agent-of", "gw-0", "in-0", "agents/"] {
            assert!(!name.contains(id), "{name} names a part of the fleet");
        }
    }
}

/// A collector that accepts connections and answers nothing, ever.
fn hanging_collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    format!("http://{address}")
}

async fn holds_nothing_up(endpoint: &str) {
    let mut world = World::prepare(QUICK_POLICY, fresh_database().await);
    // A second between exports, so that several hang while the test runs.
    let settings = format!("otlp_endpoint = \"{endpoint}\"\nmetric_interval = \"1s\"");
    world.set("controller.toml", "telemetry", &settings);
    world.start_controller().await;
    let (orders, mut given) = mpsc::unbounded_channel();
    let settings = Settings { orders: Some(orders), ..Settings::default() };
    let tally = std::sync::Arc::clone(&settings.tally);
    let shape = Shape::new(20, 1);
    let agent =
        Simulated::start(&world.agents_address, Who::new("agent"), shape, settings).await.expect("in");
    for instance in 1..=20 {
        let start = Instant::now();
        drop(agent.report(vec![sick(instance, Cause::SessionLost)]));
        let given =
            tokio::time::timeout(Duration::from_secs(5), given.recv()).await.expect("an order, in time");
        let given = given.expect("the agent lives");
        assert_eq!(given.order.target, agent.shape.instance_name("agent", instance));
        // The policy waits 200 ms and looks every 100 ms; exports would hold up for 10 s.
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
    assert_eq!((Tally::of(&tally.orders), Tally::of(&tally.stale)), (20, 0));
    let controller = world.controller.take().expect("running");
    let start = Instant::now();
    let (code, log) = controller.terminate().await;
    assert_eq!(code, Some(0), "it stops in order: {log}");
    // `shutdown_grace` is 5 s: everything else has long ended when the flush gives up.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_nothing_up() {
    holds_nothing_up(&hanging_collector()).await;
}

#[tokio::test]
async fn a_collector_that_is_absent_holds_nothing_up() {
    let port = free_port();
    holds_nothing_up(&format!("http://127.0.0.1:{port}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_sessions_are_histograms_by_gateway_and_cause() {
    let gateway = Gateway::node("ws-plain.js", &["--tick", "100ms"]).await;
    let port = free_port();
    let chat = Watched::at("chat", &gateway.address).relayed("\"relay\"", port, "");
    let world = World::start(std::slice::from_ref(&chat)).await;
    let relay = format!("127.0.0.1:{port}");
    let mut seen = Vec::new();
    for (round, n) in [(1, 5), (2, 60)] {
        let crowd = Crowd::of(n, &relay, "/ws");
        crowd.all_in().await;
        drop(crowd);
        until("their ends to be counted", || async {
            let text = http(&world.agent_health_address, "GET", "/metrics").await;
            let counts = text
                .lines()
                .filter(|l| l.starts_with("mooring_session_lifetime_seconds_count") && l.contains("chat"));
            let ended: usize = counts.filter_map(|l| l.rsplit(' ').next()?.parse::<usize>().ok()).sum();
            if ended >= if round == 1 { 5 } else { 65 } { Ok(()) } else { Err(ended) }
        })
        .await;
        let page = series_at(&world.agent_health_address).await;
        // On a slow machine some have been in for long enough to be a crowd that was lost.
        let of_sessions = |s: &String| s.contains("mooring_session") && !s.contains("MassReset");
        seen.push(page.into_iter().filter(of_sessions).collect::<BTreeSet<_>>());
    }
    for name in
        ["mooring_session_lifetime_seconds", "mooring_session_silence_seconds", "mooring_session_open"]
    {
        assert!(
            seen[0].iter().any(|s| s.starts_with(name) && s.contains("gateway=\"chat\"")),
            "{name}: {seen:#?}"
        );
    }
    assert!(seen[0].iter().any(|s| s.contains("cause=\"SessionLost\"")), "{seen:#?}");
    assert_eq!(seen[0], seen[1], "sixty sessions have as many series as five");
}
