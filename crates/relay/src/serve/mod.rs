//! A connection up to the moment it becomes a session, or for as long as it carries ordinary HTTP.

mod client;
mod copy;
mod pass;
mod refuse;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::admission::{HandshakePlace, Place};
use crate::http::Malformed;
use crate::http::answer::Own;
use crate::http::head::{self, Request};
use crate::http::upgrade::wants_websocket;
use crate::proxy;
use crate::pump::Opening;
use crate::shared::Shared;
use crate::stream::{Plain, Stream};
use client::Client;
use pass::{Passed, Upstream};
pub(crate) use refuse::Refusing;

/// Bytes for which room is made before a read of a head.
const HEAD_READ: usize = 2048;
/// Shortest PROXY header there is: `PROXY UNKNOWN` and its line end.
const LEAST_PROXY: usize = 15;

/// A connection that has just come in.
pub(crate) struct Accepted {
    pub(crate) stream: Plain,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) listener: u16,
    pub(crate) place: Place,
    pub(crate) handshake: HandshakePlace,
}

/// Serves a connection. What comes back is a session to be relayed.
pub(crate) async fn serve(shared: Arc<Shared>, accepted: Accepted) -> Option<Box<Opening>> {
    let until = Instant::now() + shared.config.times.handshake;
    let Accepted { stream, peer, local, listener, mut place, handshake } = accepted;
    // Behind TLS the source is counted before its handshake: that is what costs most. Whose the connection is must be
    // known for that, and it is not where a PROXY header is still to come.
    let listening = shared.config.listeners.get(usize::from(listener));
    let early = peer
        .filter(|peer| listening.is_some_and(|l| l.tls.is_some() && !l.proxy) && !is_trusted(&shared, *peer));
    if let Some(address) = early
        && let Err(full) = place.belongs_to(address.ip())
    {
        Refusing::new(&shared, peer).limit(None, full.why());
        Stream::from(stream).linger().await;
        return None;
    }
    let mut client = match prepare(&shared, stream, (peer, local), listener, until).await {
        Ok(client) => client,
        // A port scanner, a health check or a client that speaks something else: nobody to be answered.
        Err((why, stream)) => {
            Refusing::new(&shared, peer).invalid(None, &why);
            if let Some(stream) = stream {
                Stream::from(stream).linger().await;
            }
            return None;
        }
    };
    if !client.trusted
        && early.is_none()
        && let Some(address) = client.peer
        && let Err(full) = place.belongs_to(address.ip())
    {
        Refusing::new(&shared, client.peer).limit(Some(429), full.why());
        client.answer(&Own::retry(429, full.why(), 5), false).await;
        return None;
    }
    let mut handshake = Some(handshake);
    let mut upstream: Option<Upstream> = None;
    loop {
        let first = handshake.is_some();
        let request = match next_request(&shared, &mut client, first.then_some(until)).await {
            Next::Request(request) => request,
            Next::Gone => {
                client.stream.linger().await;
                return None;
            }
            Next::Bad(own) => {
                Refusing::new(&shared, client.peer).invalid(Some(own.status), own.why);
                client.answer(&own, false).await;
                return None;
            }
        };
        handshake = None;
        if wants_websocket(&request) {
            drop(upstream);
            return upgrade::upgrade(&shared, client, place, request).await;
        }
        shared.numbers.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match pass::pass(&shared, &mut client, &mut upstream, request).await {
            Passed::Keep => client.buf.shrink_to(HEAD_READ),
            Passed::Close => {
                client.stream.linger().await;
                return None;
            }
        }
    }
}

/// PROXY header and TLS. Where one of them fails: why, and the connection.
async fn prepare(
    shared: &Shared,
    mut stream: Plain,
    (mut peer, mut local): (Option<SocketAddr>, Option<SocketAddr>),
    listener: u16,
    until: Instant,
) -> Result<Client, (String, Option<Plain>)> {
    let config = &shared.config;
    let listening = config.listeners.get(usize::from(listener));
    if listening.is_some_and(|l| l.proxy) {
        match timeout_at(until, read_proxy(&mut stream)).await {
            // Who writes the header is a proxy; a connection it opened for itself stays its own.
            Ok(Ok(Some((from, to)))) => (peer, local) = (Some(from), Some(to)),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Err((format!("before the PROXY header: {error}"), Some(stream))),
            Err(_) => return Err(("no PROXY header in time".to_owned(), Some(stream))),
        }
    }
    let tls = listening.and_then(|l| l.tls.as_ref());
    let stream = match tls {
        Some(tls) => {
            let accepting = TlsAcceptor::from(Arc::clone(tls)).accept(stream).into_fallible();
            match timeout_at(until, accepting).await {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream.into())),
                Ok(Err((error, stream))) => return Err((format!("TLS: {error}"), Some(stream))),
                Err(_) => return Err(("no TLS handshake in time".to_owned(), None)),
            }
        }
        None => stream.into(),
    };
    let trusted = peer.is_some_and(|peer| is_trusted(shared, peer));
    Ok(Client { stream, buf: Vec::new(), peer, local, listener, tls: tls.is_some(), trusted })
}

