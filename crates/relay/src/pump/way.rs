//! One direction of a session: read, look, write on.
//!
//! Bytes are read into a buffer that the thread's sessions share, looked at where they lie, and written on from there. Only
//! what the kernel does not take at once is copied, into a buffer that lives until it is taken; as long as it does, this
//! direction is not read. So an idle session owns no buffer, and a slow reader holds at most one scratch buffer's worth
//! here: the rest waits in the kernel and at last in the sender.
//!
//! A read that does not fill the buffer has emptied the socket; tokio knows that and does not ask the kernel again before
//! it reports readiness, so a message costs one read and one write.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use mooring_core::time::Mono;
use mooring_wire::frames::{Control, PayloadKey, Scanner, Seen};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::clock::Clock;
use crate::record::Flow;
use crate::stream::Stream;

/// Reads in one go before others get their turn, when a sender keeps the socket full.
const ROUNDS: usize = 8;

/// One direction.
pub(super) struct Way {
    pub(super) scanner: Scanner,
    /// Read and not yet taken by the receiver.
    pub(super) pending: Option<Box<Pending>>,
    /// What makes this direction be looked at frame by frame.
    pub(super) extra: Option<Box<Extra>>,
    /// A rule broken is the end: nothing of such a frame is passed on.
    pub(super) strict: bool,
    /// TLS holds written bytes back.
    unflushed: bool,
    /// The sender has ended, or is not listened to any more.
    pub(super) eof: bool,
    /// The receiver has been told so, or is gone.
    pub(super) over: bool,
    /// Frames cannot be followed (any more): bytes are passed on unseen.
    pub(super) blind: bool,
    /// Nothing of the sender is passed on any more, since it broke a rule.
    pub(super) halted: bool,
    /// Halted inside a frame: the receiver cannot be told anything any more.
    pub(super) torn: bool,
    /// The receiver has got its Close frame, from the sender or from us.
    pub(super) told: bool,
}

/// Bytes that wait.
pub(super) struct Pending {
    pub(super) bytes: Vec<u8>,
    pub(super) taken: usize,
}

/// What an ordinary session does not need.
#[derive(Default)]
pub(super) struct Extra {
    /// To be put between two frames.
    pub(super) ping: Option<Control>,
    /// To be put between two frames, as the last thing.
    pub(super) close: Option<Control>,
    /// Pings of ours that the sender has not answered.
    pub(super) own_pings: u8,
    /// By which the answers are known.
    pub(super) own_key: Option<PayloadKey>,
    /// The part of a pong that has come so far: whose it is shows at its end.
    pub(super) held: Vec<u8>,
}

impl Extra {
    fn idle(&self) -> bool {
        self.ping.is_none() && self.close.is_none() && self.own_pings == 0 && self.held.is_empty()
    }
}

/// Where a direction stands after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It will be woken.
    Waits,
    /// There is more to do at once.
    Again,
    /// It has ended.
    Over,
}

/// A connection that failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The sender's.
    Sender(io::Error),
    /// The receiver's.
    Receiver(io::Error),
}

impl Way {
    pub(super) fn new(scanner: Scanner, strict: bool) -> Self {
        Self {
            scanner,
            pending: None,
            extra: None,
            strict,
            unflushed: false,
            eof: false,
            over: false,
            blind: false,
            halted: false,
            torn: false,
            told: false,
        }
    }

