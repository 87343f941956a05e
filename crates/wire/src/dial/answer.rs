//! From the request to the verdict on its answer, and to the first frame where one is expected.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::{
    IoFault, RecentCloses, UpgradeFacts, cause_of_close, refusal_from_answer, refusal_from_io,
};
use mooring_core::handshake::{HttpAnswer, Refusal, Step};
use mooring_core::observation::Close;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::record::Recorder;
use super::{Failure, refuse_io};
use crate::answer::{Head, Scanner, Unreadable, check_start, parse};
use crate::redact::Redactor;
use crate::request;
use crate::session::{Event, HTTP_AFTER_101, Session};
use crate::target::Target;
use crate::transport::Transport;

/// Longest that the start of a refusal's body is waited for.
const BODY_TIME: Duration = Duration::from_millis(300);

pub(super) async fn upgrade(
    target: &Target,
    mut transport: Transport,
    peer: SocketAddr,
    recorder: &mut Recorder,
    kept: &mut Option<HttpAnswer>,
) -> Result<(Session, Option<String>), Box<Failure>> {
    let key = generate_key();
    let end = Instant::now() + target.timeouts.answer;
    let request = request::upgrade(target, &key);
    if let Err(error) = within(end, send(&mut transport, &request)).await {
        return Err(Failure::over(refuse_io(&error, Step::Request, recorder), transport));
    }
    recorder.done(Step::Request, &format!("GET {}, {} bytes", target.url(), request.len()));

    let (mut head, mut rest) = match read_head(target, &mut transport, end, recorder).await {
        Ok(read) => read,
        Err(refusal) => return Err(Failure::over(refusal, transport)),
    };
    let took = recorder.since_last();
    recorder.hold();
    read_body(target, &mut transport, &mut head, &mut rest).await;
    let accept = derive_accept_key(key.as_bytes());
    let facts = UpgradeFacts {
        accept: &accept,
        subprotocols: target.subprotocols(),
        subprotocol_required: target.subprotocol_required(),
        took,
    };
    let refusal = refusal_of(&head, &facts);
    record(&head, target, refusal.as_ref(), recorder);
    let subprotocol = head.answer.header("sec-websocket-protocol").map(|p| p.trim().to_owned());
    *kept = Some(head.answer);
    if let Some(refusal) = refusal {
        return Err(Failure::over(refusal, transport));
    }
    let session = Session::over(transport, peer, rest, &target.limits, Redactor::of(target)).await;
    let session = first_frame(target, session, recorder).await?;
    Ok((session, subprotocol))
}

pub(super) async fn send(transport: &mut Transport, bytes: &[u8]) -> io::Result<()> {
    transport.write_all(bytes).await?;
    transport.flush().await
}

