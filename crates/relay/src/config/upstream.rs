//! Where the gateway is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::ServerName;

/// The gateway, as the relay reaches it.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub address: UpstreamAddress,
    /// TLS towards it.
    pub tls: Option<UpstreamTls>,
    /// A PROXY protocol header in front of every connection to it.
    pub proxy: Option<ProxyVersion>,
    /// Whether it is told about the client in `X-Forwarded-For`, `-Proto` and `-Host`.
    pub forwarded: bool,
}

impl Upstream {
    /// Plain TCP or Unix socket, with `X-Forwarded-*`.
    #[must_use]
    pub fn new(address: UpstreamAddress) -> Self {
        Self { address, tls: None, proxy: None, forwarded: true }
    }
}

/// An address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// TCP, by a name that is resolved for each connection.
    Name {
        /// Host name.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS towards the gateway. ALPN must be left empty or be `http/1.1`.
#[derive(Clone)]
pub struct UpstreamTls {
    /// Roots, client certificate and so on.
    pub config: Arc<rustls::ClientConfig>,
    /// The name its certificate must be valid for.
    pub name: ServerName<'static>,
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Version of the PROXY protocol (haproxy.org, proxy-protocol.txt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}
