//! The double itself, row by row of what was observed of the real one: what the adapter is tested against must not drift
//! towards what the adapter expects.

use std::time::Duration;

use http::Method;
use mooring_gateways::http::HttpClient;
use mooring_socketio::client::{Client, Item, Options, Why};
use mooring_wire::Target;
use serde_json::{Value, json};

use crate::support::{Double, KEY};

fn rest(double: &Double, key: Option<&str>) -> HttpClient {
    let client = HttpClient::new(&format!("http://{}", double.address), None).unwrap();
    match key {
        Some(key) => client.header("apikey", key).unwrap(),
        None => client,
    }
}

async fn ask(client: &HttpClient, method: Method, path: &str) -> (u16, Value) {
    let answer = client.send(method, path, None).await.unwrap();
    (answer.status, answer.json().unwrap_or_default())
}

fn target(double: &Double) -> Target {
    Target::new(&format!("ws://{}/socket.io/", double.address)).unwrap()
}

async fn listen(double: &Double, namespace: &str) -> Client {
    let options = Options { namespace: namespace.to_owned(), ..Options::default() };
    Client::connect(&target(double), &options).await.unwrap()
}

/// The next events up to one of this name and state, as `name state reason`.
async fn up_to(client: &mut Client, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|line| line != last) {
        let item = tokio::time::timeout(Duration::from_secs(20), client.next()).await;
        if let Item::Event { name, args, .. } = item.unwrap_or_else(|_| panic!("no {last} after {seen:?}")) {
            let data = &args[0]["data"];
            let state = data["state"].as_str().or(data["status"].as_str()).unwrap_or_default();
            let reason = data["statusReason"].as_u64().or(data["disconnectionReasonCode"].as_u64());
            let reason = reason.map(|r| r.to_string()).unwrap_or_default();
            seen.push(format!("{name} {state} {reason}").trim().to_owned());
        }
    }
    seen
}

