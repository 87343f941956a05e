//! Readiness as named flags, on one watch channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// One part's readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagState {
    /// It does its work.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
}

type States = BTreeMap<Arc<str>, FlagState>;

/// The readiness of the process: ready when every flag is.
#[derive(Debug, Clone)]
pub struct Readiness {
    states: Arc<watch::Sender<States>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Without flags, and so ready.
    pub fn new() -> Self {
        Self { states: Arc::new(watch::Sender::new(States::new())) }
    }

    /// A new flag, not ready for now ("starting"). When its owner drops it, it stays behind as not ready.
    ///
    /// A second flag of the same name takes the place of the first.
    pub fn flag(&self, name: &str) -> Flag {
        let flag = Flag { name: name.into(), states: Arc::clone(&self.states) };
        flag.not_ready("starting");
        flag
    }

    /// Every flag, by name.
    pub fn states(&self) -> Vec<(String, FlagState)> {
        self.states.borrow().iter().map(|(name, state)| (name.to_string(), state.clone())).collect()
    }

    /// Whether every flag is ready.
    pub fn is_ready(&self) -> bool {
        all_ready(&self.states.borrow())
    }

    /// Completes once every flag is ready.
    pub async fn ready(&self) {
        let mut states = self.states.subscribe();
        // The sender is held by `self`, so this cannot fail.
        let _ = states.wait_for(all_ready).await;
    }

    /// Completes at the next change of any flag; for mirroring readiness elsewhere, such as in `grpc.health.v1`.
    pub fn changes(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.states.subscribe();
        async move {
            // An error means that nothing can change any more, which is no news to anybody.
            if states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn all_ready(states: &States) -> bool {
    states.values().all(|state| *state == FlagState::Ready)
}

/// One part's say in the readiness of the process.
#[derive(Debug)]
pub struct Flag {
    name: Arc<str>,
    states: Arc<watch::Sender<States>>,
}

impl Flag {
    /// This part does its work.
    pub fn ready(&self) {
        self.set(FlagState::Ready);
    }

    /// This part does not, for this reason, which is shown on `/readyz`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(FlagState::NotReady(reason.into()));
    }

    fn set(&self, state: FlagState) {
        self.states.send_if_modified(|states| {
            if states.get(&self.name) == Some(&state) {
                return false;
            }
            tracing::info!(flag = %self.name, state = ?state, "readiness changed");
            states.insert(Arc::clone(&self.name), state);
            true
        });
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.not_ready("its owner is gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_means_every_flag_and_a_lost_owner_is_not() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let postgres = readiness.flag("postgres");
        let fleet = readiness.flag("fleet");
        assert!(!readiness.is_ready());
        postgres.ready();
        let changed = readiness.changes();
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        fleet.ready();
        changed.await;
        waiting.await.unwrap();
        assert!(readiness.is_ready());
        drop(postgres);
        assert_eq!(
            readiness.states(),
            [
                ("fleet".to_owned(), FlagState::Ready),
                ("postgres".to_owned(), FlagState::NotReady("its owner is gone".into())),
            ]
        );
    }
}
