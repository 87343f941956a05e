//! Sessions of who speaks the protocol on top: messages in and out, as far as they were asked for.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_wire::{Body, Data, Event, Session};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use crate::support::{opened, serve, soon, switch, target};

/// Sends everything back, until the Close.
async fn echo() -> (SocketAddr, JoinHandle<Vec<String>>) {
    serve(|mut stream, request| async move {
        switch(&mut stream, &request).await;
        let mut ws = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let mut seen = Vec::new();
        while let Some(Ok(message)) = ws.next().await {
            if let Message::Text(text) = &message {
                seen.push(text.as_str().to_owned());
                ws.send(message).await.unwrap();
            }
        }
        seen
    })
    .await
}

async fn next(session: &mut Session) -> Event {
    soon("an event", session.event()).await
}

#[tokio::test]
async fn messages_are_handed_over_where_asked() {
    let (address, server) = echo().await;
    let mut session = opened(&target(address)).await;
    assert!(session.send_text("four".to_owned()));
    assert_eq!(next(&mut session).await, Event::Data(Data { size: 4, body: Body::Dropped }));
    session.keep(4);
    assert!(session.send_text("four".to_owned()) && session.send_text("fives".to_owned()));
    assert_eq!(next(&mut session).await, Event::Data(Data { size: 4, body: Body::Text("four".to_owned()) }));
    assert_eq!(next(&mut session).await, Event::Data(Data { size: 5, body: Body::Dropped }));
    // More than may wait for a peer that does not read is refused, and nothing of it sent.
    assert!(!session.send_text("x".repeat(1 << 20)));
    session.close(1000, "");
    assert!(!session.send_text("late".to_owned()));
    assert_eq!(next(&mut session).await, Event::Close(1000, String::new()));
    soon("the end", session.finish()).await;
    assert_eq!(soon("server", server).await.unwrap(), ["four", "four", "fives"]);
}
