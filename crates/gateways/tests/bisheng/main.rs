//! The Bisheng adapter against real Apache, real nginx, and a FastAPI and uvicorn twin of the backend: each fault is made
//! where it happens, and has to be named there.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

mod desk;
mod stack;
mod users;

use std::time::Duration;

use mooring_core::cause::{Cause, Handling};
use mooring_core::condition::{ConditionKind, Status};
use mooring_gateways::Doing;
use mooring_gateways::bisheng::Settings;
use serde_json::json;

use desk::{Watch, settings};
use stack::{GOOD, Proxy, STRIPS, Stack, bundled};
use users::User;

use ConditionKind::{Beating, Delivering, Linked, Reachable};

#[tokio::test]
async fn through_both_proxies_all_is_well() {
    let stack = Stack::start(GOOD, GOOD).await;
    let settings = Settings {
        login_check: Some("/api/v1/user/info".to_owned()),
        worker_check: Some("/api/v1/workers".to_owned()),
        ..settings(&stack).await
    };
    let mut watch = Watch::start(settings);
    let claim = watch.well(Reachable).await;
    let places: Vec<_> = claim.evidence.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["backend", "nginx", "apache"]);
    for (place, words) in &claim.evidence {
        assert!(words.contains("101") && words.contains("ping answered"), "{place}: {words}");
    }
    for claim in watch.hear(Reachable, 5).await {
        assert_eq!(claim.status, Status::True, "{claim:?}");
    }
    watch.end().await;
    let saw = stack.saw().await;
    assert_eq!(saw["messages"], json!([]), "no message of ours reaches the application");
    let opened = saw["opened"].as_array().unwrap();
    assert!(opened.iter().all(|id| id.as_str().unwrap().starts_with("6d6f6f72696e")), "{opened:?}");
    let ended = saw["ended"].as_array().unwrap();
    assert!(!ended.is_empty() && ended.iter().all(|code| code == 1000), "each closed properly: {ended:?}");
    let complaints = stack.complaints();
    assert!(!complaints.contains("error]") && !complaints.contains("reset by peer"), "{complaints}");
}

#[tokio::test]
async fn a_stripped_upgrade_is_named_where_it_is_stripped() {
    let mut stack = Stack::start(GOOD, STRIPS).await;
    let mut watch = Watch::start(settings(&stack).await);
    let claim = watch.fails(Reachable, Cause::ProxyStrippedUpgrade).await;
    assert!(claim.message.starts_with("`apache`") && claim.message.contains("works at `nginx`"), "{claim:?}");
    assert!(claim.evidence[0].1.starts_with("apache"), "{claim:?}");

    stack.start_nginx(&bundled(STRIPS)).await;
    let mended = loop {
        let claim = watch.fails(Reachable, Cause::ProxyStrippedUpgrade).await;
        if claim.message.starts_with("`nginx`") {
            break claim;
        }
    };
    assert!(mended.message.contains("works at `backend`"), "{mended:?}");

    // Mended from the inside out, it works.
    stack.start_nginx(&bundled(GOOD)).await;
    stack.start_apache(GOOD).await;
    watch.well(Reachable).await;
    watch.end().await;
}

#[tokio::test]
async fn the_front_ends_page_and_a_dead_proxy_are_told_apart() {
    let mut stack = Stack::start(GOOD, GOOD).await;
    // The API is served under another path, and everything else is the front end's.
    stack.start_nginx("location /other { proxy_pass BACKEND; }").await;
    let mut watch = Watch::start(settings(&stack).await);
    let claim = watch.fails(Reachable, Cause::SpaFallback).await;
    assert!(claim.message.starts_with("`nginx`"), "{claim:?}");
    assert_eq!(watch.well(Beating).await.status, Status::True, "the backend itself is fine");

    stack.kill_nginx().await;
    let claim = watch.fails(Reachable, Cause::NetworkUnreachable).await;
    assert!(claim.message.contains("`nginx`") && claim.message.contains("Bisheng is not"), "{claim:?}");

    // nginx is back and looks for the backend where nothing is.
    let astray = bundled(GOOD).replace("BACKEND", "http://127.0.0.1:1");
    stack.start_nginx(&astray).await;
    let claim = loop {
        let claim = watch.fails(Reachable, Cause::NetworkUnreachable).await;
        if claim.message.contains("upstream") {
            break claim;
        }
    };
    assert!(claim.message.contains("Restarting Bisheng would not help"), "{claim:?}");
    watch.end().await;
}

