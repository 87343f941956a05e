//! What can be done to an instance, what never is, and when it counts as done.
//!
//! The answers to orders are not to be believed: `restart` answers before the old socket has gone, and 200 where it did
//! nothing at all. So [`plan`] decides from what was just seen which order can have an effect, and [`Effect`] watches for
//! that effect: a login that began after the order and succeeded, told by events; or, where none are heard, the state
//! changing and then staying open for a while.
//!
//! Never, whoever asks: `logout` and `delete` (they destroy the login; there is no code for them here); a new login after a
//! final code (it would show a QR code, or deepen a ban); anything in a take-over war, a storm or a version's end (it would
//! feed it); anything while a code waits to be scanned (it would take the code away).

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::time::Mono;

use super::seen::{Happened, State};
use super::state::{Facts, Verdict};

/// What is asked of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `GET /instance/connect/…`.
    Connect,
    /// `POST /instance/restart/…`: also the only thing that frees a login that hangs.
    Restart,
}

impl Act {
    /// As it is told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "GET connect",
            Self::Restart => "POST restart",
        }
    }
}

/// Which order can have an effect now.
///
/// # Errors
/// In words for a human, when there is none that would help or none that may be given.
pub fn plan(facts: &Facts<'_>, verdict: &Verdict) -> Result<Act, String> {
    let Some(state) = facts.state() else {
        return Err("its state is not known: nothing is ordered blindly".into());
    };
    if let Some(finding) = &verdict.linked
        && let Some(why) = finding.cause.and_then(forbidden)
    {
        return Err(format!("{why}: {}", finding.message));
    }
    if let Some(finding) = &verdict.stable
        && let Some(why) = finding.cause.and_then(forbidden)
    {
        return Err(format!("{why}: {}", finding.message));
    }
    // What the verdict may say a little later, a code says now.
    if let Some(code) = facts.code()
        && (facts.around.version.gives_up(code) || matches!(code, 405 | 440))
    {
        return Err(format!("it was closed with {code}, which no new login can help: a human must act"));
    }
    match state {
        State::Open | State::Connecting => Ok(Act::Restart),
        State::Close => Ok(Act::Connect),
        State::NotLoaded | State::Refused | State::Odd => {
            Err(format!("in the state `{}` there is no order that would help", state.name()))
        }
    }
}

/// Why nothing is ordered while an instance has this.
fn forbidden(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::InstanceNotLoaded => "only a start of the whole process loads it",
        Cause::TakeoverWar | Cause::SessionReplaced => "a new login would only throw the other client out",
        Cause::Flapping => "it logs in by itself, again and again; one login more helps nobody",
        Cause::ReconnectStorm => "it logs in many times a second already",
        Cause::UpstreamDeprecated | Cause::ClientOutdated => {
            "the gateway must be upgraded; logins feed the storm"
        }
        Cause::LoginRevoked => "a human must log in again; a new login would only show a QR code",
        Cause::AccountForbidden => "a human must act on the account; each login makes it worse",
        Cause::PairingNeeded => {
            "it waits for a human with its QR code, and an order would take the code away"
        }
        _ => return None,
    })
}

/// What has come of an order so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that proves anything.
    Open,
    /// The effect was seen; this.
    Done(String),
    /// It will not come; because.
    Failed(String),
}

/// Watches for an order's effect.
#[derive(Debug, Clone)]
pub struct Effect {
    act: Act,
    began: Mono,
    hold: Duration,
    /// A login began, by events.
    connecting: Option<Mono>,
    /// It succeeded, by events.
    opened: Option<Mono>,
    /// The state was another than open since the order, or already before it.
    stirred: bool,
    /// Open without interruption since.
    open_since: Option<Mono>,
    /// The newest word, and of when it is.
    last: Option<(Mono, State)>,
    failed: Option<String>,
}

impl Effect {
    /// An order that is given now, to an instance that is in this state.
    #[must_use]
    pub fn new(act: Act, began: Mono, before: Option<State>, hold: Duration) -> Self {
        let stirred = before != Some(State::Open);
        Self {
            act,
            began,
            hold,
            connecting: None,
            opened: None,
            stirred,
            open_since: None,
            last: None,
            failed: None,
        }
    }

    /// How long ago it was given.
    #[must_use]
    pub fn age(&self, now: Mono) -> Duration {
        now.since(self.began)
    }

    /// REST was read; `at`: asked then.
    pub fn rest(&mut self, at: Mono, state: State) {
        if at < self.began {
            return;
        }
        self.last = Some((at, state));
        if state == State::Open {
            self.open_since.get_or_insert(at);
        } else {
            self.stirred = true;
            self.open_since = None;
        }
    }

    /// An event came.
    pub fn event(&mut self, at: Mono, happened: Happened) {
        match happened {
            Happened::Connecting => {
                self.connecting.get_or_insert(at);
                self.opened = None;
                self.stirred = true;
                self.open_since = None;
            }
            Happened::Open if self.connecting.is_some() => self.opened = Some(at),
            Happened::Close(code) => {
                let code = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                self.failed = Some(format!("it was closed for good ({code}) instead"));
            }
            Happened::Qr => {
                self.failed = Some("it asks for a QR code to be scanned: its login is gone".to_owned())
            }
            Happened::QrLimit | Happened::Refused => {
                self.failed = Some("it ran out of QR codes: its login is gone".to_owned());
            }
            _ => {}
        }
    }

    /// What has come of it by now.
    #[must_use]
    pub fn outcome(&self, now: Mono) -> Outcome {
        if let Some(why) = &self.failed {
            return Outcome::Failed(why.clone());
        }
        let after = |at: Mono| format!("{:.1} s", at.since(self.began).as_secs_f64());
        // The event alone might be of a session that was lost since: REST must agree, after it.
        if let (Some(connecting), Some(opened), Some((asked, State::Open))) =
            (self.connecting, self.opened, self.last)
            && asked >= opened
        {
            let words =
                format!("a login began after {} and succeeded after {}", after(connecting), after(opened));
            return Outcome::Done(format!("{}: {words} (events), and it is open", self.act.name()));
        }
        if self.stirred
            && let Some(open) = self.open_since
            && now.since(open) >= self.hold
        {
            let held = now.since(open).as_secs();
            let act = self.act.name();
            return Outcome::Done(format!(
                "{act}: open after {}, and for {held} s since (REST)",
                after(open)
            ));
        }
        Outcome::Open
    }

    /// Why nothing is known at the end of the time.
    #[must_use]
    pub fn overdue(&self, now: Mono) -> String {
        let after = now.since(self.began).as_secs();
        let seen = match self.last {
            _ if self.connecting.is_some() && self.opened.is_none() => {
                "a login began and did not succeed".to_owned()
            }
            Some((_, State::Open)) if !self.stirred => {
                "it stayed open, as if nothing had been ordered; a short break may have been missed"
                    .to_owned()
            }
            Some((_, state)) => format!("its state is `{}`", state.name()),
            None => "its state could not be read".to_owned(),
        };
        format!("{} was given, and no effect was seen within {after} s: {seen}", self.act.name())
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
