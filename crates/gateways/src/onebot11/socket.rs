//! Connections as the machines above see them: frames in, frames out, one end. No judgement.
//!
//! **Backpressure.** What was read and not yet written to the other end is bounded in bytes, per connection: a frame takes
//! room when it is read and gives it back when it is written (or dropped). A reader without room waits, TCP tells the
//! sender, and the other connections of the agent do not notice. While a reader waits nothing can be heard, which must
//! not be taken for silence: it says so ([`Heard::Stalled`]).
//!
//! **No resets.** A socket that is dropped with unread bytes makes the kernel send a reset, and there are upgrade handlers
//! that die of one. So whichever way a connection is let go, its stream is half-closed and read for a moment first.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use mooring_core::limits::{MAX_MESSAGE, clip};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_util::task::AbortOnDropHandle;

use super::state::{Frame, Payload};

/// Frames of one connection that may be under way at once, in KiB; one frame may always be.
const ROOM: u32 = 4096;
/// Longest that a frame may take to be written. A peer that reads nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(30);
/// Longest that a dropped stream is read for, and most bytes of it.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// What a stream must be able to do.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Any stream.
pub type Stream = Box<dyn Io>;

/// A TCP connection that is never reset by being dropped.
#[derive(Debug)]
pub struct Gentle(Option<TcpStream>);

impl Gentle {
    /// Takes it over.
    #[must_use]
    pub fn new(tcp: TcpStream) -> Self {
        Self(Some(tcp))
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Gentle {
    fn drop(&mut self) {
        let (Some(mut tcp), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            let drain = async {
                tcp.shutdown().await?;
                let mut left = LINGER.1;
                let mut buffer = vec![0; 4096];
                while left > 0 {
                    match tcp.read(&mut buffer).await? {
                        0 => break,
                        n => left = left.saturating_sub(n),
                    }
                }
                io::Result::Ok(())
            };
            // However it ends, it was given its time.
            let _ = tokio::time::timeout(LINGER.0, drain).await;
        });
    }
}

impl AsyncRead for Gentle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.tcp()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Gentle {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(cx)
    }
}

/// What came from a connection.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Frame(Frame),
    /// A ping, answered already, or a pong. It takes room too: nobody can send more of them than are looked at.
    Alive(#[expect(dead_code, reason = "held until it was looked at")] Option<OwnedSemaphorePermit>),
    /// Nothing can be read for want of room (`true`), or reading goes on (`false`).
    Stalled(bool),
    /// It is over. Nothing comes after this.
    Ended(Ended),
}

/// How a connection ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The code of the other end's Close frame, 1005 where it held none; `None` where there was no such frame.
    pub code: Option<u16>,
    /// Its words.
    pub reason: String,
    /// The transport's error, or what was wrong with a frame.
    pub error: Option<String>,
}

enum Out {
    Frame(Frame),
    Ping,
    Close(u16, String),
}

/// An open connection. Dropped, it ends at once, though never by a reset.
#[derive(Debug)]
pub struct Socket {
    out: mpsc::UnboundedSender<Out>,
    _reader: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<()>,
}

impl Socket {
    /// Takes an open WebSocket over; what comes is told to `heard`, which must not block.
    pub fn over(ws: WebSocketStream<Stream>, heard: impl Fn(Heard) + Send + Sync + 'static) -> Self {
        let (sink, stream) = ws.split();
        let (out, orders) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read(stream, heard));
        let writer = tokio::spawn(write(sink, orders));
        Self { out, _reader: AbortOnDropHandle::new(reader), _writer: AbortOnDropHandle::new(writer) }
    }

    /// Sends a message. To a connection that has ended it goes nowhere; its end is told.
    pub fn send(&self, frame: Frame) {
        let _ = self.out.send(Out::Frame(frame));
    }

    /// Asks for a sign of life.
    pub fn ping(&self) {
        let _ = self.out.send(Out::Ping);
    }

    /// Says goodbye, after all that was sent before. The end is told when the other end has answered, or dropped it.
    pub fn close(&self, code: u16, reason: &str) {
        let _ = self.out.send(Out::Close(code, reason.to_owned()));
    }
}

/// The library's settings: a message may be as long as this, in one frame or several.
#[must_use]
pub fn config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

async fn read(mut stream: SplitStream<WebSocketStream<Stream>>, heard: impl Fn(Heard)) {
    let room = Arc::new(Semaphore::new(ROOM as usize));
    let mut ended = Ended::default();
    while let Some(next) = stream.next().await {
        let payload = match next {
            Ok(Message::Text(text)) => Some(Payload::Text(text)),
            Ok(Message::Binary(bytes)) => Some(Payload::Binary(bytes)),
            Ok(Message::Ping(_) | Message::Pong(_)) => None,
            Ok(Message::Close(frame)) => {
                ended.code = Some(frame.as_ref().map_or(1005, |f| f.code.into()));
                ended.reason = frame.map(|f| clip(f.reason.as_str(), MAX_MESSAGE)).unwrap_or_default();
                continue;
            }
            // Only ever written.
            Ok(Message::Frame(_)) => continue,
            Err(error) => {
                // The plain end of a stream after a Close is no error worth telling.
                if ended.code.is_none() {
                    ended.error = Some(clip(&error.to_string(), MAX_MESSAGE));
                }
                break;
            }
        };
        let size = payload.as_ref().map_or(0, |payload| payload.bytes().len());
        let size = u32::try_from(size / 1024 + 1).unwrap_or(ROOM).min(ROOM);
        let taken = if let Ok(taken) = Arc::clone(&room).try_acquire_many_owned(size) {
            Some(taken)
        } else {
            heard(Heard::Stalled(true));
            let taken = Arc::clone(&room).acquire_many_owned(size).await.ok();
            heard(Heard::Stalled(false));
            taken
        };
        heard(match payload {
            Some(payload) => Heard::Frame(Frame { payload, room: taken }),
            None => Heard::Alive(taken),
        });
    }
    heard(Heard::Ended(ended));
}

async fn write(
    mut sink: SplitSink<WebSocketStream<Stream>, Message>,
    mut orders: mpsc::UnboundedReceiver<Out>,
) {
    while let Some(order) = orders.recv().await {
        // The room is given back when the frame was written, not before.
        let mut taken = None;
        let message = match order {
            Out::Frame(frame) => {
                taken = frame.room;
                match frame.payload {
                    Payload::Text(text) => Message::Text(text),
                    Payload::Binary(bytes) => Message::Binary(bytes),
                }
            }
            Out::Ping => Message::Ping(Bytes::new()),
            Out::Close(code, reason) => {
                let code = CloseCode::from(code);
                Message::Close(Some(CloseFrame { code, reason: clip(&reason, 120).into() }))
            }
        };
        match tokio::time::timeout(WRITE, sink.send(message)).await {
            Ok(Ok(())) => drop(taken),
            // The reader learns of it, or the pings do.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
