//! What is kept of sessions: numbers, and how they ended.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use mooring_core::id::GatewayRef;
use mooring_core::time::Timestamp;

use super::{MemoryStore, Result, State};
use crate::rules::CLOSES_KEPT;
use crate::{Changes, CloseRecord, CountsRecord, SessionScope, SessionStore};

#[async_trait]
impl SessionStore for MemoryStore {
    async fn closes_before(
        &self,
        scope: &SessionScope,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<CloseRecord>> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.run(|s| {
            let newest = s.closes.range((Bound::Unbounded, end)).rev();
            newest
                .filter(|(_, new)| scope.holds(&new.gateway))
                .take(limit as usize)
                .map(|(number, new)| CloseRecord {
                    number: *number,
                    gateway: new.gateway.clone(),
                    close: new.close.clone(),
                })
                .collect()
        })
    }

    async fn session_counts(
        &self,
        scope: &SessionScope,
        after: Option<&GatewayRef>,
        limit: u32,
    ) -> Result<Vec<CountsRecord>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.run(|s| {
            let later = s.session_counts.range((start, Bound::Unbounded)).map(|(_, counts)| counts);
            later.filter(|counts| scope.holds(&counts.gateway)).take(limit as usize).cloned().collect()
        })
    }
}

impl State {
    pub(super) fn apply_sessions(&mut self, changes: &Changes) {
        for counts in &changes.session_counts {
            if self.knows_gateway(&counts.gateway) {
                self.session_counts.insert(counts.gateway.clone(), counts.clone());
            }
        }
        for new in &changes.session_closes {
            if self.knows_gateway(&new.gateway) {
                self.last_close += 1;
                self.closes.insert(self.last_close, new.clone());
            }
        }
    }

    pub(super) fn forget_sessions(&mut self, gateway: &GatewayRef) {
        self.session_counts.remove(gateway);
        self.closes.retain(|_, new| new.gateway != *gateway);
    }

    pub(super) fn prune_closes(&mut self, oldest: Timestamp) {
        let mut kept: BTreeMap<GatewayRef, usize> = BTreeMap::new();
        let mut gone: Vec<i64> = Vec::new();
        for (number, new) in self.closes.iter().rev() {
            let kept = kept.entry(new.gateway.clone()).or_default();
            *kept += 1;
            if *kept > CLOSES_KEPT || new.close.at < oldest {
                gone.push(*number);
            }
        }
        for number in gone {
            self.closes.remove(&number);
        }
    }
}
