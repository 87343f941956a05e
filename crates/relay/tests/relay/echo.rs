//! Bytes in, the same bytes out.

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::session::{EndedBy, SessionState};
use mooring_relay::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::*;

#[tokio::test]
async fn messages_come_back_and_the_end_is_told() {
    let mut running = start(config(echo().await));
    let mut client = connect(running.address).await;
    for n in 0..100 {
        client.send(Message::text(format!("message {n}"))).await.unwrap();
        assert_eq!(text(&mut client).await, format!("message {n}"));
    }
    let sessions = running.sessions();
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert_eq!((session.received.messages, session.sent.messages), (Some(100), Some(100)));
    assert_eq!(session.received.bytes, session.sent.bytes);
    assert_eq!(session.state, SessionState::Open);
    let frame = CloseFrame { code: CloseCode::Away, reason: "done".into() };
    client.close(Some(frame)).await.unwrap();
    while let Some(Ok(_)) = soon(client.next()).await {}
    let close = running.event(|e| if let Event::Closed(close) = e { Some(close) } else { None }).await;
    assert_eq!((close.code, close.by, close.cause), (Some(1001), EndedBy::Peer, None));
    assert_eq!(close.id, session.id);
    until("no session", || running.open() == 0 && running.relay.numbers().connections == 0).await;
}

#[tokio::test]
async fn large_messages_pass_whole() {
    let running = start(config(echo().await));
    let client = connect(running.address).await;
    let large: Vec<u8> = (0..16 * 1024 * 1024u32).map(|n| (n ^ (n >> 11)) as u8).collect();
    let (mut sink, mut stream) = client.split();
    let sent = large.clone();
    tokio::spawn(async move { sink.send(Message::binary(sent)).await });
    let got = soon(stream.next()).await.unwrap().unwrap().into_data();
    assert!(got == large, "the same bytes");
}

#[tokio::test]
async fn frames_of_every_kind_and_cut_pass_byte_for_byte() {
    // Fragments with control frames between them, all three encodings of a length, an empty frame, a Close at the end.
    let mut stream = Vec::new();
    let mut frame = |first: u8, payload: &[u8]| {
        stream.push(first);
        match payload.len() {
            n @ 0..126 => stream.push(0x80 | n as u8),
            n @ 126..65_536 => {
                stream.extend_from_slice(&[&[0xfe], (n as u16).to_be_bytes().as_slice()].concat())
            }
            n => stream.extend_from_slice(&[&[0xff], (n as u64).to_be_bytes().as_slice()].concat()),
        }
        stream.extend_from_slice(&[0; 4]);
        stream.extend_from_slice(payload);
    };
    frame(0x01, b"he");
    frame(0x89, b"ping");
    frame(0x00, b"");
    frame(0x8a, b"pong");
    frame(0x80, b"llo");
    frame(0x82, &[1; 125]);
    frame(0x82, &[2; 126]);
    frame(0x82, &[3; 65_535]);
    frame(0x82, &[4; 65_536]);
    frame(0x88, b"\x0f\xa0bye");
    let size = stream.len();
    let mirror = gateway(move |mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(switching("").as_bytes()).await.unwrap();
        let mut all = vec![0; size];
        tcp.read_exact(&mut all).await.unwrap();
        tcp.write_all(&all).await.unwrap();
        let _ = tcp.shutdown().await;
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    for step in [1, 7, 1000, size] {
        let mut running = start(config(mirror));
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(upgrade_request("").as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
        let (mut from, mut to) = client.into_split();
        let sent = stream.clone();
        // Byte by byte only as far as the headers are interesting.
        tokio::spawn(async move {
            let (slow, fast) = sent.split_at(sent.len().min(step * 300));
            for piece in slow.chunks(step).chain([fast]) {
                to.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            to
        });
        let mut back = Vec::new();
        soon(from.read_to_end(&mut back)).await.unwrap();
        assert!(back == stream, "in steps of {step}");
        let close = running.event(|e| if let Event::Closed(close) = e { Some(close) } else { None }).await;
        assert_eq!((close.code, close.by, close.cause), (Some(4000), EndedBy::Peer, None));
    }
}
