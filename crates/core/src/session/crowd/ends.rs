//! What the ends of many sessions have in common: one silence, one moment, one peer.

use std::time::Duration;

use crate::classify::{IDLE_LEAST, PATTERN, YOUNG, agree};
use crate::session::{EndedBy, SessionClose};
use crate::time::Mono;

/// Silences remembered.
const SILENCES: usize = 32;
/// At most one silence is remembered in this time: sessions that ended in one moment are one witness. All of them may
/// have heard the same broadcast last and then the same crash.
const APART: Duration = Duration::from_secs(1);
/// Slots of the sliding second.
const SLOTS: usize = 8;
/// One of them, microseconds.
const SLOT: u64 = 125_000;
/// Peers remembered that were dropped at once.
const PEERS: usize = 8;

/// The silences at the end of sessions that got no Close frame: a sample, the newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Silences {
    /// Milliseconds; the first `len` are set, `next` is overwritten next once it is full.
    ring: [u32; SILENCES],
    len: usize,
    next: usize,
    sampled: Option<Mono>,
}

impl Silences {
    /// Takes a silence in. Whether it and those that agree with it are a pattern: three at least, and half of all. With many sessions three of any eight agree by chance every so often, half of many do not.
    pub(super) fn learn(&mut self, now: Mono, silence: Duration) -> bool {
        if self.sampled.is_some_and(|at| now.since(at) < APART) {
            return false;
        }
        self.sampled = Some(now);
        self.ring[self.next] = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        self.next = (self.next + 1) % SILENCES;
        self.len = (self.len + 1).min(SILENCES);
        let all = &self.ring[..self.len];
        let same = all.iter().filter(|ms| agree(Duration::from_millis(u64::from(**ms)), silence)).count();
        same >= PATTERN && same * 2 >= self.len
    }

    pub(super) fn forget(&mut self) {
        *self = Self { sampled: self.sampled, ..Self::default() };
    }
}

/// Whether the end of this session may be that of an idle limit.
pub(super) fn silent_end(close: &SessionClose) -> bool {
    close.code.is_none() && close.silent_for > IDLE_LEAST
}

/// A learnt idle limit, and how many were cut by it of late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) silence: Duration,
    /// The last cut.
    pub(super) last: Mono,
    /// The present span of counting, the cuts in it and in the one before.
    from: Mono,
    cuts: u32,
    before: u32,
}

impl Limit {
    pub(super) fn new(silence: Duration, now: Mono) -> Self {
        // The cuts that made the pattern may be days old.
        Self { silence, last: now, from: now, cuts: 1, before: 0 }
    }

    /// Half as long again: a session that is silent for so long refutes it, and within so much time everybody who is
    /// idle has met it.
    pub(super) fn outlived(&self) -> Duration {
        self.silence.saturating_add(self.silence / 2)
    }

    pub(super) fn cut(&mut self, now: Mono) {
        self.roll(now);
        self.cuts = self.cuts.saturating_add(1);
        self.last = now;
    }

    /// Cuts within the last one to two spans.
    pub(super) fn recent(&mut self, now: Mono) -> u32 {
        self.roll(now);
        self.cuts.saturating_add(self.before)
    }

    fn roll(&mut self, now: Mono) {
        let span = self.outlived();
        let passed = now.since(self.from);
        if passed >= span.saturating_mul(2) {
            (self.cuts, self.before, self.from) = (0, 0, now);
        } else if passed >= span {
            (self.cuts, self.before, self.from) = (0, self.cuts, self.from.after(span));
        }
    }
}

/// How many ended within the last second, to an eighth of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Burst {
    slots: [u32; SLOTS],
    /// The newest slot's number since the clock's start.
    newest: u64,
}

impl Burst {
    pub(super) fn add(&mut self, now: Mono) -> u64 {
        let slot = now.0 / SLOT;
        let room = SLOTS as u64;
        for passed in (self.newest + 1..=slot).rev().take(SLOTS) {
            self.slots[(passed % room) as usize] = 0;
        }
        self.newest = self.newest.max(slot);
        let here = &mut self.slots[(slot % room) as usize];
        *here = here.saturating_add(1);
        self.slots.iter().map(|n| u64::from(*n)).sum()
    }

    pub(super) fn forget(&mut self) {
        self.slots = [0; SLOTS];
    }
}

