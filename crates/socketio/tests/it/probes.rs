//! The single questions, each against a server with the fault and one without.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mooring_core::cause::Cause;
use mooring_socketio::client::{Client, Options};
use mooring_socketio::endpoint::Way;
use mooring_socketio::probe::{self, Said};
use mooring_wire::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Server, soon};

#[tokio::test]
async fn is_it_engine_io() {
    let server = Server::start(&[]).await;
    let found = soon("an answer", probe::polling(&server.endpoint(), 4)).await.unwrap();
    assert!(matches!(&found.said, Said::Open(open) if open.upgrades == ["websocket"]));
    assert_eq!(found.closed, Some(true));
    server.is_empty().await;
    // Asked from the address of a raw client's mistake.
    let raw = server.target("/chat?token=x").at("/socket.io/").unwrap();
    assert!(probe::polling(&raw, 4).await.unwrap().said.is_engine_io());
    for path in ["/chat", "/"] {
        let found = probe::polling(&server.target(path), 4).await.unwrap();
        assert_eq!((found.said, found.closed), (Said::Foreign, None), "{path}");
    }
    server.is_empty().await;
}

#[tokio::test]
async fn which_version() {
    let four = Server::start(&[]).await;
    let found = probe::polling(&four.endpoint(), 3).await.unwrap();
    assert!(matches!(&found.said, Said::Refused(e) if e.code == 5), "{found:?}");
    let both = Server::start(&["--legacy", "true"]).await;
    for version in [3, 4] {
        let found = probe::polling(&both.endpoint(), version).await.unwrap();
        assert!(matches!(found.said, Said::Open(_)), "{version}: {found:?}");
        assert_eq!(found.closed, Some(true), "{version}");
    }
    both.is_empty().await;
}

/// Socket.IO 2 answers as it always does, whatever version is asked for (recorded from 2.5.1).
#[tokio::test]
async fn an_older_server_is_recognised_and_left() {
    let body = r#"97:0{"sid":"yYgI__BBLoB7r0Z_AAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}2:40"#;
    let (address, seen) = recorded(body).await;
    let target = Target::new(&format!("ws://{address}/socket.io/")).unwrap();
    let found = soon("an answer", probe::polling(&target, 4)).await.unwrap();
    assert!(matches!(found.said, Said::Older(_)) && found.said.is_engine_io(), "{found:?}");
    assert_eq!(found.closed, Some(true));
    let options = Options { way: Way::Polling, ..Options::default() };
    let error = soon("a refusal", Client::connect(&target, &options)).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().cause, Cause::EngineIoVersionMismatch, "{error}");
    let seen = seen.lock().unwrap().clone();
    let sid = "sid=yYgI__BBLoB7r0Z_AAAA";
    for (request, (method, part, end)) in seen.iter().zip([
        ("GET", "EIO=4", "\r\n\r\n"),
        ("POST", sid, "\r\n\r\n1:1"),
        ("GET", "EIO=4", "\r\n\r\n"),
        ("POST", sid, "\r\n\r\n1:1"),
    ]) {
        assert!(request.starts_with(method) && request.contains(part) && request.ends_with(end), "{request}");
    }
    assert_eq!(seen.len(), 4);
}

/// A server that answers every GET with this and every POST with `ok`, and what it was asked.
async fn recorded(body: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let done = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                let (head, rest) = text.split_once("\r\n\r\n")?;
                (!head.starts_with("POST") || rest.len() >= 3).then(|| text.into_owned())
            };
            let text = loop {
                match done(&request) {
                    Some(text) => break text,
                    None => assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0),
                }
            };
            let body = if text.starts_with("POST") { "ok" } else { body };
            asked.lock().unwrap().push(text);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_refusal_is_read() {
    let server = Server::start(&["--refuse", "Invalid global token"]).await;
    let found = probe::polling(&server.endpoint(), 4).await.unwrap();
    assert!(matches!(&found.said, Said::Refused(e) if e.code == 4 && e.message == "Invalid global token"));
}

