//! An upgrade request: passed to the gateway, its answer verified, and then a session.
//!
//! While the gateway thinks, the client must be silent. What it sends before it has seen the 101 it cannot mean for a
//! WebSocket, so it is refused and never forwarded; if it goes, nobody waits for the gateway any more.

use std::sync::Arc;
use std::time::Instant;

use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, refusal_from_io};
use mooring_core::handshake::{Refusal, Step};
use mooring_core::session::SessionState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant as Deadline, timeout};

use super::client::{Client, Stirred, host};
use super::pass;
use super::refuse::Refusing;
use super::retry_after;
use crate::admission::Place;
use crate::dial::{Unreached, dial};
use crate::entry::Entry;
use crate::event::{Event, RefusedBy};
use crate::gate::{Mode, Turned};
use crate::http::answer::Own;
use crate::http::forward;
use crate::http::head::{self, Answer, Request};
use crate::http::upgrade::{Agreed, Asked, asked, evidence};
use crate::pump::Opening;
use crate::record::Record;
use crate::shared::Shared;
use crate::stream::Gentle;

/// A gateway that did not answer as it should.
pub(super) enum Failed {
    Turned(Turned),
    Unreached(Unreached),
    /// It broke off, was silent, or said what is no answer.
    Answer(Refusal, Own),
}

/// A gateway's answer, and what came after its head.
pub(super) struct Answered {
    pub(super) stream: Gentle,
    pub(super) rest: Vec<u8>,
    pub(super) answer: Answer,
}

/// Makes a session of an upgrade request, or answers why not.
pub(super) async fn upgrade(
    shared: &Arc<Shared>,
    mut client: Client,
    place: Place,
    request: Request,
) -> Option<Box<Opening>> {
    let peer = client.origin(shared, &request.headers);
    let instance = shared.config.instances.of(&request.target);
    let refusing = Refusing::of(shared, peer, instance.clone());
    let asked = match asked(&request, shared.config.origins.as_deref()) {
        Ok(asked) => asked,
        Err(own) => {
            refusing.invalid(Some(own.status), own.why);
            client.answer(&own, false).await;
            return None;
        }
    };
    const PIPELINED: Own = Own::new(400, "bytes sent before the upgrade was answered");
    if !client.buf.is_empty() {
        refusing.invalid(Some(400), PIPELINED.why);
        client.answer(&PIPELINED, false).await;
        return None;
    }
    let Some(entry) = Entry::new(shared, instance, peer, client.listener) else {
        let own = Own::retry(503, "too many sessions", 5);
        refusing.limit(Some(own.status), own.why);
        client.answer(&own, false).await;
        return None;
    };
    let begun = Instant::now();
    let host = host(&request);
    let forwarded = forward::upgrade_request(request, &client.from(shared, &host));
    let addresses = (client.peer, client.local);
    let outcome = tokio::select! {
        biased;
        stirred = client.stirs() => Err(stirred),
        answered = ask(shared, addresses, &forwarded, &entry.record) => Ok(answered),
    };
    let answered = match outcome {
        Ok(Ok(answered)) => answered,
        Ok(Err(failed)) => {
            let own = failed.tell(&refusing, shared);
            client.answer(&own, false).await;
            return None;
        }
        Err(Stirred::Gone) => {
            refusing.tell(RefusedBy::Client, None, Cause::SessionLost, "the client left before the answer");
            return None;
        }
        Err(Stirred::Talks) => {
            refusing.invalid(Some(400), PIPELINED.why);
            client.answer(&PIPELINED, false).await;
            return None;
        }
    };
    if answered.answer.status != 101 {
        // No session comes of it, and the answer may be endless: no order may wait for it.
        drop(entry);
        pass_refusal(shared, client, answered, &asked, begun, &refusing).await;
        return None;
    }
    switch(shared, client, answered, &asked, begun, &refusing, entry, place).await
}

