//! HTTP with JSON: what one `curl` line can do, and what is refused, with which words.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use mooring_core::order::Action;
use mooring_report::meaning::{Closed, Event, Protocol};
use mooring_report::{
    GatewayReport, MAX_EVENTS, ReportConfig, ReportLimits, ReportServer, SocketMode, StartError, hub,
};
use mooring_runtime::config::SecretFile;

use super::support::{Served, bots, request};

const REPORT: &str = "/v1/gateways/bots/instances/configured:report";

#[tokio::test]
async fn one_line_says_that_an_instance_is_open() {
    let mut served = Served::start().await;
    let answer = served
        .call("POST", "/v1/gateways/-/instances/configured:report", r#"{"events":[{"open":{}}]}"#)
        .await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (200, Some(1)));
    let reported = served.next().await;
    assert_eq!((reported.gateway.as_str(), reported.instance.as_str()), ("bots", "configured"));
    assert_eq!(reported.event, Event::Open { peer: String::new() });
    // The same over the Unix socket, whatever name it is called by.
    assert_eq!(served.unix("POST", REPORT, r#"{"events":[{"beat":{"rtt":"0.040s"}}]}"#).await.status, 200);
    assert_eq!(served.next().await.event, Event::Beat { rtt: Some(Duration::from_millis(40)) });
    served.stopped().await;
}

#[tokio::test]
async fn strangers_register_first_and_then_say_everything() {
    let mut served = Served::start().await;
    let path = "/v1/gateways/bots/instances/acct-1";
    let stranger = served.call("POST", &format!("{path}:report"), r#"{"events":[{"open":{}}]}"#).await;
    assert_eq!(stranger.reason(), (404, "REGISTER_FIRST".to_owned()));
    assert_eq!(stranger.json()["hint"], "POST /v1/gateways/bots/instances/acct-1:register");
    let registration = r#"{"registration":{"protocol":"baileys","software":"baileys 7","can":["reconnect"],
        "labels":{"team":"a"},"heartbeat":{"interval":"10s","timeout":"20s"},"pid":12}}"#;
    let registered = served.call("POST", &format!("{path}:register"), registration).await.json();
    assert_eq!((&registered["gateway"], &registered["known"]), (&"bots".into(), &serde_json::Value::Null));
    let again = served.call("POST", &format!("{path}:register"), registration).await.json();
    assert_eq!(again["known"], true);
    assert_eq!(again["agentRun"], registered["agentRun"]);
    for _ in 0..2 {
        let Event::Registered(r) = served.next().await.event else { panic!("a registration") };
        assert_eq!((r.protocol, r.can, r.pid), (Protocol::Baileys, vec![Action::Reconnect], 12));
        assert_eq!(r.heartbeat, Some((Duration::from_secs(10), Duration::from_secs(20))));
    }
    let events = r#"{"events":[{"instance":"acct-1","connecting":{}},
        {"ago":"2s","session":"s1","closed":{"code":428,"closeCode":1006,"message":"Connection Terminated"}},
        {"waitingForLogin":{}},{"line":{"text":"hello"}}]}"#;
    assert_eq!(served.call("POST", &format!("{path}:report"), events).await.json()["accepted"], 4);
    assert_eq!(served.next().await.event, Event::Connecting);
    let closed = served.next().await;
    let end = Closed {
        code: Some(428),
        close_code: Some(1006),
        message: "Connection Terminated".to_owned(),
        protocol: None,
    };
    assert_eq!((closed.event, &*closed.session), (Event::Closed(Box::new(end)), "s1"));
    let waiting = served.next().await;
    assert_eq!(waiting.event, Event::WaitingForLogin);
    assert_eq!(waiting.at.wall.since(closed.at.wall), Duration::from_secs(2));
    assert_eq!(served.next().await.event, Event::Line("hello".to_owned()));
}

