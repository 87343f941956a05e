//! When to dial again, and when a refusal is to be waited out.
//!
//! NoneBot keeps a bot's id taken until its server has found out by a ping that the old connection is dead, and refuses
//! every new one of that id with a bare 403 until then (41.1 s were measured). A 403 that follows the loss of a connection
//! of our own is therefore most likely that, and passes by itself; nothing is restarted, nobody is told, and it is tried
//! at an even pace so that the pause is not longer than it must be. Everything else is met with growing pauses.

use std::time::Duration;

use mooring_core::backoff::{Backoff, BackoffState, STABLE_FOR, between};
use mooring_core::time::Mono;
use rand::Rng;

/// Least and longest pause while a lock-out is waited out.
const EVEN: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(3000));
/// The first ceiling of the growing pauses.
const BASE: Duration = Duration::from_millis(500);

/// Pauses between dials of one connection.
#[derive(Debug, Clone)]
pub struct Redial {
    law: Backoff,
    state: BackoffState,
    window: Duration,
    /// When a connection of ours was lost that the other end may not know of.
    lost: Option<Mono>,
}

impl Redial {
    /// Pauses up to `cap`; a lock-out is waited out for `window`.
    #[must_use]
    pub fn new(cap: Duration, window: Duration) -> Self {
        let law = Backoff::new(BASE.min(cap), cap).unwrap_or_default();
        Self { law, state: BackoffState::new(STABLE_FOR), window, lost: None }
    }

    /// A dial went through.
    pub fn opened(&mut self, now: Mono) {
        self.lost = None;
        self.state.healthy(now);
    }

    /// What was open is no more: when to dial again. `known`: the other end said goodbye, so it knows.
    pub fn lost<R: Rng + ?Sized>(&mut self, now: Mono, known: bool, rng: &mut R) -> Mono {
        self.lost = (!known).then_some(now);
        // The first try is quick; one that is dropped again and again counts as a failure each time.
        let pause = self.law.full(self.state.failures(), rng);
        self.state.failed(now);
        now.after(pause)
    }

    /// A dial was refused: when to dial again, and whether this is taken for a lock-out, with since when.
    pub fn refused<R: Rng + ?Sized>(
        &mut self,
        now: Mono,
        bare_403: bool,
        rng: &mut R,
    ) -> (Mono, Option<Mono>) {
        let locked = self.lost.filter(|lost| bare_403 && now.since(*lost) < self.window);
        if let Some(lost) = locked {
            // Just past the window's end is worth a try: then it is something else.
            return (now.after(between(EVEN.0, EVEN.1, rng).min(self.window / 4)), Some(lost));
        }
        let pause = self.law.full(self.state.failures(), rng);
        self.state.failed(now);
        (now.after(pause), None)
    }

    /// How long a lock-out is waited out.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    #[test]
    fn a_403_after_a_loss_is_waited_out_and_no_longer() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut redial = Redial::new(Duration::from_secs(30), Duration::from_secs(45));
        assert_eq!(redial.refused(at(0), true, &mut rng).1, None, "nothing of ours was there before");
        redial.opened(at(1));
        let mut next = redial.lost(at(100), false, &mut rng);
        let mut tries = 0;
        loop {
            let (then, locked) = redial.refused(next, true, &mut rng);
            assert!(then > next);
            if locked.is_none() {
                break;
            }
            tries += 1;
            next = then;
        }
        assert!((10..=45).contains(&tries), "{tries}");
        assert!(next.since(at(100)) <= Duration::from_secs(49), "{next:?}");
    }

    #[test]
    fn other_refusals_and_known_ends_are_no_lock_out() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut redial = Redial::new(Duration::from_secs(30), Duration::from_secs(45));
        redial.opened(at(1));
        redial.lost(at(2), false, &mut rng);
        assert_eq!(redial.refused(at(3), false, &mut rng).1, None, "a refused connection is no 403");
        assert_eq!(redial.refused(at(4), true, &mut rng).1, Some(at(2)));
        redial.opened(at(5));
        redial.lost(at(6), true, &mut rng);
        assert_eq!(redial.refused(at(7), true, &mut rng).1, None, "it said goodbye: it knows");
    }

    #[test]
    fn pauses_grow_to_the_cap() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut redial = Redial::new(Duration::from_secs(2), Duration::ZERO);
        let mut longest = Duration::ZERO;
        for i in 0..60 {
            let now = at(i * 10);
            let (then, locked) = redial.refused(now, true, &mut rng);
            assert_eq!(locked, None);
            longest = longest.max(then.since(now));
        }
        assert!(longest > Duration::from_secs(1) && longest <= Duration::from_secs(2), "{longest:?}");
    }
}
