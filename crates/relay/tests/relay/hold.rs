//! New connections while the gateway is away.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::cause::Cause;
use mooring_core::session::SessionState;
use mooring_relay::{CloseOrder, Event, Meanwhile};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test]
async fn clients_are_held_while_the_gateway_restarts() {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let old = tokio::spawn(echo_on(listener));
    let mut config = config(address);
    config.hold.when_refused = true;
    let mut running = start(config);
    let mut client = connect(running.address).await;
    client.send(Message::text("before")).await.unwrap();
    assert_eq!(text(&mut client).await, "before");
    old.abort();
    let _ = old.await;
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let relay = running.address;
            tokio::spawn(async move {
                let mut client = connect(relay).await;
                client.send(Message::text("after")).await.unwrap();
                text(&mut client).await
            })
        })
        .collect();
    until("all are held", || running.relay.numbers().held == 50).await;
    assert_eq!(running.sessions().iter().filter(|s| s.state == SessionState::Held).count(), 50);
    // That the gateway is away is told long before anybody is turned away.
    let cause = running.event(|e| if let Event::Away { cause, .. } = e { Some(cause) } else { None }).await;
    assert_eq!(cause, Cause::ConnectionRefused);
    tokio::spawn(echo_on(TcpListener::bind(address).await.unwrap()));
    for client in waiting {
        assert_eq!(soon(client).await.unwrap(), "after");
    }
    assert_eq!(running.relay.numbers().held, 0);
    assert_eq!(running.relay.numbers().refused, 0);
}

#[tokio::test]
async fn a_drain_closes_what_is_there_and_holds_what_comes() {
    let running = start(config(echo().await));
    let mut before = connect(running.address).await;
    let order = CloseOrder::default();
    let relay = running.relay.clone();
    let draining = tokio::spawn(async move { relay.drain(&order, Meanwhile::Hold).await });
    match soon(before.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1012),
        other => panic!("{other:?}"),
    }
    while let Some(Ok(_)) = soon(before.next()).await {}
    assert_eq!(soon(draining).await.unwrap().properly, 1);
    let relay = running.address;
    let held = tokio::spawn(async move { connect(relay).await });
    until("it is held", || running.relay.numbers().held == 1).await;
    assert_eq!(running.open(), 0);
    running.relay.resume();
    let _client = soon(held).await.unwrap();
    until("it is open", || running.open() == 1).await;
}

#[tokio::test]
async fn holding_is_bounded_in_number_and_time() {
    let mut config = config(echo().await);
    config.limits.held = 1;
    config.hold.time = Duration::from_millis(300);
    let running = start(config);
    running.relay.hold(true);
    let relay = running.address;
    let first = tokio::spawn(async move { talk(relay, upgrade_request("").as_bytes()).await });
    until("one is held", || running.relay.numbers().held == 1).await;
    let seen = talk(running.address, upgrade_request("").as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("too many wait"), "{seen}");
    let seen = soon(first).await.unwrap();
    assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("Retry-After: 1\r\n"), "{seen}");
    running.relay.hold(false);
    let _client = connect(running.address).await;
}

#[tokio::test]
async fn a_drain_can_turn_away() {
    let running = start(config(echo().await));
    let closed = soon(running.relay.drain(&CloseOrder::default(), Meanwhile::Refuse)).await;
    assert_eq!(closed.total(), 0);
    for request in [upgrade_request(""), "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()] {
        let seen = talk(running.address, request.as_bytes()).await;
        assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("drained"), "{seen}");
    }
    running.relay.resume();
    let _client = connect(running.address).await;
}

#[tokio::test]
async fn orders_leave_those_that_are_held_alone() {
    let running = start(config(echo().await));
    running.relay.hold(true);
    let relay = running.address;
    let held = tokio::spawn(async move { connect(relay).await });
    until("it is held", || running.sessions().iter().any(|s| s.state == SessionState::Held)).await;
    let closed = soon(running.relay.close_all(&CloseOrder::default())).await;
    assert_eq!(closed.total(), 0);
    running.relay.hold(false);
    let mut client = soon(held).await.unwrap();
    client.send(Message::text("x")).await.unwrap();
    assert_eq!(text(&mut client).await, "x");
}

#[tokio::test]
async fn who_was_held_waits_until_the_new_process_listens() {
    let address = TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap();
    let mut config = config(address);
    config.hold.when_refused = false;
    let mut running = start(config);
    running.relay.hold(true);
    let relay = running.address;
    let held = tokio::spawn(async move { connect(relay).await });
    until("it is held", || running.relay.numbers().held == 1).await;
    running.relay.hold(false);
    // It tries, and nobody listens yet.
    running.event(|e| matches!(e, Event::Away { .. }).then_some(())).await;
    tokio::spawn(echo_on(TcpListener::bind(address).await.unwrap()));
    let mut client = soon(held).await.unwrap();
    client.send(Message::text("x")).await.unwrap();
    assert_eq!(text(&mut client).await, "x");
    assert_eq!(running.relay.numbers().refused, 0);
}
