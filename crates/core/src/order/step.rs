//! The order machine: one function from (order, now, event) to effects. The shell stores the order and obeys the effects.
//!
//! | state \ event | sent | accepted | started | done⁶ | failed | refused | expired¹ | seen² | recovered³ | cancel | tick |
//! |---|---|---|---|---|---|---|---|---|---|---|---|
//! | pending | **dispatched** | **accepted** | **running** | **verifying** | **failed** | **refused** | **expired** | – | **cancelled** | **cancelled** | **expired** after `expires_at` |
//! | dispatched | – | **accepted** | **running** | **verifying** | **failed** | **refused** | **expired** | – | **cancelled** | **cancelled** | **expired** after `expires_at` + [`DELIVERY_MARGIN`] |
//! | accepted | – | – | **running** | **verifying** | **failed** | **refused** | illegal | – | – | illegal | **failed** at deadline |
//! | running | – | – | – | **verifying** | **failed** | illegal | illegal | – | – | illegal | **failed** at deadline |
//! | verifying | – | – | – | – | illegal | illegal | illegal | **succeeded** | – | illegal | **failed** at deadline |
//! | ended | illegal | –⁴ | –⁴ | –⁴ | –⁴ | – | – | – | – | illegal⁵ | – |
//!
//! ⁶ **succeeded** at once for orders that their receipt proves (closing sessions): the executor itself looked.
//! ¹ The agent's word that the order came too late. ² Only the expected condition, True, since the execution began.
//! ³ Only the planner's orders: an operator gets what was asked for. ⁴ Except that an expired or cancelled order notes,
//! once, that the agent carried it out all the same ([`Effect::Late`]). ⁵ Cancelling what is cancelled does nothing.
//!
//! A dash means: nothing changes and nothing is wrong. Receipts are delivered at least once, possibly late and with
//! earlier ones lost, so a receipt that says what is already so, or less, is a dash, and a receipt that says more jumps
//! forward. Illegal is what contradicts: it changes nothing either, but somebody should read about it.
//!
//! **Why the clocks differ.** Deadlines are the controller's; `started_at` is the agent's, and so is the time a
//! condition has held since. Verification compares these two and no others, so a skewed host verifies nothing wrongly.
//! It relies on agents judging the conditions of a target under an order anew ([`Cause::UnderRepair`] meanwhile): a
//! condition that stayed True all along has a `since` from before, and would prove nothing.
//!
//! **Why an agent that vanishes needs no event.** Its durable ledger answers for orders it had accepted ("died while
//! carrying it out") as an ordinary failed receipt; should it never come back, the deadline set on acceptance ends the
//! order. The allowance is `verify_within` + 2 × `verify_within` for the execution ([`execution_allowance`]), counted
//! once from acceptance and once more from the start. With ticks in time ([`Order::due`]) an order ends at most
//! `order_ttl` + margin + 7 × `verify_within` after it was made. Where the tick is late (no controller was up), a receipt
//! that comes first is believed: better the truth than the clock.
//!
//! [`Cause::UnderRepair`]: crate::cause::Cause::UnderRepair

use std::time::Duration;

use crate::condition::{ConditionKind, Status};
use crate::id::{Fence, OrderId};
use crate::limits::{MAX_MESSAGE, MAX_OUTPUT_TAIL, clip};
use crate::order::{Order, Origin, Proposal, Receipt, Stage, State};
use crate::policy::Policy;
use crate::time::{Timestamp, human};

/// How long after its expiry a sent order is still waited for: the agent may have accepted it in the last moment, and
/// the receipt takes its time.
pub const DELIVERY_MARGIN: Duration = Duration::from_secs(10);

/// How long an accepted order may go without further news: twice the verify time to carry it out, once to see the
/// effect.
#[must_use]
pub fn execution_allowance(verify_within: Duration) -> Duration {
    verify_within.saturating_mul(3)
}

