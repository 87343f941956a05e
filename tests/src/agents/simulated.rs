//! An agent that keeps the rules: a task that owns its stream, and a handle that tells it what changes.
//!
//! It carries orders out in no time: accepted, started, the target under repair, done, well again. What it is told is
//! counted, so that a benchmark can show that nothing was lost and nothing was ordered twice.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status as Answer};
use mooring_proto::agent_v1 as pb;
use mooring_proto::link::{ConditionChange, to_columns};
use mooring_proto::timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::Status;

use super::link::{Down, Link, Up, Who};
use super::shape::{Shape, condition, now};

/// What a simulated agent does with orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Obedience {
    /// Carries them out at once.
    #[default]
    Done,
    /// Takes them and never says a word about them.
    Silent,
}

/// An order that has arrived.
#[derive(Debug, Clone)]
pub struct Given {
    /// At which agent.
    pub agent: String,
    /// The order.
    pub order: pb::Order,
    /// When it was in its hands.
    pub at: Instant,
}

/// What the agents of one run have seen, all together.
#[derive(Debug, Default)]
pub struct Tally {
    /// Reports sent.
    pub reports: AtomicU64,
    /// Reports acknowledged.
    pub acked: AtomicU64,
    /// Condition changes acknowledged.
    pub changes: AtomicU64,
    /// Different orders received.
    pub orders: AtomicU64,
    /// Orders received again, which is allowed.
    pub repeated: AtomicU64,
    /// Orders whose fence was not above the last on their target, which must not be.
    pub stale: AtomicU64,
    /// Heartbeats answered.
    pub beats: AtomicU64,
    /// Times that everything was asked for again.
    pub resyncs: AtomicU64,
    /// Streams that ended without our wish.
    pub ended: AtomicU64,
}

impl Tally {
    /// A figure as it is now.
    #[must_use]
    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// How a simulated agent behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What it does with orders.
    pub obedience: Obedience,
    /// Whether it spreads its snapshot over the time the controller asks for.
    pub spread: bool,
    /// Where orders are told of.
    pub orders: Option<mpsc::UnboundedSender<Given>>,
    /// Where everything is counted.
    pub tally: Arc<Tally>,
}

enum Command {
    Changes(Vec<ConditionChange>, Option<oneshot::Sender<Instant>>),
    Stop,
}

/// Handle of a running simulated agent; dropping it ends the agent as if it had been killed.
#[derive(Debug)]
pub struct Simulated {
    /// Who it is.
    pub who: Who,
    /// What it watches.
    pub shape: Shape,
    /// What the controller answered to its `Hello`.
    pub welcome: pb::Welcome,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<Result<Resume, Status>>,
}

/// What an agent of the same boot needs to know to attach again.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The last report that was numbered.
    pub sequence: u64,
}

impl Simulated {
    /// Attaches, and tells everything if it is asked to. Returns when the snapshot is durable.
    ///
    /// # Errors
    /// What the controller says instead.
    pub async fn start(address: &str, who: Who, shape: Shape, settings: Settings) -> Result<Self, Status> {
        let hello = pb::Hello { gateways: shape.gateways, instances: shape.total(), ..who.hello() };
        let link = Link::open(address, who.token.as_deref(), hello).await?;
        let welcome = link.welcome.clone();
        let (commands, orders) = mpsc::unbounded_channel();
        let (synced, in_sync) = oneshot::channel();
        let talk = Talk {
            agent: who.id.clone(),
            window: welcome.window as usize,
            shape: shape.clone(),
            settings,
            sequence: welcome.resume_after,
            queue: VecDeque::new(),
            unacked: VecDeque::new(),
            amiss: BTreeMap::new(),
            known: HashSet::new(),
            fences: HashMap::new(),
            beat: 0,
        };
        let spread = welcome.spread.as_ref().and_then(mooring_proto::duration_from).unwrap_or_default();
        let task = tokio::spawn(talk.run(link, orders, synced, spread));
        match in_sync.await {
            Ok(_) => Ok(Self { who, shape, welcome, commands, task }),
            Err(_) => match task.await {
                Ok(Err(status)) => Err(status),
                other => Err(Status::unavailable(format!(
                    "the stream ended before the snapshot was told: {other:?}"
                ))),
            },
        }
    }

