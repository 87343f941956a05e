//! tokio-tungstenite, as client before npm's server, and as both ends.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use crate::support::{Script, Server, alike, relay};

/// What is said of a message.
fn shown(message: &Result<Message, Error>) -> String {
    // The sum tells texts apart that are too long to show.
    let sum =
        |bytes: &[u8]| bytes.iter().fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)));
    match message {
        Ok(Message::Text(text)) => format!("text {} {:x}", text.len(), sum(text.as_bytes())),
        Ok(Message::Binary(bytes)) => format!("binary {} {:x}", bytes.len(), sum(bytes)),
        Ok(Message::Close(Some(frame))) => format!("close {} {}", frame.code, frame.reason),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("error {error}"),
    }
}

/// What the client does on a connection.
struct Case {
    name: &'static str,
    sends: Vec<Message>,
    /// Messages to wait for before it closes. It waits for the end anyway.
    answers: usize,
    close: Option<(u16, &'static str)>,
}

fn cases() -> Vec<Case> {
    let case = |name, sends, answers, close| Case { name, sends, answers, close };
    let part = |payload: &'static str, opcode, last| {
        Message::Frame(Frame::message(payload.as_bytes(), OpCode::Data(opcode), last))
    };
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    let binary =
        sizes.iter().map(|n| Message::binary((0..*n).map(|i| (i * 7 % 251) as u8).collect::<Vec<u8>>()));
    vec![
        case(
            "text",
            vec![Message::text("hello"), Message::text(""), Message::text("héllo 世界 🚢")],
            3,
            Some((1000, "done")),
        ),
        case("binary", binary.collect(), sizes.len(), Some((1000, ""))),
        case(
            "fragments",
            vec![
                part("one ", Data::Text, false),
                Message::Ping("between".into()),
                part("", Data::Continue, false),
                part("two", Data::Continue, true),
            ],
            2,
            Some((1000, "")),
        ),
        case(
            "pings",
            vec![Message::Ping("".into()), Message::Ping("x".repeat(125).into())],
            2,
            Some((1000, "")),
        ),
        case("pings-back", vec![Message::text("!ping abc")], 2, Some((1000, ""))),
        case("fragments-back", vec![Message::text("!fragments")], 3, Some((1000, ""))),
        case("closing", vec![], 0, Some((4999, "own code"))),
        case("closed", vec![Message::text("!close 1012 service restart")], 0, None),
        case("dropped", vec![Message::text("!drop")], 0, None),
    ]
}

/// Goes through the cases; returns what was seen.
async fn call(address: &str) -> Vec<String> {
    let mut said = Vec::new();
    for case in cases() {
        let mut request =
            format!("ws://{address}/peer?case={}", case.name).into_client_request().expect("a URL");
        let offer = "chat.v9, chat.v2".parse().expect("a header");
        request.headers_mut().insert("Sec-WebSocket-Protocol", offer);
        let stream = TcpStream::connect(address).await.expect("it accepts");
        let (mut socket, response) = client_async(request, stream).await.expect("an upgrade");
        said.push(format!("{}: {:?}", case.name, response.headers().get("Sec-WebSocket-Protocol")));
        for message in case.sends {
            socket.send(message).await.expect("it is taken");
        }
        let mut heard = 0;
        let mut close = case.close;
        loop {
            if heard == case.answers
                && let Some((code, reason)) = close.take()
            {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                socket.close(Some(frame)).await.expect("it is taken");
            }
            let Some(message) = socket.next().await else { break };
            said.push(format!("{}: {}", case.name, shown(&message)));
            heard += 1;
            if message.is_err() {
                break;
            }
        }
    }
    said
}

/// A server that echoes, and does what `!` asks for as far as the cases need it. Says what it saw.
async fn serve(listener: TcpListener, saw: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut line = String::new();
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let look = |request: &Request, mut response: Response| {
            line = format!("{} {:?}", request.uri(), request.headers().get("sec-websocket-protocol"));
            let chosen = "chat.v2".parse().expect("a header");
            response.headers_mut().insert("Sec-WebSocket-Protocol", chosen);
            Ok(response)
        };
        let Ok(socket) = accept_hdr_async(stream, look).await else { continue };
        session(socket, &mut line).await;
        // The client is through with one before it opens the next.
        saw.lock().expect("nobody panics with it").push(line);
    }
}

async fn session(mut socket: WebSocketStream<TcpStream>, line: &mut String) {
    while let Some(message) = socket.next().await {
        write!(line, "; {}", shown(&message)).expect("a string takes all");
        match message {
            Ok(Message::Text(text)) if text.starts_with("!close ") => {
                let frame = CloseFrame { code: CloseCode::Restart, reason: "service restart".into() };
                drop(socket.close(Some(frame)).await);
            }
            Ok(Message::Text(text)) if text.as_str() == "!drop" => return,
            Ok(Message::Text(text)) if text.as_str() == "!fragments" => {
                let part = |text: &'static str, opcode, last| {
                    Message::Frame(Frame::message(text.as_bytes(), OpCode::Data(opcode), last))
                };
                let parts = [
                    part("frag-1 ", Data::Text, false),
                    Message::Ping("within".into()),
                    part("frag-2", Data::Continue, true),
                ];
                for part in parts {
                    drop(socket.send(part).await);
                }
            }
            Ok(Message::Text(text)) if text.starts_with("!ping ") => {
                drop(socket.send(Message::Ping(text.as_str()[6..].to_owned().into())).await);
            }
            Ok(Message::Pong(payload)) => {
                let text = format!("pong {}", String::from_utf8_lossy(&payload));
                drop(socket.send(Message::text(text)).await);
            }
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => drop(socket.send(message).await),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn tungstenite_to_ws() {
    let script = Script::node("peer-ws.js", &["serve"]);
    let server = Server::start(&script).await;
    let said = call(&server.address).await;
    let saw = server.saw().await;
    assert!(said.len() > 30 && saw.len() == cases().len(), "{said:#?}\n{saw:#?}");
    let server = Server::start(&script).await;
    let between = relay(&server.address).await;
    alike("the client", &said, &call(&between.address).await);
    alike("the server", &saw, &server.saw().await);
}

#[tokio::test]
async fn tungstenite_to_tungstenite() {
    let mut seen = Vec::new();
    for relayed in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        // Probed by whoever waits for the relay to start.
        let saw = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, Arc::clone(&saw)));
        let between = if relayed { Some(relay(&address).await) } else { None };
        let said = call(between.as_ref().map_or(&address, |r| &r.address)).await;
        let all = cases().len();
        let saw = mooring_tests::wait::until("the server to see the last session end", || async {
            let saw = saw.lock().expect("nobody panics with it").clone();
            if saw.len() == all { Ok(saw) } else { Err(saw) }
        })
        .await;
        seen.push((said, saw));
    }
    let [direct, relayed] = &seen[..] else { unreachable!("two runs") };
    assert!(direct.0.len() > 30, "{:#?}", direct.0);
    alike("the client", &direct.0, &relayed.0);
    alike("the server", &direct.1, &relayed.1);
}
