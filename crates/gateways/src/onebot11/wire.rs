//! One open connection with what is known of it.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::RecentCloses;
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::limits::clip;
use mooring_core::observation::Close;
use mooring_core::session::{EndedBy, SessionClose, Source};
use mooring_core::time::{Mono, Now};

use super::pulse::Pulse;
use super::socket::{Ended, Socket};

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: Socket,
    /// Told apart from the one before it and the one after it by this.
    pub(super) number: u64,
    pub(super) opened: Mono,
    pub(super) pulse: Pulse,
    pub(super) peer: String,
    /// It said something.
    pub(super) spoke: bool,
    /// We said goodbye.
    pub(super) closing: bool,
}

impl Wire {
    /// Its end, as the classifier wants it; and remembered among the recent ones.
    pub(super) fn close(&self, now: Mono, ended: Ended, recent: &mut RecentCloses) -> (Close, RecentCloses) {
        let close = Close {
            code: ended.code,
            reason: ended.reason,
            by_us: self.closing,
            age: now.since(self.opened),
            silent_for: now.since(self.pulse.last()),
            error: ended.error,
        };
        let before = recent.clone();
        recent.push(now, &close);
        (close, before)
    }

    /// Its end, for the record.
    pub(super) fn record(
        &self,
        now: Now,
        instance: &InstanceId,
        end: &str,
        close: &Close,
        verdict: (Option<Cause>, String),
    ) -> Option<SessionClose> {
        let clean = matches!(close.code, Some(1000 | 1001)) || close.by_us;
        Some(SessionClose {
            id: session_id(instance, end, self.number)?,
            source: Source::Adapter,
            instance: Some(instance.clone()),
            peer: self.peer.clone(),
            at: now.wall,
            age: close.age,
            silent_for: close.silent_for,
            by: if close.by_us {
                EndedBy::Mooring
            } else if end == "framework" {
                EndedBy::Gateway
            } else {
                EndedBy::Peer
            },
            code: close.code,
            cause: verdict.0.filter(|_| !clean),
            message: clip(&verdict.1, mooring_core::session::MAX_SESSION_TEXT),
        })
    }
}

/// Numbers are an account's own, so its name is part of the id, as far as it fits.
fn session_id(instance: &InstanceId, end: &str, number: u64) -> Option<SessionId> {
    let name: String = instance.as_str().chars().take(24).collect();
    SessionId::new(format!("{name}.{end}.{number}")).ok()
}

/// A duration in words.
pub(super) fn short(d: Duration) -> String {
    if d < Duration::from_secs(1) {
        format!("{} ms", d.as_millis())
    } else {
        format!("{:.1} s", d.as_secs_f64())
    }
}
