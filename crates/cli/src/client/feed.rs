//! Streams that do not end: `Watch`, `WatchEvents` and `WatchSessions`, taken up again where they broke off.
//!
//! A watch is resumed with its token, so that nothing is missed and nothing is shown twice; where the controller no
//! longer has what happened meanwhile (OUT_OF_RANGE) it begins anew, and says so. Each look at sessions is whole, so there nothing can be missed. A refusal that will not pass by itself
//! ends it.

use std::time::Duration;

use mooring_core::backoff::Backoff;
use mooring_proto::v1::{
    Event, WatchEventsRequest, WatchRequest, WatchResponse, WatchSessionsRequest, WatchSessionsResponse,
};
use tonic::Code;

use super::Client;
use crate::failure::{Failure, Outcome};

/// Between two attempts to take a stream up again: one operator's terminal, so it may be quick.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What a watch has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Update {
    /// It runs. Not resumed: a snapshot follows, and what it does not hold is gone.
    Began {
        /// Whether it goes on where it broke off.
        resumed: bool,
    },
    /// One step.
    Item(Box<WatchResponse>),
    /// It broke off and is taken up again.
    Lost(String),
}

/// Watches instances and orders for ever. Ends with what `take` returns as an error, or with a refusal.
///
/// With `patient`, even the first attempt may fail without ending it.
pub(crate) async fn watch(
    client: &Client,
    filter: &str,
    patient: bool,
    mut take: impl AsyncFnMut(Update) -> Outcome<()>,
) -> Outcome<std::convert::Infallible> {
    let mut token = String::new();
    let mut retry = Retry::new(patient);
    loop {
        let request = WatchRequest { filter: filter.to_owned(), resume_token: token.clone() };
        let failure = match client.call(client.fleet().watch(request)).await {
            Ok(mut stream) => {
                take(Update::Began { resumed: !token.is_empty() }).await?;
                loop {
                    match stream.message().await {
                        Ok(Some(item)) => {
                            retry.well();
                            if !item.resume_token.is_empty() {
                                token.clone_from(&item.resume_token);
                            }
                            take(Update::Item(Box::new(item))).await?;
                        }
                        Ok(None) => break Failure::Problem("the controller ended the watch".to_owned()),
                        Err(status) => break client.failure(status),
                    }
                }
            }
            Err(failure) => failure,
        };
        if is(&failure, Code::OutOfRange) && !token.is_empty() {
            token.clear();
            continue;
        }
        let pause = retry.after(failure, |why| take(Update::Lost(why))).await?;
        tokio::time::sleep(pause).await;
    }
}

/// What a stream of events has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EventUpdate {
    /// It happened.
    Event(Box<Event>),
    /// The stream broke off and is taken up again.
    Lost(String),
}

/// Follows events for ever, from after the event of this name (empty: from now on).
pub(crate) async fn events(
    client: &Client,
    filter: &str,
    after: &str,
    patient: bool,
    mut take: impl AsyncFnMut(EventUpdate) -> Outcome<()>,
) -> Outcome<std::convert::Infallible> {
    let mut after = after.to_owned();
    let mut retry = Retry::new(patient);
    loop {
        let request = WatchEventsRequest { filter: filter.to_owned(), after: after.clone() };
        let failure = match client.call(client.events().watch_events(request)).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(item)) => {
                        retry.well();
                        let Some(event) = item.event else { continue };
                        after.clone_from(&event.name);
                        take(EventUpdate::Event(Box::new(event))).await?;
                    }
                    Ok(None) => {
                        break Failure::Problem("the controller ended the stream of events".to_owned());
                    }
                    Err(status) => break client.failure(status),
                }
            },
            Err(failure) => failure,
        };
        let pause = retry.after(failure, |why| take(EventUpdate::Lost(why))).await?;
        tokio::time::sleep(pause).await;
    }
}

/// What a watch of sessions has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SessionUpdate {
    /// One look.
    Look(Box<WatchSessionsResponse>),
    /// The stream broke off and is taken up again.
    Lost(String),
}

/// Looks at sessions again and again, for ever.
pub(crate) async fn sessions(
    client: &Client,
    request: &WatchSessionsRequest,
    mut take: impl AsyncFnMut(SessionUpdate) -> Outcome<()>,
) -> Outcome<std::convert::Infallible> {
    let mut retry = Retry::new(false);
    loop {
        let failure = match client.ask(client.sessions().watch_sessions(request.clone())).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(look)) => {
                        retry.well();
                        take(SessionUpdate::Look(Box::new(look))).await?;
                    }
                    Ok(None) => break Failure::Problem("the controller ended the watch".to_owned()),
                    Err(status) => break client.failure(status),
                }
            },
            Err(failure) => failure,
        };
        let pause = retry.after(failure, |why| take(SessionUpdate::Lost(why))).await?;
        tokio::time::sleep(pause).await;
    }
}

fn is(failure: &Failure, code: Code) -> bool {
    matches!(failure, Failure::Refused(status) if status.code() == code)
}

/// Whether and when to try again.
struct Retry {
    backoff: Backoff,
    failures: u32,
    worked: bool,
}

impl Retry {
    fn new(patient: bool) -> Self {
        let backoff = Backoff::new(RETRY.0, RETRY.1).unwrap_or_default();
        Self { backoff, failures: 0, worked: patient }
    }

    fn well(&mut self) {
        self.failures = 0;
        self.worked = true;
    }

    /// Judges a break: gives the pause before the next attempt, or the failure where trying again is no use.
    async fn after<F>(&mut self, failure: Failure, lost: impl FnOnce(String) -> F) -> Outcome<Duration>
    where
        F: Future<Output = Outcome<()>>,
    {
        let ended = matches!(failure, Failure::Problem(_));
        // Cancelled and Aborted are how a stopping server, or a proxy, ends a stream.
        let cut = is(&failure, Code::Cancelled) || is(&failure, Code::Aborted);
        if !self.worked || !(ended || cut || failure.passing()) {
            return Err(failure);
        }
        // Once for each break: that the next attempts fail as well is no news.
        if self.failures == 0 {
            lost(failure.to_string()).await?;
        }
        let pause = self.backoff.full(self.failures, &mut rand::rng());
        self.failures = self.failures.saturating_add(1);
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    async fn judged(retry: &mut Retry, status: Status) -> bool {
        retry.after(Failure::Refused(Box::new(status)), async |_| Ok(())).await.is_ok()
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let mut retry = Retry::new(true);
        assert!(judged(&mut retry, Status::unavailable("")).await);
        assert!(judged(&mut retry, Status::cancelled("")).await);
        assert!(!judged(&mut retry, Status::unauthenticated("")).await);
        assert!(!judged(&mut retry, Status::invalid_argument("")).await);
        let mut impatient = Retry::new(false);
        assert!(!judged(&mut impatient, Status::unavailable("")).await);
        impatient.well();
        assert!(judged(&mut impatient, Status::unavailable("")).await);
    }
}
