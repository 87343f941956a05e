//! A client for the tests: real sockets, every wait bounded, and conditions awaited instead of time passed.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mooring_sample_gateway::{Gateway, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Far more than anything here takes; only a failure waits for it.
const BOUND: Duration = Duration::from_secs(20);

/// Long enough for an answer over loopback to arrive if one is coming. Used only to show that nothing comes.
const SILENCE: Duration = Duration::from_millis(200);

pub type Socket = WebSocketStream<TcpStream>;

/// Awaits what must happen.
pub async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BOUND, it).await {
        Ok(value) => value,
        Err(_) => panic!("waited {BOUND:?} in vain for: {what}"),
    }
}

/// Quiet options: no ticks, control open.
pub fn options() -> Options {
    Options { tick: Duration::ZERO, control: true, ..Options::default() }
}

pub async fn start(options: Options) -> Gateway {
    Gateway::start(options).await.expect("a free port")
}

/// Opens a session on `/ws`.
pub async fn connect(to: SocketAddr) -> Result<Socket, Error> {
    let stream = soon("a TCP connection", TcpStream::connect(to)).await?;
    let request = format!("ws://{to}/ws");
    soon("a handshake", client_async(request, stream)).await.map(|(socket, _)| socket)
}

/// The HTTP status a handshake on `path` fails with.
pub async fn refused_with(to: SocketAddr, path: &str) -> u16 {
    let stream = soon("a TCP connection", TcpStream::connect(to)).await.expect("accepted");
    match soon("an answer", client_async(format!("ws://{to}{path}"), stream)).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("not an HTTP answer: {other}"),
        Ok(_) => panic!("{path} was upgraded"),
    }
}

/// One request; the answer's status and body.
pub async fn http(to: SocketAddr, line: &str) -> (u16, String) {
    let mut stream = soon("a TCP connection", TcpStream::connect(to)).await.expect("accepted");
    let request = format!("{line} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    soon("an answer", stream.read_to_string(&mut text)).await.expect("an answer in text");
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    (status, body.to_owned())
}

/// A control request that must succeed.
pub async fn control(to: SocketAddr, query: &str) {
    let (status, body) = http(to, &format!("POST /_control?{query}")).await;
    assert_eq!(status, 200, "{body}");
}

/// Asks for the statistics until they fit.
pub async fn stats_until(to: SocketAddr, what: &str, fits: impl Fn(&serde_json::Value) -> bool) {
    soon(what, async {
        loop {
            let (_, body) = http(to, "GET /_stats").await;
            if fits(&serde_json::from_str(&body).expect("JSON")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Sends a ping and awaits its pong, passing over other frames.
pub async fn ping(socket: &mut Socket) {
    socket.send(Message::Ping("are you there".into())).await.expect("sent");
    pong(socket).await;
}

/// Awaits a pong.
pub async fn pong(socket: &mut Socket) {
    loop {
        match soon("a pong", socket.next()).await {
            Some(Ok(Message::Pong(payload))) => {
                assert_eq!(payload, "are you there".as_bytes());
                return;
            }
            Some(Ok(_)) => {}
            other => panic!("no pong but {other:?}"),
        }
    }
}

/// Sends a ping and shows that nothing at all comes back.
pub async fn ping_in_vain(socket: &mut Socket) {
    socket.send(Message::Ping("are you there".into())).await.expect("sent");
    let heard = tokio::time::timeout(SILENCE, socket.next()).await;
    assert!(heard.is_err(), "heard {heard:?}");
}

/// The next message, as text.
pub async fn text(socket: &mut Socket) -> String {
    match soon("a text", socket.next()).await {
        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
        other => panic!("no text but {other:?}"),
    }
}

/// How a session ended: with a Close frame, or `None` where TCP ended without one.
pub async fn farewell(socket: &mut Socket) -> Option<CloseFrame> {
    loop {
        match soon("the end of the session", socket.next()).await {
            Some(Ok(Message::Close(frame))) => return frame,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}