/// Something that happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The dispatcher is about to put it on the wire. Recorded first: where this is illegal (the order was cancelled
    /// meanwhile), nothing may be sent.
    Sent,
    /// The agent says something.
    Receipt(Receipt),
    /// A condition of the target as it now is. For an order on a gateway the caller sums its instances up.
    Seen {
        /// Which condition.
        condition: ConditionKind,
        /// What it is.
        status: Status,
        /// Since when, by the agent's clock.
        since: Timestamp,
    },
    /// The target became healthy by itself.
    Recovered,
    /// Time has passed.
    Tick,
    /// Somebody wants it taken back.
    Cancel {
        /// Who, and if they said so, why.
        by: String,
    },
}

impl Event {
    /// What happened, in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Receipt(r) => match r.stage {
                Stage::Accepted => "receipt accepted",
                Stage::Started => "receipt started",
                Stage::Done => "receipt done",
                Stage::Failed => "receipt failed",
                Stage::Refused => "receipt refused",
                Stage::Expired => "receipt expired",
            },
            Self::Seen { .. } => "seen",
            Self::Recovered => "recovered",
            Self::Tick => "tick",
            Self::Cancel { .. } => "cancel",
        }
    }
}

/// What follows from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The state changed: store it, tell watchers, count it.
    Changed {
        /// From.
        from: State,
        /// To.
        to: State,
    },
    /// Feed [`Event::Seen`] with the expected condition as it is now: a fast restart may have been seen to succeed
    /// before its receipt came.
    CheckNow,
    /// The order had been given up, and the agent carried it out all the same. Noted in the outcome; store it.
    Late {
        /// How far the agent got.
        stage: Stage,
    },
}

/// An event that contradicts the order's state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the order is {state}, `{event}` does not fit: {why}")]
pub struct Illegal {
    /// The state the order is in.
    pub state: State,
    /// What happened.
    pub event: &'static str,
    /// Why that cannot be.
    pub why: String,
}

impl Order {
    /// How long this order may go without further news: [`execution_allowance`], and the time over which it is to be
    /// spread.
    #[must_use]
    pub fn allowance(&self) -> Duration {
        execution_allowance(self.verify_within).saturating_add(self.proposal.spread.unwrap_or_default())
    }

    /// A new order, pending, as a proposal becomes when the gates have let it pass.
    #[must_use]
    pub fn new(id: OrderId, proposal: Proposal, fence: Fence, now: Timestamp, policy: &Policy) -> Self {
        Self {
            id,
            proposal,
            fence,
            state: State::Pending,
            created_at: now,
            expires_at: now.after(policy.order_ttl),
            verify_within: policy.verify_within,
            accepted_at: None,
            started_at: None,
            deadline: None,
            ended_at: None,
            outcome: String::new(),
            output: String::new(),
            version: 1,
        }
    }

