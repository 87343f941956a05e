//! Deaths, signals and shutdown order, with real tasks. Waiting is on what happens, never on time passing; where a
//! deadline is the subject, it is the one under test.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

/// Held by every test that listens to this process's real signals: several at once would hear each other's.
pub(crate) static REAL_SIGNALS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Long enough never to matter.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

fn signals() -> (mpsc::UnboundedSender<Signal>, UnboundedReceiverStream<Signal>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, UnboundedReceiverStream::new(receiver))
}

fn culprit(task: &str, stage: Stage, fault: Fault) -> Culprit {
    Culprit { task: task.into(), stage, fault }
}

#[tokio::test]
async fn stages_stop_in_order_each_awaited_before_the_next() {
    let supervisor = Supervisor::new(LONG);
    let order = Arc::new(Mutex::new(Vec::new()));
    for stage in [Stage::Storage, Stage::Intake, Stage::Work] {
        let order = Arc::clone(&order);
        supervisor.spawn(stage, Kind::Critical, format!("{stage}"), move |tokens| async move {
            tokens.soft.cancelled().await;
            order.lock().unwrap().push(format!("{stage} told"));
            tokio::task::yield_now().await;
            order.lock().unwrap().push(format!("{stage} done"));
        });
    }
    let (send, signals) = signals();
    send.send(Signal::Terminate).unwrap();
    let report = supervisor.run_with(signals).await;
    assert_eq!(
        report,
        ExitReport { code: 0, graceful: true, cause: Cause::Signal(Signal::Terminate), culprits: vec![] }
    );
    assert_eq!(
        *order.lock().unwrap(),
        ["intake told", "intake done", "work told", "work done", "storage told", "storage done"]
    );
}

#[tokio::test]
async fn a_critical_task_that_ends_takes_the_process_down() {
    let supervisor = Supervisor::new(LONG);
    supervisor.spawn(Stage::Storage, Kind::Critical, "store", |tokens| async move {
        tokens.soft.cancelled().await;
    });
    supervisor.spawn(Stage::Intake, Kind::Critical, "listener", |_| async {});
    let report = supervisor.run_with(signals().1).await;
    assert_eq!((report.code, report.graceful), (1, true));
    assert_eq!(report.cause, Cause::Task("listener".into()));
    assert_eq!(report.culprits, [culprit("listener", Stage::Intake, Fault::Ended)]);
}

#[tokio::test]
async fn errors_are_reported_with_their_sources_and_panics_with_their_text() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot commit")]
    struct Outer(#[source] std::io::Error);

    let supervisor = Supervisor::new(LONG);
    supervisor.spawn(Stage::Work, Kind::Critical, "journal", |_| async {
        Err::<(), _>(Outer(std::io::Error::other("disk full")))
    });
    let report = supervisor.run_with(signals().1).await;
    let fault = Fault::Failed("cannot commit: disk full".into());
    assert_eq!(report.culprits, [culprit("journal", Stage::Work, fault)]);

    let supervisor = Supervisor::new(LONG);
    supervisor.spawn(Stage::Work, Kind::Finite, "import", |_| async {
        let number: Result<u8, _> = "x".parse();
        assert!(number.is_ok(), "row {} is bad", 7);
    });
    let report = supervisor.run_with(signals().1).await;
    assert_eq!(report.code, 1);
    assert_eq!(report.culprits, [culprit("import", Stage::Work, Fault::Panicked("row 7 is bad".into()))]);
}

#[tokio::test]
async fn a_background_task_may_die_and_is_counted() {
    let supervisor = Supervisor::new(LONG);
    let handle = supervisor.handle();
    supervisor.spawn(Stage::Work, Kind::Background, "gauge", |_| async { Err::<(), _>("no such sensor") });
    supervisor.spawn(Stage::Work, Kind::Background, "gauge-2", |_| async {
        assert!(std::hint::black_box(false), "worse");
    });
    let watcher = handle.clone();
    supervisor.spawn(Stage::Work, Kind::Finite, "waits for both", move |_| async move {
        while watcher.background_failures() < 2 {
            tokio::task::yield_now().await;
        }
    });
    let report = supervisor.run_with(signals().1).await;
    assert_eq!((report.code, &report.cause), (0, &Cause::Idle));
    assert_eq!(handle.background_failures(), 2);
}

