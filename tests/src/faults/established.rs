//! Sessions that were established and then lost: L1–L8, L10–L12, L14.
//!
//! Where another client makes the fault, it has made it when the scene stands, and what was seen of it is in
//! [`Scene::seen`]: first the clients', then the server's.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::Instant;

use super::engineio::UPGRADE;
use super::fastapi::CHAT;
use super::program::{client, node, node_command, python, serving, views};
use super::proxy::{self, Proxy, Settings, front, haproxy_backends};
use super::{Fault, Part, Scene, row, well};

/// How many clients there are where it is about many.
pub const CROWD: usize = 5;

pub(super) const FAULTS: &[Fault] = &[
    row("L1-nginx", "nginx cuts what is silent for 2 s (60 s by default)", Cause::IdleCut, || {
        Box::pin(idle(Proxy::Nginx))
    })
    .watch(7),
    row("L1-apache", "Apache cuts what is silent for 2 s (60 s by default)", Cause::IdleCut, || {
        Box::pin(idle(Proxy::Apache))
    })
    .watch(7),
    row("L1-haproxy", "HAProxy cuts what is silent for 2 s", Cause::IdleCut, || {
        Box::pin(idle(Proxy::Haproxy))
    })
    .watch(7),
    row(
        "L1-haproxy-client",
        "HAProxy without a limit for tunnels cuts by its client's",
        Cause::IdleCut,
        || Box::pin(idle_by_client()),
    )
    .watch(7),
    well("L2-nginx", "the server pings more often than nginx cuts", || Box::pin(pinged(Proxy::Nginx)))
        .watch(5),
    well("L2-apache", "the server pings more often than Apache cuts", || Box::pin(pinged(Proxy::Apache)))
        .watch(5),
    well("L2-haproxy", "the server pings more often than HAProxy cuts", || Box::pin(pinged(Proxy::Haproxy)))
        .watch(5),
    row("L3-uvicorn", "a client does not answer uvicorn's pings", Cause::KeepaliveTimeout, || {
        Box::pin(mute_on_uvicorn())
    })
    .also(&[Cause::GatewayFailed]),
    row("L3-websockets", "a client does not answer the pings of websockets", Cause::KeepaliveTimeout, || {
        Box::pin(mute_on_websockets())
    })
    .also(&[Cause::GatewayFailed]),
    row("L4", "a client does not answer Engine.IO's pings", Cause::EngineIoPingUnanswered, || {
        Box::pin(engineio(&["--engine-connect", "true"]))
    }),
    row("L5", "a client never sends CONNECT", Cause::NamespaceConnectMissing, || {
        Box::pin(engineio(&["--engine-pongs", "true"]))
    }),
    row("L6", "a client speaks JSON to Engine.IO", Cause::ForeignPayload, || {
        Box::pin(engineio(&["--say", "{\"event\":\"hello\"}", "--wait", "300ms"]))
    }),
    row("L7-uvicorn", "uvicorn restarts in good order", Cause::GatewayRestarting, || {
        Box::pin(restarting(None))
    })
    .watch(4),
    row("L7-nginx", "uvicorn restarts in good order behind nginx", Cause::GatewayRestarting, || {
        Box::pin(restarting(Some(Proxy::Nginx)))
    })
    .watch(4),
    row("L8", "the process of all sessions is killed, and started again", Cause::MassReset, || {
        Box::pin(killed())
    })
    .also(&[Cause::SessionLost, Cause::ProcessExited, Cause::ProcessKilled, Cause::ConnectionRefused])
    .watch(4),
    row("L10-ws", "a client says more than `ws` takes", Cause::MessageTooBig, || Box::pin(too_big_ws())),
    row("L10-socketio", "a client says more than Socket.IO takes", Cause::MessageTooBig, || {
        Box::pin(too_big_socketio())
    }),
    row("L11", "the way forgets the connection and tells nobody", Cause::HalfOpen, || Box::pin(forgotten()))
        .also(&[Cause::HeartbeatMissed, Cause::GatewayStalled])
        .watch(5),
    row("L12", "the gateway freezes with its sessions open", Cause::GatewayStalled, || Box::pin(freezing()))
        .also(&[Cause::HeartbeatMissed, Cause::HalfOpen])
        .watch(5),
    row("L12-nginx", "the same behind nginx", Cause::GatewayStalled, || Box::pin(freezing_behind_nginx()))
        .also(&[Cause::HeartbeatMissed, Cause::IdleCut, Cause::HandshakeTimedOut, Cause::BackendHung])
        .watch(6),
    row("L14", "many accounts are refused in the same second with 405", Cause::UpstreamDeprecated, || {
        Box::pin(deprecated())
    })
    .also(&[Cause::ClientOutdated]),
];

async fn idle(proxy: Proxy) -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    behind(proxy, &backend, "/", Kind::Websocket, Settings::idle(2)).await.part(ws)
}

async fn idle_by_client() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    // What stands last counts.
    let text = haproxy_backends(
        "  timeout client 2s\n  timeout server 4s\n",
        &format!("  server gateway {backend}\n"),
    );
    let front = proxy::start(Proxy::Haproxy, &text).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn pinged(proxy: Proxy) -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--ping", "700ms"]).await;
    behind(proxy, &backend, "/", Kind::Websocket, Settings::idle(2)).await.part(ws)
}

async fn behind(proxy: Proxy, backend: &str, path: &str, kind: Kind, settings: Settings) -> Scene {
    let front = front(proxy, backend, settings).await;
    Scene::at(format!("ws://{}{path}", front.address), kind)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
}

/// Runs npm's client against an address to its end.
async fn seen(url: &str, flags: &[&str], sessions: usize) -> (Part, Vec<super::ClientView>) {
    let mut command = node_command("faults/client.js", &["--url", url]);
    command.args(flags);
    client("client", &mut command, sessions).await
}

