//! What must never be retried is not: it ends at "needs a human", once, with the remedy in words.

use mooring_proto::v1::{EventType, ExplainInstanceRequest, Phase};
use mooring_tests::gateway::Gateway;
use mooring_tests::wait::until;
use mooring_tests::world::{Watched, World};

async fn ends_at_a_human(watched: Watched, cause: &str, remedy: &str, remedy_zh: &str) {
    let world = World::start(std::slice::from_ref(&watched)).await;
    let instance = world.api.phase(&watched.instance(), Phase::NeedsHuman).await;
    let reachable = instance.conditions.iter().find(|c| c.r#type == "Reachable").expect("a condition");
    assert_eq!(reachable.cause, cause, "{reachable:#?}");
    until("the call for a human", || async {
        let events = world.api.events().await;
        let human = |e: &&mooring_proto::v1::Event| e.r#type() == EventType::Human;
        let calls = events.as_ref().map(|e| e.iter().filter(human).count());
        if calls.as_ref().is_ok_and(|n| *n == 1) { Ok(()) } else { Err(events) }
    })
    .await;
    for (language, words) in [("en", remedy), ("zh-CN", remedy_zh)] {
        let request = ExplainInstanceRequest { name: watched.instance(), language: language.to_owned() };
        let explained =
            world.api.fleet.clone().explain_instance(request).await.expect("explained").into_inner();
        assert!(explained.remedy.contains(words), "{language}: {}", explained.remedy);
    }
    assert_eq!(world.api.orders().await.expect("orders"), vec![], "nothing is ordered for it");
}

#[tokio::test]
async fn answers_http_but_not_upgrades() {
    let gateway = Gateway::node("http-only.js", &[]).await;
    ends_at_a_human(Watched::at("shop", &gateway.address), "UpgradeNotPerformed", "server.listen", "挂载")
        .await;
}

#[tokio::test]
async fn the_websocket_server_is_bound_to_another_server() {
    let gateway = Gateway::node("ws-wrong-server.js", &[]).await;
    ends_at_a_human(Watched::at("shop", &gateway.address), "UpgradeNotPerformed", "server.listen", "挂载")
        .await;
}

#[tokio::test]
async fn a_wrong_path() {
    let gateway = Gateway::node("ws-plain.js", &["--path", "/chat"]).await;
    ends_at_a_human(Watched::at("chat", &gateway.address), "WrongPath", "path", "路径").await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_started() {
    let command = vec!["/nonexistent/gateway".to_owned()];
    let watched = Watched::supervised("ghost", mooring_tests::gateway::free_port(), &command);
    let world = World::start(std::slice::from_ref(&watched)).await;
    // Whatever the wire shows, in the end a human is called and the tries are bounded by the ladder.
    until("a human to be called", || async {
        let events = world.api.events().await.unwrap_or_default();
        let called = events.iter().any(|e| e.r#type() == EventType::Human);
        if called { Ok(()) } else { Err(events) }
    })
    .await;
    let orders = world.api.orders().await.unwrap();
    assert!(orders.len() <= 4, "{orders:#?}");
}
