//! A trace at a moment: the quantities that the rules of [`super::state`] are made of, each over its window of time.

use std::time::Duration;

use mooring_core::condition::Evidence;
use mooring_core::time::{Mono, human};

use super::seen::{Row, State};
use super::trace::{Teller, Trace};
use super::version::Version;

/// Not open for longer than this is an outage; a drop that is retried takes 0.12 s, a login a second or two.
pub const OUTAGE: Duration = Duration::from_secs(10);
/// Connecting for longer than this without any event is a hang: Baileys gives up a login after 30 s, where it can.
pub const STUCK: Duration = Duration::from_secs(60);
/// Window and least number (exclusive) of logins that are a storm.
pub const STORM: (Duration, usize) = (Duration::from_secs(10), 3);
/// Window and least number of sessions taken over that are a war.
pub const WAR: (Duration, usize) = (Duration::from_secs(30), 5);
/// A process that says `open` may not have noticed for this long that nothing is behind it (Baileys' keep-alive).
pub const PROVES_NOTHING: Duration = Duration::from_secs(65);
/// A QR code is shown for 45 s, the first for 60 s.
const QR: Duration = Duration::from_secs(60);
/// A second look is not repeated before this.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the rules need to know besides the trace.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// The gateway's version.
    pub version: Version,
    /// How long this instance's events have been listened to; `None`: they are not.
    pub listening: Option<Duration>,
    /// How many instances of the gateway are in the same trouble, of how many (see [`super::fleet`]).
    pub storming: Option<(usize, usize)>,
    /// Whether many of them were refused for their version at once.
    pub deprecated: bool,
}

/// A trace at a moment.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// The moment.
    pub now: Mono,
    /// What else is known.
    pub around: Around,
}

impl Facts<'_> {
    /// The newest word on its state.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.trace.state.map(|(_, state, _)| state)
    }

    pub(super) fn row(&self) -> Option<&Row> {
        self.trace.row.as_ref().map(|(_, row)| row)
    }

    pub(super) fn stored(&self, state: State) -> bool {
        self.row().is_some_and(|row| row.status == state)
    }

    /// The code of the close it is in: of the newest event, or of the row where that says that it is closed.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        if self.state() == Some(State::Open) {
            return None;
        }
        let stored = || self.row().filter(|row| row.status == State::Close).and_then(|row| row.code);
        self.trace.code.map(|(_, code)| code).or_else(stored)
    }

    /// How long it has not been open.
    pub(super) fn down_for(&self) -> Duration {
        self.trace.down_since.map_or(Duration::ZERO, |since| self.now.since(since))
    }

    /// How long its state has been the same, with no event.
    pub(super) fn quiet_for(&self) -> Duration {
        self.now.since(self.trace.event.unwrap_or_default().max(self.trace.since))
    }

    pub(super) fn logins(&self, window: Duration) -> usize {
        self.trace.connectings.within(self.now, window)
    }

    /// Logins that succeeded: events tell each; without them, REST tells those it happened to see.
    pub(super) fn successes(&self, window: Duration) -> usize {
        let told = self.trace.opens.within(self.now, window);
        if told > 0 { told } else { self.trace.rest_opens.within(self.now, window) }
    }

    /// More than three logins in ten seconds. Without events: the word of REST changing under a close look.
    pub(super) fn rapid(&self) -> bool {
        self.logins(STORM.0) > STORM.1
            || (self.logins(STORM.0) == 0 && self.trace.flips.within(self.now, STORM.0) > 2 * STORM.1)
    }

    pub(super) fn looked(&self) -> bool {
        self.trace.looked.is_some_and(|at| self.now.since(at) < LOOK_AGAIN)
    }

    /// Sessions that were taken over, told by their code or shown by a close look.
    pub(super) fn war(&self) -> bool {
        let seen = self.trace.closed_from_open.within(self.now, WAR.0);
        self.trace.replaced.within(self.now, WAR.0) >= WAR.1 || (self.successes(WAR.0) >= WAR.1 && seen >= 2)
    }

    /// Logins again and again, without a pause.
    #[must_use]
    pub fn storm(&self) -> bool {
        // Where each login succeeds it may be a war: the close look decides, and until then nothing is said.
        let refused = self.successes(STORM.0) * 2 < self.logins(STORM.0).max(STORM.1);
        self.rapid() && (refused || self.looked())
    }

    pub(super) fn unpaired(&self) -> bool {
        let never = self.row().is_some_and(|row| !row.paired);
        match self.state() {
            Some(State::Open) => never && self.stored(State::Close) && self.settled(),
            Some(State::Connecting) => {
                // The code of a logout stays in the row after a new pairing, so it counts only where no login was seen.
                let logged_out = self.row().is_some_and(|row| row.code == Some(401)) && !self.trace.was_open;
                let shown = self.trace.qr.is_some_and(|at| self.now.since(at) < QR);
                never || self.trace.login_lost || logged_out || shown
            }
            Some(State::Close) => {
                never || self.trace.qr_limit || (self.stored(State::Connecting) && self.settled())
            }
            Some(State::Refused) => true,
            Some(State::NotLoaded | State::Odd) | None => false,
        }
    }

    /// Whether state and row have stood beside each other long enough to be compared.
    pub(super) fn settled(&self) -> bool {
        self.now.since(self.trace.since) > OUTAGE
            && self.trace.row.as_ref().is_some_and(|(at, _)| *at >= self.trace.since)
    }

    pub(super) fn closed(&self) -> bool {
        matches!(self.state(), Some(State::Close | State::Refused))
    }

    pub(super) fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new();
        let mut add = |key: &str, value: String| evidence.push((key.to_owned(), value));
        if let Some((at, state, teller)) = self.trace.state {
            let who = if teller == Teller::Rest { "rest.state" } else { "event.state" };
            add(who, state.name().to_owned());
            add("state.for", seconds(self.now.since(self.trace.since)));
            add("state.age", seconds(self.now.since(at)));
        }
        if let Some((at, row)) = &self.trace.row {
            add("db.status", row.status.name().to_owned());
            add("db.age", seconds(self.now.since(*at)));
            if let Some(code) = row.code {
                add("db.code", code.to_string());
            }
        }
        if let Some((_, code)) = self.trace.code {
            add("event.code", code.to_string());
        }
        if self.around.listening.is_some() {
            add("logins.10s", self.logins(STORM.0).to_string());
            add("opens.30s", self.successes(WAR.0).to_string());
        } else {
            add("events", "not listened to".to_owned());
        }
        if let Some(at) = self.trace.event {
            add("event.age", seconds(self.now.since(at)));
        }
        evidence
    }
}

/// Whole seconds, for people.
pub(super) fn seconds(d: Duration) -> String {
    human::format(Duration::from_secs(d.as_secs()))
}
