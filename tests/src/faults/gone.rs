//! Proxies that answer in the gateway's place: H26–H29.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;
use rustix::process::Signal;

use super::fastapi::CHAT;
use super::program::{nobody, node, python};
use super::proxy::{self, Proxy, Settings, front};
use super::{Fault, Part, Scene, row};

pub(super) const FAULTS: &[Fault] = &[
    row("H26-nginx", "nobody listens behind nginx", Cause::BackendDown, || Box::pin(down(Proxy::Nginx)))
        .also(&[Cause::ConnectionRefused]),
    row("H26-apache", "nobody listens behind Apache", Cause::BackendDown, || Box::pin(down(Proxy::Apache)))
        .also(&[Cause::ConnectionRefused]),
    row("H26-haproxy", "nobody listens behind HAProxy", Cause::BackendDown, || {
        Box::pin(down(Proxy::Haproxy))
    })
    .also(&[Cause::ConnectionRefused]),
    row("H27", "the gateway is frozen", Cause::HandshakeTimedOut, || Box::pin(frozen()))
        .also(&[Cause::BackendHung]),
    row("H27-nginx", "the gateway behind nginx is frozen", Cause::BackendHung, || {
        Box::pin(hung(Proxy::Nginx))
    })
    .also(&[Cause::HandshakeTimedOut]),
    row("H27-apache", "the gateway behind Apache is frozen", Cause::BackendHung, || {
        Box::pin(hung(Proxy::Apache))
    })
    .also(&[Cause::HandshakeTimedOut, Cause::BackendDown]),
    row("H27-haproxy", "the gateway behind HAProxy is frozen", Cause::BackendHung, || {
        Box::pin(hung(Proxy::Haproxy))
    })
    .also(&[Cause::HandshakeTimedOut]),
    row("H28-nginx", "nginx sends all of http to https", Cause::Redirected, || {
        Box::pin(redirected(Proxy::Nginx))
    }),
    row("H28-apache", "Apache sends all of http to https", Cause::Redirected, || {
        Box::pin(redirected(Proxy::Apache))
    }),
    row("H28-haproxy", "HAProxy sends all of http to https", Cause::Redirected, || {
        Box::pin(redirected(Proxy::Haproxy))
    }),
    row("H29", "the path falls back to the front end's index page", Cause::SpaFallback, || {
        Box::pin(fallback("/chat/1"))
    })
    .also(&[Cause::WrongPath]),
];

async fn down(proxy: Proxy) -> Scene {
    let (port, backend) = nobody();
    let front = front(proxy, &backend, Settings::default()).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(port)
}

async fn stopped() -> (Part, String) {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    ws.as_process().expect("it is a process").signal(Signal::STOP);
    (ws, backend)
}

async fn frozen() -> Scene {
    let (ws, backend) = stopped().await;
    Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(ws)
}

async fn hung(proxy: Proxy) -> Scene {
    let (ws, backend) = stopped().await;
    let front = front(proxy, &backend, Settings::answer(1)).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn redirected(proxy: Proxy) -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let text = match proxy {
        Proxy::Nginx => proxy::nginx_server("return 301 https://gateway.example$request_uri;"),
        Proxy::Apache => proxy::apache_host("Redirect permanent \"/\" \"https://gateway.example/\""),
        Proxy::Haproxy => proxy::haproxy_backends(
            "  timeout server 60s\n",
            &format!(
                "  http-request redirect scheme https code 301 unless {{ ssl_fc }}\n  server gateway {backend}\n"
            ),
        ),
    };
    let front = proxy::start(proxy, &text).await;
    Scene::at(format!("ws://{}/ws", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/ws"))
        .front(front)
        .part(ws)
}

/// As Bisheng's own nginx: `/api` goes to the backend, all else is the front end's.
pub(super) async fn fallback(path: &str) -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    let folder = tempfile::Builder::new().prefix("mooring-fault-").tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our own folder");
    std::fs::write(
        folder.path().join("index.html"),
        "<!doctype html>\n<html><head><title>BISHENG</title></head><body><div id=\"root\"></div></body></html>\n",
    )
    .expect("our own folder");
    let server = format!(
        "root {};\n    location /api {{\n      proxy_pass http://{backend};\n{}    }}\n    \
         location / {{\n      try_files $uri $uri/ /index.html;\n    }}",
        folder.path().display(),
        proxy::NGINX_UPGRADE
    );
    let front = proxy::start(
        Proxy::Nginx,
        &format!("  types {{ text/html html; }}\n{}", proxy::nginx_server(&server)),
    )
    .await;
    Scene::at(format!("ws://{}{path}", front.address), Kind::Bisheng)
        .direct(format!("ws://{backend}{CHAT}"))
        .front(front)
        .part(app)
        .part(Part::files("front end", folder))
}
