//! The WAHA adapter against a double of WAHA, on the WebSocket package that WAHA uses.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

mod double;

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_gateways::waha::Settings;
use mooring_gateways::{Doing, Said};
use mooring_runtime::config::{HumanDuration, SecretFile};
use serde_json::json;

use ConditionKind::{Beating, Delivering, Linked, Reachable};
use double::{Double, Watch};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn sessions_are_found_and_judged() {
    let waha = Double::start(&[]).await;
    waha.working("default").await;
    waha.session("fresh", json!({"status": "SCAN_QR_CODE"})).await;
    waha.session("off", json!({"status": "STOPPED"})).await;
    let mut watch = Watch::start(waha.settings());
    watch.well("waha", Reachable).await;
    watch.well("default", Linked).await;
    watch.fails("fresh", Linked, Cause::PairingNeeded).await;
    watch.says("off", Reachable, Status::Unknown, Some(Cause::NotObservable)).await;

    waha.session("default", json!({"status": "SCAN_QR_CODE", "me": null})).await;
    watch.fails("default", Linked, Cause::LoginRevoked).await;
    waha.working("later").await;
    watch.said("later", &Said::Here).await;
    waha.set(json!({"remove": "later"})).await;
    watch.said("later", &Said::Gone).await;
    watch.end().await;
    // Left as one should.
    waha.until("left with 1000", |saw| saw["closed"] == json!([1000])).await;
    assert_eq!(waha.saw().await["calls"], json!([]), "nothing was done that nobody asked for");
}

#[tokio::test]
async fn the_socket_is_quicker_than_the_next_look() {
    let waha = Double::start(&["--heartbeat", "200"]).await;
    waha.working("default").await;
    let mut watch = Watch::start(Settings { poll: HumanDuration::from_secs(600), ..waha.settings() });
    watch.well("default", Linked).await;
    watch.well("waha", Beating).await;
    waha.session("default", json!({"status": "FAILED"})).await;
    watch.fails("default", Reachable, Cause::ReportedClosed).await;
    waha.working("default").await;
    watch.well("default", Reachable).await;
    watch.end().await;
}

#[tokio::test]
async fn pings_are_answered_and_missed_when_they_stop() {
    let waha = Double::start(&["--heartbeat", "200"]).await;
    let mut watch = Watch::start(waha.settings());
    for _ in 0..10 {
        watch.well("waha", Beating).await;
    }
    let saw = waha.saw().await;
    assert!(saw["pongs"].as_u64().unwrap() >= 9 && saw["terminated"] == 0, "{saw}");
    waha.set(json!({"silent": true})).await;
    let claim = watch.fails("waha", Beating, Cause::HeartbeatMissed).await;
    assert!(claim.message.contains("has not pinged"), "{claim:?}");
    waha.set(json!({"silent": false})).await;
    watch.well("waha", Beating).await;
    // A graceful end says so.
    waha.signal("TERM");
    watch.says("waha", Beating, Status::Unknown, Some(Cause::GatewayRestarting)).await;
    watch.fails("waha", Reachable, Cause::ConnectionRefused).await;
    watch.end().await;
}

#[tokio::test]
async fn the_key_goes_where_the_version_takes_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret key+&\n").unwrap();
    for (dialect, manners) in [("2024", json!(["header"])), ("2026", json!(["header", "query"]))] {
        let options = ["--dialect", dialect, "--key", "s3cret key+&", "--heartbeat", "200"];
        let waha = Double::start(&options).await;
        waha.working("default").await;
        let settings = Settings { api_key_file: Some(SecretFile::new(file.path())), ..waha.settings() };
        let mut watch = Watch::start(settings);
        watch.well("default", Linked).await;
        watch.well("waha", Beating).await;
        assert_eq!(waha.saw().await["sockets"], manners, "{dialect}");

        waha.set(json!({"key": "another"})).await;
        let claim = watch.fails("waha", Reachable, Cause::CredentialsRefused).await;
        assert!(!format!("{claim:?}").contains("s3cret"), "{claim:?}");
        watch.says("default", Linked, Status::Unknown, Some(Cause::CredentialsRefused)).await;
        // The file is followed.
        std::fs::write(file.path(), "another").unwrap();
        watch.well("waha", Reachable).await;
        watch.end().await;
        std::fs::write(file.path(), "s3cret key+&\n").unwrap();
    }
}

