//! The gateway as a client sees it, one test for each way to behave and to misbehave.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mooring_sample_gateway::{Ended, Gateway, Misbehaviour, Mood, Options, Verb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::*;

#[tokio::test]
async fn a_session_says_hello_ticks_echoes_and_answers_pings() {
    let gateway = start(Options {
        tick: Duration::from_millis(10),
        hello: Some("welcome".to_owned()),
        echo: true,
        ..options()
    })
    .await;
    let mut socket = connect(gateway.local_addr()).await.expect("a session");
    assert_eq!(text(&mut socket).await, "welcome");
    assert_eq!(text(&mut socket).await, r#"{"tick":1}"#);
    assert_eq!(text(&mut socket).await, r#"{"tick":2}"#);
    socket.send(Message::text("marco")).await.expect("sent");
    while text(&mut socket).await != "marco" {}
    ping(&mut socket).await;
    let stats = gateway.stats();
    assert_eq!((stats.sessions_open, stats.sessions_accepted), (1, 1));
    assert_eq!((stats.pings_received, stats.messages_received), (1, 1));
    assert_eq!(stats.misbehaviour, None);
    drop(socket);
    stats_until(gateway.local_addr(), "the session to be gone", |it| it["sessions_open"] == 0).await;
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_back() {
    let gateway = start(options()).await;
    let mut socket = connect(gateway.local_addr()).await.expect("a session");
    let frame = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
    socket.close(Some(frame.clone())).await.expect("sent");
    assert_eq!(farewell(&mut socket).await, Some(frame));
    // The server ends TCP after its Close (RFC 6455 §7.1.1).
    let after = soon("the end of TCP", socket.next()).await;
    assert!(after.is_none(), "{after:?}");
    stats_until(gateway.local_addr(), "the session to be gone", |it| it["sessions_open"] == 0).await;
}

#[tokio::test]
async fn other_paths_and_plain_requests_get_http_answers() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    assert_eq!(refused_with(to, "/elsewhere").await, 404);
    assert_eq!(http(to, "GET /elsewhere").await.0, 404);
    assert_eq!(http(to, "GET /").await, (200, "ok\n".to_owned()));
    assert_eq!(http(to, "HEAD /").await, (200, String::new()));
    assert_eq!(http(to, "GET /ws").await.0, 426);
    assert_eq!(http(to, "GARBAGE").await.0, 400);
    assert_eq!(http(to, "POST /_control?do=sulk").await.0, 400);
}

#[tokio::test]
async fn the_offered_subprotocol_is_selected() {
    let gateway = start(Options { subprotocol: Some("chat.v2".to_owned()), ..options() }).await;
    let to = gateway.local_addr();
    let stream = TcpStream::connect(to).await.expect("accepted");
    let mut request = format!("ws://{to}/ws").into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", "chat.v1, chat.v2".parse().expect("a header"));
    let (_, response) = soon("a handshake", client_async(request, stream)).await.expect("a session");
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat.v2");
}

#[tokio::test]
async fn frames_sent_with_the_request_are_not_lost() {
    let gateway = start(Options { echo: true, ..options() }).await;
    let to = gateway.local_addr();
    let mut stream = TcpStream::connect(to).await.expect("accepted");
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    // A masked text frame "hi" with a mask of zeros, in the same segment as the request.
    let bytes = [head.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat();
    stream.write_all(&bytes).await.expect("sent");
    let mut heard = Vec::new();
    while !heard.ends_with(&[0x81, 0x02, b'h', b'i']) {
        assert_ne!(soon("the echo", stream.read_buf(&mut heard)).await.expect("bytes"), 0, "closed early");
    }
}

#[tokio::test]
async fn more_sessions_than_allowed_are_refused_and_places_come_free() {
    let gateway = start(Options { max_sessions: 1, ..options() }).await;
    let to = gateway.local_addr();
    let socket = connect(to).await.expect("a session");
    assert_eq!(refused_with(to, "/ws").await, 503);
    drop(socket);
    stats_until(to, "a free place", |it| it["sessions_open"] == 0).await;
    connect(to).await.expect("a session");
}

#[tokio::test]
async fn a_request_that_does_not_come_is_given_up() {
    let gateway = start(Options { handshake_timeout: Duration::from_millis(20), ..options() }).await;
    let mut stream = TcpStream::connect(gateway.local_addr()).await.expect("accepted");
    stream.write_all(b"GET /ws HT").await.expect("sent");
    let mut text = String::new();
    soon("an answer", stream.read_to_string(&mut text)).await.expect("text");
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
}

#[tokio::test]
async fn a_hang_takes_tcp_and_says_nothing_until_healed() {
    let gateway = start(Options { tick: Duration::from_millis(5), ..options() }).await;
    let to = gateway.local_addr();
    let mut socket = connect(to).await.expect("a session");
    ping(&mut socket).await;
    control(to, "do=hang").await;
    // Ticks that were under way before the hang are read off; then silence.
    while tokio::time::timeout(Duration::from_millis(100), socket.next()).await.is_ok() {}
    ping_in_vain(&mut socket).await;
    let late = tokio::spawn(async move { connect(to).await });
    let mut stream = TcpStream::connect(to).await.expect("TCP is accepted during a hang");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut byte = [0];
    let heard = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte)).await;
    assert!(heard.is_err(), "heard {heard:?}");
    assert!(!late.is_finished(), "a handshake was answered during a hang");
    stats_until(to, "the name of the fault", |it| it["misbehaviour"] == "hang").await;
    control(to, "do=heal").await;
    pong(&mut socket).await;
    soon("the held handshake", late).await.expect("no panic").expect("a session");
    assert_eq!(soon("the held answer", stream.read(&mut byte)).await.expect("bytes"), 1);
}

#[tokio::test]
async fn a_mute_gateway_takes_handshakes_and_answers_no_ping() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut old = connect(to).await.expect("a session");
    control(to, "do=mute").await;
    let mut new = connect(to).await.expect("a session of a mute gateway");
    ping_in_vain(&mut old).await;
    ping_in_vain(&mut new).await;
    control(to, "do=heal").await;
    pong(&mut old).await;
    pong(&mut new).await;
}

