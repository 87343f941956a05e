//! Hot reload of files: on SIGHUP, and by looking every so often.
//!
//! Certificates and tokens are replaced under a running process by certificate managers and by Kubernetes, which swaps
//! a symbolic link and sends no signal. Looking compares contents, not modification times: those have too coarse a
//! grain on some file systems, and copying tools preserve them. The files are small, so reading them is cheap.
//!
//! A file that cannot be used leaves what is in force in force; it is complained about once, not at every look.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::lifecycle::Tokens;

/// How often files are looked at unless the caller says otherwise.
pub const POLL: Duration = Duration::from_secs(10);

/// What a reload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files are the same as at the last attempt, good or bad.
    Unchanged,
    /// New content is in force.
    Replaced,
}

/// Something read from files that can be read again while in use.
pub trait Reload: Send + Sync + 'static {
    /// What it is, for the log: `TLS certificate /etc/mooring/tls.crt`.
    fn what(&self) -> String;

    /// Reads the files again and puts them in force if they have changed and are usable. May block on the disk.
    ///
    /// # Errors
    ///
    /// What is wrong with the new files; what was in force stays in force. The same bad files are reported once.
    fn reload(&self) -> Result<Reloaded, ReloadError>;
}

/// Why new files were not put in force, sources included.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(pub String);

impl ReloadError {
    /// From an error and its sources.
    pub fn chain(error: &(dyn std::error::Error + 'static)) -> Self {
        Self(crate::lifecycle::error_chain(error))
    }
}

/// Keeps `targets` up to date until told to stop: a task for [`crate::lifecycle::Supervisor::spawn`].
pub async fn watch(targets: Vec<Arc<dyn Reload>>, poll: Duration, mut tokens: Tokens) {
    let mut tick = tokio::time::interval(poll.max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokens.reload.mark_unchanged();
    loop {
        let asked = tokio::select! {
            () = tokens.soft.cancelled() => return,
            changed = tokens.reload.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            _ = tick.tick() => false,
        };
        for target in &targets {
            let target = Arc::clone(target);
            let what = target.what();
            match tokio::task::spawn_blocking(move || target.reload()).await {
                Ok(Ok(Reloaded::Replaced)) => tracing::info!("{what}: new content is in force"),
                Ok(Ok(Reloaded::Unchanged)) if asked => tracing::info!("{what}: unchanged"),
                Ok(Ok(Reloaded::Unchanged)) => {}
                Ok(Err(error)) => tracing::error!("{what}: kept as it was: {error}"),
                Err(_) => tracing::error!("{what}: reading it panicked; kept as it was"),
            }
        }
    }
}

/// A fingerprint of files' contents, by which a change is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Over the given contents in order; `None` stands for a file that could not be read.
    pub(crate) fn of<'a>(contents: impl IntoIterator<Item = Option<&'a [u8]>>) -> Self {
        let mut hash = Sha256::new();
        for content in contents {
            hash.update([u8::from(content.is_some())]);
            let content = content.unwrap_or_default();
            hash.update(content.len().to_le_bytes());
            hash.update(content);
        }
        Self(hash.finalize().into())
    }
}

/// A file read, or why it could not be.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let explain = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(explain)?.take(limit + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() as u64 > limit {
        return Err(format!("{} is longer than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

/// Paths for a message.
pub(crate) fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::mpsc;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Counting(AtomicU64, mpsc::UnboundedSender<u64>);

    impl Reload for Counting {
        fn what(&self) -> String {
            "a counter".into()
        }

        fn reload(&self) -> Result<Reloaded, ReloadError> {
            let turn = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            self.1.send(turn).unwrap();
            if turn == 1 { Err(ReloadError("bad at first".into())) } else { Ok(Reloaded::Replaced) }
        }
    }

    #[tokio::test]
    async fn files_are_read_again_on_request_and_by_themselves_and_an_error_ends_nothing() {
        for poll in [Duration::from_millis(10), Duration::from_secs(3600)] {
            let (reload, receiver) = watch::channel(0);
            let soft = CancellationToken::new();
            let tokens = Tokens { soft: soft.clone(), hard: soft.clone(), reload: receiver };
            let (sender, mut turns) = mpsc::unbounded_channel();
            let target: Arc<dyn Reload> = Arc::new(Counting(AtomicU64::new(0), sender));
            let task = tokio::spawn(super::watch(vec![target], poll, tokens));
            // The first look is at once.
            assert_eq!(turns.recv().await, Some(1));
            if poll.as_secs() > 0 {
                reload.send_modify(|generation| *generation += 1);
            }
            assert_eq!(turns.recv().await, Some(2));
            soft.cancel();
            task.await.unwrap();
        }
    }

    #[test]
    fn fingerprints_tell_contents_and_their_boundaries_apart() {
        let of = |contents: &[Option<&str>]| {
            Fingerprint::of(contents.iter().map(|content| content.map(str::as_bytes)))
        };
        assert_eq!(of(&[Some("a"), Some("b")]), of(&[Some("a"), Some("b")]));
        assert_ne!(of(&[Some("ab"), Some("")]), of(&[Some("a"), Some("b")]));
        assert_ne!(of(&[None]), of(&[Some("")]));
    }
}
