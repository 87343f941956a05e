//! The crowd: what all real sessions of one instance, as one watcher sees them, mean for the instance.
//!
//! Relay, kernel and report each see real sessions come, go and sicken. One [`Crowd`] per source and instance (or per
//! gateway, where its sessions cannot be told apart by instance) turns that into [`Claim`](crate::observation::Claim)s
//! for the instance's tracker. It is pure: time is an argument, the watcher says what it sees, and the shell hands on
//! the claims.
//!
//! The question is always the same: is it the gateway, or some of its peers? A peer that asks for a wrong path each
//! second, a tab that was put to sleep, a phone in a tunnel are sick sessions of a well instance. So nearly every rule
//! has a share in it, and a rule for the instance that has one session only, where the share says nothing.
//!
//! # `Reachable`
//!
//! | False because | when | until |
//! |---|---|---|
//! | refused: the last one's cause | `fall` refusals in a row, no session opened between | a session opened; or data in one, the last refusal being `settle` ago |
//! | `ConnectionRefused` | nobody listened at two looks | somebody listens, or a session opened |
//! | `NoUpstreamLink` | fewer open than expected for `absent` and two looks, and nothing else is held against it | as many are open |
//! | `DroppedAtOnce`, or the ends' cause | three sessions in a row did not stay, and nobody else is being served | one is open `settle` after the last drop |
//! | `IdleCut` | sessions are cut after one and the same silence, and within the last spans of that limit as many as make a mass | that happens no more for one and a half limits, or one is silent for so long |
//!
//! A fault that shows no more for `stale` is not known to last: Unknown. Otherwise it is True from the first fact of
//! health, a session opened or data in one, and Unknown while there was none, or no session was open for `idle_after`:
//! an idle gateway is not sick. A session that is merely open is not news, but keeps True what was.
//!
//! *A refusal is the peer's own* when it is of a kind that a human has to mend or asks to come less often (a wrong path, a
//! bad token), or an answer that did not come in time or at all (one slow or crashing handler behind a path), and others
//! are being served: they prove the path and the way in. A connection that is refused concerns everybody, whoever tried. Refusals by a limit of the relay are about the relay, and those by a failing of our own host
//! about us: neither counts. Where nobody is served, even one peer's refusals are all there is to know of the instance.
//!
//! *After drops a handshake proves nothing*, as each of them began with one; a session has to stay. The same holds in
//! small for one that was opened between the first and the third drop.
//!
//! # `Beating`
//!
//! False while the sessions themselves are sick by the gateway's or the path's fault (`HeartbeatMissed`, `HalfOpen`,
//! `SilentBeyondHabit`, `GatewayStalled`; a peer that does not read is never the gateway's fault), by the cause that most
//! of them have. True by data. Evidence is fused: at least three and half of all, silent at once, are believed at once, as
//! no chance makes them so; of one or two sessions all must be sick, at two looks. It is True again when less than half
//! that share is sick and data arrived since, so that it does not flutter about the limit; if the sick ones were closed
//! and nobody has come back, their sickness stands, as nobody has refuted it, for `idle_after`.
//!
//! # A mass reset is an event, not a state
//!
//! Sessions that were open for longer than a second are counted: what comes and goes all the time is no crowd that was lost.
//! At least `mass_least` sessions and `mass_percent` of the open ones end within a second, not by us, and not by peers
//! that leave in good order. Their ends have that cause. For the instance it means that what was known is known no more:
//! where most were lost, `Reachable` is *Unknown* (`MassReset`) until the next fact, which a second later is a session
//! opened or two refused. It is not False: what died may be a proxy, a path, or a process that is up again, and False for
//! a while would call a gateway down that nobody has found so. Nor is `Stable` False at once: the planner waits longer
//! with what flaps, and a process that crashed must not wait. Three mass resets within ten minutes are flapping, and then
//! `Stable` is False, until there was none for five.
//!
//! # Idle limits
//!
//! The silences at the end of sessions that got no Close frame are sampled, one a second at most (ends of one moment may
//! share a broadcast and a crash). When at least three, and half of the last 32, agree within 2 % or half a second, that
//! is a limit of something on the way. It is known from then on ([`Crowd::limit`]), across orders too, as they do not
//! change the path; each further end that agrees with it has that cause; a silence half as long again refutes it.
//! `Reachable` is False only while those cut are as many as make a mass: a few peers without pings are in the list of
//! sessions, with their cause, and no matter of the instance.
//!
//! # Sessions dropped at once
//!
//! As [`classify`](crate::classify) has it, per peer: the third in a row is labelled, so that a peer that reconnects twice
//! a second for ever is seen in the list of ends, whatever happens to others.
//!
//! # What does not count
//!
//! Between [`CrowdEvent::Disturbed`] and `grace` after [`CrowdEvent::Settled`]: ends, refusals and sickness. What was
//! known is void, and until the order is done only a session opened since is a fact, as data may be the old process's
//! last words. For a second after the observer was held up: sickness, ends (many come at once that were apart), and
//! refusals. Health counts at any time.
//!
//! # Bounds
//!
//! Below 1 kB per crowd however many sessions it has, no allocation but for what is said, and that only when it is news.

