//! Where on a ladder a case stands, and which step is the next that can be taken.
//!
//! A case's place is a step and the tries used up on it. It belongs to the ladder of the cause the case had when it was
//! last moved. When the cause changes during the same sickness (a missed heartbeat, and after the reconnect a
//! handshake that times out) the place is carried over *by strength*: to the first step of the new ladder that is at
//! least as strong as the step the case stands on. So climbing never starts anew because a fault shows another face,
//! and two causes that alternate cannot make a case circle.

use crate::order::Action;
use crate::planner::Abilities;
use crate::policy::{Rung, RungAction};

/// A place on a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Index of the step; the ladder's length when it is used up.
    pub step: u32,
    /// Tries used up on that step.
    pub tries: u32,
}

/// A step of a ladder as people count: "step 2 of 4, try 1 of 2".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RungAt {
    /// Which step, from 1.
    pub step: u32,
    /// Of how many.
    pub of: u32,
    /// Which try on it, from 1.
    pub attempt: u32,
    /// Of how many.
    pub times: u32,
}

impl std::fmt::Display for RungAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {} of {}, try {} of {}", self.step, self.of, self.attempt, self.times)
    }
}

/// How strong a step is: the order in which causes that change are carried over.
fn strength(action: RungAction) -> u8 {
    match action {
        RungAction::Reconnect => 0,
        RungAction::ReconnectSlowly => 1,
        RungAction::RestartInstance => 2,
        RungAction::RestartGateway => 3,
        RungAction::CallHuman => 4,
    }
}

/// Carries a place from one ladder to another.
pub(super) fn carry(place: Place, from: &[Rung], to: &[Rung]) -> Place {
    if from == to {
        return place;
    }
    let end = Place { step: index(to.len()), tries: 0 };
    let Some(stands_on) = from.get(place.step as usize).map(|r| r.action) else {
        // Used up, or never on a ladder at all (then the place is the beginning, and so it is here).
        return if place == Place::default() { place } else { end };
    };
    match to.iter().position(|r| strength(r.action) >= strength(stands_on)) {
        None => end,
        Some(i) if to[i].action != stands_on => Place { step: index(i), tries: 0 },
        Some(i) => counted(Place { step: index(i), tries: place.tries }, to),
    }
}

/// Moves on to the next step once the tries of the present one are used up.
pub(super) fn counted(place: Place, ladder: &[Rung]) -> Place {
    match ladder.get(place.step as usize) {
        Some(rung) if place.tries >= rung.times => Place { step: place.step + 1, tries: 0 },
        Some(_) | None => place,
    }
}

fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}

/// What a walk up the ladder finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A step that can be taken.
    Step { index: u32, action: Action, at: RungAt },
    /// None is left.
    End(End),
}

/// Why no step is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that could be tried was tried, or the ladder says to call a human.
    Done,
    /// Nothing of it is configured on the agent.
    NothingConfigured,
    /// Restarting the gateway is left, and would interrupt more instances than are sick.
    OthersHealthy,
}

/// A walk up a ladder: of an instance, or of a gateway.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) ladder: &'a [Rung],
    pub(super) abilities: Abilities,
    /// Where the instance stands; `None`: steps on instances are not looked at.
    pub(super) instance: Option<Place>,
    /// Where the gateway stands, for steps that restart it.
    pub(super) gateway: Place,
    /// Whether enough instances are sick for the gateway to be restarted.
    pub(super) may_restart_gateway: bool,
}

impl Walk<'_> {
    /// The next step that can be taken, and in words what was skipped on the way.
    pub(super) fn next(&self) -> (Found, Vec<String>) {
        let mut skipped = Vec::new();
        let (mut unable, mut harmful) = (false, false);
        let mut used_up = false;
        for (i, rung) in (0u32..).zip(self.ladder) {
            let Some(action) = rung.action.action() else {
                break;
            };
            let place = if action.on_gateway() { Some(self.gateway) } else { self.instance };
            let Some(place) = place else {
                continue;
            };
            let tries = if place.step == i { place.tries } else { 0 };
            if place.step > i || tries >= rung.times {
                used_up = true;
            } else if !self.abilities.can(action) {
                unable = true;
                skipped.push(format!("{action} (nothing configured)"));
            } else if action.on_gateway() && !self.may_restart_gateway {
                harmful = true;
                skipped.push(format!("{action} (fewer than half of its instances need it)"));
            } else {
                let at = RungAt {
                    step: i + 1,
                    of: index(self.ladder.len()),
                    attempt: tries + 1,
                    times: rung.times,
                };
                return (Found::Step { index: i, action, at }, skipped);
            }
        }
        let end = match (harmful, unable && !used_up) {
            (true, _) => End::OthersHealthy,
            (false, true) => End::NothingConfigured,
            (false, false) => End::Done,
        };
        (Found::End(end), skipped)
    }
}

