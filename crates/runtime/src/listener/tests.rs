//! The listener under a real gRPC server, and under clients that misbehave.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::config::HumanDuration;
use crate::tls::tests::Authority;
use crate::tls::{ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig};

fn local() -> ListenAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn tcp_addr(listener: &Listener) -> std::net::SocketAddr {
    match listener.local_addr().unwrap() {
        ListenAddr::Tcp(address) => address,
        ListenAddr::Unix(path) => panic!("expected TCP, not {}", path.display()),
    }
}

#[test]
fn addresses_are_read_and_written_alike() {
    for text in ["127.0.0.1:7600", "[::1]:7600", "0.0.0.0:0", "unix:/run/mooring.sock"] {
        assert_eq!(text.parse::<ListenAddr>().unwrap().to_string(), text);
    }
    for text in ["", "7600", "localhost:7600", "127.0.0.1", "unix:"] {
        assert!(text.parse::<ListenAddr>().is_err(), "{text:?}");
    }
}

#[test]
fn limits_that_admit_nobody_or_contradict_each_other_are_refused() {
    assert!(Limits::default().problems("api.limits").is_empty());
    let limits = Limits {
        max_connections: 10,
        max_connections_per_source: 11,
        max_handshakes: 0,
        handshake_timeout: HumanDuration::default(),
    };
    let keys: Vec<String> = limits.problems("api.limits").into_iter().map(|problem| problem.key).collect();
    assert_eq!(
        keys,
        ["max_handshakes", "max_connections_per_source", "handshake_timeout"]
            .map(|key| format!("api.limits.{key}"))
    );
}

#[test]
fn only_local_or_protected_or_explicitly_insecure_addresses_are_opened() {
    let check =
        |address: &str, tls, token, insecure| check_exposure(&address.parse().unwrap(), tls, token, insecure);
    for local in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/x"] {
        assert_eq!(check(local, false, false, false), Ok(Exposure::Local), "{local}");
    }
    for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
        assert_eq!(check(open, true, true, false), Ok(Exposure::Protected), "{open}");
        let missing = |tls, token| check(open, tls, token, false).unwrap_err().missing;
        assert_eq!(missing(false, false), ["TLS", "a token"]);
        assert_eq!(missing(true, false), ["a token"]);
        assert_eq!(missing(false, true), ["TLS"]);
        assert_eq!(check(open, false, true, true), Ok(Exposure::Insecure(vec!["TLS"])));
        assert_eq!(check(open, true, true, true), Ok(Exposure::Protected));
    }
    let error = check("0.0.0.0:7600", false, false, false).unwrap_err().to_string();
    assert!(
        error.starts_with("0.0.0.0:7600 can be reached from other machines, which needs TLS and a token: ")
    );
}

#[tokio::test]
async fn connections_over_a_limit_are_closed_and_their_place_is_given_back() {
    let limits = Limits { max_connections_per_source: 2, ..Limits::default() };
    let listener = Listener::bind(&local(), limits, None).unwrap();
    let address = tcp_addr(&listener);
    let mut incoming = listener.incoming(CancellationToken::new());
    let mut clients = Vec::new();
    let mut served = Vec::new();
    for _ in 0..2 {
        clients.push(TcpStream::connect(address).await.unwrap());
        served.push(incoming.next().await.unwrap().unwrap());
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    // Closed without a byte: an end of file, or a reset if the system is in the mood.
    assert!(!matches!(refused.read(&mut [0]).await, Ok(1..)));
    drop(served.pop());
    let client = TcpStream::connect(address).await.unwrap();
    let connection = incoming.next().await.unwrap().unwrap();
    assert_eq!(connection.info().peer, Peer::Tcp(client.local_addr().unwrap()));
    assert!(!connection.info().tls);
}

#[tokio::test]
async fn unfinished_handshakes_hold_up_nobody_and_are_cut_off() {
    let ours = Authority::new();
    ours.issue("server", "localhost");
    let tls = ServerTls::load(&ours.server("server")).unwrap();
    let limits =
        Limits { max_handshakes: 4, handshake_timeout: HumanDuration::from_millis(200), ..Limits::default() };
    let listener = Listener::bind(&local(), limits, Some(tls)).unwrap();
    let address = tcp_addr(&listener);
    let mut incoming = listener.incoming(CancellationToken::new());
    // Both places that one source may have, held by clients that say nothing.
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for stream in &mut silent {
        assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)), "cut off by the time limit");
    }
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "no plain answers on a TLS port");

    let client = ClientTls::load(&ours.client()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(client.rustls(&[crate::tls::ALPN_H2]).unwrap());
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    };
    let (_client, served) = tokio::join!(connect, incoming.next());
    assert!(served.unwrap().unwrap().info().tls);
}

