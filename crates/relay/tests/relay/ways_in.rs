//! Ways in and out: TLS, Unix sockets, the PROXY protocol.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use mooring_relay::{
    Event, ListenAddress, ListenerConfig, ProxyVersion, Upstream, UpstreamAddress, UpstreamTls,
};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use crate::support::*;

fn certificate() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["gateway.example".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("gateway.example").unwrap()
}

#[tokio::test]
async fn tls_on_both_sides() {
    let (server, client) = certificate();
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let gateway = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::clone(&server));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut ws = accept_async(acceptor.accept(tcp).await.unwrap()).await.unwrap();
                while let Some(Ok(message)) = ws.next().await {
                    if message.is_binary() || message.is_text() {
                        ws.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    let mut config = config(gateway);
    config.listeners[0].tls = Some(server);
    config.upstream.tls = Some(UpstreamTls { config: Arc::clone(&client), name: name() });
    let running = start(config);
    let tcp = TcpStream::connect(running.address).await.unwrap();
    let tls = TlsConnector::from(client).connect(name(), tcp).await.unwrap();
    let (mut ws, _) = client_async("wss://gateway.example/", tls).await.unwrap();
    for size in [0, 1, 100, 70_000, 1 << 20] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
        ws.send(Message::binary(bytes.clone())).await.unwrap();
        assert!(soon(ws.next()).await.unwrap().unwrap().into_data() == bytes, "{size}");
    }
    ws.close(None).await.unwrap();
    while let Some(Ok(_)) = soon(ws.next()).await {}
    until("it is over", || running.relay.numbers().connections == 0).await;
    // Who speaks no TLS is let go.
    assert!(!talk(running.address, upgrade_request("").as_bytes()).await.contains("HTTP"));
}

#[tokio::test]
async fn unix_sockets_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("gateway"), folder.path().join("relay"));
    let listener = UnixListener::bind(&inside).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut ws = accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = ws.next().await {
                if message.is_text() {
                    ws.send(message).await.unwrap();
                }
            }
        }
    });
    let mut config = config(any_port());
    config.upstream = Upstream::new(UpstreamAddress::Unix(inside));
    config.listeners[0].address = ListenAddress::Unix { path: outside.clone(), mode: 0o660 };
    let mut running = start(config);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&outside).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    let stream = UnixStream::connect(&outside).await.unwrap();
    let (mut ws, _) = client_async("ws://gateway/", stream).await.unwrap();
    ws.send(Message::text("x")).await.unwrap();
    assert_eq!(soon(ws.next()).await.unwrap().unwrap(), Message::text("x"));
    let opened = running.event(|e| if let Event::Opened(o) = e { Some(o) } else { None }).await;
    assert_eq!(opened.peer, "unix");
    assert_eq!(running.sessions()[0].local, format!("unix:{}", outside.display()));
    drop(ws);
    soon(running.relay.shutdown(&Default::default())).await;
    assert!(!outside.exists());
}

/// A gateway that tells the first bytes of each connection, up to the end of the request's head.
async fn first_bytes() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let address = gateway(move |mut tcp| {
        let tell = tell.clone();
        async move {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") || bytes.len() < 60 {
                bytes.push(tcp.read_u8().await.unwrap());
            }
            tell.send(bytes).unwrap();
            tcp.write_all(switching("").as_bytes()).await.unwrap();
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    (address, told)
}

#[tokio::test]
async fn the_proxy_protocol_in_and_out() {
    let headers: [(&[u8], &str); 3] = [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", "203.0.113.9:4711"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x01\x12\x67\x01\xbb",
            "203.0.113.9:4711",
        ),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    ];
    for (header, peer) in headers {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let (gateway, mut told) = first_bytes().await;
            let mut config = config(gateway);
            config.listeners[0].proxy = true;
            config.upstream.proxy = Some(version);
            let mut running = start(config);
            let mut client = TcpStream::connect(running.address).await.unwrap();
            client.write_all(&[header, upgrade_request("").as_bytes()].concat()).await.unwrap();
            assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
            let opened = running.event(|e| if let Event::Opened(o) = e { Some(o) } else { None }).await;
            assert!(opened.peer.starts_with(peer), "{}", opened.peer);
            let seen = soon(told.recv()).await.unwrap();
            if header == b"PROXY UNKNOWN\r\n" {
                continue;
            }
            let shown = String::from_utf8_lossy(&seen);
            assert!(shown.contains("X-Forwarded-For: 203.0.113.9\r\n"), "{shown}");
            match version {
                ProxyVersion::V1 => {
                    assert!(
                        shown.starts_with("PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\nGET "),
                        "{shown}"
                    );
                }
                ProxyVersion::V2 => assert!(seen.starts_with(headers[1].0), "{seen:x?}"),
            }
        }
    }
}

#[tokio::test]
async fn without_its_proxy_header_a_connection_is_closed() {
    let (gateway, mut told) = first_bytes().await;
    let mut config = config(gateway);
    config.listeners[0].proxy = true;
    let running = start(config);
    assert_eq!(talk(running.address, upgrade_request("").as_bytes()).await, "");
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn several_listeners_and_ports_that_are_taken() {
    let mut config = config(echo().await);
    config.listeners.push(ListenerConfig::new("six", ListenAddress::Tcp("[::1]:0".parse().unwrap())));
    let running = start(config.clone());
    let addresses: Vec<_> = running.relay.listeners().iter().map(|l| l.local_addr().unwrap()).collect();
    for address in &addresses {
        let mut client = connect(*address).await;
        client.send(Message::text("x")).await.unwrap();
        assert_eq!(text(&mut client).await, "x");
    }
    config.listeners[0].address = ListenAddress::Tcp(addresses[0]);
    let error =
        mooring_relay::Relay::start(config, vec![], Arc::new(mooring_relay::NoSink)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&addresses[0].to_string()), "{error}");
    assert!(error.to_string().contains("reuse_port"), "{error}");
}

#[tokio::test]
async fn a_source_is_counted_before_its_tls_handshake() {
    let (server, client) = certificate();
    let mut config = config(echo().await);
    config.listeners[0].tls = Some(server);
    config.limits.per_source = Some(1);
    let mut running = start(config);
    let silent = TcpStream::connect(running.address).await.unwrap();
    until("it is in", || running.relay.numbers().connections == 1).await;
    assert_eq!(talk(running.address, b"").await, "");
    let refused = running.event(|e| if let Event::Refused(r) = e { Some(r) } else { None }).await;
    assert_eq!((refused.by, refused.status), (mooring_relay::RefusedBy::Limit, None));
    drop(silent);
    until("its place is free", || running.relay.numbers().connections == 0).await;
    let tcp = TcpStream::connect(running.address).await.unwrap();
    let tls = TlsConnector::from(client).connect(name(), tcp).await.unwrap();
    let _session = client_async("wss://gateway.example/", tls).await.unwrap();
}
