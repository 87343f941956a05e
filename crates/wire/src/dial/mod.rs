//! Opens a WebSocket connection and writes down every step of it.
//!
//! The steps run one after the other, each with its own time limit, each leaving one record; the first that fails ends
//! the dial with a refusal that `core::classify` words. Nothing about the outcome is decided here but *which* fact it
//! was.
//!
//! A dial that failed still holds a connection that somebody at the other end may be working on: it is ended gently
//! (see `transport.rs`), after the report's clock has stopped. Hence a dial may return up to one second after its
//! last time limit. Let it run to its end: dropping it half-way closes the socket at once.

mod answer;
mod body;
mod connect;
pub mod exchange;
mod record;
mod tls;

use std::io;
use std::net::SocketAddr;

use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, refusal_from_io};
use mooring_core::handshake::{Established, HandshakeReport, HttpAnswer, Refusal, Step};
use mooring_core::limits::{MAX_MESSAGE, clip};

use crate::redact::Redactor;
use crate::session::Session;
use crate::target::Target;
use crate::transport::{Transport, linger};
use record::Recorder;

/// A dial that has ended.
#[derive(Debug)]
pub struct Dialled {
    /// What happened, step by step.
    pub report: HandshakeReport,
    /// The open session, where the handshake went through.
    pub session: Option<Session>,
}

/// A step that failed: what is said about it, and the connection that is still to be ended.
pub(crate) struct Failure {
    refusal: Refusal,
    transport: Option<Transport>,
    session: Option<Session>,
}

impl Failure {
    fn without_connection(refusal: Refusal) -> Box<Self> {
        Box::new(Self { refusal, transport: None, session: None })
    }

    fn over(refusal: Refusal, transport: Transport) -> Box<Self> {
        Box::new(Self { refusal, transport: Some(transport), session: None })
    }

    fn of_session(refusal: Refusal, session: Session) -> Box<Self> {
        Box::new(Self { refusal, transport: None, session: Some(session) })
    }
}

/// Opens a connection as the target says. Never fails: a refusal is part of the report.
///
/// Takes at most the sum of the target's time limits, plus 300 ms for the start of a refusal's body and one second to
/// end a refused connection gently.
pub async fn dial(target: &Target) -> Dialled {
    let mut recorder = Recorder::start();
    let mut answer = None;
    let redactor = Redactor::of(target);
    let result = Box::pin(attempt(target, &mut recorder, &mut answer)).await;
    if let Some(answer) = &mut answer {
        redactor.clean_answer(answer);
    }
    let (outcome, session, remains) = match result {
        Ok((session, subprotocol)) => {
            let established = Established { peer: session.peer().to_string(), subprotocol };
            (Ok(established), Some(session), None)
        }
        Err(mut failure) => {
            let message = clip(&redactor.clean(&failure.refusal.message), MAX_MESSAGE);
            let refusal = Refusal { message, ..failure.refusal.clone() };
            recorder.failed(refusal.step, &refusal.message);
            (Err(refusal), None, Some((failure.transport.take(), failure.session.take())))
        }
    };
    let mut report = recorder.report(answer, outcome);
    // From the status on, the peer's words are in the records.
    for record in report.steps.iter_mut().filter(|r| r.step >= Step::Status) {
        record.detail = redactor.clean(&record.detail);
    }
    if let Err(refusal) = &report.outcome {
        tracing::debug!(url = %target.url(), step = %refusal.step, cause = %refusal.cause, "dial refused");
    }
    match remains {
        Some((Some(transport), _)) => linger(transport).await,
        Some((None, Some(session))) => session.finish().await,
        _ => {}
    }
    Dialled { report, session }
}

async fn attempt(
    target: &Target,
    recorder: &mut Recorder,
    answer: &mut Option<HttpAnswer>,
) -> Result<(Session, Option<String>), Box<Failure>> {
    let (transport, peer) = open(target, recorder).await?;
    answer::upgrade(target, transport, peer, recorder, answer).await
}

/// A stream to the target: name, TCP, and TLS where it is asked for.
async fn open(target: &Target, recorder: &mut Recorder) -> Result<(Transport, SocketAddr), Box<Failure>> {
    if let Err(error) = target.check() {
        // Said at the step that would have needed it.
        let step = if target.url().tls() { Step::Tls } else { Step::Subprotocol };
        let cause = if target.url().tls() { Cause::TlsFailed } else { Cause::SubprotocolRefused };
        return Err(Failure::without_connection(Refusal { step, cause, message: error.to_string() }));
    }
    let addresses = connect::resolve(target, recorder).await?;
    let (tcp, peer) = connect::connect(target, &addresses, recorder).await?;
    let transport =
        if target.url().tls() { tls::handshake(target, tcp, recorder).await? } else { Transport::plain(tcp) };
    Ok((transport, peer))
}

/// What an error of the stream was: rustls hides its own inside `io::Error`.
pub(crate) fn fault_of(error: &io::Error) -> (IoFault, String) {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            (IoFault::Certificate, tls::certificate_words(problem))
        }
        Some(other) => (IoFault::Tls, tls::words(other)),
        None => (IoFault::of(error), error.to_string()),
    }
}

/// The refusal for an error of the stream at a step, with the time since the step began.
pub(crate) fn refuse_io(error: &io::Error, step: Step, recorder: &Recorder) -> Refusal {
    let (fault, words) = fault_of(error);
    // The kind's own words say nothing that the refusal does not say better.
    let detail = if matches!(fault, IoFault::Eof | IoFault::TimedOut) { "" } else { words.as_str() };
    refusal_from_io(fault, step, recorder.since_last(), detail)
}
