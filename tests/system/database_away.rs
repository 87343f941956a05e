//! Postgres away for half a minute in the middle of trouble: streams stay, detection goes on, reads say that they are
//! stale, nothing new is ordered, and everything catches up with nothing lost and nothing done twice.

use std::time::{Duration, Instant};

use mooring_proto::v1::{GetFleetRequest, OrderAction, OrderState, Phase};
use mooring_store_pg::private::{Durability, Options, PrivatePostgres};
use mooring_tests::gateway::{Gateway, free_port, node_command, pid};
use mooring_tests::process::send;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use rustix::process::Signal;

const AWAY: Duration = Duration::from_secs(30);

async fn server() -> (tempfile::TempDir, PrivatePostgres) {
    // Open to the server's own user, who is not the one that runs the tests when that is root.
    let dir = tempfile::tempdir().expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).expect("permissions");
    let mut options = Options::new(dir.path());
    options.durability = Durability::Durable;
    let server = PrivatePostgres::start(options).await.expect("a Postgres");
    server.create_database("mooring").await.expect("a database");
    (dir, server)
}

#[tokio::test]
async fn postgres_is_stopped_for_half_a_minute() {
    let (_dir, mut postgres) = server().await;
    let ports: Vec<u16> = (0..2).map(|_| free_port()).collect();
    let supervised: Vec<Watched> = ports
        .iter()
        .enumerate()
        .map(|(i, port)| Watched::supervised(&format!("g{i}"), *port, &node_command("ws-plain.js", *port)))
        .collect();
    let outside = Gateway::node("ws-plain.js", &[]).await;
    let calm = Watched::at("calm", &outside.address);
    let mut all = supervised.clone();
    all.push(calm.clone());
    let world = World::start_with(&all, QUICK_POLICY, postgres.url("mooring")).await;
    for w in &all {
        world.api.phase(&w.instance(), Phase::Healthy).await;
    }
    let streams_before = attachments(&world).await;

    postgres.stop().await.expect("Postgres stops");
    // Trouble while it is away.
    for port in &ports {
        send(pid(*port).await, Signal::KILL);
    }
    let fleet = || async { world.api.fleet.clone().get_fleet(GetFleetRequest {}).await };
    until("the controller to notice", || async {
        match fleet().await {
            Ok(f) if f.get_ref().database_away => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let since = Instant::now();
    while since.elapsed() < AWAY {
        // All along: reads are served and say that they are stale, and no order is made.
        let f = fleet().await.expect("reads are served").into_inner();
        assert!(f.database_away && f.database_away_since.is_some());
        assert_eq!(f.live_orders, 0, "no order while the database is away");
        let i = world.api.instance(&calm.instance()).await.expect("reads are served");
        assert!(i.stale, "{i:#?}");
        let mut client = world.api.orders.clone();
        let refused = client.create_order(mooring_proto::v1::CreateOrderRequest {
            target: calm.instance(),
            action: OrderAction::Reconnect.into(),
            reason: "while it is away".to_owned(),
            ..Default::default()
        });
        let refused = refused.await.expect_err("no order is taken");
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    postgres.start_again().await.expect("Postgres starts again");

    for w in &supervised {
        world.api.event_of(&w.instance(), "ProcessKilled").await;
        let order = world.api.order_in(&w.gateway(), OrderState::Succeeded).await;
        assert_eq!(order.action(), OrderAction::RestartGateway);
        world.api.phase(&w.instance(), Phase::Healthy).await;
    }
    let orders = world.api.orders().await.unwrap();
    assert_eq!(orders.len(), supervised.len(), "each was mended once: {orders:#?}");
    assert_eq!(attachments(&world).await, streams_before, "no agent stream was lost");
}

async fn attachments(world: &World) -> Option<prost_types::Timestamp> {
    let request =
        mooring_proto::v1::GetAgentRequest { name: format!("agents/{}", mooring_tests::world::AGENT) };
    world.api.fleet.clone().get_agent(request).await.expect("the agent").into_inner().attach_time
}