#[tokio::test]
async fn a_finite_task_may_end_and_the_rest_runs_on() {
    let supervisor = Supervisor::new(LONG);
    let handle = supervisor.handle();
    let (done, finished) = oneshot::channel();
    supervisor.spawn(Stage::Work, Kind::Finite, "migrate", |_| async move {
        done.send(()).unwrap();
    });
    supervisor.spawn(Stage::Intake, Kind::Critical, "listener", |tokens| async move {
        tokens.soft.cancelled().await;
    });
    supervisor.spawn(Stage::Work, Kind::Finite, "ask to stop", move |_| async move {
        finished.await.unwrap();
        handle.shutdown("tested enough");
    });
    let report = supervisor.run_with(signals().1).await;
    assert_eq!((report.code, report.cause), (0, Cause::Requested("tested enough".into())));
}

#[tokio::test]
async fn when_the_grace_is_over_the_rest_is_told_to_stop_at_once() {
    let supervisor = Supervisor::new(SHORT);
    supervisor.spawn(Stage::Intake, Kind::Critical, "slow", |tokens| async move {
        tokens.hard.cancelled().await;
    });
    let (send, signals) = signals();
    send.send(Signal::Interrupt).unwrap();
    let report = supervisor.run_with(signals).await;
    assert_eq!((report.code, report.graceful, report.culprits.len()), (1, false, 0));
}

#[tokio::test]
async fn a_second_signal_ends_the_patience() {
    let supervisor = Supervisor::new(LONG);
    let (send, signals) = signals();
    send.send(Signal::Terminate).unwrap();
    supervisor.spawn(Stage::Intake, Kind::Critical, "slow", move |tokens| async move {
        tokens.soft.cancelled().await;
        send.send(Signal::Reload).unwrap();
        assert!(!tokens.hard.is_cancelled());
        send.send(Signal::Terminate).unwrap();
        tokens.hard.cancelled().await;
    });
    let report = supervisor.run_with(signals).await;
    assert_eq!((report.code, report.graceful, report.culprits.len()), (1, false, 0));
}

#[tokio::test]
async fn a_task_that_will_not_stop_is_named_and_aborted() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.take().map(|sender| sender.send(()));
        }
    }
    let supervisor = Supervisor::new(SHORT).with_hard_wait(SHORT);
    let (sender, aborted) = oneshot::channel();
    supervisor.spawn(Stage::Work, Kind::Background, "deaf", move |_| async move {
        let _guard = Dropped(Some(sender));
        pending::<()>().await;
    });
    let (send, signals) = signals();
    send.send(Signal::Terminate).unwrap();
    let report = supervisor.run_with(signals).await;
    assert_eq!((report.code, report.graceful), (1, false));
    assert_eq!(report.culprits, [culprit("deaf", Stage::Work, Fault::StillRunning)]);
    aborted.await.unwrap();
}

#[tokio::test]
async fn draining_is_announced_before_any_task_is_told() {
    let supervisor = Supervisor::new(LONG);
    let draining = supervisor.handle().draining();
    supervisor.spawn(Stage::Intake, Kind::Critical, "listener", move |tokens| async move {
        tokens.soft.cancelled().await;
        assert!(draining.is_cancelled());
    });
    let (send, signals) = signals();
    send.send(Signal::Terminate).unwrap();
    assert_eq!(supervisor.run_with(signals).await.code, 0);
}

#[tokio::test]
async fn a_supervisor_without_tasks_has_nothing_to_wait_for() {
    assert_eq!(Supervisor::new(LONG).run_with(signals().1).await.cause, Cause::Idle);
}

#[tokio::test]
async fn real_signals_reload_and_then_stop() {
    async fn kill(signal: &str) {
        // The shell's own `kill`: the program of that name is not installed everywhere.
        let line = format!("kill {signal} {}", std::process::id());
        let status = tokio::process::Command::new("sh").args(["-c", &line]).status().await.unwrap();
        assert!(status.success());
    }
    let _alone = REAL_SIGNALS.lock().await;
    let supervisor = Supervisor::new(LONG);
    let signals = os_signals().unwrap();
    supervisor.spawn(Stage::Intake, Kind::Critical, "reloads", |mut tokens| async move {
        kill("-HUP").await;
        tokens.reload.changed().await.unwrap();
        assert_eq!(*tokens.reload.borrow(), 1);
        kill("-TERM").await;
        tokens.soft.cancelled().await;
    });
    let report = supervisor.run_with(signals).await;
    assert_eq!((report.code, report.cause), (0, Cause::Signal(Signal::Terminate)));
}
