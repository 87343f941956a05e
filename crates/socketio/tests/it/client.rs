//! Sessions that are let in: over both transports, in namespaces, with pings, to a proper end.

use std::time::Duration;

use mooring_core::handshake::Step;
use mooring_socketio::Item;
use mooring_socketio::client::{Client, Options, open};
use mooring_socketio::endpoint::Way;
use serde_json::json;

use crate::support::{Server, event, soon, telling};

/// What the server says of a client that leaves as it should. How the transport then ends is not looked at where pings are
/// frequent: a server that sends one while it is closing takes its own failure for the transport's.
const LEFT: &str = r#"{"left":"/","reason":"client namespace disconnect"}"#;

const WAYS: [Way; 2] = [Way::WebSocket, Way::Polling];

/// With time enough for a machine that is busy.
fn options(way: Way) -> Options {
    Options { way, close_timeout: Duration::from_secs(20), ..Options::default() }
}

async fn connect(server: &Server, options: &Options) -> Client {
    soon("a connection", Client::connect(&server.endpoint(), options)).await.unwrap()
}

#[tokio::test]
async fn a_session_from_the_dial_to_its_end() {
    for way in WAYS {
        let server = Server::start(&[]).await;
        let mut client = connect(&server, &options(way)).await;
        assert!(client.sid().is_some());
        assert_eq!(client.opening().ping_interval, Duration::from_secs(25));
        assert_eq!(client.opening().silence(), Duration::from_secs(45));
        assert_eq!(client.opening().max_payload, Some(1_000_000));
        let report = client.report();
        assert!(report.outcome.is_ok(), "{report:?}");
        assert!(report.steps.iter().all(|s| s.ok));
        let last: Vec<&str> = report.steps.iter().rev().take(2).map(|s| s.detail.as_str()).collect();
        assert_eq!(last, ["joined the namespace /", "Engine.IO opened: a ping every 25s, 20s to answer it"]);
        assert_eq!(report.steps.last().unwrap().step, Step::FirstFrame);
        let hello = event(&mut client, "hello").await;
        assert_eq!(hello, [json!({"auth": [], "query": ["EIO", "transport"]})]);
        let close = soon("the end", client.close()).await;
        assert!(close.by_us && close.error.is_none(), "{close:?}");
        // The server sees what it sees of its own client: the namespace left, then the transport.
        let log = server.saw(LEFT).await;
        assert!(log.contains(&r#"{"joined":"/"}"#.to_owned()));
        server.is_empty().await;
        let log = server.saw(r#"{"closed":"transport close"}"#).await;
        assert!(log.contains(&format!(r#"{{"opened":"{}"}}"#, way.name())), "{log:?}");
    }
}

#[tokio::test]
async fn events_acknowledgements_and_binary_data() {
    for way in WAYS {
        let server = Server::start(&[]).await;
        let mut client = connect(&server, &options(way)).await;
        event(&mut client, "hello").await;
        let number = client.emit("add", vec![json!(2), json!(3)], true).unwrap();
        assert_eq!(telling(&mut client).await, Item::Ack { id: number, args: vec![json!(5)] });
        let words = vec![json!("héllo 世界 \u{1e}"), json!({"list": [1, null, "x"]})];
        client.emit("say", words.clone(), false).unwrap();
        assert_eq!(event(&mut client, "said").await, words);
        client.emit("binary", vec![], false).unwrap();
        let place = |num| json!({"_placeholder": true, "num": num});
        assert_eq!(event(&mut client, "bytes").await, [json!({"first": place(0), "second": place(1)})]);
        // After the attachments the session is read on as before.
        client.emit("say", vec![json!(1)], false).unwrap();
        assert_eq!(event(&mut client, "said").await, [json!(1)]);
        assert_eq!(client.emit("disconnect", vec![], false), None);
        client.close().await;
        server.is_empty().await;
    }
}

#[tokio::test]
async fn namespaces_auth_and_query() {
    for way in WAYS {
        let server = Server::start(&[]).await;
        let mut options = options(way);
        options.namespace = "/admin".to_owned();
        options.auth = Some(json!({"token": "secret"}));
        options.query = vec![("apikey".to_owned(), "a&b".to_owned())];
        let mut client = connect(&server, &options).await;
        match telling(&mut client).await {
            Item::Event { namespace, args, .. } => {
                assert_eq!(namespace, "/admin");
                assert_eq!(args, [json!({"auth": ["token"], "query": ["EIO", "transport", "apikey"]})]);
            }
            other => panic!("{other:?}"),
        }
        client.emit("kick", vec![], false).unwrap();
        assert_eq!(telling(&mut client).await, Item::Disconnected { namespace: "/admin".to_owned() });
        client.close().await;
        server.is_empty().await;
    }
}

#[tokio::test]
async fn every_ping_is_answered() {
    for way in WAYS {
        // A server sends the next ping only after the answer to the last.
        let server = Server::start(&["--ping-interval", "250ms", "--ping-timeout", "20s"]).await;
        let mut client = connect(&server, &options(way)).await;
        let mut pings = 0;
        while pings < 5 {
            match soon("a ping", client.next()).await {
                Item::Ping => pings += 1,
                Item::Event { .. } | Item::Alive => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((client.beats().pings, client.beats().broken), (5, 0));
        assert!(client.beats().longest >= Duration::from_millis(200), "{:?}", client.beats());
        client.close().await;
        let log = server.saw(LEFT).await;
        assert!(log.iter().filter(|l| *l == r#"{"packet":"pong"}"#).count() >= 4, "{log:?}");
    }
}

/// L4: whoever does not answer pings is cut off after interval and timeout. Here nobody waits in `next`.
#[tokio::test]
async fn a_client_that_stands_still_is_cut_off() {
    for way in WAYS {
        let server = Server::start(&["--ping-interval", "1s", "--ping-timeout", "500ms"]).await;
        let mut client = connect(&server, &options(way)).await;
        event(&mut client, "hello").await;
        let log = server.saw(r#"{"closed":"ping timeout"}"#).await;
        assert!(log.contains(&r#"{"left":"/","reason":"ping timeout"}"#.to_owned()), "{log:?}");
        let close = loop {
            match soon("the end", client.next()).await {
                Item::Closed(close) => break close,
                Item::Ping | Item::Alive | Item::Overdue { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        match way {
            Way::WebSocket => assert_eq!((close.code, close.by_us), (Some(1005), false), "{close:?}"),
            // The poll that waited was answered with the ping; the next one finds nobody.
            Way::Polling => assert!(close.error.unwrap().contains("Session ID unknown")),
        }
        soon("the end again", client.close()).await;
    }
}

/// A server that stands still keeps the connection open: only the promise shows it.
#[tokio::test]
async fn a_broken_promise_is_told_once() {
    for way in WAYS {
        let server = Server::start(&["--ping-interval", "200ms", "--ping-timeout", "200ms"]).await;
        let mut client = connect(&server, &options(way)).await;
        server.ask("/_control?do=hang&for=1500ms").await;
        let silent = loop {
            match soon("the promise to break", client.next()).await {
                Item::Overdue { silent_for } => break silent_for,
                Item::Event { .. } | Item::Ping | Item::Alive => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(silent >= Duration::from_millis(400), "{silent:?}");
        assert_eq!(client.beats().broken, 1);
        // It comes back by itself, or ends the session: either is told, and neither is a second broken promise.
        loop {
            match soon("what follows", client.next()).await {
                Item::Ping | Item::Closed(_) => break,
                Item::Event { .. } | Item::Alive => {}
                other => panic!("{other:?}"),
            }
        }
        client.close().await;
    }
}

#[tokio::test]
async fn the_end_of_the_server_is_told() {
    for way in WAYS {
        let mut server = Server::start(&[]).await;
        let mut client = connect(&server, &options(way)).await;
        event(&mut client, "hello").await;
        server.kill().await;
        let Item::Closed(close) = telling(&mut client).await else { panic!("not closed") };
        assert!(!close.by_us && close.code.is_none(), "{close:?}");
        assert!(matches!(client.next().await, Item::Closed(again) if again == close));
        assert_eq!(client.emit("say", vec![], false), None);
        client.close().await;
    }
}

#[tokio::test]
async fn the_server_may_end_it() {
    for way in WAYS {
        let server = Server::start(&[]).await;
        let mut client = connect(&server, &options(way)).await;
        event(&mut client, "hello").await;
        client.emit("cut", vec![], false).unwrap();
        let Item::Closed(close) = telling(&mut client).await else { panic!("not closed") };
        let code = if way == Way::WebSocket { 1005 } else { 1000 };
        assert_eq!((close.code, close.by_us), (Some(code), false), "{close:?}");
        client.close().await;
        server.is_empty().await;
    }
}

/// L5: a session that joins no namespace is closed after `connectTimeout`, though its pings are answered.
#[tokio::test]
async fn a_session_without_a_namespace_is_closed() {
    let server =
        Server::start(&["--connect-timeout", "700ms", "--ping-interval", "200ms", "--ping-timeout", "5s"])
            .await;
    let opened = soon("the opening", open(&server.endpoint(), &Options::default())).await.unwrap();
    // Joining late is joining never.
    server.saw(r#"{"closed":"forced close"}"#).await;
    let error = soon("the refusal", opened.join(&Options::default())).await.unwrap_err();
    assert!(error.to_string().contains("1005"), "{error}");
    server.is_empty().await;
}

#[tokio::test]
async fn large_messages_are_passed_over() {
    for way in WAYS {
        let server = Server::start(&[]).await;
        let mut client = connect(&server, &Options { keep: 4096, ..options(way) }).await;
        event(&mut client, "hello").await;
        client.emit("say", vec![json!("x".repeat(3000))], false).unwrap();
        assert_eq!(event(&mut client, "said").await, [json!("x".repeat(3000))]);
        client.emit("say", vec![json!("x".repeat(6000))], false).unwrap();
        assert!(matches!(telling(&mut client).await, Item::Skipped { size, .. } if size >= 6000));
        client.emit("say", vec![json!("on")], false).unwrap();
        assert_eq!(event(&mut client, "said").await, [json!("on")]);
        client.close().await;
    }
}

/// Waiting can be broken off at any time without losing anything.
#[tokio::test]
async fn waiting_is_cancel_safe() {
    for way in WAYS {
        let server = Server::start(&["--ping-interval", "50ms", "--ping-timeout", "10s"]).await;
        let mut client = connect(&server, &options(way)).await;
        event(&mut client, "hello").await;
        client.emit("say", (0..50).map(|n| json!(n)).collect(), false).unwrap();
        let said = soon("the event", async {
            loop {
                match tokio::time::timeout(Duration::from_millis(1), client.next()).await {
                    Ok(Item::Event { args, .. }) => return args,
                    Ok(Item::Closed(close)) => panic!("{close:?}"),
                    _ => {}
                }
            }
        })
        .await;
        assert_eq!(said.len(), 50);
        client.close().await;
        // A poll that was broken off would have ended it otherwise.
        server.saw(LEFT).await;
    }
}
