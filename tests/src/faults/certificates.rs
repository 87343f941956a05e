//! Certificates for proxies, good and bad, by an authority that a scene's person trusts, or does not.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::scene::Part;

/// What is wrong with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing: for 127.0.0.1 and localhost, valid now.
    Nothing,
    /// It was valid until the year 2020.
    Expired,
    /// It will be valid from the year 2090 on.
    NotYet,
    /// It is for another name.
    Name,
    /// It signs itself.
    SelfSigned,
}

/// Files of a certificate, its key, and the authority that is trusted.
#[derive(Debug)]
pub struct Files {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub both: PathBuf,
    /// The authority, PEM.
    pub trust: PathBuf,
    /// Keeps them.
    pub part: Part,
}

/// Makes one.
///
/// # Panics
/// When files cannot be written.
#[must_use]
pub fn make(wrong: Wrong) -> Files {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.distinguished_name.push(DnType::CommonName, "Mooring test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = authority.self_signed(&authority_key).expect("a certificate").pem();
    let issuer = Issuer::new(authority, authority_key);

    let names: &[&str] =
        if wrong == Wrong::Name { &["gateway.example"] } else { &["127.0.0.1", "localhost"] };
    let key = KeyPair::generate().expect("a key");
    let mut params =
        CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names");
    let (from, to) = match wrong {
        Wrong::Expired => (2019, 2020),
        Wrong::NotYet => (2090, 2095),
        Wrong::Nothing | Wrong::Name | Wrong::SelfSigned => (2020, 2095),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let certificate =
        if wrong == Wrong::SelfSigned { params.self_signed(&key) } else { params.signed_by(&key, &issuer) };
    write(&certificate.expect("a certificate").pem(), &key.serialize_pem(), &trusted)
}

fn write(certificate: &str, key: &str, trusted: &str) -> Files {
    let folder: TempDir = tempfile::Builder::new().prefix("mooring-fault-").tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("our own folder");
        file
    };
    Files {
        certificate: file("certificate.pem", certificate),
        key: file("key.pem", key),
        both: file("both.pem", &format!("{certificate}{key}")),
        trust: file("trust.pem", trusted),
        part: Part::files("certificates", folder),
    }
}
