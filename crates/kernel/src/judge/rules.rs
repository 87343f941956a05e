//! The rules: from one connection, as scanned and as remembered, to a verdict for each kind of fault.
//!
//! Every rule has three answers. *Clear*: the signs are not there. *Pending*: they are, but not long enough, or not long
//! enough in time that was watched; a finding that stands goes on standing. *Raise*: they have been there beyond the limit.

use std::time::Duration;

use crate::connection::{Connection, State, TcpInfo, Timer};

use super::clock::{Clock, Tick};
use super::config::JudgeConfig;
use super::finding::Kind;
use super::habit::Habit;
use super::track::{Moved, Track};

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Clear,
    Pending,
    Raise { lasted: Duration, limit: Duration },
}

/// `TCP_RTO_MIN`: the kernel never waits less.
const RTO_MIN: Duration = Duration::from_millis(200);
/// RFC 6298 §2.1: before a round trip was measured.
const RTO_INITIAL: Duration = Duration::from_secs(1);

/// Applies the rule for one kind.
pub(super) fn verdict(
    kind: Kind,
    track: &Track,
    c: &Connection,
    moved: Moved,
    clock: &Clock,
    config: &JudgeConfig,
) -> Verdict {
    let Some(info) = &c.info else { return Verdict::Clear };
    let established = c.state == State::Established;
    match kind {
        Kind::HalfOpen if established || c.state == State::CloseWait => {
            half_open(track, c, info, clock, config)
        }
        Kind::PeerStalled if established || c.state == State::CloseWait => {
            peer_stalled(track, c, info, clock, config)
        }
        Kind::GatewayStalled if established => match track.unread() {
            Some(since) => timed(since, config.gateway_stalled, clock),
            None => Verdict::Clear,
        },
        Kind::PeerSilent if established => {
            silent(&track.habit_in, track.received_at, moved.received, clock, config)
        }
        Kind::GatewaySilent if established => {
            silent(&track.habit_out, track.sent_at, moved.sent, clock, config)
        }
        Kind::NotClosed if c.state == State::CloseWait => timed(track.in_state(), config.not_closed, clock),
        _ => Verdict::Clear,
    }
}

/// Data is sent again and again, or probes are, and no acknowledgement of any kind comes back.
///
/// Nothing is concluded from a late answer: the limit is at least some undoubled retransmission timeouts, which follow the
/// round trip and its deviation, and an acknowledgement within the limit clears everything.
fn half_open(track: &Track, c: &Connection, info: &TcpInfo, clock: &Clock, config: &JudgeConfig) -> Verdict {
    let sent_again = info.unacked > 0 && info.retransmits >= config.retransmits.max(1);
    // The second probe goes out only after the first had a whole interval to be answered.
    let probed = info.unacked == 0 && info.probes >= 2;
    let limit = config.half_open.max(base_rto(info) * config.rtos);
    let last_ack = Duration::from_millis(u64::from(info.last_ack_recv));
    if !(sent_again || probed) || last_ack <= limit {
        return Verdict::Clear;
    }
    // The last acknowledgement may be old because there was nothing to acknowledge. So: how long does something wait for
    // one? As long as was seen; or as the kernel's own doubling tells, which a watcher that has just begun knows as well.
    let seen = track.stuck().map_or(Duration::ZERO, |since| clock.watched(since));
    let told = if sent_again { clock.clip(told_by_backoff(c, info)) } else { Duration::ZERO };
    // Waiting in front of a shut window, the probes that were answered do not count.
    let shut = if c.wqueue > 0 && probed { clock.clip(last_ack) } else { Duration::ZERO };
    raise(seen.max(told).max(shut).min(last_ack), limit)
}

/// The time since the oldest segment in flight was first sent: with the timeout doubled n times from r to 2ⁿr, the tries
/// took r + 2r + … = 2ⁿr - r, and since the last one the timer runs.
///
/// A lower bound, to within the hundredths of a second timers are off: timeouts that were not doubled do not count (thin
/// streams; tries that the host itself dropped, which do not set the time data was last sent either), nor do those beyond
/// the longest timeout. The time data was last sent bounds it from the other side, where TCP_USER_TIMEOUT shortens the timer.
fn told_by_backoff(c: &Connection, info: &TcpInfo) -> Duration {
    if info.backoff == 0 || c.timer != Timer::Retransmit {
        return Duration::ZERO;
    }
    let rto = Duration::from_micros(u64::from(info.rto));
    let doubled =
        rto - Duration::from_micros(u64::from(info.rto.checked_shr(u32::from(info.backoff)).unwrap_or(0)));
    let last_sent = Duration::from_millis(u64::from(info.last_data_sent));
    doubled + rto.saturating_sub(c.expires).min(last_sent)
}

/// RFC 6298's timeout before any doubling.
fn base_rto(info: &TcpInfo) -> Duration {
    info.rtt.map_or(RTO_INITIAL, |rtt| {
        Duration::from_micros(u64::from(rtt) + 4 * u64::from(info.rttvar)).max(RTO_MIN)
    })
}

/// The window is shut, what is written does not drain, and the peer is there: it answers the probes.
fn peer_stalled(
    track: &Track,
    c: &Connection,
    info: &TcpInfo,
    clock: &Clock,
    config: &JudgeConfig,
) -> Verdict {
    // A window smaller than a segment is as good as shut when nothing is in flight that would open it: the kernel holds
    // small pieces back (RFC 9293 §3.8.6.2.1).
    let shut = info.unacked == 0
        && (c.timer == Timer::ZeroWindow || info.snd_wnd.is_some_and(|window| window < info.snd_mss));
    match track.stuck() {
        Some(since) if c.wqueue > 0 && shut && info.retransmits == 0 && info.probes <= 1 => {
            timed(since, config.peer_stalled, clock)
        }
        _ => Verdict::Clear,
    }
}

fn silent(habit: &Habit, last: Tick, moved: bool, clock: &Clock, config: &JudgeConfig) -> Verdict {
    match habit.limit(config) {
        Some(limit) if !moved => raise(clock.watched(last), limit),
        _ => Verdict::Clear,
    }
}

fn timed(since: Tick, limit: Duration, clock: &Clock) -> Verdict {
    raise(clock.watched(since), limit)
}

fn raise(lasted: Duration, limit: Duration) -> Verdict {
    if lasted > limit { Verdict::Raise { lasted, limit } } else { Verdict::Pending }
}
