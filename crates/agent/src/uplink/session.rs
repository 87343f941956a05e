//! One stream, from `Welcome` to its end.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use mooring_core::backoff::between;
use mooring_core::order::{Receipt, Stage};
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::examine::{AT_ONCE, Declined, MAX_STEPS, declined_to_pb};
use mooring_proto::link::OrderMessage;
use mooring_proto::sessions::{answer_to_pb, question_from_pb};
use mooring_proto::{duration, duration_from};
use mooring_runtime::lifecycle::Tokens;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::DropGuard;
use tonic::Status;

use super::Uplink;
use super::dial::{self, Attachment, DialError, dial};
use super::state::Board;
use crate::clock::now;
use crate::metrics::StreamEnd;

/// A heartbeat is answered at once, but not more often than this: two ends that answer each other's answers would do
/// nothing else.
const LEAST_GAP: Duration = Duration::from_millis(50);
/// How long the end of the process waits for the outbox to empty, and then for the controller to have read the goodbye.
const FLUSH: Duration = Duration::from_secs(2);
/// Room that reports leave in the queue to the transport for heartbeats and acknowledgements.
const RESERVED: usize = 8;
/// Questions that are answered at a time; a controller asks no more than half of it.
const MAX_QUESTIONS: usize = 64;
/// Examinations that may be answered at a time, refusals included; a controller asks for no more than half of it.
const MAX_EXAMINATIONS: usize = AT_ONCE * 2;
/// Orders of one message at most; more is not a controller's doing.
const MAX_ORDERS: usize = 10_000;

/// How a stream ended.
pub(super) enum End {
    /// We were told to stop.
    Stopped,
    /// It is gone.
    Lost {
        /// In words.
        why: String,
        /// How long the controller wants us to stay away.
        hint: Option<Duration>,
    },
}

impl End {
    fn lost(why: impl Into<String>) -> Self {
        Self::Lost { why: why.into(), hint: None }
    }

    fn by(status: &Status) -> Self {
        let why = format!("the controller ended the stream: {} ({:?})", status.message(), status.code());
        Self::Lost { why, hint: dial::hint(status) }
    }
}

type Mover = Pin<Box<dyn Future<Output = Result<Attachment, DialError>> + Send>>;

/// A stream in use.
pub(super) struct Session<'a> {
    uplink: &'a Uplink,
    board: &'a mut Board,
    /// Number of our last heartbeat, and of the last one heard.
    number: u64,
    seen: u64,
    beat_at: Instant,
    beaten: Instant,
    heard: Instant,
    /// Orders being put on record, in the order of their messages.
    taking: FuturesOrdered<BoxFuture<'static, u64>>,
    /// Questions about sessions that are being answered.
    answering: FuturesUnordered<BoxFuture<'static, pb::SessionsAnswer>>,
    /// Examinations under way for this stream, by number. Each ends when it is taken out.
    examining: HashMap<u64, DropGuard>,
    /// What they find.
    findings: (mpsc::Sender<pb::ExamineAnswer>, mpsc::Receiver<pb::ExamineAnswer>),
    /// Attaching elsewhere, make before break.
    moving: Option<Mover>,
}

impl<'a> Session<'a> {
    pub(super) fn new(uplink: &'a Uplink, board: &'a mut Board) -> Self {
        let now = Instant::now();
        Self {
            uplink,
            board,
            number: 0,
            seen: 0,
            beat_at: now,
            beaten: now,
            heard: now,
            taking: FuturesOrdered::new(),
            answering: FuturesUnordered::new(),
            examining: HashMap::new(),
            findings: findings(),
            moving: None,
        }
    }

    /// Runs on this stream, and on those that take its place.
    pub(super) async fn run(mut self, first: Attachment, tokens: &Tokens) -> End {
        let mut attachment = first;
        loop {
            self.begin(&attachment);
            let turn = self.talk(&mut attachment, tokens).await;
            self.uplink.outgoing.lock().detached();
            match turn {
                Turn::Moved(next) => {
                    // The newest epoch wins: dropping the old stream takes nothing away from the new one.
                    self.uplink.metrics.stream_ended(StreamEnd::Moved);
                    attachment = *next;
                }
                Turn::Over(why, end) => {
                    self.uplink.metrics.stream_ended(why);
                    return end;
                }
            }
        }
    }

