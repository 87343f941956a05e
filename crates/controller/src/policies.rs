//! The policies in force: those of the policy file, those made through the API, and the built-in default.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
#[derive(Debug, Clone, Default)]
pub struct Policies {
    inner: Arc<RwLock<Inner>>,
}

/// Kept apart, so that a stored policy is in force again when the file's one of the same name goes.
#[derive(Debug, Default)]
struct Inner {
    file: BTreeMap<PolicyId, StoredPolicy>,
    stored: BTreeMap<PolicyId, StoredPolicy>,
}

impl Inner {
    fn get(&self, id: &PolicyId) -> Option<&StoredPolicy> {
        self.file.get(id).or_else(|| self.stored.get(id))
    }
}

impl Policies {
    /// The policies: those of the file win over stored ones of the same name.
    #[must_use]
    pub fn new(stored: Vec<StoredPolicy>, file: PolicyFile) -> Self {
        let policies = Self::default();
        for p in stored {
            policies.put(p);
        }
        policies.replace_file(file);
        policies
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the file's policies in the place of those the file had before.
    pub fn replace_file(&self, file: PolicyFile) {
        // Version 0: the API never changes it, so it needs none.
        let of_file = |(id, policy): (PolicyId, Policy)| {
            (id.clone(), StoredPolicy { id, policy, version: 0, from_file: true })
        };
        self.write().file = file.policy.into_iter().map(of_file).collect();
    }

    /// The policy of a group.
    #[must_use]
    pub fn of_group(&self, group: &PolicyId) -> (PolicyId, Policy) {
        let inner = self.read();
        let default = default_id();
        match inner.get(group).or_else(|| inner.get(&default)) {
            Some(p) => (p.id.clone(), p.policy.clone()),
            None => (default, Policy::default()),
        }
    }

    /// One policy by name; the default always exists.
    #[must_use]
    pub fn get(&self, id: &PolicyId) -> Option<StoredPolicy> {
        self.read().get(id).cloned().or_else(|| (id.as_str() == DEFAULT).then(built_in))
    }

    /// All of them, by name, the default among them.
    #[must_use]
    pub fn all(&self) -> Vec<StoredPolicy> {
        let inner = self.read();
        let mut all: BTreeMap<&PolicyId, &StoredPolicy> = inner.stored.iter().collect();
        all.extend(&inner.file);
        let mut out: Vec<StoredPolicy> = all.into_values().cloned().collect();
        if inner.get(&default_id()).is_none() {
            out.push(built_in());
            out.sort_by(|a, b| a.id.cmp(&b.id));
        }
        out
    }

    /// Takes in a stored policy that was made or changed. One of the file stays in force over it.
    pub fn put(&self, policy: StoredPolicy) {
        self.write().stored.insert(policy.id.clone(), policy);
    }

    /// Forgets a stored policy that was deleted.
    pub fn remove(&self, id: &PolicyId) {
        self.write().stored.remove(id);
    }
}

fn default_id() -> PolicyId {
    // A constant that satisfies the rules for names; the fallback cannot be reached and is only there to avoid a panic.
    DEFAULT.parse().unwrap_or_else(|_| unreachable!("`default` is a valid name"))
}

fn built_in() -> StoredPolicy {
    StoredPolicy { id: default_id(), policy: Policy::default(), version: 0, from_file: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn policy(act_after: u64) -> Policy {
        Policy { act_after: Duration::from_secs(act_after), ..Policy::default() }
    }

    fn stored(id: &str, act_after: u64) -> StoredPolicy {
        StoredPolicy { id: id.parse().unwrap(), policy: policy(act_after), version: 1, from_file: false }
    }

    fn file(policies: &[(&str, u64)]) -> PolicyFile {
        PolicyFile { policy: policies.iter().map(|(id, a)| (id.parse().unwrap(), policy(*a))).collect() }
    }

    fn act_after(policies: &Policies, group: &str) -> (String, u64) {
        let (id, policy) = policies.of_group(&group.parse().unwrap());
        (id.to_string(), policy.act_after.as_secs())
    }

    #[test]
    fn the_file_wins_while_it_names_a_group_and_not_longer() {
        let policies = Policies::new(vec![stored("lines", 11)], file(&[("lines", 22)]));
        assert_eq!(act_after(&policies, "lines"), ("lines".to_owned(), 22));
        // A change through the API, or one of another controller, waits behind the file's.
        policies.put(stored("lines", 33));
        assert_eq!(act_after(&policies, "lines"), ("lines".to_owned(), 22));
        policies.replace_file(file(&[]));
        assert_eq!(
            act_after(&policies, "lines"),
            ("lines".to_owned(), 33),
            "the stored one is in force again"
        );
        policies.remove(&"lines".parse().unwrap());
        assert_eq!(act_after(&policies, "lines").0, DEFAULT);
    }

    #[test]
    fn the_default_is_the_files_then_the_stored_then_the_built_in_one() {
        let policies = Policies::new(vec![stored(DEFAULT, 11)], file(&[(DEFAULT, 22)]));
        assert_eq!(act_after(&policies, "any"), (DEFAULT.to_owned(), 22));
        policies.replace_file(file(&[]));
        assert_eq!(act_after(&policies, "any"), (DEFAULT.to_owned(), 11));
        policies.remove(&DEFAULT.parse().unwrap());
        assert_eq!(act_after(&policies, "any"), (DEFAULT.to_owned(), Policy::default().act_after.as_secs()));
        assert_eq!(policies.get(&DEFAULT.parse().unwrap()), Some(built_in()));
    }

    #[test]
    fn all_lists_each_name_once_with_the_one_in_force() {
        let policies = Policies::new(vec![stored("a", 1), stored("z", 2)], file(&[("z", 3), ("b", 4)]));
        let all: Vec<(String, u64)> =
            policies.all().iter().map(|p| (p.id.to_string(), p.policy.act_after.as_secs())).collect();
        let of = |id: &str, n| (id.to_owned(), n);
        assert_eq!(
            all,
            [of("a", 1), of("b", 4), of(DEFAULT, Policy::default().act_after.as_secs()), of("z", 3)]
        );
    }
}
