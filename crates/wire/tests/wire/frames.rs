//! What comes after the 101: the first frame, or what stands in its place.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::Step;
use mooring_wire::Target;
use tokio::io::AsyncWriteExt;

use crate::support::{dial, names, read_to_fin, serve, soon, switching, target};

fn expecting(address: std::net::SocketAddr, millis: u64) -> Target {
    let mut target = target(address);
    target.timeouts.first_frame = Some(Duration::from_millis(millis));
    target
}

/// Serves a 101 with these bytes in the same write, then reads to the client's end.
async fn after_101(
    bytes: &'static [u8],
    target: impl FnOnce(std::net::SocketAddr) -> Target,
) -> mooring_wire::Dialled {
    let (address, server) = serve(move |mut stream, request| async move {
        let mut answer = switching(&request, "").into_bytes();
        answer.extend_from_slice(bytes);
        stream.write_all(&answer).await?;
        if !bytes.is_empty() {
            stream.shutdown().await?;
        }
        read_to_fin(&mut stream).await
    })
    .await;
    let mut dialled = dial(&target(address)).await;
    if dialled.session.take().is_none() {
        soon("server", server).await.unwrap().expect("no reset");
    }
    dialled
}

#[tokio::test]
async fn a_frame_in_the_same_read_is_the_first_frame() {
    // A ping, which does not count, then `0{}`.
    let dialled = after_101(b"\x89\x00\x81\x030{}", |a| expecting(a, 20_000)).await;
    assert!(dialled.report.outcome.is_ok(), "{:?}", dialled.report);
    assert_eq!(names(&dialled.report).last(), Some(&"first_frame"));
    assert_eq!(dialled.report.steps.last().unwrap().detail, "a message of 3 bytes");
}

#[tokio::test]
async fn what_is_not_the_promised_frame() {
    type Row = (&'static [u8], Cause, &'static str);
    let rows: [Row; 7] = [
        (b"", Cause::NoFirstFrame, "no valid first frame came within"),
        // A Close frame that ends too early is none.
        (b"\x88\x03\x03", Cause::NoFirstFrame, "without a Close frame"),
        (b"\x88\x00", Cause::ClosedByGateway, "1005"),
        (b"\x88\x0f\x03\xf0invalid token", Cause::RefusedByPolicy, "invalid token"),
        (b"\x83\x00", Cause::ProtocolViolated, "not a WebSocket frame"),
        (b"\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", Cause::MessageTooBig, "Message too long"),
        (b"\x89\x00", Cause::NoFirstFrame, "without a Close frame"),
    ];
    for (bytes, cause, needle) in rows {
        let report = after_101(bytes, |a| expecting(a, 300)).await.report;
        let refusal = report.outcome.unwrap_err();
        assert_eq!((refusal.cause, refusal.step), (cause, Step::FirstFrame), "{bytes:?}: {refusal:?}");
        assert!(refusal.message.contains(needle), "{needle}: {}", refusal.message);
    }
}

#[tokio::test]
async fn http_text_after_the_101_is_a_violation_even_where_no_frame_is_expected() {
    let report =
        after_101(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nBad Request", target).await.report;
    let refusal = report.outcome.unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::ProtocolViolated, Step::FirstFrame));
    assert!(refusal.message.contains("HTTP text after the 101"), "{}", refusal.message);
}
