//! A controller that does as it is told: withholds acknowledgements, falls silent, dies, forgets.
//!
//! It is as strict as the real one about numbers and handles: an agent that breaks the protocol fails the test. It runs
//! on a runtime of its own, so that killing it cuts its connections as the kernel would.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::order::{Receipt, Stage};
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::agent_service_server::{AgentService, AgentServiceServer};
use mooring_proto::agent_v1::attach_request::Message as Up;
use mooring_proto::agent_v1::attach_response::Message as Down;
use mooring_proto::duration;
use mooring_proto::link::{GatewayDecl, InstanceDecl, OrderMessage, from_columns, receipt_from_pb};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status as Code, Streaming};

use crate::support::{BOUND, soon};

/// A condition as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub status: Status,
    pub cause: Option<Cause>,
    pub traced: bool,
}

/// Everything it knows and was told.
#[derive(Debug, Default)]
pub struct State {
    /// How it behaves.
    pub withhold_acks: bool,
    pub mute: bool,
    pub beat: Option<Duration>,
    pub silence: Option<Duration>,
    pub turn_away: Option<Code>,
    /// What it was told.
    pub hellos: Vec<pb::Hello>,
    pub authorizations: Vec<Option<String>>,
    pub goodbyes: Vec<String>,
    pub heartbeats: u64,
    pub order_acks: Vec<u64>,
    /// Answers to questions about sessions.
    pub answers: Vec<pb::SessionsAnswer>,
    /// Steps of examinations.
    pub examined: Vec<pb::ExamineAnswer>,
    pub receipts: Vec<Receipt>,
    pub snapshots: u32,
    pub resent: u64,
    /// Status changes of `gateway/instance`, in the order they became durable.
    pub history: Vec<(String, ConditionKind, Told)>,
    pub gateways: BTreeMap<u32, GatewayDecl>,
    pub instances: BTreeMap<u32, String>,
    pub conditions: HashMap<(String, usize), Told>,
    /// What the protocol keeps.
    boot: String,
    durable: u64,
    synced: bool,
    epoch: u64,
    orders: u64,
    /// Reports received and not durable: lost with the process.
    unsaved: Vec<pb::Report>,
    stream: Option<mpsc::Sender<Result<pb::AttachResponse, Code>>>,
    pub streams: u32,
}

impl State {
    pub fn condition(&self, name: &str, kind: ConditionKind) -> Option<Told> {
        self.conditions.get(&(name.to_owned(), kind.index())).copied()
    }

    pub fn is(&self, name: &str, kind: ConditionKind, status: Status) -> bool {
        self.condition(name, kind).is_some_and(|told| told.status == status)
    }

    pub fn stages(&self, order: &OrderMessage) -> Vec<Stage> {
        self.receipts.iter().filter(|r| r.order == order.id).map(|r| r.stage).collect()
    }

    fn save(&mut self, report: pb::Report) {
        if report.snapshot_begin {
            self.gateways.clear();
            self.instances.clear();
            self.synced = false;
        }
        self.durable = report.sequence;
        for g in report.gateways {
            let g = GatewayDecl::from_pb(g).expect("a valid gateway");
            self.gateways.insert(g.handle, g);
        }
        for gone in report.gateways_gone {
            self.gateways.remove(&gone).expect("a gateway that was declared");
        }
        for i in &report.instances {
            let i = InstanceDecl::from_pb(i).expect("a valid instance");
            let gateway = self.gateways[&i.gateway].id.clone();
            self.instances.insert(i.handle, format!("{gateway}/{}", i.id));
        }
        for gone in report.instances_gone {
            self.instances.remove(&gone).expect("an instance that was declared");
        }
        for row in report.conditions.map(|c| from_columns(c).expect("valid columns")).unwrap_or_default() {
            let name = self.instances[&row.instance].clone();
            let kind = row.condition.kind;
            let told = Told {
                status: row.condition.status,
                cause: row.condition.cause,
                traced: row.traceparent.is_some(),
            };
            let before = self.conditions.insert((name.clone(), kind.index()), told);
            if before.map(|b| (b.status, b.cause)) != Some((told.status, told.cause)) {
                self.history.push((name, kind, told));
            }
        }
        self.receipts.extend(report.receipts.iter().map(|r| receipt_from_pb(r).expect("a valid receipt")));
        if report.snapshot_end {
            self.synced = true;
            self.snapshots += 1;
        }
    }

    fn send(&self, message: Down) {
        if let Some(stream) = &self.stream {
            let _ = stream.try_send(Ok(pb::AttachResponse { message: Some(message) }));
        }
    }
}