mod closing;
mod ends;
mod event;
mod look;
mod verdict;

use std::time::Duration;

pub use event::{Census, CrowdConfig, CrowdEvent, Step};

use crate::cause::{Cause, Handling};
use crate::session::Source;
use crate::time::Mono;
use ends::{Burst, Drops, Limit, Silences};
use verdict::{Said, Words};

/// An observer that was held up for so long may have missed something; and so long it takes until it has caught up.
const LATE: Duration = Duration::from_secs(1);
/// Looks that confirm one another.
const LOOKS: u32 = 2;
/// Mass resets that make it flapping, within so much time, until there was none for so long.
const RESETS: usize = 3;
const RESET_WINDOW: Duration = Duration::from_secs(600);
const RESET_CALM: Duration = Duration::from_secs(300);
/// Ends in bulk with less than this between them are one mass reset.
const RESET_APART: Duration = Duration::from_secs(10);

/// All real sessions of an instance. See the [module's documentation](self).
#[derive(Debug, Clone)]
pub struct Crowd {
    source: Source,
    config: CrowdConfig,
    open: u64,
    /// Since when none is, or at least one.
    empty_since: Option<Mono>,
    filled_since: Option<Mono>,
    /// The newest fact of health, and the newest data.
    fact: Option<Mono>,
    data: Option<Mono>,
    /// Data from before that proves nothing.
    void: Option<Mono>,
    /// Most sessions were lost at once, and there has been no fact since.
    reset: bool,
    /// What is held against `Reachable`.
    held: Option<Held>,
    /// Refusals in a row, the last one's cause and how many of them in a row had it.
    refused: (u32, Option<(Cause, u32)>),
    /// Looks in a row at which nobody listened.
    deaf: u32,
    /// Since when fewer are open than expected, and at how many looks.
    missing: Option<(Mono, u32)>,
    drops: Drops,
    silences: Silences,
    limit: Option<Limit>,
    burst: Burst,
    /// The last mass resets, the latest first; and the last end that belonged to one.
    resets: [Option<Mono>; RESETS],
    reset_at: Option<Mono>,
    /// What is held against `Beating`, and since when.
    ill: Option<(Cause, Mono)>,
    /// Looks in a row at which the few sessions were all sick.
    ill_looks: u32,
    order: Order,
    /// The observer has not caught up until then.
    blind_until: Option<Mono>,
    said: [Said; 3],
}

/// Why `Reachable` is False.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    Refused(Cause),
    NotListening,
    Missing,
    Dropped(Cause),
    Cut,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    charge: Charge,
    /// When it last showed.
    last: Mono,
}

/// Whether an order is at work.
#[derive(Debug, Clone, Copy)]
enum Order {
    None,
    Disturbs { until: Mono },
    Grace { until: Mono },
}

