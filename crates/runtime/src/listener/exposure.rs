//! The rule "safe by default", as a function: an address that others can reach needs TLS and a token.

use super::address::ListenAddr;

/// What a listener that may be opened amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine can reach it.
    Local,
    /// Others can reach it, through TLS and with a token.
    Protected,
    /// Others can reach it although these protections are missing, because the configuration says so.
    Insecure(Vec<&'static str>),
}

/// A listener that must not be opened as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, which needs {}: add what is missing, listen on 127.0.0.1, \
     or set `insecure = true` if the network around it is trusted",
    missing.join(" and ")
)]
pub struct ExposureError {
    /// The address.
    pub address: ListenAddr,
    /// What is missing: `TLS`, `a token`.
    pub missing: Vec<&'static str>,
}

/// Whether a listener with or without TLS and a token may be opened on `address`; `insecure` is the configuration's
/// explicit wish to do so regardless.
///
/// # Errors
///
/// What is missing for an address that other machines can reach.
pub fn check_exposure(
    address: &ListenAddr,
    tls: bool,
    token: bool,
    insecure: bool,
) -> Result<Exposure, ExposureError> {
    if address.is_local() {
        return Ok(Exposure::Local);
    }
    let missing: Vec<&'static str> = [(tls, "TLS"), (token, "a token")]
        .iter()
        .filter(|(there, _)| !there)
        .map(|(_, what)| *what)
        .collect();
    match (missing.is_empty(), insecure) {
        (true, _) => Ok(Exposure::Protected),
        (false, true) => Ok(Exposure::Insecure(missing)),
        (false, false) => Err(ExposureError { address: address.clone(), missing }),
    }
}

impl Exposure {
    /// Logs what a listener amounts to: loudly, if it is not safe.
    pub fn announce(&self, listener: &str, address: &ListenAddr) {
        match self {
            Self::Local => tracing::info!(listener, %address, "listening, for this machine only"),
            Self::Protected => tracing::info!(listener, %address, "listening, with TLS and token"),
            Self::Insecure(missing) => tracing::warn!(
                listener,
                %address,
                "INSECURE: {listener} listens on {address} without {}; anyone who can reach it can use it \
                 (insecure = true)",
                missing.join(" and ")
            ),
        }
    }
}
