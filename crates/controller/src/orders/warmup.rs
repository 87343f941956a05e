//! After its start a controller does not know its fleet yet: until most agents are back it orders nothing destructive.
//!
//! It waits for 95 % of the agents that the database knew as attached, or until max(30 s, 2 × agents ÷ 50/s + 3 beats)
//! has passed: computed from the fleet's size, since a fixed time is too long for small fleets and too short for large
//! ones (Nomad's 5 min, which its own documentation calls unsafe at 10,000 clients).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mooring_core::gate::Warming;
use mooring_core::id::AgentId;
use mooring_core::time::Timestamp;

use crate::fleet::{Fleet, Presence};
use crate::link::BEATS_PER_SECOND;

/// Least time.
const LEAST: Duration = Duration::from_secs(30);
/// Share of the agents that must be back, percent.
const ENOUGH: usize = 95;

/// Whether the controller is still warming up. Once it is warm it stays so.
#[derive(Debug, Clone)]
pub struct Warmup {
    expected: Arc<Vec<AgentId>>,
    until: Timestamp,
    warm: Arc<Mutex<bool>>,
}

impl Warmup {
    /// Begins with the agents that were attached when the last controller wrote to the database.
    #[must_use]
    pub fn begin(fleet: &Fleet, beat: Duration, now: Timestamp) -> Self {
        let state = fleet.read();
        let expected: Vec<AgentId> = state
            .agents()
            .filter(|a| !matches!(a.presence, Presence::Offline(_)))
            .map(|a| a.record.id.clone())
            .collect();
        let by_rate = Duration::from_millis(2_000 * expected.len() as u64 / BEATS_PER_SECOND) + beat * 3;
        Self {
            until: now.after(by_rate.max(LEAST)),
            expected: Arc::new(expected),
            warm: Arc::new(Mutex::new(false)),
        }
    }

    /// How far it has come; `None` once it is warm.
    #[must_use]
    pub fn state(&self, fleet: &Fleet, now: Timestamp) -> Option<Warming> {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if *warm {
            return None;
        }
        let state = fleet.read();
        let online = |id: &&AgentId| state.agent(id).is_some_and(|a| a.presence == Presence::Online);
        let back = self.expected.iter().filter(online).count();
        if back * 100 >= ENOUGH * self.expected.len() || now >= self.until {
            *warm = true;
            return None;
        }
        Some(Warming {
            back: u32::try_from(back).unwrap_or(u32::MAX),
            known: u32::try_from(self.expected.len()).unwrap_or(u32::MAX),
            until: self.until,
        })
    }
}