/// Sessions that did not stay, in a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Drops {
    /// Those of an age of at most [`YOUNG`].
    pub(super) young: u32,
    /// Those that did not last for the time it takes to settle, the young ones among them.
    pub(super) short: u32,
    /// The last of them.
    pub(super) last: Option<Mono>,
    /// Peers whose last sessions were dropped at once: which, and how many in a row; the latest first.
    peers: [(u32, u32); PEERS],
}

/// What a session's end says of how long sessions stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// It was dropped at once, for the so-many-th time in a row at this peer.
    Dropped(u32),
    /// It did not stay.
    Short,
    /// It is no witness against the gateway: it stayed, or its peer left.
    Other,
}

impl Drops {
    pub(super) fn end(&mut self, now: Mono, close: &SessionClose, settle: Duration) -> Stay {
        let peer = who(&close.peer);
        let run = self.peers.iter().position(|(p, run)| *p == peer && *run > 0);
        // A peer that leaves at once is a port scanner or a health check.
        let by_others = !matches!(close.by, EndedBy::Peer | EndedBy::Mooring);
        if by_others && close.age <= YOUNG && matches!(close.code, None | Some(1000 | 1005)) {
            let at = run.unwrap_or(PEERS - 1);
            let times = if run.is_some() { self.peers[at].1.saturating_add(1) } else { 1 };
            self.peers[..=at].rotate_right(1);
            self.peers[0] = (peer, times);
            self.last = Some(now);
            self.young = self.young.saturating_add(1);
            self.short = self.short.saturating_add(1);
            return Stay::Dropped(times);
        }
        if let Some(at) = run {
            self.peers[at].1 = 0;
        }
        self.young = 0;
        if by_others && close.cause.is_some() && close.age < settle {
            // What ended in one moment is one case.
            if self.last.is_none_or(|last| now.since(last) >= APART) {
                self.short = self.short.saturating_add(1);
            }
            self.last = Some(now);
            return Stay::Short;
        }
        // Who stayed, or was served and left in good order, shows that one can. A peer that vanished shows nothing.
        if close.age >= settle || (close.cause.is_none() && close.age > YOUNG) {
            self.short = 0;
        }
        Stay::Other
    }
}

/// A peer without its port, in 32 bits (FNV-1a); two that collide are taken for one, in a label at worst.
fn who(peer: &str) -> u32 {
    let host = match peer.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => peer,
    };
    host.bytes().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> Mono {
        Mono(n * 1_000)
    }

    #[test]
    fn a_second_slides() {
        let mut burst = Burst::default();
        let counts: Vec<u64> =
            [0, 100, 130, 900, 1_000, 1_050, 1_900, 30_000].map(|t| burst.add(at(t))).into();
        assert_eq!(counts, [1, 2, 3, 4, 3, 4, 3, 1]);
    }

    #[test]
    fn ends_of_one_moment_are_one_witness() {
        let mut silences = Silences::default();
        assert!((0..100).all(|i| !silences.learn(at(10_000 + i), ms(60_000))));
        assert!(!silences.learn(at(20_000), ms(60_100)));
        assert!(silences.learn(at(30_000), ms(59_900)));
    }

    #[test]
    fn three_of_many_are_chance() {
        let mut silences = Silences::default();
        let spread = |i: u64| 6_000 + i * 7_919 % 290_000;
        for i in 0..500 {
            assert!(!silences.learn(at(i * 1_000), ms(spread(i))), "{i}");
        }
    }

    #[test]
    fn cuts_are_counted_over_one_to_two_spans() {
        let mut limit = Limit::new(ms(60_000), at(0));
        limit.cut(at(80_000));
        assert_eq!(limit.recent(at(80_000)), 2);
        limit.cut(at(100_000));
        assert_eq!(limit.recent(at(170_000)), 3);
        assert_eq!(limit.recent(at(190_000)), 1);
        assert_eq!(limit.recent(at(400_000)), 0);
    }

    #[test]
    fn a_peer_is_its_address_without_the_port() {
        assert_eq!(who("192.0.2.1:5"), who("192.0.2.1:50123"));
        assert_eq!(who("[2001:db8::1]:5"), who("[2001:db8::1]:6"));
        assert_ne!(who("192.0.2.1:5"), who("192.0.2.2:5"));
        assert_ne!(who("@a"), who("@b"));
    }
}
