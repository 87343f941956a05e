//! A session after its handshake: one future that moves both directions.
//!
//! One task and not two: both directions share the record, an order must stop both at frame boundaries, and a task costs
//! memory of its own. The future owns no timer: whatever depends on time is decided by the sweep, which sets a bit in the
//! record and wakes the task. It owns no buffer either while it is idle; see [`way`].

mod end;
mod eyes;
mod sift;
mod way;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use mooring_core::session::{EndedBy, SessionState};
use mooring_wire::frames::{CloseReason, PayloadKey, Scanner, Sender, close, ping};

use crate::admission::Place;
use crate::config::Violations;
use crate::entry::Entry;
use crate::event::{Event, Opened, Side};
use crate::order::{Closing, Ended, Why};
use crate::record::command;
use crate::shared::Shared;
use crate::stream::Stream;
pub(crate) use end::LingerFuture;
use eyes::{Eyes, Rare};
use way::{Broken, Turn, Way};

/// Bytes of the buffer that all sessions of a thread read into.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// A session after its handshake.
pub(crate) struct Pump {
    client: Stream,
    gateway: Stream,
    /// Client to gateway.
    up: Way,
    /// Gateway to client.
    down: Way,
    rare: Rare,
    entry: Entry,
    place: Place,
}

/// A session whose handshake is done.
pub(crate) struct Opening {
    pub(crate) client: Stream,
    pub(crate) gateway: Stream,
    /// What the gateway has sent after its 101.
    pub(crate) early: Vec<u8>,
    pub(crate) entry: Entry,
    pub(crate) place: Place,
}

impl Pump {
    /// Begins to relay.
    pub(crate) fn new(opening: Opening) -> Self {
        let Opening { client, gateway, early, entry, place } = opening;
        let (record, shared) = (&entry.record, &entry.shared);
        let config = &shared.config;
        let deflate = record.agreed.get().is_some_and(|agreed| agreed.deflate);
        let way = |sender| {
            let scanner = Scanner::new(sender, config.scan).compressed(deflate).peek(config.peek);
            Way::new(scanner, config.violations == Violations::Close)
        };
        let (up, down) = (way(Sender::Client), way(Sender::Server));
        let now = shared.clock.now();
        let began = record.opened.swap(now.0, Relaxed);
        [&record.up.last, &record.down.last].into_iter().for_each(|last| last.store(now.0, Relaxed));
        record.set_state(SessionState::Open);
        shared.numbers.opened.fetch_add(1, Relaxed);
        shared.numbers.open.fetch_add(1, Relaxed);
        shared.tell(Event::Opened(Opened {
            id: record.session_id(),
            instance: record.instance.clone(),
            peer: record.peer.to_string(),
            protocol: crate::view::protocol(record),
            took: now.since(mooring_core::time::Mono(began)),
        }));
        let rare = Rare::default();
        let mut pump = Self { client, gateway, up, down, rare, entry, place };
        if !early.is_empty() {
            let mut eyes =
                Eyes { record: &pump.entry.record, shared: &pump.entry.shared, rare: &mut pump.rare };
            let flow = &pump.entry.record.down;
            pump.down.early(&early, flow, now, &mut |now, seen| eyes.see(Side::Gateway, now, seen));
        }
        pump
    }

