//! The end of a session: what is told of it, and how its connections are let go.

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::cause_of_close;
use mooring_core::observation::Close;
use mooring_core::session::{EndedBy, SessionClose, Source};
use mooring_core::time::{Mono, human};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::Pump;
use super::way::Pending;
use crate::admission::Place;
use crate::event::{Event, Side};
use crate::order::{Ended, Why};
use crate::stream::Stream;

/// Longest that what waits for an end is offered to it after the session's end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The future that lets connections go.
pub(crate) type LingerFuture = dyn Future<Output = ()> + Send;

/// Gives each end what waits for it, half-closes, waits for its end. The place is held meanwhile: they are connections
/// still.
async fn let_go(client: Option<End>, gateway: Option<End>, place: Place) {
    let each = |end: Option<End>| async {
        let Some((mut stream, pending)) = end else { return };
        if let Some(pending) = pending {
            // What it does not take now it will not get.
            let _ = timeout(LAST_WORDS, stream.write_all(&pending.bytes[pending.taken..])).await;
        }
        stream.linger().await;
    };
    tokio::join!(each(client), each(gateway));
    drop(place);
}

/// A connection, and what waits for its end.
type End = (Stream, Option<Box<Pending>>);

impl Pump {
    /// Takes the session out of the lists and tells of its end. Connections whose end was not seen yet are to be let go.
    pub(crate) fn finish(mut self, ended: Ended) -> Option<Pin<Box<LingerFuture>>> {
        self.tell_end(ended);
        let Self { client, gateway, up, down, place, .. } = self;
        let client = (!(up.eof && down.over)).then_some((client, down.pending));
        let gateway = (!(down.eof && up.over)).then_some((gateway, up.pending));
        let any = client.is_some() || gateway.is_some();
        any.then(|| Box::pin(let_go(client, gateway, place)) as Pin<Box<LingerFuture>>)
    }

    /// The same after a fault of this program: its connections are dropped.
    pub(crate) fn give_up(mut self) {
        self.rare.by.get_or_insert(EndedBy::Mooring);
        self.rare.words().error = Some("a fault in the relay".to_owned());
        self.tell_end(Ended::Cut);
    }

    fn tell_end(&mut self, ended: Ended) {
        let close = self.session_close();
        if let Some(cause) = close.cause {
            let by_cause = &self.entry.shared.numbers.closed_by_cause;
            let mut by_cause = by_cause.lock().unwrap_or_else(PoisonError::into_inner);
            *by_cause.entry(cause).or_insert(0) += 1;
        }
        self.entry.remove(ended);
        self.entry.shared.tell(Event::Closed(Box::new(close)));
    }

    fn session_close(&self) -> SessionClose {
        let record = &self.entry.record;
        let now = self.entry.shared.clock.now();
        let by = self.rare.by.unwrap_or(EndedBy::Unknown);
        let (first, second) = match by {
            EndedBy::Peer => (Side::Client, Side::Gateway),
            _ => (Side::Gateway, Side::Client),
        };
        let (code, why) = match (by, record.closing().as_deref()) {
            (EndedBy::Mooring, Some(closing)) => (Some(closing.code), Some(closing.why)),
            _ => (record.code(first).or_else(|| record.code(second)), None),
        };
        let last = record.up.last.load(Relaxed).max(record.down.last.load(Relaxed));
        let words = self.rare.words.as_deref();
        let close = Close {
            code,
            reason: words.and_then(|w| w.reason).map(|r| r.lossy().into_owned()).unwrap_or_default(),
            by_us: by == EndedBy::Mooring,
            age: now.since(Mono(record.opened.load(Relaxed))),
            silent_for: now.since(Mono(last)),
            error: words.and_then(|w| w.error.clone()),
        };
        let mut recent = self.entry.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = cause_of_close(&close, &recent);
        recent.push(now, &close);
        drop(recent);
        let (cause, message) = match (by, why) {
            (EndedBy::Mooring, Some(Why::Order)) => (None, "closed on an order".to_owned()),
            (EndedBy::Mooring, Some(Why::Idle)) => {
                (Some(Cause::RelayLimit), "closed by the relay: idle for too long".to_owned())
            }
            (EndedBy::Mooring, Some(Why::Violation)) => {
                let what = close.error.clone().unwrap_or_default();
                (Some(Cause::ProtocolViolated), format!("closed by the relay: {what}"))
            }
            // A client that leaves in good order is no fault of anybody's.
            (EndedBy::Peer, _) if matches!(close.code, Some(1000 | 1001 | 1005)) => (None, said(&close)),
            (EndedBy::Peer, _) if matches!(close.code, Some(3000..)) => (None, said(&close)),
            (EndedBy::Peer, _) if close.code.is_some() => {
                let of_the_gateway = matches!(verdict.cause, Cause::ProtocolViolated | Cause::MessageTooBig);
                (of_the_gateway.then_some(verdict.cause), said(&close))
            }
            // Young ends in a row are the gateway's doing where the gateway ends them.
            (EndedBy::Peer, _) if verdict.cause == Cause::DroppedAtOnce => {
                let age = human::format(Duration::from_millis(close.age.as_millis() as u64));
                (Some(Cause::SessionLost), format!("the client left without a Close frame after {age}"))
            }
            _ => (Some(verdict.cause), verdict.message),
        };
        SessionClose {
            id: record.session_id(),
            source: Source::Relay,
            instance: record.instance.clone(),
            peer: record.peer.to_string(),
            at: crate::clock::wall(),
            age: close.age,
            silent_for: close.silent_for,
            by,
            code: close.code,
            cause,
            message,
        }
    }
}

/// What the client said at its leaving.
fn said(close: &Close) -> String {
    let code = close.code.unwrap_or(1005);
    let reason: String = close.reason.chars().filter(|c| !c.is_control()).take(120).collect();
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("the client left with code {code}{colon}{reason}")
}
