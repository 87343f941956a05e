//! Sessions held open, to learn what ends them: three at once, two in silence and one with pings.
//!
//! The two silent ones begin apart: cut after the same silence at different moments, they were cut for their silence;
//! cut in the same moment, for something else. The one with pings tells whether traffic saves a session.

use std::time::Duration;

use mooring_core::diagnosis::{Failed, Finding, LinkSaw, Probe, Saw};
use mooring_core::observation::Close;
use mooring_wire::{Dialled, End, Event, Session, Target, dial};
use tokio::time::{Instant, sleep, timeout_at};

use crate::exam::{Exam, Spot};

/// Between the beginnings of the silent sessions.
const APART: Duration = Duration::from_secs(2);
/// Longest wait for the peer's Close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

pub(super) async fn hold(exam: &Exam, spot: &Spot, place: usize, time: Duration) -> Vec<Finding> {
    let apart = APART.min(time / 4);
    let every = (time / 12).clamp(Duration::from_millis(200), Duration::from_secs(15));
    let target = spot.target.clone();
    let target = if exam.adds_identity() { super::upgrade::identity(target) } else { Ok(target) };
    let Ok(target) = target else { return Vec::new() };
    let (first, second, pinging) = tokio::join!(
        one(&target, time, Duration::ZERO, None),
        one(&target, time, apart, None),
        one(&target, time, apart / 2, Some(every)),
    );
    [(Probe::HoldSilent, first), (Probe::HoldSilent, second), (Probe::HoldPinging, pinging)]
        .into_iter()
        .map(|(probe, saw)| Finding { place, probe, saw })
        .collect()
}

async fn one(target: &Target, time: Duration, wait: Duration, ping_every: Option<Duration>) -> Saw {
    sleep(wait).await;
    let Dialled { report, session } = Box::pin(dial(target)).await;
    let mut saw = Saw::of_report(&report);
    let Some(session) = session else { return saw };
    saw.established = true;
    let (close, link) = Box::pin(keep(session, time.saturating_sub(wait), ping_every)).await;
    if let Some(error) = close.as_ref().and_then(|c| c.error.as_ref()) {
        saw.failed = Some(Failed {
            step: mooring_core::handshake::Step::Close,
            cause: mooring_core::cause::Cause::SessionLost,
            message: error.clone(),
        });
    }
    saw.close = close;
    saw.link = Some(link);
    saw
}

/// Keeps a session until it ends or the time is over; then closes it properly.
async fn keep(
    mut session: Session,
    time: Duration,
    ping_every: Option<Duration>,
) -> (Option<Close>, LinkSaw) {
    let opened = session.opened();
    let until = opened + time;
    let mut link = LinkSaw::default();
    let mut heard = opened;
    let mut pinged: Option<Instant> = None;
    let mut next = ping_every.map(|every| opened + every);
    let close = loop {
        let wake = next.map_or(until, |at| at.min(until));
        let Ok(event) = timeout_at(wake, session.event()).await else {
            let now = Instant::now();
            if now >= until {
                break None;
            }
            if let (Some(every), Some(_)) = (ping_every, next) {
                if session.ping(u128::from(link.asked).to_be_bytes()) {
                    link.asked += 1;
                }
                next = Some(now + every);
            }
            continue;
        };
        let now = Instant::now();
        let end = |code, reason, error| Close {
            code,
            reason,
            by_us: false,
            age: now.duration_since(opened),
            silent_for: now.duration_since(heard),
            error,
        };
        match event {
            Event::Close(code, reason) => break Some(end(Some(code), reason, None)),
            Event::Ended(End { error, violation }) => {
                let close = end(None, String::new(), error);
                if let Some(code) = violation {
                    session.close(code, "");
                }
                break Some(close);
            }
            Event::Ping => {
                link.pings += 1;
                if let Some(before) = pinged {
                    let gap = now.duration_since(before);
                    link.ping_interval = Some(link.ping_interval.map_or(gap, |known| known.max(gap)));
                }
                pinged = Some(now);
            }
            Event::Pong(_) => link.answered += 1,
            Event::Data(_) => {}
        }
        heard = now;
    };
    let now = Instant::now();
    link.age = now.duration_since(opened);
    link.silent_for = now.duration_since(heard);
    if close.is_none() {
        leave(&mut session).await;
    }
    session.finish().await;
    (close, link)
}

async fn leave(session: &mut Session) {
    session.close(1000, "examination over");
    let until = Instant::now() + CLOSE_WAIT;
    while let Ok(event) = timeout_at(until, session.event()).await {
        if matches!(event, Event::Close(..) | Event::Ended(_)) {
            return;
        }
    }
}
