//! What is claimed of an account: facts in, claims out. Pure.
//!
//! | condition | asks | True | False |
//! |---|---|---|---|
//! | `Reachable` | are both ends connected? | yes | the implementation has not dialled in, the framework cannot be dialled, or something is half-open |
//! | `Beating` | does the heartbeat keep the interval it states? | within twice that | later; Unknown where there is none: it is off by default |
//! | `Linked` | is the account logged in? | see below | `bot_offline`, or a heartbeat that says so |
//! | `Delivering` | does the API answer? | an answer passed, or came to a call of ours | ours was not answered, while other things arrived |
//!
//! The three are scored apart because they fail apart: events that flow over a link whose API is dead are seen in the
//! field. **Online and good are constants** in Lagrange's heartbeat and `get_status`. So `bot_offline` is believed over
//! any number of them, and only `bot_online`, or an event that needs an account that is logged in, undoes it; a new
//! connection alone does not, as the account does not come back with it.

mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Evidence, Status};
use mooring_core::detector::{Detector, DetectorConfig, Expect, Suspicion, Verdict as Silence};
use mooring_core::limits::{MAX_EVIDENCE, MAX_MESSAGE, clip};
use mooring_core::observation::Claim;
use mooring_core::session::Source;
use mooring_core::time::Mono;

/// A claim that still holds is said again after this time, if there is something newer behind it.
const AGAIN: Duration = Duration::from_secs(10);
/// A heartbeat is late by its own interval at most, but never by less than this.
const LEAST_TIMEOUT: Duration = Duration::from_secs(2);
/// An event this soon after `bot_offline` may have been under way before it.
const TRAILING: Duration = Duration::from_secs(5);

/// What one connection of the implementation is for (`X-Client-Role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Both.
    Universal,
    /// Calls and answers.
    Api,
    /// Events.
    Event,
}

impl Role {
    /// By the header's value, in any case: Koishi insists on one spelling, implementations do not all use it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        [Self::Universal, Self::Api, Self::Event].into_iter().find(|r| r.name().eq_ignore_ascii_case(text))
    }

    /// As the specification spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Universal => "Universal",
            Self::Api => "API",
            Self::Event => "Event",
        }
    }
}

/// How one end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Connected since then.
    Here(Mono),
    /// Not known yet: it is being dialled, or is not wanted at the moment.
    Awaited(Mono),
    /// Not connected since then, and why.
    Away {
        /// Since when.
        since: Mono,
        /// Why, named.
        cause: Cause,
        /// Why, in words.
        message: String,
        /// The facts.
        evidence: Evidence,
    },
}

