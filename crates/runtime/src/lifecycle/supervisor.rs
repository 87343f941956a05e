//! The supervisor: a table of running tasks on a watch channel, and one loop that reads it.
//!
//! The table is the only bookkeeping. "Has this stage ended?", "who is still running?" and "is there anything left to
//! do?" are all questions to it, so they cannot disagree. Panics are caught where the task is polled; the panic hook
//! has by then said where, and we add who.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, Stream};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::report::{Cause, Culprit, ExitReport, Fault};
use super::signals::{Signal, os_signals};
use super::task::{BoxError, Kind, Stage, TaskResult, Tokens, chain, panic_text};

/// How long tasks have after the hard stop, unless [`Supervisor::with_hard_wait`] says otherwise.
const HARD_WAIT: Duration = Duration::from_secs(5);

/// How often a shutdown that takes its time says who it is waiting for.
const PROGRESS: Duration = Duration::from_secs(5);

struct Running {
    name: Arc<str>,
    stage: Stage,
    abort: Option<AbortHandle>,
}

type Table = BTreeMap<u64, Running>;

struct Shared {
    running: watch::Sender<Table>,
    next_id: AtomicU64,
    /// One soft token per stage, each a child of `hard`.
    stages: [CancellationToken; Stage::ALL.len()],
    hard: CancellationToken,
    /// Cancelled when the shutdown begins, before any stage is told.
    draining: CancellationToken,
    cause: watch::Sender<Option<Cause>>,
    culprits: Mutex<Vec<Culprit>>,
    reload: watch::Sender<u64>,
    background_failures: AtomicU64,
    failures: Counter<u64>,
}

/// Spawns tasks and can ask for a shutdown; cheap to clone, and usable from within tasks.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl Handle {
    /// Runs a task under supervision. The closure gets its [`Tokens`] and returns the future to run.
    ///
    /// A task spawned into a stage that is stopping starts with its soft token cancelled. One spawned after the hard
    /// stop is not started at all.
    pub fn spawn<F, Fut>(&self, stage: Stage, kind: Kind, name: impl Into<String>, task: F)
    where
        F: FnOnce(Tokens) -> Fut + Send + 'static,
        Fut: Future<Output: TaskResult> + Send + 'static,
    {
        let name: Arc<str> = name.into().into();
        if self.shared.hard.is_cancelled() {
            tracing::warn!(task = %name, "task not started: the process is stopping");
            return;
        }
        let tokens = Tokens {
            soft: self.shared.stages[stage.index()].clone(),
            hard: self.shared.hard.clone(),
            reload: self.shared.reload.subscribe(),
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Running { name: Arc::clone(&name), stage, abort: None };
        self.shared.running.send_modify(|table| drop(table.insert(id, entry)));
        let shared = Arc::clone(&self.shared);
        let entry = Entry { shared: Arc::clone(&self.shared), id };
        let handle = tokio::spawn(async move {
            let _entry = entry;
            // The closure runs inside too, so that a panic while building the future is caught as well.
            let outcome =
                AssertUnwindSafe(async move { task(tokens).await.into_error() }).catch_unwind().await;
            shared.ended(stage, kind, &name, outcome);
        });
        self.shared.running.send_if_modified(|table| {
            if let Some(running) = table.get_mut(&id) {
                running.abort = Some(handle.abort_handle());
            }
            false
        });
    }

    /// Begins the shutdown, unless it has begun. It is a wanted one: exit code 0 if it goes well.
    pub fn shutdown(&self, reason: impl Into<String>) {
        self.shared.trigger(Cause::Requested(reason.into()));
    }

    /// Cancelled at the very beginning of the shutdown, before any task is told: the moment to become not ready.
    pub fn draining(&self) -> CancellationToken {
        self.shared.draining.clone()
    }

    /// Counts the reloads asked for; `changed()` on it awaits the next.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.shared.reload.subscribe()
    }

    /// Asks every task to read its settings again, as SIGHUP does.
    pub fn reload(&self) {
        self.shared.reload.send_modify(|generation| *generation += 1);
    }

    /// The names of the tasks that are running, oldest first.
    pub fn running(&self) -> Vec<String> {
        self.shared.running.borrow().values().map(|running| running.name.to_string()).collect()
    }

    /// How many background tasks have failed or panicked so far.
    pub fn background_failures(&self) -> u64 {
        self.shared.background_failures.load(Ordering::Relaxed)
    }
}

