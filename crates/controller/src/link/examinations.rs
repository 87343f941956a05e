//! Examinations: an agent looks at an endpoint and says, step by step, what it finds.
//!
//! As with questions about sessions the asker waits and not the attachment's task, each is as good as the attachment it
//! goes over, and there are only so many under way to one agent. Other than those they take minutes and have many
//! answers, so the asker is told of each as it comes; and an asker that goes away is told to the agent, which then ends
//! what it does in good order.
//!
//! There is room for every answer that an examination can have, so the attachment's task never waits for an asker. An
//! agent that says more ends its stream.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mooring_core::id::AgentId;
use mooring_core::time::human;
use mooring_proto::examine::{self, AT_ONCE, Declined, MAX_STEPS, answer_from_pb};
use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::{Invalid, agent_v1 as pb, v1};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};

use super::{Command, Sessions};

/// What an agent may take beyond an examination's own bound: the probe under way then ends in good order.
const GRACE: Duration = Duration::from_secs(300);

/// Why there is no examination, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExamineError {
    /// No stream of it ends here.
    #[error("agent {0} is not attached to this controller")]
    NotAttached(AgentId),
    /// It does not know what an examination is.
    #[error("agent {0} cannot examine: it is too old; upgrade it")]
    Unable(AgentId),
    /// It is at as many as it may be.
    #[error("agent {0} is at {AT_ONCE} examinations already; ask again in a moment")]
    Busy(AgentId),
    /// It never came to an end.
    #[error("agent {0} did not come to an end within {within}", within = human::format(*.1))]
    Late(AgentId, Duration),
    /// Its stream ended before it did.
    #[error("agent {0} went away before the examination was over")]
    Gone(AgentId),
    /// It refused.
    #[error("agent {agent} answered: {why}", why = .declined.why)]
    Declined {
        /// Which.
        agent: AgentId,
        /// Its own words.
        declined: Declined,
    },
}

/// An examination on its way to the attachment's task.
#[derive(Debug)]
pub struct Examine {
    /// What.
    pub request: v1::DiagnoseRequest,
    /// Where its steps go. It has room for all of them.
    pub steps: mpsc::Sender<Result<Event, Declined>>,
}

/// An examination under way. Dropping it ends it.
#[derive(Debug)]
pub struct Examining {
    agent: AgentId,
    steps: mpsc::Receiver<Result<Event, Declined>>,
    within: Duration,
    until: Instant,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Sessions {
    /// Has an agent examine something that may take so long. The request must have been checked.
    ///
    /// # Errors
    /// When it cannot begin: [`ExamineError`] says why.
    pub fn examine(
        &self,
        agent: &AgentId,
        request: v1::DiagnoseRequest,
        at_most: Duration,
    ) -> Result<Examining, ExamineError> {
        let session = self.get(agent).ok_or_else(|| ExamineError::NotAttached(agent.clone()))?;
        let places = session.examinations.ok_or_else(|| ExamineError::Unable(agent.clone()))?;
        let place = places.try_acquire_owned().map_err(|_| ExamineError::Busy(agent.clone()))?;
        let (steps, told) = mpsc::channel(MAX_STEPS + 1);
        let examine = Box::new(Examine { request, steps });
        session.commands.try_send(Command::Examine(examine)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => ExamineError::Busy(agent.clone()),
            mpsc::error::TrySendError::Closed(_) => ExamineError::Gone(agent.clone()),
        })?;
        let within = at_most + GRACE;
        Ok(Examining {
            agent: agent.clone(),
            steps: told,
            within,
            until: Instant::now() + within,
            over: false,
            _place: place,
        })
    }
}

impl Examining {
    /// The next step; `None` after the diagnosis, which is the last.
    ///
    /// # Errors
    /// When there will be no more of it.
    pub async fn next(&mut self) -> Option<Result<Event, ExamineError>> {
        if self.over {
            return None;
        }
        let agent = || self.agent.clone();
        let step = match timeout_at(self.until, self.steps.recv()).await {
            Err(_elapsed) => Err(ExamineError::Late(agent(), self.within)),
            Ok(None) => Err(ExamineError::Gone(agent())),
            Ok(Some(Err(declined))) => Err(ExamineError::Declined { agent: agent(), declined }),
            Ok(Some(Ok(event))) => Ok(event),
        };
        self.over = !matches!(step, Ok(Event::Finding(_)));
        Some(step)
    }
}

/// The examinations of one attachment.
#[derive(Default)]
pub(super) struct Examinations {
    last: u64,
    open: HashMap<u64, Open>,
    /// Each ends with its number when its asker is gone.
    askers: FuturesUnordered<BoxFuture<'static, u64>>,
}

struct Open {
    steps: mpsc::Sender<Result<Event, Declined>>,
    told: usize,
}

impl std::fmt::Debug for Examinations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examinations").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Examinations {
    /// Numbers one. `None` when its asker has given up already.
    pub(super) fn ask(&mut self, examine: Examine) -> Option<pb::ExamineQuestion> {
        let Examine { request, steps } = examine;
        if steps.is_closed() {
            return None;
        }
        self.last += 1;
        let number = self.last;
        let asker = steps.clone();
        self.askers.push(Box::pin(async move {
            asker.closed().await;
            number
        }));
        self.open.insert(number, Open { steps, told: 0 });
        Some(pb::ExamineQuestion { number, request: Some(request) })
    }

    /// Waits until an asker is gone whose examination is not over; what is to be told to the agent.
    pub(super) async fn withdrawn(&mut self) -> pb::ExamineQuestion {
        loop {
            match self.askers.next().await {
                Some(number) if self.open.remove(&number).is_some() => {
                    return pb::ExamineQuestion { number, request: None };
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes an answer in; `false` when nobody waits for it.
    ///
    /// # Errors
    /// When it is malformed or one too many.
    pub(super) fn answer(&mut self, answer: pb::ExamineAnswer) -> Result<bool, Invalid> {
        let number = answer.number;
        let Some(open) = self.open.get_mut(&number) else { return Ok(false) };
        let step = answer_from_pb(answer)?;
        open.told += 1;
        if open.told > MAX_STEPS {
            return Err(Invalid::new("step", format!("more than {MAX_STEPS} of one examination")));
        }
        let over = !matches!(step, Ok(Event::Finding(_)));
        let heard = open.steps.try_send(step).is_ok();
        if over {
            self.open.remove(&number);
        }
        Ok(heard)
    }
}

/// What an agent that examines says in its `Hello`.
pub(super) const CAPABILITY: &str = examine::CAPABILITY;
