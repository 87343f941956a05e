//! The byte stream under a session, plain or TLS, and how it is ended without a reset.
//!
//! Closing a socket that holds unread bytes, or on which the peer still writes, makes the kernel send a reset, and
//! there are upgrade handlers whose whole process dies of one. [`linger`] therefore half-closes, reads what still
//! comes for a short bounded time, and only then lets go. For the same reason the TLS handshake's time limit sits inside
//! the stream ([`Deadlined`]): when it strikes, the handshake returns the socket instead of dropping it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

/// Longest that a peer is waited for after our half-close.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Most bytes read and thrown away meanwhile.
const LINGER_BYTES: usize = 256 * 1024;

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] from a point in time on.
pub(crate) struct Deadlined<S> {
    inner: S,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadlined<S> {
    pub(crate) fn new(inner: S, until: Instant) -> Self {
        Self { inner, sleep: Some(Box::pin(sleep_until(until))) }
    }

    /// Lifts the deadline.
    pub(crate) fn relax(&mut self) {
        self.sleep = None;
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    fn late<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlined<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => self.late(cx),
            done => done,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlined<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Pending => self.late(cx),
            done => done,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<Deadlined<TcpStream>>>),
}

/// The stream of a session. It remembers the first bytes that came after the handshake (HTTP text there is a known
/// fault that no frame parser can name) and counts what was written (a peer that reads slowly is not one that stopped).
pub(crate) struct Transport {
    wire: Wire,
    first: [u8; 5],
    first_len: usize,
    noting: bool,
    written: u64,
}

impl Transport {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self::over(Wire::Plain(tcp))
    }

    pub(crate) fn tls(stream: TlsStream<Deadlined<TcpStream>>) -> Self {
        Self::over(Wire::Tls(Box::new(stream)))
    }

    fn over(wire: Wire) -> Self {
        Self { wire, first: [0; 5], first_len: 0, noting: false, written: 0 }
    }

    /// From here on frames are expected; `already` is what was read of them together with the answer.
    pub(crate) fn frames_begin(&mut self, already: &[u8]) {
        self.noting = true;
        self.note(already);
    }

    /// Whether HTTP text stands where the first frame should.
    pub(crate) fn begins_with_http(&self) -> bool {
        self.first == *b"HTTP/"
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    fn note(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(self.first.len() - self.first_len);
        self.first[self.first_len..self.first_len + n].copy_from_slice(&bytes[..n]);
        self.first_len += n;
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.wire {
            Wire::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Wire::Tls(s) => Pin::new(s).poll_read(cx, buf),
        })?;
        if self.noting && self.first_len < self.first.len() {
            self.note(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(match &mut self.wire {
            Wire::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Wire::Tls(s) => Pin::new(s).poll_write(cx, buf),
        })?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(s) => Pin::new(s).poll_flush(cx),
            Wire::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Wire::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

/// Ends a connection without a reset as far as that is in our power: half-close, read until the peer's end or the
/// bounds, let go. A peer that neither ends nor is silent beyond the bounds gets its reset after all.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let drain = async {
        stream.shutdown().await?;
        let mut scratch = vec![0; 4096];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut scratch).await? {
                0 => break,
                n => total += n,
            }
        }
        io::Result::Ok(())
    };
    // Whatever the outcome, the connection is given up.
    let _ = timeout(LINGER_TIME, drain).await;
}