    /// Reports changes. The receiver resolves when they are durable, with the time at which the agent knew that.
    pub fn report(&self, changes: Vec<ConditionChange>) -> oneshot::Receiver<Instant> {
        let (done, acked) = oneshot::channel();
        // An agent that has ended drops `done`, which is what the caller sees.
        let _ = self.commands.send(Command::Changes(changes, Some(done)));
        acked
    }

    /// Lets the stream fall without a word once everything reported is acknowledged. Returns what is needed to resume.
    ///
    /// # Errors
    /// The controller's word when it ended the stream first.
    pub async fn stop(self) -> Result<Resume, Status> {
        let _ = self.commands.send(Command::Stop);
        self.task.await.map_err(|e| Status::internal(e.to_string()))?
    }

    /// Whether its stream is still open.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        !self.task.is_finished()
    }
}

struct Sent {
    sequence: u64,
    changes: u64,
    done: Option<oneshot::Sender<Instant>>,
}

struct Talk {
    agent: String,
    window: usize,
    shape: Shape,
    settings: Settings,
    sequence: u64,
    queue: VecDeque<(pb::Report, Option<oneshot::Sender<Instant>>)>,
    unacked: VecDeque<Sent>,
    /// Conditions that are not True, by instance and kind: what a resync has to tell besides the healthy bulk.
    amiss: BTreeMap<(u32, ConditionKind), ConditionChange>,
    known: HashSet<String>,
    fences: HashMap<String, u64>,
    beat: u64,
}

