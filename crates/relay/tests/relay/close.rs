//! Orders to close: what both ends see, and what comes back.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::id::InstanceId;
use mooring_core::session::EndedBy;
use mooring_relay::{CloseOrder, Closed, Event, Instances};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

fn restart(window: Duration) -> CloseOrder {
    CloseOrder { reason: "gateway restarts".to_owned(), window, ..CloseOrder::default() }
}

/// A gateway that tells how each of its sessions ends: the close code, and whether the stream ended well after it.
async fn telling() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<(Option<u16>, bool)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let address = gateway(move |tcp| {
        let tell = tell.clone();
        async move {
            let mut ws = accept_async(tcp).await.unwrap();
            let mut code = None;
            loop {
                match ws.next().await {
                    Some(Ok(Message::Close(frame))) => code = frame.map(|f| f.code.into()),
                    Some(Ok(Message::Text(text))) => ws.send(Message::Text(text)).await.unwrap(),
                    Some(Ok(_)) => {}
                    end => {
                        let _ = tell.send((code, end.is_none()));
                        return;
                    }
                }
            }
        }
    })
    .await;
    (address, told)
}

/// Reads a client to its end: the close code, and whether the stream ended well after it.
async fn end_of(mut client: Client) -> (Option<u16>, bool) {
    let mut code = None;
    loop {
        match soon(client.next()).await {
            Some(Ok(Message::Close(frame))) => code = frame.map(|f| f.code.into()),
            Some(Ok(_)) => {}
            end => return (code, end.is_none()),
        }
    }
}

#[tokio::test]
async fn one_session_is_closed_in_good_order() {
    let (gateway, mut told) = telling().await;
    let mut running = start(config(gateway));
    let client = connect(running.address).await;
    let mut other = connect(running.address).await;
    until("both are open", || running.open() == 2).await;
    let first = running.sessions().into_iter().min_by(|a, b| a.id.cmp(&b.id)).unwrap().id;
    let ends = tokio::spawn(end_of(client));
    let closed = soon(running.relay.close_session(&first, &restart(Duration::ZERO))).await;
    assert_eq!(closed, Closed { properly: 1, cut: 0, gone: 0 });
    assert_eq!(ends.await.unwrap(), (Some(1012), true));
    assert_eq!(soon(told.recv()).await, Some((Some(1012), true)));
    let close = running.event(|e| if let Event::Closed(c) = e { Some(c) } else { None }).await;
    assert_eq!(
        (close.id.clone(), close.by, close.code, close.cause),
        (first.clone(), EndedBy::Mooring, Some(1012), None)
    );
    // The other one does not notice.
    other.send(Message::text("still here")).await.unwrap();
    assert_eq!(text(&mut other).await, "still here");
    let gone = soon(running.relay.close_session(&first, &restart(Duration::ZERO))).await;
    assert_eq!(gone, Closed { properly: 0, cut: 0, gone: 1 });
}

#[tokio::test]
async fn whoever_answers_first_does_not_take_the_others_time() {
    let (gateway, mut told) = telling().await;
    let running = start(config(gateway));
    let client = connect(running.address).await;
    until("it is open", || running.open() == 1).await;
    let relay = running.relay.clone();
    let closing = tokio::spawn(async move { relay.close_all(&restart(Duration::ZERO)).await });
    // The gateway has answered and ended its connection before the client looks at what has come.
    assert_eq!(soon(told.recv()).await, Some((Some(1012), true)));
    assert_eq!(end_of(client).await, (Some(1012), true));
    assert_eq!(soon(closing).await.unwrap(), Closed { properly: 1, cut: 0, gone: 0 });
}

