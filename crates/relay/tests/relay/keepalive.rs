//! Pings of our own, and the round trips of everybody's.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::cause::Cause;
use mooring_relay::{Event, Side};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test]
async fn silent_sides_are_pinged_and_their_answers_go_no_further() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let gateway = gateway(move |tcp| {
        let tell = tell.clone();
        async move {
            let mut ws = accept_async(tcp).await.unwrap();
            while let Some(Ok(message)) = ws.next().await {
                let _ = tell.send(message);
            }
        }
    })
    .await;
    let mut config = config(gateway);
    config.keepalive.client = Some(Duration::from_millis(50));
    config.keepalive.gateway = Some(Duration::from_millis(50));
    let mut running = start(config);
    let mut client = connect(running.address).await;
    let mut seen = [0, 0];
    let seen = tokio::time::timeout(PATIENCE, async {
        while seen.iter().any(|n| *n < 3) {
            tokio::select! {
                message = client.next() => match message {
                    Some(Ok(Message::Ping(payload))) => {
                        assert!(payload.starts_with(b"mooring"), "{payload:?}");
                        seen[0] += 1;
                    }
                    other => panic!("the client saw {other:?}"),
                },
                message = told.recv() => match message {
                    Some(Message::Ping(_)) => seen[1] += 1,
                    other => panic!("the gateway saw {other:?}"),
                },
            }
        }
        seen
    })
    .await
    .expect("pings");
    assert!(seen.iter().all(|n| *n >= 3));
    let mut sides = Vec::new();
    while !(sides.contains(&Side::Client) && sides.contains(&Side::Gateway)) {
        sides.push(
            running.event(|e| if let Event::RoundTrip { side, .. } = e { Some(side) } else { None }).await,
        );
    }
    let session = running.sessions().remove(0);
    assert!(session.rtt.is_some());
    // Messages pass between pings that are out.
    client.send(Message::text("x")).await.unwrap();
    loop {
        match soon(told.recv()).await {
            Some(Message::Ping(_)) => {}
            Some(Message::Text(text)) => break assert_eq!(text.as_str(), "x"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(running.relay.numbers().violations, 0);
}

#[tokio::test]
async fn answers_cut_anywhere_are_known_and_other_pongs_pass() {
    let gateway = gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(switching("").as_bytes()).await.unwrap();
        // Shows what comes through, as it is.
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = tcp.read(&mut buffer).await {
            let frame = [[0x82, n as u8].as_slice(), &buffer[..n]].concat();
            if tcp.write_all(&frame).await.is_err() {
                return;
            }
        }
    })
    .await;
    let mut config = config(gateway);
    config.keepalive.client = Some(Duration::from_millis(60));
    let running = start(config);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let mut ping = [0; 17];
    soon(client.read_exact(&mut ping)).await.unwrap();
    assert_eq!(&ping[..9], b"\x89\x0fmooring");
    let ours = [b"\x8a\x8f\0\0\0\0", &ping[2..]].concat();
    let theirs = b"\x8a\x84\0\0\0\0abcd";
    let message = b"\x81\x82\0\0\0\0hi";
    // A foreign pong, our pong byte by byte, a message.
    client.write_all(theirs).await.unwrap();
    for byte in &ours {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    client.write_all(message).await.unwrap();
    let expected = [theirs.as_slice(), message].concat();
    let mut through = Vec::new();
    while through.len() < expected.len() {
        let mut head = [0; 2];
        soon(client.read_exact(&mut head)).await.unwrap();
        let mut body = vec![0; head[1].into()];
        soon(client.read_exact(&mut body)).await.unwrap();
        // A ping may have come again.
        if head[0] == 0x82 {
            through.extend_from_slice(&body);
        }
    }
    assert_eq!(through, expected);
}

#[tokio::test]
async fn pings_that_pass_are_timed_and_missed() {
    let mut config = config(echo().await);
    config.times.pong = Duration::from_millis(200);
    let mut running = start(config);
    let mut client = connect(running.address).await;
    client.send(Message::Ping("p".into())).await.unwrap();
    assert!(matches!(soon(client.next()).await, Some(Ok(Message::Pong(_)))));
    let (side, rtt) = running
        .event(|e| if let Event::RoundTrip { side, rtt, .. } = e { Some((side, rtt)) } else { None })
        .await;
    assert_eq!(side, Side::Gateway);
    assert!(rtt < Duration::from_secs(5));
    // A gateway that pings a client which does not answer.
    let gateway = gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(&[switching("").as_bytes(), b"\x89\x01x"].concat()).await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut deaf_config = crate::support::config(gateway);
    deaf_config.times.pong = Duration::from_millis(200);
    let mut running = start(deaf_config);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    read_head(&mut client).await;
    running
        .event(|e| match e {
            Event::Swept(swept) if swept.sick == [(Cause::HeartbeatMissed, 1)] => Some(()),
            _ => None,
        })
        .await;
    assert!(running.sessions()[0].message.contains("the client has not answered a ping"));
    client.write_all(b"\x8a\x81\0\0\0\0x").await.unwrap();
    until("it is well again", || running.sessions()[0].cause.is_none()).await;
}

#[tokio::test]
async fn promised_heartbeats_are_held_to() {
    let gateway = gateway(|tcp| async move {
        let mut ws = accept_async(tcp).await.unwrap();
        let open = r#"0{"sid":"x","upgrades":[],"pingInterval":100,"pingTimeout":50,"maxPayload":1000000}"#;
        ws.send(Message::text(open)).await.unwrap();
        ws.send(Message::text("2")).await.unwrap();
        while let Some(Ok(_)) = ws.next().await {}
    })
    .await;
    let mut config = config(gateway);
    config.times.beat_margin = Duration::from_millis(50);
    let mut running = start(config);
    let mut client = connect(running.address).await;
    text(&mut client).await;
    text(&mut client).await;
    client.send(Message::text("3")).await.unwrap();
    let side = running.event(|e| if let Event::RoundTrip { side, .. } = e { Some(side) } else { None }).await;
    assert_eq!(side, Side::Client, "Engine.IO's own ping");
    assert_eq!(running.sessions()[0].beat, Some(Duration::from_millis(100)));
    running
        .event(|e| match e {
            Event::Swept(swept) if swept.sick == [(Cause::HeartbeatMissed, 1)] => Some(()),
            _ => None,
        })
        .await;
    let message = running.sessions()[0].message.clone();
    assert!(message.starts_with("the gateway promised a heartbeat every 100ms"), "{message}");
}

#[tokio::test]
async fn a_pong_without_end_is_not_gathered() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let gateway = gateway(move |mut tcp| {
        let tell = tell.clone();
        async move {
            read_head(&mut tcp).await;
            tcp.write_all(switching("").as_bytes()).await.unwrap();
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = tcp.read(&mut buffer).await {
                let _ = tell.send(n);
            }
        }
    })
    .await;
    let mut config = config(gateway);
    config.keepalive.client = Some(Duration::from_millis(50));
    let running = start(config);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let mut ping = [0; 17];
    soon(client.read_exact(&mut ping)).await.unwrap();
    // A pong of 1 MiB, of which a part comes: it breaks a rule, and is passed on as everything that does.
    let head = [b"\x8a\xff".as_slice(), &(1u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let part = [head, vec![0; 100_000]].concat();
    client.write_all(&part[..1]).await.unwrap();
    client.write_all(&part[1..]).await.unwrap();
    let mut came = 0;
    while came < part.len() {
        came += soon(told.recv()).await.unwrap();
    }
    assert_eq!(came, part.len());
    assert_eq!(running.relay.numbers().violations, 1);
}

#[tokio::test]
async fn only_a_gateway_promises_heartbeats() {
    let gateway = gateway(|tcp| async move {
        let mut ws = accept_async(tcp).await.unwrap();
        while let Some(Ok(_)) = ws.next().await {}
    })
    .await;
    let mut running = start(config(gateway));
    let mut client = connect(running.address).await;
    let open = r#"0{"sid":"x","upgrades":[],"pingInterval":100,"pingTimeout":50,"maxPayload":1000000}"#;
    client.send(Message::text(open)).await.unwrap();
    client.send(Message::Ping("p".into())).await.unwrap();
    // The answer comes after the relay has seen the open packet.
    assert!(matches!(soon(client.next()).await, Some(Ok(Message::Pong(_)))));
    running.event(|e| matches!(e, Event::Swept(_)).then_some(())).await;
    assert_eq!(running.sessions()[0].beat, None);
}
