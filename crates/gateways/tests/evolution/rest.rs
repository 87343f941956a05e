//! The Evolution adapter against the conformance double: by REST alone, as on a gateway whose events are off.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_gateways::Doing;
use mooring_runtime::config::HumanDuration;

use crate::support::{Double, KEY, Watched};

/// REST alone.
const DEAF: &str = r#", "events": "off""#;

#[tokio::test]
async fn instances_are_found_and_seen_to_go() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    double.control("instances/Vendas%20SP").await;
    let mut watched = Watched::start(double.settings(r#", "events": "off", "deny": ["test-*"]"#));
    watched.until("both are here", |w| w.here.len() == 2).await;
    watched.linked("a").await;
    watched.says("a", ConditionKind::Reachable, Status::True, None).await;
    watched.says("a", ConditionKind::Beating, Status::True, None).await;
    let odd = watched.here.iter().find(|id| id.as_str() != "a").unwrap().to_string();
    assert!(odd.starts_with("vendas-sp-"), "{odd}");
    watched.linked(&odd).await;
    double.control("instances/test-1").await;
    double.control("instances/b").await;
    watched.linked("b").await;
    assert!(!watched.said.contains("test-1"));
    let client =
        mooring_gateways::http::HttpClient::new(&format!("http://{}", double.address), None).unwrap();
    let client = client.header("apikey", KEY).unwrap();
    client.send(http::Method::DELETE, "/instance/delete/b", None).await.unwrap();
    watched.until("b has gone", |w| w.here.iter().all(|id| id.as_str() != "b")).await;
}

#[tokio::test]
async fn a_row_made_by_hand_is_named_and_no_order_is_wasted_on_it() {
    let mut double = Double::start(&[]).await;
    double.control("rows/manual").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.not_linked("manual", Cause::InstanceNotLoaded).await;
    let why = watched.order("manual", Doing::Restart).await.unwrap_err();
    assert!(why.contains("only a start of the whole process loads it"), "{why}");
    assert_eq!(double.asked("POST").await + double.asked("GET /instance/connect/").await, 0);
    // And that is so.
    double.kill().await;
    watched.says("manual", ConditionKind::Reachable, Status::False, Some(Cause::ConnectionRefused)).await;
    watched.says("manual", ConditionKind::Linked, Status::Unknown, Some(Cause::ConnectionRefused)).await;
    double.start_again().await;
    watched.linked("manual").await;
    watched.says("manual", ConditionKind::Reachable, Status::True, None).await;
}

#[tokio::test]
async fn a_login_that_hangs_is_freed_by_restart_alone() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.control("instances/a/hang").await;
    watched.not_linked("a", Cause::NoUpstreamLink).await;
    let attempts = double.state().await["instances"]["a"]["attempts"].as_u64().unwrap();
    // The way out is mended; the login that hangs does not notice.
    double.control("instances/a/heal").await;
    let done = watched.order("a", Doing::Reconnect).await.unwrap();
    assert!(done.contains("POST restart") && done.contains("open after"), "{done}");
    assert_eq!(double.state().await["instances"]["a"]["attempts"], attempts + 1);
    assert_eq!(
        double.asked("GET /instance/connect/").await,
        0,
        "it would have been answered with an old QR code"
    );
    watched.linked("a").await;
}

#[tokio::test]
async fn a_hang_that_is_not_mended_is_no_success() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut settings = double.settings(DEAF);
    settings.effect_limit = HumanDuration::from_secs(3);
    let mut watched = Watched::start(settings);
    watched.linked("a").await;
    double.control("instances/a/hang").await;
    let why = watched.order("a", Doing::Reconnect).await.unwrap_err();
    assert!(why.contains("no effect was seen") && why.contains("`connecting`"), "{why}");
}

#[tokio::test]
async fn a_restart_of_an_open_one_is_done_when_it_was_seen_to_break_and_come_back() {
    let double = Double::start(&["--login", "400ms"]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    let done = watched.order("a", Doing::Restart).await.unwrap();
    assert!(done.contains("POST restart") && done.contains("for 1 s since"), "{done}");
    assert_eq!(double.state().await["instances"]["a"]["attempts"], 2);
}

#[tokio::test]
async fn success_in_words_alone_is_none() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut settings = double.settings(DEAF);
    settings.effect_limit = HumanDuration::from_secs(3);
    let mut watched = Watched::start(settings);
    watched.linked("a").await;
    double.control("instances/a/deaf").await;
    let why = watched.order("a", Doing::Restart).await.unwrap_err();
    assert!(why.contains("as if nothing had been ordered"), "{why}");
    assert_eq!(double.asked("POST /instance/restart/a").await, 1, "given once, and not again");
}

