//! Ordinary HTTP through the relay: Socket.IO's long-polling, REST, a health check.
//!
//! One connection to the gateway per client's connection, kept as long as both sides like. Request and answer flow at the
//! same time, as HTTP/1.1 allows: an answer may come before the request's body has been sent.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use mooring_core::classify::IoFault;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::timeout;

use super::client::{Client, host};
use super::copy::{Copy, Torn, Written, write_all};
use super::refuse::Refusing;
use super::upgrade::{Failed, reach, read_answer};
use crate::config::Times;
use crate::gate::Mode;
use crate::http::answer::Own;
use crate::http::body::Body;
use crate::http::forward;
use crate::http::head::{Answer, Request};
use crate::shared::Shared;
use crate::stream::Gentle;

/// Most bytes of a next request that are read while one is answered.
const AHEAD: usize = 16 * 1024;

/// A connection to the gateway that is kept.
pub(super) struct Upstream {
    stream: Gentle,
    buf: Vec<u8>,
    /// Whether a request has gone over it before.
    used: bool,
}

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    Keep,
    Close,
}

/// How an exchange went wrong.
pub(super) enum Wrong {
    /// The gateway ended a kept connection without a byte of an answer: an old race, and a reason to try a new one.
    Stale,
    /// Nothing was answered yet.
    Answer(Own),
    /// Too late for an answer.
    Late,
}

/// Passes one request and its answer.
pub(super) async fn pass(
    shared: &Shared,
    client: &mut Client,
    upstream: &mut Option<Upstream>,
    request: Request,
) -> Passed {
    let head_only = request.method == "HEAD";
    let own = match exchange(shared, client, upstream, request).await {
        Ok(passed) => return passed,
        Err(Wrong::Late | Wrong::Stale) => return Passed::Close,
        Err(Wrong::Answer(own)) => own,
    };
    *upstream = None;
    // Whoever does not take it in time does without.
    let _ = write_all(&mut client.stream, &own.bytes(head_only), shared.config.times.body).await;
    Passed::Close
}

async fn exchange(
    shared: &Shared,
    client: &mut Client,
    upstream: &mut Option<Upstream>,
    request: Request,
) -> Result<Passed, Wrong> {
    let body = request.body().map_err(|error| {
        let own = super::bad(error);
        Refusing::new(shared, client.peer).invalid(Some(own.status), own.why);
        Wrong::Answer(own)
    })?;
    if *shared.stopping.borrow() || shared.gate.mode() == Mode::Refuse {
        return Err(Wrong::Answer(Own::retry(503, "the gateway is being drained", 5)));
    }
    let keep = request.one_one && !request.headers.lists("connection", "close");
    let one_one = request.one_one;
    let method = request.method.clone();
    // What has no body and changes nothing can be asked once more.
    let again = body == Body::None && matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let host = host(&request);
    let mut head = Vec::with_capacity(1024);
    forward::request(request, body, &client.from(shared, &host)).write(&mut head);
    loop {
        let kept = upstream.take().filter(|up| up.buf.is_empty() && !up.stream.has_unread());
        let up = match kept {
            Some(up) => up,
            None => open(shared, client, (client.peer, client.local)).await?,
        };
        let used = up.used;
        let sending = Sending { shared, head: &head, body, method: &method, one_one, keep };
        match sending.run(client, up).await {
            Err(Wrong::Stale) if used && again => {}
            Err(Wrong::Stale) => return Err(Wrong::Answer(Own::new(502, "the gateway broke off"))),
            Err(wrong) => return Err(wrong),
            Ok((passed, up)) => {
                *upstream = up;
                return Ok(passed);
            }
        }
    }
}

/// Opens a connection to the gateway for a client that may leave meanwhile.
async fn open(
    shared: &Shared,
    client: &mut Client,
    (peer, local): (Option<SocketAddr>, Option<SocketAddr>),
) -> Result<Upstream, Wrong> {
    let reached = tokio::select! {
        biased;
        reached = reach(shared, peer, local, None) => reached,
        // Who is gone keeps no place among those held.
        () = client.gone(AHEAD) => return Err(Wrong::Late),
    };
    match reached {
        Ok(stream) => Ok(Upstream { stream, buf: Vec::new(), used: false }),
        Err(failed) => Err(Wrong::Answer(Failed::tell(failed, &Refusing::new(shared, client.peer), shared))),
    }
}

/// A request on its way.
struct Sending<'a> {
    shared: &'a Shared,
    head: &'a [u8],
    body: Body,
    method: &'a str,
    one_one: bool,
    keep: bool,
}

