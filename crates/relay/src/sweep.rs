//! All sessions looked at, once per period: the only timer there is for them.
//!
//! A timer per session would cost memory and wake-ups by the hundred thousand; a walk over the records costs some
//! nanoseconds each. So everything that depends on time is decided here: who is pinged, who was silent for too long, whose
//! end takes too long, what is wrong with whom. The decision is pure ([`decide`]); what follows is a bit in the record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::InstanceId;
use mooring_core::session::SessionState;
use mooring_core::time::Mono;
use mooring_wire::frames::CloseReason;
use tokio::sync::watch;

use crate::config::RelayConfig;
use crate::event::{Event, InstanceHealth, Swept};
use crate::judge::judge;
use crate::listen::Stop;
use crate::order::{Closing, Why};
use crate::record::{Record, command};
use crate::shared::Shared;

/// What is to be done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// These commands.
    Command(u8),
    /// To be closed for its idleness.
    CloseIdle,
}

/// Decides what a session is due for.
pub(crate) fn decide(record: &Record, now: Mono, config: &RelayConfig) -> Due {
    let times = &config.times;
    match record.state() {
        SessionState::Opening | SessionState::Held => return Due::Nothing,
        SessionState::Open | SessionState::Closing => {}
    }
    if let Some(closing) = record.closing().as_deref() {
        return if now > closing.until { Due::Command(command::CUT) } else { Due::Nothing };
    }
    let ending = Mono(record.ending.load(Relaxed));
    if ending.0 != 0 {
        let late = now.since(ending) > times.ending;
        return if late { Due::Command(command::CUT) } else { Due::Nothing };
    }
    let silent = |last: u64| now.since(Mono(last));
    let (from_client, from_gateway) =
        (silent(record.up.last.load(Relaxed)), silent(record.down.last.load(Relaxed)));
    if times.idle.is_some_and(|idle| from_client.min(from_gateway) > idle) {
        return Due::CloseIdle;
    }
    let due = |every: Option<Duration>, silent: Duration, pinged: u64| {
        every.is_some_and(|every| silent >= every && now.since(Mono(pinged)) >= every)
    };
    let mut bits = 0;
    if due(config.keepalive.client, from_client, record.client.sent.load(Relaxed)) {
        bits |= command::PING_CLIENT;
    }
    if due(config.keepalive.gateway, from_gateway, record.gateway.sent.load(Relaxed)) {
        bits |= command::PING_GATEWAY;
    }
    if bits == 0 { Due::Nothing } else { Due::Command(bits) }
}

/// Looks at all sessions once. While this process itself was held up, nobody is judged: its silence is not theirs.
pub(crate) fn sweep(shared: &Shared, now: Mono, late: bool) {
    let times = &shared.config.times;
    let mut swept = Swept::default();
    let mut sick_count = 0;
    let mut by_cause: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut instances: BTreeMap<InstanceId, InstanceHealth> = BTreeMap::new();
    shared.registry.walk(|record| {
        match decide(record, now, &shared.config) {
            Due::Nothing => {}
            Due::Command(bits) => {
                if bits & command::PING_CLIENT != 0 {
                    record.client.sent.store(now.0, Relaxed);
                }
                if bits & command::PING_GATEWAY != 0 {
                    record.gateway.sent.store(now.0, Relaxed);
                }
                record.command(bits);
            }
            Due::CloseIdle => close_idle(record, now, times.ending),
        }
        if !record.is_open() {
            return;
        }
        let cause = if late { None } else { judge(record, now, times).map(|sick| sick.cause()) };
        let heard = now.since(Mono(record.down.last.load(Relaxed)));
        swept.open += 1;
        swept.age.record(now.since(Mono(record.opened.load(Relaxed))));
        swept.silence.record(heard.min(now.since(Mono(record.up.last.load(Relaxed)))));
        if let Some(cause) = cause {
            sick_count += 1;
            *by_cause.entry(cause).or_insert(0) += 1;
        }
        if let Some(instance) = &record.instance {
            note(&mut instances, instance, cause, heard);
        }
    });
    swept.sick = by_cause.into_iter().collect();
    swept.instances = instances.into_iter().collect();
    shared.numbers.sick.store(sick_count, Relaxed);
    shared.tell(Event::Swept(Box::new(swept)));
}

