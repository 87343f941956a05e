//! SIGHUP: the settings are read again, by the same loader and with the same checks as at the start.
//!
//! What cannot be used is refused as a whole, with the reason, and the old settings stay; that holds for files a setting
//! names as well as for the text.

use mooring_runtime::lifecycle::Tokens;
use tokio::sync::{mpsc, watch};

use super::Reread;
use super::watches::Watches;
use crate::metrics::Metrics;
use crate::sessions::report::Adoption;

/// The task that reloads.
pub(super) struct Reloading {
    pub(super) watches: Watches,
    pub(super) reread: Option<Reread>,
    pub(super) metrics: Metrics,
    /// Instances that gateways make known themselves.
    pub(super) adoptions: mpsc::Receiver<Adoption>,
    pub(super) done: watch::Sender<u64>,
}

impl Reloading {
    pub(super) async fn run(mut self, mut tokens: Tokens) {
        tokens.reload.mark_unchanged();
        loop {
            tokio::select! {
                () = tokens.soft.cancelled() => return,
                asked = tokens.reload.changed() => if asked.is_err() { return },
                Some(first) = self.adoptions.recv() => {
                    self.adopt(first);
                    continue;
                }
            }
            let accepted = self.reload().await;
            self.metrics.reload(accepted);
            self.done.send_modify(|n| *n += 1);
        }
    }

    /// Takes in what waits, and publishes once what can be done with all of it.
    fn adopt(&mut self, first: Adoption) {
        let mut waiting = vec![first];
        while let Ok(more) = self.adoptions.try_recv() {
            waiting.push(more);
        }
        let registered: Vec<_> = waiting
            .into_iter()
            .map(|Adoption { gateway, instance, here, done }| {
                let outcome = if here {
                    self.watches.register(&gateway, instance)
                } else {
                    self.watches.unregister(&gateway, &instance);
                    Ok(())
                };
                (outcome, done)
            })
            .collect();
        let published = self.watches.publish();
        for (outcome, done) in registered {
            // Who reported may be gone by now.
            let _ = done.send(outcome.and_then(|()| published.clone()));
        }
    }

    async fn reload(&mut self) -> bool {
        let Some(reread) = self.reread.clone() else {
            tracing::info!("this agent's settings are not read from a file; nothing to reload");
            return false;
        };
        let loaded = match tokio::task::spawn_blocking(move || reread()).await {
            Ok(Ok(loaded)) => loaded.value,
            Ok(Err(error)) => {
                tracing::error!("the new settings are refused, the old ones stay in force: {error}");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "the settings could not be read; the old ones stay in force");
                return false;
            }
        };
        match self.watches.apply(loaded).await {
            Ok(diff) => {
                tracing::info!(
                    added = diff.added.len(),
                    removed = diff.removed.len(),
                    changed = diff.changed.len(),
                    unchanged = diff.unchanged.len(),
                    "new settings are in force"
                );
                if !diff.at_next_start.is_empty() {
                    tracing::warn!(sections = ?diff.at_next_start, "changes to these sections take effect at the next start");
                }
                true
            }
            Err(error) => {
                tracing::error!(
                    error,
                    "new settings are in force only in part: correct them and reload again"
                );
                false
            }
        }
    }
}
