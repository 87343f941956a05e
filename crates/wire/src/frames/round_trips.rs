//! Which pong answers which ping, as seen by somebody between the two.
//!
//! Pings go by one way and pongs the other. A peer may answer only the newest ping (RFC 6455 §5.5.3), and may send pongs
//! nobody asked for, so nothing is counted on: a pong settles the ping with its payload and all before it, and any other is
//! ignored. Many senders ping with the same payload each time, mostly the empty one. Where two such are out, the pong is
//! taken for the answer to the *newer*: that may understate a round trip while there are two, and is right again with the
//! next; taken for the older, one answer left out would make every later one wrong by an interval, for ever.

use std::time::Duration;

use mooring_core::time::Mono;

use super::seen::PayloadKey;

/// Most unanswered pings remembered. A fifth pushes out the oldest.
const MAX_OUT: usize = 4;

/// The pings that went by and were not answered yet.
#[derive(Debug, Clone, Default)]
pub struct RoundTrips {
    /// The oldest first; `out` of them are in use.
    pings: [Waiting; MAX_OUT],
    lost: u32,
    out: u8,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    key: PayloadKey,
    at: Mono,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { key: PayloadKey::START, at: Mono(0) }
    }
}

impl RoundTrips {
    /// A ping went by.
    pub fn ping(&mut self, key: PayloadKey, now: Mono) {
        if usize::from(self.out) == MAX_OUT {
            self.settle(1);
            self.lost = self.lost.saturating_add(1);
        }
        if let Some(free) = self.pings.get_mut(usize::from(self.out)) {
            *free = Waiting { key, at: now };
            self.out += 1;
        }
    }

    /// A pong came back: the round trip, if it answers a ping that is out.
    pub fn pong(&mut self, key: PayloadKey, now: Mono) -> Option<Duration> {
        let at = self.waiting().iter().rposition(|ping| ping.key == key)?;
        let sent = self.pings[at].at;
        self.settle(at + 1);
        self.lost = self.lost.saturating_add(at as u32);
        Some(now.since(sent))
    }

    /// Since when the oldest unanswered ping waits. It is forgotten when four newer ones are out.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Mono> {
        self.waiting().first().map(|ping| ping.at)
    }

    /// How many pings are out, at most four.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.waiting().len()
    }

    /// How many were never answered: overtaken by the answer to a later one, or pushed out.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost
    }

    fn waiting(&self) -> &[Waiting] {
        &self.pings[..usize::from(self.out)]
    }

    /// Forgets the oldest so many.
    fn settle(&mut self, count: usize) {
        self.pings.rotate_left(count);
        self.out = self.out.saturating_sub(count as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Mono {
        Mono(millis * 1000)
    }

    fn key(name: &str) -> PayloadKey {
        PayloadKey::of(name.as_bytes())
    }

    const NONE: Option<Duration> = None;

    fn some(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn each_pong_meets_its_ping_once() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.pong(key("a"), ms(0)), NONE);
        trips.ping(key("a"), ms(10));
        trips.ping(key("b"), ms(20));
        assert_eq!((trips.outstanding(), trips.waiting_since()), (2, Some(ms(10))));
        assert_eq!(trips.pong(key("x"), ms(21)), NONE);
        assert_eq!(trips.pong(key("a"), ms(25)), some(15));
        assert_eq!(trips.pong(key("a"), ms(26)), NONE);
        assert_eq!(trips.waiting_since(), Some(ms(20)));
        assert_eq!(trips.pong(key("b"), ms(27)), some(7));
        assert_eq!((trips.outstanding(), trips.lost(), trips.waiting_since()), (0, 0, None));
    }

    #[test]
    fn the_newest_settles_the_older() {
        let mut trips = RoundTrips::default();
        trips.ping(key("a"), ms(0));
        trips.ping(key("b"), ms(1));
        trips.ping(key("c"), ms(2));
        assert_eq!(trips.pong(key("b"), ms(5)), some(4));
        assert_eq!((trips.outstanding(), trips.lost()), (1, 1));
        assert_eq!(trips.pong(key("a"), ms(6)), NONE);
        assert_eq!(trips.pong(key("c"), ms(7)), some(5));
    }

    #[test]
    fn an_answer_left_out_spoils_no_later_one() {
        let mut trips = RoundTrips::default();
        trips.ping(key(""), ms(0));
        for round in 1..10 {
            trips.ping(key(""), ms(round * 1000));
            assert_eq!(trips.pong(key(""), ms(round * 1000 + 3)), some(3));
        }
        assert_eq!(trips.lost(), 1);
    }

    #[test]
    fn storms_are_bounded() {
        let mut trips = RoundTrips::default();
        for i in 0..1000_u64 {
            trips.ping(key(&i.to_string()), ms(i));
        }
        assert_eq!((trips.outstanding(), trips.lost(), trips.waiting_since()), (4, 996, Some(ms(996))));
        assert_eq!(trips.pong(key("995"), ms(2000)), NONE);
        assert_eq!(trips.pong(key("999"), ms(2000)), some(1001));
        assert_eq!((trips.outstanding(), trips.lost()), (0, 999));
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<RoundTrips>() <= 72);
    }
}
