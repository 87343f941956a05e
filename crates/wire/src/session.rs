//! An open WebSocket session, as a source of [`Event`]s.
//!
//! tungstenite answers pings and closes by itself, but only while somebody reads, and a write that does not go through
//! is kept in its buffer. So one poll function does both, reading first: it never waits for a write, and how long the
//! written bytes have not moved is known ([`Session::unread_for`]). That is what keeps a peer that does not read from
//! hanging us.
//!
//! Payloads are dropped where they are parsed, unless the holder of the session asks for them ([`Session::keep`]): who
//! watches a foreign protocol has no use for them, and what is not held cannot leak. Only who speaks the protocol sends
//! messages ([`Session::send_text`]).

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use crate::redact::Redactor;
use crate::target::Limits;
use crate::transport::{Transport, linger};

/// Longest that is waited for a Close frame of ours to get into the socket at the end.
const FLUSH_TIME: Duration = Duration::from_secs(1);
/// Largest frame or message whatever the limits say: the library reserves what a frame's header announces, and a
/// reservation that cannot be met aborts the process.
const MAX_PAYLOAD: usize = 64 * 1024 * 1024;
/// Longest reason a Close frame can hold (RFC 6455 §5.5: 125 bytes less the code).
const MAX_CLOSE_REASON: usize = 123;

/// The words for HTTP text where a frame should be, wherever it is noticed.
pub const HTTP_AFTER_101: &str = "HTTP text after the 101";

/// What a session did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole text or binary message.
    Data(Data),
    /// A ping, already being answered.
    Ping,
    /// A pong.
    Pong(Bytes),
    /// The peer's Close frame: code (1005 when it had none) and reason.
    Close(u16, String),
    /// The session is over.
    Ended(End),
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Its size in bytes.
    pub size: usize,
    /// What is in it, as far as it was asked for.
    pub body: Body,
}

/// What is in a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Not kept: nobody asked for it, or it is larger than what was asked for.
    Dropped,
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// Says what it is, never what is in it: messages hold secrets.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dropped => "Dropped",
            Self::Text(_) => "Text(…)",
            Self::Binary(_) => "Binary(…)",
        })
    }
}

/// How a session was over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// The transport's error or the violation; `None` for the plain end of the stream.
    pub error: Option<String>,
    /// The close code that tells the peer what it did wrong, where it did: it is still to be sent.
    pub violation: Option<u16>,
}

/// An open session. Dropping it closes the socket as the kernel does (a reset, if unread bytes are left): let
/// [`crate::canary::run`], [`crate::examine()`] or [`Session::finish`] end it.
pub struct Session {
    ws: WebSocketStream<Transport>,
    peer: SocketAddr,
    opened: Instant,
    redactor: Redactor,
    /// Since when written bytes wait, and how many had been written then.
    waiting: Option<(Instant, u64)>,
    sent_close: bool,
    /// Largest message that is handed over.
    keep: usize,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session over a stream whose handshake is done; `already` was read after it.
    pub(crate) async fn over(
        mut transport: Transport,
        peer: SocketAddr,
        already: Vec<u8>,
        limits: &Limits,
        redactor: Redactor,
    ) -> Self {
        transport.frames_begin(&already);
        let config = WebSocketConfig::default()
            .read_buffer_size(limits.read_buffer)
            // Nothing is held back: there is little to write, and it is a ping whose round trip is measured.
            .write_buffer_size(0)
            .max_write_buffer_size(limits.write_buffer.max(1024))
            .max_message_size(Some(limits.message.min(MAX_PAYLOAD)))
            .max_frame_size(Some(limits.frame.min(MAX_PAYLOAD)));
        let ws = WebSocketStream::from_partially_read(transport, already, Role::Client, Some(config)).await;
        Self { ws, peer, opened: Instant::now(), redactor, waiting: None, sent_close: false, keep: 0 }
    }

    /// The peer's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When the handshake was done.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// From now on messages of at most so many bytes are handed over. Zero, the default: none.
    pub fn keep(&mut self, most: usize) {
        self.keep = most;
    }

    /// Whether HTTP text stands where the first frame should.
    pub(crate) fn begins_with_http(&self) -> bool {
        self.ws.get_ref().begins_with_http()
    }

