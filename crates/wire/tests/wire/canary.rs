//! Canary sessions against real servers: well-behaved, chatty, abrupt, deaf.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use mooring_core::cause::Cause;
use mooring_core::classify::{RecentCloses, cause_of_close};
use mooring_core::observation::{Close, Observation};
use mooring_wire::{CanaryCommand, CanaryConfig, Session, canary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::{opened, read_to_fin, serve, soon, switch, target};

type Seen = (Instant, Observation);

struct Running {
    seen: mpsc::Receiver<Seen>,
    commands: mpsc::Sender<CanaryCommand>,
    task: JoinHandle<Close>,
}

const FAST: CanaryConfig = CanaryConfig {
    ping_interval: Duration::from_millis(20),
    life_every: Duration::from_millis(100),
    write_timeout: Duration::from_secs(5),
    close_timeout: Duration::from_millis(300),
};

fn run(session: Session, config: CanaryConfig, capacity: usize) -> Running {
    let (tx, seen) = mpsc::channel(capacity);
    let (commands, rx) = mpsc::channel(4);
    Running { seen, commands, task: tokio::spawn(canary::run(session, config, tx, rx)) }
}

impl Running {
    async fn next(&mut self) -> Observation {
        soon("an observation", self.seen.recv()).await.expect("the canary ended without a Close").1
    }

    /// Observations up to the end, and the end.
    async fn ended(mut self) -> (Vec<Observation>, Close) {
        let mut all = Vec::new();
        let end = async {
            loop {
                match self.next().await {
                    Observation::Closed(close) => break close,
                    other => all.push(other),
                }
            }
        };
        let close = soon("the session's end", end).await;
        assert!(soon("the channel's end", self.seen.recv()).await.is_none(), "Closed is the last");
        assert_eq!(soon("the canary", self.task).await.unwrap(), close);
        (all, close)
    }
}

/// A real server; the script gets its side of the session.
async fn ws_server<F, R, T>(script: F) -> (std::net::SocketAddr, JoinHandle<T>)
where
    F: FnOnce(WebSocketStream<TcpStream>) -> R + Send + 'static,
    R: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(tokio_tungstenite::accept_async(stream).await.unwrap()).await
    });
    (address, task)
}

/// Reads everything; panics on a violation or a reset.
async fn read_all(mut ws: WebSocketStream<TcpStream>) -> Vec<Message> {
    let mut seen = Vec::new();
    while let Some(message) = ws.next().await {
        seen.push(message.expect("no reset, no violation"));
    }
    seen
}

fn cause(close: &Close) -> Cause {
    cause_of_close(close, &RecentCloses::default()).cause
}

