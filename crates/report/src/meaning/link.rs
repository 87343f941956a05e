//! Where an instance's connection is in its life, and what moves it there.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Evidence, Status};
use mooring_core::diagnosis::codes::Weight;
use mooring_core::id::SessionId;
use mooring_core::session::SessionState;
use mooring_core::time::{Mono, Now};

use super::event::{Closed, Protocol};
use super::verdict::Verdict;
use super::{Meaning, Step, claim};

/// A look that comes this much later than it was due was late by our own fault: what has arrived meanwhile is read first.
const LATE: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Session {
    number: u64,
    /// The gateway's own name of it.
    pub name: Arc<str>,
    /// The other end.
    pub peer: String,
    /// When it began.
    pub since: Now,
    /// When it was open; later than anything before that.
    pub open_at: Mono,
    /// Whether it ever was.
    pub opened: bool,
}

impl Session {
    /// Its id.
    pub fn id(&self) -> SessionId {
        SessionId::new(format!("p{}", self.number)).unwrap_or_else(|_| unreachable!("a letter and digits"))
    }
}

/// A moment by which something should have happened, looked at twice where the first look is late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Mono,
    looked: bool,
    passed: bool,
}

impl Deadline {
    pub fn at(at: Mono) -> Self {
        Self { at, looked: false, passed: false }
    }

    /// Whether it has just passed; true once.
    pub fn is_over(&mut self, now: Mono) -> bool {
        if self.passed || now < self.at {
            return false;
        }
        if now.since(self.at) > LATE && !self.looked {
            self.looked = true;
            self.at = now.after(LATE);
            return false;
        }
        self.passed = true;
        true
    }

    /// When to look.
    pub fn due(&self) -> Option<Mono> {
        (!self.passed).then_some(self.at)
    }
}

/// Where the connection is.
#[derive(Debug)]
pub(super) enum Link {
    /// Nothing was said yet.
    Silent,
    /// Connecting since the session began.
    Connecting { session: Session, stuck: Deadline },
    /// Waits for somebody to log in.
    Login(Session),
    /// Open.
    Open(Session),
    /// Closing.
    Closing { session: Session, since: Mono, stuck: Deadline },
    /// Closed; or closed with something better awaited until then, and what it means otherwise.
    Closed { awaited: Option<(Deadline, Box<Verdict>)> },
}

impl Link {
    /// The present session.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::Connecting { session, .. }
            | Self::Login(session)
            | Self::Open(session)
            | Self::Closing { session, .. } => Some(session),
            Self::Silent | Self::Closed { .. } => None,
        }
    }

    fn take_session(&mut self) -> Option<Session> {
        match std::mem::replace(self, Self::Closed { awaited: None }) {
            Self::Connecting { session, .. }
            | Self::Login(session)
            | Self::Open(session)
            | Self::Closing { session, .. } => Some(session),
            Self::Silent | Self::Closed { .. } => None,
        }
    }

    /// The same, for lists.
    pub fn state(&self) -> Option<SessionState> {
        match self {
            Self::Connecting { .. } | Self::Login(_) => Some(SessionState::Opening),
            Self::Open(_) => Some(SessionState::Open),
            Self::Closing { .. } => Some(SessionState::Closing),
            Self::Silent | Self::Closed { .. } => None,
        }
    }
}

impl Meaning {
    /// Whether an event about this connection is about the present one. A name that is not said fits every connection.
    pub(super) fn is_present(&self, name: &str) -> bool {
        match self.link.session() {
            Some(session) => name.is_empty() || session.name.is_empty() || *session.name == *name,
            None => self.prior.as_ref().is_none_or(|prior| name.is_empty() || *prior.name != *name),
        }
    }

    /// The present session, or a new one in its place.
    fn session(&mut self, at: Now, name: &Arc<str>, id: u64, step: &mut Step) -> Session {
        let same = self.is_present(name);
        match self.link.take_session() {
            Some(mut session) if same => {
                if session.name.is_empty() {
                    session.name = Arc::clone(name);
                }
                return session;
            }
            Some(other) => self.superseded(other, at, step),
            None => {}
        }
        step.opened += 1;
        let peer = String::new();
        Session { number: id, name: Arc::clone(name), peer, since: at, open_at: at.mono, opened: false }
    }

    /// A newer connection took a session's place; its own end may still be told, but only that of the last one.
    fn superseded(&mut self, session: Session, at: Now, step: &mut Step) {
        if let Some(forgotten) = self.prior.replace(session) {
            self.unexplained(&forgotten, at, step);
        }
    }

    /// The instance's process is another one: its connection is gone, and nothing is known of a new one yet.
    pub(super) fn replaced(&mut self, now: Now, at: Now, step: &mut Step) {
        if let Some(prior) = self.prior.take() {
            self.unexplained(&prior, at, step);
        }
        let Some(session) = self.link.take_session() else { return };
        self.link = Link::Silent;
        self.fault = None;
        let message = "the instance's process was replaced";
        let verdict = Verdict {
            cause: Cause::ReportedClosed,
            weight: Weight::Fault,
            message: message.to_owned(),
            evidence: Evidence::new(),
        };
        self.ended(&session, at, &Closed::default(), &verdict, step);
        let age = now.mono.since(at.mono);
        for kind in [ConditionKind::Linked, ConditionKind::Reachable] {
            claim(step, kind, Status::Unknown, Some(Cause::ReportedClosed), message, Evidence::new(), age);
        }
        self.no_beats(age, step);
    }

