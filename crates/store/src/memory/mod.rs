//! The store in memory: for the simulation and for unit tests.
//!
//! One mutex around plain maps: every call is one indivisible step, which is the strictest reading of "one transaction",
//! so nothing can pass here by luck of timing that Postgres would refuse. It keeps nothing when dropped.
//!
//! Two faults can be switched on, since they are what a database does to its users: it is away
//! ([`MemoryStore::set_away`]), and it does what it was asked but the answer is lost
//! ([`MemoryStore::set_answers_lost`]), which is what a connection that breaks during COMMIT looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use mooring_core::condition::{Condition, ConditionKind};
use mooring_core::gate::{Gate, Pause};
use mooring_core::id::{AgentId, GatewayRef, InstanceRef, OrderId, PolicyId, Target};
use mooring_core::order::Order;
use mooring_core::planner::Case;
use mooring_core::policy::StoredPolicy;
use mooring_core::time::Timestamp;
use uuid::Uuid;

use crate::{
    AgentRecord, CountsRecord, EventRecord, GatewayRecord, InstanceRecord, NewClose, NewEvent, Refusal,
    StoreError,
};

mod agents;
mod events;
mod orders;
mod rules;
mod sessions;

type Result<T> = std::result::Result<T, StoreError>;

/// The store in memory. See the module's documentation.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    away: bool,
    answers_lost: bool,
    state: State,
}

#[derive(Debug)]
struct StoredOrder {
    order: Order,
    group: PolicyId,
}

#[derive(Debug)]
struct StoredPause {
    pause: Pause,
    request_id: Option<String>,
    ended: bool,
}

#[derive(Debug, Default)]
struct State {
    agents: BTreeMap<AgentId, AgentRecord>,
    gateways: BTreeMap<GatewayRef, GatewayRecord>,
    instances: BTreeMap<InstanceRef, InstanceRecord>,
    conditions: BTreeMap<(InstanceRef, ConditionKind), Condition>,
    orders: BTreeMap<OrderId, StoredOrder>,
    live: BTreeSet<OrderId>,
    refusals: BTreeMap<(Target, Gate), Refusal>,
    cases: BTreeMap<Target, Case>,
    policies: BTreeMap<PolicyId, StoredPolicy>,
    pauses: BTreeMap<(Timestamp, Uuid), StoredPause>,
    events: BTreeMap<i64, NewEvent>,
    session_counts: BTreeMap<GatewayRef, CountsRecord>,
    closes: BTreeMap<i64, NewClose>,
    // Counters are of the whole store: what was deleted and made anew never repeats an old number.
    last_event: i64,
    last_close: i64,
    last_fence: u64,
    last_policy_version: u64,
}

impl State {
    fn remember(&mut self, event: &NewEvent) {
        self.last_event += 1;
        self.events.insert(self.last_event, event.clone());
    }

    fn event(&self, number: i64) -> EventRecord {
        EventRecord { number, event: self.events[&number].clone() }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// While away, every call answers [`StoreError::Away`] and does nothing.
    pub fn set_away(&self, away: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).away = away;
    }

    /// While answers are lost, every call does what it should and answers [`StoreError::Away`] all the same.
    pub fn set_answers_lost(&self, lost: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).answers_lost = lost;
    }

    fn run<T>(&self, step: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.away {
            return Err(StoreError::Away("switched off by the test".to_owned()));
        }
        let answer = step(&mut inner.state);
        if inner.answers_lost {
            return Err(StoreError::Away("the answer was lost".to_owned()));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentStore, Attach, EventStore};
    use mooring_core::id::BootId;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Nothing in this store waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => unreachable!("the store in memory never waits"),
        }
    }

    #[test]
    fn away_does_nothing_and_a_lost_answer_does_it_all_the_same() {
        let store = MemoryStore::new();
        let attach = Attach {
            agent: AgentId::new("a").unwrap(),
            boot: BootId(Uuid::from_u128(1)),
            node: String::new(),
            version: String::new(),
            now: Timestamp(1),
        };
        store.set_away(true);
        assert!(matches!(now(store.attach(&attach)), Err(StoreError::Away(_))));
        assert!(matches!(now(store.ping()), Err(StoreError::Away(_))));
        store.set_away(false);
        assert!(now(store.agents()).unwrap().is_empty());
        store.set_answers_lost(true);
        assert!(matches!(now(store.attach(&attach)), Err(StoreError::Away(_))));
        store.set_answers_lost(false);
        assert_eq!(now(store.agents()).unwrap()[0].epoch, 1);
    }
}