fn note(
    instances: &mut BTreeMap<InstanceId, InstanceHealth>,
    instance: &InstanceId,
    cause: Option<Cause>,
    heard: Duration,
) {
    let health = match instances.get_mut(instance) {
        Some(health) => health,
        None => {
            let new = InstanceHealth { heard, ..InstanceHealth::default() };
            instances.entry(instance.clone()).or_insert(new)
        }
    };
    health.open += 1;
    health.heard = health.heard.min(heard);
    if let Some(cause) = cause {
        match health.sick.iter_mut().find(|(c, _)| *c == cause) {
            Some((_, n)) => *n += 1,
            None => health.sick.push((cause, 1)),
        }
    }
}

fn close_idle(record: &Record, now: Mono, wait: Duration) {
    record.order(Closing {
        code: 1001,
        reason: CloseReason::new(b"idle"),
        why: Why::Idle,
        until: now.after(wait),
        tallies: Vec::new(),
    });
}

/// Sweeps for as long as there is something to sweep.
pub(crate) async fn run(shared: Arc<Shared>, stop: watch::Receiver<Stop>) {
    let period = shared.config.times.sweep.max(Duration::from_millis(1));
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = shared.clock.now();
    loop {
        tick.tick().await;
        // The sender is gone with the last handle.
        let stopped = *stop.borrow() != Stop::No || stop.has_changed().is_err();
        if stopped && shared.admission.connections() == 0 {
            return;
        }
        let now = shared.clock.now();
        let late = now.since(last) > period * 2 + Duration::from_millis(200);
        last = now;
        let swept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sweep(&shared, now, late)));
        if swept.is_err() {
            shared.tell_of_panic();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListenAddress, Upstream, UpstreamAddress};
    use crate::record::Peer;

    const S: u64 = 1_000_000;

    fn config() -> RelayConfig {
        let any = ([127, 0, 0, 1], 1).into();
        RelayConfig::new(ListenAddress::Tcp(any), Upstream::new(UpstreamAddress::Tcp(any)))
    }

    fn open() -> Record {
        let record = Record::new(1, None, Peer::Local, 0, Mono(1));
        record.set_state(SessionState::Open);
        record.up.last.store(S, Relaxed);
        record.down.last.store(S, Relaxed);
        record
    }

    #[test]
    fn by_default_a_silent_session_is_left_alone() {
        assert_eq!(decide(&open(), Mono(1_000_000 * S), &config()), Due::Nothing);
    }

    #[test]
    fn the_silent_side_is_pinged_once_per_period() {
        let mut config = config();
        config.keepalive.client = Some(Duration::from_secs(20));
        let record = open();
        assert_eq!(decide(&record, Mono(20 * S), &config), Due::Nothing);
        assert_eq!(decide(&record, Mono(21 * S), &config), Due::Command(command::PING_CLIENT));
        record.client.sent.store(21 * S, Relaxed);
        assert_eq!(decide(&record, Mono(40 * S), &config), Due::Nothing);
        assert_eq!(decide(&record, Mono(41 * S), &config), Due::Command(command::PING_CLIENT));
        record.up.last.store(40 * S, Relaxed);
        assert_eq!(decide(&record, Mono(41 * S), &config), Due::Nothing);
    }

    #[test]
    fn ends_are_bounded() {
        let config = config();
        let record = open();
        record.ends(Mono(10 * S));
        assert_eq!(decide(&record, Mono(20 * S), &config), Due::Nothing);
        assert_eq!(decide(&record, Mono(20 * S + 1), &config), Due::Command(command::CUT));
    }

    #[test]
    fn idle_sessions_are_closed_where_that_is_wanted() {
        let mut config = config();
        config.times.idle = Some(Duration::from_secs(60));
        let record = open();
        assert_eq!(decide(&record, Mono(61 * S), &config), Due::Nothing);
        assert_eq!(decide(&record, Mono(62 * S), &config), Due::CloseIdle);
    }
}