#[tokio::test]
async fn a_key_that_no_manner_brings_through_is_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wrong").unwrap();
    let waha = Double::start(&["--dialect", "2026", "--key", "right"]).await;
    let mut watch =
        Watch::start(Settings { api_key_file: Some(SecretFile::new(file.path())), ..waha.settings() });
    watch.fails("waha", Reachable, Cause::CredentialsRefused).await;
    watch.fails("waha", Beating, Cause::CredentialsRefused).await;
    watch.end().await;
}

#[tokio::test]
async fn orders_succeed_by_their_effect() {
    let waha = Double::start(&[]).await;
    waha.working("default").await;
    waha.session("crashed", json!({"status": "FAILED", "me": {"id": "1@c.us"}})).await;
    waha.session("off", json!({"status": "STOPPED", "me": {"id": "1@c.us"}})).await;
    let mut watch = Watch::start(waha.settings());
    watch.well("default", Linked).await;
    watch.fails("crashed", Reachable, Cause::ReportedClosed).await;
    for (instance, doing) in
        [("crashed", Doing::Reconnect), ("off", Doing::Reconnect), ("default", Doing::Restart)]
    {
        let done = watch.ask(instance, doing, LIMIT).await;
        assert!(done.as_ref().is_ok_and(|words| words.starts_with("WORKING")), "{instance}: {done:?}");
    }
    let calls = json!(["start crashed", "start off", "restart default"]);
    assert_eq!(waha.saw().await["calls"], calls);
    watch.end().await;
}

#[tokio::test]
async fn an_order_without_its_effect_has_failed() {
    let waha = Double::start(&[]).await;
    waha.working("deaf").await;
    waha.session("deaf", json!({"deaf": true})).await;
    let broken = |after: &str| json!({"status": "FAILED", "me": {"id": "1@c.us"}, "after": after});
    waha.session("crashing", broken("FAILED")).await;
    waha.session("unpaired", broken("SCAN_QR_CODE")).await;
    waha.session("hanging", broken("STARTING")).await;
    let mut watch = Watch::start(waha.settings());
    watch.well("deaf", Linked).await;
    watch.fails("hanging", Reachable, Cause::ReportedClosed).await;
    let short = Duration::from_secs(3);
    for (instance, words) in [
        ("deaf", "never left WORKING"),
        ("crashing", "failed again"),
        ("unpaired", "a human has to scan"),
        ("hanging", "no further than STARTING"),
    ] {
        let failed = watch.ask(instance, Doing::Restart, short).await;
        assert!(failed.as_ref().is_err_and(|e| e.contains(words)), "{instance}: {failed:?}");
    }
    watch.end().await;
}

#[tokio::test]
async fn what_is_never_done_is_not_even_asked() {
    let waha = Double::start(&[]).await;
    let engine = |state: &str| json!({"engine": "WEBJS", "state": state});
    let failed = |engine| json!({"status": "FAILED", "me": {"id": "1@c.us"}, "engine": engine});
    waha.session("code", json!({"status": "SCAN_QR_CODE"})).await;
    waha.session("out", failed(json!({"engine": "NOWEB"}))).await;
    waha.session("taken", failed(engine("CONFLICT"))).await;
    waha.session("banned", failed(engine("TOS_BLOCK"))).await;
    waha.session("old", failed(engine("DEPRECATED_VERSION"))).await;
    waha.session("coming", json!({"status": "STARTING"})).await;
    let mut watch = Watch::start(waha.settings());
    watch.fails("code", Linked, Cause::PairingNeeded).await;
    watch.fails("out", Linked, Cause::LoginRevoked).await;
    watch.fails("taken", Reachable, Cause::SessionReplaced).await;
    watch.fails("banned", Linked, Cause::AccountForbidden).await;
    watch.fails("old", Reachable, Cause::ClientOutdated).await;
    for instance in ["code", "out", "taken", "banned", "old", "coming", "waha", "nobody"] {
        for doing in [Doing::Reconnect, Doing::Restart] {
            let refused = watch.ask(instance, doing, LIMIT).await;
            assert!(refused.as_ref().is_err_and(|e| e.starts_with("refused: ")), "{instance}: {refused:?}");
        }
    }
    assert_eq!(waha.saw().await["calls"], json!([]));
    watch.end().await;
}