#[tokio::test]
async fn a_closed_one_is_connected_and_never_restarted() {
    // From 2.3.7 on, a process start leaves what was not connected closed until it is told to connect.
    let mut double = Double::start(&["--api-version", "2.3.7"]).await;
    double.control("rows/a").await;
    double.kill().await;
    double.start_again().await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.not_linked("a", Cause::ReportedClosed).await;
    let done = watched.order("a", Doing::Reconnect).await.unwrap();
    assert!(done.contains("GET connect"), "{done}");
    assert_eq!(
        double.asked("POST /instance/restart/").await,
        0,
        "it would have answered 200 and done nothing"
    );
    watched.linked("a").await;
}

#[tokio::test]
async fn the_close_that_2_4_forgets_after_a_process_start_is_mended_by_connect() {
    let mut double = Double::start(&["--api-version", "2.4.0-rc2"]).await;
    double.control("instances/a").await;
    double.until_open("a").await;
    double.kill().await;
    // The login takes so long that it is cut before it is over.
    double.start_as(&["--login", "3s"]).await;
    double.control("instances/a/kill").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.not_linked("a", Cause::ReportedClosed).await;
    assert_eq!(double.state().await["instances"]["a"]["row"], "open");
    let done = watched.order("a", Doing::Reconnect).await.unwrap();
    assert!(done.contains("GET connect"), "{done}");
}

#[tokio::test]
async fn a_storm_is_found_without_events_and_not_fed() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.control("instances/a/storm").await;
    watched.not_linked("a", Cause::ReconnectStorm).await;
    assert_eq!(double.state().await["instances"]["a"]["row"], "open", "the database still says so");
    let why = watched.order("a", Doing::Restart).await.unwrap_err();
    assert!(why.contains("many times a second"), "{why}");
    assert_eq!(double.asked("POST").await, 0);
}

#[tokio::test]
async fn final_codes_are_for_a_human() {
    let double = Double::start(&[]).await;
    for (name, code, cause) in [
        ("a", 401, Cause::LoginRevoked),
        ("b", 403, Cause::AccountForbidden),
        ("c", 402, Cause::AccountForbidden),
        ("d", 406, Cause::AccountForbidden),
    ] {
        double.control(&format!("instances/{name}")).await;
        let mut watched = Watched::start(double.settings(DEAF));
        watched.linked(name).await;
        double.control(&format!("instances/{name}/terminal?code={code}")).await;
        watched.not_linked(name, cause).await;
        let why = watched.order(name, Doing::Reconnect).await.unwrap_err();
        assert!(why.contains("human"), "{code}: {why}");
    }
    assert_eq!(double.asked("GET /instance/connect/").await + double.asked("POST").await, 0);
}

#[tokio::test]
async fn a_network_outage_is_a_drop_for_2_3_and_the_end_for_2_4() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.control("instances/a/egress").await;
    let line = "GET /instance/connectionState/a";
    let looks = |state: &serde_json::Value| {
        state["asked"].as_array().unwrap().iter().filter(|asked| **asked == line).count()
    };
    let before = looks(&double.state().await);
    double.until("a few looks", |state| looks(state) >= before + 4).await;
    assert!(!watched.stop().await.contains("Linked, status: False"));
    assert!(double.state().await["instances"]["a"]["session"].as_bool().unwrap());

    let double = Double::start(&["--api-version", "2.4.0-rc2"]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.control("instances/a/egress").await;
    watched.not_linked("a", Cause::LoginRevoked).await;
    let words = &watched.claim("a", ConditionKind::Linked).unwrap().message;
    assert!(words.contains("408") && words.contains("2.4.0"), "{words}");
    assert!(watched.order("a", Doing::Reconnect).await.is_err());
}

