//! What is known of one WAHA and its sessions, and what is claimed of them. Pure: events and the time in, words out.
//!
//! A status is judged by what came before it. `SCAN_QR_CODE` on a session that was never up waits for its first login and
//! is no outage; on one that was `WORKING`, the login was revoked. `FAILED` after a QR code is a code nobody scanned.
//! `STOPPED` is believed to be meant, unless the session is named in the settings or stopped with the process it ran in.
//!
//! The gateway itself is an instance, too: when WAHA does not answer, that is said once, of it, and its sessions become
//! Unknown. A thousand sessions that fail in one moment would be a thousand wrong orders.

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind as Kind, Evidence, Status as Answer};
use mooring_core::id::InstanceId;
use mooring_core::time::Mono;

use super::api::{Seen, Status, Trouble};
use super::orders::{Call, permit};
use super::session::{Session, claim, instance_id};
use super::settings::{MAX_SESSIONS, Settings};
use crate::adapter::{Doing, Said, Word};

/// The gateway's own instance.
pub const GATEWAY: &str = "waha";
/// Looks in a row that must fail before the gateway is said to.
const CONFIRM: u32 = 2;
/// Without a ping for so long, before it is known how often the server pings, the socket is dead: twice the longest
/// interval of any version (60 s), and some.
const UNLEARNT: Duration = Duration::from_secs(150);
/// Lateness beyond three intervals.
const SLACK: Duration = Duration::from_secs(2);

/// Something that was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A look at the list of sessions, and how long it took.
    List(Result<Vec<Seen>, Trouble>, Duration),
    /// A look at one session, and how long it took.
    One(Seen, Duration),
    /// The socket said so.
    Status(String, Status),
    /// The socket is open.
    Opened,
    /// The server pinged.
    Ping,
    /// The socket is not open (any more), and why.
    Shut(Cause, String),
    /// Time has passed.
    Tick,
}

/// What is known of the socket.
#[derive(Debug)]
enum Socket {
    Unused,
    Shut,
    /// `heard`: opened, or last pinged.
    Open {
        heard: Mono,
        pinged: bool,
        interval: Option<Duration>,
    },
}

/// What is known of one WAHA.
#[derive(Debug)]
pub struct State {
    gateway: InstanceId,
    named: Vec<String>,
    stuck_after: Duration,
    quiet_after: Option<Duration>,
    sessions: BTreeMap<String, Session>,
    failures: u32,
    down: bool,
    socket: Socket,
    late: bool,
}

