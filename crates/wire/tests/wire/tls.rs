//! TLS: a good certificate, each bad one by its own words, and the two swapped schemes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::handshake::{Refusal, Step};
use mooring_wire::Target;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::{answer_and_end, dial, names, read_head, read_to_fin, serve, soon, switch, target};

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

impl Ca {
    fn new() -> Self {
        Self::named("Mooring test CA")
    }

    fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    fn issue(&self, name: &str, from: i32, to: i32) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn trusted(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions();
        Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth())
    }
}

/// Serves one TLS connection properly; the handshake's failure is the client's to tell.
async fn serve_tls(
    certificate: (CertificateDer<'static>, PrivateKeyDer<'static>),
) -> (SocketAddr, JoinHandle<()>) {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions();
    let config =
        builder.unwrap().with_no_client_auth().with_single_cert(vec![certificate.0], certificate.1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match TlsAcceptor::from(Arc::new(config)).accept(stream).into_fallible().await {
            Ok(mut stream) => {
                let request = read_head(&mut stream).await;
                switch(&mut stream, &request).await;
                // Dropped by the test without farewell.
                let _ = stream.read(&mut [0; 64]).await;
            }
            Err((_, mut stream)) => read_to_fin(&mut stream).await.expect("no reset"),
        }
    });
    (address, task)
}

fn wss(address: SocketAddr, ca: &Ca) -> Target {
    let url = format!("wss://gateway.example:{}/ws", address.port());
    Target::new(&url).and_then(|t| t.connect_to("127.0.0.1")).unwrap().tls(ca.trusted())
}

async fn refused(target: &Target) -> Refusal {
    let report = dial(target).await.report;
    assert_eq!(names(&report), ["resolve", "connect", "tls"]);
    report.outcome.unwrap_err()
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let ca = Ca::new();
    let (address, server) = serve_tls(ca.issue("gateway.example", 2020, 2090)).await;
    let dialled = dial(&wss(address, &ca)).await;
    assert!(dialled.report.outcome.is_ok(), "{:?}", dialled.report);
    assert_eq!(
        names(&dialled.report),
        ["resolve", "connect", "tls", "request", "status", "upgrade", "connection", "accept"]
    );
    assert!(dialled.report.steps[2].detail.starts_with("TLSv1_3, "), "{}", dialled.report.steps[2].detail);
    drop(dialled);
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn each_bad_certificate_is_told_from_the_others() {
    let ca = Ca::new();
    let stranger = Ca::named("another CA");
    let renewed = Ca::new();
    for (certificate, needle, cause) in [
        (ca.issue("gateway.example", 2000, 2001), "days ago; renew it", Cause::CertificateExpired),
        (ca.issue("gateway.example", 2089, 2090), "is a clock wrong?", Cause::CertificateNotYetValid),
        (ca.issue("other.example", 2020, 2090), "other.example", Cause::CertificateNameMismatch),
        (stranger.issue("gateway.example", 2020, 2090), "not trusted", Cause::CertificateNotTrusted),
        (renewed.issue("gateway.example", 2020, 2090), "another key", Cause::CertificateNotTrusted),
    ] {
        let (address, server) = serve_tls(certificate).await;
        let refusal = refused(&wss(address, &ca)).await;
        assert_eq!((refusal.cause, refusal.step), (cause, Step::Tls), "{refusal:?}");
        assert!(refusal.message.contains(needle), "{needle}: {}", refusal.message);
        soon("server", server).await.unwrap();
    }
    let (address, server) = serve_tls(ca.issue("other.example", 2020, 2090)).await;
    let renamed = wss(address, &ca).server_name("other.example").unwrap();
    assert!(dial(&renamed).await.report.outcome.is_ok());
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn a_self_signed_certificate_is_not_trusted() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    let (address, server) = serve_tls((der, PrivateKeyDer::try_from(key.serialize_der()).unwrap())).await;
    let refusal = refused(&wss(address, &Ca::new())).await;
    assert_eq!(refusal.cause, Cause::CertificateNotTrusted, "{refusal:?}");
    assert!(refusal.message.contains("self-signed"), "{}", refusal.message);
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn swapped_schemes() {
    let ca = Ca::new();
    // wss:// to a plain port, which answers the ClientHello as Node does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_and_end(stream, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await
    });
    let refusal = refused(&wss(address, &ca)).await;
    assert_eq!((refusal.cause, refusal.step), (Cause::SchemeSwapped, Step::Tls));
    assert!(refusal.message.contains("swapped"), "{}", refusal.message);
    soon("server", server).await.unwrap().expect("no reset");

    // ws:// to a TLS port, which answers the GET with an alert.
    let (address, server) = serve_tls(ca.issue("gateway.example", 2020, 2090)).await;
    let report = dial(&target(address)).await.report;
    let refusal = report.outcome.unwrap_err();
    assert_eq!((refusal.cause, refusal.step), (Cause::SchemeSwapped, Step::Status));
    assert!(refusal.message.contains("wss://"), "{}", refusal.message);
    soon("server", server).await.unwrap();
}

#[tokio::test]
async fn a_peer_mute_in_tls_is_cut_off_gently() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_to_fin(&mut stream).await
    });
    let mut mute = wss(address, &Ca::new());
    mute.timeouts.tls = Duration::from_millis(200);
    let refusal = refused(&mute).await;
    assert_eq!((refusal.cause, refusal.step), (Cause::HandshakeTimedOut, Step::Tls), "{refusal:?}");
    soon("server", server).await.unwrap().expect("no reset");
}

#[tokio::test]
async fn wss_without_a_configuration_is_said_and_not_tried() {
    let (address, server) = serve(|_, _| async {}).await;
    let report = dial(&Target::new(&format!("wss://{address}/")).unwrap()).await.report;
    assert_eq!(report.outcome.unwrap_err().cause, Cause::TlsFailed);
    let mut config = ClientConfig::clone(&Ca::new().trusted());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let target = Target::new(&format!("wss://{address}/")).unwrap().tls(Arc::new(config));
    let refusal = dial(&target).await.report.outcome.unwrap_err();
    assert!(refusal.cause == Cause::TlsFailed && refusal.message.contains("ALPN"), "{refusal:?}");
    server.abort();
}
