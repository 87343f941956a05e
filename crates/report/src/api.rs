//! The calls, whatever form they came in: what gRPC and HTTP have in common, which is everything but the wrapping.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use mooring_core::id::GatewayId;
use mooring_core::limits::{MAX_MESSAGE, MAX_OUTPUT_TAIL};
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_proto::report_v1 as v1;
use mooring_runtime::clock::SystemClock;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::check;
use crate::config::MAX_EVENTS;
use crate::desk::Desk;
use crate::directory::Directory;
use crate::meaning::{Event, Reported};
use crate::refusal::Refusal;

/// Longest wait for orders.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
/// Wait for orders where none is said.
const WAIT: Duration = Duration::from_secs(30);
/// When to come again after a full queue: the agent empties it in far less.
const BEHIND: Duration = Duration::from_secs(1);

/// The calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub directory: Directory,
    pub desk: Desk,
    reports: mpsc::Sender<Reported>,
    run: Arc<str>,
    stop: CancellationToken,
}

/// Both clocks.
pub(crate) fn now() -> Now {
    let (mono, wall) = SystemClock::now();
    Now { mono: Mono(u64::try_from(mono.as_micros()).unwrap_or(u64::MAX)), wall: Timestamp(wall) }
}

impl Api {
    pub fn new(
        directory: Directory,
        desk: Desk,
        reports: mpsc::Sender<Reported>,
        stop: CancellationToken,
    ) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string().into();
        Self { directory, desk, reports, run, stop }
    }

    pub fn register(&self, request: &v1::RegisterRequest) -> Result<v1::RegisterResponse, Refusal> {
        let gateway = self.directory.resolve(&request.gateway)?;
        let instance = check::instance("instance", &request.instance)?;
        let client = check::client(&request.client)?;
        let empty = v1::Registration::default();
        let registration = check::registration(request.registration.as_ref().unwrap_or(&empty))?;
        let now = now();
        self.directory.admit(&gateway, 1, now.mono)?;
        let place = self.reports.try_reserve().map_err(|e| behind(&e))?;
        let noted = self.directory.note(&gateway, &instance, &client, 0, true, now.mono)?;
        let event = Event::Registered(Box::new(registration));
        place.send(Reported { gateway: gateway.clone(), instance, at: now, session: Arc::default(), event });
        Ok(v1::RegisterResponse {
            gateway: gateway.to_string(),
            known: noted.before,
            agent_run: self.run.to_string(),
        })
    }

    pub fn report(&self, request: &v1::ReportRequest) -> Result<v1::ReportResponse, Refusal> {
        let gateway = self.directory.resolve(&request.gateway)?;
        let client = check::client(&request.client)?;
        let events = &request.events;
        if events.is_empty() {
            let refusal = Refusal::invalid("events", "there is none");
            return Err(refusal.hint(r#"send {"events":[{"open":{}}]}"#));
        }
        if events.len() > MAX_EVENTS {
            let refusal = Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_AT_ONCE",
                format!("{} events in one request, at most {MAX_EVENTS} are taken", events.len()),
            );
            return Err(refusal.hint("send several requests"));
        }
        let now = now();
        self.directory.admit(&gateway, events.len(), now.mono)?;
        let mut places = self.reports.try_reserve_many(events.len()).map_err(|e| behind(&e))?;
        let mut response =
            v1::ReportResponse { agent_run: self.run.to_string(), ..v1::ReportResponse::default() };
        let mut first = None;
        for (index, event) in events.iter().enumerate() {
            match self.event(&gateway, &client, &request.instance, event, now) {
                Ok(reported) => {
                    response.accepted += 1;
                    if let (Some(reported), Some(place)) = (reported, places.next()) {
                        place.send(reported);
                    }
                }
                Err(refusal) => {
                    response.problems.push(v1::Problem {
                        index: u32::try_from(index).unwrap_or(u32::MAX),
                        reason: refusal.reason.to_owned(),
                        message: refusal.text(),
                    });
                    first.get_or_insert(refusal);
                }
            }
        }
        match first {
            Some(refusal) if response.accepted == 0 => Err(refusal),
            _ => Ok(response),
        }
    }

    /// One event; `None`: there is nothing to hand on, it was taken before or says nothing any more.
    fn event(
        &self,
        gateway: &GatewayId,
        client: &Arc<str>,
        instance: &str,
        event: &v1::Event,
        now: Now,
    ) -> Result<Option<Reported>, Refusal> {
        let name = if event.instance.is_empty() { instance } else { &event.instance };
        let instance = check::instance("instance", name)?;
        let checked = check::event(event)?;
        let registers = matches!(checked.event, Event::Registered(_));
        let at = now.mono.before(checked.ago);
        let noted = self.directory.note(gateway, &instance, client, event.sequence, registers, at)?;
        if noted.repeated {
            return Ok(None);
        }
        if matches!(checked.event, Event::Beat { .. }) && now.mono.since(Mono(0)) < checked.ago {
            // From before this process and its clock began: its age cannot be told, so it proves nothing.
            return Ok(None);
        }
        let at = match noted.at {
            // Its age is longer than our clock's: only the wall can tell it.
            Mono(0) => Now { mono: Mono(0), wall: now.wall.before(checked.ago) },
            mono => Now { mono, wall: now.wall.before(now.mono.since(mono)) },
        };
        let (session, event) = (checked.session, checked.event);
        Ok(Some(Reported { gateway: gateway.clone(), instance, at, session, event }))
    }

    pub async fn poll(&self, request: &v1::PollOrdersRequest) -> Result<v1::PollOrdersResponse, Refusal> {
        let gateway = self.directory.resolve(&request.gateway)?;
        let client = check::client(&request.client)?;
        let wait = check::optional("wait", request.wait.as_ref())?.unwrap_or(WAIT).min(MAX_WAIT);
        let orders = tokio::select! {
            orders = self.desk.next(&gateway, &client, wait) => orders,
            () = self.stop.cancelled() => Vec::new(),
        };
        Ok(v1::PollOrdersResponse { orders, agent_run: self.run.to_string() })
    }

    /// Orders one by one, until the agent stops or the caller goes away.
    pub fn watch(
        &self,
        request: &v1::WatchOrdersRequest,
    ) -> Result<impl Stream<Item = v1::Order> + Send + 'static, Refusal> {
        let gateway = self.directory.resolve(&request.gateway)?;
        let client = check::client(&request.client)?;
        let desk = self.desk.clone();
        let taken = TakenByStream { desk, gateway, ids: Vec::new(), waiting: Vec::new() };
        let stop = self.stop.clone();
        Ok(stream::unfold((taken, client, stop), |(mut taken, client, stop)| async move {
            while taken.waiting.is_empty() {
                tokio::select! {
                    orders = taken.desk.next(&taken.gateway, &client, MAX_WAIT) => taken.took(orders),
                    () = stop.cancelled() => return None,
                }
            }
            let order = taken.waiting.remove(0);
            Some((order, (taken, client, stop)))
        }))
    }

    pub fn answer(&self, request: &v1::AnswerOrderRequest) -> Result<v1::AnswerOrderResponse, Refusal> {
        let gateway = self.directory.resolve(&request.gateway)?;
        let message = check::words(&request.message, MAX_MESSAGE.min(MAX_OUTPUT_TAIL));
        self.desk.answer(&gateway, &request.order, &request.stage, message)?;
        Ok(v1::AnswerOrderResponse {})
    }
}

/// What a stream was given: when it ends, whatever of it has no answer is told.
struct TakenByStream {
    desk: Desk,
    gateway: GatewayId,
    ids: Vec<String>,
    waiting: Vec<v1::Order>,
}

/// Orders of a stream that are remembered; the older ones have ended by their time limits.
const REMEMBERED: usize = 1_000;

impl TakenByStream {
    fn took(&mut self, orders: Vec<v1::Order>) {
        let surplus = (self.ids.len() + orders.len()).saturating_sub(REMEMBERED);
        self.ids.drain(..surplus.min(self.ids.len()));
        self.ids.extend(orders.iter().map(|order| order.id.clone()));
        self.waiting = orders;
    }
}

impl Drop for TakenByStream {
    fn drop(&mut self) {
        self.desk.left(&self.gateway, &self.ids);
    }
}

fn behind<T>(error: &TrySendError<T>) -> Refusal {
    let message = match error {
        TrySendError::Full(_) => "the agent is behind with what was reported before",
        TrySendError::Closed(_) => "the agent is stopping",
    };
    Refusal::new(Code::Unavailable, "BEHIND", message)
        .hint("nothing was taken: send it again")
        .retry_after(BEHIND)
}