#[tokio::test]
async fn a_public_address_with_tls_is_walked_too_and_its_certificate_is_its_own_fault() {
    let mut stack = Stack::start(GOOD, GOOD).await;
    let ca = stack.start_apache_tls().await;
    let mut settings = settings(&stack).await;
    settings.hops[1].url = stack.apache().replace("http://", "https://");
    settings.tls.ca = Some(ca);
    let mut watch = Watch::start(settings.clone());
    watch.well(Reachable).await;
    watch.end().await;

    // Signed anew, by somebody who is not trusted.
    let trusted = settings.tls.ca.as_ref().unwrap().with_file_name("trusted.pem");
    std::fs::copy(settings.tls.ca.as_ref().unwrap(), &trusted).unwrap();
    settings.tls.ca = Some(trusted.clone());
    let renewed = stack.start_apache_tls().await;
    let mut watch = Watch::start(settings);
    let claim = loop {
        let heard = watch.hear(Reachable, 1).await;
        if let Some(claim) = heard.into_iter().find(|c| c.kind == Reachable) {
            break claim;
        }
    };
    assert_eq!(claim.status, Status::False, "{claim:?}");
    assert!(claim.message.starts_with("at `apache`"), "{claim:?}");
    let cause = claim.cause.unwrap();
    assert!(cause.name().starts_with("Certificate"), "{claim:?}");
    assert_eq!(cause.handling(), Handling::Human, "no order mends a certificate");
    // The files are followed.
    std::fs::copy(renewed, trusted).unwrap();
    watch.well(Reachable).await;
    watch.end().await;
}

#[tokio::test]
async fn a_frozen_backend_is_stalled_and_a_killed_one_down() {
    let mut stack = Stack::start(GOOD, GOOD).await;
    let mut watch = Watch::start(settings(&stack).await);
    watch.well(Reachable).await;

    stack.signal("STOP");
    let claim = watch.fails(Reachable, Cause::GatewayStalled).await;
    assert!(claim.message.starts_with("`backend`"), "{claim:?}");
    watch.fails(Beating, Cause::GatewayStalled).await;
    stack.signal("CONT");
    watch.well(Reachable).await;

    stack.kill_twin().await;
    let claim = watch.fails(Reachable, Cause::BackendDown).await;
    assert!(claim.message.contains("`backend`"), "{claim:?}");
    watch.fails(Beating, Cause::BackendDown).await;
    stack.start_twin(20).await;
    watch.well(Reachable).await;
    watch.end().await;
}

#[tokio::test]
async fn what_rest_hides_in_200_is_found() {
    let stack = Stack::start(GOOD, GOOD).await;
    let settings = Settings {
        login_check: Some("/api/v1/user/info".to_owned()),
        worker_check: Some("/api/v1/workers".to_owned()),
        ..settings(&stack).await
    };
    let mut watch = Watch::start(settings);
    watch.well(Delivering).await;

    stack.fault("worker", json!(false)).await;
    let claim = watch.fails(Delivering, Cause::BackendUnhealthy).await;
    assert!(claim.message.contains("no worker answers") && claim.message.contains("10540"), "{claim:?}");
    assert_eq!(watch.well(Reachable).await.status, Status::True, "sessions open all the same");
    stack.fault("worker", json!(true)).await;
    watch.well(Delivering).await;

    stack.fault("rest", json!(500)).await;
    let claim = watch.fails(Beating, Cause::BackendUnhealthy).await;
    assert!(claim.message.contains("HTTP 200, but status_code 500"), "{claim:?}");
    stack.fault("rest", json!(null)).await;
    watch.well(Beating).await;

    stack.fault("health", json!({"status": "DEGRADED"})).await;
    let claim = watch.fails(Beating, Cause::BackendUnhealthy).await;
    assert!(claim.message.contains("DEGRADED"), "{claim:?}");
    watch.end().await;
}

#[tokio::test]
async fn the_login_and_the_handler_that_breaks_on_it() {
    let stack = Stack::start(GOOD, GOOD).await;
    let good = settings(&stack).await;
    let file = good.cookie_file.clone().unwrap();
    let mut watch =
        Watch::start(Settings { login_check: Some("/api/v1/user/info".to_owned()), ..good.clone() });
    watch.well(Linked).await;

    // The login is no good any more: as an API should say it, and as 2.6.0 says it.
    std::fs::write(file.path(), "eyJ.no.good").unwrap();
    let claim = watch.fails(Linked, Cause::CredentialsRefused).await;
    assert!(!claim.message.contains("eyJ"), "the token is told to nobody: {claim:?}");
    let claim = watch.fails(Reachable, Cause::CredentialsRefused).await;
    assert!(claim.message.contains("cookie_file"), "{claim:?}");
    stack.fault("handler_bug", json!(true)).await;
    let claim = watch.fails(Reachable, Cause::HandlerFailed).await;
    assert!(claim.message.contains("`backend`"), "{claim:?}");

    // A new login is taken up without a restart.
    stack.login().await;
    watch.well(Reachable).await;
    watch.well(Linked).await;
    watch.end().await;

    // Without one, the refusal itself shows that the way is open, whichever way it is said.
    let mut watch = Watch::start(Settings { cookie_file: None, ..good.clone() });
    let claim = watch.well(Reachable).await;
    assert!(claim.message.contains("no cookie_file"), "{claim:?}");
    stack.fault("handler_bug", json!(false)).await;
    for claim in watch.hear(Reachable, 4).await.iter().filter(|c| c.kind == Reachable) {
        assert_eq!(claim.status, Status::True, "{claim:?}");
    }
    watch.end().await;
}

