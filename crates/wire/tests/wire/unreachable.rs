//! Below HTTP: no name, no listener, no answer to a SYN.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::Step;
use mooring_wire::{Reach, Target};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{dial, names, serve, soon, switch, target};

#[tokio::test]
async fn nothing_listens() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = dial(&target(address)).await.report;
    let refusal = report.outcome.as_ref().unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::ConnectionRefused, Step::Connect), "{refusal:?}");
    assert_eq!(names(&report), ["resolve", "connect"]);
    assert!(refusal.message.contains(&address.to_string()), "{}", refusal.message);
}

#[tokio::test]
async fn a_syn_that_is_swallowed() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel drops SYNs once the queue of a listener that does not accept is full.
    let mut queued = Vec::new();
    while let Ok(open) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(open.unwrap());
        assert!(queued.len() < 100, "the queue does not fill");
    }
    let mut target = target(address);
    target.timeouts.connect = Duration::from_millis(200);
    let report = dial(&target).await.report;
    let refusal = report.outcome.unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::ConnectTimedOut, Step::Connect), "{refusal:?}");
    assert!(
        report.took >= Duration::from_millis(200) && report.took < Duration::from_secs(2),
        "{:?}",
        report.took
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let report = dial(&Target::new("ws://no-such-host.invalid/").unwrap()).await.report;
    let refusal = report.outcome.as_ref().unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::NameNotResolved, Step::Resolve), "{refusal:?}");
    assert_eq!(names(&report), ["resolve"]);
    assert!(refusal.message.contains("no-such-host.invalid"), "{}", refusal.message);
}

#[tokio::test]
async fn every_address_of_a_name_is_tried_and_the_place_may_differ_from_the_url() {
    let (address, server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        request
    })
    .await;
    // `localhost` may be ::1 first, where nothing listens.
    let target = Target::new("ws://gateway.example/ws")
        .and_then(|t| t.connect_to(&format!("localhost:{}", address.port())));
    let dialled = dial(&target.unwrap()).await;
    assert_eq!(dialled.report.outcome.unwrap().peer, address.to_string());
    assert!(soon("server", server).await.unwrap().contains("Host: gateway.example\r\n"));
}

#[tokio::test]
async fn an_address_out_of_reach_is_not_dialled_by_whatever_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reach = Reach::new(|ip| !ip.is_loopback());
    for url in [
        format!("ws://localhost:{port}/"),
        format!("ws://127.0.0.1:{port}/"),
        format!("ws://[::ffff:127.0.0.1]:{port}/"),
    ] {
        let report = dial(&Target::new(&url).unwrap().within(reach.clone())).await.report;
        let refusal = report.outcome.as_ref().unwrap_err();
        assert_eq!(
            (refusal.cause, refusal.step),
            (Cause::ObserverStalled, Step::Resolve),
            "{url}: {refusal:?}"
        );
        assert!(refusal.message.contains("must not be dialled"), "{}", refusal.message);
    }
    // Who connects next is the first who does.
    let ours = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (_, first) = soon("a connection", listener.accept()).await.unwrap();
    assert_eq!(first, ours.local_addr().unwrap());
}
