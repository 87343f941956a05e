//! Orders to close, as independent peers take them: the code and the reason arrive at both ends, and whoever comes back by
//! itself comes back through the relay.

use std::sync::Arc;
use std::time::Duration;

use mooring_relay::{
    CloseOrder, Closed, ListenAddress, NoSink, Relay, RelayConfig, RelayHandle, Upstream, UpstreamAddress,
};

use crate::support::{Running, Script, Server};

/// A relay in this process, so that it can be told.
fn start(upstream: &str) -> (RelayHandle, String) {
    let upstream = Upstream::new(UpstreamAddress::Tcp(upstream.parse().expect("an address")));
    let listen = ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address"));
    let relay =
        Relay::start(RelayConfig::new(listen, upstream), Vec::new(), Arc::new(NoSink)).expect("it starts");
    let address = relay.listeners()[0].local_addr().expect("a TCP address").to_string();
    (relay, address)
}

fn order() -> CloseOrder {
    CloseOrder { reason: "moved over".to_owned(), wait: Duration::from_secs(10), ..CloseOrder::default() }
}

#[tokio::test]
async fn ws_and_websockets_take_1012_on_both_ends() {
    let ends = [
        (Script::node("peer-ws.js", &["serve"]), Script::node("peer-ws.js", &["hold"])),
        (Script::python("peer_websockets.py", &["serve"]), Script::python("peer_websockets.py", &["hold"])),
    ];
    for (server, client) in ends {
        let server = Server::start(&server).await;
        let (relay, address) = start(&server.address);
        let mut held = Running::start(&client, &address);
        held.line("open").await;
        let closed = relay.close_all(&order()).await;
        let said = held.rest().await.join("\n").replace(' ', "");
        assert!(said.contains(r#""closed":1012,"reason":"movedover""#), "{said}");
        let saw = server.saw().await.join("\n").replace(' ', "");
        assert!(saw.contains(r#""closed":1012,"reason":"movedover""#), "{saw}");
        assert_eq!(closed, Closed { properly: 1, cut: 0, gone: 0 }, "{said}\n{saw}");
    }
}

#[tokio::test]
async fn socketio_comes_back_after_1012() {
    let server = Server::start(&Script::node("peer-socketio.js", &["serve"])).await;
    let (relay, address) = start(&server.address);
    let mut client = Running::start(&Script::node("peer-socketio.js", &["reconnect"]), &address);
    client.line(r#"{"connected":1,"sum":2}"#).await;
    let closed = relay.close_all(&order()).await;
    assert_eq!(closed, Closed { properly: 1, cut: 0, gone: 0 });
    let said = client.rest().await;
    let expected = [
        r#"{"disconnected":"transport close","code":1012,"text":"moved over"}"#,
        r#"{"connected":2,"sum":3}"#,
        r#"{"disconnected":"io client disconnect","code":null,"text":null}"#,
    ];
    assert_eq!(said, expected);
    let saw = server.saw().await.join("\n");
    assert!(saw.contains("transport close") && saw.contains("client namespace disconnect"), "{saw}");
}
