//! The ends of sessions, together: in one moment, after one silence, at once.

use std::time::Duration;

use super::ends::{Limit, Stay, silent_end};
use super::verdict::Words;
use super::{Charge, Crowd, RESET_APART};
use crate::cause::Cause;
use crate::classify::{PATTERN, agree, short};
use crate::limits::{MAX_MESSAGE, clip};
use crate::session::{EndedBy, SessionClose};
use crate::time::Mono;

/// A mass reset happens within so much time.
const MOMENT: Duration = Duration::from_secs(1);

impl Crowd {
    /// A session ended: what it means, and why it did, where the others tell.
    pub(super) fn closed(
        &mut self,
        now: Mono,
        close: &SessionClose,
        words: &mut Words,
    ) -> Option<(Cause, String)> {
        self.count(now, self.open.saturating_sub(1));
        if self.disturbs() && self.open == 0 {
            // What was opened since the order began may have been opened by what it was to end.
            self.fact = None;
        }
        if close.by == EndedBy::Mooring || self.quiet() {
            return None;
        }
        let mass = self.in_mass(now, close);
        let dropped = self.dropped(now, close, words);
        let cut = self.cut(now, close, mass.is_some(), words);
        cut.or(mass).or(dropped).map(|(cause, message)| (cause, clip(&message, MAX_MESSAGE)))
    }

    /// Whether the end belongs to a mass reset.
    fn in_mass(&mut self, now: Mono, close: &SessionClose) -> Option<(Cause, String)> {
        if close.by == EndedBy::Peer && matches!(close.code, Some(1000 | 1001)) {
            return None;
        }
        // What comes and goes within the moment is no crowd that was lost.
        if close.age < MOMENT {
            return None;
        }
        let ended = self.burst.add(now);
        let before = self.open.saturating_add(ended);
        let share = u64::from(self.config.mass_percent);
        if ended < u64::from(self.config.mass_least)
            || ended.saturating_mul(100) < before.saturating_mul(share)
        {
            return None;
        }
        if self.reset_at.is_none_or(|at| now.since(at) > RESET_APART) {
            self.resets.rotate_right(1);
            self.resets[0] = Some(now);
        }
        self.reset_at = Some(now);
        if self.open < ended && self.held.is_none() {
            self.reset = true;
            self.fact = None;
            self.void = self.void.max(Some(now));
        }
        Some((Cause::MassReset, format!("one of {ended} of {before} sessions that ended within a second")))
    }

    /// Whether sessions are dropped instead of served.
    fn dropped(&mut self, now: Mono, close: &SessionClose, words: &mut Words) -> Option<(Cause, String)> {
        let stay = self.drops.end(now, close, self.config.settle);
        let age = || short(close.age);
        let young = self.drops.young as usize >= PATTERN;
        if stay != Stay::Other && self.drops.short as usize >= PATTERN && !self.serves(now, false) {
            let cause = if young { Cause::DroppedAtOnce } else { close.cause.unwrap_or(Cause::SessionLost) };
            let times = self.drops.short;
            self.charge(now, Charge::Dropped(cause));
            words.reachable(self, cause, || {
                let said = clip(&close.message, MAX_MESSAGE / 2);
                format!("{times} sessions in a row did not stay, the last ended after {}: {said}", age())
            });
        }
        match stay {
            Stay::Dropped(times) if times as usize >= PATTERN => Some((
                Cause::DroppedAtOnce,
                format!(
                    "accepted and dropped at once, {times} times in a row from this peer (now after {})",
                    age()
                ),
            )),
            Stay::Dropped(_) | Stay::Short | Stay::Other => None,
        }
    }

    /// Whether an idle limit cut it.
    fn cut(
        &mut self,
        now: Mono,
        close: &SessionClose,
        mass: bool,
        words: &mut Words,
    ) -> Option<(Cause, String)> {
        self.outlived(close.silent_for);
        if !silent_end(close) {
            return None;
        }
        let pattern = !mass && self.silences.learn(now, close.silent_for);
        let agrees = |limit: &Limit| agree(close.silent_for, limit.silence);
        match (&mut self.limit, pattern) {
            (Some(limit), _) if agrees(limit) => limit.cut(now),
            (limit, true) => *limit = Some(Limit::new(close.silent_for, now)),
            (Some(_) | None, false) => return None,
        }
        let limit = self.limit.as_mut()?;
        let (cuts, silence) = (u64::from(limit.recent(now)), short(limit.silence));
        let share = u64::from(self.config.mass_percent);
        let share = self.open.saturating_add(1).saturating_mul(share);
        let standing = self.held.is_some_and(|held| held.charge == Charge::Cut);
        // What stands falls only below half the share, so that it does not flutter about the limit.
        let cuts_percent = cuts.saturating_mul(if standing { 200 } else { 100 });
        if cuts_percent >= share {
            self.charge(now, Charge::Cut);
            let open = self.open;
            words.reachable(self, Cause::IdleCut, || {
                format!("cut after {silence} of silence, {cuts} of late ({open} are open): an idle timeout on the way")
            });
        }
        Some((Cause::IdleCut, format!("cut after {silence} of silence: an idle timeout on the way")))
    }

    /// A silence as long as this: does it refute the limit?
    pub(super) fn outlived(&mut self, silence: Duration) {
        if self.limit.is_some_and(|limit| silence >= limit.outlived()) {
            self.limit = None;
            self.silences.forget();
            self.acquit_of(|charge| charge == Charge::Cut);
        }
    }
}
