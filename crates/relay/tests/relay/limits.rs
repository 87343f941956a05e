//! Bounds: heads, time, places, memory.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::cause::Cause;
use mooring_core::session::EndedBy;
use mooring_relay::{Event, RefusedBy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test]
async fn a_head_has_a_size() {
    let running = start(config(echo().await));
    let long = upgrade_request(&format!("X: {}\r\n", "x".repeat(17 * 1024)));
    let seen = talk(running.address, long.as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 431 "), "{seen}");
    let many = upgrade_request(&"X: y\r\n".repeat(200));
    let seen = talk(running.address, many.as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 431 "), "{seen}");
}

#[tokio::test]
async fn a_client_that_drips_is_cut_by_the_total_time() {
    let mut config = config(echo().await);
    config.times.handshake = Duration::from_millis(300);
    let mut running = start(config);
    let client = TcpStream::connect(running.address).await.unwrap();
    let (mut from, mut to) = client.into_split();
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        for byte in upgrade_request("").bytes() {
            if to.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut seen = String::new();
    soon(from.read_to_string(&mut seen)).await.unwrap();
    assert!(seen.starts_with("HTTP/1.1 408 "), "{seen}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let by = running.event(|e| if let Event::Refused(r) = e { Some(r.by) } else { None }).await;
    assert_eq!(by, RefusedBy::Invalid);
    dripping.abort();
    // One that says nothing at all is not spoken to.
    assert_eq!(talk(running.address, b"").await, "");
    until("nothing is left", || running.relay.numbers().connections == 0).await;
}

#[tokio::test]
async fn places_are_bounded_and_come_back() {
    let mut config = config(echo().await);
    config.limits.connections = 3;
    config.limits.per_source = Some(2);
    let mut running = start(config);
    let a = connect(running.address).await;
    let b = connect(running.address).await;
    let seen = talk(running.address, upgrade_request("").as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 429 ") && seen.contains("Retry-After"), "{seen}");
    let refused = running.event(|e| if let Event::Refused(r) = e { Some(r) } else { None }).await;
    assert_eq!((refused.by, refused.cause), (RefusedBy::Limit, Cause::RelayLimit));
    // A third place is taken by one that has not said who it is yet; then there is no room at all.
    let c = TcpStream::connect(running.address).await.unwrap();
    until("three are in", || running.relay.numbers().connections == 3).await;
    let seen = rest(&mut TcpStream::connect(running.address).await.unwrap()).await;
    assert!(seen.starts_with("HTTP/1.1 503 "), "{seen}");
    drop((a, c));
    until("one is left", || running.relay.numbers().connections == 1).await;
    let _again = connect(running.address).await;
    drop(b);
}

#[tokio::test]
async fn a_slow_reader_gets_back_pressure_and_not_memory() {
    const CHUNK: usize = 1 << 20;
    let (counted, mut count) = tokio::sync::watch::channel(0usize);
    let gateway = gateway(move |mut tcp| {
        let counted = counted.clone();
        async move {
            read_head(&mut tcp).await;
            tcp.write_all(switching("").as_bytes()).await.unwrap();
            let frame = [b"\x82\x7f\0\0\0\0\0\x10\0\0".as_slice(), &vec![7; CHUNK]].concat();
            while tcp.write_all(&frame).await.is_ok() {
                counted.send_modify(|n| *n += 1);
            }
        }
    })
    .await;
    let mut config = config(gateway);
    config.times.stalled = Duration::from_millis(200);
    let mut running = start(config);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
    // Nobody reads: the verdict comes, and the gateway cannot write on.
    running
        .event(|e| match e {
            Event::Swept(swept) if swept.sick == [(Cause::PeerStalled, 1)] => Some(()),
            _ => None,
        })
        .await;
    let session = running.sessions().remove(0);
    assert_eq!(session.cause, Some(Cause::PeerStalled));
    assert!(session.message.contains("the client has taken nothing for"), "{}", session.message);
    assert!(session.sent.queued <= Some(64 * 1024), "{:?}", session.sent.queued);
    let stuck = *count.borrow_and_update();
    // Reading frees it: everything that was sent arrives, in order.
    let mut buffer = vec![0; 1 << 16];
    let mut got = 0;
    while got < (stuck + 20) * (CHUNK + 10) {
        let n = soon(client.read(&mut buffer)).await.unwrap();
        assert!(n > 0);
        got += n;
    }
    assert!(*count.borrow() > stuck);
    until("it is well again", || running.sessions()[0].cause.is_none()).await;
}

#[tokio::test]
async fn idle_sessions_are_closed_where_that_is_wanted() {
    let mut config = config(echo().await);
    config.times.idle = Some(Duration::from_millis(150));
    let mut running = start(config);
    let mut client = connect(running.address).await;
    client.send(Message::text("x")).await.unwrap();
    assert_eq!(text(&mut client).await, "x");
    match soon(client.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "idle"));
        }
        other => panic!("{other:?}"),
    }
    while let Some(Ok(_)) = soon(client.next()).await {}
    let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
    assert_eq!((close.by, close.code, close.cause), (EndedBy::Mooring, Some(1001), Some(Cause::RelayLimit)));
}
