//! The rules: pairs of timers that do not fit.

use std::time::Duration;

use super::{MAX_LIMITS, Misfit, Pings, Timers, short};
use crate::cause::Cause;

/// A pause below this, again and again, is a storm: whoever refuses has no time to recover.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// What Baileys adds to its interval before it gives a silent connection up.
const BAILEYS_GRACE: Duration = Duration::from_secs(5);

/// What passes by itself, with its name in both languages.
type Sign = ([&'static str; 2], Duration);

/// What does not fit, the certain before the rest.
#[must_use]
pub fn misfits(timers: &Timers) -> Vec<Misfit> {
    let mut out = Vec::new();
    for (name, idle) in timers.proxy_idle.iter().take(MAX_LIMITS) {
        out.extend(limit(timers, name, *idle));
    }
    out.extend(client(timers));
    out.extend(detection(timers));
    out.extend(pause(timers));
    out.extend(lock_out(timers));
    out.sort_by_key(|misfit| !misfit.certain);
    out
}

/// The most frequent sign of life on the path: pings and their answers, from whichever end.
fn liveliest(timers: &Timers) -> Option<Sign> {
    let ping = match timers.server_ping {
        Pings::Every(every) => Some((["The server's ping", "服务端的 ping"], every)),
        Pings::Unknown | Pings::NotWithin(_) => None,
    };
    [
        ping,
        timers.engine.map(|(every, _)| (["Engine.IO's ping", "Engine.IO 的 ping"], every)),
        timers.heartbeat.map(|every| (["OneBot's heartbeat", "OneBot 心跳"], every)),
        timers.keepalive.map(|every| (["Baileys' keep-alive", "Baileys 的 keep-alive"], every)),
    ]
    .into_iter()
    .flatten()
    .min_by_key(|(_, every)| *every)
}

/// Whether this leaves less than a tenth of that.
fn tight(every: Duration, limit: Duration) -> bool {
    every.saturating_mul(10) >= limit.saturating_mul(9)
}

/// An idle limit on the way.
fn limit(timers: &Timers, name: &str, idle: Duration) -> Option<Misfit> {
    let limit = short(idle);
    let half = short(idle / 2);
    if let Some(([en, zh], every)) = liveliest(timers) {
        let often = short(every);
        let fix = [
            format!("Send it at least every {half}, or raise that limit well above {often}."),
            format!("请至少每 {half} 发送一次，或将该限制调至明显大于 {often}。"),
        ];
        if every >= idle {
            return Some(Misfit {
                cause: Cause::TimersMisfit,
                certain: true,
                what: [
                    format!(
                        "{en} comes every {often}, and {name} ends what is silent for {limit}: idle sessions are cut."
                    ),
                    format!("{zh}每 {often} 一次，而 {name} 会切断静默 {limit} 的连接：空闲会话会被切断。"),
                ],
                fix,
            });
        }
        if tight(every, idle) {
            return Some(Misfit {
                cause: Cause::TimersMisfit,
                certain: false,
                what: [
                    format!(
                        "{en} comes every {often}, hardly before {name} ends what is silent for {limit}: one that is late is too late."
                    ),
                    format!("{zh}每 {often} 一次，仅略早于 {name} 的静默限制 {limit}：稍有延迟即被切断。"),
                ],
                fix,
            });
        }
        let (interval, timeout) = timers.engine?;
        let patience = interval.saturating_add(timeout);
        return (patience >= idle).then(|| Misfit {
            cause: Cause::TimersMisfit,
            certain: false,
            what: [
                format!(
                    "Engine.IO bears {} of silence before it gives a peer up, and {name} ends it after {limit}: a peer that is only slow is cut.",
                    short(patience)
                ),
                format!("Engine.IO 可容忍静默 {}，而 {name} 在 {limit} 后即切断：仅仅缓慢的对端也会被切断。", short(patience)),
            ],
            fix: [
                format!("Raise that limit above {}, or lower pingInterval and pingTimeout.", short(patience)),
                format!("请将该限制调至大于 {}，或调小 pingInterval 与 pingTimeout。", short(patience)),
            ],
        });
    }
    let Pings::NotWithin(silence) = timers.server_ping else { return None };
    tight(silence, idle).then(|| Misfit {
        cause: Cause::IdleCut,
        certain: false,
        what: [
            format!("The server does not ping, and {name} ends what is silent for {limit}: a session with nothing to say is cut."),
            format!("服务端不发送 ping，而 {name} 会切断静默 {limit} 的连接：无数据往来的会话会被切断。"),
        ],
        fix: [
            format!("Let the server ping every {half} or more often, or raise that limit."),
            format!("请让服务端至少每 {half} 发送一次 ping，或调大该限制。"),
        ],
    })
}

/// The client's patience with a server that is well.
fn client(timers: &Timers) -> Option<Misfit> {
    let patience = timers.client_timeout?;
    let from_server = match (timers.engine, timers.server_ping) {
        (Some((every, _)), _) | (None, Pings::Every(every)) => Some(every),
        (None, Pings::NotWithin(silence)) if silence >= patience => None,
        _ => return None,
    };
    let waits = short(patience);
    let Some(every) = from_server else {
        return Some(Misfit {
            cause: Cause::TimersMisfit,
            certain: false,
            what: [
                format!(
                    "The client gives up after {waits} without a sign of life, and the server does not ping: it leaves a server that has nothing to say."
                ),
                format!(
                    "客户端在 {waits} 未收到任何数据后放弃，而服务端不发送 ping：只是没有数据的服务端会被放弃。"
                ),
            ],
            fix: [
                format!(
                    "Let the server ping more often than {}, or let the client ping and wait for the answer.",
                    short(patience / 2)
                ),
                format!(
                    "请让服务端以短于 {} 的间隔发送 ping，或由客户端发送 ping 并等待应答。",
                    short(patience / 2)
                ),
            ],
        });
    };
    let often = short(every);
    let needed = short(every.saturating_mul(2));
    (patience <= every || tight(every, patience)).then(|| Misfit {
        cause: Cause::TimersMisfit,
        certain: patience <= every,
        what: [
            format!("The client waits {waits} for a sign of life, and the server gives one every {often}: it leaves a server that is well."),
            format!("客户端只等待 {waits}，而服务端每 {often} 才发送一次 ping：正常的服务端会被放弃。"),
        ],
        fix: [
            format!("Let the client wait {needed} or longer, or let the server ping more often."),
            format!("请让客户端至少等待 {needed}，或让服务端更频繁地发送 ping。"),
        ],
    })
}

/// How late a dead connection is noticed, by each of those who would.
fn detection(timers: &Timers) -> Vec<Misfit> {
    let Some(within) = timers.detect_within else { return Vec::new() };
    let ping = match (timers.server_ping, timers.server_timeout) {
        (Pings::Every(every), Some(timeout)) => {
            Some((["The server's ping", "服务端 ping"], every.saturating_add(timeout)))
        }
        _ => None,
    };
    let engine =
        timers.engine.map(|(every, timeout)| (["Engine.IO", "Engine.IO"], every.saturating_add(timeout)));
    // A timer each K; it ends what has been silent for more than K + 5 s.
    let baileys = timers.keepalive.map(|k| {
        (["Baileys' keep-alive", "Baileys 的 keep-alive"], k.saturating_mul(2).saturating_add(BAILEYS_GRACE))
    });
    // A OneBot implementation that does not ping finds out when it next writes.
    let onebot = timers
        .heartbeat
        .zip(timers.reconnect_interval)
        .map(|(beat, pause)| (["A OneBot implementation", "OneBot 实现"], beat.saturating_add(pause)));
    [ping, engine, baileys, onebot]
        .into_iter()
        .flatten()
        .filter(|(_, late)| *late > within)
        .map(|([en, zh], late)| {
            let (late, within) = (short(late), short(within));
            Misfit {
                cause: Cause::TimersMisfit,
                certain: true,
                what: [
                    format!("{en} takes up to {late} to notice a dead connection and be back, and {within} are wanted."),
                    format!("{zh}最迟要 {late} 才能发现连接已断并恢复，而要求为 {within}。"),
                ],
                fix: [
                    "Shorten its interval, or its patience; for Baileys twice keepAliveIntervalMs and 5 s count.".to_owned(),
                    "请缩短其间隔或等待时限；Baileys 以 keepAliveIntervalMs 的两倍加 5 秒计。".to_owned(),
                ],
            }
        })
        .collect()
}

/// A client that is back too soon, each time.
fn pause(timers: &Timers) -> Option<Misfit> {
    let pause = timers.reconnect_interval.filter(|pause| *pause < LEAST_PAUSE)?;
    if timers.reconnect_backoff == Some(true) {
        return None;
    }
    let each = short(pause);
    Some(Misfit {
        cause: Cause::ReconnectStorm,
        certain: timers.reconnect_backoff == Some(false),
        what: [
            format!("The client is back after {each} each time: while it is refused, that is a storm."),
            format!("客户端每次在 {each} 后重连：在被拒绝期间会形成重连风暴。"),
        ],
        fix: [
            "Begin with a second or more, double it each time up to a minute, and add chance.".to_owned(),
            "请从 1 秒以上开始，每次加倍直至一分钟，并加入随机抖动。".to_owned(),
        ],
    })
}

/// A client that is back before its predecessor has been found dead.
fn lock_out(timers: &Timers) -> Option<Misfit> {
    let (pause, locked) = (timers.reconnect_interval?, timers.lock_out?);
    // One that lasts longer than the lock-out meets it never, and one that backs off seldom.
    (pause < locked).then(|| {
        let (each, locked) = (short(pause), short(locked));
        Misfit {
            cause: Cause::PeerLockedOut,
            certain: false,
            what: [
                format!("The client is back after {each}; after a connection that died without a word, the framework refuses it (403) for up to {locked}."),
                format!("客户端在 {each} 后重连；若旧连接无声断开，框架会在最长 {locked} 内以 403 拒绝它。"),
            ],
            fix: [
                "Let it try on and restart nothing; a shorter ping interval and timeout of the server (uvicorn's ws_ping_interval, ws_ping_timeout) shorten it.".to_owned(),
                "请等待其继续重试，不要重启；缩短服务端 ping 的间隔与超时（uvicorn 的 ws_ping_interval、ws_ping_timeout）可缩短该时间。".to_owned(),
            ],
        }
    })
}
