//! From an address to a namespace joined, each step on record.
//!
//! The dial's steps are followed by two more under [`Step::FirstFrame`]: the opening packet with the server's promise,
//! and the namespace's answer. A session that is refused on the way is ended as properly as one that was held.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::{IoFault, RecentCloses, cause_of_close, refusal_from_io};
use mooring_core::handshake::{Established, HandshakeReport, Refusal, Step, StepRecord};
use mooring_core::limits::{MAX_EVIDENCE_VALUE, clip};
use mooring_core::observation::Close;
use mooring_wire::dial::exchange::MAX_BODY;
use mooring_wire::{Ask, HTTP_AFTER_101, Redactor, Target, dial, exchange};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::link::{Heard, Link};
use super::polling::Polling;
use super::web::Web;
use super::{Beats, Client, MAX_KEEP, Options};
use crate::endpoint::{self, Way};
use crate::open::Open;
use crate::packet::engine::{Packet as Engine, close_payload, decode_payload, opening_of_version_3};
use crate::packet::socket::{Kind, Packet};
use crate::refusal::{EngineError, NamespaceError, refine, refuse};

/// A session that was not opened, or not let into its namespace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.refusal().map_or("refused", |r| r.message.as_str()))]
pub struct ConnectError {
    /// Every step, the refusal included.
    pub report: HandshakeReport,
    /// What the server said when it opened the session, if it went that far.
    pub open: Option<Open>,
    /// Which layer it was.
    pub why: Why,
}

impl ConnectError {
    /// Step, cause and words.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.report.outcome.as_ref().err()
    }
}

/// Which layer refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// Below Engine.IO: the report says all.
    Dial,
    /// Engine.IO, with its code.
    Engine(EngineError),
    /// What opened was not Engine.IO 4, or did not say so in time.
    Opening,
    /// The session ended before the namespace answered.
    Ended(Close),
    /// The namespace.
    Namespace(NamespaceError),
    /// The namespace did not answer in time.
    NoAnswer,
}

/// A session that is open, without a namespace. A server ends it if it stays so.
pub struct Opened {
    link: Link,
    open: Open,
    record: Record,
    redactor: Redactor,
    close_timeout: Duration,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("open", &self.open).finish_non_exhaustive()
    }
}

/// The report while it is written.
struct Record {
    start: Instant,
    last: Instant,
    report: HandshakeReport,
}

impl Record {
    fn new(start: Instant, report: HandshakeReport) -> Self {
        Self { start, last: Instant::now(), report }
    }

    fn step(&mut self, step: Step, ok: bool, detail: &str) {
        let now = Instant::now();
        self.report.steps.push(StepRecord {
            step,
            at: now.duration_since(self.start),
            took: now.duration_since(self.last),
            ok,
            detail: clip(detail, MAX_EVIDENCE_VALUE),
        });
        self.last = now;
        self.report.took = now.duration_since(self.start);
    }

    fn error(mut self, refusal: Refusal, open: Option<Open>, why: Why) -> Box<ConnectError> {
        match self.report.steps.last_mut() {
            // An answer came, but not the one that was asked for: that is the same step, gone wrong.
            Some(last) if refusal.step == Step::Status && last.step == Step::Status => {
                last.ok = false;
                last.detail = clip(&refusal.message, MAX_EVIDENCE_VALUE);
            }
            _ => self.step(refusal.step, false, &refusal.message),
        }
        self.report.outcome = Err(refusal);
        Box::new(ConnectError { report: self.report, open, why })
    }
}