    fn begin(&mut self, attachment: &Attachment) {
        let now = Instant::now();
        (self.number, self.seen, self.heard, self.beaten) = (0, 0, now, now);
        self.beat_at = now + attachment.beat.mul_f64(rand::random_range(0.5..1.0));
        self.taking = FuturesOrdered::new();
        self.answering = FuturesUnordered::new();
        self.examining.clear();
        self.findings = findings();
        self.board.attached(attachment.epoch, &attachment.controller, &attachment.address);
        let durable = self.uplink.outgoing.lock().attached(
            attachment.terms,
            crate::clock::now().mono,
            &mut rand::rng(),
        );
        self.durable(durable);
    }

    async fn talk(&mut self, at: &mut Attachment, tokens: &Tokens) -> Turn {
        loop {
            if let Err(end) = self.send_reports(at) {
                return end;
            }
            let due = self.uplink.outgoing.lock().due(now().mono);
            let silent_at = self.heard + at.silence;
            tokio::select! {
                // What the controller said before anything that a clock says about it.
                biased;
                () = tokens.soft.cancelled() => {
                    self.farewell(at, tokens).await;
                    return Turn::Over(StreamEnd::Stopping, End::Stopped);
                }
                message = at.inbound.message() => {
                    let message = match message {
                        Ok(Some(message)) => message.message,
                        Ok(None) => return self.ended(End::lost("the controller closed the stream")).await,
                        Err(status) => return self.ended(End::by(&status)).await,
                    };
                    self.heard = Instant::now();
                    if let Some(message) = message
                        && let Err(end) = self.on_message(message, at)
                    {
                        return end;
                    }
                }
                Some(sequence) = self.taking.next(), if !self.taking.is_empty() => {
                    if let Err(end) = send(at, Up::Ack(pb::Ack { sequence })) {
                        return end;
                    }
                }
                // Only while there is room: an answer is never worth a stream, and is given up with it.
                Some(answer) = self.answering.next(),
                    if !self.answering.is_empty() && at.outbound.capacity() > RESERVED =>
                {
                    if let Err(end) = send(at, Up::Sessions(answer)) {
                        return end;
                    }
                }
                Some(answer) = self.findings.1.recv(), if at.outbound.capacity() > RESERVED => {
                    if let Err(end) = self.found(answer, at) {
                        return end;
                    }
                }
                moved = next_move(&mut self.moving) => {
                    self.moving = None;
                    match moved {
                        Ok(next) => return Turn::Moved(Box::new(next)),
                        Err(error) => tracing::warn!(%error, "cannot move to another controller; staying with this one"),
                    }
                }
                () = self.uplink.outgoing.changed() => {}
                () = wait(due.map(crate::clock::instant)) => {}
                () = sleep_until(self.beat_at) => {
                    if let Err(end) = self.beat(at) {
                        return end;
                    }
                }
                () = sleep_until(silent_at) => {
                    let why = format!("nothing was heard from the controller for {:?}", at.silence);
                    return Turn::Over(StreamEnd::Silent, End::lost(why));
                }
            }
        }
    }

    /// The stream ended. If another one is being opened already, that one decides: the controller may have dropped us
    /// because it saw the newer one.
    async fn ended(&mut self, end: End) -> Turn {
        if let Some(moving) = self.moving.take()
            && let Ok(next) = moving.await
        {
            return Turn::Moved(Box::new(next));
        }
        Turn::Over(StreamEnd::Lost, end)
    }

    fn on_message(&mut self, message: Down, at: &mut Attachment) -> Result<(), Turn> {
        match message {
            Down::Ack(ack) => {
                let durable = self.uplink.outgoing.lock().acknowledged(ack.sequence);
                self.durable(durable);
            }
            Down::Heartbeat(heartbeat) => {
                if let Some(interval) = heartbeat.interval.as_ref().and_then(duration_from) {
                    at.beat = dial::beat(Some(interval));
                    at.silence = at.silence.max(at.beat * 3);
                }
                self.seen = heartbeat.number;
                // It may be a probe: whoever asks wants the answer now, not at our next beat.
                self.beat_at = self.beat_at.min(Instant::now().max(self.beaten + LEAST_GAP));
            }
            Down::Orders(orders) => self.take(orders),
            Down::Resync(resync) => {
                tracing::info!(reason = %shown(&resync.reason), "the controller asks for everything");
                let spread = resync.spread.as_ref().and_then(duration_from).unwrap_or_default();
                let spread = spread.min(Duration::from_secs(600));
                self.uplink.outgoing.lock().resync(spread, now().mono, &mut rand::rng());
            }
            Down::Move(wish) => self.plan_move(wish),
            Down::Sessions(question) => self.answer(&question),
            Down::Examine(question) => self.examine(&question),
            Down::Welcome(_) => {
                let why = "the controller breaks the protocol: a second Welcome";
                return Err(Turn::Over(StreamEnd::Lost, End::lost(why)));
            }
        }
        Ok(())
    }

