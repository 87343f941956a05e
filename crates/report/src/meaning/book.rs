//! All instances of one gateway that reports: which is due when, which sessions there are, how many came and went.
//!
//! Every session of the gateway is one instance's present one, so a page is made by looking at all of them: people ask
//! seldom, and an index by badness would have to be kept with every beat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::diagnosis::codes::{FLEET, FleetWindow};
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::limits::clip;
use mooring_core::order::Action;
use mooring_core::session::{
    Flow, MAX_SESSION_TEXT, SessionCounts, SessionPage, SessionQuery, SessionState, SessionSummary,
    SessionView, Source,
};
use mooring_core::time::{Mono, Now};

use super::event::{Event, Reported};
use super::{Crowd, Meaning, MeaningConfig, Step};

/// What a report, or time, did to one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whose.
    pub instance: InstanceId,
    /// What.
    pub step: Step,
}

#[derive(Debug)]
struct Entry {
    meaning: Meaning,
    due: Option<Mono>,
}

/// The instances of one gateway.
#[derive(Debug)]
pub struct Book {
    config: MeaningConfig,
    entries: BTreeMap<InstanceId, Entry>,
    due: BTreeSet<(Mono, InstanceId)>,
    sessions: u64,
    opened: u64,
    closed: u64,
    by_cause: BTreeMap<Cause, u64>,
    /// Who was refused for what a whole fleet may be refused for.
    fleet: FleetWindow<InstanceId>,
    /// Whether they were many when the last of them was refused: then the others know.
    crowded: bool,
}

