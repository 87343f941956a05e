//! One-shot examinations against a real server and against those that are not quite one.

use std::time::Duration;

use futures_util::StreamExt;
use mooring_core::cause::Cause;
use mooring_core::handshake::{HandshakeReport, Step};
use mooring_wire::{ExamineConfig, examine};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{check, names, read_to_fin, serve, soon, switch, target};

const CONFIG: ExamineConfig = ExamineConfig {
    ping_timeout: Duration::from_millis(400),
    settle: Duration::from_millis(100),
    close_timeout: Duration::from_millis(400),
};

async fn examined(address: std::net::SocketAddr) -> HandshakeReport {
    let config = ExamineConfig {
        ping_timeout: Duration::from_secs(20),
        close_timeout: Duration::from_secs(20),
        ..CONFIG
    };
    let report = soon("examine", examine(&target(address), config)).await.report;
    check(&report);
    report
}

#[tokio::test]
async fn a_sound_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut seen = Vec::new();
        while let Some(message) = ws.next().await {
            seen.push(message.expect("no reset, no violation"));
        }
        seen
    });
    let report = examined(address).await;
    assert!(report.outcome.is_ok(), "{report:?}");
    let last = report.steps.last().unwrap();
    assert!(
        last.ok && last.step == Step::Close && last.detail.contains("close answered with 1000"),
        "{last:?}"
    );
    assert!(last.detail.starts_with("ping answered in"), "{last:?}");
    let seen = soon("server", server).await.unwrap();
    assert!(
        matches!(&seen[..], [Message::Ping(_), Message::Close(Some(f))] if u16::from(f.code) == 1000),
        "{seen:?}"
    );
}

#[tokio::test]
async fn accepted_then_dropped() {
    let (address, server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        stream.write_all(b"\x88\x10\x03\xf0invalid x-role").await.unwrap();
        stream.shutdown().await.unwrap();
        read_to_fin(&mut stream).await
    })
    .await;
    let refusal = examined(address).await.outcome.unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::RefusedByPolicy, Step::Close), "{refusal:?}");
    assert!(refusal.message.contains("invalid x-role"), "{}", refusal.message);
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn open_but_mute() {
    let (address, server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        read_to_fin(&mut stream).await
    })
    .await;
    let report = soon("examine", examine(&target(address), CONFIG)).await.report;
    check(&report);
    assert_eq!(names(&report).last(), Some(&"close"));
    let refusal = report.outcome.unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::HeartbeatMissed, Step::Close), "{refusal:?}");
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn a_refused_handshake_is_reported_as_it_is() {
    let (address, _server) = serve(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await.unwrap();
    })
    .await;
    let report = examined(address).await;
    assert_eq!(report.outcome.unwrap_err().cause, Cause::WrongPath);
    assert!(report.steps.iter().all(|s| s.step != Step::Close));
}
