//! `EventService`: what happened, newest first, and as it happens.
//!
//! Events live in the store only, so a list needs it. A watch rides out its absence: it goes on from the number it has
//! reached, and numbers become visible in their order, so nothing is missed. It wakes when the fleet changes, since most
//! events come with a change, and looks round by itself now and then for those that do not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use mooring_proto::v1::event_service_server::EventService;
use mooring_proto::{timestamp_from, v1};
use mooring_store::EventRecord;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::{Request, Response, Status};

use super::filter::{self, Filter};
use super::page::{self, Kind, Page, Query, TokenError};
use super::records::EventAt;
use super::{Shared, convert, status};

/// Events read at once.
const PORTION: u32 = 500;
/// Portions looked at for one page.
const PORTIONS: usize = 20;
/// Least time between two looks of one watch, however much happens.
const LEAST: Duration = Duration::from_millis(250);
/// Most time between two looks.
const MOST: Duration = Duration::from_secs(2);

/// The service.
pub struct Events(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl EventService for Events {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let request = request.into_inner();
        let filter = filter::parse(&request.filter, &filter::EVENTS)?;
        let mut page = Page::new(page::size(request.page_size)?);
        let since = match &request.since_time {
            None => None,
            Some(t) => Some(
                timestamp_from(t).ok_or_else(|| status::bad_field("since_time", "is not a time in range"))?,
            ),
        };
        let query = Query::of(&[&request.filter, &since.map_or_else(String::new, |t| t.0.to_string())]);
        let position = self.0.tokens.position(Kind::Events, query, &request.page_token)?;
        let mut before: Option<i64> = match position {
            None => None,
            Some(number) => Some(number.parse().map_err(|_| TokenError::Invalid)?),
        };
        let now = Shared::now();
        let mut more = true;
        'portions: for _ in 0..PORTIONS {
            let portion = self.0.need(self.0.parts.store.events_before(before, since, PORTION)).await?;
            for found in &portion {
                let matches = filter.matches(&EventAt(found, now));
                if matches && (page.is_full() || page.push(convert::event(found)).is_err()) {
                    break 'portions;
                }
                before = Some(found.number);
            }
            if portion.len() < PORTION as usize {
                more = false;
                break;
            }
        }
        let next_page_token = match before {
            Some(number) if more => self.0.tokens.seal(Kind::Events, query, number.to_string().as_bytes()),
            _ => String::new(),
        };
        Ok(self.0.answer(v1::ListEventsResponse { events: page.into_items(), next_page_token }))
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let filter = filter::parse(&request.filter, &filter::EVENTS)?;
        let after = after(&request.after)?;
        let permit = self.0.watch_permit()?;
        let changes = self.0.parts.fleet.changes();
        let after = match after {
            Some(number) => number,
            None => {
                let newest = self.0.need(self.0.parts.store.events_before(None, None, 1)).await?;
                newest.first().map_or(0, |e| e.number)
            }
        };
        let follower = Follower {
            shared: Arc::clone(&self.0),
            filter,
            after,
            ready: VecDeque::new(),
            changes,
            over: false,
            _permit: permit,
        };
        Ok(self.0.answer(Box::pin(follower.stream())))
    }
}

/// The number in `events/{number}`; `None` when empty.
fn after(text: &str) -> Result<Option<i64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.strip_prefix("events/").and_then(|n| n.parse::<i64>().ok()).filter(|n| *n >= 0);
    number.map(Some).ok_or_else(|| status::bad_field("after", "must be empty or of the form events/{number}"))
}

struct Follower {
    shared: Arc<Shared>,
    filter: Filter,
    after: i64,
    ready: VecDeque<EventRecord>,
    changes: watch::Receiver<u64>,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    fn stream(self) -> impl Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send {
        futures_util::stream::unfold(self, |mut follower| async move {
            let next = follower.next().await?;
            Some((next, follower))
        })
    }

    async fn next(&mut self) -> Option<Result<v1::WatchEventsResponse, Status>> {
        if self.over {
            return None;
        }
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Some(Ok(v1::WatchEventsResponse { event: Some(convert::event(&found)) }));
            }
            if let Err(status) = self.look().await {
                self.over = true;
                return Some(Err(status));
            }
        }
    }

    /// Waits until it is worth it, then reads what is new.
    async fn look(&mut self) -> Result<(), Status> {
        self.changes.borrow_and_update();
        let stopping = self.shared.stopping.clone();
        let found = self.shared.try_ask(self.shared.parts.store.events_after(self.after, PORTION)).await?;
        let found = found.unwrap_or_default();
        let now = Shared::now();
        if let Some(last) = found.last() {
            self.after = last.number;
        }
        let full = found.len() == PORTION as usize;
        let filter = &self.filter;
        self.ready.extend(found.into_iter().filter(|e| filter.matches(&EventAt(e, now))));
        if !self.ready.is_empty() || full {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(status::stopping()),
            changed = self.changes.changed() => {
                changed.map_err(|_| status::stopping())?;
                // What happens in one go is read in one go.
                tokio::select! {
                    () = stopping.cancelled() => Err(status::stopping()),
                    () = tokio::time::sleep(LEAST) => Ok(()),
                }
            }
            () = tokio::time::sleep(MOST) => Ok(()),
        }
    }
}