#[tokio::test]
async fn waiting_for_a_human_with_a_phone_is_no_outage() {
    let double = Double::start(&[]).await;
    double.control("instances/a?paired=false").await;
    double.control("instances/b").await;
    double.control("instances/c").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.not_linked("a", Cause::PairingNeeded).await;
    watched.linked("b").await;
    watched.linked("c").await;
    double.control("instances/a/qr-limit").await;
    double.control("instances/b/unpaired-open").await;
    watched.not_linked("b", Cause::PairingNeeded).await;
    watched
        .until("a is closed", |w| {
            let claim = w.claim("a", ConditionKind::Linked).unwrap();
            claim.cause == Some(Cause::PairingNeeded) && claim.evidence.iter().any(|(_, v)| v == "close")
        })
        .await;
    for name in ["a", "b"] {
        let why = watched.order(name, Doing::Restart).await.unwrap_err();
        assert!(why.contains("QR code"), "{why}");
    }
    assert_eq!(double.asked("POST").await + double.asked("GET /instance/connect/").await, 0);
}

#[tokio::test]
async fn a_gateway_that_hangs_is_hung_and_not_silent() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.freeze();
    watched.says("a", ConditionKind::Reachable, Status::False, Some(Cause::HandshakeTimedOut)).await;
    watched.says("a", ConditionKind::Linked, Status::Unknown, Some(Cause::HandshakeTimedOut)).await;
    double.thaw();
    watched.says("a", ConditionKind::Reachable, Status::True, None).await;
    watched.linked("a").await;
}

#[tokio::test]
async fn without_a_key_there_is_liveness_and_with_the_wrong_one_there_are_words() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.keyless(r#", "events": "off", "allow": ["a"]"#));
    watched.says("a", ConditionKind::Reachable, Status::True, None).await;
    watched.says("a", ConditionKind::Linked, Status::Unknown, Some(Cause::TokenMissing)).await;
    let why = watched.order("a", Doing::Restart).await.unwrap_err();
    assert!(why.contains("api_key_file"), "{why}");

    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    drop(watched);
    let mut wrong = double.wrong_key();
    wrong.allow = vec!["a".to_owned()];
    let mut watched = Watched::start(wrong);
    // Nobody lists instances to it, so there is none to speak of; an order says why.
    let why = watched.refused_with("a", Doing::Restart, "key").await;
    assert!(!why.contains("not-the-key"), "{why}");
}

#[tokio::test]
async fn metrics_tell_the_states_without_a_key_and_spare_the_looks_with_one() {
    let double = Double::start(&["--metrics", "true"]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.keyless(DEAF));
    watched.linked("a").await;
    double.control("instances/a/hang").await;
    watched.not_linked("a", Cause::NoUpstreamLink).await;
    assert_eq!(double.asked("GET /instance/connectionState/a").await, 0);
    assert_eq!(double.asked("GET /instance/fetchInstances").await, 0);
}

#[tokio::test]
async fn an_unlicensed_gateway_is_for_a_human() {
    let mut double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.kill().await;
    double.start_as(&["--api-version", "2.4.0-rc2", "--licensed", "false"]).await;
    watched.says("a", ConditionKind::Reachable, Status::False, Some(Cause::LicenseRequired)).await;
    assert!(watched.order("a", Doing::Reconnect).await.unwrap_err().contains("LICENSE_REQUIRED"));
}

#[tokio::test]
async fn nothing_that_is_said_holds_a_key_and_the_version_is_asked_for_once() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let settings = double.settings(DEAF);
    assert!(!format!("{settings:?}").contains(KEY));
    let mut watched = Watched::start(settings);
    watched.linked("a").await;
    double.control("instances/a/terminal?code=401").await;
    watched.not_linked("a", Cause::LoginRevoked).await;
    drop(watched.order("a", Doing::Reconnect).await);
    let token = double.state().await["instances"]["a"]["token"].as_str().unwrap().to_owned();
    assert_eq!(double.asked("GET /").await, double.asked("GET /i").await + double.asked("GET /m").await + 1);
    let said = watched.stop().await;
    assert!(!said.contains(KEY) && !said.contains(&token), "{said}");
    assert!(said.contains("LoginRevoked"), "something was said");
}

#[tokio::test]
async fn an_answer_is_there_in_time() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut watched = Watched::start(double.settings(DEAF));
    watched.linked("a").await;
    double.control("instances/a/deaf").await;
    let limit = Duration::from_secs(2);
    let began = std::time::Instant::now();
    assert!(watched.order_within("a", Doing::Restart, limit).await.is_err());
    assert!(began.elapsed() < limit, "{:?}", began.elapsed());
}
