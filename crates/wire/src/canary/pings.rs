//! The pings that are out, and which pong answers which: pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Most unanswered pings remembered. An answer to an older one is taken for plain life.
const MAX_OUT: usize = 16;

/// A ledger of pings.
#[derive(Debug)]
pub(super) struct Pings {
    /// Tells our pongs from those of another session, or from unsolicited ones.
    session: u64,
    next: u64,
    out: VecDeque<(u64, Instant)>,
}

impl Pings {
    pub(super) fn new(session: u64) -> Self {
        Self { session, next: 0, out: VecDeque::new() }
    }

    /// The payload of the next ping, which goes out now.
    pub(super) fn ask(&mut self, now: Instant) -> [u8; 16] {
        if self.out.len() == MAX_OUT {
            self.out.pop_front();
        }
        let number = self.next;
        self.next += 1;
        self.out.push_back((number, now));
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&self.session.to_be_bytes());
        payload[8..].copy_from_slice(&number.to_be_bytes());
        payload
    }

    /// The round trip, if this is the answer to a ping that is out. It settles the pings before it as well, for a peer
    /// may answer only the newest (RFC 6455 §5.5.3).
    pub(super) fn answered(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let (session, number) = payload.split_at_checked(8)?;
        if session != self.session.to_be_bytes() {
            return None;
        }
        let number = u64::from_be_bytes(number.try_into().ok()?);
        let at = self.out.iter().position(|(n, _)| *n == number)?;
        let asked = self.out[at].1;
        self.out.drain(..=at);
        Some(now.saturating_duration_since(asked))
    }
}

/// The time to the next ping: the interval, up to a tenth shorter. `chance` is uniform in 0..1.
pub(super) fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pongs_match_and_each_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pings = Pings::new(7);
        let first = pings.ask(at(0));
        let second = pings.ask(at(10));
        assert_ne!(first, second);
        assert_eq!(pings.answered(b"", at(11)), None);
        assert_eq!(pings.answered(b"x", at(11)), None);
        assert_eq!(pings.answered(&Pings::new(8).ask(at(0)), at(11)), None);
        assert_eq!(pings.answered(&first, at(12)), Some(Duration::from_millis(12)));
        assert_eq!(pings.answered(&first, at(13)), None);
        assert_eq!(pings.answered(&second, at(14)), Some(Duration::from_millis(4)));
    }

    #[test]
    fn the_newest_settles_the_older_and_memory_is_bounded() {
        let now = Instant::now();
        let mut pings = Pings::new(7);
        let old = pings.ask(now);
        let new = pings.ask(now);
        assert!(pings.answered(&new, now).is_some());
        assert_eq!(pings.answered(&old, now), None);
        for _ in 0..100 {
            pings.ask(now);
        }
        assert_eq!(pings.out.len(), MAX_OUT);
    }

    #[test]
    fn jitter_never_exceeds_the_interval() {
        let second = Duration::from_secs(1);
        assert_eq!(jittered(second, 0.0), second);
        assert_eq!(jittered(second, 1.0), Duration::from_millis(900));
        assert_eq!(jittered(second, 7.0), Duration::from_millis(900));
    }
}
