//! A connection: TCP or Unix socket, plain or under TLS.
//!
//! An enum and not a trait object: the two streams of a session lie in its future, without an allocation, and the calls
//! of the hot path are direct. TLS carries kilobytes of its own and is boxed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// Longest that a peer is waited for after our half-close.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Most bytes read and thrown away meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

/// A socket.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, perhaps with TLS over it.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Plain>>),
}

impl From<Plain> for Stream {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(s) => Self::Tcp(s),
            Plain::Unix(s) => Self::Unix(s),
        }
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
            Self::Tls(s) => s.get_ref().0.as_fd(),
        }
    }
}

impl Stream {
    /// Whether bytes (or the end) wait in the kernel at this moment. Asks the kernel and not the runtime, which learns of
    /// them later.
    pub(crate) fn has_unread(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        !matches!(rustix::net::recv(self, &mut byte, flags), Err(rustix::io::Errno::AGAIN))
    }

    /// Ends the connection without a reset as far as that is in our power: half-close, read until the peer's end or the
    /// bounds, let go. The kernel resets a connection that is closed while unread bytes wait.
    pub(crate) async fn linger(mut self) {
        let drain = async {
            self.shutdown().await?;
            let mut scratch = vec![0; 4096];
            let mut total = 0;
            while total < LINGER_BYTES {
                match self.read(&mut scratch).await? {
                    0 => break,
                    n => total += n,
                }
            }
            io::Result::Ok(())
        };
        // Whatever the outcome, the connection is given up.
        let _ = timeout(LINGER_TIME, drain).await;
    }
}

/// A connection to the gateway outside of a session: however it is let go, that is done gently.
#[derive(Debug)]
pub(crate) struct Gentle(Option<Stream>);

impl Gentle {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Some(stream))
    }

    /// The connection itself; from here on it is the caller's to end. An ended one gives nothing.
    pub(crate) fn take(mut self) -> Option<Stream> {
        self.0.take()
    }

    /// See [`Stream::has_unread`].
    pub(crate) fn has_unread(&self) -> bool {
        self.0.as_ref().is_none_or(Stream::has_unread)
    }

    /// See [`Stream::linger`].
    pub(crate) async fn linger(mut self) {
        if let Some(stream) = self.0.take() {
            stream.linger().await;
        }
    }
}

impl Drop for Gentle {
    fn drop(&mut self) {
        if let (Some(stream), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(stream.linger());
        }
    }
}

macro_rules! each {
    ($self:ident, $s:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($s) => $call,
            Self::Unix($s) => $call,
        }
    };
    ($self:ident, $s:ident, tls => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($s) => $call,
            Self::Unix($s) => $call,
            Self::Tls($s) => $call,
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match each!(self, s, tls => Pin::new(s).poll_read(cx, buf)) {
            // TLS without its goodbye: the frames inside say themselves whether something is missing.
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            done => done,
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, s, tls => Pin::new(s).poll_write(cx, buf))
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s, tls => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s, tls => Pin::new(s).poll_shutdown(cx))
    }
}

/// What a connection that was taken answers.
fn taken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Gentle {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().map_or_else(taken, |s| Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Gentle {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().0.as_mut().map_or_else(taken, |s| Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().map_or_else(taken, |s| Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.as_mut().map_or_else(taken, |s| Pin::new(s).poll_shutdown(cx))
    }
}
