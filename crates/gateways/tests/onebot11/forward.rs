//! Forward mode: one more client of the implementation's own server, beside the framework.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind as C, Status};
use mooring_gateways::Doing;
use mooring_gateways::onebot11::{Mode, Settings};
use mooring_runtime::config::SecretFile;

use crate::support::{Between, ID, Program, settings};

fn watching(server: &Program) -> Settings {
    Settings {
        mode: Mode::Forward,
        url: format!("ws://{}/", server.address),
        self_id: ID.to_owned(),
        listen: None,
        ..settings()
    }
}

async fn server(more: &[&str]) -> Program {
    Program::start("lagrange.js", &[&["--forward", "true", "--heartbeat", "300ms"], more].concat()).await
}

#[tokio::test]
async fn the_implementation_is_watched_beside_its_framework() {
    let bot = server(&[]).await;
    let url = format!("ws://{}/", bot.address);
    let framework = Program::start("nonebot2.py", &["--forward", &url]).await;
    let between = Between::start(watching(&bot)).await;
    for kind in [C::Reachable, C::Beating, C::Linked, C::Delivering] {
        between.well(kind).await;
    }
    bot.round_trip("hello").await;
    let said = between.order(Doing::Reconnect, Duration::from_secs(20)).await.unwrap();
    assert!(said.contains("connected again"), "{said}");
    assert_eq!(framework.said("disconnected"), 0);
    bot.make("bot-offline").await;
    between.claims(C::Linked, Status::False, Some(Cause::AccountOffline)).await;
    bot.make("mute-api").await;
    between.claims(C::Delivering, Status::False, Some(Cause::ApiUnresponsive)).await;
    bot.make("half-open").await;
    between.claims(C::Reachable, Status::False, Some(Cause::HalfOpen)).await;
    bot.make("heal").await;
    between.well(C::Reachable).await;
    bot.kill().await;
    between.claims(C::Reachable, Status::False, Some(Cause::ConnectionRefused)).await;
}

#[tokio::test]
async fn koishi_is_served_by_the_same_server() {
    let bot = server(&[]).await;
    let url = format!("ws://{}/", bot.address);
    let _framework = Program::start("koishi.js", &["--forward", &url]).await;
    let between = Between::start(watching(&bot)).await;
    between.well(C::Delivering).await;
    bot.round_trip("hello").await;
}

#[tokio::test]
async fn a_token_is_needed_and_used() {
    let bot = server(&["--token", "s3cret"]).await;
    let between = Between::start(watching(&bot)).await;
    let claim = between.claims(C::Reachable, Status::False, Some(Cause::CredentialsRefused)).await;
    assert!(claim.message.contains("missing token"), "{}", claim.message);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let settings = Settings { token_file: Some(SecretFile::new(path)), ..watching(&bot) };
    let between = Between::start(settings).await;
    between.well(C::Delivering).await;
}
