//! Apache httpd.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_proxyconf::Expect::{SocketIo, WebSocket};
use mooring_proxyconf::Software::Apache;

use crate::support::{
    Gateway, Proxy, accepts, ask, dial, examine, handshake_is_mended, mended, port, silence_is_mended,
};

fn config(port: u16, inside: &str) -> String {
    format!(
        "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n  ServerName chat.example\n{inside}\n</VirtualHost>\n"
    )
}

#[test]
fn no_upgrade_asked_for() {
    let (gateway, port) = (Gateway::start(), port());
    let b = format!("127.0.0.1:{}", gateway.port);
    let q = ask("/ws", WebSocket);
    for inside in [
        format!("  ProxyPass / http://{b}/"),
        format!("  <Location /ws>\n    ProxyPass http://{b}/ws\n  </Location>"),
        format!("  ProxyPassMatch ^/(ws.*)$ http://{b}/$1"),
        format!(
            "  RewriteEngine On\n  RewriteCond %{{HTTP:Upgrade}} websocket [NC]\n  RewriteRule ^/(.*) http://{b}/$1 [P]"
        ),
        // The first rule wins; the worker of the first is shared; the balancer's members decide.
        format!("  ProxyPass / http://{b}/\n  ProxyPass /ws ws://{b}/ws"),
        format!("  ProxyPass /api http://{b}/\n  ProxyPass /ws http://{b}/ws upgrade=websocket"),
        format!(
            "  <Proxy balancer://chat>\n    BalancerMember http://{b}\n  </Proxy>\n  ProxyPass / balancer://chat/"
        ),
        format!("  ProxyPass / ws://{b}/\n  RequestHeader unset Upgrade"),
    ] {
        handshake_is_mended(Apache, port, &config(port, &inside), &q, Cause::ProxyStrippedUpgrade, 426);
    }
}

#[test]
fn http_1_0_to_the_gateway() {
    let (gateway, port) = (Gateway::start(), port());
    let inside = format!(
        "  ProxyPass / http://127.0.0.1:{}/ upgrade=websocket\n  <Location /ws>\n    SetEnv force-proxy-request-1.0 1\n  </Location>",
        gateway.port
    );
    // Apache leaves the upgrade out as well, so the gateway sees a plain request.
    handshake_is_mended(
        Apache,
        port,
        &config(port, &inside),
        &ask("/ws", WebSocket),
        Cause::UpstreamHttp10,
        426,
    );
}

#[test]
fn the_silence_of_a_tunnel() {
    let gateway = Gateway::start();
    let q = ask("/ws", WebSocket);
    let b = format!("127.0.0.1:{}", gateway.port);
    let second = Duration::from_secs(1);
    for (main, inside) in [
        ("Timeout 1\n", format!("  ProxyPass / http://{b}/ upgrade=websocket")),
        ("Timeout 1\n", format!("  ProxyPass / ws://{b}/ timeout=1")),
        (
            "",
            format!(
                "  Timeout 1\n  ProxyTimeout 1\n  RewriteEngine On\n  RewriteRule ^/(.*) ws://{b}/$1 [P]"
            ),
        ),
        (
            "Timeout 1\n",
            format!(
                "  <Proxy balancer://c>\n    BalancerMember ws://{b}\n  </Proxy>\n  ProxyPass / balancer://c/"
            ),
        ),
    ] {
        let port = port();
        silence_is_mended(Apache, port, &format!("{main}{}", config(port, &inside)), &q, second);
    }
}

#[test]
fn the_longer_of_two_timeouts_counts() {
    let gateway = Gateway::start();
    let b = format!("127.0.0.1:{}", gateway.port);
    for (timeout, proxy, parameter) in [(60, 1, 1), (1, 60, 60), (1, 1, 60)] {
        let port = port();
        let inside = format!(
            "  Timeout {timeout}\n  ProxyTimeout {proxy}\n  ProxyPass / ws://{b}/ timeout={parameter}"
        );
        let body = config(port, &inside);
        let _proxy = Proxy::start(Apache, &body, port);
        let mut session = dial(port, "/ws");
        assert_eq!(session.status, 101);
        assert!(!session.is_cut_within(Duration::from_secs(3)), "{body}");
    }
}

#[test]
fn a_page_in_place_of_the_gateway() {
    let (gateway, port) = (Gateway::start(), port());
    let inside = format!(
        "  <Location />\n    FallbackResource /index.html\n  </Location>\n  ProxyPass /api http://127.0.0.1:{}/api",
        gateway.port
    );
    let body = config(port, &inside);
    handshake_is_mended(Apache, port, &body, &ask("/ws", WebSocket), Cause::SpaFallback, 200);
}

#[test]
fn order_of_main_server_host_and_location() {
    let (gateway, port) = (Gateway::start(), port());
    let b = format!("127.0.0.1:{}", gateway.port);
    let text = format!(
        "ProxyPass /a http://{b}/a\nProxyPass /b http://{b}/b\n{}",
        config(
            port,
            &format!(
                "  ProxyPass /a ws://{b}/a\n  <Location /b>\n    ProxyPass ws://{b}/b\n  </Location>\n  Redirect / https://x/\n  ProxyPass /c ws://{b}/c"
            )
        )
    );
    let _proxy = Proxy::start(Apache, &text, port);
    for (path, status, stripped) in [("/a", 426, true), ("/b", 101, false), ("/c", 101, false)] {
        assert_eq!(dial(port, path).status, status, "{path}");
        let lints = examine(Apache, &text, &ask(path, WebSocket)).lints;
        assert_eq!(
            lints.iter().any(|l| l.cause == Cause::ProxyStrippedUpgrade),
            stripped,
            "{path} {lints:#?}"
        );
    }
    assert_eq!(dial(port, "/d").status, 302);
}

#[test]
fn suggestions_for_several_members_are_accepted() {
    let port = port();
    let body = config(
        port,
        "  <Proxy balancer://chat>\n    BalancerMember http://127.0.0.1:1\n    BalancerMember http://127.0.0.1:2\n  </Proxy>\n  \
         ProxyPass / balancer://chat/",
    );
    let body = mended(Apache, &body, &ask("/socket.io/", SocketIo));
    assert!(
        body.contains("stickysession=ROUTEID")
            && body.contains("route=m2")
            && body.contains("upgrade=websocket"),
        "{body}"
    );
    accepts(Apache, &body).unwrap_or_else(|e| panic!("{e}\n{body}"));
}
