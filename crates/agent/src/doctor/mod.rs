//! Examinations that operators ask for: an endpoint is looked at from where this agent stands.
//!
//! An examination is a task of its own and holds nothing up; it says each finding as it is made into the channel of the
//! stream it was asked on. When that stream ends, nobody waits any more, the agent stops, or it takes too long, the probe
//! under way ends in good order and no other is begun: what is examined may die of a careless end.
//!
//! The controller is not trusted with more than it may ask: the question is checked here as if nobody had, hosts are this
//! agent's own (`hosts`), secrets go where they always go (`exam`), and there are only so many (`quota`).

mod exam;
mod hosts;
mod quota;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mooring_core::cause::Lang;
use mooring_core::diagnosis::{Case, Finding};
use mooring_core::id::AgentId;
use mooring_doctor::{Exam, Examination, examine};
use mooring_proto::examine::{Declined, Question, answer_to_pb, declined_to_pb};
use mooring_proto::operator::diagnosis as words;
use mooring_proto::v1::diagnose_response::Event;
use mooring_proto::{agent_v1 as pb, v1};
use mooring_runtime::lifecycle::{Handle, Kind, Stage, Tokens};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::now;
use crate::config::{Allow, GatewayConfig};
use crate::uplink::ExamineDesk;
use quota::Quota;

/// Who examines; cheap to clone.
#[derive(Debug, Clone)]
pub struct Doctor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    agent: AgentId,
    allow: Allow,
    handle: Handle,
    /// As they are configured now.
    gateways: RwLock<Arc<[GatewayConfig]>>,
    quota: Mutex<Quota>,
}

impl Doctor {
    /// One that knows no gateway yet.
    #[must_use]
    pub fn new(agent: AgentId, allow: Allow, handle: Handle) -> Self {
        let gateways = RwLock::new(Arc::from(Vec::new()));
        Self(Arc::new(Inner { agent, allow, handle, gateways, quota: Mutex::default() }))
    }

    /// The gateways are configured so from now on.
    pub fn configured(&self, gateways: &[GatewayConfig]) {
        *self.0.gateways.write().unwrap_or_else(PoisonError::into_inner) = gateways.into();
    }

    fn begin(&self, request: &v1::DiagnoseRequest) -> Result<(Question, Place), Declined> {
        let declined = |why: String| Declined { why, retry_after: None };
        let question = Question::from_request(request)
            .map_err(|invalid| declined(format!("the agent cannot read the question: {invalid}")))?;
        if question.agent != self.0.agent {
            return Err(declined(format!("this is agent {}, not {}", self.0.agent, question.agent)));
        }
        self.0.quota.lock().unwrap_or_else(PoisonError::into_inner).begin(now().mono)?;
        Ok((question, Place(self.clone())))
    }

    async fn exam(&self, question: &Question) -> Result<Exam, Declined> {
        let gateways = Arc::clone(&self.0.gateways.read().unwrap_or_else(PoisonError::into_inner));
        let (question, allow) = (question.clone(), self.0.allow);
        let made = tokio::task::spawn_blocking(move || exam::exam(&question, &gateways, allow)).await;
        let made = made.unwrap_or_else(|_| Err("preparing it failed by a mistake in the agent".to_owned()));
        made.map_err(|why| Declined { why, retry_after: None })
    }
}

/// A place among the examinations under way.
struct Place(Doctor);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.quota.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

impl ExamineDesk for Doctor {
    fn examine(
        &self,
        number: u64,
        request: &v1::DiagnoseRequest,
        answers: mpsc::Sender<pb::ExamineAnswer>,
    ) -> DropGuard {
        let gone = CancellationToken::new();
        let (question, place) = match self.begin(request) {
            Ok(begun) => begun,
            Err(declined) => {
                // A stream that has no room for it hears nothing, and its controller gives up in time.
                let _ = answers.try_send(declined_to_pb(number, &declined));
                return gone.drop_guard();
            }
        };
        let (doctor, asker) = (self.clone(), gone.clone());
        self.0.handle.spawn(Stage::Intake, Kind::Background, "examination", move |tokens| async move {
            let answer = match doctor.exam(&question).await {
                Ok(exam) => run(number, &question, &exam, &answers, &asker, &tokens).await,
                Err(declined) => declined_to_pb(number, &declined),
            };
            asker.run_until_cancelled(answers.send(answer)).await;
            drop(place);
        });
        gone.drop_guard()
    }
}

/// Examines to the end, or until nobody wants to know any more. Gives the last answer.
async fn run(
    number: u64,
    question: &Question,
    exam: &Exam,
    answers: &mpsc::Sender<pb::ExamineAnswer>,
    asker: &CancellationToken,
    tokens: &Tokens,
) -> pb::ExamineAnswer {
    let lang = question.lang.unwrap_or(Lang::En);
    let seen = |case: &Case, finding: &Finding| {
        let event = Event::Finding(words::finding(case, finding, lang));
        // The diagnosis holds all of them: one that finds no room now is not lost.
        let _ = answers.try_send(answer_to_pb(number, event));
    };
    let mut examining = Box::pin(examine(exam, seen));
    let enough = async {
        tokio::select! {
            () = asker.cancelled() => {}
            () = tokens.soft.cancelled() => {}
            () = tokio::time::sleep(question.at_most()) => {}
        }
    };
    let over = tokio::select! {
        over = &mut examining => over,
        () = enough => {
            exam.stop.stop();
            examining.await
        }
    };
    let Examination { case, diagnosis, took, cut_short } = over;
    tracing::info!(number, findings = case.findings.len(), ?took, "an examination is over");
    answer_to_pb(number, Event::Diagnosis(words::diagnosis(&case, &diagnosis, took, cut_short, lang)))
}