impl Sending<'_> {
    async fn run(self, client: &mut Client, mut up: Upstream) -> Result<(Passed, Option<Upstream>), Wrong> {
        let times = self.shared.config.times;
        let peer = client.peer;
        let Upstream { stream, buf: up_buf, .. } = &mut up;
        let (mut client_r, mut client_w) = tokio::io::split(&mut client.stream);
        let (mut up_r, mut up_w) = tokio::io::split(stream);
        let sent = AtomicBool::new(false);
        let client_buf = &mut client.buf;
        let send = async {
            write_all(&mut up_w, self.head, times.body).await?;
            let written = if self.body == Body::Chunked { Written::Chunked } else { Written::Plain };
            let pause = Some(times.body);
            Copy {
                from: &mut client_r,
                buf: client_buf,
                to: &mut up_w,
                written,
                pause,
                stall: times.body,
                start: None,
            }
            .run(self.body)
            .await?;
            sent.store(true, Relaxed);
            // From here on the client is only watched: its next request may come early, its end ends the wait.
            while client_buf.len() < AHEAD {
                client_buf.reserve(1024);
                match client_r.read_buf(client_buf).await {
                    Ok(0) | Err(_) => return Err(Torn::Read(io::ErrorKind::UnexpectedEof.into())),
                    Ok(_) => {}
                }
            }
            std::future::pending::<Result<(), Torn>>().await
        };
        let limit = self.shared.config.limits.head;
        let receive = async {
            let answer = loop {
                let read = read_answer(&mut up_r, up_buf, limit);
                let answer = match timeout(times.answer, read).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err((IoFault::Eof | IoFault::Reset, _))) => return Err(Wrong::Stale),
                    Ok(Err(_)) => {
                        return Err(Wrong::Answer(Own::new(502, "the gateway's answer is not valid HTTP")));
                    }
                    Err(_) => return Err(Wrong::Answer(Own::new(504, "the gateway did not answer in time"))),
                };
                match answer.status {
                    101 => {
                        return Err(Wrong::Answer(Own::new(502, "the gateway switched protocols unasked")));
                    }
                    100..=199 if !self.one_one => {}
                    100..=199 => {
                        let mut bytes = Vec::new();
                        forward::provisional(answer).write(&mut bytes);
                        write_all(&mut client_w, &bytes, times.body).await.map_err(|_| Wrong::Late)?;
                    }
                    _ => break answer,
                }
            };
            let reusable = answer.one_one && !answer.headers.lists("connection", "close");
            let keep = self.keep && !*self.shared.stopping.borrow();
            let passing = Answering {
                times: &times,
                method: self.method,
                one_one: self.one_one,
                keep,
                pause: None,
                start: None,
            };
            passing.run(answer, &mut up_r, up_buf, &mut client_w).await.map(|how| (how, reusable))
        };
        let (mut send, mut receive) = (Box::pin(send), Box::pin(receive));
        let mut torn = None;
        let outcome = loop {
            tokio::select! {
                biased;
                received = &mut receive => break received,
                Err(error) = &mut send, if torn.is_none() => match error {
                    // The gateway takes no more, but may have answered before it closed.
                    Torn::Write(_) => torn = Some(()),
                    Torn::Malformed(_) => {
                        let own = Own::new(400, "a broken chunk");
                        Refusing::new(self.shared, peer).invalid(Some(400), own.why);
                        break Err(Wrong::Answer(own));
                    }
                    // The client is gone, or too slow.
                    Torn::Read(_) => break Err(Wrong::Late),
                },
            }
        };
        // What goes wrong here is told to the client only: no session was wanted, and a slow path of an HTTP API says
        // nothing of sessions.
        let (kept, reusable) = outcome?;
        drop((send, receive));
        up.used = true;
        let whole = sent.load(Relaxed) && torn.is_none();
        let passed = if kept && whole { Passed::Keep } else { Passed::Close };
        Ok((passed, (reusable && whole).then_some(up)))
    }
}

/// An answer on its way.
pub(super) struct Answering<'a> {
    pub(super) times: &'a Times,
    pub(super) method: &'a str,
    /// The client speaks HTTP/1.1.
    pub(super) one_one: bool,
    pub(super) keep: bool,
    /// Longest pause of the gateway inside the body.
    pub(super) pause: Option<Duration>,
    /// Takes the first bytes of the body, as evidence.
    pub(super) start: Option<&'a mut Vec<u8>>,
}

impl Answering<'_> {
    /// Passes it on. Whether the client's connection can be kept.
    pub(super) async fn run<R, W>(
        self,
        answer: Answer,
        from: &mut R,
        buf: &mut Vec<u8>,
        to: &mut W,
    ) -> Result<bool, Wrong>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let invalid = Own::new(502, "the gateway's answer could be read in two ways");
        let body = answer.body(self.method).map_err(|_| Wrong::Answer(invalid))?;
        // A body without a told length is chunked for those who know chunks, and ends with the connection for others.
        let (shown, written, keep) = match body {
            Body::Chunked | Body::UntilClose if self.one_one => (Body::Chunked, Written::Chunked, self.keep),
            Body::Chunked | Body::UntilClose => (Body::UntilClose, Written::Plain, false),
            told => (told, Written::Plain, self.keep),
        };
        let mut head = Vec::with_capacity(512);
        forward::answer(answer, shown, keep).write(&mut head);
        let stall = self.times.body;
        write_all(to, &head, stall).await.map_err(|_| Wrong::Late)?;
        let copy = Copy { from, buf, to, written, pause: self.pause, stall, start: self.start };
        copy.run(body).await.map_err(|_| Wrong::Late)?;
        Ok(keep)
    }
}
