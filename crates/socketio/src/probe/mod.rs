//! Single questions to an endpoint, for examinations: each asks once or a few times and returns what it saw.
//!
//! Nothing is judged here beyond what one answer says by itself; comparing answers (direct and through a proxy, with and
//! without an origin) is the examiner's. The target's path is taken as it is: who examines a raw WebSocket path asks at
//! [`DEFAULT_PATH`](crate::endpoint::DEFAULT_PATH) with [`Target::at`]. Targets whose query holds no `EIO` or `transport`
//! are completed.
//!
//! Every session that a question opens is closed by the same question. Long polls are never left waiting, and nothing is
//! sent but the handshake, empty packets and the close packet, except by [`websocket()`], which joins a namespace if it
//! is told to: the application then sees somebody come and go.

mod cors;
mod polling;
mod sticky;
mod websocket;

pub use cors::{Cors, Preflight, Seen, cors};
pub use polling::{Polling, Said, polling};
pub use sticky::{Known, Sticky, sticky};
pub use websocket::{WebSocket, websocket};

use mooring_wire::{Ask, Cookies, Target, exchange};

use crate::endpoint::{self, Way};
use crate::refusal::EngineError;

/// Largest answer that is read: an opening packet has some hundred bytes, and what is none is only looked at.
const MAX_ANSWER: usize = 16 * 1024;

/// Sends something to a session that was opened by polling. `None`: the request could not be made.
async fn post(
    target: &Target,
    version: u8,
    sid: &str,
    cookies: &Cookies,
    body: &str,
) -> Option<mooring_wire::Exchange> {
    let path = endpoint::request(target.url(), version, Way::Polling, Some(sid), &[]);
    let target = target.at(&path).ok()?;
    Some(exchange(&target, &Ask::post(body.to_owned(), MAX_ANSWER).cookies(cookies)).await)
}

/// Whether a POST was taken.
fn taken(done: &mooring_wire::Exchange) -> bool {
    done.outcome.as_ref().is_ok_and(|answer| answer.status == 200)
}

/// Whether it was told that there is no such session.
fn unknown(done: &mooring_wire::Exchange) -> bool {
    EngineError::of_body(&done.body).is_some_and(|error| error.code == 1)
}
