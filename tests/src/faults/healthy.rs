//! Scenes in which nothing is wrong: whoever finds something here has raised a false alarm.

use mooring_core::kind::Kind;

use super::engineio::UPGRADE;
use super::fastapi::{CHAT, chain};
use super::program::{node, python};
use super::proxy::{Proxy, Settings, front};
use super::{Fault, Scene, gone, tls, well};

pub(super) const FAULTS: &[Fault] = &[
    well("ok-ws", "`ws` on its own port", || Box::pin(at_node("ws", &[], "/", Kind::Websocket))),
    well("ok-ws-path", "`ws` on its own path", || {
        Box::pin(at_node("ws", &["--path", "/ws"], "/ws", Kind::Websocket))
    }),
    well("ok-ws-nginx", "`ws` behind nginx", || Box::pin(behind(Proxy::Nginx, "ws", "/", Kind::Websocket))),
    well("ok-ws-apache", "`ws` behind Apache", || {
        Box::pin(behind(Proxy::Apache, "ws", "/", Kind::Websocket))
    }),
    well("ok-ws-haproxy", "`ws` behind HAProxy", || {
        Box::pin(behind(Proxy::Haproxy, "ws", "/", Kind::Websocket))
    }),
    well("ok-ws-tls", "`ws` behind nginx with TLS", || Box::pin(tls::good())),
    well("ok-express", "Express and `ws` on one server", || {
        Box::pin(at_node("express", &[], "/ws", Kind::Websocket))
    }),
    well("ok-noserver", "`ws` behind an upgrade handler of its own", || {
        Box::pin(at_node("upgrade", &[], "/ws", Kind::Websocket))
    }),
    well("ok-socketio", "Socket.IO", || Box::pin(at_node("socketio", &[], UPGRADE, Kind::Socketio))),
    well("ok-socketio-nginx", "Socket.IO behind nginx", || {
        Box::pin(behind(Proxy::Nginx, "socketio", UPGRADE, Kind::Socketio))
    }),
    well("ok-socketio-apache", "Socket.IO behind Apache", || {
        Box::pin(behind(Proxy::Apache, "socketio", UPGRADE, Kind::Socketio))
    }),
    well("ok-socketio-haproxy", "Socket.IO behind HAProxy", || {
        Box::pin(behind(Proxy::Haproxy, "socketio", UPGRADE, Kind::Socketio))
    }),
    well("ok-evolution-key", "Socket.IO that asks for a key, and gets it", || {
        let url: &'static str = "/socket.io/?EIO=4&transport=websocket&apikey=right-key";
        Box::pin(at_node("socketio", &["--apikey", "right-key"], url, Kind::Evolution))
    }),
    well("ok-cors", "Socket.IO that has the pages' origin on its list", || Box::pin(origin())),
    well("ok-fastapi", "FastAPI on uvicorn", || Box::pin(fastapi(&[]))),
    well("ok-fastapi-hypercorn", "FastAPI on Hypercorn", || Box::pin(fastapi(&["--server", "hypercorn"]))),
    well("ok-fastapi-double", "FastAPI behind nginx behind Apache", || {
        Box::pin(chain(Settings::default(), Settings::default()))
    }),
    well("ok-fastapi-front-end", "FastAPI behind an nginx that serves the front end, too", || {
        Box::pin(gone::fallback(CHAT))
    }),
    well("ok-websockets", "Python's websockets", || Box::pin(websockets())),
];

async fn at_node(script: &str, flags: &[&str], path: &str, kind: Kind) -> Scene {
    let (gateway, backend) = node(&format!("faults/{script}.js"), flags).await;
    Scene::at(format!("ws://{backend}{path}"), kind).part(gateway)
}

async fn behind(proxy: Proxy, script: &str, path: &str, kind: Kind) -> Scene {
    let (gateway, backend) = node(&format!("faults/{script}.js"), &[]).await;
    let front = front(proxy, &backend, Settings::default()).await;
    Scene::at(format!("ws://{}{path}", front.address), kind)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
        .part(gateway)
}

async fn origin() -> Scene {
    let allowed = "https://pages.example";
    let scene = at_node("socketio", &["--cors", allowed], UPGRADE, Kind::Socketio).await;
    Scene { origin: Some(allowed.to_owned()), ..scene }
}

async fn fastapi(flags: &[&str]) -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", flags).await;
    Scene::at(format!("ws://{backend}{CHAT}"), Kind::Bisheng).part(app)
}

async fn websockets() -> Scene {
    let (server, backend) = python("faults/websockets_server.py", &[]).await;
    Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(server)
}
