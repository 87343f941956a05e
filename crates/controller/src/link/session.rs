//! One attachment, from `Welcome` to its end: the task that owns it.

use std::time::Duration;

use mooring_core::id::AgentId;
use mooring_proto::{agent_v1 as pb, duration};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::Command;
use super::examinations::Examinations;
use super::intake::{Intake, Verdict};
use super::questions::Questions;
use super::settle::{Overtaken, Settling};
use crate::database::now;
use crate::fleet::{Fleet, Presence};
use crate::journal::Journal;
use crate::metrics::{Metrics, StreamEnd};
use crate::orders::Desk;

/// Down messages under way to one agent at most; one that does not read is cut off when they are full.
pub const OUTBOUND: usize = 64;

/// What a session needs of the controller.
#[derive(Debug, Clone)]
pub struct Context {
    /// The belief.
    pub fleet: Fleet,
    /// Where reports go.
    pub journal: Journal,
    /// Where receipts go.
    pub desk: Desk,
    /// Instruments.
    pub metrics: Metrics,
}

/// The times of one attachment.
#[derive(Debug, Clone, Copy)]
pub struct Cadence {
    /// Between heartbeats.
    pub beat: Duration,
    /// Silence after which the other side is lost.
    pub silence: Duration,
}

/// One attachment.
#[derive(Debug)]
pub struct Session {
    /// Whose.
    pub agent: AgentId,
    /// Its number.
    pub epoch: u64,
    /// Reports in.
    pub intake: Intake,
    /// What the agent says.
    pub inbound: Streaming<pb::AttachRequest>,
    /// What it is told.
    pub outbound: mpsc::Sender<Result<pb::AttachResponse, Status>>,
    /// What others want of it.
    pub commands: mpsc::Receiver<Command>,
    /// A newer attachment took over.
    pub replaced: CancellationToken,
    /// The controller stops.
    pub stopping: CancellationToken,
    /// Its times.
    pub cadence: Cadence,
    /// Most reports that may be unacknowledged.
    pub window: usize,
    /// Everything else.
    pub context: Context,
}

/// How it ended, and what the agent is told.
struct End {
    why: StreamEnd,
    status: Option<Status>,
    goodbye: Option<String>,
}

impl End {
    fn new(why: StreamEnd, status: Option<Status>) -> Self {
        Self { why, status, goodbye: None }
    }
}

impl Session {
    /// Runs until one side ends it. Returns why, and the agent's words if it said goodbye.
    pub async fn run(mut self) -> (StreamEnd, Option<String>) {
        let end = self.talk().await;
        if let Some(status) = end.status {
            tracing::warn!(agent = %self.agent, epoch = self.epoch, status = %status.message(), "agent stream ends");
            // If the agent does not read, it will find the stream closed instead.
            let _ = self.outbound.try_send(Err(status));
        }
        self.context.metrics.stream_closed(end.why);
        (end.why, end.goodbye)
    }

