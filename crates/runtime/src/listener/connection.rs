//! One accepted connection: plain, TLS or Unix, with what is known about the other end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::sources::Permit;

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A process on this machine, by what the kernel says of it.
    Unix {
        /// The user it runs as; `None` if the kernel does not say.
        uid: Option<u32>,
        /// Its process id; `None` if the kernel does not say.
        pid: Option<i32>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { pid: Some(pid), .. } => write!(f, "local process {pid}"),
            Self::Unix { pid: None, .. } => f.write_str("a local process"),
        }
    }
}

/// What is known about the other end; found in a request's extensions.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Who it is.
    pub peer: Peer,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The client's verified certificate chain, its own first; `None` if it showed none.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

/// An accepted connection, counted by its listener until it is dropped.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    info: PeerInfo,
    _permit: Permit,
}

#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    // Boxed for its size: a TLS stream is some hundred times the others'.
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Connection {
    pub(super) fn tcp(stream: TcpStream, peer: SocketAddr, permit: Permit) -> Self {
        let info = PeerInfo { peer: Peer::Tcp(peer), tls: false, certificates: None };
        Self { io: Io::Tcp(stream), info, _permit: permit }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, peer: SocketAddr, mut permit: Permit) -> Self {
        permit.established();
        let certificates = stream
            .get_ref()
            .1
            .peer_certificates()
            .map(|chain| chain.iter().map(|certificate| certificate.clone().into_owned()).collect());
        let info = PeerInfo { peer: Peer::Tcp(peer), tls: true, certificates };
        Self { io: Io::Tls(Box::new(stream)), info, _permit: permit }
    }

    pub(super) fn unix(stream: UnixStream, permit: Permit) -> Self {
        let credentials = stream.peer_cred().ok();
        let peer = Peer::Unix {
            uid: credentials.map(|credentials| credentials.uid()),
            pid: credentials.and_then(|credentials| credentials.pid()),
        };
        let info = PeerInfo { peer, tls: false, certificates: None };
        Self { io: Io::Unix(stream), info, _permit: permit }
    }

    /// What is known about the other end.
    pub fn info(&self) -> &PeerInfo {
        &self.info
    }
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.info.clone()
    }
}

/// Runs the same expression on whichever stream there is.
macro_rules! each {
    ($self:ident, $io:ident => $body:expr) => {
        match &mut $self.get_mut().io {
            Io::Tcp($io) => $body,
            Io::Tls($io) => $body,
            Io::Unix($io) => $body,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
            Io::Unix(io) => io.is_write_vectored(),
        }
    }
}
