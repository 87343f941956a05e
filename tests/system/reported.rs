//! Gateways that report: from a line of `curl` or the client for Node to the fleet, and from the planner's order back to
//! the bot.

use mooring_proto::v1::{ConditionStatus, OrderAction, OrderState, Phase, SessionSource};
use mooring_tests::gateway::Gateway;
use mooring_tests::process::root;
use mooring_tests::wait::until;
use mooring_tests::world::{QUICK_POLICY, Watched, World};
use tokio::process::Command;

/// A gateway that reports and is not watched in any other way; what it says of itself is all there is.
fn bots() -> Watched {
    Watched { id: "bots".to_owned(), url: String::new(), more: "watch = [\"report\"]\n".to_owned() }
}

fn account(name: &str) -> String {
    format!("{}/instances/{name}", bots().gateway())
}

async fn world() -> World {
    let world = World::start(&[bots()]).await;
    let agent = world.agent.as_ref().expect("running");
    agent.line("that it watches", |l| l.contains("the agent watches").then_some(())).await;
    world
}

/// A bot with the client for Node.
async fn bot(world: &World, flags: &[&str]) -> Gateway {
    Gateway::reporter(&world.report_address, flags).await
}

/// A line of a document that begins with `curl` and contains something, as it stands there but for the address.
fn documented(file: &str, contains: &str, world: &World) -> String {
    let text = std::fs::read_to_string(root().join(file)).expect("the document");
    let mut lines = text.lines().filter(|line| line.starts_with("curl ") && line.contains(contains));
    let line = lines.next().unwrap_or_else(|| panic!("{file} has a line with `{contains}`"));
    line.replace("localhost:7613", &world.report_address)
}

async fn shell(line: &str) -> serde_json::Value {
    let output = Command::new("sh").args(["-c", line]).kill_on_drop(true).output().await.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{line}: {output:?}");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
}

#[tokio::test]
async fn the_documents_lines_of_curl_are_all_it_takes() {
    let world = world().await;
    let guide = "clients/node/README.md";
    shell(&documented(guide, ":register", &world)).await;
    shell(&documented("README.md", "{\"open\":{}}", &world)).await;
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    let sessions = world.api.listed(&bots().gateway(), "", 1).await;
    assert_eq!((sessions[0].source(), &sessions[0].instance), (SessionSource::Report, &account("acct-1")));

    let poll = documented(guide, "/orders?wait=30s", &world);
    let poll = tokio::spawn(async move { shell(&poll).await });
    shell(&documented(guide, "\"code\":428", &world)).await;
    let cause = world.api.event_of(&account("acct-1"), "ReportedClosed").await;
    assert!(cause.message.contains("428"), "{cause:?}");
    let orders = poll.await.expect("an answer");
    let order = &orders["orders"][0];
    assert_eq!((&order["action"], &order["instance"]), (&"reconnect".into(), &"acct-1".into()), "{orders}");
    let id = order["id"].as_str().expect("an id");
    shell(&documented("README.md", "{\"open\":{}}", &world)).await;
    shell(&documented(guide, "\"stage\":\"done\"", &world).replace("ID:answer", &format!("{id}:answer")))
        .await;
    let order = world.api.order_in(&account("acct-1"), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::Reconnect, "ReportedClosed"));
}