impl Crowd {
    /// A crowd that knows nothing and has no session.
    #[must_use]
    pub fn new(source: Source, config: CrowdConfig) -> Self {
        Self {
            source,
            config,
            open: 0,
            empty_since: None,
            filled_since: None,
            fact: None,
            data: None,
            void: None,
            reset: false,
            held: None,
            refused: (0, None),
            deaf: 0,
            missing: None,
            drops: Drops::default(),
            silences: Silences::default(),
            limit: None,
            burst: Burst::default(),
            resets: [None; RESETS],
            reset_at: None,
            ill: None,
            ill_looks: 0,
            order: Order::None,
            blind_until: None,
            said: [Said::default(); 3],
        }
    }

    /// One event. What it returns is to be carried out: claims go to the tracker, the cause to the record of the end.
    pub fn step(&mut self, now: Mono, event: CrowdEvent<'_>) -> Step {
        let mut words = Words::default();
        self.time_passed(now);
        let mut cause = None;
        match event {
            CrowdEvent::Opened => self.opened(now),
            CrowdEvent::Refused { cause, message } => self.refusal(now, cause, message, &mut words),
            CrowdEvent::Closed(close) => cause = self.closed(now, close, &mut words),
            CrowdEvent::Census(census) => self.census(now, &census, &mut words),
            CrowdEvent::Lag(lag) => self.lagged(now, lag),
            CrowdEvent::Disturbed => self.disturbed(now),
            CrowdEvent::Settled => self.settled(now),
            CrowdEvent::Tick => {}
        }
        Step { claims: self.claims(now, words), cause }
    }

