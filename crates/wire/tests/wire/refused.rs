//! Answers that are no upgrade, each as real servers send it.

use std::time::{Duration, Instant};

use mooring_core::cause::Cause;
use mooring_core::handshake::{HandshakeReport, Refusal, Step};
use mooring_wire::Target;
use tokio::io::AsyncWriteExt;

use crate::support::{answer_and_end, dial, names, read_to_fin, serve, soon, switching, target};

fn refusal(report: &HandshakeReport) -> &Refusal {
    report.outcome.as_ref().expect_err("it was meant to be refused")
}

/// Serves the answer, dials, asserts that the server saw no reset.
async fn refused(answer: &'static str) -> HandshakeReport {
    let (address, server) =
        serve(move |stream, _| async move { answer_and_end(stream, answer.as_bytes()).await }).await;
    let report = dial(&target(address)).await.report;
    soon("server", server).await.unwrap().expect("no reset");
    report
}

#[tokio::test]
async fn answers_of_real_servers() {
    use Cause as C;
    let rows = [
        (
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 16\r\n\r\nUpgrade Required",
            C::ProxyStrippedUpgrade,
        ),
        (
            "HTTP/1.1 404 Not Found\r\nX-Powered-By: Express\r\n\r\n<pre>Cannot GET /ws</pre>",
            C::UpgradeNotPerformed,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html>", C::SpaFallback),
        (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 11\r\n\r\nBad Request",
            C::WrongPath,
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nBad Request\r\n0\r\n\r\n",
            C::WrongPath,
        ),
        ("HTTP/1.1 400 Bad Request\r\n\r\n{\"code\":3,\"message\":\"Bad request\"}", C::ProxyStrippedUpgrade),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", C::CredentialsRefused),
        // Yunzai: neither headers nor body; others forget even the blank line.
        ("HTTP/1.1 404 Not Found\r\n\r\n", C::WrongPath),
        ("HTTP/1.1 404 Not Found\r\n", C::WrongPath),
        ("HTTP/1.1 401 Unauthorized", C::CredentialsRefused),
        ("HTTP/1.1 301 Moved\r\nLocation: https://a.example/\r\n\r\n", C::Redirected),
        ("HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\n\r\n", C::BackendDown),
        ("HTTP/1.1 504 Gateway Time-out\r\n\r\n", C::BackendHung),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\n\r\nInternal Server Error", C::HandlerFailed),
        ("HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port", C::SchemeSwapped),
        ("SSH-2.0-OpenSSH_9.2\r\n", C::WrongProtocol),
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{32}", C::SchemeSwapped),
        ("HTTP/1.1 nonsense\r\n\r\n", C::WrongProtocol),
    ];
    for (answer, cause) in rows {
        let report = refused(answer).await;
        let refusal = refusal(&report);
        assert_eq!((refusal.cause, refusal.step), (cause, Step::Status), "{answer}: {refusal:?}");
        assert_eq!(names(&report), ["resolve", "connect", "request", "status"], "{answer}");
    }
}

#[tokio::test]
async fn broken_101s_fail_at_their_step() {
    const KEEP: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
    let rows = [
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n".to_owned(), Step::Upgrade),
        (format!("{KEEP}Connection: close\r\n\r\n"), Step::Connection),
        (format!("{KEEP}Connection: upgrade\r\n\r\n"), Step::Accept),
        (
            format!(
                "{KEEP}Connection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            ),
            Step::Accept,
        ),
        (
            "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                .to_owned(),
            Step::Status,
        ),
    ];
    for (answer, step) in rows {
        let (address, server) =
            serve(move |stream, _| async move { answer_and_end(stream, answer.as_bytes()).await }).await;
        let report = dial(&target(address)).await.report;
        assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::WrongProtocol, step));
        soon("server", server).await.unwrap().expect("no reset");
    }
}

#[tokio::test]
async fn subprotocols_are_judged() {
    for (asked, required, chosen, ok) in [
        (Some("v1"), true, "", false),
        (Some("v1"), false, "", true),
        (Some("v1"), true, "Sec-WebSocket-Protocol: v1\r\n", true),
        (Some("v1"), false, "Sec-WebSocket-Protocol: v2\r\n", false),
        (None, false, "Sec-WebSocket-Protocol: v1\r\n", false),
    ] {
        let (address, server) = serve(move |stream, request| async move {
            answer_and_end(stream, switching(&request, chosen).as_bytes()).await
        })
        .await;
        let mut target = target(address).require_subprotocol(required);
        if let Some(name) = asked {
            target = target.subprotocol(name).unwrap();
        }
        let dialled = dial(&target).await;
        match &dialled.report.outcome {
            Ok(established) => {
                assert!(ok, "{chosen}");
                assert_eq!(established.subprotocol.as_deref(), chosen.contains("v1").then_some("v1"));
                assert_eq!(established.peer, address.to_string());
                assert_eq!(
                    names(&dialled.report),
                    [
                        "resolve",
                        "connect",
                        "request",
                        "status",
                        "upgrade",
                        "connection",
                        "accept",
                        "subprotocol"
                    ]
                );
            }
            Err(r) => {
                assert!(!ok && (r.cause, r.step) == (Cause::SubprotocolRefused, Step::Subprotocol), "{r:?}")
            }
        }
        drop(dialled);
        soon("server", server).await.unwrap().expect("no reset");
    }
}

