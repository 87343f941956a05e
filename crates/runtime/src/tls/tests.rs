//! Real handshakes over loopback with certificates made here.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::reload::{Reload as _, Reloaded};

/// An authority and the files it issued, in a folder of their own.
pub(crate) struct Authority {
    pub(crate) folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `name.pem` and `name.key` for a host.
    pub(crate) fn issue(&self, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), cert.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub(crate) fn server(&self, name: &str) -> ServerTlsConfig {
        ServerTlsConfig {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            client_ca: None,
            require_client_cert: false,
        }
    }

    pub(crate) fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig { ca: Some(self.path("ca.pem")), ..ClientTlsConfig::default() }
    }
}

struct Seen {
    server_cert: Vec<u8>,
    alpn: Option<Vec<u8>>,
    client_cert: Option<Vec<u8>>,
}

/// One handshake; the first byte is exchanged too, since TLS 1.3 clients learn of a refusal only then.
async fn handshake(server: &ServerTls, client: &ClientTls) -> std::io::Result<Seen> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let connector = TlsConnector::from(client.rustls(&[ALPN_H2]).unwrap());
    let name = ServerName::try_from(client.server_name().unwrap_or("localhost").to_owned()).unwrap();
    let accept = async {
        let (tcp, _) = listener.accept().await?;
        let mut tls = server.acceptor().accept(tcp).await?;
        tls.write_all(b"x").await?;
        tls.flush().await?;
        let client_cert = tls.get_ref().1.peer_certificates().map(|certs| certs[0].to_vec());
        Ok::<_, std::io::Error>((client_cert, tls))
    };
    let connect = async {
        let mut tls = connector.connect(name, TcpStream::connect(address).await?).await?;
        tls.read_u8().await?;
        let state = tls.get_ref().1;
        let server_cert = state.peer_certificates().unwrap()[0].to_vec();
        Ok::<_, std::io::Error>((server_cert, state.alpn_protocol().map(<[u8]>::to_vec)))
    };
    let ((client_cert, _open), (server_cert, alpn)) = tokio::try_join!(accept, connect)?;
    Ok(Seen { server_cert, alpn, client_cert })
}

fn der(path: &Path) -> Vec<u8> {
    pem::certificates(path, &std::fs::read(path).unwrap()).unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects_and_others_do_not() {
    let ours = Authority::new();
    ours.issue("server", "localhost");
    let server = ServerTls::load(&ours.server("server")).unwrap();
    let seen = handshake(&server, &ClientTls::load(&ours.client()).unwrap()).await.unwrap();
    assert_eq!(seen.server_cert, der(&ours.path("server.pem")));
    assert_eq!((seen.alpn.as_deref(), seen.client_cert), (Some(ALPN_H2), None));
    let stranger = ClientTls::load(&Authority::new().client()).unwrap();
    assert!(handshake(&server, &stranger).await.is_err());
    let misnamed = ClientTlsConfig { server_name: Some("elsewhere.example".into()), ..ours.client() };
    assert!(handshake(&server, &ClientTls::load(&misnamed).unwrap()).await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_takes_over_and_a_bad_one_does_not() {
    let ours = Authority::new();
    ours.issue("server", "localhost");
    let server = ServerTls::load(&ours.server("server")).unwrap();
    let client = ClientTls::load(&ours.client()).unwrap();
    let first = der(&ours.path("server.pem"));
    assert_eq!(server.reload().unwrap(), Reloaded::Unchanged);

    // A new certificate with the old key: what a careless renewal leaves behind.
    let old_key = std::fs::read(ours.path("server.key")).unwrap();
    ours.issue("server", "localhost");
    let new_key = std::fs::read(ours.path("server.key")).unwrap();
    std::fs::write(ours.path("server.key"), old_key).unwrap();
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains("server.pem") && error.contains("server.key"), "{error}");
    assert_eq!(server.reload().unwrap(), Reloaded::Unchanged, "complains once");
    assert_eq!(handshake(&server, &client).await.unwrap().server_cert, first);

    std::fs::write(ours.path("server.key"), new_key).unwrap();
    assert_eq!(server.reload().unwrap(), Reloaded::Replaced);
    assert_eq!(handshake(&server, &client).await.unwrap().server_cert, der(&ours.path("server.pem")));

    std::fs::remove_file(ours.path("server.pem")).unwrap();
    assert!(server.reload().unwrap_err().to_string().contains("cannot read"));
    assert!(handshake(&server, &client).await.is_ok());
}

#[tokio::test]
async fn client_certificates_are_verified_and_can_be_required() {
    let ours = Authority::new();
    let theirs = Authority::new();
    ours.issue("server", "localhost");
    ours.issue("agent", "agent-1");
    theirs.issue("agent", "agent-1");
    let identity = |authority: &Authority| ClientTlsConfig {
        cert: Some(authority.path("agent.pem")),
        key: Some(authority.path("agent.key")),
        ..ours.client()
    };
    let anonymous = ClientTls::load(&ours.client()).unwrap();
    let known = ClientTls::load(&identity(&ours)).unwrap();
    let forged = ClientTls::load(&identity(&theirs)).unwrap();
    for required in [false, true] {
        let files = ServerTlsConfig {
            client_ca: Some(ours.path("ca.pem")),
            require_client_cert: required,
            ..ours.server("server")
        };
        let server = ServerTls::load(&files).unwrap();
        let seen = handshake(&server, &known).await.unwrap();
        assert_eq!(seen.client_cert, Some(der(&ours.path("agent.pem"))));
        assert_eq!(handshake(&server, &anonymous).await.is_ok(), !required);
        assert!(handshake(&server, &forged).await.is_err());
    }
}

#[test]
fn unusable_files_are_named() {
    let ours = Authority::new();
    ours.issue("server", "localhost");
    let server = |change: &dyn Fn(&mut ServerTlsConfig)| {
        let mut files = ours.server("server");
        change(&mut files);
        ServerTls::load(&files).unwrap_err().to_string()
    };
    assert!(server(&|files| files.cert = ours.path("none.pem")).starts_with("cannot read"));
    assert!(
        server(&|files| files.cert = ours.path("server.key")).ends_with("holds no certificate in PEM form")
    );
    assert!(
        server(&|files| files.key = ours.path("server.pem")).ends_with("holds no private key in PEM form")
    );
    let half = ClientTlsConfig { cert: Some(ours.path("server.pem")), ..ours.client() };
    assert!(matches!(ClientTls::load(&half), Err(TlsError::HalfIdentity)));
}

#[test]
fn installing_the_provider_twice_is_fine() {
    assert!(Arc::ptr_eq(&install_provider(), &install_provider()));
    assert!(CryptoProvider::get_default().is_some());
}