/// The controller.
pub struct Controller {
    pub address: SocketAddr,
    pub state: watch::Sender<State>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Controller {
    pub fn start() -> Self {
        let mut controller = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: watch::Sender::new(State::default()),
            runtime: None,
        };
        controller.serve();
        controller
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = bind(self.address);
        listener.set_nonblocking(true).expect("a listener");
        self.address = listener.local_addr().expect("an address");
        let service = AgentServiceServer::new(Service(self.state.clone()));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let incoming = TcpListenerStream::new(listener);
            let _ =
                tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await;
        });
        self.runtime = Some(runtime);
    }

    /// Dies: connections are cut, what is not durable is lost.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not in the background: its listener must be gone before another can take its place.
            let gone = std::thread::spawn(move || runtime.shutdown_timeout(BOUND));
            gone.join().expect("no panic");
        }
        self.state.send_modify(|s| {
            s.unsaved.clear();
            s.stream = None;
        });
    }

    /// Comes back at the same address, with what was durable.
    pub fn come_back(&mut self) {
        self.serve();
    }

    /// Loses everything durable.
    pub fn forget(&self) {
        self.state.send_modify(|s| {
            s.synced = false;
            s.boot.clear();
            s.durable = 0;
            s.conditions.clear();
        });
    }

    pub async fn until(&self, what: &str, fits: impl FnMut(&State) -> bool) {
        let mut state = self.state.subscribe();
        soon(what, state.wait_for(fits)).await.expect("the controller");
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    pub fn send(&self, message: Down) {
        self.state.send_modify(|s| s.send(message));
    }

    pub fn order(&self, orders: &[&OrderMessage]) -> u64 {
        self.state.send_modify(|s| {
            s.orders += 1;
            let orders =
                pb::Orders { sequence: s.orders, orders: orders.iter().map(|o| o.to_pb()).collect() };
            s.send(Down::Orders(orders));
        });
        self.state.borrow().orders
    }
}

/// Another socket of this machine may hold the port for a moment, as the near end of a connection.
fn bind(address: SocketAddr) -> std::net::TcpListener {
    let began = std::time::Instant::now();
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(began.elapsed() < BOUND, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Service(watch::Sender<State>);

#[tonic::async_trait]
impl AgentService for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<pb::AttachResponse, Code>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<pb::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Code> {
        let authorization =
            request.metadata().get("authorization").map(|v| v.to_str().expect("text").to_owned());
        let mut inbound = request.into_inner();
        let Some(Up::Hello(hello)) = inbound.message().await?.and_then(|m| m.message) else {
            panic!("the first message is not Hello");
        };
        let (outbound, responses) = mpsc::channel(256);
        let mut refused = None;
        let mut beat = Duration::ZERO;
        self.0.send_modify(|s| {
            s.hellos.push(hello.clone());
            s.authorizations.push(authorization);
            refused = s.turn_away.clone();
            if refused.is_some() {
                return;
            }
            s.streams += 1;
            s.epoch += 1;
            s.orders = 0;
            s.unsaved.clear();
            let resumed = s.synced && s.boot == hello.boot_id;
            if s.boot != hello.boot_id {
                s.durable = 0;
            }
            s.synced = resumed;
            s.boot.clone_from(&hello.boot_id);
            s.stream = Some(outbound.clone());
            beat = s.beat.unwrap_or(Duration::from_secs(10));
            let silence = s.silence.unwrap_or(beat * 3);
            s.send(Down::Welcome(pb::Welcome {
                session_epoch: s.epoch,
                heartbeat_interval: Some(duration(beat)),
                silence_timeout: Some(duration(silence)),
                resume_after: if resumed { s.durable } else { 0 },
                snapshot: !resumed,
                spread: Some(duration(Duration::from_millis(20))),
                window: 4,
                controller: "scripted".to_owned(),
            }));
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        tokio::spawn(converse(self.0.clone(), inbound, outbound, beat));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

async fn converse(
    state: watch::Sender<State>,
    mut inbound: Streaming<pb::AttachRequest>,
    outbound: mpsc::Sender<Result<pb::AttachResponse, Code>>,
    beat: Duration,
) {
    let mut tick = tokio::time::interval(beat);
    let mut number = 0;
    loop {
        let message = tokio::select! {
            message = inbound.message() => match message {
                Ok(Some(message)) => message.message.expect("a known message"),
                Ok(None) | Err(_) => break,
            },
            _ = tick.tick() => {
                number += 1;
                if !state.borrow().mute {
                    let beat = pb::Heartbeat { number, seen: 0, interval: None, lag: None };
                    let _ = outbound.try_send(Ok(pb::AttachResponse { message: Some(Down::Heartbeat(beat)) }));
                }
                continue;
            }
        };
        let mut leave = false;
        state.send_modify(|s| match message {
            Up::Report(report) => {
                let next = s.unsaved.last().map_or(s.durable, |r| r.sequence) + 1;
                if report.sequence < next && !report.snapshot_begin {
                    s.resent += 1;
                } else {
                    assert!(
                        report.snapshot_begin || report.sequence == next,
                        "a gap: {} after {next}",
                        report.sequence
                    );
                    assert!(s.unsaved.len() < 4, "more than the window");
                    s.unsaved.push(report);
                }
                if !s.withhold_acks && !s.mute {
                    for report in std::mem::take(&mut s.unsaved) {
                        s.save(report);
                    }
                    s.send(Down::Ack(pb::Ack { sequence: s.durable }));
                }
            }
            Up::Heartbeat(_) => s.heartbeats += 1,
            Up::Ack(ack) => s.order_acks.push(ack.sequence),
            Up::Goodbye(goodbye) => {
                s.goodbyes.push(goodbye.reason);
                leave = true;
            }
            Up::Sessions(answer) => s.answers.push(answer),
            Up::Examine(step) => s.examined.push(step),
            Up::Hello(_) => panic!("a second Hello"),
        });
        if leave {
            break;
        }
    }
    state.send_modify(|s| {
        if s.stream.as_ref().is_some_and(|stream| stream.same_channel(&outbound)) {
            s.stream = None;
        }
    });
}