impl Talk {
    async fn run(
        mut self,
        mut link: Link,
        mut commands: mpsc::UnboundedReceiver<Command>,
        synced: oneshot::Sender<Instant>,
        spread: Duration,
    ) -> Result<Resume, Status> {
        let mut stopping = false;
        if link.welcome.snapshot {
            if self.settings.spread {
                // Anywhere within the spread, the same for the same id.
                let place =
                    self.agent.bytes().fold(17u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
                tokio::time::sleep(spread.mul_f64(f64::from(place % 1_000) / 1_000.0)).await;
            }
            self.everything(Some(synced));
        } else {
            let _ = synced.send(Instant::now());
        }
        loop {
            self.flush(&link).await;
            if stopping && self.queue.is_empty() && self.unacked.is_empty() {
                return Ok(Resume { sequence: self.sequence });
            }
            tokio::select! {
                message = link.next() => match message {
                    Ok(Some(message)) => self.hear(message, &link).await,
                    Ok(None) => return self.lost(Status::unavailable("the stream ended without a word")),
                    Err(status) => return self.lost(status),
                },
                command = commands.recv(), if !stopping => match command {
                    Some(Command::Changes(changes, done)) => self.changes(&changes, Vec::new(), done),
                    Some(Command::Stop) => stopping = true,
                    // Dropped: killed.
                    None => return Ok(Resume { sequence: self.sequence }),
                },
            }
        }
    }

    fn lost(&self, status: Status) -> Result<Resume, Status> {
        self.settings.tally.ended.fetch_add(1, Ordering::Relaxed);
        Err(status)
    }

    async fn flush(&mut self, link: &Link) {
        while self.unacked.len() < self.window
            && let Some((report, done)) = self.queue.pop_front()
        {
            self.sequence += 1;
            let changes = report.conditions.as_ref().map_or(0, |c| c.instance.len() as u64);
            self.unacked.push_back(Sent { sequence: self.sequence, changes, done });
            self.settings.tally.reports.fetch_add(1, Ordering::Relaxed);
            link.report(pb::Report { sequence: self.sequence, ..report }).await;
        }
    }

    async fn hear(&mut self, message: Down, link: &Link) {
        let tally = Arc::clone(&self.settings.tally);
        match message {
            Down::Ack(ack) => {
                let at = Instant::now();
                while self.unacked.front().is_some_and(|s| s.sequence <= ack.sequence) {
                    let Some(sent) = self.unacked.pop_front() else { break };
                    tally.acked.fetch_add(1, Ordering::Relaxed);
                    tally.changes.fetch_add(sent.changes, Ordering::Relaxed);
                    if let Some(done) = sent.done {
                        let _ = done.send(at);
                    }
                }
            }
            Down::Heartbeat(h) => {
                self.beat += 1;
                tally.beats.fetch_add(1, Ordering::Relaxed);
                let beat = pb::Heartbeat { number: self.beat, seen: h.number, ..Default::default() };
                link.send(Up::Heartbeat(beat)).await;
            }
            Down::Orders(orders) => {
                let at = Instant::now();
                for order in orders.orders {
                    self.order(order, at);
                }
                link.send(Up::Ack(pb::Ack { sequence: orders.sequence })).await;
            }
            Down::Resync(_) => {
                tally.resyncs.fetch_add(1, Ordering::Relaxed);
                self.unacked.clear();
                self.queue.clear();
                self.everything(None);
            }
            Down::Welcome(_) | Down::Move(_) | Down::Sessions(_) | Down::Examine(_) => {}
        }
    }

    fn everything(&mut self, done: Option<oneshot::Sender<Instant>>) {
        let sick: Vec<ConditionChange> = self.amiss.values().cloned().collect();
        let mut reports: VecDeque<_> = self.shape.snapshot(&sick).into_iter().map(|r| (r, None)).collect();
        if let Some(last) = reports.back_mut() {
            last.1 = done;
        }
        self.queue.append(&mut reports);
    }

    fn changes(
        &mut self,
        changes: &[ConditionChange],
        receipts: Vec<pb::Receipt>,
        done: Option<oneshot::Sender<Instant>>,
    ) {
        for change in changes {
            let key = (change.instance, change.condition.kind);
            if change.condition.status == Answer::True {
                self.amiss.remove(&key);
            } else {
                self.amiss.insert(key, change.clone());
            }
        }
        let report = pb::Report { conditions: Some(to_columns(changes)), receipts, ..Default::default() };
        self.queue.push_back((report, done));
    }

    fn order(&mut self, order: pb::Order, at: Instant) {
        let tally = Arc::clone(&self.settings.tally);
        if !self.known.insert(order.order_id.clone()) {
            tally.repeated.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tally.orders.fetch_add(1, Ordering::Relaxed);
        let last = self.fences.entry(order.target.clone()).or_default();
        if order.fence <= *last {
            tally.stale.fetch_add(1, Ordering::Relaxed);
        }
        *last = order.fence;
        if let Some(orders) = &self.settings.orders {
            let given = Given { agent: self.agent.clone(), order: order.clone(), at };
            // Nobody may be listening any more.
            let _ = orders.send(given);
        }
        if self.settings.obedience == Obedience::Done {
            self.carry_out(&order);
        }
    }

    /// Accepted and started; under repair meanwhile; done, and everything judged anew.
    fn carry_out(&mut self, order: &pb::Order) {
        let began = now();
        let receipt = |stage: pb::Stage, at| pb::Receipt {
            order_id: order.order_id.clone(),
            stage: stage.into(),
            time: Some(timestamp(at)),
            traceparent: order.traceparent.clone(),
            ..Default::default()
        };
        let of = |answer: Answer, cause: Option<Cause>, at| {
            let each = self.shape.meant(&order.target).flat_map(move |i| {
                [ConditionKind::Reachable, ConditionKind::Beating].map(|k| condition(i, k, answer, cause, at))
            });
            each.collect::<Vec<ConditionChange>>()
        };
        let repair = of(Answer::Unknown, Some(Cause::UnderRepair), began);
        let ended = now().max(began);
        let well = of(Answer::True, None, ended);
        let begun = vec![receipt(pb::Stage::Accepted, began), receipt(pb::Stage::Started, began)];
        self.changes(&repair, begun, None);
        self.changes(&well, vec![receipt(pb::Stage::Done, ended)], None);
    }
}