/// Whether what this source says of others is believed.
fn is_trusted(shared: &Shared, peer: SocketAddr) -> bool {
    shared.config.trusted.iter().any(|net| net.contains(peer.ip()))
}

/// Reads exactly the header and no byte of what follows, which may be TLS.
async fn read_proxy(stream: &mut Plain) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let mut header = vec![0; LEAST_PROXY];
    stream.read_exact(&mut header).await?;
    loop {
        match proxy::read(&header) {
            Ok(Some((_, addresses))) => return Ok(addresses),
            Ok(None) => header.push(stream.read_u8().await?),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

enum Next {
    Request(Request),
    Gone,
    Bad(Own),
}

/// Reads the next request's head. The first must be there by `until`; a later one may be waited for, and must then come
/// as fast.
async fn next_request(shared: &Shared, client: &mut Client, until: Option<Instant>) -> Next {
    let times = &shared.config.times;
    let mut seen = 0;
    let mut deadline = until.unwrap_or_else(|| Instant::now() + times.between_requests);
    let mut begun = until.is_some();
    let mut stopping = shared.stopping.subscribe();
    loop {
        if !client.buf.is_empty() && !begun {
            begun = true;
            deadline = Instant::now() + times.handshake;
        }
        match head::end(&client.buf, &mut seen, shared.config.limits.head) {
            Ok(Some(end)) => {
                let head: Vec<u8> = client.buf.drain(..end).collect();
                return Request::parse(&head).map_or_else(|e| Next::Bad(bad(e)), Next::Request);
            }
            Ok(None) => {}
            Err(error) => return Next::Bad(bad(error)),
        }
        client.buf.reserve(HEAD_READ);
        let read = tokio::select! {
            read = timeout_at(deadline, client.stream.read_buf(&mut client.buf)) => read,
            // An idle connection is not kept over the end of the relay.
            _ = stopping.wait_for(|stopping| *stopping), if !begun => return Next::Gone,
        };
        match read {
            Ok(Ok(0)) | Ok(Err(_)) if client.buf.is_empty() => return Next::Gone,
            Ok(Ok(0)) | Ok(Err(_)) => return Next::Bad(bad(Malformed::Cut)),
            Ok(Ok(_)) => {}
            // Who has said nothing is not spoken to.
            Err(_) if client.buf.is_empty() => return Next::Gone,
            Err(_) => return Next::Bad(Own::new(408, "the request's head did not come in time")),
        }
    }
}

/// The answer to a request that was not understood.
fn bad(error: Malformed) -> Own {
    match error {
        Malformed::TooLarge => Own::new(431, "the request's head is larger than the limit"),
        Malformed::TooManyHeaders => Own::new(431, "the request has more header fields than the limit"),
        Malformed::BareLineEnd => Own::new(400, "a line does not end with CR LF"),
        Malformed::LengthAndEncoding => Own::new(400, "both Content-Length and Transfer-Encoding"),
        Malformed::Length => Own::new(400, "an invalid or contradictory Content-Length"),
        Malformed::Encoding => Own::new(400, "a Transfer-Encoding other than chunked"),
        Malformed::Host => Own::new(400, "no Host, or more than one"),
        Malformed::Target => Own::new(400, "the request's target is no path"),
        Malformed::Chunk => Own::new(400, "a broken chunk"),
        Malformed::Cut => Own::new(400, "the request ended before its end"),
        Malformed::NotHttp => Own::new(400, "not an HTTP/1 request"),
    }
}

/// How long a `Retry-After` asks for when the gateway is away: about as long as one is held.
fn retry_after(hold: Duration) -> u32 {
    u32::try_from(hold.as_secs()).unwrap_or(u32::MAX).clamp(1, 30)
}
