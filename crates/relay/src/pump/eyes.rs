//! What is made of the frames that go by: round trips, beats, codes and broken rules, written into the record.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mooring_core::session::{EndedBy, SessionState};
use mooring_core::time::Mono;
use mooring_wire::frames::{Beat, CloseReason, PayloadKey, RoundTrips, Seen, Violation};

use crate::event::{Event, Side};
use crate::record::Record;
use crate::shared::Shared;

/// Stands for the ping of Engine.IO, which carries nothing.
const ENGINE_PING: &[u8] = b"\0engine.io";
/// How many intervals of a OneBot heartbeat may pass: one lost and one late.
const ONEBOT_INTERVALS: u32 = 3;

/// Pings that are out, by who has to answer them.
#[derive(Default)]
pub(super) struct Trips {
    pub(super) client: RoundTrips,
    pub(super) gateway: RoundTrips,
}

/// What only some sessions have: pings that are out, last words.
#[derive(Default)]
pub(super) struct Rare {
    pub(super) trips: Option<Box<Trips>>,
    pub(super) words: Option<Box<Words>>,
    /// Who began the end.
    pub(super) by: Option<EndedBy>,
    /// A rule was broken since this was last looked at.
    pub(super) broken: bool,
    /// Goodbye is being said.
    pub(super) closing: bool,
}

/// How it ended, in words.
#[derive(Default)]
pub(super) struct Words {
    pub(super) reason: Option<CloseReason>,
    pub(super) error: Option<String>,
}

impl Rare {
    pub(super) fn words(&mut self) -> &mut Words {
        self.words.get_or_insert_with(Box::default)
    }
}

/// Looks at a session's frames.
pub(super) struct Eyes<'a> {
    pub(super) record: &'a Record,
    pub(super) shared: &'a Shared,
    pub(super) rare: &'a mut Rare,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Gateway,
            Self::Gateway => Self::Client,
        }
    }
}

impl Eyes<'_> {
    /// Something was seen in what `sender` sends.
    #[inline]
    pub(super) fn see(&mut self, sender: Side, now: Mono, seen: Seen) {
        match seen {
            Seen::Message { beat: None, .. } => {}
            Seen::Message { beat: Some(beat), .. } => self.beat(sender, now, beat),
            Seen::Ping { key } => self.ping(sender.other(), now, key),
            Seen::Pong { key } => self.pong(sender, now, key),
            Seen::Close { code, reason } => self.close(sender, now, code, reason),
            Seen::Violated(violation) => self.violated(sender, violation),
        }
    }

    /// Somebody has to answer.
    pub(super) fn ping(&mut self, who: Side, now: Mono, key: PayloadKey) {
        let trips = self.rare.trips.get_or_insert_with(Box::default);
        let trips = if who == Side::Client { &mut trips.client } else { &mut trips.gateway };
        trips.ping(key, now);
        self.record.pings(who).since.store(trips.waiting_since().map_or(0, |at| at.0), Relaxed);
    }

    /// Somebody has answered.
    fn pong(&mut self, who: Side, now: Mono, key: PayloadKey) {
        let Some(both) = &mut self.rare.trips else { return };
        let trips = if who == Side::Client { &mut both.client } else { &mut both.gateway };
        let Some(rtt) = trips.pong(key, now) else { return };
        let pings = self.record.pings(who);
        pings.since.store(trips.waiting_since().map_or(0, |at| at.0), Relaxed);
        pings.rtt.store(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1), Relaxed);
        if both.client.outstanding() + both.gateway.outstanding() == 0 {
            self.rare.trips = None;
        }
        let (id, instance) = (self.record.session_id(), self.record.instance.clone());
        self.shared.tell(Event::RoundTrip { id, instance, side: who, rtt });
    }

    #[cold]
    fn close(&mut self, sender: Side, now: Mono, code: Option<u16>, reason: CloseReason) {
        self.record.set_code(sender, code);
        self.record.set_state(SessionState::Closing);
        self.record.ends(now);
        if self.rare.by.is_none() {
            self.rare.by = Some(if sender == Side::Client { EndedBy::Peer } else { EndedBy::Gateway });
            self.rare.words().reason = Some(reason);
        }
    }

    #[cold]
    fn violated(&mut self, sender: Side, violation: Violation) {
        self.shared.numbers.violations.fetch_add(1, Relaxed);
        self.rare.broken = true;
        if self.record.violated(sender) {
            let (id, instance) = (self.record.session_id(), self.record.instance.clone());
            self.rare.words().error.get_or_insert_with(|| format!("protocol violation: {violation}"));
            self.shared.tell(Event::Violated { id, instance, side: sender, violation });
        }
    }

    fn beat(&mut self, sender: Side, now: Mono, beat: Beat) {
        match beat {
            // Only the server opens; a client that says so would set the measure for its own silence.
            Beat::EngineOpen { interval: Some(interval), timeout } if sender == Side::Gateway => {
                let allowed = interval.get() + timeout.map_or(interval.get(), |t| t.get());
                self.promise(sender, now, interval.get(), allowed);
            }
            Beat::EnginePing => {
                self.came(sender, now);
                self.ping(sender.other(), now, PayloadKey::of(ENGINE_PING));
            }
            Beat::EnginePong => self.pong(sender, now, PayloadKey::of(ENGINE_PING)),
            Beat::OneBotHeartbeat { interval, .. } => {
                if let Some(interval) = interval {
                    self.promise(sender, now, interval.get(), interval.get() * ONEBOT_INTERVALS);
                }
                self.came(sender, now);
                self.tell(sender, beat);
            }
            Beat::OneBotLifecycle(_) => self.tell(sender, beat),
            _ => {}
        }
    }

    fn promise(&self, by: Side, now: Mono, interval: Duration, allowed: Duration) {
        let ms = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        let beats = &self.record.beats;
        beats.allowed.store(ms(allowed), Relaxed);
        self.came(by, now);
        beats.interval.store(ms(interval), Relaxed);
    }

    /// A beat came. Engine.IO's third version has the client beat, its fourth the server: who does, shows.
    fn came(&self, by: Side, now: Mono) {
        self.record.beats.last.store(now.0, Relaxed);
        self.record.beats.by_gateway.store(u8::from(by == Side::Gateway), Relaxed);
    }

    fn tell(&self, side: Side, beat: Beat) {
        let (id, instance) = (self.record.session_id(), self.record.instance.clone());
        self.shared.tell(Event::Beat { id, instance, side, beat });
    }
}