#[tokio::test]
async fn a_bot_that_was_closed_is_told_to_reconnect_and_does() {
    let world = world().await;
    let bot = bot(&world, &[]).await;
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    until("the bot to listen for orders", || async {
        if bot.stat("connected").await != 0 { Ok(()) } else { Err(bot.process.log()) }
    })
    .await;

    bot.control("do=close&code=428").await;
    let event = world.api.event_of(&account("acct-1"), "ReportedClosed").await;
    assert!(event.message.contains("428"), "{event:?}");
    let order = world.api.order_in(&account("acct-1"), OrderState::Succeeded).await;
    assert_eq!((order.action(), order.cause.as_str()), (OrderAction::Reconnect, "ReportedClosed"));
    assert_eq!(bot.stat("reconnects").await, 1);
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    let close = world.api.close_of(&bots().gateway(), |c| c.source() == SessionSource::Report).await;
    assert_eq!((close.code, close.instance), (428, account("acct-1")));

    // By hand the same: closing the session is asking the bot to renew it.
    let session = world.api.listed(&account("acct-1"), "", 1).await.remove(0);
    world.api.done(&session.name, OrderAction::CloseSession).await;
    assert_eq!(bot.stat("reconnects").await, 2);
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
}

#[tokio::test]
async fn a_revoked_login_is_for_a_human_and_nothing_is_ordered() {
    let world = world().await;
    let bot = bot(&world, &[]).await;
    world.api.phase(&account("acct-1"), Phase::Healthy).await;

    bot.control("do=close&code=401").await;
    let instance = world.api.phase(&account("acct-1"), Phase::NeedsHuman).await;
    let linked = instance.conditions.iter().find(|c| c.r#type == "Linked").expect("it is always there");
    assert_eq!(
        (linked.status(), linked.cause.as_str()),
        (ConditionStatus::False, "LoginRevoked"),
        "{instance:#?}"
    );
    let explained =
        mooring_proto::v1::ExplainInstanceRequest { name: account("acct-1"), ..Default::default() };
    let explained =
        world.api.fleet.clone().explain_instance(explained).await.expect("explained").into_inner();
    assert!(!explained.remedy.is_empty(), "{explained:#?}");
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
    assert_eq!(bot.stat("reconnects").await, 0);
}

#[tokio::test]
async fn a_promised_heartbeat_that_is_missed_is_sickness() {
    let policy = QUICK_POLICY.replace("act_after = \"200ms\"", "act_after = \"30s\"");
    let database = mooring_tests::postgres::fresh_database().await;
    let world = World::start_with(&[bots()], &policy, database).await;
    let bot = {
        let agent = world.agent.as_ref().expect("running");
        agent.line("that it watches", |l| l.contains("the agent watches").then_some(())).await;
        bot(&world, &["--heartbeat", "1s"]).await
    };
    world.api.phase(&account("acct-1"), Phase::Healthy).await;

    bot.control("do=hang&for=5s").await;
    let event = world.api.event_of(&account("acct-1"), "HeartbeatMissed").await;
    assert!(event.message.contains("promised within 2"), "{event:?}");
    let instance = world.api.instance(&account("acct-1")).await.expect("it is known");
    let beating = instance.conditions.iter().find(|c| c.r#type == "Beating").expect("it is always there");
    assert_eq!(beating.status(), ConditionStatus::False, "{instance:#?}");
    let sick = world.api.listed(&bots().gateway(), "cause = \"HeartbeatMissed\"", 1).await;
    assert_eq!(sick[0].instance, account("acct-1"));
    // It goes on by itself.
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
}

#[tokio::test]
async fn what_was_registered_outlives_controller_and_agent() {
    let mut world = world().await;
    let _one = bot(&world, &["--instance", "acct-1"]).await;
    let two = bot(&world, &["--instance", "acct-2"]).await;
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    world.api.phase(&account("acct-2"), Phase::Healthy).await;
    two.control("do=close&code=401").await;
    world.api.phase(&account("acct-2"), Phase::NeedsHuman).await;

    world.kill_controller().await;
    world.start_controller().await;
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    world.api.phase(&account("acct-2"), Phase::NeedsHuman).await;

    // The agent itself forgets; the bots hear it from its answers and say everything again.
    world.kill_agent().await;
    world.start_agent();
    world.api.phase(&account("acct-1"), Phase::Healthy).await;
    world.api.phase(&account("acct-2"), Phase::NeedsHuman).await;
    assert_eq!(world.api.orders().await.unwrap(), vec![]);
}
