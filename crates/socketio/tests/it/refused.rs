//! Who says no, and what it is called.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::Step;
use mooring_socketio::client::{Client, ConnectError, Options, Why};
use mooring_socketio::endpoint::Way;
use mooring_wire::Target;
use serde_json::json;

use crate::support::{Server, event, soon};

async fn refused(target: &Target, options: &Options) -> ConnectError {
    let error = soon("a refusal", Client::connect(target, options)).await.map(|_| "connected").unwrap_err();
    // The last step is the refusal, and says the same.
    let refusal = error.refusal().unwrap();
    let last = error.report.steps.last().unwrap();
    assert!(!last.ok && last.step == refusal.step, "{:?}", error.report);
    assert_eq!(last.detail, refusal.message);
    assert!(error.report.steps.iter().filter(|s| !s.ok).count() == 1 && error.report.took >= last.at);
    *error
}

fn over(way: Way) -> Options {
    Options { way, ..Options::default() }
}

fn cause(error: &ConnectError) -> (Step, Cause) {
    let refusal = error.refusal().unwrap();
    (refusal.step, refusal.cause)
}

/// H24, and what mends it.
#[tokio::test]
async fn a_namespace_that_is_not_there_yet() {
    for way in [Way::WebSocket, Way::Polling] {
        let server = Server::start(&[]).await;
        let options = Options { namespace: "/late".to_owned(), ..over(way) };
        let error = refused(&server.endpoint(), &options).await;
        assert_eq!(cause(&error), (Step::FirstFrame, Cause::NamespaceNotReady), "{error}");
        assert!(matches!(&error.why, Why::Namespace(e) if e.unknown() && e.namespace == "/late"));
        assert!(error.open.is_some());
        server.is_empty().await;
        server.ask("/_control?do=create&namespace=/late").await;
        let mut client = Client::connect(&server.endpoint(), &options).await.unwrap();
        event(&mut client, "hello").await;
        client.close().await;
    }
}

#[tokio::test]
async fn a_namespace_that_refuses() {
    let server = Server::start(&[]).await;
    let auth = Some(json!({"token": "wrong-t0ken"}));
    let options = Options { namespace: "/admin".to_owned(), auth, ..Options::default() };
    let error = refused(&server.endpoint(), &options).await;
    assert_eq!(cause(&error), (Step::FirstFrame, Cause::CredentialsRefused));
    // The middleware repeats the token; we do not.
    assert_eq!(error.to_string(), "the namespace /admin refuses: `not you, …`");
    assert!(!format!("{error:?}").contains("wrong-t0ken"));
    server.is_empty().await;
}

#[tokio::test]
async fn a_namespace_that_does_not_answer() {
    let server = Server::start(&[]).await;
    let options = Options {
        namespace: "/mute".to_owned(),
        join_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let error = refused(&server.endpoint(), &options).await;
    assert_eq!(cause(&error), (Step::FirstFrame, Cause::NoFirstFrame));
    assert_eq!(error.why, Why::NoAnswer);
    server.is_empty().await;
}

/// H22: on the upgrade a 400 with the application's words alone, on polling a 403 with a code.
#[tokio::test]
async fn allow_request_refuses() {
    let server = Server::start(&["--refuse", "apiKey is required"]).await;
    for (way, status) in [(Way::WebSocket, 400), (Way::Polling, 403)] {
        let error = refused(&server.endpoint(), &over(way)).await;
        assert_eq!(cause(&error), (Step::Status, Cause::CredentialsRefused));
        assert_eq!(error.report.answer.as_ref().unwrap().status, status);
        assert!(
            matches!(&error.why, Why::Engine(e) if e.code == 4 && e.message == "apiKey is required"),
            "{error:?}"
        );
    }
}

/// H10: Engine.IO ends what is not for it after one second; a plain request falls through to the application.
#[tokio::test]
async fn another_path() {
    let server = Server::start(&[]).await;
    for path in ["/socket.io", "/", "/chat"] {
        let error = refused(&server.target(path), &Options::default()).await;
        assert_eq!(cause(&error), (Step::Status, Cause::WrongPath), "{path}: {error}");
        assert_eq!(error.why, Why::Dial);
    }
    let error = refused(&server.target("/chat"), &over(Way::Polling)).await;
    assert_eq!(cause(&error), (Step::Status, Cause::WrongPath), "{error}");
    let error = refused(&server.target("/"), &over(Way::Polling)).await;
    assert_eq!(cause(&error), (Step::Status, Cause::UpgradeNotPerformed), "{error}");
}

#[tokio::test]
async fn a_transport_that_is_not_served() {
    let server = Server::start(&["--transports", "polling"]).await;
    let error = refused(&server.endpoint(), &Options::default()).await;
    assert!(matches!(&error.why, Why::Engine(e) if e.code == 0), "{error:?}");
    assert_eq!(cause(&error), (Step::Status, Cause::HandshakeRefused));
    assert!(error.to_string().contains("does not serve the transport `websocket`"), "{error}");
    let client = Client::connect(&server.endpoint(), &over(Way::Polling)).await.unwrap();
    assert!(client.opening().upgrades.is_empty());
    client.close().await;
}

/// H13: a second WebSocket server on the same HTTP server writes its own refusal into the stream.
#[tokio::test]
async fn two_websocket_servers() {
    let mut server = Server::start(&["--ws-path", "/ws"]).await;
    let error = refused(&server.endpoint(), &Options::default()).await;
    assert_eq!(cause(&error).1, Cause::TwoWebSocketServers, "{error:?}");
    server.lives();
    server.is_empty().await;
}

/// Polling goes astray between two processes; one WebSocket session does not.
#[tokio::test]
async fn no_sticky_sessions() {
    let server = Server::start(&["--nodes", "2"]).await;
    let error = refused(&server.endpoint(), &over(Way::Polling)).await;
    assert_eq!(cause(&error), (Step::FirstFrame, Cause::StickySessionsMissing), "{error:?}");
    let client = Client::connect(&server.endpoint(), &Options::default()).await.unwrap();
    client.close().await;
    // With a cookie all is well.
    let server = Server::start(&["--nodes", "2", "--sticky", "true"]).await;
    let mut client = Client::connect(&server.endpoint(), &over(Way::Polling)).await.unwrap();
    event(&mut client, "hello").await;
    client.close().await;
    server.is_empty().await;
}

#[tokio::test]
async fn nobody_listens() {
    let mut server = Server::start(&[]).await;
    server.kill().await;
    for way in [Way::WebSocket, Way::Polling] {
        let error = refused(&server.endpoint(), &over(way)).await;
        assert_eq!(cause(&error), (Step::Connect, Cause::ConnectionRefused));
        assert_eq!(error.why, Why::Dial);
    }
}
