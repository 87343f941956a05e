//! PEM files: read with a limit, parsed with messages that name the file.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::reload::read_limited;

/// More than this (in bytes) is no certificate, key or bundle: the system's own bundle is about 200 KiB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_limited(path, MAX_PEM_BYTES).map_err(TlsError::Unreadable)
}

pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { path: path.to_owned(), reason: error.to_string() })?;
    if certificates.is_empty() {
        return Err(TlsError::Missing { path: path.to_owned(), wanted: "certificate" });
    }
    Ok(certificates)
}

pub(super) fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            TlsError::Missing { path: path.to_owned(), wanted: "private key" }
        }
        other => TlsError::Pem { path: path.to_owned(), reason: other.to_string() },
    })
}

pub(super) fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        store
            .add(certificate)
            .map_err(|error| TlsError::Authorities { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(store)
}