#[tokio::test]
async fn a_drop_cuts_without_a_close_and_lasts_no_longer() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut sockets = [connect(to).await.expect("a session"), connect(to).await.expect("a session")];
    control(to, "do=drop").await;
    for socket in &mut sockets {
        assert_eq!(farewell(socket).await, None);
    }
    assert_eq!(gateway.stats().misbehaviour, None);
    ping(&mut connect(to).await.expect("a new session")).await;
}

#[tokio::test]
async fn a_close_carries_its_code_and_reason() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut socket = connect(to).await.expect("a session");
    control(to, "do=close&code=1012&reason=service+restart").await;
    let frame = farewell(&mut socket).await.expect("a Close frame");
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1012, "service restart"));
    ping(&mut connect(to).await.expect("a new session")).await;
}

#[tokio::test]
async fn http_only_answers_200_to_an_upgrade() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut open = connect(to).await.expect("a session");
    control(to, "do=http-only").await;
    assert_eq!(refused_with(to, "/ws").await, 200);
    ping(&mut open).await;
    control(to, "do=heal").await;
    connect(to).await.expect("a session");
}

#[tokio::test]
async fn a_refusal_keeps_sessions_and_ends_on_the_same_port() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut open = connect(to).await.expect("a session");
    control(to, "do=refuse&for=1h").await;
    soon("a refused connection", async {
        while TcpStream::connect(to).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ping(&mut open).await;
    gateway.apply(&Verb::Heal);
    soon("the port to come back", async {
        while connect(to).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_without_a_time_ends_by_itself_because_nobody_could_end_it() {
    let gateway = start(Options { lasts: Duration::from_millis(50), ..options() }).await;
    control(gateway.local_addr(), "do=refuse").await;
    soon("the end of the refusal", async {
        while gateway.stats().misbehaviour.is_some() || connect(gateway.local_addr()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_fault_with_a_time_heals_by_itself() {
    let gateway = start(options()).await;
    let to = gateway.local_addr();
    let mut socket = connect(to).await.expect("a session");
    control(to, "do=mute&for=50ms").await;
    ping(&mut socket).await;
    assert_eq!(gateway.stats().misbehaviour, None);
}

#[tokio::test]
async fn a_moody_gateway_misbehaves_unasked_and_again() {
    let gateway = start(Options {
        mood: Mood::Moody,
        misbehave: vec![Misbehaviour::Drop],
        every: Duration::from_millis(20),
        seed: Some(1),
        ..options()
    })
    .await;
    for _ in 0..2 {
        let mut socket = connect(gateway.local_addr()).await.expect("a session");
        assert_eq!(farewell(&mut socket).await, None);
    }
}

#[tokio::test]
async fn ending_closes_sessions_with_1001_even_mute_ones() {
    for fault in [None, Some("do=mute")] {
        let mut gateway = start(options()).await;
        let to = gateway.local_addr();
        let mut socket = connect(to).await.expect("a session");
        if let Some(query) = fault {
            control(to, query).await;
        }
        gateway.terminate();
        let frame = farewell(&mut socket).await.expect("a Close frame");
        assert_eq!(u16::from(frame.code), 1001);
        assert_eq!(soon("the end", gateway.wait()).await.expect("no panic"), Ended::Terminated);
        assert!(TcpStream::connect(to).await.is_err(), "still listening");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let gateway = start(options()).await;
    let listen = gateway.local_addr();
    let error = Gateway::start(Options { listen, ..options() }).await.expect_err("the port is taken");
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}
