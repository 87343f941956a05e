//! Case 3, `ws` servers: the WebSocket server is bound to another HTTP server than the one that listens.

use std::time::Instant;

use mooring_proto::v1::Phase;
use mooring_tests::gateway::Gateway;
use mooring_tests::world::{Watched, World};

use super::{has_remedy, orders_on, row};

#[tokio::test]
async fn a_server_on_the_wrong_listener_is_told_and_left_alone_until_it_is_mended() {
    let broken = Gateway::node("ws-wrong-server.js", &[]).await;
    let port = broken.port().to_string();
    let watched = Watched::at("chat", &broken.address);
    let from = Instant::now();
    let world = World::start(std::slice::from_ref(&watched)).await;
    let instance = watched.instance();
    let condition = world.api.cause(&instance, "UpgradeNotPerformed").await;
    world.api.phase(&instance, Phase::NeedsHuman).await;
    let remedy = has_remedy(&world, &instance).await;
    assert!(remedy.contains("server.listen"), "{remedy}");
    assert!(condition.message.contains("404"), "{condition:?}");
    assert_eq!(orders_on(&world, &instance).await, vec![], "nothing that Mooring could order would mend it");
    let told = from.elapsed();

    // As the remedy says: the WebSocket server on the server that listens.
    drop(broken);
    let _mended = Gateway::node("ws-plain.js", &["--port", &port]).await;
    world.api.phase(&instance, Phase::Healthy).await;
    assert_eq!(orders_on(&world, &instance).await, vec![]);
    row(
        "`ws`",
        "the WebSocket server stands on another HTTP server than the one that listens",
        "`UpgradeNotPerformed`",
        &format!("nothing; told after {:.1} s; mended by hand, healthy", told.as_secs_f64()),
        from,
    );
}
