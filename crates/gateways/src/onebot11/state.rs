//! One connection through the agent, implementation to framework, as a state machine: what each end does goes in, what is
//! to be done comes out. Pure: the clock and the dice are arguments.
//!
//! **The framework goes away.** The implementation's connection stays as it is. Events are kept, the oldest dropped and
//! counted where there are too many; heartbeats are not kept, they are about a moment that is over. When the framework is
//! back it is told the lifecycle event first, as the implementation itself said it, for frameworks make a bot of that
//! (Yunzai ignores everything before it), and then what was kept; but not at once: node-karin asks who the bot is first and
//! throws away what comes meanwhile; and while it boots it takes connections that it then drops after 3 s (both seen with
//! 1.15.5). So what was kept waits until the framework's first questions are answered and it has been quiet for [`QUIET`],
//! for [`SETTLE`] at most, and what comes new queues behind it. Whether it will ask anything is known from the connection
//! before: NoneBot and aiocqhttp never do. Answers to calls of the process that is gone are dropped.
//!
//! **The implementation goes away.** The framework's connection is held for a grace: implementations redial within
//! seconds, and a framework that loses its bot runs its hooks and forgets what it was doing. Calls made meanwhile, and
//! those that were under way, are answered with `failed` at once. Silence would be worse: an error is something a plugin can
//! handle, and a call that nobody answers makes Yunzai tear the connection down after 60 s. For the same reason a call
//! that a *connected* implementation leaves unanswered gets its `failed` a little earlier than that; should the answer come
//! after all, it is dropped.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mooring_core::time::Mono;
use rand::Rng;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::calls::{Calls, Settled};
use super::message::{Asked, Told, failure};
use super::redial::Redial;

/// A framework that has asked nothing for so long has asked what it wanted to know first.
pub const QUIET: Duration = Duration::from_millis(500);
/// Longest that it is waited for.
pub const SETTLE: Duration = Duration::from_secs(5);
/// The implementation is away: OneBot's 1000 and HTTP's "service unavailable".
pub const AWAY: u16 = 1503;
/// The implementation does not answer: 1000 and HTTP's "gateway timeout".
pub const LATE: u16 = 1504;

/// What is said in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text, which is what OneBot speaks.
    Text(Utf8Bytes),
    /// The same in a binary frame, which some send; handed on as it is.
    Binary(Bytes),
}

impl Payload {
    /// What it says.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A frame under way, with the room it takes up until it is written.
#[derive(Debug)]
pub struct Frame {
    /// What it says.
    pub payload: Payload,
    /// Its share of what may be under way at once; given back when this is dropped.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Frame {
    /// A frame of our own.
    #[must_use]
    pub fn own(text: String) -> Self {
        Self { payload: Payload::Text(text.into()), room: None }
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Hand this to the framework.
    ToFramework(Frame),
    /// Hand this to the implementation.
    ToImplementation(Frame),
    /// Dial the framework.
    Dial,
    /// Close the framework's connection.
    CloseFramework(u16, &'static str),
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the framework is held without an implementation.
    pub grace: Duration,
    /// How long a call may stay unanswered.
    pub call: Duration,
    /// Most events kept.
    pub events: usize,
    /// Most bytes of them.
    pub bytes: usize,
}

/// The framework's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// Nobody to be there for.
    Idle,
    /// To be dialled at this time.
    Down(Mono),
    /// Being dialled.
    Dialling,
    /// Connected.
    Up,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that did not fit any more.
    pub dropped: u64,
    /// Events told late.
    pub replayed: u64,
    /// Answers that came for nobody.
    pub stale: u64,
    /// Calls answered with `failed` in the implementation's place.
    pub failed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    limits: Limits,
    implementation: bool,
    /// Until when the framework is held without one.
    hold: Option<Mono>,
    framework: Framework,
    redial: Redial,
    /// Number of the framework's connection.
    connection: u64,
    lifecycle: Option<Payload>,
    kept: VecDeque<Payload>,
    kept_bytes: usize,
    /// What was kept waits for the framework: since when it has been quiet, and until when at most.
    settling: Option<(Mono, Mono)>,
    /// When the framework's connection opened, and whether it has asked anything since.
    greeted: (Mono, bool),
    /// Whether it asks something by itself when it has connected; `None` until one connection has shown it.
    asks_first: Option<bool>,
    calls: Calls,
    counts: Counts,
}

impl Link {
    /// Neither end is there yet.
    #[must_use]
    pub fn new(limits: Limits, redial: Redial) -> Self {
        Self {
            limits,
            implementation: false,
            hold: None,
            framework: Framework::Idle,
            redial,
            connection: 0,
            lifecycle: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            settling: None,
            greeted: (Mono::default(), false),
            asks_first: None,
            calls: Calls::default(),
            counts: Counts::default(),
        }
    }