/// Opens a session and goes no further than Engine.IO.
///
/// # Errors
/// As [`Client::connect`].
pub async fn open(target: &Target, options: &Options) -> Result<Opened, Box<ConnectError>> {
    let start = Instant::now();
    let path = endpoint::request(target.url(), 4, options.way, None, &options.query);
    let target = match target.at(&path) {
        Ok(target) => target,
        Err(error) => {
            let report = HandshakeReport {
                steps: Vec::new(),
                answer: None,
                outcome: Ok(Established::default()),
                took: Duration::ZERO,
            };
            let refusal = refuse(Step::Resolve, Cause::ObserverStalled, &error.to_string());
            return Err(Record::new(start, report).error(refusal, None, Why::Dial));
        }
    };
    let redactor = Redactor::of(&target).and(options.auth.iter().flat_map(strings));
    match options.way {
        Way::WebSocket => Box::pin(by_web(start, target, redactor, options)).await,
        Way::Polling => Box::pin(by_polling(start, target, redactor, options)).await,
    }
}

async fn by_web(
    start: Instant,
    mut target: Target,
    redactor: Redactor,
    options: &Options,
) -> Result<Opened, Box<ConnectError>> {
    // The first message is the opening packet, and it is read here.
    target.timeouts.first_frame = None;
    let dialled = dial(&target).await;
    let mut record = Record::new(start, dialled.report);
    let Some(session) = dialled.session else {
        let why = refine(&mut record.report, Way::WebSocket).map_or(Why::Dial, Why::Engine);
        if let (Err(refusal), Some(last)) = (&mut record.report.outcome, record.report.steps.last_mut()) {
            refusal.message = redactor.clean(&refusal.message);
            last.detail = clip(&refusal.message, MAX_EVIDENCE_VALUE);
        }
        return Err(Box::new(ConnectError { report: record.report, open: None, why }));
    };
    let mut link = Link::Web(Box::new(Web::new(session, options.keep.clamp(1024, MAX_KEEP))));
    let until = Instant::now() + options.open_timeout;
    let refusal = loop {
        match timeout_at(until, link.hear()).await {
            Ok(Heard::Packet(Engine::Open(json))) => match Open::parse(&json) {
                Ok(open) => {
                    record.step(Step::FirstFrame, true, &format!("Engine.IO opened: {}", open.words()));
                    let close_timeout = options.close_timeout;
                    return Ok(Opened { link, open, record, redactor, close_timeout });
                }
                Err(why) => break (not_engine_io(&why.to_string()), Why::Opening, None),
            },
            Ok(Heard::Packet(other)) => {
                let what = format!("the first packet is `{}` instead of `open`", other.name());
                break (not_engine_io(&what), Why::Opening, None);
            }
            Ok(Heard::Unreadable(..)) => {
                break (not_engine_io("the first message is no Engine.IO packet"), Why::Opening, None);
            }
            Ok(Heard::Dropped(size)) => {
                break (not_engine_io(&format!("the first message has {size} bytes")), Why::Opening, None);
            }
            Ok(Heard::Alive) => {}
            Ok(Heard::Closed(close)) => break (ended(&close), Why::Ended(close.clone()), Some(close)),
            Err(_) => {
                let detail = "no opening packet: is this Socket.IO?";
                let refusal =
                    refusal_from_io(IoFault::TimedOut, Step::FirstFrame, options.open_timeout, detail);
                break (refusal, Why::Opening, None);
            }
        }
    };
    let (refusal, why, over) = refusal;
    let refusal = Refusal { message: redactor.clean(&refusal.message), ..refusal };
    let error = record.error(refusal, None, why);
    link.end(over, options.close_timeout).await;
    Err(error)
}