    /// When a [`Event::Tick`] will change something if nothing else happens first; `None` for an ended order.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Pending => Some(self.expires_at),
            State::Dispatched => Some(self.expires_at.after(DELIVERY_MARGIN)),
            State::Accepted | State::Running | State::Verifying => {
                let since = self.accepted_at.unwrap_or(self.created_at);
                Some(self.deadline.unwrap_or_else(|| since.after(self.allowance())))
            }
            State::Succeeded | State::Failed | State::Expired | State::Cancelled | State::Refused => None,
        }
    }

    /// Takes one event. See the table of this module's documentation.
    ///
    /// # Errors
    /// [`Illegal`] when the event contradicts the state; the order is then unchanged.
    pub fn step(&mut self, now: Timestamp, event: Event) -> Result<Vec<Effect>, Illegal> {
        let name = event.name();
        match event {
            Event::Sent => self.sent(name),
            Event::Receipt(receipt) => self.receipt(now, name, &receipt),
            Event::Seen { condition, status, since } => Ok(self.seen(now, condition, status, since)),
            Event::Recovered => Ok(self.recovered(now)),
            Event::Tick => Ok(self.tick(now)),
            Event::Cancel { by } => self.cancel(now, name, &by),
        }
    }

    fn sent(&mut self, event: &'static str) -> Result<Vec<Effect>, Illegal> {
        match self.state {
            State::Pending => Ok(vec![self.change(State::Dispatched)]),
            State::Dispatched | State::Accepted | State::Running | State::Verifying => Ok(vec![]),
            State::Succeeded | State::Failed | State::Expired | State::Cancelled | State::Refused => {
                Err(self.illegal(event, "its life is over; it must not be sent"))
            }
        }
    }

    fn receipt(&mut self, now: Timestamp, event: &'static str, r: &Receipt) -> Result<Vec<Effect>, Illegal> {
        if r.order != self.id {
            return Err(self.illegal(event, &format!("the receipt is for order {}", r.order)));
        }
        match (self.state, r.stage) {
            (State::Pending | State::Dispatched, Stage::Accepted) => {
                self.accept(now);
                Ok(vec![self.change(State::Accepted)])
            }
            (State::Pending | State::Dispatched | State::Accepted, Stage::Started) => {
                self.accept(now);
                self.started_at = Some(r.at);
                self.deadline = Some(now.after(self.allowance()));
                Ok(vec![self.change(State::Running)])
            }
            (State::Pending | State::Dispatched | State::Accepted | State::Running, Stage::Done) => {
                self.accept(now);
                if self.proposal.action.proven_by_receipt() {
                    self.started_at.get_or_insert(r.at);
                    self.note_output(r);
                    return Ok(vec![self.end(
                        now,
                        State::Succeeded,
                        said(r, "the agent saw it take effect"),
                    )]);
                }
                // Without a start on record only what is seen after the end is certain to be the order's doing.
                self.started_at.get_or_insert(r.at);
                self.deadline = Some(now.after(self.verify_within));
                self.note_output(r);
                Ok(vec![self.change(State::Verifying), Effect::CheckNow])
            }
            (State::Pending | State::Dispatched | State::Accepted | State::Running, Stage::Failed) => {
                self.note_output(r);
                Ok(vec![self.end(now, State::Failed, said(r, "the agent says that it failed"))])
            }
            (State::Pending | State::Dispatched | State::Accepted, Stage::Refused) => {
                self.note_output(r);
                Ok(vec![self.end(now, State::Refused, said(r, "the agent refused it"))])
            }
            (State::Pending | State::Dispatched, Stage::Expired) => {
                Ok(vec![self.end(now, State::Expired, said(r, "the agent says that it came too late"))])
            }
            (State::Accepted | State::Running | State::Verifying, Stage::Accepted)
            | (State::Running | State::Verifying, Stage::Started)
            | (State::Verifying, Stage::Done) => Ok(vec![]),
            (State::Accepted | State::Running | State::Verifying, Stage::Expired) => {
                Err(self.illegal(event, "the agent had accepted it"))
            }
            (State::Running | State::Verifying, Stage::Refused) => {
                Err(self.illegal(event, "the agent had begun to carry it out"))
            }
            (State::Verifying, Stage::Failed) => {
                Err(self.illegal(event, "the agent had said that it was done"))
            }
            (
                State::Expired | State::Cancelled,
                Stage::Accepted | Stage::Started | Stage::Done | Stage::Failed,
            ) => Ok(self.late(now, r)),
            (State::Expired | State::Cancelled, Stage::Refused | Stage::Expired)
            | (
                State::Succeeded | State::Failed | State::Refused,
                Stage::Accepted
                | Stage::Started
                | Stage::Done
                | Stage::Failed
                | Stage::Refused
                | Stage::Expired,
            ) => Ok(vec![]),
        }
    }

    fn seen(&mut self, now: Timestamp, kind: ConditionKind, status: Status, since: Timestamp) -> Vec<Effect> {
        match self.state {
            State::Verifying => {
                let proves = kind == self.proposal.expect && status == Status::True;
                if proves && self.started_at.is_some_and(|began| since >= began) {
                    vec![self.end(
                        now,
                        State::Succeeded,
                        format!("{kind} was seen True after it was carried out"),
                    )]
                } else {
                    vec![]
                }
            }
            State::Pending
            | State::Dispatched
            | State::Accepted
            | State::Running
            | State::Succeeded
            | State::Failed
            | State::Expired
            | State::Cancelled
            | State::Refused => vec![],
        }
    }

    fn recovered(&mut self, now: Timestamp) -> Vec<Effect> {
        match (self.state, &self.proposal.origin) {
            (State::Pending | State::Dispatched, Origin::Planner) => {
                let why = "the target recovered by itself before it was carried out";
                vec![self.end(now, State::Cancelled, why.to_owned())]
            }
            (State::Pending | State::Dispatched, Origin::Operator(_))
            | (
                State::Accepted
                | State::Running
                | State::Verifying
                | State::Succeeded
                | State::Failed
                | State::Expired
                | State::Cancelled
                | State::Refused,
                Origin::Planner | Origin::Operator(_),
            ) => vec![],
        }
    }

    fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.due().is_none_or(|due| now < due) {
            return vec![];
        }
        let allowed = human::format(self.allowance());
        let (to, why) = match self.state {
            State::Pending => (State::Expired, "it could not be sent before its expiry".to_owned()),
            State::Dispatched => {
                (State::Expired, "it was sent, but the agent did not accept it before its expiry".to_owned())
            }
            State::Accepted => (
                State::Failed,
                format!(
                    "the agent accepted it and was not heard of for {allowed}; not known whether it took effect"
                ),
            ),
            State::Running => (
                State::Failed,
                format!("the agent began and did not end within {allowed}; not known whether it took effect"),
            ),
            State::Verifying => {
                let (kind, time) = (self.proposal.expect, human::format(self.verify_within));
                (State::Failed, format!("it was carried out, but {kind} was not seen True within {time}"))
            }
            State::Succeeded | State::Failed | State::Expired | State::Cancelled | State::Refused => {
                return vec![];
            }
        };
        vec![self.end(now, to, why)]
    }

    fn cancel(&mut self, now: Timestamp, event: &'static str, by: &str) -> Result<Vec<Effect>, Illegal> {
        match self.state {
            State::Pending | State::Dispatched => {
                Ok(vec![self.end(now, State::Cancelled, clip(&format!("cancelled by {by}"), MAX_MESSAGE))])
            }
            State::Cancelled => Ok(vec![]),
            State::Accepted | State::Running | State::Verifying => Err(self.illegal(
                event,
                "the agent may have begun; wait for it to end, or order something else after it",
            )),
            State::Succeeded | State::Failed | State::Expired | State::Refused => {
                Err(self.illegal(event, "its life is over"))
            }
        }
    }

    /// The agent carried out what had been given up here (its acceptance was on the way): the record must say so, or
    /// the restart would be missing from the budget.
    fn late(&mut self, now: Timestamp, r: &Receipt) -> Vec<Effect> {
        if self.accepted_at.is_some() {
            return vec![];
        }
        self.accepted_at = Some(now);
        if matches!(r.stage, Stage::Started | Stage::Done) {
            self.started_at = Some(r.at);
        }
        self.note_output(r);
        let more = said(r, "no more was said");
        self.outcome = clip(
            &format!("{}; the agent took it all the same ({}: {more})", self.outcome, r.stage),
            MAX_MESSAGE,
        );
        self.version += 1;
        vec![Effect::Late { stage: r.stage }]
    }

    fn accept(&mut self, now: Timestamp) {
        if self.accepted_at.is_none() {
            self.accepted_at = Some(now);
            self.deadline = Some(now.after(self.allowance()));
        }
    }

    fn note_output(&mut self, r: &Receipt) {
        if !r.output.is_empty() {
            self.output = clip(&r.output, MAX_OUTPUT_TAIL);
        }
    }

    fn change(&mut self, to: State) -> Effect {
        let from = std::mem::replace(&mut self.state, to);
        self.version += 1;
        Effect::Changed { from, to }
    }

    fn end(&mut self, now: Timestamp, to: State, outcome: String) -> Effect {
        self.ended_at = Some(now);
        self.deadline = None;
        self.outcome = outcome;
        self.change(to)
    }

    fn illegal(&self, event: &'static str, why: &str) -> Illegal {
        Illegal { state: self.state, event, why: why.to_owned() }
    }
}

/// What the receipt says, or `otherwise` where it says nothing.
fn said(r: &Receipt, otherwise: &str) -> String {
    if r.message.is_empty() { otherwise.to_owned() } else { clip(&r.message, MAX_MESSAGE) }
}
