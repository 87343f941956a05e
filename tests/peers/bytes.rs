//! RFC 6455's table, byte for byte: what a raw client and a raw server send each other arrives as it was sent.
//!
//! Each case of the frame scanner's own table is sent by the side it belongs to, over a connection whose handshake is
//! real, in one piece and in pieces of one to seven bytes. The other side keeps what it gets up to the end of the stream.
//! A case ends with the end of its stream, which has to arrive, too, and leaves the other direction open.

use std::time::Duration;

use mooring_wire::frames::Sender;
use mooring_wire::frames::cases::{self, Case};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::{alike, relay};

/// A stream that has said nothing for so long has no more to say.
const END: Duration = Duration::from_secs(10);

/// What both ends got.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    client: Vec<u8>,
    server: Vec<u8>,
}

/// Runs a case over a fresh connection to `address`, which leads to `listener`.
async fn exchange(listener: &TcpListener, address: &str, case: &Case, pieces: bool) -> Got {
    let (client, server) = tokio::join!(client(address, case.compressed), server(listener, case.compressed));
    let (mut client, mut server) = (client, server);
    let (from, to) = match case.sender {
        Sender::Client => (&mut client, &mut server),
        Sender::Server => (&mut server, &mut client),
    };
    let sending = async {
        if pieces {
            let mut rest = &case.bytes[..];
            let mut size = 1;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                from.write_all(piece).await.expect("it is taken");
                // So that it is a segment of its own for whoever reads quickly.
                tokio::task::yield_now().await;
                (rest, size) = (after, size % 7 + 1);
            }
        } else {
            from.write_all(&case.bytes).await.expect("it is taken");
        }
        from.shutdown().await.expect("the end is taken");
    };
    let ((), got) = tokio::join!(sending, until_end(to));
    to.shutdown().await.ok();
    let back = until_end(from).await;
    match case.sender {
        Sender::Client => Got { client: back, server: got },
        Sender::Server => Got { client: got, server: back },
    }
}

async fn until_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(Ok(n @ 1..)) = tokio::time::timeout(END, stream.read(&mut buffer)).await {
        got.extend_from_slice(&buffer[..n]);
    }
    got
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

async fn client(address: &str, compressed: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    stream.set_nodelay(true).expect("a TCP socket");
    let extension = if compressed { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    let request = format!(
        "GET /bytes HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let head = head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

async fn server(listener: &TcpListener, compressed: bool) -> TcpStream {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        let head = head(&mut stream).await;
        if !head.to_ascii_lowercase().contains("upgrade: websocket") {
            // Somebody who only tried the port.
            continue;
        }
        let extension = if compressed { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{extension}\r\n",
            derive_accept_key(KEY.as_bytes())
        );
        stream.write_all(answer.as_bytes()).await.expect("the answer is taken");
        return stream;
    }
}

/// Reads a head byte by byte, and nothing after it.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match tokio::time::timeout(END, stream.read_u8()).await {
            Ok(Ok(byte)) => head.push(byte),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn shown(case: &Case, got: &Got) -> Vec<String> {
    vec![
        format!("{}: client got {:02x?}", case.name, got.client),
        format!("{}: server got {:02x?}", case.name, got.server),
    ]
}

#[tokio::test]
async fn every_case_of_rfc_6455_is_the_same_byte_for_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let relay = relay(&address).await;
    let cases = cases::all();
    assert!(cases.len() > 100, "the table has {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        for pieces in [false, true] {
            let direct = exchange(&listener, &address, case, pieces).await;
            let sent = match case.sender {
                Sender::Client => Got { client: Vec::new(), server: case.bytes.clone() },
                Sender::Server => Got { client: case.bytes.clone(), server: Vec::new() },
            };
            alike("a raw end", &shown(case, &sent), &shown(case, &direct));
            let relayed = exchange(&listener, &relay.address, case, pieces).await;
            if relayed != direct {
                failures
                    .push(format!("{} (pieces: {pieces}): {relayed:02x?} is not {direct:02x?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
