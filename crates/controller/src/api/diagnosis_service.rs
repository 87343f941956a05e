//! `DiagnosisService`: what is wrong with an endpoint, found out by an agent from where it stands.
//!
//! The controller dials nothing itself. It checks the request, hands it to the agent, and passes on what comes; what may
//! be examined from there is the agent's to say. Nothing is changed and nothing is kept, so there is no event. A caller
//! that goes away ends the examination.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use mooring_core::id::GatewayRef;
use mooring_proto::examine::{Question, lang_tag};
use mooring_proto::v1;
use mooring_proto::v1::diagnosis_service_server::DiagnosisService;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::convert::agent_name;
use super::{Shared, status};
use crate::link::Examining;

/// The service.
pub struct DiagnosisApi(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl DiagnosisService for DiagnosisApi {
    type DiagnoseStream = Pin<Box<dyn Stream<Item = Result<v1::DiagnoseResponse, Status>> + Send>>;

    async fn diagnose(
        &self,
        request: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<Self::DiagnoseStream>, Status> {
        let caller = Caller::of(&request);
        let mut request = request.into_inner();
        let question = Question::from_request(&request).map_err(|e| status::invalid(&e))?;
        {
            let state = self.0.parts.fleet.read();
            if state.agent(&question.agent).is_none() {
                return Err(status::not_found("Agent", &agent_name(&question.agent)));
            }
            if let Some(gateway) = question.gateway.clone() {
                let gateway = GatewayRef { agent: question.agent.clone(), gateway };
                if state.gateway(&gateway).is_none() {
                    return Err(status::not_found("Gateway", &gateway.to_string()));
                }
            }
        }
        lang_tag(question.lang.unwrap_or(caller.lang)).clone_into(&mut request.language);
        let permit = self.0.watch_permit()?;
        let sessions = &self.0.parts.sessions;
        let examining = sessions.examine(&question.agent, request, question.at_most());
        let examining = examining.map_err(|e| status::unexamined(&e))?;
        tracing::info!(caller = caller.name, agent = %question.agent, "an examination begins");
        let steps = Steps { shared: Arc::clone(&self.0), examining, over: false, _permit: permit };
        Ok(Response::new(Box::pin(steps.stream())))
    }
}

/// The steps as they come. Ends with its reader.
struct Steps {
    shared: Arc<Shared>,
    examining: Examining,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Steps {
    fn stream(self) -> impl Stream<Item = Result<v1::DiagnoseResponse, Status>> + Send {
        futures_util::stream::unfold(self, |mut steps| async move {
            let next = steps.next().await?;
            Some((next, steps))
        })
    }

    async fn next(&mut self) -> Option<Result<v1::DiagnoseResponse, Status>> {
        if self.over {
            return None;
        }
        let step = tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => Err(status::stopping()),
            step = self.examining.next() => match step? {
                Ok(event) => Ok(v1::DiagnoseResponse { event: Some(event) }),
                Err(error) => Err(status::unexamined(&error)),
            },
        };
        self.over = step.is_err();
        Some(step)
    }
}