#[tokio::test]
async fn a_batch_sent_twice_counts_once_and_bad_events_do_not_spoil_good_ones() {
    let mut served = Served::start().await;
    let batch = r#"{"client":"c1","events":[{"instance":"configured","sequence":"1","open":{}},
        {"instance":"configured","sequence":"2","closed":{}},{"instance":"unknown","sequence":"3","open":{}}]}"#;
    for _ in 0..2 {
        let answer = served.call("POST", "/v1/gateways/bots:report", batch).await.json();
        assert_eq!(answer["accepted"], 2);
        assert_eq!(answer["problems"][0]["reason"], "REGISTER_FIRST");
        assert_eq!(answer["problems"][0]["index"], 2);
    }
    assert!(matches!(served.next().await.event, Event::Open { .. }));
    assert!(matches!(served.next().await.event, Event::Closed(_)));
    let after = r#"{"client":"c1","events":[{"sequence":"4","beat":{}}]}"#;
    served.call("POST", REPORT, after).await;
    assert!(matches!(served.next().await.event, Event::Beat { .. }), "nothing was taken twice");
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_what_to_do() {
    let served = Served::start().await;
    let one = r#"{"events":[{"open":{}}]}"#;
    let many = format!(r#"{{"events":[{}]}}"#, vec![r#"{"beat":{}}"#; MAX_EVENTS + 1].join(","));
    let long = format!(r#"{{"events":[{{"line":{{"text":"{}"}}}}]}}"#, "x".repeat(300 * 1024));
    for (path, body, status, reason, says) in [
        ("/v1/gateways/nobody:report", one, 404, "NO_GATEWAY", "it has: bots"),
        ("/v1/gateways/bots/instances/UPPER:report", one, 400, "INVALID", "instance: `UPPER`"),
        ("/v1/gateways/bots/instances/a%2Fb:report", one, 400, "INVALID", "instance: "),
        (REPORT, r#"{"events":[{"opn":{}}]}"#, 400, "INVALID", "opn"),
        (REPORT, r#"{"events":[{}]}"#, 400, "INVALID", "one of registered"),
        (REPORT, r#"{"events":[]}"#, 400, "INVALID", "there is none"),
        (REPORT, "{", 400, "INVALID", "EOF"),
        (REPORT, "", 400, "INVALID", "there is none"),
        (REPORT, &many, 429, "TOO_MANY_AT_ONCE", "501 events"),
        (REPORT, &long, 429, "TOO_LONG", "262144 bytes"),
        ("/v1/gateways/bots", one, 404, "NO_SUCH_CALL", "GET / lists"),
        ("/v1/gateways/bots/orders/x:answer", r#"{"stage":"done"}"#, 404, "NO_ORDER", "its time is over"),
        ("/v1/gateways/bots/orders/x:answer", r#"{"stage":"dune"}"#, 400, "INVALID", "started, done, failed"),
    ] {
        let answer = served.call("POST", path, body).await;
        assert_eq!(answer.reason(), (status, reason.to_owned()), "{path} {}", answer.body);
        let said = format!("{} {}", answer.json()["message"], answer.json()["hint"]);
        assert!(said.contains(says), "{said}");
        assert!(!answer.body.trim_end().contains('\n'), "one line");
    }
    let help = served.call("GET", "/", "").await;
    assert!(help.status == 200 && help.body.contains("curl --json"));
    assert_eq!(served.call("GET", REPORT, "").await.reason(), (405, "WRONG_METHOD".to_owned()));
}

#[tokio::test]
async fn browsers_and_borrowed_names_are_kept_out() {
    let served = Served::start().await;
    let body = r#"{"events":[{"open":{}}]}"#;
    let json = "content-type: application/json\r\n";
    for (headers, status, reason) in [
        (format!("host: evil.example\r\n{json}"), 403, "WRONG_HOST"),
        (format!("host: localhost\r\norigin: http://evil.example\r\n{json}"), 403, "BROWSER"),
        (format!("host: localhost\r\nsec-fetch-site: cross-site\r\n{json}"), 403, "BROWSER"),
        (format!("host: localhost\r\nreferer: http://evil.example/\r\n{json}"), 403, "BROWSER"),
        ("host: localhost\r\ncontent-type: text/plain\r\n".to_owned(), 400, "NOT_JSON"),
        ("host: localhost\r\n".to_owned(), 400, "NOT_JSON"),
    ] {
        let answer = served.raw(&request("POST", REPORT, &headers, body)).await;
        assert_eq!(answer.reason(), (status, reason.to_owned()), "{headers}");
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    let asks = format!(
        "host: localhost\r\norigin: http://evil.example\r\naccess-control-request-method: POST\r\n{json}"
    );
    let preflight = served.raw(&request("OPTIONS", REPORT, &asks, "")).await;
    assert!(preflight.status == 403 && !preflight.head.contains("access-control"), "{}", preflight.head);
    let poll = request("GET", "/v1/gateways/-/orders", "host: evil.example\r\n", "");
    assert_eq!(served.raw(&poll).await.status, 403);
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "bot:0123456789abcdef0123\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = ReportConfig { token_file: Some(SecretFile::new(&file)), ..ReportConfig::default() };
    let served = Served::with(config, vec![bots(GatewayReport::default())], 1000).await;
    let body = r#"{"events":[{"open":{}}]}"#;
    let call = |token: &str| {
        let headers = format!("host: sidecar\r\ncontent-type: application/json\r\n{token}");
        request("POST", REPORT, &headers, body)
    };
    let without = served.raw(&call("")).await;
    assert_eq!(without.reason(), (401, "TOKEN".to_owned()));
    assert!(without.head.contains("www-authenticate: bearer"));
    assert_eq!(served.raw(&call("authorization: Bearer wrong-0123456789\r\n")).await.status, 401);
    assert_eq!(served.raw(&call("authorization: Bearer 0123456789abcdef0123\r\n")).await.status, 200);
    assert_eq!(served.unix("POST", REPORT, body).await.status, 401, "on the socket too");
}

#[tokio::test]
async fn too_much_is_told_when_to_come_again() {
    let limits = ReportLimits { events_per_second: 1, burst: 500, ..ReportLimits::default() };
    let config = ReportConfig { limits, ..ReportConfig::default() };
    let served = Served::with(config, vec![bots(GatewayReport::default())], 1000).await;
    let batch = |n: usize| format!(r#"{{"events":[{}]}}"#, vec![r#"{"beat":{}}"#; n].join(","));
    assert_eq!(served.call("POST", REPORT, &batch(500)).await.status, 200);
    let refused = served.call("POST", REPORT, &batch(100)).await;
    assert_eq!(refused.reason(), (429, "TOO_MANY_EVENTS".to_owned()));
    let wait = refused.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((90..=100).contains(&wait.trim().parse::<u32>().unwrap()), "{wait}");
}

#[tokio::test]
async fn when_the_agent_is_behind_callers_wait_and_nothing_grows() {
    let mut served =
        Served::with(ReportConfig::default(), vec![bots(GatewayReport::default())], MAX_EVENTS).await;
    let batch = |n: usize, first: usize| {
        let events: Vec<String> =
            (0..n).map(|i| format!(r#"{{"sequence":"{}","beat":{{}}}}"#, first + i)).collect();
        format!(r#"{{"client":"c","events":[{}]}}"#, events.join(","))
    };
    assert_eq!(served.call("POST", REPORT, &batch(400, 1)).await.status, 200);
    let refused = served.call("POST", REPORT, &batch(200, 401)).await;
    assert_eq!(refused.reason(), (503, "BEHIND".to_owned()));
    assert!(refused.head.contains("retry-after: 1"));
    for _ in 0..400 {
        served.next().await;
    }
    assert_eq!(served.call("POST", REPORT, &batch(200, 401)).await.json()["accepted"], 200);
    for _ in 0..200 {
        served.next().await;
    }
}

#[tokio::test]
async fn strangers_stay_out_where_the_configuration_says_so_and_a_reload_changes_it() {
    let closed = GatewayReport { register: false, ..GatewayReport::default() };
    let served = Served::with(ReportConfig::default(), vec![bots(closed)], 1000).await;
    let register = || served.call("POST", "/v1/gateways/bots/instances/new:register", "{}");
    let refused = register().await;
    assert_eq!(refused.reason(), (403, "NOT_CONFIGURED".to_owned()));
    assert!(refused.json()["hint"].as_str().unwrap().contains("report.register"));
    served.directory.replace(vec![bots(GatewayReport::default())], mooring_core::time::Mono(0));
    assert_eq!(register().await.status, 200);
    let one = bots(GatewayReport { instances: 2, ..GatewayReport::default() });
    served.directory.replace(vec![one], mooring_core::time::Mono(0));
    let full = served.call("POST", "/v1/gateways/bots/instances/newer:register", "").await;
    assert_eq!(full.reason(), (429, "TOO_MANY_INSTANCES".to_owned()));
}

#[tokio::test]
async fn the_socket_is_its_owners_and_a_dead_ones_place_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = ReportConfig { http: false, ..ReportConfig::default() };
    let bind = |config: &ReportConfig| ReportServer::bind(config, vec![], folder.path(), hub().0);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let first = bind(&config).unwrap();
    assert_eq!(mode(), 0o600);
    let second = bind(&config).unwrap_err();
    assert!(second.to_string().contains("another process listens there"), "{second}");
    drop(first);
    let group = ReportConfig { socket_mode: SocketMode::Group, ..config.clone() };
    let third = bind(&group).unwrap();
    assert_eq!(mode(), 0o660);
    drop(third);
    let open = ReportConfig { http: true, listen: "0.0.0.0:0".parse().unwrap(), ..config };
    assert!(matches!(bind(&open), Err(StartError::Open(_))));
}
