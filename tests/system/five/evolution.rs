//! Case 1, Evolution API: an instance that hangs in `connecting`, one that was made by hand and does not come up until the
//! process is restarted, and a login that must not be retried.

use std::time::Instant;

use mooring_proto::v1::{OrderAction, OrderState, Phase};
use mooring_tests::gateway::{Gateway, free_port, http};
use mooring_tests::process::root;
use mooring_tests::wait::until;
use mooring_tests::world::{AGENT, QUICK_POLICY, Watched, World};

use super::{has_remedy, orders_on, row};

const KEY: &str = "B6D711FCDE4D4FD5936544120E713976";

fn section(address: &str, key: &std::path::Path, more: &str) -> String {
    // A fault is believed after the same time as in the field, only scaled: a hang after a minute would be a long test.
    format!(
        "kind = \"evolution\"\n{more}\n[gateway.evolution]\nurl = \"http://{address}\"\napi_key_file = {key:?}\n\
         poll_interval = \"250ms\"\nhold = \"1s\"\neffect_limit = \"15s\"\n"
    )
}

fn instance(name: &str) -> String {
    format!("agents/{AGENT}/gateways/evo/instances/{name}")
}

async fn make(address: &str, path: &str) {
    http(address, "POST", &format!("/__double/{path}")).await;
}

fn key_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), KEY).expect("the key");
    file
}

async fn double(more: &[&str]) -> Gateway {
    let flags = [&["--key", KEY, "--connect-answer", "100ms"], more].concat();
    Gateway::node("evolution.js", &flags).await
}

#[tokio::test]
async fn an_instance_that_lost_its_line_is_reconnected_and_the_effect_is_seen() {
    let evolution = double(&[]).await;
    let address = evolution.address.clone();
    let key = key_file();
    let watched =
        Watched { id: "evo".to_owned(), url: String::new(), more: section(&address, key.path(), "") };
    make(&address, "instances/shop").await;
    let world = World::start(&[watched]).await;
    let shop = instance("shop");
    world.api.phase(&shop, Phase::Healthy).await;

    // A login that is refused for good: a human's, and nobody else's.
    let from = Instant::now();
    make(&address, "instances/shop/terminal?code=401").await;
    world.api.cause(&shop, "LoginRevoked").await;
    world.api.phase(&shop, Phase::NeedsHuman).await;
    has_remedy(&world, &shop).await;
    assert_eq!(orders_on(&world, &shop).await, vec![], "a revoked login is not retried");
    row(
        "Evolution API",
        "the account was logged out (401)",
        "`LoginRevoked`",
        "nothing; handed to a human",
        from,
    );

    // Nobody's key is in what Mooring tells or keeps.
    let events = world.api.events().await.expect("events");
    let all = format!("{events:?}{}", world.log());
    assert!(!all.contains(KEY), "the global key was told");
}

#[tokio::test]
async fn a_row_made_by_hand_comes_up_by_the_one_order_that_helps() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let key = key_file();
    let folder = tempfile::tempdir().expect("a folder");
    let script = root().join("tests/gateways/evolution.js");
    let db = folder.path().join("db.json");
    // The agent runs the process: it can restart it.
    let command = format!(
        "[gateway.restart]\nhow = \"supervise\"\ngrace = \"1s\"\ncommand = [\"node\", {script:?}, \"--port\", \"{port}\", \
         \"--key\", \"{KEY}\", \"--connect-answer\", \"100ms\", \"--db\", {db:?}]\n"
    );
    let more = section(&address, key.path(), "") + &command;
    let watched = Watched { id: "evo".to_owned(), url: String::new(), more };
    let world =
        World::start_with(&[watched], QUICK_POLICY, mooring_tests::postgres::fresh_database().await).await;
    until("the process to listen", || async {
        tokio::net::TcpStream::connect(&address).await.map(drop).map_err(|e| format!("{e}\n{}", world.log()))
    })
    .await;
    let from = Instant::now();
    make(&address, "rows/by-hand?status=open").await;
    let name = instance("by-hand");
    world.api.event_of(&name, "InstanceNotLoaded").await;
    has_remedy(&world, &name).await;
    let gateway = format!("agents/{AGENT}/gateways/evo");
    let order = world.api.order_in(&gateway, OrderState::Succeeded).await;
    assert_eq!(order.action(), OrderAction::RestartGateway, "{order:#?}");
    world.api.phase(&name, Phase::Healthy).await;
    row(
        "Evolution API",
        "an instance that was made by hand does not come up",
        "`InstanceNotLoaded`",
        "restarted the process, once; the instance is open",
        from,
    );
}