impl End {
    fn since(&self) -> Mono {
        match self {
            Self::Here(since) | Self::Awaited(since) | Self::Away { since, .. } => *since,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Account {
    Unknown,
    Online { at: Mono, by: &'static str },
    Offline { at: Mono, words: String },
}

/// How an API that is asked is judged.
#[derive(Debug, Clone, Copy)]
pub struct Probing {
    /// An idle API is asked this often.
    pub interval: Duration,
    /// And has this long.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Api {
    /// Our open question.
    asked: Option<Mono>,
    /// When we last asked.
    last_asked: Option<Mono>,
    answered: Option<Mono>,
    rtt: Option<Duration>,
    /// When the question was put that stayed unanswered.
    failed: Option<Mono>,
}

/// What was last said of a condition, and when its newest fact was learnt.
type Claimed = (Status, Option<Cause>, String, Mono);

/// See the module.
#[derive(Debug)]
pub struct Health {
    probing: Probing,
    started: Mono,
    implementation: BTreeMap<Role, End>,
    /// Empty in forward mode, where there is no framework to be seen.
    framework: BTreeMap<Role, End>,
    /// Something was wrong with how the implementation last tried to dial in.
    turned_away: Option<(Mono, Cause, String, Evidence)>,
    /// The implementations that throw each other out, said as a cause when there are many.
    replaced: Vec<Mono>,
    heard: Option<Mono>,
    detector: Detector,
    interval: Option<Duration>,
    beat: Option<Mono>,
    late: Option<Suspicion>,
    account: Account,
    api: Api,
    name: Option<(String, String)>,
    claimed: [Option<Claimed>; 4],
}

const KINDS: [ConditionKind; 4] =
    [ConditionKind::Reachable, ConditionKind::Beating, ConditionKind::Linked, ConditionKind::Delivering];

impl Health {
    /// Of an account of which nothing was seen yet.
    #[must_use]
    pub fn new(probing: Probing, now: Mono) -> Self {
        let detector = DetectorConfig { expect: Expect::Beats, ..DetectorConfig::default() };
        Self {
            probing,
            started: now,
            implementation: BTreeMap::new(),
            framework: BTreeMap::new(),
            turned_away: None,
            replaced: Vec::new(),
            heard: None,
            detector: Detector::new(detector, now),
            interval: None,
            beat: None,
            late: None,
            account: Account::Unknown,
            api: Api::default(),
            name: None,
            claimed: [None, None, None, None],
        }
    }

    /// The implementation connected.
    pub fn arrived(&mut self, now: Mono, role: Role) {
        if matches!(self.implementation.get(&role), Some(End::Here(_))) {
            self.replaced.retain(|at| now.since(*at) < Duration::from_secs(60));
            if self.replaced.len() < 16 {
                self.replaced.push(now);
            }
        }
        // One connection for all, or one for each: what is not used any more is not missed.
        let unused = |r: Role| if role == Role::Universal { r != role } else { r == Role::Universal };
        for ends in [&mut self.implementation, &mut self.framework] {
            ends.retain(|r, end| !(unused(*r) && matches!(end, End::Away { .. })));
        }
        self.implementation.insert(role, End::Here(now));
        self.turned_away = None;
        if role != Role::Event {
            self.api = Api { rtt: self.api.rtt, ..Api::default() };
        }
        if role != Role::Api {
            self.beat = None;
            self.interval = None;
            self.late = None;
            self.detector.opened(now);
        }
    }

    /// The implementation's connection ended, or could not be made.
    pub fn left(&mut self, role: Role, end: End) {
        self.api.asked = None;
        self.implementation.insert(role, end);
    }

    /// The framework's end.
    pub fn framework(&mut self, role: Role, end: End) {
        // A dial that fails again does not make it away since later.
        let end = match (self.framework.get(&role), end) {
            (Some(End::Away { since, .. }), End::Away { cause, message, evidence, .. }) => {
                End::Away { since: *since, cause, message, evidence }
            }
            (_, end) => end,
        };
        self.framework.insert(role, end);
    }

    /// The framework is about to be dialled. What was wrong with it last is believed until that is done.
    pub fn framework_awaited(&mut self, now: Mono, role: Role) {
        if !matches!(self.framework.get(&role), Some(End::Away { .. })) {
            self.framework.insert(role, End::Awaited(now));
        }
    }

    /// It tried to dial in and was turned away.
    pub fn turned_away(&mut self, now: Mono, cause: Cause, message: String, evidence: Evidence) {
        self.turned_away = Some((now, cause, message, evidence));
    }

    /// Anything came from the implementation.
    pub fn heard(&mut self, now: Mono) {
        self.heard = Some(now);
    }

    /// It beat.
    pub fn beat(&mut self, now: Mono, interval: Option<Duration>, online: Option<bool>) {
        if let Some(interval) = interval.filter(|i| self.interval != Some(*i)) {
            self.interval = Some(interval);
            self.detector.promise(interval, interval.max(LEAST_TIMEOUT));
        }
        self.detector.alive(now);
        self.beat = Some(now);
        self.late = None;
        self.says_online(now, online, "the heartbeat");
    }

    /// `online` in a heartbeat or a status.
    pub fn says_online(&mut self, now: Mono, online: Option<bool>, by: &'static str) {
        match (online, &self.account) {
            (Some(false), Account::Offline { .. }) => {}
            (Some(false), _) => {
                self.account =
                    Account::Offline { at: now, words: format!("{by} says that the account is offline") };
            }
            // A constant undoes nothing.
            (Some(true), Account::Unknown | Account::Online { .. }) => {
                self.account = Account::Online { at: now, by }
            }
            _ => {}
        }
    }

    /// `bot_offline`.
    pub fn offline(&mut self, now: Mono, words: &str) {
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        self.account =
            Account::Offline { at: now, words: format!("the implementation said bot_offline{said}") };
    }

    /// `bot_online`.
    pub fn online(&mut self, now: Mono) {
        self.account = Account::Online { at: now, by: "bot_online" };
    }

    /// An event came that needs an account that is logged in.
    pub fn event(&mut self, now: Mono) {
        if let Account::Offline { at, .. } = self.account
            && now.since(at) < TRAILING
        {
            return;
        }
        self.account = Account::Online { at: now, by: "an event" };
    }

    /// What it calls itself.
    pub fn named(&mut self, name: String, version: String) {
        self.name = Some((name, version));
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|(name, _)| name.as_str())
    }

    /// The implementation answered a call, ours or not.
    pub fn answered(&mut self, now: Mono, ours: bool) {
        if ours && let Some(asked) = self.api.asked {
            self.api.rtt = Some(now.since(asked));
        }
        self.api.asked = None;
        self.api.failed = None;
        self.api.answered = Some(now);
    }

    /// Whether the API is to be asked now. `waiting`: since when the oldest call of the framework waits.
    #[must_use]
    pub fn wants_to_ask(&self, now: Mono, waiting: Option<Mono>) -> bool {
        self.ask_at(waiting).is_some_and(|at| at <= now)
    }

    fn ask_at(&self, waiting: Option<Mono>) -> Option<Mono> {
        let here = [Role::Universal, Role::Api].iter().find_map(|r| match self.implementation.get(r) {
            Some(End::Here(since)) => Some(*since),
            _ => None,
        })?;
        if self.api.asked.is_some() {
            return None;
        }
        let Some(last) = self.api.last_asked.filter(|at| *at >= here) else { return Some(here) };
        let idle = last.max(self.api.answered.unwrap_or_default()).after(self.probing.interval);
        // A call that is not answered makes us ask early, once.
        let early = waiting.filter(|at| last < *at).map(|at| at.after(self.probing.timeout));
        Some(early.map_or(idle, |early| early.min(idle)))
    }

    /// We asked.
    pub fn asked(&mut self, now: Mono) {
        self.api.asked = Some(now);
        self.api.last_asked = Some(now);
    }

    /// Whether we never asked over this connection.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.api.last_asked.is_none()
    }

    /// Lets time pass. Call it at [`next_check`](Self::next_check), after everything that has arrived was taken.
    pub fn tick(&mut self, now: Mono) {
        if let Some(asked) = self.api.asked
            && now.since(asked) >= self.probing.timeout
        {
            self.api.asked = None;
            self.api.failed = Some(asked);
        }
        if self.interval.is_some()
            && self.events_here()
            && let Silence::Suspect(suspicion) = self.detector.check(now)
        {
            self.late = Some(suspicion);
        }
    }

    /// When [`tick`](Self::tick) or a question is due.
    #[must_use]
    pub fn next_check(&self, waiting: Option<Mono>) -> Option<Mono> {
        let answer = self.api.asked.map(|at| at.after(self.probing.timeout));
        let beat = self.detector.next_check().filter(|_| self.interval.is_some() && self.events_here());
        [answer, beat, self.ask_at(waiting)].into_iter().flatten().min()
    }

    /// The reader was held up for so long: silence during it proves nothing.
    pub fn held_up(&mut self, now: Mono, by: Duration) {
        self.detector.lag(now, by);
    }

    fn events_here(&self) -> bool {
        [Role::Universal, Role::Event]
            .iter()
            .any(|r| matches!(self.implementation.get(r), Some(End::Here(_))))
    }

    /// Whether the API answered at or after this time.
    #[must_use]
    pub fn answered_since(&self, at: Mono) -> bool {
        self.api.answered.is_some_and(|answered| answered >= at)
    }

    /// Whether a heartbeat came at or after this time.
    #[must_use]
    pub fn beat_since(&self, at: Mono) -> bool {
        self.beat.is_some_and(|beat| beat >= at)
    }

    /// When the implementation connected, if it is there.
    #[must_use]
    pub fn connected(&self) -> Option<Mono> {
        let here = |end: &End| if let End::Here(since) = end { Some(*since) } else { None };
        self.implementation.values().filter_map(here).max()
    }

    /// Since when the framework locks us out.
    #[must_use]
    pub fn locked_out(&self) -> Option<Mono> {
        self.framework.values().find_map(|end| match end {
            End::Away { cause: Cause::PeerLockedOut, since, .. } => Some(*since),
            _ => None,
        })
    }

    /// What is to be said: what has changed, and what was last said long ago and is known to hold still.
    pub fn claims(&mut self, now: Mono) -> Vec<Claim> {
        let verdicts = [self.reachable(now), self.beating(now), self.linked(), self.delivering(now)];
        let mut claims = Vec::new();
        for ((kind, verdict), claimed) in KINDS.into_iter().zip(verdicts).zip(&mut self.claimed) {
            let changed = claimed.as_ref().is_none_or(|(status, cause, message, _)| {
                (*status, *cause) != (verdict.status, verdict.cause)
                    || (verdict.status == Status::False && *message != verdict.message)
            });
            let newer = claimed.as_ref().is_some_and(|(.., at)| verdict.at.since(*at) >= AGAIN);
            if changed || newer {
                *claimed = Some((verdict.status, verdict.cause, verdict.message.clone(), verdict.at));
                let mut evidence = verdict.evidence;
                if let Some((name, version)) = &self.name {
                    evidence.push(("implementation".to_owned(), format!("{name} {version}")));
                }
                evidence.truncate(MAX_EVIDENCE);
                claims.push(Claim {
                    source: Source::Adapter,
                    kind,
                    status: verdict.status,
                    cause: verdict.cause,
                    message: clip(&verdict.message, MAX_MESSAGE),
                    evidence,
                    age: now.since(verdict.at),
                });
            }
        }
        claims
    }
}

#[cfg(test)]
mod tests;
