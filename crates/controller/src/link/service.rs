//! `AgentService`: admits agents and starts their sessions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use mooring_core::id::{AgentId, BootId};
use mooring_core::limits::clip;
use mooring_proto::agent_v1 as pb;
use mooring_proto::agent_v1::agent_service_server::AgentService;
use mooring_proto::duration;
use mooring_proto::examine::AT_ONCE;
use mooring_proto::link::printable;
use mooring_runtime::auth::TokenSet;
use mooring_store::{AgentRecord, Attach, EventKind, NewEvent, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::intake::Intake;
use super::session::{Cadence, Context, OUTBOUND, Session};
use super::{CAPABILITY, Command, QUESTIONS, SessionHandle, Sessions, examinations};
use crate::api::status;
use crate::config::AgentsConfig;
use crate::database::{Database, now};
use crate::fleet::Presence;
use crate::metrics::StreamEnd;

/// How long an agent may take to say Hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long the older boot of an agent may take to show that it lives.
const PROBE: Duration = Duration::from_secs(2);
/// All agents together beat at most so often a second (Nomad's constant).
pub const BEATS_PER_SECOND: u64 = 50;
/// The principal of a join token that is not bound to one agent.
pub const ANY_AGENT: &str = "*";

/// What the link needs of the configuration.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The section.
    pub agents: AgentsConfig,
    /// Join tokens; none: everyone who can connect may attach.
    pub tokens: Option<Arc<TokenSet>>,
    /// Which controller this is.
    pub controller: String,
}