#[tokio::test]
async fn an_instances_sessions_are_closed_over_a_window() {
    let (gateway, _told) = telling().await;
    let mut config = config(gateway);
    config.instances =
        Instances::ByPath(std::sync::Arc::new(|path| InstanceId::new(path.trim_matches('/')).ok()));
    let running = start(config);
    let mut clients = Vec::new();
    for n in 0..20 {
        let path = if n % 2 == 0 { "/even?token=s3cret" } else { "/odd" };
        clients.push(tokio::spawn(end_of(try_connect(running.address, path).await.unwrap())));
    }
    let even = InstanceId::new("even").unwrap();
    until("all are open", || running.open() == 20).await;
    let begun = std::time::Instant::now();
    let closed = soon(running.relay.close_instance(&even, &restart(Duration::from_millis(200)))).await;
    assert_eq!(closed, Closed { properly: 10, cut: 0, gone: 0 });
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
    assert_eq!(running.open(), 10);
    assert!(running.sessions().iter().all(|s| s.instance.as_ref().unwrap().as_str() == "odd"));
    assert_eq!(soon(running.relay.close_all(&restart(Duration::ZERO))).await.properly, 10);
    for client in clients {
        assert_eq!(client.await.unwrap(), (Some(1012), true));
    }
}

#[tokio::test]
async fn a_frame_under_way_is_let_finish() {
    let (gateway, mut told) = telling().await;
    let running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
    until("it is open", || running.open() == 1).await;
    // Half a text frame, masked with zeros.
    client.write_all(b"\x81\x8a\0\0\0\0hello").await.unwrap();
    until("it is through", || running.sessions()[0].received.bytes == Some(5)).await;
    let id = running.sessions()[0].id.clone();
    let relay = running.relay.clone();
    let closing = tokio::spawn(async move { relay.close_session(&id, &restart(Duration::ZERO)).await });
    // The client gets its Close at once: its direction stands between two frames.
    let mut head = [0; 4];
    soon(client.read_exact(&mut head)).await.unwrap();
    assert_eq!(head, [0x88, 18, 0x03, 0xf4]);
    soon(client.read_exact(&mut [0; 16])).await.unwrap();
    // The rest of the frame still passes, and nothing after it; then the client's own Close.
    client.write_all(b"world\x81\x81\0\0\0\0x\x88\x82\0\0\0\0\x03\xf4").await.unwrap();
    assert_eq!(soon(closing).await.unwrap(), Closed { properly: 1, cut: 0, gone: 0 });
    assert_eq!(soon(told.recv()).await, Some((Some(1012), true)));
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn ends_that_do_not_answer_are_cut_in_time() {
    let gateway = gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(switching("").as_bytes()).await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let running = start(config(gateway));
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    read_head(&mut client).await;
    until("it is open", || running.open() == 1).await;
    let order = CloseOrder { wait: Duration::from_millis(100), ..restart(Duration::ZERO) };
    let closed = soon(running.relay.close_all(&order)).await;
    assert_eq!(closed, Closed { properly: 0, cut: 1, gone: 0 });
    assert!(rest(&mut client).await.starts_with("\u{fffd}\u{12}"), "the Close, then the end: no reset");
}

#[tokio::test]
async fn the_relay_shuts_down() {
    let (gateway, mut told) = telling().await;
    let running = start(config(gateway));
    let clients: Vec<_> = [connect(running.address).await, connect(running.address).await]
        .into_iter()
        .map(|c| tokio::spawn(end_of(c)))
        .collect();
    // One that is kept alive and idle, and one that waits for its session.
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    until("both are open", || running.open() == 2).await;
    let order = CloseOrder { code: 1001, ..restart(Duration::from_millis(50)) };
    let closed = soon(running.relay.shutdown(&order)).await;
    assert_eq!(closed, Closed { properly: 2, cut: 0, gone: 0 });
    for client in clients {
        assert_eq!(client.await.unwrap(), (Some(1001), true));
        assert_eq!(soon(told.recv()).await, Some((Some(1001), true)));
    }
    assert_eq!(running.relay.numbers().connections, 0);
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn orders_do_not_wait_for_a_refusal_without_an_end() {
    let gateway = gateway(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            .await
            .unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut config = config(gateway);
    config.times.body = Duration::from_secs(3);
    let mut running = start(config);
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(upgrade_request("").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    assert!(running.sessions().is_empty(), "no session comes of it");
    assert_eq!(soon(running.relay.close_all(&restart(Duration::ZERO))).await.total(), 0);
    // Nor does it keep its place for ever.
    soon(client.read_to_end(&mut Vec::new())).await.unwrap();
    drop(client);
    running.event(|e| matches!(e, Event::Refused(_)).then_some(())).await;
    until("its place is free", || running.relay.numbers().connections == 0).await;
}
