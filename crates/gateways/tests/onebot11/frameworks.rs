//! Each real framework behind the adapter: traffic both ways, and either end restarted without the other's noticing more
//! than a pause.

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind as C, Status};
use mooring_gateways::onebot11::Settings;

use crate::support::{Between, Program, implementation, settings};

/// A framework: its script, its path.
#[derive(Clone, Copy)]
struct Kind(&'static str, &'static str);

const NONEBOT: Kind = Kind("nonebot2.py", "/onebot/v11/ws");
const AIOCQHTTP: Kind = Kind("aiocqhttp_server.py", "/ws");
const KOISHI: Kind = Kind("koishi.js", "/onebot");
const KARIN: Kind = Kind("karin.mjs", "/onebot/v11/ws");
const YUNZAI: Kind = Kind("yunzai.js", "/OneBotv11");

fn before(framework: &Program, kind: Kind) -> Settings {
    Settings { forward_to: format!("ws://{}{}", framework.address, kind.1), ..settings() }
}

async fn opens(implementation: &Program) -> (u64, usize) {
    let stats = implementation.stats().await;
    (stats["opens"].as_u64().unwrap(), stats["closes"].as_array().unwrap().len())
}

/// Traffic, then the framework is killed and comes back, then the implementation.
async fn survives(kind: Kind) {
    let framework = Program::start(kind.0, &[]).await;
    let port = framework.port();
    let between = Between::start(before(&framework, kind)).await;
    let bot = implementation(&between.address, "/onebot/v11/ws", &[]).await;
    for kind in [C::Reachable, C::Beating, C::Linked, C::Delivering] {
        between.well(kind).await;
    }
    bot.round_trip("first").await;

    framework.kill().await;
    between.claims(C::Reachable, Status::False, Some(Cause::ConnectionRefused)).await;
    // Said while nobody is there to hear it; the framework answers it once it is back.
    bot.make("event&text=meanwhile").await;
    let framework = Program::start(kind.0, &["--port", &port]).await;
    bot.called_with("echo meanwhile").await;
    between.well(C::Reachable).await;
    bot.round_trip("again").await;
    assert_eq!(opens(&bot).await, (1, 0), "the implementation noticed");

    bot.kill().await;
    between.claims(C::Reachable, Status::False, Some(Cause::PeerAbsent)).await;
    let bot = implementation(&between.address, "/onebot/v11/ws", &[]).await;
    between.well(C::Reachable).await;
    bot.round_trip("third").await;
    assert_eq!(framework.said("disconnected"), 0, "the framework noticed");
}

#[tokio::test]
async fn nonebot2() {
    survives(NONEBOT).await;
}

#[tokio::test]
async fn aiocqhttp() {
    survives(AIOCQHTTP).await;
}

#[tokio::test]
async fn koishi() {
    survives(KOISHI).await;
}

#[tokio::test]
async fn karin() {
    survives(KARIN).await;
}

#[tokio::test]
async fn yunzai() {
    survives(YUNZAI).await;
}

#[tokio::test]
async fn two_connections_for_one_account() {
    // NoneBot knows no roles and takes one connection per id; aiocqhttp takes both.
    let framework = Program::start(AIOCQHTTP.0, &[]).await;
    let between = Between::start(before(&framework, AIOCQHTTP)).await;
    let bot = implementation(&between.address, "/onebot/v11/ws", &["--split", "true"]).await;
    bot.round_trip("split").await;
    between.well(C::Reachable).await;
    between.well(C::Delivering).await;
    between.well(C::Beating).await;
}