#[tokio::test]
async fn a_close_after_the_101_is_judged_by_its_code() {
    let stack = Stack::start(GOOD, GOOD).await;
    stack.fault("close", json!([1008, "no permission for this workflow"])).await;
    let mut watch = Watch::start(settings(&stack).await);
    watch.well(Reachable).await;
    stack.fault("close", json!([1011, "backend error"])).await;
    watch.fails(Reachable, Cause::GatewayFailed).await;
    stack.fault("close", json!([1008, "token expired"])).await;
    watch.fails(Reachable, Cause::CredentialsRefused).await;
    stack.fault("close", json!([1000, "bye"])).await;
    watch.well(Reachable).await;
    stack.fault("close", json!([1012, "restarting"])).await;
    watch.fails(Reachable, Cause::GatewayRestarting).await;
    watch.end().await;
}

/// The point of it all: nothing Mooring does, and nothing it is asked to do, ends a user's work.
#[tokio::test]
async fn a_running_workflow_is_not_cancelled_by_being_watched() {
    let mut stack = Stack::start(GOOD, GOOD).await;
    // As older versions do it: two sessions under one key are one too many.
    stack.fault("keyed", json!(true)).await;
    let settings = settings(&stack).await;
    let mut user = User::open(&stack.apache(), &settings, "0a1b2c3d", None).await;
    user.begin().await;
    let mut saved = User::open(&stack.apache(), &settings, "0a1b2c3d", Some("chat-7")).await;
    saved.begin().await;

    let mut watch = Watch::start(settings.clone());
    // As many walks as a minute has at the defaults, and as many again.
    watch.hear(Reachable, 8).await;
    let refused = watch.ask(Doing::Reconnect).await.unwrap_err();
    assert!(refused.contains("stops the workflow"), "{refused}");
    let refused = watch.ask(Doing::Restart).await.unwrap_err();
    assert!(refused.contains("bisheng-backend-worker") && refused.contains("migration"), "{refused}");
    watch.hear(Reachable, 2).await;
    watch.end().await;

    user.alive().await;
    saved.alive().await;
    let saw = stack.saw().await;
    assert_eq!(saw["stopped"], json!([]), "{saw}");
    assert!(saw["opened"].as_array().unwrap().len() >= 10 * 3, "it was watched: {saw}");

    // What the twin does when such a session does end: that the test could have failed.
    user.close().await;
    stack.saw_stopped("0a1b2c3d").await;
    saved.close().await;
    let mut back = User::open(&stack.apache(), &settings, "0a1b2c3d", Some("chat-7")).await;
    assert_eq!(back.status().await, "begin", "with a chat_id it can be taken up again");

    // A graceful restart says so to everybody, through both proxies.
    stack.signal("TERM");
    assert_eq!(back.ended().await, Some(1012));
    stack.ended().await;
}

/// L1 and L2: a proxy that cuts silence is no trouble of the probe's, and the server's ping is what keeps users there.
#[tokio::test]
async fn an_idle_cut_is_the_proxys_and_not_the_backends() {
    let short = Proxy { passes: true, idle: 4 };
    let mut stack = Stack::start(short, GOOD).await;
    let settings = settings(&stack).await;
    let mut user = User::open(&stack.nginx(), &settings, "0a1b2c3d", None).await;
    let mut watch = Watch::start(settings.clone());
    // uvicorn pings each 20 s here, nginx waits for 4 s.
    assert_eq!(user.ended().await, None, "no Close frame comes");
    assert!((Duration::from_secs(3)..Duration::from_secs(18)).contains(&user.age()), "{:?}", user.age());
    for claim in watch.hear(Reachable, 4).await.iter().filter(|c| c.kind == Reachable) {
        assert_eq!(claim.status, Status::True, "{claim:?}");
    }
    watch.end().await;

    stack.kill_twin().await;
    stack.start_twin(1).await;
    let mut user = User::open(&stack.nginx(), &settings, "0a1b2c3d", None).await;
    assert!(user.stays(Duration::from_secs(9)).await, "pinged each second, it stays");
}
