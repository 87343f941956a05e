//! TLS that fails, and schemes that do not belong to their port: H32, H33.

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;

use super::certificates::{Files, Wrong, make};
use super::program::{node, python};
use super::proxy::{self, Proxy};
use super::{Fault, Scene, row};

pub(super) const FAULTS: &[Fault] = &[
    row("H32-expired", "the certificate has expired", Cause::CertificateExpired, || {
        Box::pin(nginx(Wrong::Expired))
    }),
    row("H32-not-yet", "the certificate is not valid yet", Cause::CertificateNotYetValid, || {
        Box::pin(nginx(Wrong::NotYet))
    }),
    row("H32-name", "the certificate is for another name", Cause::CertificateNameMismatch, || {
        Box::pin(nginx(Wrong::Name))
    }),
    row("H32-self-signed", "the certificate signs itself", Cause::CertificateNotTrusted, || {
        Box::pin(nginx(Wrong::SelfSigned))
    }),
    row("H32-version", "nginx speaks TLS 1.1 only", Cause::TlsVersionRefused, || Box::pin(old_tls()))
        .also(&[Cause::TlsFailed]),
    row("H33-plain-nginx", "ws:// to nginx's TLS port", Cause::SchemeSwapped, || {
        Box::pin(plain(Proxy::Nginx))
    }),
    row("H33-plain-apache", "ws:// to Apache's TLS port", Cause::SchemeSwapped, || {
        Box::pin(plain(Proxy::Apache))
    }),
    row("H33-plain-haproxy", "ws:// to HAProxy's TLS port", Cause::SchemeSwapped, || {
        Box::pin(plain(Proxy::Haproxy))
    })
    .also(&[Cause::ClosedBeforeAnswer]),
    row("H33-tls-nginx", "wss:// to nginx's plain port", Cause::SchemeSwapped, || Box::pin(swapped_nginx()))
        .also(&[Cause::TlsFailed]),
    row("H33-tls-ws", "wss:// to the plain port of `ws`", Cause::SchemeSwapped, || Box::pin(swapped_ws()))
        .also(&[Cause::TlsFailed]),
    row("H33-tls-uvicorn", "wss:// to uvicorn's plain port", Cause::SchemeSwapped, || {
        Box::pin(swapped_uvicorn())
    })
    .also(&[Cause::TlsFailed]),
];

/// What makes a server of each proxy speak TLS, before a backend.
fn text(proxy: Proxy, backend: &str, files: &Files, more: &str) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    match proxy {
        Proxy::Nginx => format!(
            "  server {{\n    listen LISTEN ssl;\n    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n{more}    \
             location / {{\n      proxy_pass http://{backend};\n{}    }}\n  }}\n",
            proxy::NGINX_UPGRADE
        ),
        Proxy::Apache => proxy::apache_host(&format!(
            "SSLEngine on\n  SSLCertificateFile {certificate}\n  SSLCertificateKeyFile {key}\n{more}  \
             ProxyPass \"/\" \"http://{backend}/\" upgrade=websocket"
        )),
        Proxy::Haproxy => proxy::haproxy_backends(
            "  timeout server 60s\n  timeout tunnel 60s\n",
            &format!("  server gateway {backend}\n"),
        )
        .replace("bind LISTEN", &format!("bind LISTEN ssl crt {}{more}", files.both.display())),
    }
}

/// Before `ws`, with TLS; the addresses begin with this scheme.
async fn serve(proxy: Proxy, scheme: &str, wrong: Wrong, more: &str) -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let files = make(wrong);
    let front = proxy::start(proxy, &text(proxy, &backend, &files, more)).await;
    let scene = Scene::at(format!("{scheme}://{}/", front.address), Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
        .part(files.part);
    Scene { trust: Some(files.trust), ..scene }
}

/// A good one: TLS in nginx.
pub(super) async fn good() -> Scene {
    serve(Proxy::Nginx, "wss", Wrong::Nothing, "").await
}

async fn nginx(wrong: Wrong) -> Scene {
    serve(Proxy::Nginx, "wss", wrong, "").await
}

async fn old_tls() -> Scene {
    // Today's OpenSSL signs for TLS 1.1 at its lowest level of security only.
    let more = "    ssl_protocols TLSv1.1;\n    ssl_ciphers DEFAULT@SECLEVEL=0;\n";
    serve(Proxy::Nginx, "wss", Wrong::Nothing, more).await
}

async fn plain(proxy: Proxy) -> Scene {
    serve(proxy, "ws", Wrong::Nothing, "").await
}

fn swapped(backend: &str, path: &str, kind: Kind) -> Scene {
    let files = make(Wrong::Nothing);
    let scene = Scene::at(format!("wss://{backend}{path}"), kind).part(files.part);
    Scene { trust: Some(files.trust), ..scene }
}

async fn swapped_nginx() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    let front = proxy::front(Proxy::Nginx, &backend, proxy::Settings::default()).await;
    swapped(&front.address.clone(), "/", Kind::Websocket)
        .direct(format!("ws://{backend}/"))
        .front(front)
        .part(ws)
}

async fn swapped_ws() -> Scene {
    let (ws, backend) = node("faults/ws.js", &[]).await;
    swapped(&backend, "/", Kind::Websocket).part(ws)
}

async fn swapped_uvicorn() -> Scene {
    let (app, backend) = python("faults/fastapi_app.py", &[]).await;
    swapped(&backend, super::fastapi::CHAT, Kind::Bisheng).part(app)
}
