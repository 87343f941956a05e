//! Whether something is wrong with a session: a pure function of its record, the time and the budgets.
//!
//! Only what a session itself has promised or shown is held against it: a heartbeat stated by the protocol, a ping that
//! went by unanswered, bytes that wait for a side that takes none. Silence alone is no verdict; what is usual for one
//! session is not learnt here.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::time::{Mono, human};

use crate::config::Times;
use crate::event::Side;
use crate::record::{Flow, Pings, Record};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sick {
    /// A promised heartbeat is overdue.
    BeatMissed { by: Side, interval: Duration, silent: Duration },
    /// A ping is not answered.
    PingUnanswered { by: Side, since: Duration },
    /// Bytes wait for a side that takes none.
    Stalled { side: Side, waiting: u32, since: Duration },
}

impl Sick {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::BeatMissed { .. } | Self::PingUnanswered { .. } => Cause::HeartbeatMissed,
            Self::Stalled { side: Side::Client, .. } => Cause::PeerStalled,
            Self::Stalled { side: Side::Gateway, .. } => Cause::GatewayStalled,
        }
    }

    pub(crate) fn message(&self) -> String {
        let who = |side: &Side| match side {
            Side::Client => "the client",
            Side::Gateway => "the gateway",
        };
        let time = |d: &Duration| human::format(Duration::from_secs(d.as_secs()));
        match self {
            Self::BeatMissed { by, interval, silent } => format!(
                "{} promised a heartbeat every {}; the last came {} ago",
                who(by),
                human::format(*interval),
                time(silent)
            ),
            Self::PingUnanswered { by, since } => {
                format!("{} has not answered a ping for {}", who(by), time(since))
            }
            Self::Stalled { side, waiting, since } => {
                format!(
                    "{} has taken nothing for {}; {waiting} bytes wait in the relay",
                    who(side),
                    time(since)
                )
            }
        }
    }
}

/// Judges a session; the gravest finding first.
pub(crate) fn judge(record: &Record, now: Mono, times: &Times) -> Option<Sick> {
    if !record.is_open() {
        return None;
    }
    stalled(&record.up, Side::Gateway, now, times)
        .or_else(|| stalled(&record.down, Side::Client, now, times))
        .or_else(|| beat(record, now, times))
        .or_else(|| ping(&record.gateway, Side::Gateway, now, times))
        .or_else(|| ping(&record.client, Side::Client, now, times))
}

fn stalled(flow: &Flow, side: Side, now: Mono, times: &Times) -> Option<Sick> {
    let waiting = flow.waiting.load(Relaxed);
    let since = now.since(Mono(flow.progress.load(Relaxed)));
    (waiting > 0 && since > times.stalled).then_some(Sick::Stalled { side, waiting, since })
}

fn beat(record: &Record, now: Mono, times: &Times) -> Option<Sick> {
    let beats = &record.beats;
    let ms = |n: u32| Duration::from_millis(n.into());
    let interval = ms(beats.interval.load(Relaxed));
    let silent = now.since(Mono(beats.last.load(Relaxed)));
    let overdue = !interval.is_zero() && silent > ms(beats.allowed.load(Relaxed)) + times.beat_margin;
    let by = if beats.by_gateway.load(Relaxed) == 0 { Side::Client } else { Side::Gateway };
    overdue.then_some(Sick::BeatMissed { by, interval, silent })
}

fn ping(pings: &Pings, by: Side, now: Mono, times: &Times) -> Option<Sick> {
    let since = Some(Mono(pings.since.load(Relaxed))).filter(|at| at.0 != 0)?;
    let since = now.since(since);
    (since > times.pong).then_some(Sick::PingUnanswered { by, since })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Peer;
    use mooring_core::session::SessionState;

    const S: u64 = 1_000_000;

    fn open() -> Record {
        let record = Record::new(1, None, Peer::Local, 0, Mono(1));
        record.set_state(SessionState::Open);
        record
    }

    fn at(record: &Record, secs: u64) -> Option<Sick> {
        judge(record, Mono(secs * S), &Times::default())
    }

    #[test]
    fn silence_alone_is_no_verdict() {
        assert_eq!(at(&open(), 100_000), None);
    }

    #[test]
    fn promises_are_kept_or_missed() {
        let r = open();
        r.beats.interval.store(25_000, Relaxed);
        r.beats.allowed.store(45_000, Relaxed);
        r.beats.by_gateway.store(1, Relaxed);
        r.beats.last.store(10 * S, Relaxed);
        assert_eq!(at(&r, 60), None);
        let sick = at(&r, 61).unwrap();
        assert_eq!(sick.cause(), Cause::HeartbeatMissed);
        assert_eq!(sick.message(), "the gateway promised a heartbeat every 25s; the last came 51s ago");
    }

    #[test]
    fn pings_and_stalls() {
        let r = open();
        r.client.since.store(10 * S, Relaxed);
        assert_eq!(at(&r, 40), None);
        assert_eq!(
            at(&r, 41),
            Some(Sick::PingUnanswered { by: Side::Client, since: Duration::from_secs(31) })
        );
        r.down.waiting.store(7, Relaxed);
        r.down.progress.store(20 * S, Relaxed);
        assert_eq!(at(&r, 41).unwrap().cause(), Cause::PeerStalled);
        r.up.waiting.store(7, Relaxed);
        r.up.progress.store(40 * S, Relaxed);
        assert_eq!(at(&r, 41).unwrap().cause(), Cause::PeerStalled);
        assert_eq!(at(&r, 51).unwrap().cause(), Cause::GatewayStalled);
    }
}