async fn by_polling(
    start: Instant,
    target: Target,
    redactor: Redactor,
    options: &Options,
) -> Result<Opened, Box<ConnectError>> {
    let asked = exchange(&target, &Ask::get(MAX_BODY)).await;
    let report = HandshakeReport {
        steps: asked.steps,
        answer: asked.outcome.as_ref().ok().cloned(),
        outcome: Ok(Established {
            peer: asked.peer.map(|p| p.to_string()).unwrap_or_default(),
            subprotocol: None,
        }),
        took: asked.took,
    };
    let mut record = Record::new(start, report);
    let answer = match asked.outcome {
        Ok(answer) => answer,
        Err(refusal) => {
            record.report.outcome = Err(refusal);
            return Err(Box::new(ConnectError { report: record.report, open: None, why: Why::Dial }));
        }
    };
    let refused = |record: Record, step, cause, words: &str, why| {
        Err(record.error(refuse(step, cause, &redactor.clean(words)), None, why))
    };
    if answer.status != 200 {
        if let Some(error) = EngineError::of_body(&asked.body) {
            let (cause, words) = (error.cause(Way::Polling), error.words(Way::Polling));
            return refused(record, Step::Status, cause, &words, Why::Engine(error));
        }
        // Nothing here is about an upgrade, but a status means the same to any request.
        let facts = mooring_core::classify::UpgradeFacts { took: asked.took, ..Default::default() };
        let judged = mooring_core::classify::refusal_from_answer(&answer, &facts);
        let (cause, words) = judged.map_or((Cause::WrongProtocol, String::new()), |r| {
            (r.cause, r.message.replacen(" instead of 101", "", 1))
        });
        return refused(record, Step::Status, cause, &words, Why::Dial);
    }
    let text = String::from_utf8_lossy(&asked.body);
    if let Some(open) = opening_of_version_3(&text).and_then(|json| Open::parse(json).ok()) {
        let path = endpoint::request(target.url(), 3, Way::Polling, Some(&open.sid), &[]);
        if let Ok(target) = target.at(&path) {
            let leave = Ask::post(close_payload(3).to_owned(), 256).cookies(&asked.cookies);
            // It was opened against our wish; what becomes of it changes nothing.
            let _ = exchange(&target, &leave).await;
        }
        let words = "the server speaks Engine.IO 3: it is one of Socket.IO 2";
        return refused(record, Step::FirstFrame, Cause::EngineIoVersionMismatch, words, Why::Opening);
    }
    let mut packets = match decode_payload(&text) {
        Ok(packets) if asked.complete => packets.into_iter(),
        _ => {
            let words = "an ordinary page answers: no Engine.IO at this path";
            return refused(record, Step::Status, Cause::UpgradeNotPerformed, words, Why::Opening);
        }
    };
    let opening = match packets.next() {
        Some(Engine::Open(json)) => Open::parse(&json).map_err(|e| e.to_string()),
        Some(other) => Err(format!("the first packet is `{}` instead of `open`", other.name())),
        None => Err("nothing came".to_owned()),
    };
    let open = match opening {
        Ok(open) => open,
        Err(why) => {
            let refusal = not_engine_io(&why);
            return refused(record, refusal.step, refusal.cause, &refusal.message, Why::Opening);
        }
    };
    record.step(Step::FirstFrame, true, &format!("Engine.IO opened: {}", open.words()));
    let path = endpoint::request(target.url(), 4, Way::Polling, Some(&open.sid), &[]);
    let target = match target.at(&path) {
        Ok(target) => target,
        Err(error) => {
            return refused(record, Step::FirstFrame, Cause::WrongProtocol, &error.to_string(), Why::Opening);
        }
    };
    let mut polling = Polling::new(target, asked.cookies, open.silence(), options.keep.clamp(1024, MAX_KEEP));
    polling.push(packets);
    let link = Link::Polling(Box::new(polling));
    Ok(Opened { link, open, record, redactor, close_timeout: options.close_timeout })
}

impl Opened {
    /// What the server said.
    #[must_use]
    pub fn opening(&self) -> &Open {
        &self.open
    }

    /// Every step that led here.
    #[must_use]
    pub fn report(&self) -> &HandshakeReport {
        &self.record.report
    }

    /// Ends it properly, without having joined anything.
    pub async fn leave(self) -> Close {
        Box::pin(self.link.end(None, self.close_timeout)).await
    }