/// Whether a ladder restarts the gateway before it calls a human.
pub(super) fn reaches_gateway(ladder: &[Rung]) -> bool {
    ladder.iter().map_while(|r| r.action.action()).any(Action::on_gateway)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RungAction::{CallHuman, Reconnect, ReconnectSlowly, RestartGateway, RestartInstance};

    fn ladder(steps: &[(RungAction, u32)]) -> Vec<Rung> {
        steps.iter().map(|(action, times)| Rung { action: *action, times: *times }).collect()
    }

    fn at(step: u32, tries: u32) -> Place {
        Place { step, tries }
    }

    #[test]
    fn a_change_of_ladder_carries_over_by_strength() {
        let soft = ladder(&[(Reconnect, 2), (ReconnectSlowly, 1), (RestartInstance, 1), (RestartGateway, 2)]);
        let hard = ladder(&[(RestartInstance, 2), (RestartGateway, 2)]);
        let slow = ladder(&[(ReconnectSlowly, 3)]);
        for (from, place, to, want) in [
            (&soft, at(0, 0), &hard, at(0, 0)),
            (&soft, at(1, 0), &hard, at(0, 0)),
            (&soft, at(3, 1), &hard, at(1, 1)),
            (&soft, at(4, 0), &hard, at(2, 0)),
            (&hard, at(0, 0), &soft, at(2, 0)),
            // One try of RestartInstance is all the soft ladder allows: the next step is due.
            (&hard, at(0, 1), &soft, at(3, 0)),
            (&hard, at(0, 1), &slow, at(1, 0)),
            (&slow, at(0, 2), &soft, at(2, 0)),
            (&soft, at(2, 0), &soft, at(2, 0)),
        ] {
            assert_eq!(carry(place, from, to), want, "{place:?} from {from:?} to {to:?}");
        }
        assert_eq!(
            carry(at(0, 0), &[], &soft),
            at(0, 0),
            "a case opened for a cause without a ladder begins"
        );
        assert_eq!(
            carry(at(2, 0), &[], &soft),
            at(4, 0),
            "a ladder that was deleted from the policy is used up"
        );
    }

    #[test]
    fn a_walk_skips_what_cannot_be_done_and_stops_at_the_human() {
        let steps = ladder(&[(Reconnect, 1), (RestartInstance, 1), (CallHuman, 1), (RestartGateway, 1)]);
        let all = Abilities {
            reconnect: true,
            restart_instance: true,
            restart_gateway: true,
            ..Abilities::default()
        };
        let walk = |abilities, place| Walk {
            ladder: &steps,
            abilities,
            instance: Some(place),
            gateway: Place::default(),
            may_restart_gateway: true,
        };
        let step = |index, action| {
            let at = RungAt { step: index + 1, of: 4, attempt: 1, times: 1 };
            (Found::Step { index, action, at }, vec![])
        };
        assert_eq!(walk(all, at(0, 0)).next(), step(0, Action::Reconnect));
        assert_eq!(walk(all, at(1, 0)).next(), step(1, Action::RestartInstance));
        assert_eq!(walk(all, at(2, 0)).next(), (Found::End(End::Done), vec![]));
        let restarts = Abilities { reconnect: false, ..all };
        let (found, skipped) = walk(restarts, at(0, 0)).next();
        assert_eq!((found, skipped.len()), (step(1, Action::RestartInstance).0, 1));
        assert_eq!(walk(Abilities::default(), at(0, 0)).next().0, Found::End(End::NothingConfigured));
        assert!(!reaches_gateway(&steps));
    }
}