#[tokio::test]
async fn existence_is_told_before_the_key_is_looked_at() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    double.control("rows/b").await;
    let (nobody, owner) = (rest(&double, None), rest(&double, Some(KEY)));
    let absent = json!({
        "status": 404, "error": "Not Found",
        "response": {"message": ["The \"x\" instance does not exist"]},
    });
    assert_eq!(ask(&nobody, Method::GET, "/instance/connectionState/x").await, (404, absent));
    assert_eq!(ask(&nobody, Method::GET, "/instance/connectionState/a").await.0, 401);
    assert_eq!(ask(&nobody, Method::GET, "/instance/fetchInstances").await.0, 401);
    let (status, body) = ask(&owner, Method::GET, "/instance/connectionState/b").await;
    assert_eq!((status, body), (200, json!({"instance": {"instanceName": "b"}})), "no `state` key");
    let token = double.state().await["instances"]["a"]["token"].as_str().unwrap().to_owned();
    let own = rest(&double, Some(&token));
    assert_eq!(ask(&own, Method::GET, "/instance/connectionState/a").await.0, 200);
    assert_eq!(ask(&own, Method::GET, "/instance/connectionState/b").await.0, 401);
    assert_eq!(ask(&own, Method::GET, "/instance/fetchInstances").await.1.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn answers_to_orders_lie() {
    // Long enough for a second order to come while the first is in flight, on a busy machine too.
    let double = Double::start(&["--login", "3s"]).await;
    double.control("instances/a").await;
    double.control("rows/b").await;
    let owner = rest(&double, Some(KEY));
    double.until_open("a").await;
    let lie = (200, json!({"error": true, "message": "[object Object]"}));
    assert_eq!(ask(&owner, Method::POST, "/instance/restart/b").await, lie);
    assert_eq!(ask(&owner, Method::GET, "/instance/connect/b").await, lie);
    let logout = ask(&owner, Method::DELETE, "/instance/logout/b").await;
    assert_eq!((logout.0, logout.1["status"].clone()), (200, json!("SUCCESS")), "and nothing was done");
    let first = ask(&owner, Method::POST, "/instance/restart/a").await;
    assert_eq!(first, (200, json!({"instance": {"instanceName": "a", "state": "open"}})), "the old state");
    assert_eq!(ask(&owner, Method::POST, "/instance/restart/a").await, lie, "one is in flight");
    double.control("instances/a/terminal?code=401").await;
    assert_eq!(ask(&owner, Method::POST, "/instance/restart/a").await, lie);
    assert_eq!(ask(&owner, Method::DELETE, "/instance/logout/a").await.0, 400);
    // A login that hangs answers with the last code there was, old as it may be.
    let (_, code) = ask(&owner, Method::GET, "/instance/connect/a").await;
    double.control("instances/a/hang").await;
    let (status, stale) = ask(&owner, Method::GET, "/instance/connect/a").await;
    assert_eq!((status, stale), (200, code));
}

#[tokio::test]
async fn each_trigger_sends_what_was_recorded() {
    let double = Double::start(&[]).await;
    double.control("instances/a").await;
    let mut client = listen(&double, "/").await;
    let drop = ["connection.update connecting 200", "connection.update open 200"];
    // The first login may be heard or not.
    let trigger = async |path: &str| double.control(&format!("instances/a/{path}")).await;
    double.until_open("a").await;
    trigger("message").await;
    up_to(&mut client, "messages.upsert").await;
    for path in ["kill", "replace", "half-open?ms=50", "egress"] {
        trigger(path).await;
        assert_eq!(up_to(&mut client, drop[1]).await, drop, "{path}");
        assert_eq!(double.state().await["instances"]["a"]["row"], "open", "{path}");
    }
    trigger("storm").await;
    for _ in 0..10 {
        assert_eq!(up_to(&mut client, drop[0]).await, [drop[0]], "a refused login sends nothing else");
    }
    assert_eq!(double.state().await["instances"]["a"]["row"], "open");
    trigger("hang").await;
    up_to(&mut client, drop[0]).await;
    assert_eq!(double.state().await["instances"]["a"]["row"], "connecting");
    trigger("terminal?code=401").await;
    let last = "status.instance closed 401";
    let seen = up_to(&mut client, last).await;
    let tail: Vec<&str> = seen.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(tail, ["logout.instance", "connection.update close 401", last]);
    let state = double.state().await;
    assert_eq!(
        (&state["instances"]["a"]["row"], &state["instances"]["a"]["session"]),
        (&json!("close"), &json!(false))
    );
    client.close().await;
}

#[tokio::test]
async fn the_handshake_and_its_guard() {
    let double = Double::start(&["--allowed-hosts", "10.9.9.9"]).await;
    double.control("instances/a").await;
    let refused = Client::connect(&target(&double), &Options::default()).await.unwrap_err();
    let Why::Engine(error) = &refused.why else { panic!("{refused:?}") };
    assert_eq!(error.message, "apiKey is required");
    let wrong = target(&double).header("apikey", "nobody-s-key").unwrap();
    let refused = Client::connect(&wrong, &Options::default()).await.unwrap_err();
    let Why::Engine(error) = &refused.why else { panic!("{refused:?}") };
    assert_eq!(error.message, "Invalid global token");
    let known = target(&double).header("apikey", KEY).unwrap();
    let client = Client::connect(&known, &Options::default()).await.unwrap();
    let open = client.opening();
    assert_eq!((open.ping_interval, open.ping_timeout), (Duration::from_secs(25), Duration::from_secs(20)));
    assert_eq!(open.max_payload, Some(1_000_000));
    client.close().await;
    // An instance's namespace does not exist before its first event.
    let options = Options { namespace: "/a".to_owned(), ..Options::default() };
    let refused = Client::connect(&known, &options).await.unwrap_err();
    let Why::Namespace(error) = &refused.why else { panic!("{refused:?}") };
    assert!(error.unknown());
}
