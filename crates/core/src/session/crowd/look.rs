//! The periodic look at all sessions: what it refutes, and whose sickness is the instance's.

use super::ends::Drops;
use super::verdict::Words;
use super::{Census, Charge, Crowd, Held, LOOKS};
use crate::cause::Cause;
use crate::classify::short;
use crate::time::Mono;

impl Crowd {
    pub(super) fn census(&mut self, now: Mono, census: &Census<'_>, words: &mut Words) {
        self.count(now, census.open);
        if let Some(silence) = census.longest_silence {
            self.outlived(silence);
        }
        let counts = census.open > 0 && !self.disturbs();
        let data = census.newest_data_age.filter(|_| counts).map(|age| now.before(age));
        if let Some(at) = data.filter(|at| self.void.is_none_or(|void| *at > void)) {
            self.data = self.data.max(Some(at));
            self.healthy(at);
        }
        self.listening(now, census.listening, words);
        self.missing(now, census.expected.unwrap_or(0), words);
        self.refuted(now);
        self.sickness(now, census.sick, words);
    }

    fn listening(&mut self, now: Mono, listening: Option<bool>, words: &mut Words) {
        match listening {
            Some(true) => {
                self.deaf = 0;
                self.acquit_of(|charge| charge == Charge::NotListening);
            }
            Some(false) if !self.quiet() => {
                self.deaf = self.deaf.saturating_add(1);
                // Who was refused says the same, and with more words.
                let refused = matches!(self.held, Some(Held { charge: Charge::Refused(_), .. }));
                if self.deaf >= LOOKS && !refused {
                    self.charge(now, Charge::NotListening);
                    words.reachable(self, Cause::ConnectionRefused, || {
                        "nobody listens on the gateway's port any more".to_owned()
                    });
                }
            }
            Some(false) | None => self.deaf = 0,
        }
    }

    fn missing(&mut self, now: Mono, expected: u64, words: &mut Words) {
        let open = self.open;
        if open >= expected {
            self.missing = None;
            return self.acquit_of(|charge| charge == Charge::Missing);
        }
        if self.quiet() {
            self.missing = None;
            return;
        }
        let (since, looks) = self.missing.map_or((now, 1), |(since, looks)| (since, looks.saturating_add(1)));
        self.missing = Some((since, looks));
        let alone = self.held.is_none_or(|held| held.charge == Charge::Missing);
        if alone && looks >= LOOKS && now.since(since) >= self.config.absent {
            self.charge(now, Charge::Missing);
            words.reachable(self, Cause::NoUpstreamLink, || {
                let time = short(now.since(since));
                format!("{open} of the {expected} expected connections are open, and so for {time}")
            });
        }
    }

    /// What this look refutes.
    fn refuted(&mut self, now: Mono) {
        let settle = self.config.settle;
        if let Some(Held { charge: Charge::Refused(_), last }) = self.held
            && self.data.is_some_and(|at| at.since(last) >= settle)
        {
            self.acquit();
        }
        // Somebody has been in for so long, and nobody was dropped.
        let stays = |since: Option<Mono>| since.is_some_and(|at| now.since(at) >= settle);
        if self.drops.short > 0 && stays(self.drops.last) && stays(self.filled_since) {
            self.acquit_of(|charge| matches!(charge, Charge::Dropped(_)));
            self.drops = Drops::default();
            if !self.disturbs() {
                self.healthy(now);
            }
        }
    }

    /// Whether the sessions' own sickness is the instance's.
    fn sickness(&mut self, now: Mono, sick: &[(Cause, u64)], words: &mut Words) {
        if self.quiet() {
            self.ill_looks = 0;
            return;
        }
        let mut all = 0_u64;
        let mut most: Option<(Cause, u64)> = None;
        for (cause, n) in sick.iter().copied().filter(|(cause, n)| *n > 0 && makes_ill(*cause)) {
            all = all.saturating_add(n);
            if most.is_none_or(|(_, m)| n > m) {
                most = Some((cause, n));
            }
        }
        let (open, least) = (self.open, u64::from(self.config.sick_least));
        let percent = all.saturating_mul(100);
        let share = open.saturating_mul(u64::from(self.config.sick_percent));
        let few = open > 0 && open < least && all >= open;
        self.ill_looks = if few { self.ill_looks.saturating_add(1) } else { 0 };
        let many = open > 0 && all >= least && percent >= share;
        if let Some((cause, n)) = most.filter(|_| many || self.ill_looks >= LOOKS) {
            let since = self.ill.map_or(now, |(_, since)| since);
            self.ill = Some((cause, since));
            words.beating(self, cause, || {
                let which = if n < all { format!("{n} of them with {cause}") } else { cause.to_string() };
                format!("{all} of {open} sessions are sick: {which}")
            });
        } else if let Some((_, since)) = self.ill
            && percent.saturating_mul(2) < share
            && self.data.is_some_and(|at| at > since)
        {
            self.ill = None;
        }
    }
}

/// Whether a session's sickness can be its gateway's or the path's fault.
fn makes_ill(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::HeartbeatMissed | Cause::HalfOpen | Cause::SilentBeyondHabit | Cause::GatewayStalled
    )
}