/// Takes the task out of the table whatever way it ends, abortion included.
struct Entry {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.running.send_modify(|table| drop(table.remove(&self.id)));
    }
}

impl Shared {
    fn trigger(&self, cause: Cause) {
        self.cause.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(cause);
            }
            first
        });
    }

    fn blame(&self, task: &str, stage: Stage, fault: Fault) {
        let culprit = Culprit { task: task.to_owned(), stage, fault };
        self.culprits.lock().unwrap_or_else(PoisonError::into_inner).push(culprit);
    }

    /// The one place where the end of a task is judged.
    fn ended(&self, stage: Stage, kind: Kind, name: &str, outcome: std::thread::Result<Option<BoxError>>) {
        let told = self.stages[stage.index()].is_cancelled();
        let fault = match outcome {
            Ok(None) if told || kind != Kind::Critical => {
                tracing::debug!(task = name, stage = %stage, "task ended");
                return;
            }
            Ok(None) => Fault::Ended,
            Ok(Some(error)) => Fault::Failed(chain(error.as_ref())),
            Err(payload) => Fault::Panicked(panic_text(payload.as_ref())),
        };
        self.failures.add(1, &[KeyValue::new("fault", fault.name()), KeyValue::new("kind", kind.name())]);
        tracing::error!(task = name, stage = %stage, kind = kind.name(), "task {fault}");
        match kind {
            Kind::Background => {
                self.background_failures.fetch_add(1, Ordering::Relaxed);
            }
            Kind::Critical | Kind::Finite => {
                self.blame(name, stage, fault);
                self.trigger(Cause::Task(name.to_owned()));
            }
        }
    }
}

/// Runs a process: spawn the tasks, then [`run`](Self::run) until something ends it.
#[derive(Debug)]
pub struct Supervisor {
    handle: Handle,
    grace: Duration,
    hard_wait: Duration,
}

impl Supervisor {
    /// A supervisor whose tasks have `grace`, all stages together, to drain after the first signal.
    pub fn new(grace: Duration) -> Self {
        let hard = CancellationToken::new();
        let shared = Shared {
            running: watch::Sender::new(Table::new()),
            next_id: AtomicU64::new(0),
            stages: Stage::ALL.map(|_| hard.child_token()),
            hard,
            draining: CancellationToken::new(),
            cause: watch::Sender::new(None),
            culprits: Mutex::new(Vec::new()),
            reload: watch::Sender::new(0),
            background_failures: AtomicU64::new(0),
            failures: opentelemetry::global::meter("mooring.runtime")
                .u64_counter("mooring.task.failures")
                .with_unit("{task}")
                .with_description(
                    "Supervised tasks that failed, panicked or ended although they should not have.",
                )
                .build(),
        };
        Self { handle: Handle { shared: Arc::new(shared) }, grace, hard_wait: HARD_WAIT }
    }

    /// Changes how long tasks have after the hard stop (5 s by default) before they are left behind.
    #[must_use]
    pub fn with_hard_wait(mut self, wait: Duration) -> Self {
        self.hard_wait = wait;
        self
    }

    /// A handle to spawn with and to hand to tasks.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// As [`Handle::spawn`].
    pub fn spawn<F, Fut>(&self, stage: Stage, kind: Kind, name: impl Into<String>, task: F)
    where
        F: FnOnce(Tokens) -> Fut + Send + 'static,
        Fut: Future<Output: TaskResult> + Send + 'static,
    {
        self.handle.spawn(stage, kind, name, task);
    }

