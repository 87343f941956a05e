//! Engine.IO and Socket.IO, in their own protocol. What is sent is what any Socket.IO server expects of a client, and a
//! session that was opened is closed again.

use std::time::Duration;

use mooring_core::diagnosis::{EngineSaw, LinkSaw, Saw};
use mooring_core::kind::Kind;
use mooring_socketio::client::Why;
use mooring_socketio::probe::{Polling, Said};
use mooring_socketio::{Client, Item, Open, Options, probe};
use mooring_wire::Target;
use tokio::time::{Instant, timeout_at};

use super::get;
use crate::exam::{Exam, Spot};

/// Follow-ups of one session: one of two processes is found each time by chance once in 64.
const TRIES: u32 = 6;

/// Where Engine.IO is: at the path given where that is its own, else where it is unless told otherwise.
fn target(exam: &Exam, spot: &Spot) -> Option<Target> {
    if exam.engine_path() {
        return Some(spot.target.clone());
    }
    let query = spot.target.url().query().map_or_else(String::new, |q| format!("?{q}"));
    spot.target.at(&format!("/socket.io/{query}")).ok()
}

pub(super) async fn polling(exam: &Exam, spot: &Spot) -> Option<Saw> {
    let target = target(exam, spot)?;
    let polling = Box::pin(probe::polling(&target, 4)).await.ok()?;
    Some(saw(&polling))
}

fn saw(polling: &Polling) -> Saw {
    let mut saw = get::saw(&polling.exchange);
    saw.engine = match &polling.said {
        Said::Open(open) => Some(EngineSaw { promise: Some(promise(open)), ..EngineSaw::default() }),
        Said::Refused(error) => Some(EngineSaw {
            code: Some(error.code),
            error: Some(error.message.clone()),
            ..EngineSaw::default()
        }),
        // It speaks, but an older version than ours: what Engine.IO 4 says to that is its code 5.
        Said::Older(_) => Some(EngineSaw { code: Some(5), ..EngineSaw::default() }),
        Said::Foreign | Said::Nothing => None,
    };
    // A sid is a credential of the session; the body has nothing else to tell.
    if let Some(answer) = saw.answer.as_mut().filter(|_| matches!(polling.said, Said::Open(_))) {
        answer.body_start.clear();
    }
    saw
}

fn promise(open: &Open) -> (Duration, Duration) {
    (open.ping_interval, open.ping_timeout)
}

pub(super) async fn sticky(exam: &Exam, spot: &Spot) -> Option<Saw> {
    let target = target(exam, spot)?;
    let seen = Box::pin(probe::sticky(&target, TRIES)).await.ok()?;
    let mut saw = saw(&seen.opening);
    // A client that keeps cookies is what browsers are: where that helps, stickiness is there.
    let known = if seen.with_cookies.asked > 0 { seen.with_cookies } else { seen.plain };
    if known.asked == 0 {
        return None;
    }
    if let Some(engine) = &mut saw.engine {
        engine.strangers = Some((known.unknown, known.asked));
    }
    Some(saw)
}

pub(super) async fn cors(exam: &Exam, spot: &Spot, origin: &str) -> Option<Saw> {
    let target = target(exam, spot)?;
    let seen = Box::pin(probe::cors(&target, origin)).await.ok()?;
    let mut saw = saw(&seen.opening);
    // Without an answer of Engine.IO's there is nothing that CORS could be judged by.
    saw.engine.as_mut()?.cors_allowed = Some(seen.allowed());
    Some(saw)
}

pub(super) async fn namespace(exam: &Exam, spot: &Spot) -> Option<Saw> {
    let target = target(exam, spot)?;
    let speaks = matches!(exam.expect, Some(Kind::Socketio | Kind::Evolution));
    let join = speaks || exam.namespace.is_some();
    let options =
        Options { namespace: exam.namespace.clone().unwrap_or_else(|| "/".to_owned()), ..Options::default() };
    let seen = Box::pin(probe::websocket(&target, &options, join)).await;
    let mut saw = Saw::of_report(&seen.report);
    let mut engine = EngineSaw {
        promise: seen.open.as_ref().map(promise),
        connected: if join { seen.joined } else { seen.open.is_some() },
        ..EngineSaw::default()
    };
    match seen.error.as_ref().map(|e| &e.why) {
        Some(Why::Engine(error)) => {
            engine.code = Some(error.code);
            engine.error = Some(error.message.clone());
        }
        Some(Why::Namespace(error)) => engine.error = Some(error.message.clone()),
        Some(_) => engine.error = seen.error.as_ref().map(ToString::to_string),
        None => {}
    }
    if engine.connected {
        saw.failed = None;
    }
    saw.engine = Some(engine);
    Some(saw)
}

/// A Socket.IO session held to see what ends it: its pings are answered as they should be, and it is as silent as that
/// allows.
pub(super) async fn hold(exam: &Exam, spot: &Spot, time: Duration) -> Option<Saw> {
    let target = target(exam, spot)?;
    let options =
        Options { namespace: exam.namespace.clone().unwrap_or_else(|| "/".to_owned()), ..Options::default() };
    let mut client = match Box::pin(Client::connect(&target, &options)).await {
        Ok(client) => client,
        Err(error) => return Some(Saw::of_report(&error.report)),
    };
    let opened = Instant::now();
    let until = opened + time;
    let mut saw = Saw::of_report(client.report());
    let mut link = LinkSaw { sent_pong: Some(true), sent_connect: Some(true), ..LinkSaw::default() };
    saw.engine = Some(EngineSaw { promise: Some(promise(client.opening())), ..EngineSaw::default() });
    let mut pinged: Option<Instant> = None;
    while let Ok(item) = timeout_at(until, client.next()).await {
        match item {
            Item::Ping => {
                let now = Instant::now();
                link.pings += 1;
                if let Some(before) = pinged.replace(now) {
                    let gap = now.duration_since(before);
                    link.ping_interval = Some(link.ping_interval.map_or(gap, |known| known.max(gap)));
                }
            }
            Item::Closed(close) => {
                saw.close = Some(close);
                break;
            }
            _ => {}
        }
    }
    link.age = opened.elapsed();
    if saw.close.is_none() {
        Box::pin(client.close()).await;
    }
    saw.link = Some(link);
    Some(saw)
}
