//! What is done with what is heard.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::{EndedBy, SessionClose, Source};
use mooring_core::time::{Mono, Timestamp};
use mooring_runtime::clock::SystemClock;

use super::{Watch, now};
use crate::adapter::{Said, Word};
use crate::evolution::events::Heard;
use crate::evolution::name::id_of;
use crate::evolution::seen::{Happened, State};

impl Watch {
    pub(super) fn heard(&mut self, heard: Heard) {
        let at = now();
        match heard {
            Heard::Open { interval, timeout } => self.process.socket_open(at, interval + timeout),
            Heard::Life => self.process.socket_life(at),
            Heard::Joined(None) => {
                self.process.socket_life(at);
                self.listening.global = Some(at);
                self.look_at_all();
            }
            Heard::Joined(Some(name)) => {
                self.process.socket_life(at);
                if let Some(instance) = id_of(&name).and_then(|id| self.instances.get_mut(&id)) {
                    instance.due = at;
                }
                self.listening.own.insert(name, at);
            }
            Heard::Absent(_) => self.process.socket_life(at),
            Heard::Lost { instance, why } => {
                match instance {
                    Some(name) => drop(self.listening.own.remove(&name)),
                    None => {
                        // What comes back may be configured otherwise.
                        self.listening.global = None;
                        self.listening.proven = false;
                    }
                }
                if self.listening.global.is_none() && self.listening.own.is_empty() {
                    self.process.socket_lost(why);
                }
            }
            Heard::Event { instance, global, happened } => {
                self.process.socket_life(at);
                self.listening.proven |= global;
                if !global && self.listening.global.is_some() && self.listening.proven {
                    // It came through the global namespace, too.
                    return;
                }
                self.event(at, &instance, happened);
            }
        }
    }

    pub(super) fn event(&mut self, at: Mono, name: &str, happened: Happened) {
        if matches!(happened, Happened::Created | Happened::Removed) {
            self.list_soon();
        }
        let known = id_of(name).filter(|id| self.instances.get(id).is_some_and(|i| i.name == name));
        let id = match known {
            Some(id) => id,
            // Who may ask asks whether it is true; who may not takes the event's word.
            None if self.rest.keyed() => return self.stranger(name, at),
            None => {
                let Some(id) = self.admit(name) else { return };
                self.wanted_namespaces();
                id
            }
        };
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let before = instance.trace.state;
        let since = instance.trace.since;
        instance.trace.event(at, happened);
        if let Some(order) = &mut instance.order {
            order.event(at, happened);
        }
        if matches!(happened, Happened::Connecting | Happened::Open | Happened::Close(_) | Happened::Refused)
        {
            instance.due = instance.due.min(at.after(Duration::from_millis(100)));
        }
        if before.is_some_and(|(_, state, _)| state == State::Open) {
            let code = match happened {
                Happened::Connecting => Some(None),
                Happened::Close(code) => Some(code),
                _ => None,
            };
            if let Some(code) = code {
                self.closed(&id, at.since(since), code);
            }
        }
        self.judge(&id, at);
    }

    /// A session with the network ended.
    pub(super) fn closed(&mut self, id: &InstanceId, age: Duration, code: Option<u16>) {
        self.closes = self.closes.wrapping_add(1);
        let Ok(session) = SessionId::new(format!("a{:x}", self.closes)) else { return };
        let (cause, message) = match code {
            Some(401) => (Cause::LoginRevoked, "logged out for good"),
            Some(402 | 403 | 406) => (Cause::AccountForbidden, "refused for good"),
            Some(405) => (Cause::ClientOutdated, "the client's version is refused"),
            Some(440) => (Cause::SessionReplaced, "another client took it over"),
            Some(_) => (Cause::ReportedClosed, "closed for good"),
            None => (Cause::SessionLost, "lost; the gateway logs in again, and does not tell why"),
        };
        let close = SessionClose {
            id: session,
            source: Source::Adapter,
            instance: Some(id.clone()),
            peer: "the chat network".to_owned(),
            at: Timestamp(SystemClock::unix_micros()),
            age,
            silent_for: Duration::ZERO,
            by: EndedBy::Unknown,
            code,
            cause: Some(cause),
            message: message.to_owned(),
        };
        self.out.push(Word { instance: id.clone(), said: Said::Closed(close) });
    }
}
