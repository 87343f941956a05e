//! Ordinary HTTP through the relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mooring_relay::{Event, RefusedBy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

/// A gateway that answers each request on a connection by its path, and counts connections.
async fn web() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = gateway(move |mut tcp| {
        counted.fetch_add(1, SeqCst);
        async move {
            loop {
                let head = read_head(&mut tcp).await;
                let Some(path) = head.split(' ').nth(1) else { return };
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("Content-Length: "))
                    .and_then(|v| v.trim().parse::<usize>().ok())
                    .unwrap_or(0);
                let answer: Vec<u8> = match path {
                    "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
                    "/chunked" => {
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: v\r\n\r\n".to_vec()
                    }
                    "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
                    "/empty" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
                    "/same" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_vec(),
                    "/early" => b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
                    "/echo" => {
                        let mut body = vec![0; length];
                        tcp.read_exact(&mut body).await.unwrap();
                        [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(), &body].concat()
                    }
                    "/dechunk" => {
                        let mut body = Vec::new();
                        while !body.ends_with(b"0\r\n\r\n") {
                            body.push(tcp.read_u8().await.unwrap());
                        }
                        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
                    }
                    "/expect" => {
                        assert!(head.contains("Expect: 100-continue"), "{head}");
                        tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
                        let mut body = vec![0; length];
                        tcp.read_exact(&mut body).await.unwrap();
                        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
                    }
                    "/head-of" => {
                        let shown = head.replace("\r\n", "|");
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{shown}", shown.len()).into_bytes()
                    }
                    "/two-ways" => {
                        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()
                    }
                    "/upgrades" => switching("").into_bytes(),
                    "/old" => {
                        let _ = tcp.write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end").await;
                        let _ = tcp.shutdown().await;
                        return;
                    }
                    "/torn" => {
                        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf").await;
                        let _ = tcp.shutdown().await;
                        return;
                    }
                    "/gone" => return,
                    _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
                };
                if tcp.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

/// Asks on a connection that is kept: the head and so many bytes of body.
async fn ask(client: &mut TcpStream, request: &str, body: usize) -> (String, String) {
    client.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(client).await;
    let mut bytes = vec![0; body];
    soon(client.read_exact(&mut bytes)).await.unwrap();
    (head, String::from_utf8_lossy(&bytes).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let (gateway, connections) = web().await;
    let running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let rows = [
        (get("/length"), 5, "200", "hello"),
        (get("/chunked"), 26, "200", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        (get("/empty"), 0, "204", ""),
        (get("/same"), 0, "304", ""),
        (get("/head").replace("GET", "HEAD"), 0, "200", ""),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned(), 3, "200", "abc"),
        (
            "POST /dechunk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nT: v\r\n\r\n".to_owned(),
            13,
            "200",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        (get("/nowhere"), 0, "404", ""),
    ];
    for (request, length, status, body) in rows {
        let (head, got) = ask(&mut client, &request, length).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{head}");
        assert!(head.contains("Connection: keep-alive"), "{head}");
        assert_eq!(got, body, "{request}");
    }
    assert_eq!(connections.load(SeqCst), 1, "one to the gateway as well");
    assert_eq!(running.relay.numbers().requests, 8);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (gateway, _) = web().await;
    let running = start(config(gateway));
    let all = format!("{}{}", get("/length"), get("/nowhere").replace("Host", "Connection: close\r\nHost"));
    let seen = talk(running.address, all.as_bytes()).await;
    let hello = seen.find("hello").unwrap();
    assert!(seen[hello..].starts_with("helloHTTP/1.1 404 "), "{seen}");
}

#[tokio::test]
async fn provisional_answers_and_expectations_pass() {
    let (gateway, _) = web().await;
    let running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(get("/early").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 103 "));
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    let mut ok = [0; 2];
    client.read_exact(&mut ok).await.unwrap();
    let expecting = "POST /expect HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(expecting.as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100 "), "before the body is sent");
    client.write_all(b"body").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn the_gateway_learns_who_asks() {
    let (gateway, _) = web().await;
    let mut config = config(gateway);
    let said = "GET /head-of HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n";
    let running = start(config.clone());
    let seen = talk(running.address, said.as_bytes()).await;
    assert!(seen.contains("|X-Forwarded-For: 127.0.0.1|") && !seen.contains("X-Hop"), "{seen}");
    assert!(seen.contains("|X-Forwarded-Proto: http|") && seen.contains("|X-Forwarded-Host: x|"), "{seen}");
    config.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let running = start(config);
    let seen = talk(running.address, said.as_bytes()).await;
    assert!(seen.contains("|X-Forwarded-For: 6.6.6.6, 127.0.0.1|"), "{seen}");
}

#[tokio::test]
async fn answers_that_end_with_the_connection_or_before() {
    let (gateway, _) = web().await;
    let running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let (head, body) = ask(&mut client, &get("/old"), 20).await;
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    assert_eq!(body, "a\r\nto the end\r\n0\r\n\r\n");
    let (head, _) = ask(&mut client, &get("/length"), 5).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "on a new connection to the gateway: {head}");
    let old = talk(running.address, b"GET /chunked HTTP/1.0\r\n\r\n").await;
    assert!(old.ends_with("\r\n\r\nhello world") && old.contains("Connection: close"), "{old}");
    let torn = talk(running.address, get("/torn").as_bytes()).await;
    assert!(torn.ends_with("half"), "cut, and not made whole: {torn}");
    for (path, status) in [("/two-ways", "502"), ("/upgrades", "502"), ("/gone", "502")] {
        let seen = talk(running.address, get(path).as_bytes()).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {seen}");
        assert!(seen.contains("mooring relay: "), "{seen}");
    }
    assert_eq!(running.relay.numbers().refused, 0, "no session was wanted");
}

#[tokio::test]
async fn who_leaves_while_it_is_held_gives_its_place_back() {
    let (gateway, connections) = web().await;
    let running = start(config(gateway));
    running.relay.hold(true);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(get("/length").as_bytes()).await.unwrap();
    until("it is held", || running.relay.numbers().held == 1).await;
    drop(client);
    until("its place is free", || running.relay.numbers().held == 0).await;
    // What comes early is kept for its turn.
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(get("/length").as_bytes()).await.unwrap();
    until("it is held", || running.relay.numbers().held == 1).await;
    client.write_all(get("/nowhere").as_bytes()).await.unwrap();
    running.relay.hold(false);
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    let mut hello = [0; 5];
    soon(client.read_exact(&mut hello)).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 404 "));
    assert_eq!(connections.load(SeqCst), 1);
}

#[tokio::test]
async fn smuggling_is_refused_before_the_gateway() {
    let (gateway, connections) = web().await;
    let mut running = start(config(gateway));
    let with = |fields: &str, body: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}");
    let rows = [
        with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        with("Content-Length: 5, 6\r\n", "hello"),
        with("Content-Length: +5\r\n", "hello"),
        with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
        with("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        with("X: a\r\n b\r\n", ""),
        with("X: a\nContent-Length: 5\r\n", "hello"),
        with("X: a\rContent-Length: 5\r\n", "hello"),
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET /\tx HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n".to_owned(),
    ];
    for request in rows {
        let seen = talk(running.address, request.as_bytes()).await;
        assert!(seen.starts_with("HTTP/1.1 400 "), "{request:?}\n{seen}");
        let by = running.event(|e| if let Event::Refused(r) = e { Some(r.by) } else { None }).await;
        assert_eq!(by, RefusedBy::Invalid);
    }
    assert_eq!(connections.load(SeqCst), 0);
    // A chunk that breaks later does reach it, as far as it was whole; the client's connection ends there.
    let broken = with(
        "Transfer-Encoding: chunked\r\n",
        "3\r\nabcX\r\n0\r\n\r\nGET /length HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    let seen = talk(running.address, broken.replace("/echo", "/dechunk").as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 400 ") && !seen.contains("hello"), "{seen}");
}
