//! Handshakes that npm's `ws` refuses or mishandles: H1–H3, H7, H8, H11–H13, H34; and H30, which is Evolution's.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;

use super::program::node;
use super::proxy::{self, Proxy, Settings, front};
use super::{Fault, Scene, row};

pub(super) const FAULTS: &[Fault] = &[
    row("H1-nginx", "nginx strips the upgrade before `ws`", Cause::ProxyStrippedUpgrade, || {
        Box::pin(own_port(Proxy::Nginx))
    }),
    row("H1-apache", "Apache strips the upgrade before `ws`", Cause::ProxyStrippedUpgrade, || {
        Box::pin(own_port(Proxy::Apache))
    }),
    row("H1-haproxy", "HAProxy strips the upgrade before `ws`", Cause::ProxyStrippedUpgrade, || {
        Box::pin(own_port(Proxy::Haproxy))
    }),
    row("H2-nginx", "nginx strips the upgrade before Express", Cause::ProxyStrippedUpgrade, || {
        Box::pin(express(Proxy::Nginx, "/ws"))
    })
    .also(&[Cause::UpgradeNotPerformed]),
    row("H2-apache", "Apache strips the upgrade before Express", Cause::ProxyStrippedUpgrade, || {
        Box::pin(express(Proxy::Apache, "/ws"))
    })
    .also(&[Cause::UpgradeNotPerformed]),
    row("H2-haproxy", "HAProxy strips the upgrade before Express", Cause::ProxyStrippedUpgrade, || {
        Box::pin(express(Proxy::Haproxy, "/ws"))
    })
    .also(&[Cause::UpgradeNotPerformed]),
    row(
        "H2-wrong-server",
        "`ws` is attached to a server that nobody listens on",
        Cause::UpgradeNotPerformed,
        || Box::pin(wrong_server("/ws")),
    )
    .also(&[Cause::WrongPath]),
    row(
        "H2-wrong-server-nginx",
        "`ws` is attached to a server that nobody listens on, behind a good nginx",
        Cause::UpgradeNotPerformed,
        || Box::pin(wrong_server_behind_nginx()),
    )
    .also(&[Cause::WrongPath, Cause::ProxyStrippedUpgrade]),
    row("H3-nginx", "nginx strips the upgrade before a page of Express", Cause::ProxyStrippedUpgrade, || {
        Box::pin(express(Proxy::Nginx, "/"))
    })
    .also(&[Cause::UpgradeNotPerformed]),
    row(
        "H3-wrong-server",
        "`ws` is attached to another server, and the path is a page",
        Cause::UpgradeNotPerformed,
        || Box::pin(wrong_server("/")),
    )
    .also(&[Cause::SpaFallback]),
    row("H7", "`ws` has a path, and another is dialled", Cause::WrongPath, || Box::pin(path("/elsewhere"))),
    row("H7-slash", "`ws` has a path, and a slash too much is dialled", Cause::WrongPath, || {
        Box::pin(path("/ws/"))
    }),
    row("H7-nginx", "`ws` has a path, and nginx takes its first segment off", Cause::WrongPath, || {
        Box::pin(path_cut_by_nginx())
    }),
    row("H8-key", "nginx takes the handshake's key out", Cause::MalformedHandshake, || {
        Box::pin(damaged("proxy_set_header Sec-WebSocket-Key \"\";", "websocket"))
    }),
    row("H8-version", "nginx asks for a version that nobody speaks", Cause::MalformedHandshake, || {
        Box::pin(damaged("proxy_set_header Sec-WebSocket-Version 12;", "websocket"))
    }),
    row("H8-upgrade", "nginx asks for another protocol", Cause::MalformedHandshake, || {
        Box::pin(damaged("", "h2c"))
    }),
    row("H8-method", "nginx makes a POST of it", Cause::MalformedHandshake, || {
        Box::pin(damaged("proxy_method POST;", "websocket"))
    }),
    row("H8-apache", "Apache takes the handshake's key out", Cause::MalformedHandshake, || {
        Box::pin(damaged_by_apache())
    }),
    row("H8-haproxy", "HAProxy takes the handshake's key out", Cause::MalformedHandshake, || {
        Box::pin(damaged_by_haproxy())
    }),
    row("H11", "the upgrade handler destroys what it does not know", Cause::UpgradeDestroyed, || {
        Box::pin(routed("destroy"))
    })
    .also(&[Cause::WrongPath]),
    row("H11-nginx", "the same behind nginx", Cause::UpgradeDestroyed, || {
        Box::pin(routed_behind("destroy", Proxy::Nginx))
    })
    .also(&[Cause::WrongPath, Cause::BackendDown]),
    row("H12", "the upgrade handler ignores what it does not know", Cause::UpgradeIgnored, || {
        Box::pin(routed("ignore"))
    })
    .also(&[Cause::HandshakeTimedOut]),
    row("H12-nginx", "the same behind nginx", Cause::UpgradeIgnored, || {
        Box::pin(routed_behind("ignore", Proxy::Nginx))
    })
    .also(&[Cause::BackendHung]),
    row("H12-apache", "the same behind Apache", Cause::UpgradeIgnored, || {
        Box::pin(routed_behind("ignore", Proxy::Apache))
    })
    .also(&[Cause::BackendHung, Cause::BackendDown]),
    row("H12-haproxy", "the same behind HAProxy", Cause::UpgradeIgnored, || {
        Box::pin(routed_behind("ignore", Proxy::Haproxy))
    })
    .also(&[Cause::BackendHung]),
    row(
        "H13-first",
        "two `ws` servers on one HTTP server, the first path",
        Cause::TwoWebSocketServers,
        || Box::pin(two("/first")),
    )
    .also(&[Cause::ProtocolViolated]),
    row(
        "H13-second",
        "two `ws` servers on one HTTP server, the second path",
        Cause::TwoWebSocketServers,
        || Box::pin(two("/second")),
    )
    .also(&[Cause::WrongPath]),
    row("H30", "Evolution is not activated", Cause::LicenseRequired, || Box::pin(unlicensed())),
    row("H34", "a subprotocol is demanded, `ws` selects none", Cause::SubprotocolRefused, || {
        Box::pin(no_subprotocol())
    }),
];

