//! The upgrade, verified: requests and answers written by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mooring_core::cause::Cause;
use mooring_relay::{Event, Refused, RefusedBy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

fn refused(event: Event) -> Option<Refused> {
    if let Event::Refused(refused) = event { Some(refused) } else { None }
}

/// A relay before a gateway that answers an upgrade with these bytes and ends; the client's view, and what was told.
async fn answered_with(answer: String, ask: &str) -> (String, Refused) {
    let gateway = gateway(move |mut tcp| {
        let answer = answer.clone();
        async move {
            read_head(&mut tcp).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
            let _ = tcp.shutdown().await;
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let mut running = start(config(gateway));
    let seen = talk(running.address, ask.as_bytes()).await;
    (seen, running.event(refused).await)
}

#[tokio::test]
async fn a_101_must_prove_itself() {
    let asked =
        upgrade_request("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n");
    let rows = [
        switching("").replace(ACCEPT, KEY),
        switching("").replace("Sec-WebSocket-Accept", "X-Accept"),
        switching("").replace("Upgrade: websocket\r\n", ""),
        switching("").replace("Upgrade: websocket", "Upgrade: h2c"),
        switching("").replace("Connection: Upgrade\r\n", ""),
        switching("Sec-WebSocket-Protocol: c\r\n"),
        switching("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"),
        switching("Transfer-Encoding: chunked\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
    ];
    for answer in rows {
        let (seen, refused) = answered_with(answer.clone(), &asked).await;
        assert!(seen.starts_with("HTTP/1.1 502 "), "{answer}\n{seen}");
        assert!(seen.contains("mooring relay: "), "{seen}");
        assert_eq!(refused.by, RefusedBy::Gateway, "{answer}");
        assert!(
            matches!(refused.cause, Cause::WrongProtocol | Cause::SubprotocolRefused),
            "{answer} {:?}",
            refused.cause
        );
    }
}

#[tokio::test]
async fn other_answers_are_passed_on_with_their_cause() {
    let plain = |status: &str, extra: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}\r\n{body}", body.len())
    };
    let rows = [
        (plain("200 OK", "", "<html>"), "HTTP/1.1 200 OK", Cause::UpgradeNotPerformed),
        (plain("404 Not Found", "", "no such path"), "HTTP/1.1 404", Cause::WrongPath),
        (
            plain("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "token"),
            "HTTP/1.1 401",
            Cause::CredentialsRefused,
        ),
        (plain("503 Service Unavailable", "", ""), "HTTP/1.1 503", Cause::BackendDown),
        ("HTTP/1.1 403 Forbidden\r\n\r\ntill the end".to_owned(), "HTTP/1.1 403", Cause::CredentialsRefused),
    ];
    for (answer, line, cause) in rows {
        let (seen, refused) = answered_with(answer.clone(), &upgrade_request("")).await;
        assert!(seen.starts_with(line), "{seen}");
        assert_eq!((refused.cause, refused.by), (cause, RefusedBy::Gateway), "{answer}");
        assert!(seen.contains("Connection: close"), "{seen}");
    }
    let (seen, _) =
        answered_with("HTTP/1.1 403 Forbidden\r\n\r\ntill the end".to_owned(), &upgrade_request("")).await;
    assert!(seen.ends_with("c\r\ntill the end\r\n0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_gateway_that_is_none() {
    let (seen, refused) = answered_with("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), &upgrade_request("")).await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    assert_eq!(refused.cause, Cause::WrongProtocol);
    let (seen, refused) = answered_with(String::new(), &upgrade_request("")).await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    assert_eq!(refused.cause, Cause::ClosedBeforeAnswer);
}

/// A relay before a gateway that counts what reaches it.
async fn guarded() -> (Running, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    let gateway = gateway(move |mut tcp| {
        let counted = Arc::clone(&counted);
        async move {
            let mut all = Vec::new();
            let _ = tcp.read_to_end(&mut all).await;
            counted.fetch_add(all.len(), SeqCst);
        }
    })
    .await;
    (start(config(gateway)), reached)
}

#[tokio::test]
async fn requests_that_are_no_handshake_never_reach_the_gateway() {
    let (mut running, reached) = guarded().await;
    let good = upgrade_request("");
    let rows = [
        (good.replace(KEY, "short"), "400"),
        (good.replace("Sec-WebSocket-Key", "X-Key"), "400"),
        (good.replace("Version: 13", "Version: 8"), "426"),
        (good.replace("GET", "POST"), "400"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        (upgrade_request("Content-Length: 5\r\n"), "400"),
        (upgrade_request("Transfer-Encoding: chunked\r\n"), "400"),
        (upgrade_request(&format!("Sec-WebSocket-Key: {KEY}\r\n")), "400"),
        (format!("{good}\u{1}pipelined"), "400"),
        (format!("{good}GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"), "400"),
        (good.replace("\r\n", "\n"), "400"),
    ];
    for (request, status) in rows {
        let seen = talk(running.address, request.as_bytes()).await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{seen}");
        let refused = running.event(refused).await;
        assert_eq!(refused.by, RefusedBy::Invalid, "{request}");
        assert_eq!(refused.status.map(|s| s.to_string()).as_deref(), Some(status));
    }
    assert_eq!(reached.load(SeqCst), 0);
}

#[tokio::test]
async fn bytes_before_the_101_are_refused_however_late() {
    // The gateway answers only when it is told to, and would show anything that came through.
    let (tell, told) = tokio::sync::watch::channel(false);
    let through = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&through);
    let gateway = gateway(move |mut tcp| {
        let (mut told, counted) = (told.clone(), Arc::clone(&counted));
        async move {
            read_head(&mut tcp).await;
            let mut more = Vec::new();
            tokio::select! {
                answer = async { told.wait_for(|told| *told).await.is_ok() } => {
                    if answer {
                        let _ = tcp.write_all(switching("").as_bytes()).await;
                    }
                }
                _ = tcp.read_to_end(&mut more) => {}
            }
            let _ = tcp.read_to_end(&mut more).await;
            counted.fetch_add(more.len(), SeqCst);
        }
    })
    .await;
    let mut running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    until("it is opening", || running.sessions().len() == 1).await;
    client.write_all(b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let seen = rest(&mut client).await;
    assert!(seen.starts_with("HTTP/1.1 400 "), "{seen}");
    assert_eq!(running.event(refused).await.by, RefusedBy::Invalid);
    tell.send_replace(true);
    until("nothing is left", || running.sessions().is_empty()).await;
    assert_eq!(through.load(SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_not_waited_for() {
    let gateway = gateway(|mut tcp| async move {
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    until("it is opening", || running.sessions().len() == 1).await;
    drop(client);
    assert_eq!(running.event(refused).await.by, RefusedBy::Client);
    until("nothing is left", || running.relay.numbers().connections == 0).await;
}

#[tokio::test]
async fn what_was_agreed_on_passes_and_is_shown() {
    let gateway = gateway(|mut tcp| async move {
        let head = read_head(&mut tcp).await;
        assert!(head.contains("Sec-WebSocket-Protocol: a, b\r\n"), "{head}");
        assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{head}");
        let chosen = "Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        // The first frame may come in one piece with the answer; RSV1 is right here.
        let answer = [switching(chosen).as_bytes(), b"\xc1\x03abc"].concat();
        tcp.write_all(&answer).await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let asked = "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    client.write_all(upgrade_request(asked).as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("Sec-WebSocket-Protocol: b\r\n"), "{head}");
    let mut frame = [0; 5];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame, b"\xc1\x03abc");
    let opened = running.event(|e| if let Event::Opened(opened) = e { Some(opened) } else { None }).await;
    assert_eq!(opened.protocol, "b, permessage-deflate");
    assert_eq!(running.relay.numbers().violations, 0);
    let session = running.relay.session(&opened.id).unwrap();
    assert_eq!((session.sent.messages, session.sent.bytes), (Some(1), Some(3)));
}

#[tokio::test]
async fn nobody_listens() {
    let nobody = {
        let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut running = start(config(nobody));
    let seen = talk(running.address, upgrade_request("").as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("Retry-After: "), "{seen}");
    assert!(!seen.contains(&nobody.port().to_string()), "nothing of the inside: {seen}");
    let refused = running.event(refused).await;
    assert_eq!((refused.by, refused.cause), (RefusedBy::Unreachable, Cause::ConnectionRefused));
}

#[tokio::test]
async fn an_origin_that_may_not() {
    let mut config = config(echo().await);
    config.origins = Some(vec!["https://chat.example".to_owned()]);
    let running = start(config);
    let seen = talk(running.address, upgrade_request("Origin: https://evil.example\r\n").as_bytes()).await;
    assert!(seen.starts_with("HTTP/1.1 403 "), "{seen}");
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("Origin: https://chat.example\r\n").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
}