#[tokio::test]
async fn pings_are_answered_and_our_close_is_echoed() {
    let (address, server) = ws_server(read_all).await;
    let mut running = run(opened(&target(address)).await, FAST, 16);
    let mut answers = 0;
    while answers < 5 {
        match running.next().await {
            Observation::Answered { rtt } => {
                assert!(rtt < Duration::from_secs(5), "{rtt:?}");
                answers += 1;
            }
            Observation::Asked | Observation::Life { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    running.commands.send(CanaryCommand::Close { code: 4001, reason: "reconnect".to_owned() }).await.unwrap();
    let (_, close) = running.ended().await;
    assert_eq!(
        (close.code, close.reason.as_str(), close.by_us, close.error),
        (Some(4001), "reconnect", true, None)
    );
    assert!(close.age >= close.silent_for);
    let seen = soon("server", server).await.unwrap();
    let (last, pings) = seen.split_last().unwrap();
    assert!(matches!(last, Message::Close(Some(f)) if u16::from(f.code) == 4001), "{last:?}");
    // Nothing but pings, each with a payload of its own.
    let payloads: std::collections::HashSet<_> = pings.iter().map(|m| m.clone().into_data()).collect();
    assert!(pings.iter().all(Message::is_ping) && payloads.len() == pings.len(), "{pings:?}");
}

#[tokio::test]
async fn losing_the_owner_closes_properly() {
    for drop_commands in [true, false] {
        let (address, server) = ws_server(read_all).await;
        let Running { mut seen, commands, task } = run(opened(&target(address)).await, FAST, 16);
        soon("an observation", seen.recv()).await.unwrap();
        let kept = if drop_commands {
            drop(commands);
            (Some(seen), None)
        } else {
            drop(seen);
            (None, Some(commands))
        };
        let close = soon("the canary", task).await.unwrap();
        drop(kept);
        assert_eq!((close.code, close.by_us), (Some(1001), true), "{close:?}");
        let last = soon("server", server).await.unwrap().pop();
        assert!(matches!(&last, Some(Message::Close(Some(f))) if u16::from(f.code) == 1001), "{last:?}");
    }
}

#[tokio::test]
async fn the_gateways_close_is_told_and_answered() {
    let frame = |code: u16| Some(CloseFrame { code: code.into(), reason: "wartung".into() });
    for (sent, code, reason) in
        [(frame(1012), 1012, "wartung"), (None, 1005, ""), (frame(4400), 4400, "wartung")]
    {
        let (address, server) = ws_server(move |mut ws| async move {
            ws.close(sent).await.unwrap();
            read_all(ws).await
        })
        .await;
        let running = run(opened(&target(address)).await, FAST, 16);
        let (_, close) = running.ended().await;
        assert_eq!((close.code, close.reason.as_str(), close.by_us), (Some(code), reason, false));
        let last = soon("server", server).await.unwrap().pop();
        assert!(matches!(last, Some(Message::Close(_))), "the answer to its Close: {last:?}");
    }
}

#[tokio::test]
async fn an_end_without_a_close_frame() {
    let (address, _server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        stream.shutdown().await.unwrap();
        read_to_fin(&mut stream).await.expect("no reset");
    })
    .await;
    let (_, close) = run(opened(&target(address)).await, FAST, 16).ended().await;
    assert_eq!((close.code, close.by_us, close.error.as_deref()), (None, false, None));
    assert_eq!(cause(&close), Cause::SessionLost);

    let (address, _server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    // The reset may be there before the canary is, but not before the 101.
    let (_, close) = run(opened(&target(address)).await, FAST, 16).ended().await;
    assert_eq!((close.code, close.by_us), (None, false));
    assert!(close.error.as_deref().is_some_and(|e| e.contains("reset")), "{close:?}");
    assert_eq!(cause(&close), Cause::SessionLost);
}

#[tokio::test]
async fn violations_are_answered_with_the_right_code_and_never_with_a_reset() {
    let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\nBad Request";
    let too_long = [&b"\x89\x7e\xff\xff"[..], &[0; 65535]].concat();
    for (bytes, code, expected, needle) in [
        (b"\x83\x00".to_vec(), 1002, Cause::ProtocolViolated, "protocol error"),
        (http.to_vec(), 1002, Cause::ProtocolViolated, "HTTP text after the 101"),
        (too_long, 1002, Cause::ProtocolViolated, "Control frame too big"),
        (b"\x81\x02\xff\xfe".to_vec(), 1007, Cause::ProtocolViolated, "not UTF-8"),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x20\x00\x00".to_vec(), 1009, Cause::MessageTooBig, "too long"),
    ] {
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (address, server) = serve(move |mut stream, request| async move {
            switch(&mut stream, &request).await;
            wait.await.unwrap();
            stream.write_all(&bytes).await?;
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.map(|_| got)
        })
        .await;
        let session = opened(&target(address)).await;
        go.send(()).unwrap();
        let config = CanaryConfig { ping_interval: Duration::from_secs(60), ..FAST };
        let (_, close) = run(session, config, 16).ended().await;
        assert_eq!((close.code, close.by_us), (None, true), "{needle}");
        assert!(close.error.as_deref().is_some_and(|e| e.contains(needle)), "{needle}: {close:?}");
        assert_eq!(cause(&close), expected, "{needle}");
        let got = soon("server", server).await.unwrap().expect("no reset");
        // At the end, perhaps after a ping: a masked Close with the code and nothing more.
        let frame = &got[got.len() - 8..];
        let masked = [frame[6] ^ frame[2], frame[7] ^ frame[3]];
        assert_eq!((frame[0], u16::from_be_bytes(masked)), (0x88, code), "{needle}: {got:?}");
    }
}

#[tokio::test]
async fn a_chatty_gateway_does_not_flood_and_its_pings_are_answered() {
    const PINGS: usize = 2000;
    let (address, server) = ws_server(|mut ws| async move {
        // 64 KiB of pings and 64 KiB of messages in one go.
        for i in 0..PINGS {
            ws.feed(Message::Ping(vec![u8::try_from(i % 250).unwrap(); 32].into())).await.unwrap();
            ws.feed(Message::Text("x".repeat(32).into())).await.unwrap();
        }
        ws.flush().await.unwrap();
        // The newest is answered; those before it may be passed over (RFC 6455 §5.5.3).
        let newest = vec![u8::try_from((PINGS - 1) % 250).unwrap(); 32];
        loop {
            match ws.next().await.unwrap().unwrap() {
                Message::Pong(payload) if payload == newest => break,
                Message::Pong(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
        ws.close(None).await.unwrap();
        read_all(ws).await;
    })
    .await;
    let start = Instant::now();
    let config = CanaryConfig { ping_interval: Duration::from_secs(60), ..FAST };
    let (all, close) = run(opened(&target(address)).await, config, 16).ended().await;
    let life = all.iter().filter(|o| matches!(o, Observation::Life { .. })).count();
    let most = usize::try_from(start.elapsed().as_millis() / 100).unwrap() + 2;
    assert!((1..=most).contains(&life), "{life} signs of life, at most {most}");
    assert_eq!(close.code, Some(1005));
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn a_stuck_consumer_does_not_stop_the_reading() {
    let (address, server) = ws_server(|mut ws| async move {
        // Far more round trips than the channel and the waiting list hold.
        for _ in 0..300 {
            ws.send(Message::Ping("?".into())).await.unwrap();
            while !matches!(ws.next().await.unwrap().unwrap(), Message::Pong(_)) {}
        }
        ws.close(None).await.unwrap();
        read_all(ws).await;
    })
    .await;
    let config =
        CanaryConfig { ping_interval: Duration::from_millis(10), life_every: Duration::ZERO, ..FAST };
    let running = run(opened(&target(address)).await, config, 1);
    // Nobody receives until the server is through.
    soon("server", server).await.unwrap();
    let (all, close) = running.ended().await;
    assert_eq!(close.code, Some(1005));
    assert!(all.len() <= 66, "{}", all.len());
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_left_in_time() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = crate::support::read_head(&mut stream).await;
        switch(&mut stream, &request).await;
        // Pings that ask for 125 bytes each, and nobody who reads the pongs.
        let mut ping = vec![0x89, 125];
        ping.resize(127, b'x');
        let storm = ping.repeat(100);
        let storming = async { while stream.write_all(&storm).await.is_ok() {} };
        tokio::select! { () = storming => {}, _ = wait => {} }
    });
    let config = CanaryConfig {
        write_timeout: Duration::from_millis(300),
        ping_interval: Duration::from_secs(60),
        ..FAST
    };
    let (_, close) = run(opened(&target(address)).await, config, 16).ended().await;
    assert_eq!((close.code, close.by_us), (None, false));
    assert!(close.error.as_deref().is_some_and(|e| e.contains("reads nothing")), "{close:?}");
    assert_eq!(cause(&close), Cause::SessionLost);
    let _ = done.send(());
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_answers_our_close_is_left_in_time() {
    let (address, server) = serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        read_to_fin(&mut stream).await
    })
    .await;
    let running = run(opened(&target(address)).await, FAST, 16);
    running.commands.send(CanaryCommand::Close { code: 1000, reason: String::new() }).await.unwrap();
    let (all, close) = running.ended().await;
    assert_eq!((close.code, close.by_us), (None, true));
    assert!(close.error.as_deref().is_some_and(|e| e.contains("no Close frame in answer")), "{close:?}");
    assert!(all.iter().all(|o| matches!(o, Observation::Asked)), "silence is not life: {all:?}");
    soon("server", server).await.unwrap().expect("no reset");
}