#[tokio::test]
async fn silence_and_silent_ends_are_told_apart() {
    let (address, server) = serve(|mut stream, _| async move { read_to_fin(&mut stream).await }).await;
    let mut hung = target(address);
    hung.timeouts.answer = Duration::from_millis(200);
    let report = dial(&hung).await.report;
    assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::HandshakeTimedOut, Step::Status));
    assert!(
        report.took >= Duration::from_millis(200) && report.took < Duration::from_millis(900),
        "{:?}",
        report.took
    );
    soon("server", server).await.unwrap().expect("no reset");

    let report = refused("").await;
    assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::ClosedBeforeAnswer, Step::Status));

    // Engine.IO's grace for foreign upgrades.
    let (address, server) = serve(|stream, _| async move {
        tokio::time::sleep(Duration::from_millis(1005)).await;
        answer_and_end(stream, b"").await
    })
    .await;
    let report = dial(&target(address)).await.report;
    assert_eq!(refusal(&report).cause, Cause::ClosedBeforeAnswer);
    assert!(refusal(&report).message.contains("Socket.IO"), "{}", refusal(&report).message);
    soon("server", server).await.unwrap().expect("no reset");

    let (address, _server) = serve(|stream, _| async move { stream.set_zero_linger().unwrap() }).await;
    let report = dial(&target(address)).await.report;
    assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::ClosedBeforeAnswer, Step::Status));
}

#[tokio::test]
async fn floods_and_drips_are_bounded() {
    let (address, server) = serve(|mut stream, _| async move {
        let line = b"X-Padding: 0123456789012345678901234567890123456789\r\n".repeat(20);
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        let mut sent = 0usize;
        while stream.write_all(&line).await.is_ok() {
            sent += line.len();
        }
        sent
    })
    .await;
    let report = dial(&target(address)).await.report;
    assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::WrongProtocol, Step::Status));
    assert!(refusal(&report).message.contains("longer than 16384 bytes"), "{}", refusal(&report).message);
    // What the kernel's buffers hold comes on top of what was read.
    assert!(soon("server", server).await.unwrap() < 32 * 1024 * 1024);

    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65));
    let (address, server) =
        serve(move |stream, _| async move { answer_and_end(stream, many.as_bytes()).await }).await;
    let report = dial(&target(address)).await.report;
    assert_eq!(refusal(&report).cause, Cause::WrongProtocol);
    assert!(refusal(&report).message.contains("more than 64 headers"), "{}", refusal(&report).message);
    soon("server", server).await.unwrap().expect("no reset");

    let (address, server) = serve(|mut stream, _| async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'y')) {
            ticks.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let mut slow = target(address);
    slow.timeouts.answer = Duration::from_millis(250);
    let start = Instant::now();
    let report = dial(&slow).await.report;
    assert_eq!((refusal(&report).cause, refusal(&report).step), (Cause::HandshakeTimedOut, Step::Status));
    assert!(refusal(&report).message.contains("within its headers"), "{}", refusal(&report).message);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let (address, server) = serve(|mut stream, _| async move {
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 999999\r\n\r\nCannot GET /")
            .await
            .unwrap();
        read_to_fin(&mut stream).await
    })
    .await;
    let report = dial(&target(address)).await.report;
    assert_eq!(refusal(&report).cause, Cause::UpgradeNotPerformed);
    assert_eq!(report.answer.as_ref().unwrap().body_start, "Cannot GET /");
    // The wait for the body is not the step's time.
    assert!(report.steps.last().unwrap().took < Duration::from_millis(280), "{report:?}");
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn a_page_that_is_not_wanted_is_read_and_not_reset() {
    let (address, server) = serve(|stream, _| async move {
        let page = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
        answer_and_end(stream, page.as_bytes()).await
    })
    .await;
    let report = dial(&target(address)).await.report;
    assert_eq!(refusal(&report).cause, Cause::UpgradeNotPerformed);
    assert_eq!(report.answer.unwrap().body_start.len(), 512);
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn a_handler_that_answers_too_late_is_listened_to() {
    let (address, server) = serve(|mut stream, _| async move {
        read_to_fin(&mut stream).await?;
        // An asynchronous check of credentials, say, that ends just after the client gave up.
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for byte in b"HTTP/1.1 403 Forbidden\r\n\r\n" {
            ticks.tick().await;
            stream.write_all(&[*byte]).await?;
        }
        stream.shutdown().await
    })
    .await;
    let mut hasty = target(address);
    hasty.timeouts.answer = Duration::from_millis(100);
    let report = dial(&hasty).await.report;
    assert_eq!(refusal(&report).cause, Cause::HandshakeTimedOut);
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn no_secret_comes_back() {
    let (address, server) = serve(|stream, request| async move {
        let echo = request.replace("\r\n", " ");
        let answer = format!(
            "HTTP/1.1 400 You sent b3arer-s3cret\r\nSet-Cookie: sid=c00kie-s3cret\r\nAuthorization: x-s3cret\r\nX-Echo: {echo}\r\n\r\n{echo}"
        );
        answer_and_end(stream, answer.as_bytes()).await.map(|()| request)
    })
    .await;
    let target = Target::new(&format!("ws://{address}/ws?transport=websocket&token=qu3ry-s3cret"))
        .and_then(|t| t.header("Authorization", "Bearer b3arer-s3cret"))
        .unwrap();
    let report = dial(&target).await.report;
    let request = soon("server", server).await.unwrap().expect("no reset");
    assert!(request.contains("qu3ry-s3cret") && request.contains("Bearer b3arer-s3cret"), "they are sent");
    let told = format!("{report:?}");
    assert!(!told.contains("s3cret"), "{told}");
    assert!(told.contains("transport=websocket"), "{told}");
}