/// A step of the stream with a deadline, which fails as the stream itself would.
pub(super) async fn within<T>(end: Instant, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(end, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads the header block; also returns what came after it in the same read.
pub(super) async fn read_head(
    target: &Target,
    transport: &mut Transport,
    end: Instant,
    recorder: &Recorder,
) -> Result<(Head, Vec<u8>), Refusal> {
    let most = target.limits.answer_head;
    let unreadable = |why: Unreadable| {
        let (fault, words) = match why {
            Unreadable::Malformed(words) => (IoFault::Malformed, words),
            Unreadable::Tls(words) => (IoFault::NotTls, words),
            Unreadable::TooLarge(words) => (IoFault::TooLarge, words),
        };
        refusal_from_io(fault, Step::Status, recorder.since_last(), &words)
    };
    let mut buf = Vec::with_capacity(1024);
    let mut scanner = Scanner::default();
    let mut scratch = vec![0; 4096];
    loop {
        let n = match within(end, transport.read(&mut scratch)).await {
            Ok(n) => n,
            Err(error) if buf.is_empty() => return Err(refuse_io(&error, Step::Status, recorder)),
            Err(error) => {
                let fault = super::fault_of(&error).0;
                let detail = format!("the answer stopped after {} bytes, within its headers", buf.len());
                return Err(refusal_from_io(fault, Step::Status, recorder.since_last(), &detail));
            }
        };
        if n == 0 {
            if buf.is_empty() {
                return Err(refuse_io(&io::ErrorKind::UnexpectedEof.into(), Step::Status, recorder));
            }
            // Hand-written refusals often lack the blank line: what came before the end is what was meant.
            buf.extend_from_slice(b"\r\n\r\n");
            return parse(&buf, &target.limits).map(|head| (head, Vec::new())).map_err(unreadable);
        }
        buf.extend_from_slice(&scratch[..n]);
        check_start(&buf).map_err(unreadable)?;
        while let Some(at) = scanner.find_end(&buf) {
            if at > most {
                break;
            }
            let rest = buf.split_off(at);
            let head = parse(&buf, &target.limits).map_err(unreadable)?;
            // An interim answer (RFC 9110 §15.2) announces the real one.
            if !matches!(head.answer.status, 100 | 102..=199) {
                return Ok((head, rest));
            }
            buf = rest;
            scanner = Scanner::default();
            check_start(&buf).map_err(unreadable)?;
        }
        if buf.len() > most {
            return Err(unreadable(Unreadable::TooLarge(format!(
                "the answer's headers are longer than {most} bytes"
            ))));
        }
    }
}

async fn read_body(target: &Target, transport: &mut Transport, head: &mut Head, rest: &mut Vec<u8>) {
    let wanted = head.body_wanted(&target.limits);
    if wanted == 0 {
        return;
    }
    let read = async {
        let mut scratch = vec![0; 512];
        while rest.len() < wanted && !head.body_complete(rest) {
            match transport.read(&mut scratch).await {
                Ok(0) | Err(_) => break,
                Ok(n) => rest.extend_from_slice(&scratch[..n]),
            }
        }
    };
    // What has come by then is the evidence there is.
    let _ = timeout(BODY_TIME, read).await;
    head.keep_body(rest, &target.limits);
}

fn refusal_of(head: &Head, facts: &UpgradeFacts<'_>) -> Option<Refusal> {
    if head.old && head.answer.status == 101 {
        let message =
            "101 in HTTP/1.0, which knows no upgrade: a proxy speaks HTTP/1.0 to the gateway".to_owned();
        return Some(Refusal { step: Step::Status, cause: Cause::WrongProtocol, message });
    }
    refusal_from_answer(&head.answer, facts)
}

/// Records the steps of the answer up to the one that failed, which the caller records.
fn record(head: &Head, target: &Target, refusal: Option<&Refusal>, recorder: &mut Recorder) {
    let value = |name: &str| head.answer.header(name).unwrap_or("-").to_owned();
    let status = format!("{} {} {}", head.version, head.answer.status, head.answer.reason);
    let mut steps = vec![
        (Step::Status, status.trim_end().to_owned()),
        (Step::Upgrade, value("upgrade")),
        (Step::Connection, value("connection")),
        (Step::Accept, "matches the key".to_owned()),
    ];
    if !target.subprotocols().is_empty() {
        steps.push((
            Step::Subprotocol,
            head.answer.header("sec-websocket-protocol").unwrap_or("none chosen").to_owned(),
        ));
    }
    for (step, detail) in steps {
        if refusal.is_some_and(|r| r.step <= step) {
            return;
        }
        recorder.done(step, &detail);
    }
}

/// Waits for the first message where one is expected. Control frames are no sign that the application lives.
async fn first_frame(
    target: &Target,
    mut session: Session,
    recorder: &mut Recorder,
) -> Result<Session, Box<Failure>> {
    if session.begins_with_http() {
        let detail = format!("{HTTP_AFTER_101}: two WebSocket servers on one HTTP server?");
        let refusal = refusal_from_io(IoFault::Malformed, Step::FirstFrame, recorder.since_last(), &detail);
        session.close(1002, "");
        return Err(Failure::of_session(refusal, session));
    }
    let Some(limit) = target.timeouts.first_frame else { return Ok(session) };
    let wait = async {
        loop {
            match session.event().await {
                Event::Ping | Event::Pong(_) => {}
                other => return other,
            }
        }
    };
    let event = timeout(limit, wait).await;
    let took = recorder.since_last();
    let refuse = |fault, detail: &str| refusal_from_io(fault, Step::FirstFrame, took, detail);
    let refusal = match event {
        Ok(Event::Data(data)) => {
            recorder.done(Step::FirstFrame, &format!("a message of {} bytes", data.size));
            return Ok(session);
        }
        Ok(Event::Close(code, reason)) => {
            let close =
                Close { code: Some(code), reason, by_us: false, age: took, silent_for: took, error: None };
            let verdict = cause_of_close(&close, &RecentCloses::default());
            Refusal { step: Step::FirstFrame, cause: verdict.cause, message: verdict.message }
        }
        Ok(Event::Ended(end)) => {
            let detail = end.error.unwrap_or_else(|| "the session ended without a Close frame".to_owned());
            match end.violation {
                Some(code) => {
                    session.close(code, "");
                    let fault = if code == 1009 { IoFault::TooLarge } else { IoFault::Malformed };
                    refuse(fault, &detail)
                }
                None => refuse(IoFault::Eof, &detail),
            }
        }
        // The ones left do not leave the loop above.
        Ok(Event::Ping | Event::Pong(_)) | Err(_) => {
            session.close(1000, "");
            refuse(IoFault::TimedOut, "")
        }
    };
    Err(Failure::of_session(refusal, session))
}
