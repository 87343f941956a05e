//! HAProxy.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Expect::{SocketIo, WebSocket};
use mooring_proxyconf::Software::Haproxy;

use crate::support::{
    Gateway, Proxy, accepts, ask, dial, examine, handshake_is_mended, mended, port, silence_is_mended,
};

fn config(port: u16, gateway: &Gateway, timeout: &str, front: &str, back: &str) -> String {
    format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client {timeout}\n  timeout server {timeout}\n\
         frontend in\n  bind 127.0.0.1:{port}\n  {front}\n  default_backend chat\nbackend chat\n  {back}\n  server s 127.0.0.1:{}\n",
        gateway.port
    )
}

#[test]
fn the_silence_of_a_tunnel() {
    let gateway = Gateway::start();
    let q = ask("/ws", WebSocket);
    let second = Duration::from_secs(1);
    let port_a = port();
    silence_is_mended(Haproxy, port_a, &config(port_a, &gateway, "1s", "", ""), &q, second);
    let port_b = port();
    silence_is_mended(Haproxy, port_b, &config(port_b, &gateway, "1h", "", "timeout tunnel 1s"), &q, second);
    // In mode tcp it is the same.
    let port_c = port();
    let tcp = config(port_c, &gateway, "1s", "", "").replace("mode http", "mode tcp");
    silence_is_mended(Haproxy, port_c, &tcp, &q, second);
}

#[test]
fn headers_taken_away() {
    let (gateway, port) = (Gateway::start(), port());
    let q = ask("/ws", WebSocket);
    for rule in
        ["http-request del-header Upgrade", "http-request set-header Connection close if { path_beg /ws }"]
    {
        let body = config(port, &gateway, "1h", rule, "");
        handshake_is_mended(Haproxy, port, &body, &q, Cause::ProxyStrippedUpgrade, 426);
        let body = config(port, &gateway, "1h", "", rule);
        handshake_is_mended(Haproxy, port, &body, &q, Cause::ProxyStrippedUpgrade, 426);
    }
}

#[test]
fn what_is_said_to_be_harmless_is() {
    let (gateway, port) = (Gateway::start(), port());
    for rule in [
        "option httpclose",
        "option http-server-close",
        "http-request del-header Upgrade if { path_beg /api }",
    ] {
        let body = config(port, &gateway, "1h", rule, "");
        assert!(examine(Haproxy, &body, &ask("/ws", WebSocket)).lints.is_empty());
        let _proxy = Proxy::start(Haproxy, &body, port);
        assert_eq!(dial(port, "/ws").status, 101, "{rule}");
    }
}

#[test]
fn suggestions_for_several_servers_are_accepted() {
    let gateway = Gateway::start();
    for back in ["server t 127.0.0.1:2", "balance roundrobin\n  server t 127.0.0.1:2"] {
        let body = mended(Haproxy, &config(port(), &gateway, "10s", "", back), &ask("/socket.io/", SocketIo));
        assert!(body.contains("balance source") && body.contains("timeout tunnel 1h"), "{body}");
        accepts(Haproxy, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
    }
}
