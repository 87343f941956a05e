//! Handshakes with Engine.IO and Socket.IO: H4, H9, H10, H13 (its second form), H14, H22–H25.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;

use super::program::node;
use super::proxy::{self, Proxy, Settings, front};
use super::{Fault, Scene, row};

/// What a client of Socket.IO dials.
pub(super) const UPGRADE: &str = "/socket.io/?EIO=4&transport=websocket";

pub(super) const FAULTS: &[Fault] = &[
    row("H4-nginx", "nginx strips the upgrade before Socket.IO", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Nginx))
    }),
    row("H4-apache", "Apache strips the upgrade before Socket.IO", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Apache))
    }),
    row("H4-haproxy", "HAProxy strips the upgrade before Socket.IO", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Haproxy))
    }),
    row("H9", "Socket.IO's path without its query", Cause::TransportMissing, || {
        Box::pin(dialled("/socket.io/", Kind::Socketio))
    }),
    row("H9-nginx", "the same behind nginx", Cause::TransportMissing, || {
        Box::pin(behind(Proxy::Nginx, "/socket.io/", Kind::Socketio))
    }),
    row("H10", "a raw client dials a Socket.IO server", Cause::RawClientOnSocketIo, || {
        Box::pin(dialled("/ws", Kind::Websocket))
    }),
    row("H10-nginx", "the same behind nginx", Cause::RawClientOnSocketIo, || {
        Box::pin(behind(Proxy::Nginx, "/ws", Kind::Websocket))
    })
    .also(&[Cause::BackendDown]),
    row("H10-apache", "the same behind Apache", Cause::RawClientOnSocketIo, || {
        Box::pin(behind(Proxy::Apache, "/ws", Kind::Websocket))
    })
    .also(&[Cause::BackendDown]),
    row("H10-haproxy", "the same behind HAProxy", Cause::RawClientOnSocketIo, || {
        Box::pin(behind(Proxy::Haproxy, "/ws", Kind::Websocket))
    })
    .also(&[Cause::BackendDown]),
    row("H13-eio3", "a client of Engine.IO 3, a server of 4", Cause::EngineIoVersionMismatch, || {
        Box::pin(dialled("/socket.io/?EIO=3&transport=websocket", Kind::Socketio))
    })
    .also(&[Cause::ProtocolViolated]),
    row("H14", "the upgrade asks for the polling transport", Cause::EngineIoPollingUpgrade, || {
        Box::pin(dialled("/socket.io/?EIO=4&transport=polling", Kind::Socketio))
    })
    .also(&[Cause::DroppedAtOnce]),
    row("H22-missing", "Evolution is asked without a key", Cause::TokenMissing, || {
        Box::pin(keyed("right-key", ""))
    }),
    row("H22-wrong", "Evolution is asked with a wrong key", Cause::TokenRefused, || {
        Box::pin(keyed("right-key", "&apikey=wrong-key"))
    }),
    row("H22-broken", "Evolution's look-up of the key fails", Cause::CredentialsRefused, || {
        Box::pin(keyed("broken", "&apikey=any-key"))
    })
    .also(&[Cause::TokenRefused]),
    row("H23-transport", "the transport's name is misspelt", Cause::TransportMissing, || {
        Box::pin(dialled("/socket.io/?EIO=4&transport=websockets", Kind::Socketio))
    }),
    row(
        "H23-sticky-nginx",
        "nginx deals Socket.IO's requests out in turn",
        Cause::StickySessionsMissing,
        || Box::pin(dealt(Proxy::Nginx)),
    ),
    row(
        "H23-sticky-haproxy",
        "HAProxy deals Socket.IO's requests out in turn",
        Cause::StickySessionsMissing,
        || Box::pin(dealt(Proxy::Haproxy)),
    ),
    row(
        "H23-sticky-apache",
        "Apache deals Socket.IO's requests out in turn",
        Cause::StickySessionsMissing,
        || Box::pin(dealt(Proxy::Apache)),
    ),
    row("H24", "the namespace does not exist yet", Cause::NamespaceNotReady, || Box::pin(namespace())),
    row("H25-list", "the origin of the pages is not the one allowed", Cause::CorsRefused, || {
        Box::pin(origin("https://elsewhere.example"))
    }),
    row("H25-array", "`*` stands in a list, where it is nothing but a name", Cause::CorsRefused, || {
        Box::pin(origin("[\"*\"]"))
    }),
];

async fn stripped(proxy: Proxy) -> Scene {
    let (io, backend) = node("faults/socketio.js", &[]).await;
    let front = front(proxy, &backend, Settings::stripped()).await;
    Scene::at(format!("ws://{}{UPGRADE}", front.address), Kind::Socketio)
        .direct(format!("ws://{backend}{UPGRADE}"))
        .front(front)
        .part(io)
}

async fn dialled(path: &str, expect: Kind) -> Scene {
    let (io, backend) = node("faults/socketio.js", &[]).await;
    Scene::at(format!("ws://{backend}{path}"), expect).part(io)
}

async fn behind(proxy: Proxy, path: &str, expect: Kind) -> Scene {
    let (io, backend) = node("faults/socketio.js", &[]).await;
    let front = front(proxy, &backend, Settings::default()).await;
    Scene::at(format!("ws://{}{path}", front.address), expect)
        .direct(format!("ws://{backend}{path}"))
        .front(front)
        .part(io)
}

async fn keyed(key: &str, query: &str) -> Scene {
    let (io, backend) = node("faults/socketio.js", &["--apikey", key]).await;
    Scene::at(format!("ws://{backend}{UPGRADE}{query}"), Kind::Evolution).part(io)
}

/// A session's requests go to another server each time, which has never heard of it.
async fn dealt(proxy: Proxy) -> Scene {
    let (one, first) = node("faults/socketio.js", &[]).await;
    let (other, second) = node("faults/socketio.js", &[]).await;
    let text = match proxy {
        Proxy::Nginx => format!(
            "  upstream gateways {{\n    server {first};\n    server {second};\n  }}\n{}",
            proxy::nginx_server(&format!(
                "location / {{\n      proxy_pass http://gateways;\n{}    }}",
                proxy::NGINX_UPGRADE
            ))
        ),
        Proxy::Apache => proxy::apache_host(&format!(
            "<Proxy balancer://gateways>\n    BalancerMember http://{first} upgrade=websocket\n    \
             BalancerMember http://{second} upgrade=websocket\n    ProxySet lbmethod=byrequests\n  </Proxy>\n  \
             ProxyPass \"/\" \"balancer://gateways/\""
        )),
        Proxy::Haproxy => proxy::haproxy_backends(
            "  timeout server 60s\n  timeout tunnel 60s\n",
            &format!("  balance roundrobin\n  server one {first}\n  server two {second}\n"),
        ),
    };
    let front = proxy::start(proxy, &text).await;
    Scene::at(format!("ws://{}{UPGRADE}", front.address), Kind::Socketio)
        .direct(format!("ws://{first}{UPGRADE}"))
        .front(front)
        .part(one)
        .part(other)
}

async fn namespace() -> Scene {
    let scene = dialled(UPGRADE, Kind::Socketio).await;
    Scene { namespace: Some("/later".to_owned()), ..scene }
}

async fn origin(allowed: &str) -> Scene {
    let (io, backend) = node("faults/socketio.js", &["--cors", allowed]).await;
    let scene = Scene::at(format!("ws://{backend}{UPGRADE}"), Kind::Socketio).part(io);
    Scene { origin: Some("https://pages.example".to_owned()), ..scene }
}