/// H25, with the array that looks like the string.
#[tokio::test]
async fn what_a_browser_may_see() {
    // Setting, origin, allowed, what was sent, decided by the origin.
    type Row = (&'static [&'static str], &'static str, bool, Option<&'static str>, bool);
    let rows: [Row; 6] = [
        (&[], "https://a.example", false, None, false),
        (&["--cors", "*"], "https://a.example", true, Some("*"), false),
        (&["--cors", "[*]"], "https://a.example", false, None, true),
        (
            &["--cors", "https://a.example https://b.example"],
            "https://b.example",
            true,
            Some("https://b.example"),
            true,
        ),
        (&["--cors", "https://a.example https://b.example"], "https://c.example", false, None, true),
        (&["--cors", "https://a.example https://b.example"], "http://a.example", false, None, true),
    ];
    for (flags, origin, allowed, sent, by_origin) in rows {
        let server = Server::start(flags).await;
        let found = soon("an answer", probe::cors(&server.endpoint(), origin)).await.unwrap();
        let context = format!("{flags:?} {origin}: {found:?}");
        assert_eq!(found.allowed(), allowed, "{context}");
        assert_eq!(found.seen.allow_origin.as_deref(), sent, "{context}");
        assert_eq!(found.seen.by_origin, by_origin, "{context}");
        assert_eq!(found.preflight.seen.readable, allowed, "{context}");
        assert!(matches!(found.opening.said, Said::Open(_)), "{context}");
        assert_eq!(found.opening.closed, Some(true), "{context}");
        server.is_empty().await;
        // The WebSocket transport asks nobody.
        let target = server.endpoint().header("origin", origin).unwrap();
        let found = probe::websocket(&target, &Options::default(), false).await;
        assert!(found.error.is_none(), "{context}");
    }
}

#[tokio::test]
async fn sticky_sessions() {
    let alone = Server::start(&[]).await;
    let found = soon("an answer", probe::sticky(&alone.endpoint(), 6)).await.unwrap();
    assert_eq!((found.plain.asked, found.plain.known, found.plain.astray()), (6, 6, false));
    assert_eq!((found.with_cookies.asked, found.opening.closed), (0, Some(true)));
    alone.is_empty().await;
    let dealt = Server::start(&["--nodes", "2"]).await;
    let found = soon("an answer", probe::sticky(&dealt.endpoint(), 6)).await.unwrap();
    assert_eq!((found.plain.asked, found.plain.unknown), (6, 3));
    assert_eq!((found.with_cookies.asked, found.opening.closed), (0, Some(true)));
    dealt.is_empty().await;
    // The other questions find their way back to what they opened as well.
    assert_eq!(probe::polling(&dealt.endpoint(), 4).await.unwrap().closed, Some(true));
    dealt.is_empty().await;
    let sticky = Server::start(&["--nodes", "3", "--sticky", "true"]).await;
    let found = soon("an answer", probe::sticky(&sticky.endpoint(), 6)).await.unwrap();
    assert_eq!((found.plain.asked, found.plain.known), (6, 2));
    assert_eq!((found.with_cookies.asked, found.with_cookies.known), (6, 6));
    assert_eq!((found.cookies, found.opening.closed), (vec!["route".to_owned()], Some(true)));
    sticky.is_empty().await;
}

#[tokio::test]
async fn the_websocket_transport() {
    let server = Server::start(&[]).await;
    let found = soon("an answer", probe::websocket(&server.endpoint(), &Options::default(), false)).await;
    assert!(found.open.is_some() && !found.joined && found.report.outcome.is_ok());
    assert_eq!(found.close.unwrap().error, None);
    server.is_empty().await;
    assert!(!server.log().await.contains(&r#"{"joined":"/"}"#.to_owned()));
    let found = soon("an answer", probe::websocket(&server.endpoint(), &Options::default(), true)).await;
    assert!(found.joined && found.error.is_none() && found.close.unwrap().by_us);
    server.is_empty().await;
    let options = Options { namespace: "/nowhere".to_owned(), ..Options::default() };
    let found = soon("an answer", probe::websocket(&server.endpoint(), &options, true)).await;
    assert_eq!(found.report.outcome.unwrap_err().cause, Cause::NamespaceNotReady);
    assert!(found.open.is_some() && !found.joined);
    server.is_empty().await;
}
