//! Questions about sessions: asked of an agent on its attachment, answered there or not at all.
//!
//! Sessions live on the agents, so a question is as good as the attachment it goes over: it dies with it, it is given up
//! after a time, and there are only so many under way to one agent, since each answer is work for it and room here. The
//! asker waits and not the attachment's task: that one keeps the number of each question, and whom to tell.
//!
//! What an agent answers is checked like everything it says: what cannot be decoded, or is more than was asked for, ends
//! its stream. An answer that nobody waits for (any more) is counted and thrown away unread.

use std::collections::HashMap;
use std::time::Duration;

use mooring_core::id::{AgentId, GatewayId};
use mooring_core::session::{SessionPage, SessionQuery};
use mooring_core::time::human;
use mooring_proto::sessions::{answer_from_pb, question_to_pb};
use mooring_proto::{Invalid, agent_v1 as pb};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Command, Sessions};

/// What an agent that can be asked says in its `Hello`.
pub const CAPABILITY: &str = "sessions";
/// Most questions under way to one agent.
pub const QUESTIONS: usize = 32;
/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No stream of it ends here.
    #[error("agent {0} is not attached to this controller")]
    NotAttached(AgentId),
    /// It does not know what a session is.
    #[error("agent {0} cannot be asked about sessions: it is too old; upgrade it")]
    Unable(AgentId),
    /// It is being asked too much already.
    #[error(
        "agent {0} has {QUESTIONS} questions before it that it has not answered yet; ask again in a moment"
    )]
    Busy(AgentId),
    /// It said nothing in time.
    #[error("agent {0} did not answer within {within}", within = human::format(*.1))]
    Late(AgentId, Duration),
    /// Its stream ended before it answered.
    #[error("agent {0} went away before it answered")]
    Gone(AgentId),
    /// It gave no sessions but a reason.
    #[error("agent {agent} answered: {why}")]
    Declined {
        /// Which.
        agent: AgentId,
        /// Its own words.
        why: String,
    },
}

impl AskError {
    /// A short stable name, for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotAttached(_) => "not_attached",
            Self::Unable(_) => "unable",
            Self::Busy(_) => "busy",
            Self::Late(..) => "late",
            Self::Gone(_) => "gone",
            Self::Declined { .. } => "declined",
        }
    }

    /// Whether the next question to the same agent would end the same way.
    #[must_use]
    pub fn of_the_agent(&self) -> bool {
        match self {
            Self::NotAttached(_) | Self::Unable(_) | Self::Late(..) | Self::Gone(_) => true,
            Self::Busy(_) | Self::Declined { .. } => false,
        }
    }
}

/// A question on its way to the attachment's task.
#[derive(Debug)]
pub struct Question {
    /// Of which gateway.
    pub gateway: GatewayId,
    /// What.
    pub query: SessionQuery,
    /// Whom to tell: a page, or the agent's own words for why there is none.
    pub reply: oneshot::Sender<Result<SessionPage, String>>,
}

impl Sessions {
    /// Asks an agent about the sessions of one of its gateways. The sessions in the answer are in the order asked for.
    ///
    /// # Errors
    /// When there is no answer: [`AskError`] says why.
    pub async fn ask(
        &self,
        agent: &AgentId,
        gateway: &GatewayId,
        query: SessionQuery,
    ) -> Result<SessionPage, AskError> {
        let begun = Instant::now();
        let answer = self.put_question(agent, gateway, query).await;
        self.metrics.question(answer.as_ref().err().map_or("answered", AskError::name), begun.elapsed());
        answer
    }

    async fn put_question(
        &self,
        agent: &AgentId,
        gateway: &GatewayId,
        query: SessionQuery,
    ) -> Result<SessionPage, AskError> {
        let session = self.get(agent).ok_or_else(|| AskError::NotAttached(agent.clone()))?;
        let questions = session.questions.ok_or_else(|| AskError::Unable(agent.clone()))?;
        // Held until there is an answer or nobody waits for one.
        let _place = questions.try_acquire().map_err(|_| AskError::Busy(agent.clone()))?;
        let (reply, answered) = oneshot::channel();
        let question = Question { gateway: gateway.clone(), query, reply };
        session.commands.try_send(Command::Ask(Box::new(question))).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => AskError::Busy(agent.clone()),
            mpsc::error::TrySendError::Closed(_) => AskError::Gone(agent.clone()),
        })?;
        match tokio::time::timeout(self.patience, answered).await {
            Err(_elapsed) => Err(AskError::Late(agent.clone(), self.patience)),
            Ok(Err(_dropped)) => Err(AskError::Gone(agent.clone())),
            Ok(Ok(Err(why))) => Err(AskError::Declined { agent: agent.clone(), why }),
            Ok(Ok(Ok(page))) => Ok(page),
        }
    }
}

/// The questions of one attachment.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    query: SessionQuery,
    reply: oneshot::Sender<Result<SessionPage, String>>,
}

impl Questions {
    /// Numbers a question. `None` when its asker has given up already.
    pub(super) fn ask(&mut self, question: Question) -> Option<pb::SessionsQuestion> {
        // Those that were given up make room here: what is left is as many as have a place.
        self.open.retain(|_, open| !open.reply.is_closed());
        let Question { gateway, mut query, reply } = question;
        if reply.is_closed() {
            return None;
        }
        query.limit = query.limit.clamp(1, mooring_core::session::MAX_PAGE);
        self.last += 1;
        let message = question_to_pb(self.last, &gateway, &query);
        self.open.insert(self.last, Open { query, reply });
        Some(message)
    }

    /// Takes an answer in; `false` when nobody waits for it.
    ///
    /// # Errors
    /// When it is malformed or holds more than was asked for.
    pub(super) fn answer(&mut self, answer: pb::SessionsAnswer) -> Result<bool, Invalid> {
        let Some(open) = self.open.remove(&answer.number) else { return Ok(false) };
        if open.reply.is_closed() {
            return Ok(false);
        }
        let answer = match answer_from_pb(answer)? {
            Err(why) => Err(why),
            Ok(mut page) => {
                let (got, limit) = (page.sessions.len(), open.query.limit);
                if got > limit {
                    return Err(Invalid::new(
                        "sessions",
                        format!("{got} sessions where {limit} were asked for"),
                    ));
                }
                // An agent that knows more causes than we do puts sessions in another order than we would.
                open.query.page(&mut page.sessions);
                Ok(page)
            }
        };
        Ok(open.reply.send(answer).is_ok())
    }
}