    /// Hands orders on. Those that cannot be read are answered, where it can be read which they are.
    fn take(&mut self, message: pb::Orders) {
        if self.uplink.refuse_orders.is_cancelled() {
            // Neither acknowledged nor answered: they come again to the next life of this agent, or expire.
            tracing::info!(orders = message.orders.len(), "orders came while stopping; left alone");
            return;
        }
        let mut orders = Vec::new();
        for order in message.orders.iter().take(MAX_ORDERS) {
            match OrderMessage::from_pb(order) {
                Ok(order) => orders.push(order),
                Err(invalid) => {
                    tracing::warn!(%invalid, "an order cannot be read");
                    if let Ok(id) = order.order_id.parse() {
                        self.uplink.outgoing.receipt(Receipt {
                            order: mooring_core::id::OrderId(id),
                            stage: Stage::Refused,
                            at: now().wall,
                            message: format!("this agent cannot read the order: {invalid}"),
                            output: String::new(),
                            traceparent: None,
                        });
                    }
                }
            }
        }
        let taken = self.uplink.desk.take(orders);
        let sequence = message.sequence;
        self.taking.push_back(Box::pin(async move {
            taken.await;
            sequence
        }));
    }

    fn answer(&mut self, question: &pb::SessionsQuestion) {
        let number = question.number;
        let refuse = |why: String| -> BoxFuture<'static, pb::SessionsAnswer> {
            Box::pin(std::future::ready(answer_to_pb(number, &Err(why))))
        };
        let answer = if self.answering.len() >= MAX_QUESTIONS {
            refuse(format!("the agent is answering {MAX_QUESTIONS} questions already"))
        } else {
            match question_from_pb(question) {
                Ok((gateway, query)) => {
                    let page = self.uplink.sessions.answer(gateway, query);
                    Box::pin(async move { answer_to_pb(number, &page.await) })
                }
                Err(invalid) => refuse(format!("the agent cannot read the question: {invalid}")),
            }
        };
        self.answering.push(answer);
    }

    fn examine(&mut self, question: &pb::ExamineQuestion) {
        let number = question.number;
        let Some(request) = &question.request else {
            self.examining.remove(&number);
            return;
        };
        let answers = self.findings.0.clone();
        if self.examining.len() >= MAX_EXAMINATIONS {
            let why = format!("the agent is at {MAX_EXAMINATIONS} examinations already");
            let _ = answers.try_send(declined_to_pb(number, &Declined { why, retry_after: None }));
            return;
        }
        let examination = self.uplink.doctor.examine(number, request, answers);
        self.examining.insert(number, examination);
    }

    /// Passes a step of an examination on, unless nobody waits for it any more.
    fn found(&mut self, answer: pb::ExamineAnswer, at: &Attachment) -> Result<(), Turn> {
        let awaited = self.examining.contains_key(&answer.number);
        if answer.last {
            self.examining.remove(&answer.number);
        }
        if awaited || !answer.error.is_empty() { send(at, Up::Examine(answer)) } else { Ok(()) }
    }

    fn plan_move(&mut self, wish: pb::Move) {
        let within = wish.within.as_ref().and_then(duration_from).unwrap_or_default();
        let delay = between(Duration::ZERO, within.min(Duration::from_secs(3_600)), &mut rand::rng());
        let configured = &self.uplink.controller.addresses;
        let secure = configured.iter().all(|a| a.starts_with("https://"));
        let mut addresses: Vec<String> = wish.addresses.into_iter().take(16).collect();
        if addresses.is_empty() {
            addresses.clone_from(configured);
        }
        // The token must not be talked out of its encryption.
        addresses.retain(|a| !secure || a.starts_with("https://"));
        tracing::info!(reason = %shown(&wish.reason), ?delay, "the controller asks us to attach elsewhere");
        let (controller, hello) = (self.uplink.controller.clone(), self.uplink.hello());
        self.moving = Some(Box::pin(async move {
            tokio::time::sleep(delay).await;
            let none = DialError::Address {
                address: String::new(),
                reason: "no usable address was named".to_owned(),
            };
            let mut last = Err(none);
            for address in addresses {
                last = dial(&address, &controller, hello.clone()).await;
                if last.is_ok() {
                    break;
                }
            }
            last
        }));
    }

    fn send_reports(&mut self, at: &Attachment) -> Result<(), Turn> {
        let mut sent = false;
        while at.outbound.capacity() > RESERVED {
            let Some(report) = self.uplink.outgoing.lock().next_report(now().mono) else { break };
            send(at, Up::Report(report))?;
            sent = true;
        }
        if sent {
            self.uplink.metrics.outbox(self.uplink.outgoing.usage());
        }
        Ok(())
    }

    fn beat(&mut self, at: &Attachment) -> Result<(), Turn> {
        let now = Instant::now();
        self.number += 1;
        self.beaten = now;
        // Never later than asked: jitter only takes away.
        self.beat_at = now + at.beat.mul_f64(rand::random_range(0.8..=1.0));
        self.uplink.metrics.outbox(self.uplink.outgoing.usage());
        let lag = Some(self.uplink.lateness.take()).filter(|lag| !lag.is_zero()).map(duration);
        send(at, Up::Heartbeat(pb::Heartbeat { number: self.number, seen: self.seen, interval: None, lag }))
    }

    fn durable(&self, receipts: Vec<Receipt>) {
        if !receipts.is_empty() {
            self.uplink.desk.durable(receipts);
        }
    }

    /// The last receipts, then goodbye; all of it bounded, for the process ends whether the controller listens or not.
    async fn farewell(&mut self, at: &mut Attachment, tokens: &Tokens) {
        let flushed = async {
            while !self.uplink.outgoing.settled() {
                if self.send_reports(at).is_err() {
                    return;
                }
                match at.inbound.message().await {
                    Ok(Some(pb::AttachResponse { message: Some(Down::Ack(ack)) })) => {
                        let durable = self.uplink.outgoing.lock().acknowledged(ack.sequence);
                        self.durable(durable);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
        };
        tokio::select! {
            _ = timeout(FLUSH, flushed) => {}
            () = tokens.hard.cancelled() => {}
        }
        if self.uplink.handed_on.is_cancelled() {
            return;
        }
        let reason = "the agent stops".to_owned();
        if send(at, Up::Goodbye(pb::Goodbye { reason })).is_err() {
            return;
        }
        // The controller ends the stream once it has read that.
        let read = async { while let Ok(Some(_)) = at.inbound.message().await {} };
        tokio::select! {
            _ = timeout(FLUSH, read) => {}
            () = tokens.hard.cancelled() => {}
        }
    }
}

/// Room for every answer that may be under way.
fn findings() -> (mpsc::Sender<pb::ExamineAnswer>, mpsc::Receiver<pb::ExamineAnswer>) {
    mpsc::channel(MAX_EXAMINATIONS * (MAX_STEPS + 1))
}

/// How a conversation went on.
enum Turn {
    /// On another stream.
    Moved(Box<Attachment>),
    /// Not at all.
    Over(StreamEnd, End),
}

/// Queues a message. A queue that is full for all its room belongs to a controller that does not read.
fn send(at: &Attachment, message: Up) -> Result<(), Turn> {
    match at.outbound.try_send(pb::AttachRequest { message: Some(message) }) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(_)) => {
            Err(Turn::Over(StreamEnd::Lost, End::lost("the controller does not read what it is sent")))
        }
        Err(TrySendError::Closed(_)) => Err(Turn::Over(StreamEnd::Lost, End::lost("the connection is gone"))),
    }
}

async fn next_move(moving: &mut Option<Mover>) -> Result<Attachment, DialError> {
    match moving {
        Some(moving) => moving.await,
        None => std::future::pending().await,
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn shown(text: &str) -> String {
    mooring_proto::link::printable(&mooring_core::limits::clip(text, 200))
}