/// Reaches the gateway, sends the request and reads the head of the answer.
async fn ask(
    shared: &Shared,
    (peer, local): (Option<std::net::SocketAddr>, Option<std::net::SocketAddr>),
    request: &Request,
    record: &Record,
) -> Result<Answered, Failed> {
    let mut stream = reach(shared, peer, local, Some(record)).await?;
    let begun = Instant::now();
    let broken = |fault, detail: &str| {
        let refusal = refusal_from_io(fault, Step::Status, begun.elapsed(), detail);
        let own = match fault {
            IoFault::TimedOut => Own::new(504, "the gateway did not answer in time"),
            _ => Own::new(502, "the gateway broke off"),
        };
        Failed::Answer(refusal, own)
    };
    let mut rest = Vec::new();
    let exchange = async {
        let mut bytes = Vec::with_capacity(1024);
        request.write(&mut bytes);
        stream.write_all(&bytes).await.map_err(|e| broken(IoFault::of(&e), &e.to_string()))?;
        stream.flush().await.map_err(|e| broken(IoFault::of(&e), &e.to_string()))?;
        loop {
            let answer = read_answer(&mut stream, &mut rest, shared.config.limits.head)
                .await
                .map_err(|(fault, detail)| broken(fault, &detail))?;
            // Provisional answers mean nothing to who asks for an upgrade.
            if answer.status == 101 || answer.status >= 200 {
                return Ok(answer);
            }
        }
    };
    match timeout(shared.config.times.upgrade, exchange).await {
        Ok(Ok(answer)) => Ok(Answered { stream, rest, answer }),
        Ok(Err(failed)) => Err(failed),
        Err(_) => Err(broken(IoFault::TimedOut, "")),
    }
}

/// Reads the head of an answer; what was read beyond it stays in the buffer.
pub(super) async fn read_answer<R: tokio::io::AsyncRead + Unpin>(
    from: &mut R,
    buf: &mut Vec<u8>,
    limit: usize,
) -> Result<Answer, (IoFault, String)> {
    let mut seen = 0;
    loop {
        let malformed = |e: crate::http::Malformed| (IoFault::Malformed, e.to_string());
        if let Some(end) = head::end(buf, &mut seen, limit).map_err(malformed)? {
            let head: Vec<u8> = buf.drain(..end).collect();
            return Answer::parse(&head).map_err(malformed);
        }
        buf.reserve(2048);
        match from.read_buf(buf).await {
            Ok(0) if buf.is_empty() => return Err((IoFault::Eof, String::new())),
            Ok(0) => return Err((IoFault::Malformed, "the answer ended in its head".to_owned())),
            Ok(_) => {}
            Err(error) => return Err((IoFault::of(&error), error.to_string())),
        }
    }
}

/// Opens a connection to the gateway, and waits for it where that is wanted.
pub(super) async fn reach(
    shared: &Shared,
    peer: Option<std::net::SocketAddr>,
    local: Option<std::net::SocketAddr>,
    record: Option<&Record>,
) -> Result<Gentle, Failed> {
    let hold = shared.config.hold;
    let until = Deadline::now() + hold.time;
    let mut held = None;
    loop {
        match shared.gate.mode() {
            Mode::Open => {}
            Mode::Refuse => return Err(Failed::Turned(Turned::Refused)),
            Mode::Hold => {
                if held.is_none() {
                    held = Some(shared.gate.hold().map_err(Failed::Turned)?);
                }
                record.inspect(|record| record.set_state(SessionState::Held));
                shared.gate.pass(until).await.map_err(Failed::Turned)?;
            }
        }
        match dial(shared, peer, local).await {
            Ok(stream) => {
                shared.gate.gateway_is_back();
                record.inspect(|record| record.set_state(SessionState::Opening));
                return Ok(Gentle::new(stream));
            }
            // Who was held by an order goes on waiting: a process that was started does not listen at once.
            Err(unreached) if unreached.refused && (hold.when_refused || held.is_some()) => {
                if held.is_none() {
                    held = Some(shared.gate.hold().map_err(Failed::Turned)?);
                }
                if let Some(record) = record {
                    record.set_state(SessionState::Held);
                    let Refusal { cause, message, .. } = unreached.refusal.clone();
                    shared.tell(Event::Away { instance: record.instance.clone(), cause, message });
                }
                if shared.gate.next_try(until).await.is_err() {
                    return Err(Failed::Unreached(unreached));
                }
            }
            Err(unreached) => return Err(Failed::Unreached(unreached)),
        }
    }
}

