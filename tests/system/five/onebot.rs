//! Case 5, OneBot v11 in reverse: the implementation dials a path that the framework does not know, and is dropped or
//! refused, for ever. Mooring sits between the two.

use std::time::Instant;

use mooring_proto::v1::Phase;
use mooring_tests::faults::program::node;
use mooring_tests::gateway::{free_port, http};
use mooring_tests::wait::until;
use mooring_tests::world::{AGENT, Watched, World};

use super::{has_remedy, orders_on, row};

fn between(port: u16, framework: &str, more: &str) -> Watched {
    let more = format!(
        "kind = \"onebot11\"\n[gateway.onebot11]\nmode = \"reverse\"\nlisten = \"127.0.0.1:{port}\"\n\
         forward_to = \"ws://{framework}/OneBotv11\"\nprobe_interval = \"1s\"\n{more}\n"
    );
    Watched { id: "qq".to_owned(), url: String::new(), more }
}

fn account(id: &str) -> String {
    format!("agents/{AGENT}/gateways/qq/instances/{id}")
}

#[tokio::test]
async fn a_wrong_path_is_told_and_put_right_on_the_way() {
    let (_yunzai, framework) = node("onebot/yunzai.js", &[]).await;
    let port = free_port();
    // As the documents of another framework say, and Yunzai does not know it.
    let wrong = format!("ws://127.0.0.1:{port}/wrong/path");
    let from = Instant::now();
    let world = World::start(&[between(port, &framework, "paths = [\"/onebot/v11/ws\"]")]).await;
    let (_lagrange, control) = node(
        "onebot/lagrange.js",
        &["--reverse", &wrong, "--self-id", "10001", "--interval", "500ms", "--heartbeat", "500ms"],
    )
    .await;
    let gateway = format!("agents/{AGENT}/gateways/qq");
    let sick = until("the wrong path to be told", || async {
        let request = mooring_proto::v1::ListInstancesRequest {
            parent: gateway.clone(),
            page_size: 100,
            ..Default::default()
        };
        let all = world.api.fleet.clone().list_instances(request).await.map_err(|e| e.to_string())?;
        let all = all.into_inner().instances;
        let found = all.iter().find(|i| i.conditions.iter().any(|c| c.cause == "WrongPath"));
        found.map(|i| i.name.clone()).ok_or(format!("{all:#?}"))
    })
    .await;
    let condition = world.api.cause(&sick, "WrongPath").await;
    assert!(condition.message.contains("/wrong/path"), "{condition:?}");
    has_remedy(&world, &sick).await;
    assert_eq!(orders_on(&world, &sick).await, vec![], "no order would put a path right");
    let told = from.elapsed();

    // Where the implementation cannot be changed, its path is rewritten on the way.
    let mended =
        "paths = [\"/onebot/v11/ws\", \"/wrong/path\"]\nrewrite = { \"/wrong/path\" = \"/OneBotv11\" }";
    world.write_agent(&[between(port, &framework, mended)]);
    world.reload_agent();
    world.api.phase(&account("10001"), Phase::Healthy).await;
    let stats: serde_json::Value =
        serde_json::from_str(&http(&framework, "GET", "/_stats").await).expect("what it saw");
    assert!(stats["opens"].as_i64() >= Some(1), "the framework has its bot: {stats}");
    row(
        "OneBot v11, Lagrange to Yunzai",
        "the implementation dials a path that the framework does not know, every half second",
        "`WrongPath`, with both paths",
        &format!("nothing; told after {:.1} s; rewritten on the way, healthy", told.as_secs_f64()),
        from,
    );

    // The account behind it goes offline; its heartbeat goes on to say that all is good.
    let from = Instant::now();
    http(&control, "POST", "/_control?do=bot-offline").await;
    world.api.cause(&account("10001"), "AccountOffline").await;
    world.api.phase(&account("10001"), Phase::NeedsHuman).await;
    has_remedy(&world, &account("10001")).await;
    row(
        "OneBot v11, Lagrange to Yunzai",
        "the account is offline while each heartbeat says `online` and `good`",
        "`AccountOffline`",
        "nothing; handed to a human",
        from,
    );
}
