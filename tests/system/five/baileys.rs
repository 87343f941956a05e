//! Case 2, Baileys, the real package on a loopback WhatsApp server: a link that is lost (428 that was a 1006), a
//! `connecting` that never ends, and a login that must not be retried.

use std::time::Instant;

use mooring_proto::v1::Phase;
use mooring_tests::process::{Process, root};
use mooring_tests::world::{AGENT, Watched, World};
use tokio::process::Command;

use super::{has_remedy, orders_on, row};

fn bots() -> Watched {
    Watched { id: "wa".to_owned(), url: String::new(), more: "kind = \"baileys\"\n".to_owned() }
}

fn account(name: &str) -> String {
    format!("agents/{AGENT}/gateways/wa/instances/{name}")
}

async fn world() -> World {
    let world = World::start(&[bots()]).await;
    let agent = world.agent.as_ref().expect("running");
    agent.line("that it watches", |l| l.contains("the agent watches").then_some(())).await;
    world
}

/// A bot whose connections to WhatsApp go as planned, one after the other.
fn bot(world: &World, name: &str, plans: &str, more: &[&str]) -> Process {
    let folder = root().join("clients/node/test/baileys");
    assert!(
        folder.join("node_modules").is_dir(),
        "run `npm ci --prefix clients/node/test/baileys` first (cargo xtask test does)"
    );
    let mut command = Command::new("node");
    command.arg(folder.join("bot.mjs")).args([name, plans]).args(more);
    command.env("MOORING_REPORT", format!("http://{}", world.report_address));
    Process::start_attached("a bot", &mut command)
}

#[tokio::test]
async fn a_lost_link_is_told_with_the_code_behind_the_428_and_comes_back() {
    let world = world().await;
    let from = Instant::now();
    let _bot = bot(&world, "shop", "open:terminate,ok", &[]);
    let lost = world.api.event_of(&account("shop"), "ReportedClosed").await;
    let close = world.api.close_of("agents/local/gateways/wa", |c| c.code == 1006).await;
    assert_eq!(close.cause, "ReportedClosed", "{close:?}");
    assert!(lost.message.contains("428"), "{lost:?}");
    world.api.phase(&account("shop"), Phase::Healthy).await;
    row(
        "Baileys",
        "WhatsApp's end of the link is gone without a Close frame",
        "`ReportedClosed`: 428, and behind it the real 1006",
        "the bot's own reconnect with backoff, seen; healthy",
        from,
    );
}

#[tokio::test]
async fn a_login_that_was_revoked_is_not_retried() {
    let world = world().await;
    let from = Instant::now();
    let _bot = bot(&world, "gone", "open:error:401:conflict:device_removed,ok", &[]);
    world.api.cause(&account("gone"), "LoginRevoked").await;
    world.api.phase(&account("gone"), Phase::NeedsHuman).await;
    has_remedy(&world, &account("gone")).await;
    assert_eq!(orders_on(&world, &account("gone")).await, vec![]);
    row(
        "Baileys",
        "the phone removed the device (401)",
        "`LoginRevoked`",
        "nothing; handed to a human",
        from,
    );
}

#[tokio::test]
async fn a_connecting_that_never_ends_is_found_and_released() {
    let world = world().await;
    let from = Instant::now();
    // The upgrade is answered with 502 and the connection closed: Baileys itself would wait for ever.
    let _bot = bot(&world, "stuck", "http:502:closed,ok", &["connectingTimeout=1500"]);
    let event = world.api.event_of(&account("stuck"), "ConnectingStuck").await;
    assert!(!event.message.is_empty());
    world.api.phase(&account("stuck"), Phase::Healthy).await;
    row(
        "Baileys",
        "the upgrade is answered with 502, and `connecting` never ends",
        "`ConnectingStuck`",
        "the client's watchdog ended the socket; a new one opened",
        from,
    );
}
