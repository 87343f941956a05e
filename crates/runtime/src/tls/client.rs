//! The client's side: whom to trust, by what name to know the server, and who we are if asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, Identity};

use super::{TlsError, install_provider, pem};

/// A `[…tls]` section of a client. Empty, it trusts what the system trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTlsConfig {
    /// Authorities to trust instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// The name the server's certificate must carry, where it differs from the address.
    pub server_name: Option<String>,
    /// Our own certificate chain, PEM, for servers that ask; needs `key`.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// TLS for a client, its files read and checked.
///
/// Read it again for each new connection attempt and it follows renewed files by itself.
pub struct ClientTls {
    config: ClientTlsConfig,
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    roots: Arc<RootCertStore>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads and checks the files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used, when the identity is incomplete or its key is not its certificate's, and
    /// when neither a CA file nor the system names anybody to trust.
    pub fn load(config: &ClientTlsConfig) -> Result<Self, TlsError> {
        let ca = config.ca.as_deref().map(pem::read).transpose()?;
        let roots = match (&config.ca, &ca) {
            (Some(path), Some(ca)) => pem::authorities(path, ca)?,
            _ => native_roots()?,
        };
        let identity = match (&config.cert, &config.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((pem::read(cert)?, pem::read(key)?)),
            _ => return Err(TlsError::HalfIdentity),
        };
        let tls = Self { config: config.clone(), ca, identity, roots: Arc::new(roots) };
        // tonic reports a bad identity only on connecting; a bad file should be found now.
        tls.rustls(&[])?;
        Ok(tls)
    }

    /// As tonic wants it, for [`tonic::transport::Endpoint::tls_config`].
    pub fn tonic(&self, handshake_timeout: Duration) -> tonic::transport::ClientTlsConfig {
        let mut config = tonic::transport::ClientTlsConfig::new().timeout(handshake_timeout);
        config = match &self.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
            None => config.with_native_roots(),
        };
        if let Some(name) = &self.config.server_name {
            config = config.domain_name(name);
        }
        if let Some((cert, key)) = &self.identity {
            config = config.identity(Identity::from_pem(cert, key));
        }
        config
    }

    /// As rustls wants it, for connections of our own; `alpn` lists the protocols offered, none if empty.
    ///
    /// # Errors
    ///
    /// When the identity cannot be used; [`load`](Self::load) has checked that.
    pub fn rustls(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(install_provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match (&self.identity, &self.config.cert, &self.config.key) {
            (Some((cert, key)), Some(cert_path), Some(key_path)) => builder
                .with_client_auth_cert(pem::certificates(cert_path, cert)?, pem::private_key(key_path, key)?)
                .map_err(|source| TlsError::Pair {
                    cert: cert_path.clone(),
                    key: key_path.clone(),
                    source,
                })?,
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// The name the server's certificate must carry, if it was given.
    pub fn server_name(&self) -> Option<&str> {
        self.config.server_name.as_deref()
    }
}

fn native_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Systems carry a few certificates that cannot be parsed; the usable ones are what counts.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(TlsError::NoNativeRoots(why));
    }
    Ok(store)
}