#[tokio::test]
async fn stopping_lets_the_address_go_and_ends_the_stream() {
    let stop = CancellationToken::new();
    let listener = Listener::bind(&local(), Limits::default(), None).unwrap();
    let address = tcp_addr(&listener);
    let again = Listener::bind(&address.into(), Limits::default(), None).unwrap_err().to_string();
    assert!(again.contains("another process listens there"), "{again}");
    let mut incoming = listener.incoming(stop.clone());
    stop.cancel();
    assert!(incoming.next().await.is_none());
    Listener::bind(&address.into(), Limits::default(), None).unwrap();
}

#[tokio::test]
async fn unix_sockets_are_private_replace_dead_ones_and_leave_nothing_behind() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("api.sock");
    let address = ListenAddr::Unix(path.clone());
    // What a killed process leaves: a socket that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(&address, Limits::default(), None).unwrap();
    assert_eq!(listener.local_addr().unwrap(), address);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        Listener::bind(&address, Limits::default(), None)
            .unwrap_err()
            .to_string()
            .contains("another process")
    );
    let stop = CancellationToken::new();
    let mut incoming = listener.incoming(stop.clone());
    let _client = UnixStream::connect(&path).await.unwrap();
    let connection = incoming.next().await.unwrap().unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    assert!(matches!(connection.info().peer, Peer::Unix { uid: Some(_), pid: Some(found) } if found == pid));
    stop.cancel();
    // The second listener's look at who is there was a connection too; it may still be queued.
    while incoming.next().await.is_some() {}
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(Listener::bind(&address, Limits::default(), None).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_grpc_call_goes_through_with_mutual_tls_and_the_server_knows_the_client() {
    let ours = Authority::new();
    ours.issue("server", "localhost");
    ours.issue("agent", "agent-1");
    let files = ServerTlsConfig {
        client_ca: Some(ours.path("ca.pem")),
        require_client_cert: true,
        ..ours.server("server")
    };
    let stop = CancellationToken::new();
    let listener =
        Listener::bind(&local(), Limits::default(), Some(ServerTls::load(&files).unwrap())).unwrap();
    let address = tcp_addr(&listener);
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let note = move |request: tonic::Request<()>| {
        let _ = sender.send(request.extensions().get::<PeerInfo>().cloned());
        Ok(request)
    };
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder()
        .layer(tonic::service::InterceptorLayer::new(note))
        .add_service(health)
        .serve_with_incoming_shutdown(listener.incoming(stop.clone()), stop.clone().cancelled_owned());
    let server = tokio::spawn(server);

    let client = ClientTlsConfig {
        server_name: Some("localhost".into()),
        cert: Some(ours.path("agent.pem")),
        key: Some(ours.path("agent.key")),
        ..ours.client()
    };
    let client = ClientTls::load(&client).unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(client.tonic(Duration::from_secs(5)))
        .unwrap();
    let mut calls = HealthClient::new(endpoint.connect().await.unwrap());
    let answer = calls.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
    let info = seen.recv().await.unwrap().unwrap();
    assert!(info.tls && matches!(info.peer, Peer::Tcp(peer) if peer.ip().is_loopback()));
    assert_eq!(info.certificates.unwrap().len(), 1);
    stop.cancel();
    drop(calls);
    server.await.unwrap().unwrap();
}
