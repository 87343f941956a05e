//! Faults of one session, and the others that do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use futures_util::SinkExt as _;
use mooring_core::cause::Cause;
use mooring_core::session::EndedBy;
use mooring_relay::{Event, Instances, Relay, Side, Sink, Violations};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

/// A gateway that shows the raw bytes it gets as one binary frame each.
async fn raw_mirror() -> std::net::SocketAddr {
    gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(switching("").as_bytes()).await.unwrap();
        let mut buffer = [0; 100];
        while let Ok(n @ 1..) = tcp.read(&mut buffer).await {
            let _ = tcp.write_all(&[[0x82, n as u8].as_slice(), &buffer[..n]].concat()).await;
        }
    })
    .await
}

async fn raw_session(running: &Running) -> TcpStream {
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
    client
}

const UNMASKED: &[u8] = b"\x81\x05hello";

#[tokio::test]
async fn a_broken_rule_is_reported_and_passed_on() {
    let mut running = start(config(raw_mirror().await));
    let mut client = raw_session(&running).await;
    client.write_all(UNMASKED).await.unwrap();
    let mut back = [0; 9];
    soon(client.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back[2..], UNMASKED);
    let (side, violation) = running
        .event(
            |e| if let Event::Violated { side, violation, .. } = e { Some((side, violation)) } else { None },
        )
        .await;
    assert_eq!((side, violation.at_frame), (Side::Client, 0));
    // What cannot be followed is passed on all the same.
    let lost = b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0abc";
    client.write_all(lost).await.unwrap();
    let mut back = vec![0; 2 + lost.len()];
    soon(client.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back[2..], lost);
    assert_eq!(running.relay.numbers().violations, 2);
}

#[tokio::test]
async fn a_broken_rule_is_the_end_where_that_is_wanted() {
    for broken in [UNMASKED, b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".as_slice()] {
        let mut config = config(raw_mirror().await);
        config.violations = Violations::Close;
        config.times.ending = std::time::Duration::from_millis(300);
        let mut running = start(config);
        let mut client = raw_session(&running).await;
        let good = b"\x81\x82\0\0\0\0hi";
        client.write_all(&[good, broken].concat()).await.unwrap();
        let mut all = Vec::new();
        // The gateway mirrors what it got: the good frame, then our Close with 1002; the client got a Close of its own.
        soon(client.read_to_end(&mut all)).await.unwrap();
        assert!(!all.windows(5).any(|w| w == b"hello"), "{all:x?}");
        assert!(all.windows(4).any(|w| w[0] == 0x88 && w[2..] == 1002u16.to_be_bytes()), "{all:x?}");
        let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
        assert_eq!(
            (close.by, close.code, close.cause),
            (EndedBy::Mooring, Some(1002), Some(Cause::ProtocolViolated)),
            "{close:?}"
        );
    }
}

struct Touchy(AtomicBool);

impl Sink for Touchy {
    fn event(&self, event: Event) {
        if matches!(event, Event::Violated { .. }) && !self.0.swap(true, SeqCst) {
            panic!("a fault while looking at a session");
        }
    }
}

#[tokio::test]
async fn a_panic_ends_its_own_session_only() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut config = config(echo().await);
    config.instances = Instances::ByPath(Arc::new(|path| {
        assert_ne!(path, "/panic", "a fault in the handshake");
        None
    }));
    let relay = Relay::start(config, vec![], Arc::new(Touchy(AtomicBool::new(false)))).unwrap();
    let address = relay.listeners()[0].local_addr().unwrap();
    let mut good = connect(address).await;
    let mut bad = TcpStream::connect(address).await.unwrap();
    bad.write_all(upgrade_request("").as_bytes()).await.unwrap();
    read_head(&mut bad).await;
    until("both are open", || relay.counts().open == 2).await;
    bad.write_all(UNMASKED).await.unwrap();
    let _ = soon(bad.read_to_end(&mut Vec::new())).await;
    assert!(try_connect(address, "/panic").await.is_err());
    until("both faults are counted", || relay.numbers().panics == 2).await;
    assert_eq!(relay.counts().open, 1);
    until("their places are back", || relay.numbers().connections == 1).await;
    good.send(Message::text("still here")).await.unwrap();
    assert_eq!(text(&mut good).await, "still here");
    let _ = std::panic::take_hook();
}

#[tokio::test]
async fn a_gateway_that_dies_is_told_apart_from_a_client_that_leaves() {
    let gateway = gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(switching("").as_bytes()).await.unwrap();
        // The first byte kills it.
        let _ = tcp.read_u8().await;
    })
    .await;
    let mut running = start(config(gateway));
    let mut client = raw_session(&running).await;
    client.write_all(b"\x81\x81\0\0\0\0x").await.unwrap();
    let _ = soon(client.read_to_end(&mut Vec::new())).await;
    drop(client);
    let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
    assert_eq!(
        (close.by, close.code, close.cause),
        (EndedBy::Gateway, None, Some(Cause::SessionLost)),
        "{close:?}"
    );
    drop(raw_session(&running).await);
    let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
    assert_eq!((close.by, close.code), (EndedBy::Peer, None), "{close:?}");
    assert_eq!(running.relay.counts().closed, 2);
    until("nothing is left", || running.relay.numbers().connections == 0).await;
}

#[tokio::test]
async fn a_client_that_is_torn_away_does_not_tear_the_gateway() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let gateway = gateway(move |mut tcp| {
        let tell = tell.clone();
        async move {
            read_head(&mut tcp).await;
            tcp.write_all(&[switching("").as_bytes(), b"\x81\x02hi"].concat()).await.unwrap();
            let end = tcp.read(&mut [0; 100]).await;
            // The last words of a gateway that has seen the end: nobody resets it for them.
            let goodbye = tcp.write_all(b"\x88\x02\x03\xe9").await;
            let more = tcp.write_all(b"\x81\x02ho").await;
            let _ = tell.send((end.ok(), goodbye.is_ok(), more.is_ok()));
        }
    })
    .await;
    let mut running = start(config(gateway));
    let client = raw_session(&running).await;
    // What it has not read makes its leaving a reset.
    assert_eq!(soon(client.peek(&mut [0; 4])).await.unwrap(), 4);
    drop(client);
    assert_eq!(soon(told.recv()).await, Some((Some(0), true, true)));
    let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
    assert_eq!((close.by, close.code), (EndedBy::Peer, None), "{close:?}");
    until("nothing is left", || running.relay.numbers().connections == 0).await;
}
