//! Plain requests: whatever the answer, it is told, and the server sees an orderly end.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::Step;
use mooring_wire::{Ask, Exchange, Target, exchange};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{answer_and_end, header, read_to_fin, serve, soon, target};

/// Serves the answer, asks, asserts that the server saw no reset.
async fn asked(answer: &'static str, most: usize) -> Exchange {
    let (address, server) =
        serve(move |stream, _| async move { answer_and_end(stream, answer.as_bytes()).await }).await;
    let done = soon("exchange", exchange(&target(address), &Ask::get(most))).await;
    soon("server", server).await.unwrap().expect("no reset");
    // Steps in order, and only the last one may have failed.
    assert!(done.steps.windows(2).all(|w| w[0].step < w[1].step && w[0].ok), "{done:?}");
    let last = done.steps.last().unwrap();
    assert!(last.ok == done.outcome.is_ok() && last.at <= done.took, "{done:?}");
    done
}

#[tokio::test]
async fn any_answer_is_one() {
    for (answer, status, body, complete) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            200,
            "ok",
            true,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end", true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\ngone!", 404, "gone!", true),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", 302, "", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", 200, "cut", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n12345678901234567890", 200, "1234567890", false),
    ] {
        let done = asked(answer, 10).await;
        let found = done.outcome.unwrap();
        assert_eq!(
            (found.status, &done.body[..], done.complete),
            (status, body.as_bytes(), complete),
            "{answer}"
        );
        assert_eq!(found.body_start, body);
        assert!(done.peer.is_some());
    }
}

#[tokio::test]
async fn no_answer_is_told_as_by_a_dial() {
    for (answer, cause) in [
        ("", Cause::ClosedBeforeAnswer),
        ("SSH-2.0-OpenSSH_9.2\r\n", Cause::WrongProtocol),
        ("HTTP/1.1 nonsense\r\n\r\n", Cause::WrongProtocol),
    ] {
        let refusal = asked(answer, 10).await.outcome.unwrap_err();
        assert_eq!((refusal.step, refusal.cause), (Step::Status, cause), "{answer}");
    }
    let (address, server) = serve(|mut stream, _| async move { read_to_fin(&mut stream).await }).await;
    let mut target = target(address);
    target.timeouts.answer = Duration::from_millis(200);
    let refusal = soon("exchange", exchange(&target, &Ask::get(10))).await.outcome.unwrap_err();
    assert_eq!((refusal.step, refusal.cause), (Step::Status, Cause::HandshakeTimedOut));
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let (address, server) = serve(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun").await.unwrap();
        read_to_fin(&mut stream).await
    })
    .await;
    let mut target = target(address);
    target.timeouts.answer = Duration::from_millis(200);
    let done = soon("exchange", exchange(&target, &Ask::get(100))).await;
    assert_eq!((&done.body[..], done.complete, done.outcome.unwrap().status), (&b"begun"[..], false, 200));
    soon("server", server).await.unwrap().expect("no reset");
}

/// What was asked arrives as it was meant; what we keep secret is cut out of evidence, and nowhere else.
#[tokio::test]
async fn the_request_and_its_secrets() {
    let (address, server) = serve(|mut stream, request| async move {
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: route=c00kie-s3cret; Path=/\r\nX-Echo: tok-s3cret\r\n\r\nfor tok-s3cret";
        answer_and_end(stream, answer.as_bytes()).await.unwrap();
        (request, body)
    })
    .await;
    let target = Target::new(&format!("ws://{address}/a?key=tok-s3cret"))
        .and_then(|t| t.header("Authorization", "Bearer tok-s3cret"))
        .unwrap();
    let done = soon("exchange", exchange(&target, &Ask::post("hello".to_owned(), 100))).await;
    let (request, body) = soon("server", server).await.unwrap();
    assert!(request.starts_with("POST /a?key=tok-s3cret HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "connection"), "close");
    assert_eq!(
        (header(&request, "authorization"), header(&request, "content-length")),
        ("Bearer tok-s3cret", "5")
    );
    assert_eq!(&body, b"hello");
    assert_eq!(&done.body[..], b"for tok-s3cret");
    assert_eq!(done.cookies.names().collect::<Vec<_>>(), ["route"]);
    let shown = format!("{done:?}");
    assert!(!shown.contains("s3cret") && shown.contains("for …"), "{shown}");
}
