//! Moving a body from one side to the other, in pieces, encoded anew.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::http::Malformed;
use crate::http::body::Body;
use crate::http::chunked::{self, Chunked};

/// Bytes for which room is made before a read of a body.
const BODY_READ: usize = 16 * 1024;

/// A body that did not make it.
#[derive(Debug)]
pub(super) enum Torn {
    /// The side it comes from failed, ended too early or gave nothing for too long.
    Read(#[expect(dead_code, reason = "for the debug form")] io::Error),
    /// The side it goes to failed, or took nothing for too long.
    Write(#[expect(dead_code, reason = "for the debug form")] io::Error),
    Malformed(#[expect(dead_code, reason = "for the debug form")] Malformed),
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// As it is: its length was told, or its end is the connection's.
    Plain,
    Chunked,
}

/// A body's way.
pub(super) struct Copy<'a, R, W> {
    pub(super) from: &'a mut R,
    /// Read from there already.
    pub(super) buf: &'a mut Vec<u8>,
    pub(super) to: &'a mut W,
    pub(super) written: Written,
    /// Longest pause of the side it comes from.
    pub(super) pause: Option<Duration>,
    /// Longest that the side it goes to may take nothing.
    pub(super) stall: Duration,
    /// Takes the first bytes, as evidence.
    pub(super) start: Option<&'a mut Vec<u8>>,
}

/// Most bytes of a body kept as evidence.
const START: usize = 256;

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Copy<'_, R, W> {
    /// Moves the whole body, and its end.
    pub(super) async fn run(mut self, body: Body) -> Result<(), Torn> {
        match body {
            Body::None => {}
            Body::Length(mut left) => {
                while left > 0 {
                    self.fill().await?;
                    let n = usize::try_from(left).map_or(self.buf.len(), |left| left.min(self.buf.len()));
                    self.put(0, n, n).await?;
                    left -= n as u64;
                }
            }
            Body::Chunked => {
                let mut decoder = Chunked::new();
                while !decoder.done() {
                    self.fill().await?;
                    let (used, data) = decoder.read(self.buf).map_err(Torn::Malformed)?;
                    self.put(data.start, data.end, used).await?;
                }
            }
            Body::UntilClose => {
                while self.more().await? {
                    let n = self.buf.len();
                    self.put(0, n, n).await?;
                }
            }
        }
        if self.written == Written::Chunked {
            self.write(chunked::END).await?;
        }
        timeout(self.stall, self.to.flush()).await.map_err(|_| late(Torn::Write))?.map_err(Torn::Write)
    }

    /// Makes sure that there is something in the buffer; the end of the connection is one too early.
    async fn fill(&mut self) -> Result<(), Torn> {
        if self.more().await? { Ok(()) } else { Err(Torn::Read(io::ErrorKind::UnexpectedEof.into())) }
    }

    /// The same; false at the end of the connection.
    async fn more(&mut self) -> Result<bool, Torn> {
        if !self.buf.is_empty() {
            return Ok(true);
        }
        self.buf.reserve(BODY_READ);
        let read = self.from.read_buf(self.buf);
        let read = match self.pause {
            Some(pause) => timeout(pause, read).await.map_err(|_| late(Torn::Read))?,
            None => read.await,
        };
        read.map(|n| n > 0).map_err(Torn::Read)
    }

    /// Writes a part of the buffer on and drops its first `used` bytes.
    async fn put(&mut self, start: usize, end: usize, used: usize) -> Result<(), Torn> {
        let data = &self.buf[start..end];
        if let Some(first) = &mut self.start {
            let room = START.saturating_sub(first.len());
            first.extend_from_slice(&data[..data.len().min(room)]);
        }
        if !data.is_empty() {
            let whole = match self.written {
                Written::Plain => None,
                Written::Chunked => {
                    Some([chunked::encode_head(data.len()).as_bytes(), data, b"\r\n"].concat())
                }
            };
            let data = whole.as_deref().unwrap_or(data);
            write_all(self.to, data, self.stall).await?;
        }
        self.buf.drain(..used);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Torn> {
        write_all(self.to, bytes, self.stall).await
    }
}

/// Writes all, as long as some of it is taken from time to time.
pub(super) async fn write_all<W: AsyncWrite + Unpin>(
    to: &mut W,
    mut bytes: &[u8],
    stall: Duration,
) -> Result<(), Torn> {
    while !bytes.is_empty() {
        match timeout(stall, to.write(bytes)).await {
            Ok(Ok(0)) => return Err(Torn::Write(io::ErrorKind::WriteZero.into())),
            Ok(Ok(n)) => bytes = &bytes[n..],
            Ok(Err(error)) => return Err(Torn::Write(error)),
            Err(_) => return Err(late(Torn::Write)),
        }
    }
    Ok(())
}

fn late(side: impl Fn(io::Error) -> Torn) -> Torn {
    side(io::ErrorKind::TimedOut.into())
}