    /// What makes this direction be looked at frame by frame, made if need be.
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_with(Box::default)
    }

    /// Moves what can be moved. `see` is told what goes by.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut Stream, &mut Stream),
        (flow, clock): (&Flow, &Clock),
        scratch: &mut [u8],
        see: &mut impl FnMut(Mono, Seen),
    ) -> Result<Turn, Broken> {
        for _ in 0..ROUNDS {
            if (self.pending.is_some() || self.unflushed) && self.drain(cx, to, flow, clock)?.is_pending() {
                return Ok(Turn::Waits);
            }
            if self.extra.is_some() && self.put_extra(flow, clock) {
                continue;
            }
            if self.eof {
                return Ok(self.end(cx, to));
            }
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Turn::Waits),
                Poll::Ready(Err(error)) => return Err(Broken::Sender(error)),
                Poll::Ready(Ok(())) => {}
            }
            let data = buf.filled();
            if data.is_empty() {
                self.eof = true;
                continue;
            }
            let now = clock.now();
            flow.last.store(now.0, Relaxed);
            if self.extra.is_none() && !self.strict {
                self.look(data, now, see);
                self.count(flow);
                self.write(cx, to, flow, now, data)?;
            } else {
                let out = self.sift(data, now, see);
                self.count(flow);
                self.write(cx, to, flow, now, &out)?;
            }
        }
        Ok(Turn::Again)
    }

    /// Takes bytes that came before the session began.
    pub(super) fn early(&mut self, data: &[u8], flow: &Flow, now: Mono, see: &mut impl FnMut(Mono, Seen)) {
        let out = self.sift(data, now, see);
        self.count(flow);
        self.keep(out, flow, now);
    }

    /// Follows the frames without holding anything back.
    #[inline]
    fn look(&mut self, data: &[u8], now: Mono, see: &mut impl FnMut(Mono, Seen)) {
        if self.blind {
            return;
        }
        if let Err(violation) = self.scanner.scan(data, &mut |seen| see(now, seen)) {
            self.blind = true;
            see(now, Seen::Violated(violation));
        }
    }

    #[inline]
    fn count(&self, flow: &Flow) {
        let counts = self.scanner.counts();
        flow.bytes.store(counts.payload, Relaxed);
        flow.messages.store(counts.messages, Relaxed);
    }

    /// Writes on; keeps what is not taken.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        flow: &Flow,
        now: Mono,
        data: &[u8],
    ) -> Result<(), Broken> {
        let mut at = 0;
        while at < data.len() {
            match Pin::new(&mut *to).poll_write(cx, &data[at..]) {
                Poll::Ready(Ok(0)) => return Err(Broken::Receiver(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => at += n,
                Poll::Ready(Err(error)) => return Err(Broken::Receiver(error)),
                Poll::Pending => break,
            }
        }
        if at < data.len() {
            self.keep(data[at..].to_vec(), flow, now);
        }
        self.unflushed = matches!(to, Stream::Tls(_)) && !data.is_empty();
        Ok(())
    }

    pub(super) fn keep(&mut self, bytes: Vec<u8>, flow: &Flow, now: Mono) {
        flow.waiting.store(u32::try_from(bytes.len()).unwrap_or(u32::MAX), Relaxed);
        flow.progress.store(now.0, Relaxed);
        self.pending = Some(Box::new(Pending { bytes, taken: 0 }));
    }

    /// Gives the receiver what waits for it.
    fn drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        flow: &Flow,
        clock: &Clock,
    ) -> Result<Poll<()>, Broken> {
        if let Some(pending) = &mut self.pending {
            while pending.taken < pending.bytes.len() {
                match Pin::new(&mut *to).poll_write(cx, &pending.bytes[pending.taken..]) {
                    Poll::Ready(Ok(0)) => return Err(Broken::Receiver(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => {
                        pending.taken += n;
                        let left = pending.bytes.len() - pending.taken;
                        flow.waiting.store(u32::try_from(left).unwrap_or(u32::MAX), Relaxed);
                        flow.progress.store(clock.now().0, Relaxed);
                    }
                    Poll::Ready(Err(error)) => return Err(Broken::Receiver(error)),
                    Poll::Pending => return Ok(Poll::Pending),
                }
            }
            self.pending = None;
            flow.waiting.store(0, Relaxed);
            self.unflushed = matches!(to, Stream::Tls(_));
        }
        if self.unflushed {
            match Pin::new(&mut *to).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(Broken::Receiver(error)),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Passes the sender's end on.
    fn end(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Turn {
        if !self.over {
            let shut = |cx: &mut Context<'_>, to: &mut Stream| {
                // A receiver that is gone already needs no telling.
                let _ = ready!(Pin::new(to).poll_shutdown(cx));
                Poll::Ready(())
            };
            if shut(cx, to).is_pending() {
                return Turn::Waits;
            }
            self.over = true;
        }
        Turn::Over
    }

    /// Gives up on the receiver: whatever was for it is dropped, and nothing more is read for it. The sender has not ended
    /// by that: it is let go gently.
    pub(super) fn abandon(&mut self, flow: &Flow) {
        self.pending = None;
        self.unflushed = false;
        flow.waiting.store(0, Relaxed);
        self.over = true;
    }

    /// Goes back to the ordinary way when nothing extra is left.
    pub(super) fn relax(&mut self) {
        if self.extra.as_ref().is_some_and(|extra| extra.idle()) && !self.told && !self.halted {
            self.extra = None;
        }
    }
}
