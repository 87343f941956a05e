//! What was seen of one instance, with times: the last word of each source, and as much of the past as the rules' windows
//! need. Bounded, whatever the gateway does.

use std::collections::VecDeque;
use std::time::Duration;

use mooring_core::time::Mono;

use super::seen::{Happened, Row, State};

/// Points of time that are kept of each kind. The longest window is half a minute; of a storm, enough to see it.
const KEPT: usize = 64;

/// Who said what an instance's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// `connectionState`, or `/metrics`.
    Rest,
    /// An event.
    Event,
}

/// The newest points of time of something.
#[derive(Debug, Clone, Default)]
pub struct Times(VecDeque<Mono>);

impl Times {
    fn push(&mut self, at: Mono) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(at);
    }

    /// How many were less than `window` before `now`; at most as many as are kept.
    #[must_use]
    pub fn within(&self, now: Mono, window: Duration) -> usize {
        self.0.iter().rev().take_while(|at| now.since(**at) < window).count()
    }
}

/// The past of one instance.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The newest word on its state, and who said it.
    pub state: Option<(Mono, State, Teller)>,
    /// Since when it has been that.
    pub since: Mono,
    /// Since when it has not been open; `None` while it is open or nothing is known.
    pub down_since: Option<Mono>,
    /// Whether it was ever seen open.
    pub was_open: bool,
    /// Whether it was closed for good since, so that only a new pairing opens it again.
    pub login_lost: bool,
    /// The newest row.
    pub row: Option<(Mono, Row)>,
    /// Logins that began, by events.
    pub connectings: Times,
    /// Logins that succeeded, by events.
    pub opens: Times,
    /// Logins that succeeded, by the word of REST.
    pub rest_opens: Times,
    /// Changes of the word of REST.
    pub flips: Times,
    /// Times REST said `close` right after `open`: the mark of a session that was taken over (a mere drop goes from `open`
    /// to `connecting`).
    pub closed_from_open: Times,
    /// Takeovers that were told by their code (440).
    pub replaced: Times,
    /// The newest code that an event gave, since the last login.
    pub code: Option<(Mono, u16)>,
    /// The newest QR code, since the last login.
    pub qr: Option<Mono>,
    /// Whether the limit of QR codes was reached, since the last login.
    pub qr_limit: bool,
    /// The newest event of any kind.
    pub event: Option<Mono>,
    /// The newest event that only the chat network can have caused.
    pub traffic: Option<Mono>,
    /// When it was last looked at closely, many times in a row.
    pub looked: Option<Mono>,
}

impl Trace {
    /// REST (or `/metrics`) was read; `at`: asked then. An event since is newer, whenever the answer came.
    pub fn rest(&mut self, at: Mono, state: State) {
        if self.state.is_some_and(|(newest, ..)| newest > at) {
            return;
        }
        // REST speaks of `close` where an event has just said `refused`, which says more.
        let refused = self.state.is_some_and(|(_, before, _)| before == State::Refused);
        let state = if refused && state == State::Close { State::Refused } else { state };
        let before = self.state.map(|(_, state, _)| state);
        if before.is_some_and(|before| before != state) {
            self.flips.push(at);
            match state {
                State::Open => self.rest_opens.push(at),
                State::Close if before == Some(State::Open) => self.closed_from_open.push(at),
                _ => {}
            }
        }
        self.told(at, state, Teller::Rest);
    }

    /// The row was read.
    pub fn stored(&mut self, at: Mono, row: Row) {
        let open = self.state.is_some_and(|(_, state, _)| state == State::Open);
        self.login_lost |= !open && row.status == State::Close && row.code.is_some_and(is_final);
        self.row = Some((at, row));
    }

    /// An event came.
    pub fn event(&mut self, at: Mono, happened: Happened) {
        self.event = Some(at);
        match happened {
            Happened::Connecting => {
                self.connectings.push(at);
                self.told(at, State::Connecting, Teller::Event);
            }
            Happened::Open => {
                self.opens.push(at);
                self.told(at, State::Open, Teller::Event);
            }
            Happened::Close(code) => {
                if let Some(code) = code {
                    self.login_lost |= is_final(code);
                    self.code = Some((at, code));
                    // One close is told twice, by `connection.update` and `status.instance`.
                    if code == 440 && self.replaced.within(at, Duration::from_millis(200)) == 0 {
                        self.replaced.push(at);
                    }
                }
                self.told(at, State::Close, Teller::Event);
            }
            Happened::Refused => {
                self.qr_limit = true;
                self.told(at, State::Refused, Teller::Event);
            }
            Happened::Qr => {
                // Somebody has asked for a new pairing: how the last one ended is history.
                self.code = None;
                self.qr = Some(at);
            }
            Happened::QrLimit => self.qr_limit = true,
            Happened::Traffic => self.traffic = Some(at),
            Happened::LoggedOut | Happened::Created | Happened::Removed | Happened::Other => {}
        }
    }

    fn told(&mut self, at: Mono, state: State, teller: Teller) {
        let same = self.state.is_some_and(|(_, before, _)| before == state);
        if !same {
            self.since = at;
        }
        self.state = Some((at, state, teller));
        if state == State::Open {
            self.was_open = true;
            self.login_lost = false;
            self.down_since = None;
            self.code = None;
            self.qr = None;
            self.qr_limit = false;
        } else if self.down_since.is_none() {
            self.down_since = Some(at);
        }
    }
}

/// Codes after which the gateway has thrown the login away; of 408, only the versions say so that do.
fn is_final(code: u16) -> bool {
    matches!(code, 401 | 402 | 403 | 406 | 408)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut trace = Trace::default();
        for at in 0..10_000 {
            trace.event(Mono(at), Happened::Connecting);
        }
        assert_eq!(trace.connectings.within(Mono(10_000), Duration::from_secs(1)), KEPT);
        assert_eq!(trace.connectings.within(Mono(60_000_000), Duration::from_secs(1)), 0);
    }

    #[test]
    fn a_login_wipes_what_was_before_it() {
        let mut trace = Trace::default();
        trace.event(Mono(1), Happened::Close(Some(401)));
        trace.event(Mono(2), Happened::Qr);
        trace.event(Mono(3), Happened::Refused);
        trace.rest(Mono(4), State::Close);
        assert_eq!(trace.state.map(|s| s.1), Some(State::Refused));
        assert_eq!(trace.flips.within(Mono(4), Duration::from_secs(1)), 0, "the same in other words");
        assert!(trace.login_lost);
        assert_eq!(trace.down_since, Some(Mono(1)));
        trace.event(Mono(5), Happened::Open);
        assert!(!trace.login_lost);
        assert_eq!((trace.code, trace.qr, trace.qr_limit, trace.down_since), (None, None, false, None));
    }
}