    /// When to call [`step`](Self::step) with [`CrowdEvent::Tick`] at the latest if nothing else happens. Never in the
    /// past of the last step; with a census every few seconds nothing is lost by not calling at all.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        let order = match self.order {
            Order::None => None,
            Order::Disturbs { until } | Order::Grace { until } => Some(until),
        };
        let held = self.held.map(|held| self.lapses_at(held));
        let known = self.fact.is_some() || self.data.is_some() || self.ill.is_some();
        let idle = self.empty_since.filter(|_| known).map(|at| at.after(self.config.idle_after));
        let calm = self.resets[RESETS - 1].and(self.resets[0]).map(|at| at.after(RESET_CALM));
        [order, held, idle, calm].into_iter().flatten().min()
    }

    /// The learnt idle limit of the path: sessions are cut after so much silence.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.limit.map(|l| l.silence)
    }

    /// Sessions open now, as far as is known.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }

    fn time_passed(&mut self, now: Mono) {
        match self.order {
            Order::Disturbs { until } if now >= until => self.settled(until),
            Order::None | Order::Disturbs { .. } | Order::Grace { .. } => {}
        }
        if let Order::Grace { until } = self.order
            && now >= until
        {
            self.order = Order::None;
        }
        if self.blind_until.is_some_and(|until| now >= until) {
            self.blind_until = None;
        }
        if self.held.is_some_and(|held| now >= self.lapses_at(held)) {
            self.acquit();
        }
        if self.empty_since.is_some_and(|at| now.since(at) >= self.config.idle_after) {
            (self.fact, self.data, self.ill) = (None, None, None);
        }
        if self.resets[0].is_some_and(|last| now.since(last) >= RESET_CALM) {
            self.resets = [None; RESETS];
        }
    }

    /// When a charge is not known to hold any more, if it shows no more.
    fn lapses_at(&self, held: Held) -> Mono {
        let after = match (held.charge, &self.limit) {
            (Charge::Cut, Some(limit)) => limit.outlived(),
            _ => self.config.stale,
        };
        held.last.after(after)
    }

    /// Whether what fails now says nothing.
    fn quiet(&self) -> bool {
        !matches!(self.order, Order::None) || self.blind_until.is_some()
    }

    fn disturbs(&self) -> bool {
        matches!(self.order, Order::Disturbs { .. })
    }

    /// Whether somebody is being served, by data (and, where `opened` is enough, by a new session).
    fn serves(&self, now: Mono, opened: bool) -> bool {
        let newest = if opened { self.fact.max(self.data) } else { self.data };
        self.open > 0 && newest.is_some_and(|at| now.since(at) <= self.config.fresh)
    }

    fn count(&mut self, now: Mono, open: u64) {
        if self.filled_since.is_none() == (open > 0) {
            (self.filled_since, self.empty_since) =
                if open > 0 { (Some(now), None) } else { (None, Some(now)) };
        }
        self.open = open;
        if open == 0 {
            self.empty_since.get_or_insert(now);
        }
    }

    fn healthy(&mut self, at: Mono) {
        self.fact = self.fact.max(Some(at));
        self.reset = false;
    }

    fn charge(&mut self, now: Mono, charge: Charge) {
        if self.held.is_none_or(|held| held.charge != charge) {
            // What was known is refuted, and data on the way does not restore it.
            self.fact = None;
            self.void = self.void.max(Some(now));
            self.reset = false;
        }
        self.held = Some(Held { charge, last: now });
    }

    /// The charge is dropped, and what led to it is counted anew.
    fn acquit(&mut self) {
        match self.held.take().map(|held| held.charge) {
            Some(Charge::Refused(_)) => self.refused = (0, None),
            Some(Charge::NotListening) => self.deaf = 0,
            Some(Charge::Missing) => self.missing = None,
            Some(Charge::Dropped(_)) => self.drops = Drops::default(),
            Some(Charge::Cut) | None => {}
        }
    }

    fn acquit_of(&mut self, which: impl Fn(Charge) -> bool) {
        if self.held.is_some_and(|held| which(held.charge)) {
            self.acquit();
        }
    }

    fn opened(&mut self, now: Mono) {
        self.count(now, self.open.saturating_add(1));
        self.refused = (0, None);
        self.deaf = 0;
        self.acquit_of(|charge| matches!(charge, Charge::Refused(_) | Charge::NotListening));
        if self.drops.short == 0 {
            self.healthy(now);
        }
    }

    fn refusal(&mut self, now: Mono, cause: Cause, message: &str, words: &mut Words) {
        let about_us = matches!(cause, Cause::RelayLimit | Cause::ObserverStalled);
        // An answer that does not come is one path's, or one account's, as long as others get theirs.
        let about_peer = cause.handling() == Handling::Human
            || matches!(cause, Cause::RateLimited | Cause::HandshakeTimedOut | Cause::ClosedBeforeAnswer);
        if about_us || self.quiet() || (about_peer && self.serves(now, true)) {
            return;
        }
        let (run, latest) = &mut self.refused;
        *run = run.saturating_add(1);
        let same = match *latest {
            Some((last, n)) if last == cause => n.saturating_add(1),
            _ => 1,
        };
        *latest = Some((cause, same));
        let (run, fall) = (*run, self.config.fall);
        // The cause of a standing charge changes only when the new one is confirmed too.
        let (enough, cause) = match self.held.map(|h| h.charge) {
            Some(Charge::Refused(was)) => (true, if same >= fall { cause } else { was }),
            _ => (run >= fall, cause),
        };
        if enough {
            self.charge(now, Charge::Refused(cause));
            words.reachable(self, cause, || format!("{run} refused in a row, the last: {message}"));
        }
    }

    fn lagged(&mut self, now: Mono, lag: Duration) {
        if lag >= LATE {
            self.blind_until = Some(now.after(LATE));
            self.burst.forget();
            self.ill_looks = 0;
            self.deaf = 0;
            self.missing = None;
        }
    }

    fn disturbed(&mut self, now: Mono) {
        self.order = Order::Disturbs { until: now.after(self.config.disturbance_max) };
        self.held = None;
        self.refused = (0, None);
        self.drops = Drops::default();
        self.burst.forget();
        (self.fact, self.data, self.ill, self.missing) = (None, None, None, None);
        (self.deaf, self.ill_looks) = (0, 0);
        self.reset = false;
        self.void = Some(now);
    }

    fn settled(&mut self, now: Mono) {
        if self.disturbs() {
            self.order = Order::Grace { until: now.after(self.config.grace) };
            self.void = Some(now);
        }
    }
}