impl Default for Book {
    fn default() -> Self {
        Self::new(MeaningConfig::default())
    }
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(config: MeaningConfig) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            sessions: 0,
            opened: 0,
            closed: 0,
            by_cause: BTreeMap::new(),
            fleet: FleetWindow::new(&FLEET),
            crowded: false,
        }
    }

    /// Takes a report. The server bounds how many instances there are before they get here.
    pub fn take(&mut self, now: Now, reported: &Reported) -> Outcome {
        let Reported { instance, at, session, event, .. } = reported;
        let config = self.config;
        let entry = self
            .entries
            .entry(instance.clone())
            .or_insert_with(|| Entry { meaning: Meaning::new(config, now.mono), due: None });
        let mut step = entry.meaning.step(now, *at, session, event, self.sessions + 1);
        self.sessions += u64::from(step.opened);
        if let Event::Closed(closed) = event {
            let protocol = closed.protocol.unwrap_or(entry.meaning.registration.protocol);
            if self.fleet.saw(at.mono, instance, protocol, closed.code) {
                self.crowd(now, *at, instance, &mut step);
            }
        }
        self.settle(instance, step)
    }

    /// An instance was refused. If it is one of many it is told so at once, and the others when time next passes.
    fn crowd(&mut self, now: Now, at: Now, instance: &InstanceId, step: &mut Step) {
        let of = self.entries.len();
        let rule = self.fleet.rule();
        let known = self.crowded;
        let Some(members) = self.fleet.fleet(now.mono, of) else {
            self.crowded = false;
            return;
        };
        self.crowded = true;
        let crowd = Crowd { rule, saying: members.len(), of };
        if let Some(entry) = self.entries.get_mut(instance) {
            entry.meaning.join(crowd, now, at, step);
        }
        for member in members.filter(|member| !known && *member != instance) {
            if let Some(entry) = self.entries.get_mut(member) {
                entry.meaning.not_alone(crowd);
                reschedule(&mut self.due, member, entry);
            }
        }
    }

    /// Lets time pass for those that are due.
    pub fn tick(&mut self, now: Now) -> Vec<Outcome> {
        let mut due = Vec::new();
        while let Some((at, instance)) = self.due.first() {
            if *at > now.mono {
                break;
            }
            let (at, instance) = (*at, instance.clone());
            self.due.remove(&(at, instance.clone()));
            due.push(instance);
        }
        let mut outcomes = Vec::new();
        for instance in due {
            let Some(entry) = self.entries.get_mut(&instance) else { continue };
            entry.due = None;
            let step = entry.meaning.tick(now);
            let outcome = self.settle(&instance, step);
            if outcome.step != Step::default() {
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_check(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Forgets an instance: it was taken out of the configuration.
    pub fn forget(&mut self, instance: &InstanceId) {
        self.fleet.forget(instance);
        if let Some(entry) = self.entries.remove(instance)
            && let Some(due) = entry.due
        {
            self.due.remove(&(due, instance.clone()));
        }
    }

    /// The instances that have reported.
    pub fn instances(&self) -> impl Iterator<Item = (&InstanceId, &Meaning)> {
        self.entries.iter().map(|(id, entry)| (id, &entry.meaning))
    }

    /// Whether an instance said that it carries such orders out.
    #[must_use]
    pub fn can(&self, instance: &InstanceId, action: Action) -> bool {
        self.entries.get(instance).is_some_and(|e| e.meaning.registration.can.contains(&action))
    }

    /// Whose a session is, and the gateway's own name of it.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<(&InstanceId, Arc<str>)> {
        self.entries.iter().find_map(|(instance, entry)| {
            let session = entry.meaning.link.session().filter(|session| session.id() == *id)?;
            Some((instance, Arc::clone(&session.name)))
        })
    }

    /// The sessions asked for. The wall clock of `now` is told by one [`Anchor`](mooring_core::time::Anchor): see
    /// [`SessionView::at`].
    #[must_use]
    pub fn sessions(&self, now: Now, query: &SessionQuery) -> SessionPage {
        let mut summary = SessionSummary::default();
        let mut sessions = Vec::new();
        let counted = SessionQuery {
            instance: query.instance.clone(),
            source: query.source,
            ..SessionQuery::default()
        };
        for (instance, entry) in &self.entries {
            let Some(view) = entry.meaning.view(now, instance) else { continue };
            if counted.wants(&view) {
                summary.add(&view);
            }
            if query.wants(&view) {
                sessions.push(view);
            }
        }
        let more = query.page(&mut sessions);
        SessionPage { sessions, more, summary }
    }

    /// The same in numbers.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        let is = |m: &Meaning, state| m.link.state() == Some(state);
        let count = |f: &dyn Fn(&Meaning) -> bool| {
            u64::try_from(self.entries.values().filter(|e| f(&e.meaning)).count()).unwrap_or(u64::MAX)
        };
        SessionCounts {
            open: count(&|m| is(m, SessionState::Open)),
            sick: count(&|m| m.link.session().is_some() && m.fault.is_some()),
            opened: self.opened,
            closed: self.closed,
            closed_by_cause: self.by_cause.iter().map(|(cause, n)| (*cause, *n)).collect(),
        }
    }

    fn settle(&mut self, instance: &InstanceId, mut step: Step) -> Outcome {
        self.opened += u64::from(step.opened);
        for close in &mut step.closes {
            close.instance = Some(instance.clone());
            self.closed += 1;
            if let Some(cause) = close.cause {
                *self.by_cause.entry(cause).or_default() += 1;
            }
        }
        if let Some(entry) = self.entries.get_mut(instance) {
            reschedule(&mut self.due, instance, entry);
        }
        Outcome { instance: instance.clone(), step }
    }
}

/// Puts an instance where it is due.
fn reschedule(due: &mut BTreeSet<(Mono, InstanceId)>, instance: &InstanceId, entry: &mut Entry) {
    let next = entry.meaning.next_check();
    if next == entry.due {
        return;
    }
    if let Some(old) = entry.due {
        due.remove(&(old, instance.clone()));
    }
    if let Some(at) = next {
        due.insert((at, instance.clone()));
    }
    entry.due = next;
}

impl Meaning {
    /// The present session, for lists; `None` while there is none.
    #[must_use]
    pub fn view(&self, now: Now, instance: &InstanceId) -> Option<SessionView> {
        let (session, state) = (self.link.session()?, self.link.state()?);
        let life = self.detector.last_life().max(session.since.mono);
        let received = Flow { silent: Some(now.mono.since(life)), ..Flow::default() };
        let (cause, message) = self.fault.clone().unzip();
        let words: Vec<&str> =
            [self.registration.protocol_name.as_str(), self.registration.software.as_str()]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect();
        Some(SessionView {
            id: session.id(),
            source: Source::Report,
            at: now.wall,
            instance: Some(instance.clone()),
            peer: session.peer.clone(),
            local: match self.registration.pid {
                0 => String::new(),
                pid => format!("pid {pid}"),
            },
            state,
            age: now.mono.since(session.since.mono),
            age_at_least: false,
            received,
            sent: Flow::default(),
            rtt: self.rtt,
            retransmits: None,
            beat: self.registration.heartbeat.map(|(interval, _): (Duration, Duration)| interval),
            protocol: clip(&words.join(", "), MAX_SESSION_TEXT),
            cause,
            message: message.unwrap_or_default(),
        })
    }
}

impl Event {
    /// Whether losing it would leave a wrong picture; beats and lines come again or only decorate.
    #[must_use]
    pub fn is_state(&self) -> bool {
        !matches!(self, Self::Beat { .. } | Self::Line(_))
    }
}
