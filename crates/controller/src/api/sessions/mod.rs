//! `SessionService`: real sessions, looked at where they live, and what is kept of them.
//!
//! Sessions are on the agents and nowhere else, so a list asks all agents concerned at that moment and merges what they
//! say ([`look`]); an agent that gives no answer is named, so that a list never looks complete when it is not. Ends and
//! numbers come from the store ([`kept`]). Nothing here changes anything: closing a session is an order.

mod kept;
mod look;
mod merge;
mod place;
mod wanted;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use mooring_core::id::SessionRef;
use mooring_core::session::{SessionQuery, SessionView};
use mooring_proto::v1::session_service_server::SessionService;
use mooring_proto::{duration_from, operator, timestamp, v1};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::page::{self, Kind};
use super::{Shared, request, status};
use place::Position;
use wanted::Wanted;

/// Sessions of a page when nothing is said.
const DEFAULT_PAGE: usize = 50;
/// Between two looks of a watch: when nothing is said, at least, at most.
const INTERVAL: Duration = Duration::from_secs(2);
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const MOST_INTERVAL: Duration = Duration::from_secs(3_600);

/// The service.
pub struct SessionsApi(pub(super) Arc<Shared>);

/// One session as its agent sees it now.
///
/// # Errors
/// NOT_FOUND when the gateway is not known or the session is gone; UNAVAILABLE and the like when the agent gives no answer.
pub(super) async fn find(shared: &Shared, name: &SessionRef) -> Result<SessionView, Status> {
    let gateway = &name.gateway;
    if shared.parts.fleet.read().gateway(gateway).is_none() {
        return Err(status::not_found("Gateway", &gateway.to_string()));
    }
    let query = SessionQuery { id: Some(name.session.clone()), limit: 1, ..SessionQuery::default() };
    let answer = shared.parts.sessions.ask(&gateway.agent, &gateway.gateway, query).await;
    let page = answer.map_err(|e| status::unanswered(&e))?;
    let found = page.sessions.into_iter().find(|s| s.id == name.session);
    found.ok_or_else(|| status::not_found("Session", &name.to_string()))
}

#[tonic::async_trait]
impl SessionService for SessionsApi {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size_or("page_size", request.page_size, DEFAULT_PAGE)?;
        let wanted = Wanted::new(&request.parent, &request.filter, &request.order_by)?;
        let query = wanted.query();
        let after = match self.0.tokens.position(Kind::Sessions, query, &request.page_token)? {
            None => None,
            Some(position) => Some(position.parse::<Position>()?),
        };
        let look = look::look(&self.0, &wanted, after, size).await?;
        let next_page_token = look.next.map_or_else(String::new, |position| {
            self.0.tokens.seal(Kind::Sessions, query, position.to_string().as_bytes())
        });
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: look.sessions,
            next_page_token,
            summary: Some(operator::session_summary(&look.summary)),
            unanswered: look.unanswered,
        }))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let name = request::session(&request.into_inner().name)?;
        let found = find(&self.0, &name).await?;
        Ok(Response::new(operator::session(&name.gateway, &found)))
    }

    type WatchSessionsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchSessionsResponse, Status>> + Send>>;

    async fn watch_sessions(
        &self,
        request: Request<v1::WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        let request = request.into_inner();
        let size = page::size_or("limit", request.limit, DEFAULT_PAGE)?;
        let wanted = Wanted::new(&request.parent, &request.filter, &request.order_by)?;
        let interval = match &request.interval {
            None => INTERVAL,
            Some(d) => duration_from(d)
                .ok_or_else(|| status::bad_field("interval", "is not a valid duration"))?
                .clamp(LEAST_INTERVAL, MOST_INTERVAL),
        };
        // A parent that does not exist is told now and not in the stream.
        wanted.parent.check(&self.0.parts.fleet.read())?;
        let permit = self.0.watch_permit()?;
        let watch = Watch {
            shared: Arc::clone(&self.0),
            wanted,
            size,
            interval,
            next_at: Instant::now(),
            over: false,
            _permit: permit,
        };
        Ok(Response::new(Box::pin(watch.stream())))
    }

    async fn list_session_closes(
        &self,
        request: Request<v1::ListSessionClosesRequest>,
    ) -> Result<Response<v1::ListSessionClosesResponse>, Status> {
        let response = kept::closes(&self.0, &request.into_inner()).await?;
        Ok(self.0.answer(response))
    }

    async fn list_session_counts(
        &self,
        request: Request<v1::ListSessionCountsRequest>,
    ) -> Result<Response<v1::ListSessionCountsResponse>, Status> {
        let response = kept::counts(&self.0, &request.into_inner()).await?;
        Ok(self.0.answer(response))
    }
}

/// Looks again and again. A look is made when the reader has room for it: one that reads slowly gets fewer looks, each
/// the newest, and nothing waits for it here. It ends with its reader.
struct Watch {
    shared: Arc<Shared>,
    wanted: Wanted,
    size: usize,
    interval: Duration,
    next_at: Instant,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    fn stream(self) -> impl Stream<Item = Result<v1::WatchSessionsResponse, Status>> + Send {
        futures_util::stream::unfold(self, |mut watch| async move {
            let next = watch.next().await?;
            Some((next, watch))
        })
    }

    async fn next(&mut self) -> Option<Result<v1::WatchSessionsResponse, Status>> {
        if self.over {
            return None;
        }
        let stopping = self.shared.stopping.clone();
        let seen = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(status::stopping()),
            seen = self.look() => seen,
        };
        self.over = seen.is_err();
        Some(seen)
    }

    async fn look(&mut self) -> Result<v1::WatchSessionsResponse, Status> {
        tokio::time::sleep_until(self.next_at).await;
        let at = Instant::now();
        let time = Shared::now();
        let look = look::look(&self.shared, &self.wanted, None, self.size).await?;
        self.next_at = at + self.interval;
        Ok(v1::WatchSessionsResponse {
            sessions: look.sessions,
            summary: Some(operator::session_summary(&look.summary)),
            unanswered: look.unanswered,
            time: Some(timestamp(time)),
        })
    }
}