impl State {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: &Settings, gateway: InstanceId) -> Self {
        Self {
            gateway,
            named: settings.sessions.clone(),
            stuck_after: settings.stuck_after.get(),
            quiet_after: settings.quiet_after.map(Into::into),
            sessions: BTreeMap::new(),
            failures: 0,
            down: false,
            socket: if settings.events { Socket::Shut } else { Socket::Unused },
            late: false,
        }
    }

    /// Takes an event into account; returns what is to be said.
    pub fn step(&mut self, now: Mono, event: Event) -> Vec<Word> {
        match event {
            Event::List(Ok(seen), took) => self.list(now, seen, took),
            Event::List(Err(trouble), _) => self.trouble(&trouble),
            Event::One(seen, took) => {
                let Some(session) = self.sessions.get_mut(&seen.name) else { return Vec::new() };
                session.see(now, now.before(took), &seen);
                self.speak(now, &seen.name, took).into_iter().collect()
            }
            Event::Status(name, status) => {
                let Some(session) = self.sessions.get_mut(&name) else { return Vec::new() };
                session.tell(now, status);
                self.speak(now, &name, Duration::ZERO).into_iter().collect()
            }
            Event::Opened => {
                self.socket = Socket::Open { heard: now, pinged: false, interval: None };
                Vec::new()
            }
            Event::Ping => self.ping(now),
            Event::Shut(cause, words) => self.shut(cause, &words),
            Event::Tick => self.tick(now),
        }
    }

    /// Which session an instance is, with the call that an order on it comes to.
    ///
    /// # Errors
    /// In words, when the order is refused.
    pub fn permit(
        &self,
        now: Mono,
        instance: &InstanceId,
        doing: Doing,
    ) -> Result<(String, Status, Call), String> {
        if *instance == self.gateway {
            return Err("refused: WAHA itself is only restarted with its container; its own call for that \
                        (POST /api/server/stop) ends the process and trusts somebody to start it again"
                .to_owned());
        }
        let found = self.sessions.iter().find(|(_, session)| session.id == *instance);
        let Some((name, session)) = found else {
            return Err("refused: no session of that name is known".to_owned());
        };
        if self.down {
            return Err("refused: WAHA does not answer; nothing can be asked of its sessions".to_owned());
        }
        if session.unexplained() {
            return Err(
                "refused: it failed, and it is not known yet why; some reasons forbid another try".to_owned()
            );
        }
        let stuck = now.since(session.since) >= self.stuck_after;
        let call = permit(doing, session.status, session.fault(), stuck)?;
        Ok((name.clone(), session.status, call))
    }

    /// At most so many sessions that have failed, and of which an answer about that one session would tell why.
    #[must_use]
    pub fn unexplained(&self, most: usize) -> Vec<String> {
        let names = self.sessions.iter().filter(|(_, session)| session.unexplained()).map(|(name, _)| name);
        if self.down { Vec::new() } else { names.take(most).cloned().collect() }
    }

    fn list(&mut self, now: Mono, seen: Vec<Seen>, took: Duration) -> Vec<Word> {
        (self.failures, self.down) = (0, false);
        let message = format!("WAHA lists {} sessions", seen.len());
        let mut words = vec![self.of_gateway(Kind::Reachable, Answer::True, None, message, Vec::new())];
        if matches!(self.socket, Socket::Unused) {
            let message = "`events` is off: nobody listens for heartbeats".to_owned();
            words.push(self.of_gateway(
                Kind::Beating,
                Answer::Unknown,
                Some(Cause::NotObservable),
                message,
                Vec::new(),
            ));
        }
        let wanted = |name: &String| self.named.is_empty() || self.named.contains(name);
        let seen: Vec<Seen> = seen.into_iter().filter(|s| wanted(&s.name)).collect();
        let gone: Vec<String> =
            self.sessions.keys().filter(|name| !seen.iter().any(|s| s.name == **name)).cloned().collect();
        for name in gone {
            if let Some(session) = self.sessions.remove(&name) {
                words.push(Word { instance: session.id, said: Said::Gone });
            }
        }
        for one in seen {
            if let Some(session) = self.sessions.get_mut(&one.name) {
                session.see(now, now.before(took), &one);
            } else if let Some(id) = self.free_id(&one.name) {
                words.push(Word { instance: id.clone(), said: Said::Here });
                let named = self.named.contains(&one.name);
                self.sessions.insert(one.name.clone(), Session::new(id, now, &one, named));
            }
            words.extend(self.speak(now, &one.name, took));
        }
        words
    }

    /// An id for a new session, where there is room for one.
    fn free_id(&self, name: &str) -> Option<InstanceId> {
        let free = |id: &InstanceId| *id != self.gateway && self.sessions.values().all(|s| s.id != *id);
        let room = self.sessions.len() < MAX_SESSIONS;
        (0..8).filter(|_| room).filter_map(|salt| instance_id(name, salt)).find(free)
    }

    fn trouble(&mut self, trouble: &Trouble) -> Vec<Word> {
        self.failures = self.failures.saturating_add(1);
        if let Trouble::Refused(_) = trouble {
            // What ran in the process is gone with it; what it says afterwards is news.
            for session in self.sessions.values_mut().filter(|s| s.status == Status::Working) {
                session.lost = true;
            }
        }
        if self.failures < CONFIRM {
            return Vec::new();
        }
        self.down = true;
        let (cause, message) = match trouble {
            Trouble::Refused(words) => (Cause::ConnectionRefused, format!("WAHA does not listen: {words}")),
            Trouble::Mute { alive: true, words } => (
                Cause::ApiUnresponsive,
                format!("WAHA answers /ping, but not what its sessions are doing: {words}"),
            ),
            Trouble::Mute { alive: false, words } => {
                (Cause::GatewayStalled, format!("WAHA takes the connection and answers nothing: {words}"))
            }
            Trouble::Denied(words) => (
                Cause::CredentialsRefused,
                format!("WAHA refuses the key ({words}): put its WAHA_API_KEY into api_key_file"),
            ),
            Trouble::Other(cause, words) => (*cause, format!("WAHA does not answer properly: {words}")),
        };
        let mut words =
            vec![self.of_gateway(Kind::Reachable, Answer::False, Some(cause), message, Vec::new())];
        for session in self.sessions.values() {
            let message = "WAHA does not tell how its sessions are".to_owned();
            let claims = [Kind::Reachable, Kind::Linked]
                .map(|kind| claim(kind, Answer::Unknown, Some(cause), message.clone(), Vec::new()));
            words.push(Word { instance: session.id.clone(), said: Said::Claims(claims.to_vec()) });
        }
        words
    }

    fn ping(&mut self, now: Mono) -> Vec<Word> {
        let Socket::Open { heard, pinged, interval } = &mut self.socket else { return Vec::new() };
        let gap = now.since(*heard);
        // The first ping comes at any point of the server's round: only what lies between two is an interval, and two
        // that were held up on the way and come together are none.
        if *pinged {
            let learnt = (*interval).map_or(gap, |known| gap.max(known / 2));
            *interval = Some(learnt.clamp(Duration::from_millis(50), UNLEARNT));
        }
        *pinged = true;
        *heard = now;
        self.late = false;
        let message = "the server pings the socket".to_owned();
        let evidence = vec![("last ping interval".to_owned(), format!("{:.1} s", gap.as_secs_f64()))];
        vec![self.of_gateway(Kind::Beating, Answer::True, None, message, evidence)]
    }

    fn shut(&mut self, cause: Cause, words: &str) -> Vec<Word> {
        self.socket = Socket::Shut;
        // That the socket cannot be had is a fault where it is the configuration's; a lost one is opened anew.
        let status = match cause {
            Cause::CredentialsRefused | Cause::WrongPath | Cause::ProxyStrippedUpgrade => Answer::False,
            _ => Answer::Unknown,
        };
        let message = format!("the events' socket is not open: {words}");
        vec![self.of_gateway(Kind::Beating, status, Some(cause), message, Vec::new())]
    }

    fn tick(&mut self, now: Mono) -> Vec<Word> {
        let mut words = Vec::new();
        if let Socket::Open { heard, interval, .. } = &self.socket {
            let silent = now.since(*heard);
            let patience = interval.map_or(UNLEARNT, |i| i.saturating_mul(3).saturating_add(SLACK));
            if silent > patience && !self.late {
                self.late = true;
                let message = format!(
                    "the socket is open, but the server has not pinged for {:.0} s; it was to within {:.0} s",
                    silent.as_secs_f64(),
                    patience.as_secs_f64()
                );
                let cause = Some(Cause::HeartbeatMissed);
                words.push(self.of_gateway(Kind::Beating, Answer::False, cause, message, Vec::new()));
            }
        }
        words
    }

    fn of_gateway(
        &self,
        kind: Kind,
        status: Answer,
        cause: Option<Cause>,
        message: String,
        evidence: Evidence,
    ) -> Word {
        let claims = vec![claim(kind, status, cause, message, evidence)];
        Word { instance: self.gateway.clone(), said: Said::Claims(claims) }
    }

    fn speak(&self, now: Mono, name: &str, age: Duration) -> Option<Word> {
        let session = self.sessions.get(name)?;
        let mut claims = session.claims(now, self.stuck_after, age);
        if let Some(quiet) = self.quiet_after {
            claims.push(session.delivering(now, quiet));
        }
        Some(Word { instance: session.id.clone(), said: Said::Claims(claims) })
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