    /// The same for who polls by hand.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let event = match Pin::new(&mut self.ws).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => Some(self.read(message)),
            Poll::Ready(Some(Err(error))) => Some(Event::Ended(self.end(error))),
            Poll::Ready(None) => Some(Event::Ended(End::default())),
            Poll::Pending => None,
        };
        if let Some(Event::Ended(_)) = event {
            self.waiting = None;
        }
        if self.waiting.is_some() {
            match Pin::new(&mut self.ws).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.waiting = None,
                Poll::Pending => self.note_progress(),
                Poll::Ready(Err(error)) => {
                    self.waiting = None;
                    return Poll::Ready(event.unwrap_or_else(|| Event::Ended(self.end(error))));
                }
            }
        }
        event.map_or(Poll::Pending, Poll::Ready)
    }

    /// The next event. Cancel-safe; pings are answered and queued frames written only while somebody waits here. After
    /// [`Event::Ended`] it is [`Event::Ended`] for ever.
    pub async fn event(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn read(&mut self, message: Message) -> Event {
        match message {
            Message::Text(text) => self.data(text.len(), || Body::Text(text.as_str().to_owned())),
            Message::Binary(data) => self.data(data.len(), || Body::Binary(data)),
            Message::Pong(payload) => Event::Pong(payload),
            Message::Ping(_) => {
                self.await_write();
                Event::Ping
            }
            Message::Close(frame) => {
                self.await_write();
                let (code, reason) =
                    frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.as_str().to_owned()));
                Event::Close(code, self.redactor.clean(&reason))
            }
            // Only ever written, never read (tungstenite's documentation of the variant).
            Message::Frame(frame) => self.data(frame.payload().len(), || Body::Dropped),
        }
    }

    fn data(&self, size: usize, body: impl FnOnce() -> Body) -> Event {
        Event::Data(Data {
            size,
            body: if self.keep > 0 && size <= self.keep { body() } else { Body::Dropped },
        })
    }

    fn await_write(&mut self) {
        if self.waiting.is_none() {
            self.waiting = Some((Instant::now(), self.ws.get_ref().written()));
        }
    }

    fn note_progress(&mut self) {
        let written = self.ws.get_ref().written();
        if let Some((since, before)) = &mut self.waiting
            && *before != written
        {
            (*since, *before) = (Instant::now(), written);
        }
    }

    /// How long bytes have waited without one of them going out: the peer does not read.
    #[must_use]
    pub fn unread_for(&self, now: Instant) -> Option<Duration> {
        self.waiting.map(|(since, _)| now.saturating_duration_since(since))
    }

    /// Queues a ping, unless earlier writes still wait (then it would only measure them) or a Close was sent. True when
    /// it was queued. It goes out with the next poll.
    pub fn ping(&mut self, payload: [u8; 16]) -> bool {
        if self.waiting.is_some() || self.sent_close {
            return false;
        }
        self.await_write();
        // An error here shows again, with its reason, on the next poll.
        Pin::new(&mut self.ws).start_send(Message::Ping(Bytes::copy_from_slice(&payload))).is_ok()
    }

    /// Queues a text message. True when it was queued: not after a Close, and not when it would grow what waits for a
    /// peer that does not read beyond the limit. It goes out while somebody waits for the next event.
    ///
    /// Only for protocols that are spoken: a foreign server may die of a message that it does not expect.
    pub fn send_text(&mut self, text: String) -> bool {
        if self.sent_close {
            return false;
        }
        let queued = Pin::new(&mut self.ws).start_send(Message::Text(text.into())).is_ok();
        if queued {
            self.await_write();
        }
        queued
    }

    /// Queues a Close frame, once. A code that must not be sent (RFC 6455 §7.4) becomes 1000; the reason is cut.
    pub fn close(&mut self, code: u16, reason: &str) {
        if std::mem::replace(&mut self.sent_close, true) {
            return;
        }
        let code = Some(CloseCode::from(code)).filter(|c| c.is_allowed()).unwrap_or(CloseCode::Normal);
        let reason = reason[..reason.floor_char_boundary(MAX_CLOSE_REASON)].into();
        self.await_write();
        // After the peer's Close the library has answered already and refuses ours, which is then not needed.
        let _ = Pin::new(&mut self.ws).start_send(Message::Close(Some(CloseFrame { code, reason })));
    }

    /// Ends it: what is queued goes out (bounded), then the stream is ended without a reset (bounded).
    pub async fn finish(mut self) {
        let flushed = std::future::poll_fn(|cx| Pin::new(&mut self.ws).poll_flush(cx));
        // A peer that does not take our last frame does not get it.
        let _ = timeout(FLUSH_TIME, flushed).await;
        linger(self.ws.into_inner()).await;
    }

    fn end(&self, error: WsError) -> End {
        let violation =
            |code, text: String| End { error: Some(clip(&text, MAX_EVIDENCE_VALUE)), violation: Some(code) };
        let plain = End::default();
        match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => plain,
            // Only a stream that ended within what cannot be a frame.
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) if !self.begins_with_http() => {
                plain
            }
            WsError::Protocol(_) if self.begins_with_http() => {
                let text = format!(
                    "WebSocket protocol error: {HTTP_AFTER_101} (two WebSocket servers on one HTTP server?)"
                );
                violation(1002, text)
            }
            WsError::Protocol(_) => violation(1002, error.to_string()),
            WsError::Utf8(_) => {
                violation(1007, format!("WebSocket protocol error: text that is not UTF-8 ({error})"))
            }
            WsError::Capacity(_) => violation(1009, error.to_string()),
            WsError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => plain,
            WsError::Io(e) => End { error: Some(clip(&e.to_string(), MAX_EVIDENCE_VALUE)), violation: None },
            other => End { error: Some(clip(&other.to_string(), MAX_EVIDENCE_VALUE)), violation: None },
        }
    }
}
