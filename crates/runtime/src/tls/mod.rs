//! TLS with one provider (aws-lc-rs): what a server shows, whom a client trusts, and replacing either while in use.
//!
//! Certificates are renewed while processes run for months, so a server takes the configuration in force at each accept
//! rather than one fixed at the start. A replacement is checked as a whole (files readable, key belongs to the
//! certificate, client authorities parse) before it takes over.

mod client;
mod pem;
mod server;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

pub use client::{ClientTls, ClientTlsConfig};
pub use server::{ServerTls, ServerTlsConfig};

/// The ALPN protocol of HTTP/2, which is what gRPC speaks.
pub const ALPN_H2: &[u8] = b"h2";

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A file holds no PEM of the kind wanted.
    #[error("{path} holds no {wanted} in PEM form")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// A file holds broken PEM.
    #[error("{path} is not valid PEM: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate and key in these files cannot be used together.
    #[error("certificate {cert} and key {key} cannot be used together")]
    Pair {
        /// The certificate chain.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authorities in this file cannot be used.
    #[error("the authorities in {path} cannot be used: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has no usable certificates.
    #[error("this system has no trusted certificates ({0}); name a CA file")]
    NoNativeRoots(String),
    /// A client certificate without its key, or the other way round.
    #[error("a client identity needs both `cert` and `key`")]
    HalfIdentity,
    /// The protocol library refused the settings.
    #[error("TLS settings refused")]
    Settings(#[source] rustls::Error),
}

/// Installs aws-lc-rs as this process's TLS provider and returns it. Calling it again does nothing.
pub fn install_provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        // An error means that one is installed: by a test, or by whoever embeds us.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        Arc::new(rustls::crypto::aws_lc_rs::default_provider())
    }))
}
