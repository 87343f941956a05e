//! A direction looked at frame by frame: frames of our own are put between those that go by, answers to our own pings are
//! taken out, and what comes after a goodbye or a broken rule is not passed on.
//!
//! This is the exception. It copies, and it lasts only as long as there is something to put or to wait for.

use mooring_core::time::Mono;
use mooring_wire::frames::Seen;

use super::way::Way;
use crate::clock::Clock;
use crate::record::Flow;

/// Opcode of a pong.
const PONG: u8 = 10;

impl Way {
    /// Whether a frame of ours can be put here: the receiver stands between two frames.
    fn between_frames(&self) -> bool {
        if self.halted {
            return !self.torn;
        }
        !self.blind
            && self.scanner.at_boundary()
            && self.extra.as_ref().is_none_or(|extra| extra.held.is_empty())
    }

    /// Whether the receiver can never be told anything again.
    pub(super) fn mute(&self) -> bool {
        self.torn || self.blind || self.over
    }

    /// Puts what is to be put, if that is possible now. Nothing may follow a Close frame, whoever sent it.
    pub(super) fn put_extra(&mut self, flow: &Flow, clock: &Clock) -> bool {
        self.told |= self.scanner.closed() && !self.halted;
        let mut out = Vec::new();
        if self.between_frames() {
            self.put(&mut out);
        }
        if self.told
            && let Some(extra) = &mut self.extra
        {
            (extra.ping, extra.close) = (None, None);
        }
        self.relax();
        if out.is_empty() {
            return false;
        }
        self.keep(out, flow, clock.now());
        true
    }

    fn put(&mut self, out: &mut Vec<u8>) {
        let Some(extra) = &mut self.extra else { return };
        if self.told {
            return;
        }
        if let Some(ping) = extra.ping.take() {
            out.extend_from_slice(&ping);
        }
        if let Some(close) = extra.close.take() {
            out.extend_from_slice(&close);
            self.told = true;
        }
    }

    /// Follows these bytes frame by frame. Returns what is to be passed on.
    pub(super) fn sift(&mut self, data: &[u8], now: Mono, see: &mut impl FnMut(Mono, Seen)) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len());
        let mut rest = data;
        while !rest.is_empty() {
            if self.blind {
                if !self.told && !self.halted {
                    out.extend_from_slice(rest);
                }
                break;
            }
            if self.between_frames() {
                self.put(&mut out);
            }
            rest = self.sift_frame(rest, now, see, &mut out);
        }
        self.relax();
        out
    }

    /// One frame, or the part of it that is here. Returns what comes after it.
    fn sift_frame<'a>(
        &mut self,
        rest: &'a [u8],
        now: Mono,
        see: &mut impl FnMut(Mono, Seen),
        out: &mut Vec<u8>,
    ) -> &'a [u8] {
        let begins = self.scanner.at_boundary();
        let passing = !self.told && !self.halted;
        let own_key = self.extra.as_ref().and_then(|extra| extra.own_key);
        let (mut own, mut broken, mut closes) = (false, false, false);
        let outcome = self.scanner.scan_frame(rest, &mut |seen| {
            own |= matches!(seen, Seen::Pong { key } if Some(key) == own_key);
            broken |= matches!(seen, Seen::Violated(_));
            closes |= matches!(seen, Seen::Close { .. });
            see(now, seen);
        });
        let used = match outcome {
            Ok(used) => used,
            Err(violation) => {
                see(now, Seen::Violated(violation));
                self.blind = true;
                broken = true;
                rest.len()
            }
        };
        let (part, after) = rest.split_at(used.clamp(1, rest.len()));
        if broken && self.strict && passing {
            self.halted = true;
            self.torn = !begins;
            return after;
        }
        let held = self.extra.as_mut().filter(|extra| {
            !extra.held.is_empty() || (begins && extra.own_pings > 0 && part[0] & 0x0f == PONG)
        });
        match held {
            Some(extra) => {
                extra.held.extend_from_slice(part);
                // A frame that breaks a rule is no answer to a ping, and its length is its sender's to choose.
                if self.blind || broken || self.scanner.at_boundary() {
                    let whole = std::mem::take(&mut extra.held);
                    if own {
                        extra.own_pings = extra.own_pings.saturating_sub(1);
                    } else if passing {
                        out.extend_from_slice(&whole);
                    }
                }
            }
            None if passing => out.extend_from_slice(part),
            None => {}
        }
        // The sender's own goodbye is the receiver's: nothing of ours may follow it.
        self.told |= closes && passing;
        after
    }
}