/// A server that a client has broken its session with.
pub(super) async fn broken(server: Part, url: String, kind: Kind, flags: &[&str]) -> Scene {
    let (client, mut seen) = seen(&url, flags, 1).await;
    // `websockets` says nothing of the ends of its sessions.
    if !server.name.contains("websockets") {
        seen.extend(views(&server, 1).await);
    }
    let scene = Scene::at(url, kind).part(server).part(client);
    Scene { seen, ..scene }
}

async fn mute_on_uvicorn() -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &["--ping", "1"]).await;
    broken(app, format!("ws://{backend}{CHAT}"), Kind::Bisheng, &["--answer-pings", "false"]).await
}

async fn mute_on_websockets() -> Scene {
    let (server, backend) = python("faults/websockets_server.py", &["--ping", "1"]).await;
    broken(server, format!("ws://{backend}/"), Kind::Websocket, &["--answer-pings", "false"]).await
}

/// 25 s, 20 s and 45 s by default.
const ENGINE_TIMERS: &[&str] =
    &["--ping-interval", "1s", "--ping-timeout", "500ms", "--connect-timeout", "1500ms"];

async fn engineio(flags: &[&str]) -> Scene {
    let (io, backend) = node("faults/socketio.js", ENGINE_TIMERS).await;
    broken(io, format!("ws://{backend}{UPGRADE}"), Kind::Socketio, flags).await
}

async fn too_big_ws() -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--max-payload", "1024"]).await;
    broken(ws, format!("ws://{backend}/"), Kind::Websocket, &["--size", "2000"]).await
}

async fn too_big_socketio() -> Scene {
    let (io, backend) = node("faults/socketio.js", &["--max-buffer", "1024"]).await;
    let flags = ["--engine-connect", "true", "--engine-pongs", "true", "--size", "2000", "--wait", "200ms"];
    broken(io, format!("ws://{backend}{UPGRADE}"), Kind::Socketio, &flags).await
}

/// It restarts a second after somebody begins to hold a session; each time it is built, a crowd has gone through it.
async fn restarting(proxy: Option<Proxy>) -> Scene {
    let flags = &["--restart-after", "1"];
    let (crowded, at) = python("faults/fastapi_app.py", flags).await;
    let (clients, seen) = seen_by_many(&format!("ws://{at}{CHAT}")).await;
    let (app, backend) = python("faults/fastapi_app.py", flags).await;
    let scene = match proxy {
        Some(proxy) => behind(proxy, &backend, CHAT, Kind::Bisheng, Settings::default()).await,
        None => Scene::at(format!("ws://{backend}{CHAT}"), Kind::Bisheng),
    };
    let scene = scene.part(app).part(crowded.mortal()).part(clients);
    Scene { seen, ..scene }
}

async fn seen_by_many(url: &str) -> (Part, Vec<super::ClientView>) {
    seen(url, &["--count", &CROWD.to_string()], CROWD).await
}

/// A `ws` that is killed a second after somebody begins to hold a session, and that a supervisor starts again.
async fn killed() -> Scene {
    let (crowded, at) = node("faults/ws.js", &["--die-after", "1s"]).await;
    let (clients, seen) = seen_by_many(&format!("ws://{at}/")).await;
    let port = crate::gateway::free_port().to_string();
    let script = crate::process::root().join("tests/gateways/faults/ws.js");
    let mut command = Command::new("sh");
    command
        .args(["-c", "node \"$0\" --port \"$1\" --die-after 1s; sleep 0.3; exec node \"$0\" --port \"$1\""]);
    command.arg(&script).arg(&port);
    let (ws, backend) = serving("supervised ws", &mut command).await;
    let scene =
        Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(ws).part(crowded.mortal()).part(clients);
    Scene { seen, ..scene }
}

async fn freezing() -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--stop-after", "1s"]).await;
    Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(ws)
}

async fn freezing_behind_nginx() -> Scene {
    let (ws, backend) = node("faults/ws.js", &["--stop-after", "1s"]).await;
    behind(Proxy::Nginx, &backend, "/", Kind::Websocket, Settings::idle(2)).await.part(ws)
}

/// Something between the ends that passes bytes for a second, and then none, without a word to either.
async fn forgotten() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let behind = backend.clone();
    let task = tokio::spawn(async move {
        let mut all = tokio::task::JoinSet::new();
        while let Ok((inner, _)) = listener.accept().await {
            all.spawn(forget(inner, behind.clone()));
        }
    });
    Scene::at(format!("ws://{address}/"), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .part(ws)
        .part(Part::task("the way", task.abort_handle()))
}

async fn forget(mut client: TcpStream, backend: String) {
    let Ok(mut server) = TcpStream::connect(backend).await else { return };
    let until = Instant::now() + Duration::from_secs(1);
    let (mut up, mut down) = ([0; 4_096], [0; 4_096]);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(until) => break,
            read = client.read(&mut up) => match read {
                Ok(n) if n > 0 && server.write_all(&up[..n]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(n) if n > 0 && client.write_all(&down[..n]).await.is_ok() => {}
                _ => return,
            },
        }
    }
    // Both are held and neither is read.
    std::future::pending::<()>().await;
}

/// A stand-in: the chat network's refusal, as its clients report it. The real one needs Baileys and is shown with it.
async fn deprecated() -> Scene {
    let (network, at) = node("faults/ws.js", &["--failure", "405"]).await;
    let url = format!("ws://{at}/");
    let (clients, seen) = seen_by_many(&url).await;
    let scene = Scene::at(url, Kind::Baileys).part(network).part(clients);
    Scene { seen, ..scene }
}
