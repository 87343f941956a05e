//! nginx.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Expect::{SocketIo, WebSocket};
use mooring_proxyconf::Software::Nginx;

use crate::support::{
    Gateway, Proxy, accepts, ask, dial, examine, handshake_is_mended, mended, port, silence_is_mended,
};

fn server(port: u16, inside: &str) -> String {
    format!("server {{\n  listen 127.0.0.1:{port};\n  server_name chat.example;\n{inside}\n}}")
}

#[test]
fn no_headers_at_all() {
    let (gateway, port) = (Gateway::start(), port());
    let body = server(port, &format!("  location / {{ proxy_pass http://127.0.0.1:{}; }}", gateway.port));
    handshake_is_mended(Nginx, port, &body, &ask("/ws", WebSocket), Cause::ProxyStrippedUpgrade, 426);
    assert_eq!(gateway.upgrades(), 1);
}

#[test]
fn http_1_0_to_the_gateway() {
    let (gateway, port) = (Gateway::start(), port());
    let headers = "proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection \"upgrade\";";
    for version in ["", "proxy_http_version 1.0;"] {
        let inside = format!(
            "  location /ws {{\n    proxy_pass http://127.0.0.1:{};\n    {version}\n    {headers}\n  }}",
            gateway.port
        );
        handshake_is_mended(
            Nginx,
            port,
            &server(port, &inside),
            &ask("/ws", WebSocket),
            Cause::UpstreamHttp10,
            505,
        );
    }
}

#[test]
fn headers_lost_by_inheritance_and_a_variable_without_its_map() {
    let (gateway, port) = (Gateway::start(), port());
    let inside = format!(
        "  proxy_http_version 1.1;\n  proxy_set_header Upgrade $http_upgrade;\n  proxy_set_header Connection upgrade;\n  \
         location /ws {{\n    proxy_set_header Host $host;\n    proxy_pass http://127.0.0.1:{};\n  }}",
        gateway.port
    );
    let q = ask("/ws", WebSocket);
    handshake_is_mended(Nginx, port, &server(port, &inside), &q, Cause::ProxyStrippedUpgrade, 426);

    let inside = format!(
        "  location /ws {{ proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
         proxy_set_header Connection $connection_upgrade; }}",
        gateway.port
    );
    // nginx refuses it outright; within an http block the map is what is suggested.
    let body = server(port, &inside);
    assert!(accepts(Nginx, &body).unwrap_err().contains("connection_upgrade"));
    let body = mended(Nginx, &body, &q);
    let _proxy = Proxy::start(Nginx, &body, port);
    assert_eq!(dial(port, "/ws").status, 101, "{body}");
}

#[test]
fn a_short_read_timeout() {
    let (gateway, port) = (Gateway::start(), port());
    let inside = format!(
        "  location /ws {{\n    proxy_pass http://127.0.0.1:{};\n    proxy_http_version 1.1;\n    \
         proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection \"upgrade\";\n    \
         proxy_read_timeout 1s;\n    proxy_send_timeout 1s;\n  }}",
        gateway.port
    );
    // The send timeout stays at a second and cuts nothing: only the read timeout is worth a word.
    let q = ask("/ws", WebSocket);
    silence_is_mended(Nginx, port, &server(port, &inside), &q, Duration::from_secs(1));
}

#[test]
fn the_location_of_the_path_is_not_the_one_with_the_headers() {
    let (gateway, port) = (Gateway::start(), port());
    let right = format!(
        "proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
         proxy_set_header Connection upgrade;",
        gateway.port
    );
    let inside = format!(
        "  location /ws/ {{ {right} }}\n  location /api/ {{ {right} }}\n  location ~ ^/(ws|api) {{ return 402; }}\n  \
         location ^~ /fast {{ {right} }}\n  location / {{ try_files $uri /index.html; }}"
    );
    let body = server(port, &inside);
    let q = |path: &str| ask(path, WebSocket);
    // What nginx does with each path, and what is said of it.
    {
        let _proxy = Proxy::start(Nginx, &body, port);
        for (path, status, cause) in [
            ("/ws", 301, Some(Cause::Redirected)),
            ("/ws/a", 402, Some(Cause::WrongPath)),
            ("/fast/x", 101, None),
            ("/socket.io/", 200, Some(Cause::SpaFallback)),
        ] {
            assert_eq!(dial(port, path).status, status, "{path}");
            let found = examine(Nginx, &body, &q(path)).lints;
            let handshake = found.iter().map(|l| l.cause).find(|c| *c != Cause::IdleCut);
            assert_eq!(handshake, cause, "{path}: {found:#?}");
        }
    }
    for (path, cause, status) in [("/ws/a", Cause::WrongPath, 402), ("/socket.io/", Cause::SpaFallback, 200)]
    {
        handshake_is_mended(Nginx, port, &body, &q(path), cause, status);
    }
    // The slash alone, without the pattern that would take the path next.
    let body = server(port, &format!("  location /ws/ {{ {right} }}\n  location / {{ return 404; }}"));
    handshake_is_mended(Nginx, port, &body, &q("/ws"), Cause::Redirected, 301);
}

#[test]
fn suggestions_that_change_more_than_one_place_are_accepted() {
    let port = port();
    let upstream = |method: &str| {
        format!("upstream chat {{ {method} server 127.0.0.1:1; server 127.0.0.1:2; keepalive 4; }}\n")
    };
    for method in ["", "least_conn;", "random;"] {
        let body = format!(
            "{}{}",
            upstream(method),
            server(
                port,
                "  location / { if ($http_upgrade) { proxy_pass http://chat; } proxy_buffering on; }"
            )
        );
        let body = mended(Nginx, &body, &ask("/socket.io/", SocketIo));
        assert!(body.contains("ip_hash;"), "{body}");
        accepts(Nginx, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
    }
}
