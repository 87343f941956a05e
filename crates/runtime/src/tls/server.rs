//! The server's side: certificate and key from files, client certificates if an authority for them is named.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use super::{ALPN_H2, TlsError, install_provider, pem};
use crate::reload::{Fingerprint, Reload, ReloadError, Reloaded};

/// A `[…tls]` section of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsConfig {
    /// The certificate chain, PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted, PEM. Without it clients are not asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is turned away; needs `client_ca`.
    #[serde(default)]
    pub require_client_cert: bool,
}

/// TLS for a server, replaceable while in use.
pub struct ServerTls {
    files: ServerTlsConfig,
    current: ArcSwap<ServerConfig>,
    /// Of the last attempt, whether it was put in force or not.
    last_seen: Mutex<Fingerprint>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The files' contents, unparsed: certificate, key, client authorities.
struct Contents([Option<Result<Vec<u8>, TlsError>>; 3]);

impl Contents {
    fn read(files: &ServerTlsConfig) -> Self {
        Self([
            Some(pem::read(&files.cert)),
            Some(pem::read(&files.key)),
            files.client_ca.as_deref().map(pem::read),
        ])
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.iter().map(|content| match content {
            Some(Ok(bytes)) => Some(bytes.as_slice()),
            _ => None,
        }))
    }

    fn build(self, files: &ServerTlsConfig) -> Result<ServerConfig, TlsError> {
        let [cert, key, ca] = self.0.map(Option::transpose);
        let (cert, key, ca) = (cert?.unwrap_or_default(), key?.unwrap_or_default(), ca?);
        let builder = ServerConfig::builder_with_provider(install_provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?;
        let builder = match (&files.client_ca, ca) {
            (Some(path), Some(ca)) => {
                let roots = Arc::new(pem::authorities(path, &ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, install_provider());
                let verifier =
                    if files.require_client_cert { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| {
                    TlsError::Authorities { path: path.clone(), reason: error.to_string() }
                })?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(pem::certificates(&files.cert, &cert)?, pem::private_key(&files.key, &key)?)
            .map_err(|source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source })?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(config)
    }
}

impl ServerTls {
    /// Loads certificate and key for a gRPC server (ALPN `h2`).
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used, or the key is not the certificate's.
    pub fn load(files: &ServerTlsConfig) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(files);
        let fingerprint = contents.fingerprint();
        let config = contents.build(files)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            current: ArcSwap::from_pointee(config),
            last_seen: Mutex::new(fingerprint),
        }))
    }

    /// Settings for a server of another protocol, which follow the certificate when it is renewed: connections begun
    /// later get the new one. Who may come in (`client_ca`) stays as it is now.
    #[must_use]
    pub fn following(self: &Arc<Self>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.current.load());
        config.cert_resolver = Arc::new(Follow(Arc::clone(self)));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// An acceptor with what is in force now. Take one for each connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

/// The certificate that is in force when it is asked for.
struct Follow(Arc<ServerTls>);

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Follow").field(&self.0).finish()
    }
}

impl ResolvesServerCert for Follow {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.current.load().cert_resolver.resolve(hello)
    }
}

impl Reload for ServerTls {
    fn what(&self) -> String {
        format!("TLS certificate {}", self.files.cert.display())
    }

    fn reload(&self) -> Result<Reloaded, ReloadError> {
        let contents = Contents::read(&self.files);
        let fingerprint = contents.fingerprint();
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *last_seen == fingerprint {
            return Ok(Reloaded::Unchanged);
        }
        *last_seen = fingerprint;
        let config = contents.build(&self.files).map_err(|error| ReloadError::chain(&error))?;
        self.current.store(Arc::new(config));
        Ok(Reloaded::Replaced)
    }
}
