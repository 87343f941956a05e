//! Do requests of one session reach the process that holds it? A session opened by polling lives in one process; behind a
//! balancer that deals requests out, the others say `Session ID unknown`.
//!
//! The follow-ups are POSTs of the empty packet and not GETs: those would wait for news until the next ping. Two rounds are
//! asked, without and with the cookies that came with the opening, as there are clients of both kinds: browsers send
//! them, the client for Node does not unless it is told to.

use mooring_wire::{Cookies, Target, TargetError};

use super::polling::{Polling, Said, begin, end};
use super::{post, taken, unknown};
use crate::packet::engine::{Packet, encode_payload};

/// Most follow-ups of one round.
pub const MAX_TRIES: u32 = 32;

/// What became of the follow-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// How many were asked.
    pub asked: u32,
    /// How many reached the session.
    pub known: u32,
    /// How many were told that there is no such session.
    pub unknown: u32,
}

impl Known {
    /// Whether some were told that there is no such session.
    #[must_use]
    pub fn astray(&self) -> bool {
        self.unknown > 0
    }
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Sticky {
    /// The opening; where it failed, nothing else was asked.
    pub opening: Polling,
    /// Follow-ups of a client that keeps no cookies.
    pub plain: Known,
    /// Follow-ups of one that does; all zero where the opening set none.
    pub with_cookies: Known,
    /// The cookies' names.
    pub cookies: Vec<String>,
}

/// Opens a session by polling, asks for it again up to `tries` times each way, and closes it.
///
/// A balancer that picks one of n processes at random finds the right one each time with a chance of n to the power of
/// minus `tries`: six are enough to be believed.
///
/// # Errors
/// When the path becomes too long to ask for.
pub async fn sticky(target: &Target, tries: u32) -> Result<Sticky, TargetError> {
    let tries = tries.clamp(1, MAX_TRIES);
    let mut opening = begin(target, 4, &[]).await?;
    let cookies = opening.exchange.cookies.clone();
    let names = cookies.names().map(str::to_owned).collect();
    let (mut plain, mut with_cookies) = (Known::default(), Known::default());
    if let Said::Open(open) = &opening.said {
        plain = round(target, &open.sid, &Cookies::default(), tries).await;
        if !cookies.is_empty() {
            with_cookies = round(target, &open.sid, &cookies, tries).await;
        }
    }
    opening.closed = end(target, &opening).await;
    Ok(Sticky { opening, plain, with_cookies, cookies: names })
}

async fn round(target: &Target, sid: &str, cookies: &Cookies, tries: u32) -> Known {
    let mut known = Known::default();
    for _ in 0..tries {
        let body = encode_payload(&[Packet::Noop]);
        let Some(done) = post(target, 4, sid, cookies, &body).await else { break };
        known.asked += 1;
        known.known += u32::from(taken(&done));
        known.unknown += u32::from(unknown(&done));
    }
    known
}