async fn own_port(proxy: Proxy) -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    stripped(proxy, &backend, "/").await.part(ws)
}

async fn express(proxy: Proxy, path: &str) -> Scene {
    let (app, backend) = node("faults/express.js", &[]).await;
    stripped(proxy, &backend, path).await.part(app)
}

async fn stripped(proxy: Proxy, backend: &str, path: &str) -> Scene {
    let front = front(proxy, backend, Settings::stripped()).await;
    Scene::at(format!("ws://{}{path}", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
}

async fn wrong_server(path: &str) -> Scene {
    let (app, backend) = node("faults/express.js", &["--attached", "other"]).await;
    Scene::at(format!("ws://{backend}{path}"), Kind::Websocket).part(app)
}

async fn wrong_server_behind_nginx() -> Scene {
    let (app, backend) = node("faults/express.js", &["--attached", "other"]).await;
    behind(Proxy::Nginx, &backend, "/ws", Settings::default()).await.part(app)
}

async fn behind(proxy: Proxy, backend: &str, path: &str, settings: Settings) -> Scene {
    let front = front(proxy, backend, settings).await;
    Scene::at(format!("ws://{}{path}", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
}

async fn path(dialled: &str) -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--path", "/ws"]).await;
    Scene::at(format!("ws://{backend}{dialled}"), Kind::Websocket).part(ws)
}

/// The slash at the end of `proxy_pass` replaces what the location matched.
async fn path_cut_by_nginx() -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--path", "/ws"]).await;
    let location =
        format!("location /ws {{\n      proxy_pass http://{backend}/;\n{}    }}", proxy::NGINX_UPGRADE);
    let front = proxy::start(Proxy::Nginx, &proxy::nginx_server(&location)).await;
    Scene::at(format!("ws://{}/ws", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/ws"))
        .front(front)
        .part(ws)
}

async fn damaged(line: &str, upgrade: &str) -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let location = format!(
        "location / {{\n      proxy_pass http://{backend};\n      proxy_http_version 1.1;\n      \
         proxy_set_header Upgrade {upgrade};\n      proxy_set_header Connection \"upgrade\";\n      {line}\n    }}"
    );
    let front = proxy::start(Proxy::Nginx, &proxy::nginx_server(&location)).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn damaged_by_apache() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let host = format!(
        "RequestHeader unset Sec-WebSocket-Key\n  ProxyPass \"/\" \"http://{backend}/\" upgrade=websocket"
    );
    let front = proxy::start(Proxy::Apache, &proxy::apache_host(&host)).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn damaged_by_haproxy() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let lines = format!("  http-request del-header Sec-WebSocket-Key\n  server gateway {backend}\n");
    let front =
        proxy::start(Proxy::Haproxy, &proxy::haproxy_backends("  timeout server 60s\n", &lines)).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn routed(unknown: &str) -> Scene {
    let (ws, backend) = node("faults/upgrade.js", &["--unknown", unknown]).await;
    Scene::at(format!("ws://{backend}/elsewhere"), Kind::Websocket).part(ws)
}

async fn routed_behind(unknown: &str, proxy: Proxy) -> Scene {
    let (ws, backend) = node("faults/upgrade.js", &["--unknown", unknown]).await;
    behind(proxy, &backend, "/elsewhere", Settings::answer(1)).await.part(ws)
}

async fn two(path: &str) -> Scene {
    let (ws, backend) = node("faults/two.js", &[]).await;
    Scene::at(format!("ws://{backend}{path}"), Kind::Websocket).part(ws)
}

async fn unlicensed() -> Scene {
    let (app, backend) = node("faults/license.js", &[]).await;
    let url = format!("ws://{backend}/socket.io/?EIO=4&transport=websocket");
    Scene::at(url, Kind::Evolution).part(app)
}

async fn no_subprotocol() -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--subprotocol", "false"]).await;
    let scene = Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(ws);
    Scene { subprotocol: Some("chat.v1".to_owned()), ..scene }
}
