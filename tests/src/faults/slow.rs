//! The rows of time once more, at the timers that the software comes with: nobody has set anything here. Minutes, so not
//! among the others; `tests/slow` examines them.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;

use super::engineio::UPGRADE;
use super::established::broken;
use super::fastapi::CHAT;
use super::program::{node, python};
use super::proxy::{self, NGINX_UPGRADE, Proxy, apache_host, nginx_server};
use super::{Fault, Scene, row, well};

/// How long sessions are held: half as long again as the longest of these timers.
const WATCH: u64 = 90;

pub(super) const FAULTS: &[Fault] = &[
    row("slow-L1-nginx", "nginx cuts what is silent for 60 s", Cause::IdleCut, || {
        Box::pin(before(Proxy::Nginx, "ws", "/", Kind::Websocket))
    })
    .watch(WATCH),
    row("slow-L1-apache", "Apache cuts what is silent for 60 s", Cause::IdleCut, || {
        Box::pin(before(Proxy::Apache, "ws", "/", Kind::Websocket))
    })
    .watch(WATCH),
    well("slow-L2-nginx", "Socket.IO's ping comes each 25 s, and nginx waits 60", || {
        Box::pin(before(Proxy::Nginx, "socketio", UPGRADE, Kind::Socketio))
    })
    .watch(WATCH),
    row(
        "slow-L3",
        "a client does not answer uvicorn's pings, 20 s and 20 s",
        Cause::KeepaliveTimeout,
        || Box::pin(mute()),
    )
    .watch(WATCH),
    row(
        "slow-L4",
        "a client does not answer Engine.IO's pings, 25 s and 20 s",
        Cause::EngineIoPingUnanswered,
        || Box::pin(engineio(&["--engine-connect", "true"])),
    )
    .watch(WATCH),
    row("slow-L5", "a client does not send CONNECT for 45 s", Cause::NamespaceConnectMissing, || {
        Box::pin(engineio(&["--engine-pongs", "true"]))
    })
    .watch(WATCH),
];

/// A proxy that says nothing of time.
async fn before(proxy: Proxy, script: &str, path: &str, kind: Kind) -> Scene {
    let (gateway, backend) = node(&format!("faults/{script}.js"), &[]).await;
    let text = match proxy {
        Proxy::Nginx => {
            nginx_server(&format!("location / {{\n      proxy_pass http://{backend};\n{NGINX_UPGRADE}    }}"))
        }
        Proxy::Apache => apache_host(&format!("ProxyPass \"/\" \"http://{backend}/\" upgrade=websocket")),
        Proxy::Haproxy => unreachable!("it has no such limit unless one is set"),
    };
    let front = proxy::start(proxy, &text).await;
    Scene::at(format!("ws://{}{path}", front.address), kind)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
        .part(gateway)
}

async fn mute() -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    broken(app, format!("ws://{backend}{CHAT}"), Kind::Bisheng, &["--answer-pings", "false"]).await
}

async fn engineio(flags: &[&str]) -> Scene {
    let (io, backend) = node("faults/socketio.js", &[]).await;
    broken(io, format!("ws://{backend}{UPGRADE}"), Kind::Socketio, flags).await
}