    /// Runs until a signal to this process, a request, a task or idleness ends it.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub async fn run(self) -> std::io::Result<ExitReport> {
        let signals = os_signals()?;
        Ok(self.run_with(signals).await)
    }

    /// As [`run`](Self::run), with the signals given.
    pub async fn run_with(self, signals: impl Stream<Item = Signal> + Unpin) -> ExitReport {
        // Without signals left (a finished test stream) the rest still works: the stream just never says anything.
        let mut signals = signals.chain(tokio_stream::pending());
        let shared = &self.handle.shared;
        let cause = self.until_shutdown(&mut signals).await;
        tracing::info!(cause = %cause, "shutting down");
        shared.trigger(cause.clone());
        shared.draining.cancel();
        let graceful = self.drain(&mut signals).await;
        if !graceful {
            self.stop_hard().await;
        }
        let culprits = std::mem::take(&mut *shared.culprits.lock().unwrap_or_else(PoisonError::into_inner));
        let code = u8::from(!graceful || !culprits.is_empty());
        tracing::info!(graceful, code, "stopped");
        ExitReport { code, graceful, cause, culprits }
    }

    async fn until_shutdown(&self, signals: &mut (impl Stream<Item = Signal> + Unpin)) -> Cause {
        let shared = &self.handle.shared;
        let mut cause = shared.cause.subscribe();
        let mut running = shared.running.subscribe();
        loop {
            tokio::select! {
                // In this order a cause wins over the idleness that the same event brings about.
                biased;
                Ok(found) = cause.wait_for(Option::is_some) => {
                    if let Some(cause) = found.clone() {
                        return cause;
                    }
                }
                signal = signals.next() => match signal {
                    Some(Signal::Reload) => {
                        tracing::info!("reload requested");
                        self.handle.reload();
                    }
                    Some(signal) => return Cause::Signal(signal),
                    None => {}
                },
                Ok(_) = running.wait_for(Table::is_empty) => {
                    // A task that failed has left its cause before it left the table.
                    return shared.cause.borrow().clone().unwrap_or(Cause::Idle);
                }
            }
        }
    }

    /// Stops the stages one after the other. False when the time ran out or a second signal came.
    async fn drain(&self, signals: &mut (impl Stream<Item = Signal> + Unpin)) -> bool {
        let shared = &self.handle.shared;
        let deadline = Instant::now() + self.grace;
        let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
        for stage in Stage::ALL {
            shared.stages[stage.index()].cancel();
            let mut running = shared.running.subscribe();
            loop {
                tokio::select! {
                    biased;
                    // The last stage waits for everyone: a late task of an earlier stage may have come meanwhile.
                    _ = running.wait_for(|table| table.values().all(|task| task.stage > stage)) => break,
                    Some(signal) = signals.next() => {
                        if signal != Signal::Reload {
                            tracing::warn!(%signal, waiting.for = ?self.handle.running(), "second signal: stopping at once");
                            return false;
                        }
                    }
                    () = tokio::time::sleep_until(deadline) => {
                        tracing::warn!(waiting.for = ?self.handle.running(), "grace period is over: stopping at once");
                        return false;
                    }
                    _ = progress.tick() => {
                        tracing::info!(%stage, waiting.for = ?self.handle.running(), "still draining");
                    }
                }
            }
        }
        true
    }

    async fn stop_hard(&self) {
        let shared = &self.handle.shared;
        shared.hard.cancel();
        let mut running = shared.running.subscribe();
        if tokio::time::timeout(self.hard_wait, running.wait_for(Table::is_empty)).await.is_ok() {
            return;
        }
        let left: Vec<(Arc<str>, Stage, Option<AbortHandle>)> = shared
            .running
            .borrow()
            .values()
            .map(|task| (Arc::clone(&task.name), task.stage, task.abort.clone()))
            .collect();
        for (name, stage, abort) in left {
            tracing::error!(task = %name, %stage, "task {}; leaving it behind", Fault::StillRunning);
            shared.blame(&name, stage, Fault::StillRunning);
            if let Some(abort) = abort {
                abort.abort();
            }
        }
    }
}
