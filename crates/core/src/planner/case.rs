//! Cases: the memory of one target's sickness, from the first sighting until it has been stable.
//!
//! One case per target. An instance's case counts the orders on the instance, a gateway's the orders on the gateway;
//! the planner reads both. What the rules are:
//!
//! - **Only stability closes a case**: `stable_for` of health without interruption (what is not known is not health).
//!   A first sign of health changes nothing, and a succeeded order is a used-up try like any other; a target that
//!   comes back for a second after each order climbs.
//! - **A try is an order that may have been carried out or that the agent could not take**: succeeded, failed, expired,
//!   refused. A cancelled order is none.
//! - **Backoff** after n tries is drawn from `[base / 2, min(cap, base × 2ⁿ)]` (full jitter with a floor). It counts
//!   all tries of the case, so that it neither shrinks with a new step nor with a new cause.
//! - **A change of cause** keeps tries, backoff and height: the place is carried to the new cause's ladder by strength
//!   (see [`Place`]). A cause without a ladder (one to wait for or to call a human for) leaves the place alone, so that
//!   coming back from it does not begin anew.
//! - **A human is called once per case**; somebody who was called looks at the target as it then is.
//!
//! Operators' orders are not the case's: they use up no tries.

use std::time::Duration;

use rand::Rng;

use crate::backoff::between;
use crate::cause::Cause;
use crate::id::{OrderId, Target};
use crate::kind::Kind;
use crate::limits::MAX_CASE_TRIES;
use crate::order::State;
use crate::planner::ladder::{Place, carry, counted};
use crate::policy::{BackoffPolicy, Policy};
use crate::time::Timestamp;

/// The memory of one target's sickness. All times are the controller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Whose.
    pub target: Target,
    /// The cause whose ladder `step` counts on: the last one seen that has a ladder, or else the first one seen.
    pub cause: Cause,
    /// When the target was first seen sick.
    pub opened_at: Timestamp,
    /// Index of the step it stands on; the ladder's length when it is used up.
    pub step: u32,
    /// Tries used up on this step.
    pub tries: u32,
    /// Tries in all: the backoff's exponent.
    pub attempts: u32,
    /// No order before this (backoff).
    pub not_before: Timestamp,
    /// Since when it has been healthy without interruption; `None` while sick or unknown.
    pub healthy_since: Option<Timestamp>,
    /// When a human was called.
    pub human_called_at: Option<Timestamp>,
    /// The planner's order whose end has not been counted yet.
    pub last_order: Option<OrderId>,
}

/// What happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseEvent {
    /// The target is sick.
    SickSeen {
        /// Why, at the moment.
        cause: Cause,
    },
    /// The target is healthy. To be repeated while it is: that is what closes the case.
    HealthySeen,
    /// Nothing is known of the target, or it is flapping: that is neither sickness nor health.
    UnknownSeen,
    /// The planner's order was made.
    OrderMade {
        /// Which.
        id: OrderId,
        /// For which cause.
        cause: Cause,
        /// Index of the step in that cause's ladder.
        step: u32,
    },
    /// An order on the target has ended. Others than the one that was made are ignored, and so are repetitions.
    OrderEnded {
        /// Which.
        id: OrderId,
        /// How.
        state: State,
    },
    /// A human was called.
    HumanCalled,
}

/// What an event did to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CaseChange {
    /// Nothing that need be stored.
    Unchanged,
    /// Store it.
    Changed,
    /// It is over: forget it.
    Closed,
}

impl Case {
    /// Opens a case.
    #[must_use]
    pub fn open(target: Target, cause: Cause, now: Timestamp) -> Self {
        Self {
            target,
            cause,
            opened_at: now,
            step: 0,
            tries: 0,
            attempts: 0,
            not_before: now,
            healthy_since: None,
            human_called_at: None,
            last_order: None,
        }
    }

