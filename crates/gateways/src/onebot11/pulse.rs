//! Pings over one connection: half-open ends are found by nothing else, as neither Lagrange nor Yunzai nor Koishi ever
//! pings. Pure. Any traffic is life, so a busy connection is pinged all the same but never judged by the pong alone.

use std::time::Duration;

use mooring_core::time::Mono;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing now.
    Wait,
    /// Send a ping.
    Ping,
    /// Nothing at all came for so long after a ping: it is half-open.
    Dead(Duration),
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    interval: Duration,
    timeout: Duration,
    heard: Mono,
    asked: Option<Mono>,
    pinged: Mono,
    /// Reading stands still for want of room, which is not the other end's doing.
    stalled: bool,
    /// A verdict waits for a second look, as the first may be what runs first after a pause of our own.
    looked: bool,
}

impl Pulse {
    /// Of a connection that has just opened.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration, now: Mono) -> Self {
        Self { interval, timeout, heard: now, asked: None, pinged: now, stalled: false, looked: false }
    }

    /// Anything came.
    pub fn heard(&mut self, now: Mono) {
        self.heard = now;
        self.asked = None;
        self.looked = false;
    }

    /// Reading stopped or goes on. Returns for how long it had stopped.
    pub fn stalled(&mut self, now: Mono, stalled: bool) -> Duration {
        let was = std::mem::replace(&mut self.stalled, stalled);
        let held = if was && !stalled { now.since(self.heard) } else { Duration::ZERO };
        self.heard(now);
        held
    }

    /// When anything last came.
    #[must_use]
    pub fn last(&self) -> Mono {
        self.heard
    }

    /// Lets time pass. Call it at [`next_check`](Self::next_check), after everything that has arrived was taken.
    pub fn tick(&mut self, now: Mono) -> Beat {
        if self.stalled {
            return Beat::Wait;
        }
        if let Some(asked) = self.asked
            && now.since(asked) >= self.timeout
        {
            if std::mem::replace(&mut self.looked, true) {
                return Beat::Dead(now.since(self.heard));
            }
            self.asked = Some(asked.after(self.timeout / 8));
            return Beat::Wait;
        }
        if now.since(self.pinged) >= self.interval {
            self.pinged = now;
            self.asked.get_or_insert(now);
            return Beat::Ping;
        }
        Beat::Wait
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_check(&self) -> Option<Mono> {
        if self.stalled {
            return None;
        }
        let ping = self.pinged.after(self.interval);
        Some(self.asked.map_or(ping, |asked| ping.min(asked.after(self.timeout))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    fn pulse() -> Pulse {
        Pulse::new(Duration::from_millis(100), Duration::from_millis(400), at(0))
    }

    #[test]
    fn who_answers_nothing_is_dead_after_a_second_look() {
        let mut pulse = pulse();
        let mut pings = 0;
        let mut now = at(0);
        let silent = loop {
            now = pulse.next_check().unwrap().max(now);
            match pulse.tick(now) {
                Beat::Ping => pings += 1,
                Beat::Dead(silent) => break silent,
                Beat::Wait => {}
            }
            assert!(now < at(2000));
        };
        assert!((500..=600).contains(&silent.as_millis()), "{silent:?}");
        assert!(pings >= 4, "{pings}");
    }

    #[test]
    fn any_traffic_is_life_and_a_stall_proves_nothing() {
        let mut pulse = pulse();
        for ms in 1..100 {
            pulse.heard(at(ms * 50));
            assert!(!matches!(pulse.tick(at(ms * 50)), Beat::Dead(_)));
        }
        assert_eq!(pulse.stalled(at(5000), true), Duration::ZERO);
        assert_eq!((pulse.tick(at(90_000)), pulse.next_check()), (Beat::Wait, None));
        assert_eq!(pulse.stalled(at(90_000), false), Duration::from_secs(85));
        assert_eq!(pulse.tick(at(90_000)), Beat::Ping);
        assert_eq!(pulse.tick(at(90_050)), Beat::Wait);
    }
}