    /// A session that is gone without a word about its end.
    fn unexplained(&mut self, session: &Session, at: Now, step: &mut Step) {
        let verdict = Verdict {
            cause: Cause::ReportedClosed,
            weight: Weight::Fault,
            message: "a newer connection is in its place; its end was not reported".to_owned(),
            evidence: Evidence::new(),
        };
        self.ended(session, at, &Closed::default(), &verdict, step);
    }

    pub(super) fn connecting(&mut self, now: Now, at: Now, name: &Arc<str>, id: u64, step: &mut Step) {
        let (was_connecting, was_open) = match &self.link {
            Link::Connecting { session, stuck } => (Some((session.since, *stuck)), None),
            Link::Open(session) => (None, Some(session.clone())),
            _ => (None, None),
        };
        self.state_at = at.mono;
        if let Some(open) = was_open {
            // It was open and now connects: that session is over, whatever its name.
            self.link.take_session();
            self.unexplained(&open, at, step);
            let age = now.mono.since(at.mono);
            for kind in [ConditionKind::Linked, ConditionKind::Reachable] {
                let cause = Some(Cause::ReportedClosed);
                claim(step, kind, Status::Unknown, cause, "connecting again", Evidence::new(), age);
            }
            self.no_beats(age, step);
        }
        let mut session = self.session(at, name, id, step);
        // One attempt after the other without an end between them is one long attempt.
        let stuck = was_connecting.map_or_else(
            || Deadline::at(at.mono.after(self.config.connecting)),
            |(since, stuck)| {
                session.since = since;
                stuck
            },
        );
        self.link = Link::Connecting { session, stuck };
    }

    pub(super) fn waiting_for_login(&mut self, now: Now, at: Now, name: &Arc<str>, id: u64, step: &mut Step) {
        self.state_at = at.mono;
        let session = self.session(at, name, id, step);
        self.link = Link::Login(session);
        let verdict = Verdict {
            cause: Cause::PairingNeeded,
            weight: Weight::Fault,
            message: "waits for somebody to log in".to_owned(),
            evidence: Evidence::new(),
        };
        self.fault(now.mono, at.mono, &verdict, step);
    }

    pub(super) fn opened(
        &mut self,
        now: Now,
        at: Now,
        name: &Arc<str>,
        peer: &str,
        id: u64,
        step: &mut Step,
    ) {
        let again = matches!(self.link, Link::Open(_)) && self.is_present(name);
        self.state_at = at.mono;
        let mut session = self.session(at, name, id, step);
        if !peer.is_empty() {
            peer.clone_into(&mut session.peer);
        }
        let age = now.mono.since(at.mono);
        if again {
            self.link = Link::Open(session);
        } else {
            session.opened = true;
            session.open_at = at.mono;
            self.link = Link::Open(session);
            self.fault = None;
            self.history.opened();
            self.await_beats(now.mono, at.mono, step);
        }
        self.well(ConditionKind::Linked, age, step);
        self.well(ConditionKind::Reachable, age, step);
    }

    pub(super) fn closing(&mut self, at: Now) {
        self.state_at = at.mono;
        if matches!(self.link, Link::Closing { .. }) {
            return;
        }
        if let Some(session) = self.link.take_session() {
            let stuck = Deadline::at(at.mono.after(self.config.connecting));
            self.link = Link::Closing { session, since: at.mono, stuck };
        }
    }

    pub(super) fn closed(&mut self, now: Now, at: Now, closed: &Closed, step: &mut Step) {
        self.state_at = at.mono;
        let session = self.link.take_session();
        let open_for = session.as_ref().filter(|s| s.opened).map(|session| at.mono.since(session.since.mono));
        self.history.forgive(open_for);
        let verdict = self.judged(closed, at.mono, open_for);
        if closed.protocol.unwrap_or(self.registration.protocol) == Protocol::Baileys {
            self.history.remember(at.mono, closed.code, open_for);
        }
        if let Some(session) = &session {
            self.ended(session, at, closed, &verdict, step);
        }
        self.fault(now.mono, at.mono, &verdict, step);
        let awaited = match verdict.weight {
            Weight::Fault => None,
            Weight::After(patience, cause) => {
                let fault = Verdict { weight: Weight::Fault, cause, ..verdict };
                Some((Deadline::at(at.mono.after(patience)), Box::new(fault)))
            }
        };
        self.link = Link::Closed { awaited };
    }

    /// The end of a connection that is no longer the present one: told, and of no meaning for the present.
    pub(super) fn prior_ended(&mut self, at: Now, name: &str, closed: &Closed, step: &mut Step) {
        let Some(prior) = self.prior.take_if(|prior| *prior.name == *name) else { return };
        let open_for = prior.opened.then(|| at.mono.since(prior.since.mono));
        let verdict = self.judged(closed, at.mono, open_for);
        self.ended(&prior, at, closed, &verdict, step);
    }
}