    /// Relays until the session ends; [`Self::finish`] is what follows.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.entry.record.listen(cx.waker());
        let commands = self.entry.record.commands();
        if commands != 0 && self.obey(commands) {
            return Poll::Ready(Ended::Cut);
        }
        let turn = SCRATCH_BUFFER.with_borrow_mut(|scratch| {
            let up = self.turn_up(cx, scratch);
            let down = self.turn_down(cx, scratch);
            match (up, down) {
                (Turn::Over, Turn::Over) => Turn::Over,
                (Turn::Again, _) | (_, Turn::Again) => Turn::Again,
                _ => Turn::Waits,
            }
        });
        if self.rare.broken {
            self.on_violation(cx);
        }
        if turn == Turn::Over {
            let ended = if self.said_goodbye() { Ended::Properly } else { Ended::Gone };
            return Poll::Ready(ended);
        }
        // WebSocket knows no half-open sessions: after both goodbyes the first end to go is the end of both.
        let taken = self.up.pending.is_none() && self.down.pending.is_none();
        if taken && (self.up.over || self.down.over) && self.said_goodbye() {
            return Poll::Ready(Ended::Properly);
        }
        if self.rare.closing && self.all_told() {
            let ended = if self.said_goodbye() { Ended::Properly } else { Ended::Cut };
            return Poll::Ready(ended);
        }
        if turn == Turn::Again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.entry.shared)
    }

    fn turn_up(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Turn {
        if self.up.over {
            return Turn::Over;
        }
        let mut eyes = Eyes { record: &self.entry.record, shared: &self.entry.shared, rare: &mut self.rare };
        let ends = (&mut self.client, &mut self.gateway);
        let (flow, clock) = (&self.entry.record.up, &self.entry.shared.clock);
        let outcome = self
            .up
            .poll(cx, ends, (flow, clock), scratch, &mut |now, seen| eyes.see(Side::Client, now, seen));
        self.after(Side::Client, outcome)
    }

    fn turn_down(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Turn {
        if self.down.over {
            return Turn::Over;
        }
        let mut eyes = Eyes { record: &self.entry.record, shared: &self.entry.shared, rare: &mut self.rare };
        let ends = (&mut self.gateway, &mut self.client);
        let (flow, clock) = (&self.entry.record.down, &self.entry.shared.clock);
        let outcome = self
            .down
            .poll(cx, ends, (flow, clock), scratch, &mut |now, seen| eyes.see(Side::Gateway, now, seen));
        self.after(Side::Gateway, outcome)
    }

    /// After a turn of what `sender` sends: ends and errors.
    fn after(&mut self, sender: Side, outcome: Result<Turn, Broken>) -> Turn {
        let turn = match outcome {
            Ok(turn) => turn,
            Err(broken) => return self.broke(sender, broken),
        };
        let way = if sender == Side::Client { &self.up } else { &self.down };
        if way.eof {
            let by = if sender == Side::Client { EndedBy::Peer } else { EndedBy::Gateway };
            self.rare.by.get_or_insert(by);
            self.entry.record.set_state(SessionState::Closing);
            self.entry.record.ends(self.entry.shared.clock.now());
        }
        turn
    }

    /// A connection failed: nothing can be given to its end any more.
    #[cold]
    fn broke(&mut self, sender: Side, broken: Broken) -> Turn {
        let (dead, deaf, error) = match broken {
            Broken::Sender(error) => (sender, true, error),
            Broken::Receiver(error) => (sender.other(), false, error),
        };
        // The kernel's own verdicts on a path (its timeouts) are nobody's doing.
        let by = match (error.kind(), dead) {
            (std::io::ErrorKind::TimedOut | std::io::ErrorKind::HostUnreachable, _) => EndedBy::Path,
            (_, Side::Client) => EndedBy::Peer,
            (_, Side::Gateway) => EndedBy::Gateway,
        };
        self.rare.by.get_or_insert(by);
        self.rare.words().error.get_or_insert_with(|| error.to_string());
        self.entry.record.set_state(SessionState::Closing);
        self.entry.record.ends(self.entry.shared.clock.now());
        let (to_dead, from_dead, flow) = match dead {
            Side::Client => (&mut self.down, &mut self.up, &self.entry.record.down),
            Side::Gateway => (&mut self.up, &mut self.down, &self.entry.record.up),
        };
        to_dead.abandon(flow);
        // One that takes nothing any more may have said something before that is still to be read.
        from_dead.eof |= deaf;
        Turn::Again
    }

    /// Does what the record asks for. True when the session is to be cut.
    fn obey(&mut self, commands: u8) -> bool {
        if commands & command::CUT != 0 {
            self.rare.by.get_or_insert(EndedBy::Mooring);
            return true;
        }
        if commands & command::CLOSE != 0 && !self.rare.closing {
            self.begin_close();
        }
        for (bit, side) in [(command::PING_CLIENT, Side::Client), (command::PING_GATEWAY, Side::Gateway)] {
            if commands & bit != 0 && !self.rare.closing {
                self.ping(side);
            }
        }
        false
    }

    /// A ping of our own, recognised by its payload when it comes back.
    fn ping(&mut self, side: Side) {
        let (to, from, mask) = match side {
            Side::Client => (&mut self.down, &mut self.up, None),
            Side::Gateway => (&mut self.up, &mut self.down, Some(rand::random())),
        };
        if to.mute() || from.blind {
            return;
        }
        let mut payload = *b"mooring\0\0\0\0\0\0\0\0";
        let number = self
            .entry
            .shared
            .ping_secret
            .wrapping_add(self.entry.record.id)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        payload[7..].copy_from_slice(&number.to_be_bytes());
        // One that could not be put yet is replaced: it is answered once.
        let unsent = to.extra().ping.replace(ping(&payload, mask)).is_some();
        let key = PayloadKey::of(&payload);
        let extra = from.extra();
        extra.own_key = Some(key);
        if !unsent {
            extra.own_pings = extra.own_pings.saturating_add(1);
        }
        let now = self.entry.shared.clock.now();
        Eyes { record: &self.entry.record, shared: &self.entry.shared, rare: &mut self.rare }
            .ping(side, now, key);
    }

    /// Says goodbye to both ends, as soon as each stands between two frames.
    fn begin_close(&mut self) {
        let (code, reason) = match self.entry.record.closing().as_deref() {
            Some(closing) => (closing.code, closing.reason),
            None => return,
        };
        self.rare.closing = true;
        self.rare.by.get_or_insert(EndedBy::Mooring);
        self.entry.record.set_state(SessionState::Closing);
        let reason = reason.lossy();
        self.down.extra().close = Some(close(code, &reason, None));
        self.up.extra().close = Some(close(code, &reason, Some(rand::random())));
    }

    /// A rule was broken. Where that is the end, both are told so.
    #[cold]
    fn on_violation(&mut self, cx: &Context<'_>) {
        self.rare.broken = false;
        if self.entry.shared.config.violations != Violations::Close || self.rare.closing {
            return;
        }
        let until = self.entry.shared.clock.now().after(self.entry.shared.config.times.ending);
        let reason = CloseReason::new(b"protocol violation");
        let mut closing = self.entry.record.closing();
        closing.get_or_insert_with(|| {
            Box::new(Closing { code: 1002, reason, why: Why::Violation, until, tallies: Vec::new() })
        });
        drop(closing);
        self.begin_close();
        cx.waker().wake_by_ref();
    }

    /// Whether each end has got a Close frame, if that is possible, and has answered or gone.
    fn all_told(&self) -> bool {
        // The first to answer may be gone before the other one has: who was told gets its time all the same.
        let settled = |to: &Way, from: &Way| {
            let answered = from.scanner.closed() || from.eof || from.over || from.blind;
            if to.told { to.pending.is_none() && answered } else { to.mute() }
        };
        settled(&self.up, &self.down) && settled(&self.down, &self.up)
    }

    /// Whether both ends have sent their Close frame.
    fn said_goodbye(&self) -> bool {
        self.up.scanner.closed() && self.down.scanner.closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Pump>() <= 392, "{}", size_of::<Pump>());
    }
}
