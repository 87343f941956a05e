//! Handshakes with Python's servers: H5, H6, H20 (FastAPI's part of it), H31, H34.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;

use super::program::python;
use super::proxy::{self, Proxy, Settings, front};
use super::{Fault, Scene, row};

/// A socket of Bisheng.
pub(super) const CHAT: &str = "/api/v1/workflow/chat/1?chat_id=1";

pub(super) const FAULTS: &[Fault] = &[
    row("H5-nginx", "nginx strips the upgrade before FastAPI", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Nginx))
    }),
    row("H5-apache", "Apache strips the upgrade before FastAPI", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Apache))
    }),
    row("H5-haproxy", "HAProxy strips the upgrade before FastAPI", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped(Proxy::Haproxy))
    }),
    row("H5-outer", "Apache strips the upgrade before a good nginx", Cause::ProxyStrippedUpgrade, || {
        Box::pin(chain(Settings::stripped(), Settings::default()))
    }),
    row("H5-inner", "nginx strips the upgrade behind a good Apache", Cause::ProxyStrippedUpgrade, || {
        Box::pin(chain(Settings::default(), Settings::stripped()))
    }),
    row("H5-hypercorn", "nginx strips the upgrade before Hypercorn", Cause::ProxyStrippedUpgrade, || {
        Box::pin(stripped_hypercorn())
    }),
    row("H6", "nginx speaks HTTP/1.0 to Python's websockets", Cause::UpstreamHttp10, || Box::pin(http10(""))),
    row(
        "H6-headers",
        "nginx passes the headers on, but in HTTP/1.0, to Python's websockets",
        Cause::UpstreamHttp10,
        || {
            Box::pin(http10(
                "proxy_set_header Upgrade $http_upgrade;\n      proxy_set_header Connection \"upgrade\";",
            ))
        },
    ),
    row("H20-policy", "FastAPI closes before it accepts", Cause::CredentialsRefused, || {
        Box::pin(dialled("/denied"))
    })
    .also(&[Cause::WrongPath]),
    row("H20-path", "FastAPI has no such socket", Cause::WrongPath, || Box::pin(dialled("/elsewhere")))
        .also(&[Cause::CredentialsRefused]),
    row("H31-401", "a dependency of FastAPI says 401", Cause::CredentialsRefused, || {
        Box::pin(dialled("/unauthorised"))
    })
    .also(&[Cause::TokenMissing]),
    row("H31-403", "a dependency of FastAPI says 403", Cause::CredentialsRefused, || {
        Box::pin(dialled("/forbidden"))
    }),
    row("H31-500", "the handler of FastAPI fails before it accepts", Cause::HandlerFailed, || {
        Box::pin(dialled("/broken"))
    })
    .also(&[Cause::ServerError]),
    row("H34-fastapi", "a subprotocol is demanded, FastAPI selects none", Cause::SubprotocolRefused, || {
        Box::pin(no_subprotocol())
    }),
    row(
        "H34-websockets",
        "a subprotocol is demanded that Python's websockets does not have",
        Cause::SubprotocolRefused,
        || Box::pin(other_subprotocol()),
    )
    .also(&[Cause::HandshakeRefused]),
];

async fn stripped(proxy: Proxy) -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    before(proxy, &backend).await.part(app)
}

async fn stripped_hypercorn() -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &["--server", "hypercorn"]).await;
    before(Proxy::Nginx, &backend).await.part(app)
}

async fn before(proxy: Proxy, backend: &str) -> Scene {
    let front = front(proxy, backend, Settings::stripped()).await;
    Scene::at(format!("ws://{}{CHAT}", front.address), Kind::Bisheng)
        .direct(format!("ws://{backend}{CHAT}"))
        .front(front)
}

/// The user's own Apache before the nginx that Bisheng brings.
pub(super) async fn chain(outer: Settings, inner: Settings) -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    let nginx = front(Proxy::Nginx, &backend, inner).await;
    let apache = front(Proxy::Apache, &nginx.address, outer).await;
    Scene::at(format!("ws://{}{CHAT}", apache.address), Kind::Bisheng)
        .via(format!("ws://{}{CHAT}", nginx.address))
        .direct(format!("ws://{backend}{CHAT}"))
        .front(apache)
        .front(nginx)
        .part(app)
}

async fn http10(lines: &str) -> Scene {
    let (server, backend) = python("faults/websockets_server.py", &[]).await;
    let location = format!("location / {{\n      proxy_pass http://{backend};\n      {lines}\n    }}");
    let front = proxy::start(Proxy::Nginx, &proxy::nginx_server(&location)).await;
    Scene::at(format!("ws://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(server)
}

async fn dialled(path: &str) -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    Scene::at(format!("ws://{backend}{path}"), Kind::Bisheng).part(app)
}

async fn no_subprotocol() -> Scene {
    let scene = dialled(CHAT).await;
    Scene { subprotocol: Some("chat.v1".to_owned()), ..scene }
}

async fn other_subprotocol() -> Scene {
    let (server, backend) = python("faults/websockets_server.py", &["--subprotocol", "chat.v9"]).await;
    let scene = Scene::at(format!("ws://{backend}/"), Kind::Websocket).part(server);
    Scene { subprotocol: Some("chat.v1".to_owned()), ..scene }
}
