//! Orders under way, and how they are known to have had an effect. Pure.
//!
//! A close that was sent proves nothing: Lagrange notices it only when its next heartbeat cannot be written, and some
//! implementations ignore 1000 and 1001 altogether. So an order is done when the implementation has connected again and
//! beaten, or answered a call, over the new connection.

use std::time::Duration;

use mooring_core::time::Mono;
use tokio::sync::oneshot;

use super::health::Health;
use super::settings::{Mode, Settings, never_restarts};
use super::wire::short;
use crate::adapter::{Ask, Doing};

/// One order.
#[derive(Debug)]
struct Pending {
    doing: Doing,
    began: Mono,
    deadline: Mono,
    reply: oneshot::Sender<Result<String, String>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Orders(Vec<Pending>);

/// Most orders at once for one account.
const MOST: usize = 8;

impl Orders {
    /// Takes an order, or refuses it. True: it is to be carried out now.
    pub(super) fn take(&mut self, now: Mono, ask: Ask, health: &Health, settings: &Settings) -> bool {
        let refusal = match ask.doing {
            _ if self.0.len() >= MOST => Some("too many orders are under way for this account".to_owned()),
            Doing::Reconnect => reconnect_refusal(health, settings.mode),
            Doing::Restart => restart_refusal(health, settings),
        };
        if let Some(why) = refusal {
            // Who asked may have gone.
            let _ = ask.reply.send(Err(why));
            return false;
        }
        let deadline = now.after(ask.time_limit);
        self.0.push(Pending { doing: ask.doing, began: now, deadline, reply: ask.reply });
        true
    }

    /// Answers what has had its effect, and what has run out of time.
    pub(super) fn settle(&mut self, now: Mono, health: &Health) {
        let mut left = Vec::new();
        for pending in self.0.drain(..) {
            let again = health.connected().filter(|since| *since > pending.began);
            let sign = again.and_then(|since| {
                let beat = health.beat_since(since).then_some("its heartbeat came");
                beat.or_else(|| health.answered_since(since).then_some("it answered a call"))
            });
            let answer = match (again, sign) {
                (Some(since), Some(sign)) => {
                    Ok(format!("connected again after {}, and {sign}", short(since.since(pending.began))))
                }
                _ if now < pending.deadline => {
                    left.push(pending);
                    continue;
                }
                (Some(_), None) => {
                    Err("connected again, but neither beat nor answered a call in time".to_owned())
                }
                (None, _) => Err(late(pending.doing, pending.deadline.since(pending.began))),
            };
            let _ = pending.reply.send(answer);
        }
        self.0 = left;
    }

    /// When the next one runs out of time.
    pub(super) fn next_check(&self) -> Option<Mono> {
        self.0.iter().map(|pending| pending.deadline).min()
    }
}

fn late(doing: Doing, limit: Duration) -> String {
    let did = match doing {
        Doing::Reconnect => "the connection was closed, but the implementation did not connect again",
        Doing::Restart => "set_restart was sent, but the implementation did not connect again",
    };
    format!(
        "{did} within {} (Lagrange redials its interval after the heartbeat that follows; some ignore a close)",
        short(limit)
    )
}

fn reconnect_refusal(health: &Health, mode: Mode) -> Option<String> {
    if health.locked_out().is_some() {
        return Some(
            "the framework still holds our lost connection and lets nobody in until it has found out: waiting is all that helps, and another connection of the implementation would change nothing".to_owned(),
        );
    }
    // Forward, we dial ourselves.
    if mode == Mode::Reverse && health.connected().is_none() {
        return Some(
            "the implementation is not connected, so there is nothing to close; it dials by itself"
                .to_owned(),
        );
    }
    None
}

fn restart_refusal(health: &Health, settings: &Settings) -> Option<String> {
    let Some(name) = health.name() else {
        return Some("the implementation has not said what it is (get_version_info): set_restart is not sent to just anything".to_owned());
    };
    if never_restarts(name) {
        return Some(format!(
            "{name} loses its bot when it is sent set_restart: restart its process instead"
        ));
    }
    if !settings.set_restart.iter().any(|known| known == name) {
        return Some(format!("{name} is not listed in `set_restart`: restart its process instead"));
    }
    health.connected().is_none().then(|| "the implementation is not connected".to_owned())
}
