//! When to dial: one place that plans every dial, so that the bound on their rate holds by construction.
//!
//! Two dials are never planned closer together than the backoff's floor, whatever happens; and only
//! [`Pace::quick`]-dials, of which a session that lived for a while earns a handful, escape the backoff.

use std::time::Duration;

use rand::Rng;

use super::TrackerConfig;
use crate::backoff::{BackoffState, between};
use crate::time::Mono;

/// How urgent a dial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// As soon as the rate bound allows: something says that it is worth it.
    Now,
    /// A session that lived was lost, or a verdict is pending: soon, if earned; otherwise by backoff.
    Quick,
    /// By the first step of the backoff: an excused failure.
    Base,
    /// By the backoff.
    Backoff,
    /// By the upper half of the backoff: we were told that we come too often.
    Restrained,
    /// Only a human can help.
    Slow,
}

#[derive(Debug, Clone)]
pub(super) struct Pace {
    pub(super) failures: BackoffState,
    /// Quick dials left.
    quick: u32,
    /// Quick dials made since they were last earned.
    made: u32,
    planned: Option<Mono>,
    /// The last dial that was made, as far as we know.
    dialled: Option<Mono>,
}

impl Pace {
    pub(super) fn new(config: &TrackerConfig) -> Self {
        Self {
            failures: BackoffState::new(config.stable_for),
            quick: config.fall,
            made: 0,
            planned: None,
            dialled: None,
        }
    }

    /// A session of this age ended: an old one earns quick dials.
    pub(super) fn ended(&mut self, age: Duration, config: &TrackerConfig) {
        if age >= config.quick_min_age {
            self.quick = config.fall;
            self.made = 0;
        }
    }

    pub(super) fn plan(
        &mut self,
        now: Mono,
        urgency: Urgency,
        config: &TrackerConfig,
        rng: &mut dyn Rng,
    ) -> Mono {
        let n = self.failures.failures().saturating_sub(1);
        let backoff = &config.backoff;
        let delay = match urgency {
            Urgency::Now => Duration::ZERO,
            Urgency::Quick if self.quick > 0 => {
                self.quick -= 1;
                self.made += 1;
                // The first finds out at once; the others are spaced so that they see more than one moment.
                let least = if self.made > 1 { config.quick } else { Duration::ZERO };
                between(least.max(backoff.floor()), config.quick + least + least / 2, rng)
            }
            Urgency::Quick | Urgency::Backoff => backoff.full(n, rng),
            Urgency::Base => backoff.full(0, rng),
            Urgency::Restrained => backoff.equal(n, rng),
            Urgency::Slow => between(config.slow / 2, config.slow, rng),
        };
        self.at(now, delay, config)
    }

    /// The first dial of all.
    pub(super) fn plan_first(&mut self, now: Mono, config: &TrackerConfig, rng: &mut dyn Rng) -> Mono {
        let delay = between(Duration::ZERO, config.start_spread, rng);
        self.at(now, delay, config)
    }

    /// A dial's outcome came: it was made until now.
    pub(super) fn dialled(&mut self, now: Mono) {
        self.planned = None;
        self.dialled = Some(now);
    }

    fn at(&mut self, now: Mono, delay: Duration, config: &TrackerConfig) -> Mono {
        // A plan whose time has come was carried out, one in the future is replaced.
        self.dialled = self.dialled.max(self.planned.filter(|p| *p <= now));
        let wanted = now.after(delay);
        let at = self.dialled.map_or(wanted, |last| wanted.max(last.after(config.backoff.floor())));
        self.planned = Some(at);
        at
    }
}
