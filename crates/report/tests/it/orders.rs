//! Orders: exactly one taker, and an honest word about each.

use std::time::Duration;

use mooring_core::order::Action;
use mooring_proto::report_v1 as v1;
use mooring_report::NOT_KNOWN;
use tokio::io::AsyncWriteExt as _;

use super::grpc::over_unix;
use super::support::{Outcome, PATIENCE, Served, outcome, request};

const LONG: Duration = Duration::from_secs(60);

impl Served {
    async fn poll(&self, query: &str) -> Vec<serde_json::Value> {
        let answer = self.call("GET", &format!("/v1/gateways/bots/orders?{query}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["orders"].as_array().cloned().unwrap_or_default()
    }

    async fn answer(&self, order: &str, body: &str) -> u16 {
        self.call("POST", &format!("/v1/gateways/bots/orders/{order}:answer"), body).await.status
    }
}

fn id(order: &serde_json::Value) -> String {
    order["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_poll_takes_an_order_and_an_answer_ends_it() {
    let served = Served::start().await;
    let ordered = served.order(Action::ReconnectSlowly, Some("configured"), LONG).await;
    let orders = served.poll("wait=20s").await;
    assert_eq!(orders.len(), 1);
    let order = &orders[0];
    assert_eq!((&order["action"], &order["instance"]), (&"reconnect_slowly".into(), &"configured".into()));
    assert_eq!(
        (&order["delay"], &order["reason"], &order["session"]),
        (&"1.500s".into(), &"because".into(), &"s7".into())
    );
    let limit: f64 = order["timeLimit"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    assert!((50.0..=60.0).contains(&limit), "{limit}");
    assert!(served.poll("wait=0s").await.is_empty(), "taken once");
    assert_eq!(served.answer(&id(order), r#"{"stage":"started"}"#).await, 200);
    assert_eq!(served.answer(&id(order), r#"{"stage":"done","message":"new socket"}"#).await, 200);
    assert_eq!(outcome(ordered).await, Ok("new socket".to_owned()));
    assert_eq!(served.answer(&id(order), r#"{"stage":"done"}"#).await, 200, "sent again");
    let failed = served.order(Action::Reconnect, Some("configured"), LONG).await;
    let order = id(&served.poll("wait=20s").await[0]);
    served.answer(&order, r#"{"stage":"failed","message":"no such account"}"#).await;
    assert_eq!(outcome(failed).await, Err("no such account".to_owned()));
}

#[tokio::test]
async fn a_poll_that_waits_is_woken_and_only_one_of_many_takes_it() {
    let served = std::sync::Arc::new(Served::start().await);
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let served = std::sync::Arc::clone(&served);
        polls.spawn(async move { served.poll("wait=2s").await.len() });
    }
    let ordered = served.order(Action::Reconnect, Some("configured"), LONG).await;
    let mut taken = 0;
    while let Some(count) = polls.join_next().await {
        taken += count.unwrap();
    }
    assert_eq!(taken, 1);
    drop(ordered);
}

#[tokio::test]
async fn nobody_listening_is_said_in_words() {
    let served = Served::start().await;
    let ordered = served.order(Action::Reconnect, Some("configured"), LONG).await;
    let why = outcome(ordered).await.unwrap_err();
    assert_eq!(why, "no client of gateway `bots` is listening for orders");
    // Not taken later either.
    assert!(served.poll("wait=0s").await.is_empty());
}

#[tokio::test]
async fn an_order_goes_to_whoever_speaks_for_the_instance() {
    let served = Served::start().await;
    let mine = r#"{"client":"mine","events":[{"open":{}}]}"#;
    served.call("POST", "/v1/gateways/bots/instances/configured:report", mine).await;
    let ordered = served.order(Action::Reconnect, Some("configured"), LONG).await;
    assert!(served.poll("wait=200ms&client=other").await.is_empty());
    let order = served.poll("wait=20s&client=mine").await;
    assert_eq!(order.len(), 1);
    served.answer(&id(&order[0]), r#"{"stage":"done"}"#).await;
    assert!(outcome(ordered).await.is_ok());
}

#[tokio::test]
async fn a_stream_takes_orders_and_one_that_breaks_leaves_them_not_known() {
    let served = Served::start().await;
    let mut client = over_unix(&served).await;
    let mut stream = client.watch_orders(v1::WatchOrdersRequest::default()).await.unwrap().into_inner();
    let answered = served.order(Action::RestartGateway, None, LONG).await;
    let order = stream.message().await.unwrap().unwrap().order.unwrap();
    assert_eq!((order.action.as_str(), order.instance.as_str()), ("restart_gateway", ""));
    let answer = |stage: &str| v1::AnswerOrderRequest {
        order: order.id.clone(),
        stage: stage.to_owned(),
        ..v1::AnswerOrderRequest::default()
    };
    client.answer_order(answer("done")).await.unwrap();
    assert_eq!(outcome(answered).await, Ok(String::new()));
    let lost = served.order(Action::Reconnect, Some("configured"), LONG).await;
    stream.message().await.unwrap().unwrap();
    drop((stream, client));
    let why = outcome(lost).await.unwrap_err();
    assert!(why.starts_with(NOT_KNOWN) && why.contains("disconnected without an answer"), "{why}");
}

#[tokio::test]
async fn a_taker_that_says_nothing_in_time_leaves_it_not_known() {
    let served = Served::start().await;
    let ordered = served.order(Action::Reconnect, Some("configured"), Duration::from_millis(400)).await;
    assert_eq!(served.poll("wait=1s").await.len(), 1);
    let why = outcome(ordered).await.unwrap_err();
    assert!(why.starts_with(NOT_KNOWN) && why.contains("within 0.4 s"), "{why}");
}

#[tokio::test]
async fn a_caller_that_goes_away_while_waiting_takes_nothing() {
    let served = Served::start().await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
    let text = request("GET", "/v1/gateways/bots/orders?wait=60s", "host: localhost\r\n", "");
    stream.write_all(text.as_bytes()).await.unwrap();
    // Another call's round trip shows that the server has read what came before it.
    assert!(served.poll("wait=0s").await.is_empty());
    drop(stream);
    assert!(served.poll("wait=0s").await.is_empty());
    let ordered = served.order(Action::Reconnect, Some("configured"), LONG).await;
    assert!(outcome(ordered).await.unwrap_err().starts_with("no client of gateway"), "it was not taken");
}

#[tokio::test]
async fn stopping_ends_polls_streams_and_orders_with_a_word() {
    let served = Served::start().await;
    let mut client = over_unix(&served).await;
    let mut stream = client.watch_orders(v1::WatchOrdersRequest::default()).await.unwrap().into_inner();
    let taken = served.order(Action::Reconnect, Some("configured"), LONG).await;
    stream.message().await.unwrap().unwrap();
    let mut poll = tokio::net::TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
    let text = request("GET", "/v1/gateways/bots/orders?wait=60s", "host: localhost\r\n", "");
    poll.write_all(text.as_bytes()).await.unwrap();
    // The poll is being answered once its request has been read; then everything is told to stop.
    let before = tokio::time::Instant::now();
    served.stopped().await;
    assert!(before.elapsed() < PATIENCE / 2);
    let why: Outcome = taken.await.unwrap();
    assert!(why.unwrap_err().starts_with(NOT_KNOWN));
    assert!(stream.message().await.is_ok_and(|last| last.is_none()) || stream.message().await.is_err());
}