#[tokio::test]
async fn a_start_that_hangs_is_told_from_one_that_comes_up() {
    let waha = Double::start(&[]).await;
    waha.working("default").await;
    let settings = Settings { stuck_after: HumanDuration::from_secs(2), ..waha.settings() };
    let mut watch = Watch::start(settings);
    watch.well("default", Linked).await;
    // As at each planned renewal.
    waha.session("default", json!({"status": "STARTING"})).await;
    watch.says("default", Reachable, Status::Unknown, Some(Cause::RestartExpected)).await;
    waha.working("default").await;
    watch.well("default", Reachable).await;
    // As in #1218.
    waha.session("default", json!({"status": "STARTING"})).await;
    watch.fails("default", Reachable, Cause::ConnectingStuck).await;
    let done = watch.ask("default", Doing::Restart, LIMIT).await;
    assert!(done.is_ok(), "{done:?}");
    watch.end().await;
}

#[tokio::test]
async fn working_is_not_believed_against_all_else() {
    let waha = Double::start(&["--dialect", "2026", "--heartbeat", "200"]).await;
    waha.working("default").await;
    waha.working("unlinked").await;
    let settings = Settings { quiet_after: Some(HumanDuration::from_secs(2)), ..waha.settings() };
    let mut watch = Watch::start(settings);
    watch.well("waha", Beating).await;
    waha.session("default", json!({"activity": 1_700_000_000_000_u64})).await;
    watch.well("default", Delivering).await;
    watch.fails("default", Delivering, Cause::SilentBeyondHabit).await;
    waha.session("unlinked", json!({"me": null})).await;
    let claim = watch.fails("unlinked", Linked, Cause::LoginRevoked).await;
    assert!(claim.message.contains("no account"), "{claim:?}");
    watch.end().await;
}

#[tokio::test]
async fn a_dead_a_frozen_and_a_half_dead_waha() {
    let waha = Double::start(&[]).await;
    waha.working("default").await;
    let settings = waha.settings();
    let mut watch = Watch::start(settings);
    watch.well("default", Linked).await;

    waha.set(json!({"mute": true})).await;
    watch.fails("waha", Reachable, Cause::ApiUnresponsive).await;
    waha.set(json!({"mute": false})).await;
    watch.well("waha", Reachable).await;

    waha.signal("STOP");
    watch.fails("waha", Reachable, Cause::GatewayStalled).await;
    waha.signal("CONT");
    watch.well("waha", Reachable).await;

    let port = waha.kill().await;
    watch.fails("waha", Reachable, Cause::ConnectionRefused).await;
    watch.says("default", Linked, Status::Unknown, Some(Cause::ConnectionRefused)).await;
    // Back, and what ran in it was not started with it.
    let waha = Double::start(&["--port", &port]).await;
    waha.session("default", json!({"status": "STOPPED", "me": {"id": "1@c.us"}})).await;
    watch.fails("default", Reachable, Cause::ReportedClosed).await;
    let done = watch.ask("default", Doing::Reconnect, LIMIT).await;
    assert!(done.is_ok(), "{done:?}");
    watch.end().await;
}