    /// Takes one event. `kind` is the gateway's: it chooses the ladder. `rng` is drawn from only when a try is counted.
    pub fn step(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        kind: Kind,
        event: CaseEvent,
        rng: &mut impl Rng,
    ) -> CaseChange {
        match event {
            CaseEvent::SickSeen { cause } => self.sick(now, policy, kind, cause),
            CaseEvent::HealthySeen => self.healthy(now, policy.stable_for),
            CaseEvent::UnknownSeen => changed(self.healthy_since.take().is_some()),
            CaseEvent::OrderMade { id, cause, step } => {
                let place = self.place(policy, kind, cause);
                self.cause = cause;
                self.tries = if place.step == step { place.tries } else { 0 };
                self.step = step;
                self.last_order = Some(id);
                CaseChange::Changed
            }
            CaseEvent::OrderEnded { id, state } => self.order_ended(now, policy, kind, (id, state), rng),
            CaseEvent::HumanCalled => {
                let first = self.human_called_at.is_none();
                self.human_called_at.get_or_insert(now);
                changed(first)
            }
        }
    }

    /// Where the case stands on the ladder of a cause, which need not be the one it was last moved for.
    #[must_use]
    pub fn place(&self, policy: &Policy, kind: Kind, cause: Cause) -> Place {
        let place = Place { step: self.step, tries: self.tries };
        carry(place, policy.steps(self.cause, kind), policy.steps(cause, kind))
    }

    /// Whether so much was tried that no ladder counts any more. Ladders end long before; this ends what a policy
    /// whose ladders lead from strong steps to weak ones could do with causes that alternate.
    #[must_use]
    pub fn worn_out(&self) -> bool {
        self.attempts >= MAX_CASE_TRIES
    }

    fn sick(&mut self, now: Timestamp, policy: &Policy, kind: Kind, cause: Cause) -> CaseChange {
        let ended_run = self.healthy_since.take();
        if ended_run.is_some_and(|since| now.since(since) >= policy.stable_for) {
            // It was stable, only nobody asked meanwhile: this is a new sickness.
            *self = Self::open(self.target.clone(), cause, now);
            return CaseChange::Changed;
        }
        let moves = cause != self.cause && !policy.steps(cause, kind).is_empty();
        if moves {
            let place = self.place(policy, kind, cause);
            (self.step, self.tries, self.cause) = (place.step, place.tries, cause);
        }
        changed(moves || ended_run.is_some())
    }

    fn healthy(&mut self, now: Timestamp, stable_for: Duration) -> CaseChange {
        let first = self.healthy_since.is_none();
        let since = *self.healthy_since.get_or_insert(now);
        if now.since(since) >= stable_for {
            return CaseChange::Closed;
        }
        changed(first)
    }

    fn order_ended(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        kind: Kind,
        (id, state): (OrderId, State),
        rng: &mut impl Rng,
    ) -> CaseChange {
        let is_try = match state {
            State::Succeeded | State::Failed | State::Expired | State::Refused => true,
            State::Cancelled => false,
            State::Pending | State::Dispatched | State::Accepted | State::Running | State::Verifying => {
                return CaseChange::Unchanged;
            }
        };
        if self.last_order != Some(id) {
            return CaseChange::Unchanged;
        }
        self.last_order = None;
        if is_try {
            self.attempts = self.attempts.saturating_add(1);
            let tried = Place { step: self.step, tries: self.tries.saturating_add(1) };
            let place = counted(tried, policy.steps(self.cause, kind));
            (self.step, self.tries) = (place.step, place.tries);
            self.not_before = now.after(delay(&policy.backoff, self.attempts, rng));
        }
        CaseChange::Changed
    }
}

fn changed(yes: bool) -> CaseChange {
    if yes { CaseChange::Changed } else { CaseChange::Unchanged }
}

/// The pause before try `n`, from 1.
fn delay(policy: &BackoffPolicy, n: u32, rng: &mut impl Rng) -> Duration {
    let ceiling = policy.base.saturating_mul(1 << n.min(31)).min(policy.cap);
    between((policy.base / 2).min(ceiling), ceiling, rng)
}
