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
use mooring_core::id::{InstanceId, MAX_NAME_LEN};
use mooring_core::limits::{MAX_MESSAGE, clip};
use mooring_core::observation::Claim;
use mooring_core::session::Source;
use mooring_core::time::Mono;

use super::api::{Seen, Status, Trouble};
use super::orders::{Call, permit};
use super::settings::{MAX_SESSIONS, Settings};
use crate::adapter::{Doing, Said, Word};

/// The gateway's own instance.
pub const GATEWAY: &str = "waha";
/// Looks in a row that must fail before the gateway is said to.
const CONFIRM: u32 = 2;
/// Looks in a row that must find a `WORKING` session without an account.
const MISSING: u32 = 2;
/// Without a ping for so long, before it is known how often the server pings, the socket is dead: twice the longest
/// interval of any version (60 s), and some.
const UNLEARNT: Duration = Duration::from_secs(150);
/// Lateness beyond three intervals.
const SLACK: Duration = Duration::from_secs(2);

/// Something that was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A look at the list of sessions.
    List(Result<Vec<Seen>, Trouble>),
    /// A look at one session.
    One(Seen),
    /// The socket said so.
    Status(String, Status),
    /// The socket carried something of this session.
    Activity(String),
    /// The socket is open.
    Opened,
    /// The server pinged.
    Ping,
    /// The socket is not open (any more), and why.
    Shut(Cause, String),
    /// Time has passed.
    Tick,
}

/// What is known of a session.
#[derive(Debug)]
struct Session {
    id: InstanceId,
    status: Status,
    since: Mono,
    engine: String,
    engine_says: Option<Cause>,
    me: Option<bool>,
    missing: u32,
    /// Was up, since it last was asked to log in.
    worked: bool,
    /// Has shown a QR code since it last was up.
    shown_qr: bool,
    /// Was up when the process went away.
    lost: bool,
    traffic: Option<Mono>,
    named: bool,
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
            Event::List(Ok(seen)) => self.list(now, seen),
            Event::List(Err(trouble)) => self.trouble(&trouble),
            Event::One(seen) => {
                let name = seen.name.clone();
                if !self.sessions.contains_key(&name) {
                    return Vec::new();
                }
                self.take(now, seen);
                self.speak(now, &name).into_iter().collect()
            }
            Event::Status(name, status) => {
                let Some(session) = self.sessions.get_mut(&name) else { return Vec::new() };
                session.turn(now, status);
                self.speak(now, &name).into_iter().collect()
            }
            Event::Activity(name) => {
                if let Some(session) = self.sessions.get_mut(&name) {
                    session.traffic = Some(now);
                }
                Vec::new()
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
        let stuck = now.since(session.since) >= self.stuck_after;
        let call = permit(doing, session.status, session.fault(), stuck)?;
        Ok((name.clone(), session.status, call))
    }

    fn list(&mut self, now: Mono, seen: Vec<Seen>) -> Vec<Word> {
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
            let name = one.name.clone();
            if self.take(now, one)
                && let Some(session) = self.sessions.get(&name)
            {
                words.push(Word { instance: session.id.clone(), said: Said::Here });
            }
            words.extend(self.speak(now, &name));
        }
        words
    }

    /// Takes what REST says of a session; true: it is new.
    fn take(&mut self, now: Mono, seen: Seen) -> bool {
        if let Some(session) = self.sessions.get_mut(&seen.name) {
            session.turn(now, seen.status);
            session.learn(&seen);
            return false;
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return false;
        }
        let mut salt = 0;
        let id = loop {
            match instance_id(&seen.name, salt) {
                Some(id) if id != self.gateway && self.sessions.values().all(|s| s.id != id) => break id,
                _ if salt > 8 => return false,
                _ => salt += 1,
            }
        };
        let mut session = Session {
            id,
            status: seen.status,
            since: now,
            engine: String::new(),
            engine_says: None,
            me: None,
            missing: 0,
            worked: seen.status == Status::Working,
            shown_qr: seen.status == Status::ScanQrCode,
            lost: false,
            traffic: None,
            named: self.named.contains(&seen.name),
        };
        session.learn(&seen);
        self.sessions.insert(seen.name, session);
        true
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
            Trouble::Odd(words) => {
                (Cause::BackendUnhealthy, format!("WAHA does not answer properly: {words}"))
            }
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

    fn speak(&self, now: Mono, name: &str) -> Option<Word> {
        let session = self.sessions.get(name)?;
        let mut claims = session.claims(now, self.stuck_after);
        if let Some(quiet) = self.quiet_after {
            claims.push(session.delivering(now, quiet));
        }
        Some(Word { instance: session.id.clone(), said: Said::Claims(claims) })
    }
}