    /// Joins the namespace of the options.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn join(mut self, options: &Options) -> Result<Client, Box<ConnectError>> {
        let packet = Packet::connect(&options.namespace, options.auth.clone());
        let (refusal, why, over) = if self.link.say(Engine::Text(packet.encode())) {
            match self.answer(options).await {
                Ok(sid) => return Ok(self.joined(options, sid)),
                Err(refused) => *refused,
            }
        } else {
            let words = "the namespace's name and the auth payload are too large to send";
            (refuse(Step::FirstFrame, Cause::ObserverStalled, words), Why::NoAnswer, None)
        };
        let refusal = Refusal { message: self.redactor.clean(&refusal.message), ..refusal };
        let error = self.record.error(refusal, Some(self.open), why);
        self.link.end(over, self.close_timeout).await;
        Err(error)
    }

    async fn answer(
        &mut self,
        options: &Options,
    ) -> Result<Option<String>, Box<(Refusal, Why, Option<Close>)>> {
        let until = Instant::now() + options.join_timeout;
        let refuse = |cause, words: &str| refuse(Step::FirstFrame, cause, words);
        loop {
            let text = match timeout_at(until, self.link.hear()).await {
                Ok(Heard::Packet(Engine::Ping(data))) => {
                    self.link.say(Engine::Pong(data));
                    continue;
                }
                Ok(Heard::Packet(Engine::Text(text))) => text,
                Ok(Heard::Closed(close)) => {
                    let refused = self.link.refused().cloned();
                    let (refusal, why) = match refused {
                        Some(e) => (refuse(e.cause(Way::Polling), &e.words(Way::Polling)), Why::Engine(e)),
                        None => (ended(&close), Why::Ended(close.clone())),
                    };
                    return Err(Box::new((refusal, why, Some(close))));
                }
                Ok(_) => continue,
                Err(_) => {
                    let words = format!(
                        "the namespace {} does not answer within {:?}: does its middleware call next()?",
                        options.namespace, options.join_timeout
                    );
                    return Err(Box::new((refuse(Cause::NoFirstFrame, &words), Why::NoAnswer, None)));
                }
            };
            match Packet::decode(&text) {
                Ok(Packet { namespace, kind }) if namespace == options.namespace => match kind {
                    Kind::Connect(Some(payload)) => {
                        return Ok(payload.get("sid").and_then(Value::as_str).map(|s| clip(s, 256)));
                    }
                    Kind::Connect(None) => {
                        let words =
                            "the namespace answers without an id, as Socket.IO 2 does: another version";
                        let refusal = refuse(Cause::EngineIoVersionMismatch, words);
                        return Err(Box::new((refusal, Why::Opening, None)));
                    }
                    Kind::ConnectError(payload) => {
                        let said = payload.get("message").unwrap_or(&payload).as_str().unwrap_or_default();
                        let message = clip(&self.redactor.clean(said), MAX_EVIDENCE_VALUE);
                        let error = NamespaceError { namespace, message };
                        let refusal = refuse(error.cause(), &error.words());
                        return Err(Box::new((refusal, Why::Namespace(error), None)));
                    }
                    _ => {}
                },
                // Others' packets, and what an older version sends before it is asked.
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn joined(mut self, options: &Options, sid: Option<String>) -> Client {
        let detail = format!("joined the namespace {}", options.namespace);
        self.record.step(Step::FirstFrame, true, &detail);
        Client {
            link: self.link,
            open: self.open,
            report: self.record.report,
            namespace: options.namespace.clone(),
            sid,
            close_timeout: self.close_timeout,
            beats: Beats::default(),
            beat: Instant::now(),
            told: false,
            pending: None,
            next_ack: 0,
            over: None,
        }
    }
}

fn not_engine_io(words: &str) -> Refusal {
    let words = format!("what answers does not speak Engine.IO 4: {words}");
    refuse(Step::FirstFrame, Cause::WrongProtocol, &words)
}

/// A session that ended before it was of use.
fn ended(close: &Close) -> Refusal {
    let verdict = cause_of_close(close, &RecentCloses::default());
    let two = close.error.as_ref().is_some_and(|e| e.contains(HTTP_AFTER_101));
    let cause = if two { Cause::TwoWebSocketServers } else { verdict.cause };
    refuse(Step::FirstFrame, cause, &verdict.message)
}

/// Every text in a value: an auth payload's secrets.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(map) => map.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}