    /// The framework's end.
    #[must_use]
    pub fn framework(&self) -> Framework {
        self.framework
    }

    /// Whether the implementation is there.
    #[must_use]
    pub fn implementation(&self) -> bool {
        self.implementation
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Since when the oldest call waits.
    #[must_use]
    pub fn waiting(&self) -> Option<Mono> {
        self.calls.oldest(self.connection)
    }

    /// The implementation has dialled in; again, if it was there before.
    pub fn arrived(&mut self, now: Mono) -> Vec<Effect> {
        // What the connection before was asked, this one does not know.
        let effects = if self.implementation { self.abandon() } else { Vec::new() };
        self.implementation = true;
        self.hold = None;
        if self.framework == Framework::Idle {
            self.framework = Framework::Down(now);
        }
        effects
    }

    /// The implementation is gone.
    pub fn left(&mut self, now: Mono) -> Vec<Effect> {
        self.implementation = false;
        self.hold = Some(now.after(self.limits.grace));
        self.abandon()
    }

    /// The implementation said something. Answers to calls of our own are not to be put in here.
    pub fn told(&mut self, now: Mono, frame: Frame, told: &Told) -> Vec<Effect> {
        let up = self.framework == Framework::Up;
        match told {
            Told::Lifecycle => self.lifecycle = Some(frame.payload.clone()),
            Told::Heartbeat { .. } => {}
            Told::Answer { echo, .. } if !self.is_awaited(echo.as_deref()) => {
                self.counts.stale += 1;
                return Vec::new();
            }
            Told::Answer { .. } => self.stirred(now),
            _ if !up || self.settling.is_some() => {
                self.keep(frame.payload);
                return Vec::new();
            }
            _ => {}
        }
        if up { vec![Effect::ToFramework(frame)] } else { Vec::new() }
    }

    /// The framework said something.
    pub fn asked(&mut self, now: Mono, frame: Frame, asked: Asked) -> Vec<Effect> {
        let echo = match asked {
            Asked::Call { echo, .. } => echo,
            Asked::Unknown => None,
        };
        if self.implementation {
            self.stirred(now);
            self.greet(now, true);
            if let Some(echo) = echo {
                self.calls.asked(now, self.connection, echo);
            }
            return vec![Effect::ToImplementation(frame)];
        }
        // The answer takes the room of the question: who asks without reading is held back like everybody.
        let answer = echo.map(|echo| self.fail(&echo, AWAY));
        answer.map(|payload| Effect::ToFramework(Frame { payload, room: frame.room })).into_iter().collect()
    }

    /// The framework is there.
    pub fn opened(&mut self, now: Mono) -> Vec<Effect> {
        self.connection += 1;
        self.framework = Framework::Up;
        self.redial.opened(now);
        self.greeted = (now, false);
        let wait = !self.kept.is_empty() || self.asks_first == Some(true);
        self.settling = wait.then(|| (now, now.after(SETTLE)));
        self.lifecycle
            .iter()
            .cloned()
            .map(|payload| Effect::ToFramework(Frame { payload, room: None }))
            .collect()
    }

    /// Learns whether the framework asks by itself, from a call and from time that passes without one.
    fn greet(&mut self, now: Mono, asks: bool) {
        let (opened, asked) = self.greeted;
        if asked || self.framework != Framework::Up {
            return;
        }
        let at_once = now.since(opened) < SETTLE;
        if asks || !at_once {
            self.greeted.1 = true;
            self.asks_first = Some(asks && at_once);
        }
    }

    fn stirred(&mut self, now: Mono) {
        if let Some((quiet, _)) = &mut self.settling {
            *quiet = now;
        }
    }

    /// When what was kept may be told.
    fn settled_at(&self) -> Option<Mono> {
        let (quiet, latest) = self.settling.filter(|_| self.framework == Framework::Up)?;
        let busy = self.waiting().is_some() || (self.asks_first != Some(false) && !self.greeted.1);
        Some(if busy { latest } else { latest.min(quiet.after(QUIET)) })
    }

    fn replay(&mut self) -> impl Iterator<Item = Effect> + use<> {
        self.settling = None;
        self.kept_bytes = 0;
        let late = std::mem::take(&mut self.kept);
        self.counts.replayed += late.len() as u64;
        late.into_iter().map(|payload| Effect::ToFramework(Frame { payload, room: None }))
    }

    /// The framework's connection was lost. `known`: it said goodbye.
    pub fn lost<R: Rng + ?Sized>(&mut self, now: Mono, known: bool, rng: &mut R) {
        let at = self.redial.lost(now, known, rng);
        self.away(at);
    }

    /// The framework could not be dialled. Returns since when it locks us out, where it is that.
    pub fn refused<R: Rng + ?Sized>(&mut self, now: Mono, bare_403: bool, rng: &mut R) -> Option<Mono> {
        let (at, locked) = self.redial.refused(now, bare_403, rng);
        self.away(at);
        locked
    }

    fn away(&mut self, dial_at: Mono) {
        self.settling = None;
        let wanted = self.implementation || self.hold.is_some();
        self.framework = if wanted { Framework::Down(dial_at) } else { Framework::Idle };
    }

    /// Lets time pass. Call it at [`next_check`](Self::next_check).
    pub fn tick(&mut self, now: Mono) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.greet(now, false);
        for echo in self.calls.overdue(now, self.connection, self.limits.call) {
            let payload = self.fail(&echo, LATE);
            if self.framework == Framework::Up {
                effects.push(Effect::ToFramework(Frame { payload, room: None }));
            }
        }
        if self.settled_at().is_some_and(|at| at <= now) {
            effects.extend(self.replay());
        }
        if self.hold.is_some_and(|until| until <= now) {
            self.hold = None;
            if self.framework == Framework::Up {
                effects.push(Effect::CloseFramework(1001, "the OneBot implementation is gone"));
            }
            self.framework = Framework::Idle;
            self.lifecycle = None;
        }
        if let Framework::Down(at) = self.framework
            && at <= now
        {
            self.framework = Framework::Dialling;
            effects.push(Effect::Dial);
        }
        effects
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_check(&self) -> Option<Mono> {
        let dial = if let Framework::Down(at) = self.framework { Some(at) } else { None };
        let call = self.waiting().map(|at| at.after(self.limits.call));
        [dial, self.hold, call, self.settled_at()].into_iter().flatten().min()
    }

    /// Whether the framework that is there now waits for it. What has no echo that could be remembered is passed on.
    fn is_awaited(&mut self, echo: Option<&str>) -> bool {
        echo.is_none_or(|echo| self.calls.answered(self.connection, echo) == Settled::Awaited)
    }

    fn abandon(&mut self) -> Vec<Effect> {
        let echoes = self.calls.abandon(self.connection);
        if self.framework != Framework::Up {
            return Vec::new();
        }
        let fail = |echo: &String| Frame { payload: self.fail(echo, AWAY), room: None };
        echoes.iter().map(fail).map(Effect::ToFramework).collect()
    }

    fn fail(&mut self, echo: &str, retcode: u16) -> Payload {
        self.counts.failed += 1;
        let words = if retcode == AWAY {
            "the OneBot implementation is not connected at the moment (said by mooring-agent)"
        } else {
            "the OneBot implementation does not answer (said by mooring-agent)"
        };
        Payload::Text(failure(echo, retcode, words).into())
    }

    fn keep(&mut self, payload: Payload) {
        let size = payload.bytes().len();
        if self.limits.events == 0 || size > self.limits.bytes {
            self.counts.dropped += 1;
            return;
        }
        while self.kept.len() >= self.limits.events || self.kept_bytes + size > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.bytes().len();
            self.counts.dropped += 1;
        }
        self.kept_bytes += size;
        self.kept.push_back(payload);
    }
}

#[cfg(test)]
mod tests;