/// The service.
pub struct Link {
    config: LinkConfig,
    store: Arc<dyn Store>,
    database: Database,
    sessions: Sessions,
    context: Context,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Link {
    /// The service; its sessions end when `stopping` is cancelled, and are all done when `tasks` is empty.
    #[must_use]
    pub fn new(
        config: LinkConfig,
        store: Arc<dyn Store>,
        database: Database,
        sessions: Sessions,
        context: Context,
        stopping: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { config, store, database, sessions, context, stopping, tasks }
    }

    /// Which agent the caller may be: any, or the one its token is bound to.
    fn authenticate(&self, request: &Request<Streaming<pb::AttachRequest>>) -> Result<String, Status> {
        let Some(tokens) = &self.config.tokens else { return Ok(ANY_AGENT.to_owned()) };
        let header = request.metadata().get("authorization").map(|v| v.as_bytes());
        match tokens.check(header) {
            Ok(principal) => Ok(principal.name().to_owned()),
            Err(denied) => Err(status::unauthenticated(&denied)),
        }
    }

    /// An older boot of the same agent that still answers wins: two live agents with one id are a configuration error
    /// that must be told, not a fight to be had.
    async fn check_war(&self, agent: &AgentId, boot: BootId) -> Result<(), Status> {
        let Some(old) = self.sessions.get(agent).filter(|s| s.boot != boot) else { return Ok(()) };
        let (answer, answered) = oneshot::channel();
        if old.commands.try_send(Command::Probe(answer)).is_err() {
            return Ok(());
        }
        if !matches!(tokio::time::timeout(PROBE, answered).await, Ok(Ok(()))) {
            return Ok(());
        }
        let message = format!(
            "two agents claim the id {agent}: the one attached answers, a second boot was turned away"
        );
        tracing::warn!(%agent, "{message}");
        let event = agent_event(agent, message.clone());
        // Only a record: that it could not be kept is no reason to let the second one in.
        let _ = self.database.note(self.store.append_events(&[event]).await);
        Err(status::already_exists("AGENT_ID_IN_USE", &message, &[("agent", agent.as_str())]))
    }

    fn cadence(&self) -> Cadence {
        let agents = self.sessions.len() as u64 + 1;
        let least = Duration::from_millis(1_000 * agents / BEATS_PER_SECOND);
        let beat = self.config.agents.beat.get().max(least);
        Cadence { beat, silence: beat * 3 }
    }

    async fn admit(
        &self,
        principal: &str,
        hello: pb::Hello,
        inbound: Streaming<pb::AttachRequest>,
    ) -> Result<ReceiverStream<Result<pb::AttachResponse, Status>>, Status> {
        let agent =
            AgentId::new(&hello.agent_id).map_err(|e| status::bad_field("hello.agent_id", &e.to_string()))?;
        if principal != ANY_AGENT && principal != agent.as_str() {
            let why = format!("this join token is bound to agent {principal}, not {agent}");
            return Err(status::permission_denied("TOKEN_BOUND_TO_ANOTHER_AGENT", &why));
        }
        let boot = Uuid::parse_str(&hello.boot_id)
            .map(BootId)
            .map_err(|_| status::bad_field("hello.boot_id", "is not a UUID"))?;
        let limits = &self.config.agents;
        for (field, n, max) in [
            ("gateways", hello.gateways as usize, limits.max_gateways_per_agent),
            ("instances", hello.instances as usize, limits.max_instances_per_agent),
        ] {
            if n > max {
                let why = format!("{n} {field}, at most {max} per agent on this controller");
                return Err(status::exhausted("AGENT_TOO_LARGE", &why, None));
            }
        }
        if self.sessions.len() >= limits.max_agents && self.sessions.get(&agent).is_none() {
            let why = format!("{} agents are attached, the limit of this controller", limits.max_agents);
            return Err(status::exhausted("TOO_MANY_AGENTS", &why, Some(Duration::from_secs(30))));
        }
        self.check_war(&agent, boot).await?;

        let node = printable(&clip(&hello.node, 253));
        let version = printable(&clip(&hello.version, 64));
        let attach =
            Attach { agent: agent.clone(), boot, node: node.clone(), version: version.clone(), now: now() };
        let attached = self.database.note(self.store.attach(&attach).await).map_err(|e| status::store(&e))?;
        // Resuming rests on what is believed here being what is durable. Another controller may have taken reports of
        // this agent since we last did: then everything is asked for, once.
        let resume_after = attached.resume_after.filter(|durable| {
            let state = self.context.fleet.read();
            state
                .agent(&agent)
                .is_some_and(|a| a.record.epoch + 1 == attached.epoch && a.record.last_sequence == *durable)
        });
        let record = AgentRecord {
            id: agent.clone(),
            boot,
            node,
            version,
            epoch: attached.epoch,
            last_sequence: resume_after.unwrap_or(0),
            synced: resume_after.is_some(),
            attached_at: attach.now,
            last_seen: attach.now,
            offline_since: None,
        };
        let presence = if resume_after.is_some() { Presence::Online } else { Presence::Syncing };
        self.context.fleet.attached(record, presence);

        let (outbound, responses) = mpsc::channel(OUTBOUND);
        let (ear, commands) = mpsc::channel(OUTBOUND);
        let replaced = CancellationToken::new();
        let able = |to: &str| hello.capabilities.iter().any(|c| c == to);
        let handle = SessionHandle {
            epoch: attached.epoch,
            boot,
            commands: ear,
            replaced: replaced.clone(),
            questions: able(CAPABILITY).then(|| Arc::new(Semaphore::new(QUESTIONS))),
            examinations: able(examinations::CAPABILITY).then(|| Arc::new(Semaphore::new(AT_ONCE))),
        };
        if !self.sessions.put(agent.clone(), handle) {
            return Err(Status::aborted("a newer attachment of this agent has taken over"));
        }
        let cadence = self.cadence();
        let welcome = pb::Welcome {
            session_epoch: attached.epoch,
            heartbeat_interval: Some(duration(cadence.beat)),
            silence_timeout: Some(duration(cadence.silence)),
            resume_after: resume_after.unwrap_or(0),
            snapshot: resume_after.is_none(),
            spread: Some(duration(self.spread())),
            window: self.config.agents.window,
            controller: self.config.controller.clone(),
        };
        let first = pb::AttachResponse { message: Some(pb::attach_response::Message::Welcome(welcome)) };
        // The channel was made a moment ago and holds more than one.
        let _ = outbound.try_send(Ok(first));
        tracing::info!(%agent, epoch = attached.epoch, resumed = resume_after.is_some(), "agent attached");
        let fleet = &self.context.fleet;
        let intake = Intake::new(
            agent.clone(),
            boot,
            attached.epoch,
            resume_after,
            fleet,
            limits.max_gateways_per_agent,
            limits.max_instances_per_agent,
        );
        let session = Session {
            agent: agent.clone(),
            epoch: attached.epoch,
            intake,
            inbound,
            outbound,
            commands,
            replaced,
            stopping: self.stopping.clone(),
            cadence,
            window: self.config.agents.window as usize,
            context: self.context.clone(),
        };
        self.start(session);
        self.context.desk.attached(agent).await;
        Ok(ReceiverStream::new(responses))
    }

    /// A whole fleet that comes back at once must not tell everything in the same second.
    fn spread(&self) -> Duration {
        let agents = self.context.fleet.read().agents().count();
        Duration::from_millis(u64::try_from(agents).unwrap_or(u64::MAX).saturating_mul(5).min(30_000))
    }

    fn start(&self, session: Session) {
        let (agent, epoch) = (session.agent.clone(), session.epoch);
        let (sessions, fleet) = (self.sessions.clone(), self.context.fleet.clone());
        let (store, database) = (Arc::clone(&self.store), self.database.clone());
        self.tasks.spawn(async move {
            let (why, goodbye) = session.run().await;
            sessions.remove(&agent, epoch);
            let at = now();
            let Some(reason) = goodbye else {
                fleet.set_presence(&agent, epoch, Presence::Lost(at));
                tracing::info!(%agent, epoch, ?why, "agent stream ended");
                return;
            };
            tracing::info!(%agent, epoch, reason, "the agent said goodbye");
            fleet.set_presence(&agent, epoch, Presence::Offline(at));
            let event = agent_event(&agent, format!("the agent left on purpose: {reason}"));
            // If it cannot be kept now, the sweeper finds the agent offline after its grace all the same.
            let _ = database.note(store.offline(&agent, epoch, at, &event).await);
        });
    }
}

/// An event about an agent.
pub(crate) fn agent_event(agent: &AgentId, message: String) -> NewEvent {
    NewEvent {
        at: now(),
        kind: EventKind::Agent,
        subject: format!("agents/{agent}"),
        message,
        condition: None,
        cause: None,
        evidence: Vec::new(),
        trace_id: None,
    }
}

#[tonic::async_trait]
impl AgentService for Link {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<pb::AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<pb::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let principal = self.authenticate(&request)?;
        let mut inbound = request.into_inner();
        let hello = match tokio::time::timeout(HELLO, inbound.message()).await {
            Err(_) => return Err(Status::deadline_exceeded("no Hello within 10 s")),
            Ok(message) => match message?.and_then(|m| m.message) {
                Some(pb::attach_request::Message::Hello(hello)) => hello,
                _ => return Err(status::bad_field("message", "the first message must be Hello")),
            },
        };
        if self.stopping.is_cancelled() {
            return Err(Status::unavailable("the controller is stopping"));
        }
        let responses = self.admit(&principal, hello, inbound).await.inspect_err(|s| {
            self.context.metrics.stream_closed(StreamEnd::Violation);
            tracing::warn!(status = %s.message(), "an agent was turned away");
        })?;
        Ok(Response::new(Box::pin(responses)))
    }
}
