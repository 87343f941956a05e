//! An agent with sessions, as the API sees it: the other end of an attachment's commands.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mooring_core::id::{GatewayId, SessionId};
use mooring_core::session::{Flow, SessionPage, SessionQuery, SessionState, SessionSummary, SessionView};
use mooring_core::time::Timestamp;
use mooring_proto::examine::{AT_ONCE, Declined};
use mooring_proto::link::OrderMessage;
use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::v1::{DiagnoseRequest, Diagnosis, DiagnosisFinding};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::link::{Command, Examine, QUESTIONS, Question, SessionHandle};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// As it should.
    Answers,
    /// Never.
    Silent,
    /// That it cannot.
    Declines,
    /// Always the same, and that there is more.
    Repeats,
    /// As it should. From one question to the next so much time passes: sessions that are silent or idle stay so, and those
    /// that have just spoken speak all the time.
    Lives(Duration),
}

/// The agent.
pub(super) struct Crowd {
    gateways: Arc<Mutex<BTreeMap<GatewayId, Vec<SessionView>>>>,
    asked: Arc<Mutex<Vec<(GatewayId, SessionQuery)>>>,
    examined: Arc<Mutex<Vec<DiagnoseRequest>>>,
    /// What it is ordered to do.
    pub(super) orders: mpsc::UnboundedReceiver<OrderMessage>,
}

impl Crowd {
    /// Attaches it to a world.
    pub(super) fn attach(world: &World, agent: &str, manners: Manners) -> Self {
        Self::attach_with(world, agent, manners, Some(Arc::new(Semaphore::new(QUESTIONS))))
    }

    /// One that does not know what a session is.
    pub(super) fn attach_old(world: &World, agent: &str) -> Self {
        Self::attach_with(world, agent, Manners::Answers, None)
    }

    fn attach_with(world: &World, agent: &str, manners: Manners, questions: Option<Arc<Semaphore>>) -> Self {
        let (commands, mut ear) = mpsc::channel(64);
        let (wire, orders) = mpsc::unbounded_channel();
        let boot = BootId(Uuid::from_u128(1));
        let examinations = questions.is_some().then(|| Arc::new(Semaphore::new(AT_ONCE)));
        let handle = SessionHandle {
            epoch: 1,
            boot,
            commands,
            replaced: CancellationToken::new(),
            questions,
            examinations,
        };
        assert!(world.sessions.put(agent.parse().unwrap(), handle));
        let this = Self { gateways: Arc::default(), asked: Arc::default(), examined: Arc::default(), orders };
        let (gateways, asked) = (Arc::clone(&this.gateways), Arc::clone(&this.asked));
        let examined = Arc::clone(&this.examined);
        tokio::spawn(async move {
            let mut passed = Duration::ZERO;
            let mut unanswered = Vec::new();
            let mut silent = Vec::new();
            while let Some(command) = ear.recv().await {
                match command {
                    Command::Ask(question) => {
                        let Question { gateway, query, reply } = *question;
                        lock(&asked).push((gateway.clone(), query.clone()));
                        let mut all = lock(&gateways).get(&gateway).cloned().unwrap_or_default();
                        let answer = match manners {
                            Manners::Silent => {
                                unanswered.push(reply);
                                continue;
                            }
                            Manners::Declines => Err("not today".to_owned()),
                            Manners::Answers => Ok(answer(&query, all)),
                            Manners::Repeats => {
                                let query = SessionQuery { after: None, ..query };
                                Ok(SessionPage { more: true, ..answer(&query, all) })
                            }
                            Manners::Lives(step) => {
                                passed += step;
                                all.iter_mut().for_each(|s| pass(s, passed));
                                Ok(answer(&query, all))
                            }
                        };
                        // Whoever gave up waiting for it is told nothing.
                        let _ = reply.send(answer);
                    }
                    Command::Examine(examine) => {
                        let Examine { request, steps } = *examine;
                        lock(&examined).push(request);
                        match manners {
                            Manners::Silent => silent.push(steps),
                            Manners::Declines => {
                                let why = "not a host of its gateways".to_owned();
                                let _ = steps.try_send(Err(Declined { why, retry_after: None }));
                            }
                            _ => {
                                let _ = steps.try_send(Ok(Event::Finding(DiagnosisFinding::default())));
                                let _ = steps.try_send(Ok(Event::Diagnosis(Diagnosis::default())));
                            }
                        }
                    }
                    Command::Orders(orders) => orders.into_iter().for_each(|o| drop(wire.send(o))),
                    Command::Probe(probe) => drop(probe.send(())),
                }
            }
        });
        this
    }

    /// What is on a gateway from now on.
    pub(super) fn set(&self, gateway: &str, sessions: Vec<SessionView>) {
        lock(&self.gateways).insert(gateway.parse().unwrap(), sessions);
    }

    /// The examinations asked for since this was last asked.
    pub(super) fn examined(&self) -> Vec<DiagnoseRequest> {
        std::mem::take(&mut lock(&self.examined))
    }

    /// The questions since this was last asked.
    pub(super) fn asked(&self) -> Vec<(GatewayId, SessionQuery)> {
        std::mem::take(&mut lock(&self.asked))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets time pass for a session.
fn pass(session: &mut SessionView, by: Duration) {
    session.at = session.at.after(by);
    session.age += by;
    for flow in [&mut session.received, &mut session.sent] {
        flow.silent = flow.silent.map(|silent| if silent.is_zero() { silent } else { silent + by });
    }
}

/// As an agent answers.
fn answer(query: &SessionQuery, all: Vec<SessionView>) -> SessionPage {
    let mut summary = SessionSummary::default();
    let counted =
        SessionQuery { instance: query.instance.clone(), source: query.source, ..SessionQuery::default() };
    all.iter().filter(|s| counted.wants(s)).for_each(|s| summary.add(s));
    let mut sessions: Vec<SessionView> = all.into_iter().filter(|s| query.wants(s)).collect();
    let more = query.page(&mut sessions);
    SessionPage { sessions, more, summary }
}

/// A session that has been silent for so long.
pub(super) fn session(id: &str, silent: Duration) -> SessionView {
    let flow = Flow { silent: Some(silent), ..Flow::default() };
    SessionView {
        id: SessionId::new(id).unwrap(),
        source: Source::Relay,
        at: Timestamp(1_700_000_000_000_000),
        instance: None,
        peer: format!("192.0.2.7:{}", id.len()),
        local: "0.0.0.0:8080".to_owned(),
        state: SessionState::Open,
        age: Duration::from_secs(900),
        age_at_least: false,
        received: flow,
        sent: flow,
        rtt: None,
        retransmits: None,
        beat: None,
        protocol: String::new(),
        cause: None,
        message: String::new(),
    }
}
