//! Listening sockets that go from one relay to the next.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_relay::{CloseOrder, handover};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test]
async fn from_one_relay_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handover");
    let config = config(echo().await);
    let old = start(config.clone());
    let address = old.address;
    let mut session = connect(address).await;
    let offer = handover::Offer::bind(&path).unwrap();
    let relay = old.relay.clone();
    let offering = tokio::spawn(async move { offer.serve(&relay).await });
    let taken = soon(handover::take(&path)).await.unwrap();
    assert_eq!(taken.listeners.len(), 1);
    assert_eq!(taken.listeners[0].name(), "main");
    let (listeners, confirm) = taken.into_parts();
    let new = start_with(config, listeners);
    assert_eq!(new.address, address);
    soon(confirm.ready()).await.unwrap();
    soon(offering).await.unwrap().unwrap();
    assert!(old.relay.listeners().is_empty());
    // New ones go to the new relay, the old one's session goes on, until it is drained.
    for _ in 0..10 {
        let mut client = connect(address).await;
        client.send(Message::text("new")).await.unwrap();
        assert_eq!(text(&mut client).await, "new");
    }
    assert_eq!((old.relay.counts().opened, new.relay.counts().opened), (1, 10));
    session.send(Message::text("old")).await.unwrap();
    assert_eq!(text(&mut session).await, "old");
    let relay = old.relay.clone();
    let draining = tokio::spawn(async move { relay.shutdown(&CloseOrder::default()).await });
    assert!(matches!(soon(session.next()).await, Some(Ok(Message::Close(_)))));
    while let Some(Ok(_)) = soon(session.next()).await {}
    assert_eq!(soon(draining).await.unwrap().properly, 1);
    let _still = connect(address).await;
}

#[tokio::test]
async fn one_that_does_not_come_through_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handover");
    let running = start(config(echo().await));
    let offer = handover::Offer::bind(&path).unwrap();
    for hello in [b"mooring-handover 9\n".as_slice(), b"mooring-handover 1\n", b"x"] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(hello).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(soon(offer.serve(&running.relay)).await.is_err());
        let mut client = connect(running.address).await;
        client.send(Message::text("x")).await.unwrap();
        assert_eq!(text(&mut client).await, "x");
    }
    drop(offer);
    assert!(!path.exists());
    assert!(handover::take(&path).await.is_err());
}

/// The example, which is built with the tests.
struct Process {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    address: String,
}

async fn process(arguments: &[&str]) -> Process {
    let me = std::env::current_exe().unwrap();
    let built = me.parent().and_then(Path::parent).unwrap().join("examples/relay");
    let mut child = Command::new(&built)
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", built.display()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = String::new();
    loop {
        let line = soon(lines.next_line()).await.unwrap().expect("a relay that starts");
        match line.strip_prefix("listening ") {
            Some(at) => address = at.to_owned(),
            None => break assert_eq!(line, "ready"),
        }
    }
    Process { child, lines, address }
}

#[tokio::test]
async fn from_one_process_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handover").display().to_string();
    let gateway = echo().await.to_string();
    let mut old = process(&["127.0.0.1:0", &gateway, "--handover", &path]).await;
    let address = old.address.parse().unwrap();
    let mut session = connect(address).await;
    // Clients that come all the time, none of which may be turned away.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let served = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&served);
    let coming = tokio::spawn(async move {
        while !*stopped.borrow() {
            let mut client = connect(address).await;
            client.send(Message::text("x")).await.unwrap();
            match soon(client.next()).await {
                // The old one may be closing what it has.
                Some(Ok(Message::Text(_) | Message::Close(_))) => counted.fetch_add(1, SeqCst),
                other => panic!("{other:?}"),
            };
        }
    });
    let new = process(&["127.0.0.1:0", &gateway, "--take", &path, "--handover", &path]).await;
    assert_eq!(new.address, old.address);
    // The old process has no more to do: it closes its session and ends.
    match soon(session.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("{other:?}"),
    }
    while let Some(Ok(_)) = soon(session.next()).await {}
    let last = soon(old.lines.next_line()).await.unwrap().unwrap();
    assert!(last.starts_with("closed Closed { properly: "), "{last}");
    assert!(soon(old.child.wait()).await.unwrap().success());
    let before = served.load(SeqCst);
    until("the new one serves them, too", || served.load(SeqCst) > before + 1 || coming.is_finished()).await;
    stop.send_replace(true);
    soon(coming).await.unwrap();
    let mut client = connect(address).await;
    client.send(Message::text("x")).await.unwrap();
    assert_eq!(text(&mut client).await, "x");
    assert!(std::path::Path::new(&path).exists(), "the new one's offer");
    drop(new.child);
}
