//! What peers see when something around the relay breaks, with few sessions; `cargo xtask bench relay-faults` does the same
//! with thousands, and measures.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_tests::cost;
use mooring_tests::process::send;
use mooring_tests::relay::Relay;
use mooring_tests::wait::until;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::support::{Script, Server, kind, relay};

const SESSIONS: usize = 50;
/// How long a client may be left in the dark.
const TOLD: Duration = Duration::from_secs(10);

async fn session(address: &str, name: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let url = format!("ws://{address}/peer?case={name}");
    // Its buffers are allocated up front; many sessions need few bytes each.
    let config = WebSocketConfig::default().read_buffer_size(4_096).max_write_buffer_size(1 << 30);
    client_async_with_config(url, stream, Some(config)).await.expect("an upgrade").0
}

async fn sessions(address: &str) -> Vec<WebSocketStream<TcpStream>> {
    let open = (0..SESSIONS).map(|n| async move {
        let name = format!("s{n}");
        session(address, &name).await
    });
    futures_util::future::join_all(open).await
}

async fn echoes(session: &mut WebSocketStream<TcpStream>) {
    session.send(Message::text("still here")).await.expect("it is taken");
    let answer =
        timeout(TOLD, session.next()).await.expect("in time").expect("an answer").expect("a message");
    assert_eq!(answer, Message::text("still here"));
}

/// Every session ends within the limit.
async fn all_told(sessions: Vec<WebSocketStream<TcpStream>>) {
    for mut session in sessions {
        let end = async { while let Some(Ok(_)) = session.next().await {} };
        timeout(TOLD, end).await.expect("every client is told");
    }
}

/// Its descriptors are as few as before.
async fn rests(relay: &Relay, before: usize) {
    until("descriptors of sessions that are gone to be closed", || async {
        let now = cost::descriptors(&relay.pids());
        if now <= before + 4 { Ok(()) } else { Err((now, before)) }
    })
    .await;
}

#[tokio::test]
async fn a_killed_gateway_is_told_to_every_client_and_the_next_one_is_served() {
    let script = Script::node("peer-ws.js", &["serve"]);
    let server = Server::start(&script).await;
    let address = server.address.clone();
    let relay = relay(&address).await;
    let before = cost::descriptors(&relay.pids());
    let sessions = sessions(&relay.address).await;
    send(server.pid(), Signal::KILL);
    all_told(sessions).await;
    rests(&relay, before).await;
    let port = address.rsplit(':').next().expect("host:port");
    let _next = Server::start(&Script::node("peer-ws.js", &["serve", "--port", port])).await;
    echoes(&mut session(&relay.address, "next").await).await;
}

#[tokio::test]
async fn a_killed_relay_is_told_to_both_ends() {
    let server = Server::start(&Script::node("peer-ws.js", &["serve"])).await;
    let relay = relay(&server.address).await;
    let sessions = sessions(&relay.address).await;
    for pid in relay.pids() {
        send(pid, Signal::KILL);
    }
    all_told(sessions).await;
    let saw = server.saw().await;
    let lost = saw.iter().filter(|line| line.contains(r#""closed":1006"#)).count();
    assert_eq!(lost, SESSIONS, "{saw:#?}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_held_back_and_loses_nothing() {
    const PART: usize = 1 << 20;
    /// More than the kernel keeps on the way: the rest would be in the relay's memory.
    const PARTS: usize = 100;
    let server = Server::start(&Script::node("peer-ws.js", &["serve"])).await;
    let relay = relay(&server.address).await;
    let mut other = session(&relay.address, "other").await;
    echoes(&mut other).await;
    let before = cost::rss(&relay.pids());
    let mut slow = session(&relay.address, "slow").await;
    for n in 0..PARTS {
        // The server takes all of it, and keeps the answers that nobody takes.
        let message = Message::binary(vec![n as u8; PART]);
        timeout(TOLD, slow.send(message)).await.expect("in time").expect("it is taken");
    }
    echoes(&mut other).await;
    let grown = cost::rss(&relay.pids()).saturating_sub(before);
    assert!(grown < 8 << 20, "the relay keeps {grown} bytes for it");
    for n in 0..PARTS {
        let message = timeout(TOLD, slow.next()).await.expect("in time").expect("open").expect("a message");
        let bytes = message.into_data();
        assert!(bytes.len() == PART && bytes.iter().all(|b| *b == n as u8), "message {n}");
    }
}

#[tokio::test]
async fn a_byte_at_a_time_is_a_handshake_and_a_message_like_any_other() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(&Script::node("peer-ws.js", &["serve"])).await;
    let relay = relay(&server.address).await;
    let mut stream = TcpStream::connect(&relay.address).await.expect("it accepts");
    stream.set_nodelay(true).expect("a TCP socket");
    let request = format!(
        "GET /peer?case=drip HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        relay.address
    );
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.expect("it is taken");
        tokio::task::yield_now().await;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(TOLD, stream.read_u8()).await.expect("in time").expect("an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    // "hi", masked with zeros: what is sent is what is meant.
    for byte in [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'] {
        stream.write_all(&[byte]).await.expect("it is taken");
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 4];
    timeout(TOLD, stream.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(&answer, b"\x81\x02hi");
}

#[tokio::test]
async fn short_connections_leave_nothing_behind() {
    let server = Server::start(&Script::node("peer-ws.js", &["serve"])).await;
    let relay = relay(&server.address).await;
    let before = cost::descriptors(&relay.pids());
    let round = async |n: usize| {
        let address = &relay.address;
        let one = |at: usize| async move {
            let name = format!("r{n}-{at}");
            let mut session = session(address, &name).await;
            echoes(&mut session).await;
            session.close(None).await.expect("it is taken");
            while let Some(Ok(_)) = session.next().await {}
        };
        for batch in 0..20 {
            futures_util::future::join_all((0..50).map(|at| one(batch * 50 + at))).await;
        }
    };
    // What it keeps for the next ones it has after the first thousand.
    round(0).await;
    rests(&relay, before).await;
    let first = cost::rss(&relay.pids());
    round(1).await;
    rests(&relay, before).await;
    let second = cost::rss(&relay.pids());
    assert!(
        second <= first + (1 << 20),
        "a thousand connections left {} bytes, {:?}",
        second - first,
        kind()
    );
}