impl Failed {
    /// Tells of it; gives the answer for the client.
    pub(super) fn tell(self, refusing: &Refusing<'_>, shared: &Shared) -> Own {
        let again = retry_after(shared.config.hold.time);
        match self {
            Self::Turned(Turned::TooMany) => {
                let own = Own::retry(503, "the gateway is away and too many wait for it", again);
                refusing.limit(Some(own.status), own.why);
                own
            }
            Self::Turned(Turned::Refused) => {
                let own = Own::retry(503, "the gateway is being drained", again);
                refusing.tell(RefusedBy::Drained, Some(503), Cause::UnderRepair, own.why);
                own
            }
            Self::Turned(Turned::TooLong) => {
                let own = Own::retry(503, "the gateway is away", again);
                refusing.tell(RefusedBy::Drained, Some(503), Cause::UnderRepair, own.why);
                own
            }
            Self::Unreached(unreached) => {
                let own = if unreached.refused {
                    Own::retry(503, "the gateway does not take connections", again)
                } else if unreached.timed_out {
                    Own::new(504, "the gateway could not be reached in time")
                } else {
                    Own::new(502, "the gateway could not be reached")
                };
                let refusal = unreached.refusal;
                refusing.tell(RefusedBy::Unreachable, Some(own.status), refusal.cause, &refusal.message);
                own
            }
            Self::Answer(refusal, own) => {
                refusing.tell(RefusedBy::Gateway, Some(own.status), refusal.cause, &refusal.message);
                own
            }
        }
    }
}

/// The gateway said no, in HTTP: the client gets its answer.
async fn pass_refusal(
    shared: &Shared,
    mut client: Client,
    answered: Answered,
    asked: &Asked,
    begun: Instant,
    refusing: &Refusing<'_>,
) {
    let took = begun.elapsed();
    let Answered { mut stream, mut rest, answer } = answered;
    let mut start = Vec::new();
    let status = answer.status;
    let shown = answer.clone();
    let passing = pass::Answering {
        times: &shared.config.times,
        method: "GET",
        one_one: true,
        keep: false,
        pause: Some(shared.config.times.body),
        start: Some(&mut start),
    };
    let passed = passing.run(answer, &mut stream, &mut rest, &mut client.stream).await;
    if let Some(refusal) = asked.refusal(&evidence(&shown, &start), took) {
        refusing.tell(RefusedBy::Gateway, Some(status), refusal.cause, &refusal.message);
    }
    match passed {
        Err(pass::Wrong::Answer(own)) => tokio::join!(client.answer(&own, false), stream.linger()),
        // What has been begun cannot be answered anew; the client sees the end.
        _ => tokio::join!(client.stream.linger(), stream.linger()),
    };
}

/// Passes a proven 101 on, and relays from here.
#[expect(clippy::too_many_arguments, reason = "what a session is made of")]
async fn switch(
    shared: &Shared,
    mut client: Client,
    answered: Answered,
    asked: &Asked,
    begun: Instant,
    refusing: &Refusing<'_>,
    entry: Entry,
    place: Place,
) -> Option<Box<Opening>> {
    let Answered { stream: gateway, rest, answer } = answered;
    let refuse = async |client: Client, gateway: Gentle, own: Own| {
        tokio::join!(client.answer(&own, false), gateway.linger());
    };
    let agreed = match asked.agreed(&answer, begun.elapsed()) {
        Ok(agreed) => agreed,
        Err(refusal) => {
            let own = Own::new(502, "the gateway's answer to the upgrade is not valid");
            refusing.tell(RefusedBy::Gateway, Some(502), refusal.cause, &refusal.message);
            refuse(client, gateway, own).await;
            return None;
        }
    };
    // The last look is the kernel's own: what lies there now was sent before the 101 is.
    if client.stream.has_unread() {
        let own = Own::new(400, "bytes sent before the upgrade was answered");
        refusing.invalid(Some(400), own.why);
        refuse(client, gateway, own).await;
        return None;
    }
    let mut bytes = Vec::with_capacity(512);
    forward::switching(answer).write(&mut bytes);
    let sent = timeout(shared.config.times.handshake, async {
        client.stream.write_all(&bytes).await?;
        client.stream.flush().await
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        refusing.tell(RefusedBy::Client, None, Cause::SessionLost, "the client left before the answer");
        gateway.linger().await;
        return None;
    }
    if agreed != Agreed::default() {
        // Set once, here.
        let _ = entry.record.agreed.set(Box::new(agreed));
    }
    let gateway = gateway.take()?;
    Some(Box::new(Opening { client: client.stream, gateway, early: rest, entry, place }))
}
