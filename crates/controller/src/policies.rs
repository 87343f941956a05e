//! The policies in force: those of the policy file, those made through the API, and the built-in default.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use mooring_core::id::PolicyId;
use mooring_core::policy::{Policy, StoredPolicy};
use mooring_runtime::config::{self, ConfigError, Problem, Sources, Validate};
use serde::{Deserialize, Serialize};

/// The name of the policy of groups that have none.
pub const DEFAULT: &str = "default";

/// The policy file: `[policy.GROUP]` for each group, `[policy.default]` for the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    /// Policies by group.
    pub policy: BTreeMap<PolicyId, Policy>,
}

impl Validate for PolicyFile {
    fn validate(&self) -> Vec<Problem> {
        let of = |(id, policy): (&PolicyId, &Policy)| {
            let problems = policy.problems();
            let id = id.clone();
            problems.into_iter().map(move |(key, what)| Problem::new(format!("policy.{id}.{key}"), what))
        };
        self.policy.iter().flat_map(of).collect()
    }
}

/// Reads a policy file.
///
/// # Errors
/// With every problem found, by file and line.
pub fn read(path: &Path) -> Result<PolicyFile, ConfigError> {
    let sources =
        Sources { file: Some(path.to_path_buf()), env_prefix: "", env: std::iter::empty(), overrides: &[] };
    Ok(config::load::<PolicyFile>(sources)?.value)
}

/// Shared handle to the policies in force.
#[derive(Debug, Clone)]
pub struct Policies {
    inner: Arc<RwLock<BTreeMap<PolicyId, StoredPolicy>>>,
}

impl Policies {
    /// The policies: those of the file win over stored ones of the same name.
    #[must_use]
    pub fn new(stored: Vec<StoredPolicy>, file: PolicyFile) -> Self {
        let policies = Self { inner: Arc::default() };
        for p in stored {
            policies.put(p);
        }
        policies.replace_file(file);
        policies
    }

    /// Puts the file's policies in the place of those the file had before.
    pub fn replace_file(&self, file: PolicyFile) {
        let mut map = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, p| !p.from_file);
        for (id, policy) in file.policy {
            // Version 0: the API never changes it, so it needs none.
            map.insert(id.clone(), StoredPolicy { id, policy, version: 0, from_file: true });
        }
    }

    /// The policy of a group.
    #[must_use]
    pub fn of_group(&self, group: &PolicyId) -> (PolicyId, Policy) {
        let map = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let found = map.get(group).or_else(|| map.values().find(|p| p.id.as_str() == DEFAULT));
        match found {
            Some(p) => (p.id.clone(), p.policy.clone()),
            None => (default_id(), Policy::default()),
        }
    }

    /// One policy by name; the default always exists.
    #[must_use]
    pub fn get(&self, id: &PolicyId) -> Option<StoredPolicy> {
        let map = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        map.get(id).cloned().or_else(|| (id.as_str() == DEFAULT).then(built_in))
    }

    /// All of them, by name, the default among them.
    #[must_use]
    pub fn all(&self) -> Vec<StoredPolicy> {
        let map = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut out: Vec<StoredPolicy> = map.values().cloned().collect();
        if !out.iter().any(|p| p.id.as_str() == DEFAULT) {
            out.push(built_in());
            out.sort_by(|a, b| a.id.cmp(&b.id));
        }
        out
    }

    /// Takes in a stored policy that was made or changed; never over one of the file.
    pub fn put(&self, policy: StoredPolicy) {
        let mut map = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !map.get(&policy.id).is_some_and(|p| p.from_file) {
            map.insert(policy.id.clone(), policy);
        }
    }

    /// Forgets a stored policy that was deleted.
    pub fn remove(&self, id: &PolicyId) {
        let mut map = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !map.get(id).is_some_and(|p| p.from_file) {
            map.remove(id);
        }
    }
}

fn default_id() -> PolicyId {
    // A constant that satisfies the rules for names; the fallback cannot be reached and is only there to avoid a panic.
    DEFAULT.parse().unwrap_or_else(|_| unreachable!("`default` is a valid name"))
}

fn built_in() -> StoredPolicy {
    StoredPolicy { id: default_id(), policy: Policy::default(), version: 0, from_file: false }
}
