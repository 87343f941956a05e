//! Peers, and relays between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::session::SessionQuery;
use mooring_relay::{
    Event, ListenAddress, Listener, Queue, Relay, RelayConfig, RelayHandle, Upstream, UpstreamAddress,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, accept_async_with_config, client_async_with_config,
};

/// Longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A relay, its address and its events.
pub struct Running {
    pub relay: RelayHandle,
    pub address: SocketAddr,
    pub events: Receiver<Event>,
}

pub fn config(upstream: SocketAddr) -> RelayConfig {
    let mut config =
        RelayConfig::new(ListenAddress::Tcp(any_port()), Upstream::new(UpstreamAddress::Tcp(upstream)));
    config.times.sweep = Duration::from_millis(20);
    config
}

pub fn start(config: RelayConfig) -> Running {
    start_with(config, Vec::new())
}

pub fn start_with(config: RelayConfig, taken: Vec<Listener>) -> Running {
    let (queue, events) = Queue::new(100_000);
    let relay = Relay::start(config, taken, queue).expect("a relay");
    let address = relay.listeners().first().and_then(|l| l.local_addr()).unwrap_or(any_port());
    Running { relay, address, events }
}

impl Running {
    /// The next event that a filter wants; others are dropped.
    pub async fn event<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("an event");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("the event in time")
    }

    pub fn open(&self) -> u64 {
        self.relay.counts().open
    }

    pub fn sessions(&self) -> Vec<mooring_core::session::SessionView> {
        self.relay.list(&SessionQuery { limit: 1000, ..SessionQuery::default() }).sessions
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Within the time a test has.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

pub type Client = WebSocketStream<TcpStream>;
#[expect(dead_code, reason = "names the type TLS tests use")]
pub type AnyClient = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn large() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

/// A WebSocket client of an address.
pub async fn connect(address: SocketAddr) -> Client {
    try_connect(address, "/").await.expect("a session")
}

pub async fn try_connect(address: SocketAddr, path: &str) -> Result<Client, Error> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let request = format!("ws://{address}{path}").into_client_request()?;
    Ok(soon(client_async_with_config(request, tcp, Some(large()))).await?.0)
}

/// A gateway that sends everything back.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(echo_on(listener));
    address
}

pub async fn echo_on(listener: TcpListener) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let Ok(mut ws) = accept_async_with_config(tcp, Some(large())).await else { return };
            while let Some(Ok(message)) = ws.next().await {
                if (message.is_text() || message.is_binary()) && ws.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A gateway that does with each connection what it is told.
pub async fn gateway<F, Fut>(each: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(any_port()).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let each = Arc::new(each);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(each(tcp));
        }
    });
    address
}

/// Reads a head, to the empty line.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Sends bytes and reads until the end.
pub async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("to be heard");
    rest(&mut stream).await
}

/// Everything up to the end.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    soon(stream.read_to_end(&mut all)).await.expect("an end without a reset");
    String::from_utf8_lossy(&all).into_owned()
}

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upgrade request with the key of the RFC's example.
pub fn upgrade_request(extra: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: gateway.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// The answer to it.
pub fn switching(extra: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{extra}\r\n"
    )
}

/// Text messages as they come.
pub async fn text(client: &mut Client) -> String {
    match soon(client.next()).await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("a text was expected, not {other:?}"),
    }
}