impl Session {
    fn turn(&mut self, now: Mono, status: Status) {
        if status == self.status {
            return;
        }
        self.status = status;
        self.since = now;
        match status {
            Status::Working => {
                (self.worked, self.shown_qr, self.lost, self.missing) = (true, false, false, 0);
                // What the engine last said was of before.
                self.engine_says = None;
            }
            Status::ScanQrCode => self.shown_qr = true,
            Status::Stopped | Status::Starting | Status::Failed | Status::Other => {}
        }
    }

    fn learn(&mut self, seen: &Seen) {
        self.engine.clone_from(&seen.engine);
        self.engine_says = seen.engine_says;
        self.me = seen.me;
        let missing = seen.status == Status::Working && seen.me == Some(false);
        self.missing = if missing { self.missing.saturating_add(1) } else { 0 };
    }

    /// What is wrong with it, where something is.
    fn fault(&self) -> Option<Cause> {
        match self.status {
            // #137: WORKING though unlinked.
            Status::Working if self.missing >= MISSING => Some(Cause::LoginRevoked),
            Status::Working => self.engine_says,
            Status::ScanQrCode if self.worked => Some(Cause::LoginRevoked),
            Status::ScanQrCode => Some(Cause::PairingNeeded),
            Status::Failed => Some(self.why_failed()),
            Status::Stopped if self.named || self.lost => Some(Cause::ReportedClosed),
            Status::Stopped | Status::Starting | Status::Other => None,
        }
    }

    fn why_failed(&self) -> Cause {
        if let Some(cause) = self.engine_says {
            return cause;
        }
        match (self.shown_qr, self.worked, self.me) {
            (true, true, _) => Cause::LoginRevoked,
            (true, false, _) => Cause::PairingNeeded,
            // NOWEB gives up on a logged-out account (401) and retries everything else for ever.
            _ if self.engine == "NOWEB" => Cause::LoginRevoked,
            (false, true, Some(false)) => Cause::LoginRevoked,
            (false, false, Some(false)) => Cause::PairingNeeded,
            _ => Cause::ReportedClosed,
        }
    }

