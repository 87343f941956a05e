//! Policies and pauses: the rules operators set.

use async_trait::async_trait;
use mooring_core::gate::Pause;
use mooring_core::id::PolicyId;
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_core::time::Timestamp;
use uuid::Uuid;

use super::{MemoryStore, Result, State, StoredPause};
use crate::{NewEvent, NewPause, PauseStore, PolicyChange, PolicyStore};

#[async_trait]
impl PolicyStore for MemoryStore {
    async fn policies(&self) -> Result<Vec<StoredPolicy>> {
        self.run(|s| s.policies.values().cloned().collect())
    }

    async fn put_policy(
        &self,
        id: &PolicyId,
        policy: &Policy,
        expected: Option<u64>,
        event: &NewEvent,
    ) -> Result<PolicyChange> {
        self.run(|s| {
            match (s.policies.get(id).map(|p| p.version), expected) {
                (None, Some(_)) => return PolicyChange::Missing,
                (Some(version), expected) if expected != Some(version) => {
                    return PolicyChange::OtherVersion(version);
                }
                _ => {}
            }
            s.last_policy_version += 1;
            let version = s.last_policy_version;
            let stored = StoredPolicy { id: id.clone(), policy: policy.clone(), version, from_file: false };
            s.policies.insert(id.clone(), stored.clone());
            s.remember(event);
            PolicyChange::Done(Box::new(stored))
        })
    }

    async fn delete_policy(&self, id: &PolicyId, expected: u64, event: &NewEvent) -> Result<PolicyChange> {
        self.run(|s| {
            let Some(stored) = s.policies.get(id) else { return PolicyChange::Missing };
            if stored.version != expected {
                return PolicyChange::OtherVersion(stored.version);
            }
            let stored = stored.clone();
            s.policies.remove(id);
            s.remember(event);
            PolicyChange::Done(Box::new(stored))
        })
    }
}

#[async_trait]
impl PauseStore for MemoryStore {
    async fn create_pause(&self, new: &NewPause, event: &NewEvent) -> Result<Pause> {
        self.run(|s| {
            let same = |p: &&StoredPause| {
                p.pause.id == new.pause.id || (new.request_id.is_some() && p.request_id == new.request_id)
            };
            if let Some(first) = s.pauses.values().find(same) {
                return first.pause.clone();
            }
            let stored =
                StoredPause { pause: new.pause.clone(), request_id: new.request_id.clone(), ended: false };
            s.pauses.insert((new.pause.created_at, new.pause.id), stored);
            s.remember(event);
            new.pause.clone()
        })
    }

    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>> {
        self.run(|s| s.pauses_in_force(now).cloned().collect())
    }

    async fn end_pause(&self, id: Uuid, now: Timestamp, event: &NewEvent) -> Result<Option<Pause>> {
        self.run(|s| {
            let stored =
                s.pauses.values_mut().find(|p| p.pause.id == id && !p.ended && p.pause.until > now)?;
            stored.ended = true;
            stored.pause.until = now;
            let pause = stored.pause.clone();
            s.remember(event);
            Some(pause)
        })
    }
}

impl State {
    /// Pauses in force, oldest first.
    pub(super) fn pauses_in_force(&self, now: Timestamp) -> impl Iterator<Item = &Pause> {
        self.pauses.values().filter(move |p| !p.ended && p.pause.until > now).map(|p| &p.pause)
    }
}