    async fn talk(&mut self) -> End {
        let Context { journal, desk, .. } = self.context.clone();
        let mut settling = Settling::new(self.agent.clone(), journal, desk);
        let mut beat = interval(self.cadence.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut number, mut seen, mut orders_sent) = (0u64, 0u64, 0u64);
        let (mut heard, mut heard_at) = (Instant::now(), now());
        let mut probes: Vec<oneshot::Sender<()>> = Vec::new();
        // Whoever still waits for an answer when this ends is told by it that there will be none.
        let mut questions = Questions::default();
        let mut examinations = Examinations::default();
        loop {
            let silent_at = heard + self.cadence.silence;
            tokio::select! {
                // What the agent said before anything that a clock says about it.
                biased;
                () = self.stopping.cancelled() => return End::new(
                    StreamEnd::Stopping,
                    Some(Status::unavailable("the controller is stopping; attach again in a moment")),
                ),
                () = self.replaced.cancelled() => return End::new(
                    StreamEnd::Replaced,
                    Some(Status::aborted("a newer attachment of this agent has taken over")),
                ),
                message = self.inbound.message() => {
                    let message = match message {
                        Ok(Some(m)) => m.message,
                        Ok(None) => return End::new(StreamEnd::Lost, None),
                        // A message beyond the transport's limit: an agent that is not told would send it again for ever.
                        Err(status) if status.code() == tonic::Code::OutOfRange => {
                            return self.violation(status.message());
                        }
                        Err(status) => {
                            tracing::debug!(agent = %self.agent, %status, "agent stream broke");
                            return End::new(StreamEnd::Lost, None);
                        }
                    };
                    (heard, heard_at) = (Instant::now(), now());
                    for probe in probes.drain(..) {
                        let _ = probe.send(());
                    }
                    match message {
                        Some(pb::attach_request::Message::Report(report)) => {
                            if settling.len() >= self.window {
                                let why = format!("more than {} reports are unacknowledged", self.window);
                                return self.violation(&why);
                            }
                            if let Err(end) = self.report(report, &mut settling) {
                                return end;
                            }
                        }
                        Some(pb::attach_request::Message::Heartbeat(h)) => seen = h.number,
                        // Orders are sent again until a receipt answers them; the acknowledgement only shows that the
                        // agent's inbox works.
                        Some(pb::attach_request::Message::Ack(_)) => {}
                        Some(pb::attach_request::Message::Goodbye(g)) => {
                            let reason = mooring_proto::link::printable(&mooring_core::limits::clip(&g.reason, 200));
                            return End { why: StreamEnd::Goodbye, status: None, goodbye: Some(reason) };
                        }
                        Some(pb::attach_request::Message::Sessions(answer)) => match questions.answer(answer) {
                            Ok(true) => {}
                            Ok(false) => self.context.metrics.answer_ignored(),
                            Err(invalid) => return self.violation(&format!("an answer about sessions: {invalid}")),
                        },
                        Some(pb::attach_request::Message::Examine(answer)) => match examinations.answer(answer) {
                            Ok(true) => {}
                            Ok(false) => self.context.metrics.answer_ignored(),
                            Err(invalid) => return self.violation(&format!("an examination: {invalid}")),
                        },
                        Some(pb::attach_request::Message::Hello(_)) => return self.violation("a second Hello"),
                        // Something newer than this controller: ignored, as unknown fields are.
                        None => {}
                    }
                }
                settled = settling.next() => {
                    let (sequence, in_sync) = match settled {
                        Ok(settled) => settled,
                        Err(Overtaken) => {
                            return End::new(StreamEnd::Replaced, Some(Status::aborted("a newer attachment exists")));
                        }
                    };
                    self.intake.settled(sequence);
                    if in_sync {
                        self.context.fleet.set_presence(&self.agent, self.epoch, Presence::Online);
                    }
                    if !self.send(pb::attach_response::Message::Ack(pb::Ack { sequence })).await {
                        return End::new(StreamEnd::Lost, None);
                    }
                }
                Some(command) = self.commands.recv() => match command {
                    Command::Orders(orders) => {
                        orders_sent += 1;
                        let orders = pb::Orders {
                            sequence: orders_sent,
                            orders: orders.iter().map(mooring_proto::link::OrderMessage::to_pb).collect(),
                        };
                        if !self.send(pb::attach_response::Message::Orders(orders)).await {
                            return End::new(StreamEnd::Lost, None);
                        }
                    }
                    Command::Ask(question) => {
                        if let Some(question) = questions.ask(*question)
                            && !self.send(pb::attach_response::Message::Sessions(question)).await
                        {
                            return End::new(StreamEnd::Lost, None);
                        }
                    }
                    Command::Examine(examine) => {
                        if let Some(question) = examinations.ask(*examine)
                            && !self.send(pb::attach_response::Message::Examine(question)).await
                        {
                            return End::new(StreamEnd::Lost, None);
                        }
                    }
                    Command::Probe(answer) => {
                        probes.push(answer);
                        number += 1;
                        if !self.beat(number, seen).await {
                            return End::new(StreamEnd::Lost, None);
                        }
                    }
                },
                withdrawn = examinations.withdrawn() => {
                    if !self.send(pb::attach_response::Message::Examine(withdrawn)).await {
                        return End::new(StreamEnd::Lost, None);
                    }
                }
                _ = beat.tick() => {
                    number += 1;
                    self.context.fleet.seen(&self.agent, heard_at);
                    if !self.beat(number, seen).await {
                        return End::new(StreamEnd::Lost, None);
                    }
                }
                () = tokio::time::sleep_until(silent_at) => {
                    let why = format!("nothing was heard for {:?}", self.cadence.silence);
                    return End::new(StreamEnd::Silent, Some(Status::deadline_exceeded(why)));
                }
            }
        }
    }

    /// Takes a report in and sends it on its way. Answers at once what needs no writing.
    fn report(&mut self, report: pb::Report, settling: &mut Settling) -> Result<(), End> {
        let sequence = report.sequence;
        match self.intake.take(report, &self.context.fleet, now()) {
            Ok(Verdict::New(taken)) => {
                self.context.metrics.transitions(taken.delta.events.len());
                settling.put(*taken);
                Ok(())
            }
            Ok(Verdict::Old { durable: true }) => {
                let sequence = self.intake.durable();
                self.try_send(pb::attach_response::Message::Ack(pb::Ack { sequence }))
            }
            // Under way and acknowledged in its turn, or told anew by the snapshot that was asked for.
            Ok(Verdict::Old { durable: false } | Verdict::Useless) => Ok(()),
            Ok(Verdict::Gap) => {
                let reason = format!("report {} is missing", self.intake.expected());
                tracing::info!(agent = %self.agent, reason, "asking for everything");
                // Nothing is decided on what has a hole in it.
                self.context.fleet.set_presence(&self.agent, self.epoch, Presence::Syncing);
                self.try_send(pb::attach_response::Message::Resync(pb::Resync {
                    reason,
                    spread: Some(duration(Duration::ZERO)),
                }))
            }
            Err(invalid) => {
                self.context.metrics.report_refused();
                Err(self.violation(&format!("report {sequence}: {invalid}")))
            }
        }
    }

    fn try_send(&self, message: pb::attach_response::Message) -> Result<(), End> {
        match self.outbound.try_send(Ok(pb::AttachResponse { message: Some(message) })) {
            Ok(()) => Ok(()),
            Err(_) => Err(End::new(StreamEnd::Lost, None)),
        }
    }

    fn violation(&self, why: &str) -> End {
        tracing::warn!(agent = %self.agent, why, "the agent breaks the protocol");
        End::new(StreamEnd::Violation, Some(Status::invalid_argument(why.to_owned())))
    }

    async fn beat(&self, number: u64, seen: u64) -> bool {
        self.send(pb::attach_response::Message::Heartbeat(pb::Heartbeat {
            number,
            seen,
            interval: None,
            lag: None,
        }))
        .await
    }

    /// Sends, waiting no longer than the silence that the agent itself is granted.
    async fn send(&self, message: pb::attach_response::Message) -> bool {
        let sending = self.outbound.send(Ok(pb::AttachResponse { message: Some(message) }));
        matches!(tokio::time::timeout(self.cadence.silence, sending).await, Ok(Ok(())))
    }
}