    fn claims(&self, now: Mono, stuck_after: Duration) -> Vec<Claim> {
        let lasts = now.since(self.since);
        let words = format!("{} for {:.0} s", self.status.word(), lasts.as_secs_f64());
        let evidence = || {
            let me = self.me.map_or("not told", |me| if me { "an account" } else { "none" });
            vec![
                ("status".to_owned(), self.status.word().to_owned()),
                ("engine".to_owned(), self.engine.clone()),
                ("me".to_owned(), me.to_owned()),
            ]
        };
        let say = |kind, status, cause, more: &str| {
            let message = if more.is_empty() { words.clone() } else { format!("{words}: {more}") };
            claim(kind, status, cause, message, evidence())
        };
        let (t, f, u) = (Answer::True, Answer::False, Answer::Unknown);
        let fault = self.fault();
        match (self.status, fault) {
            (Status::Working, None) => {
                vec![say(Kind::Reachable, t, None, ""), say(Kind::Linked, t, None, "")]
            }
            (Status::Working, Some(cause)) => vec![
                say(Kind::Reachable, t, None, ""),
                say(Kind::Linked, f, Some(cause), "and yet no account is behind it any more"),
            ],
            (Status::Starting, _) if lasts >= stuck_after => vec![
                say(Kind::Reachable, f, Some(Cause::ConnectingStuck), "that is longer than a start takes"),
                say(Kind::Linked, u, Some(Cause::ConnectingStuck), ""),
            ],
            (Status::Starting, _) => {
                let more = "it renews its connection, as it does now and then";
                vec![say(Kind::Reachable, u, Some(Cause::RestartExpected), more)]
            }
            (Status::ScanQrCode, Some(Cause::LoginRevoked)) => vec![
                say(Kind::Reachable, t, None, ""),
                say(
                    Kind::Linked,
                    f,
                    Some(Cause::LoginRevoked),
                    "it was logged in, and asks for a login again",
                ),
            ],
            (Status::ScanQrCode, _) => vec![
                say(Kind::Reachable, t, None, ""),
                say(
                    Kind::Linked,
                    f,
                    Some(Cause::PairingNeeded),
                    "it waits for a human to log in; this is no outage",
                ),
            ],
            (
                Status::Failed,
                Some(cause @ (Cause::LoginRevoked | Cause::PairingNeeded | Cause::AccountForbidden)),
            ) => {
                let more = match cause {
                    Cause::PairingNeeded => "nobody logged in while it showed its QR code",
                    Cause::AccountForbidden => "the account is refused",
                    _ => "the account was logged out, and the session gave up",
                };
                vec![
                    say(Kind::Linked, f, Some(cause), more),
                    say(Kind::Reachable, u, Some(cause), "without a login there is no connection"),
                ]
            }
            (_, Some(cause)) => vec![
                say(Kind::Reachable, f, Some(cause), "it has no connection and does not try for one"),
                say(Kind::Linked, u, Some(cause), ""),
            ],
            (Status::Stopped, None) => {
                let more = "somebody may have meant that; name it under `sessions` to have it kept up";
                [Kind::Reachable, Kind::Linked].map(|k| say(k, u, Some(Cause::NotObservable), more)).to_vec()
            }
            (Status::Failed | Status::Other, None) => {
                [Kind::Reachable, Kind::Linked].map(|k| say(k, u, Some(Cause::NotObservable), "")).to_vec()
            }
        }
    }

    fn delivering(&self, now: Mono, quiet_after: Duration) -> Claim {
        let kind = Kind::Delivering;
        let (status, cause, message) = match (self.status, self.traffic) {
            (Status::Working, Some(at)) => {
                // A pause while it was not up is no silence of its own.
                let quiet = now.since(at.max(self.since));
                let message = format!("the last of its traffic was {:.0} s ago", quiet.as_secs_f64());
                if quiet > quiet_after {
                    (Answer::False, Some(Cause::SilentBeyondHabit), message)
                } else {
                    (Answer::True, None, message)
                }
            }
            (Status::Working, None) => {
                (Answer::Unknown, Some(Cause::NotYetObserved), "no traffic was seen yet".to_owned())
            }
            _ => (Answer::Unknown, Some(Cause::NotObservable), "it is not up".to_owned()),
        };
        claim(kind, status, cause, message, Vec::new())
    }
}

fn claim(kind: Kind, status: Answer, cause: Option<Cause>, message: String, evidence: Evidence) -> Claim {
    let message = clip(&message, MAX_MESSAGE);
    Claim { source: Source::Adapter, kind, status, cause, message, evidence, age: Duration::ZERO }
}

/// An instance's id for a session's name: the same name gives the same id, and where characters had to be replaced, a few
/// digits made of the whole name keep it apart from its likes.
fn instance_id(name: &str, salt: u32) -> Option<InstanceId> {
    if salt == 0
        && let Ok(id) = InstanceId::new(name)
    {
        return Some(id);
    }
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    // FNV-1a: names are not secrets, and the id must be the same on every machine.
    let hash = name
        .bytes()
        .chain(salt.to_le_bytes())
        .fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let stem: String = name.chars().map(plain).take(MAX_NAME_LEN - 10).collect();
    let stem = stem.trim_matches(['.', '_', '-']);
    let stem = if stem.is_empty() { "session" } else { stem };
    InstanceId::new(format!("{stem}-{hash:08x}")).ok()
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
