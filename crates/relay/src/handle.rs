//! A running relay, seen from outside: questions and orders.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::{SessionCounts, SessionPage, SessionQuery, SessionState, SessionView};
use mooring_wire::frames::CloseReason;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::config::{ListenAddress, RelayConfig};
use crate::event::Sink;
use crate::gate::Mode;
use crate::listen::{self, ListenError, Listener, Stop};
use crate::order::{CloseOrder, Closed, Closing, Tally, Why, turns};
use crate::record::{Record, id_number};
use crate::shared::Shared;
use crate::{sweep, view};

/// How often the end of the last connections is looked for while a relay stops.
const STOP_POLL: Duration = Duration::from_millis(20);
/// Longest that connections are waited for after the last session's end.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// Starts relays.
#[derive(Debug, Clone, Copy)]
pub struct Relay;

/// A running relay. Clones are the same relay; when the last one is gone it accepts no more, and its sessions live on to
/// their end.
#[derive(Clone)]
pub struct RelayHandle(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    accepting: Mutex<Vec<JoinHandle<()>>>,
}

/// What becomes of new connections during a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// They wait for the end of the drain, within the bounds of a hold.
    Hold,
    /// They are answered with 503 and `Retry-After`.
    Refuse,
}

/// Running numbers beyond those of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayNumbers {
    /// Connections of clients now, of any kind.
    pub connections: u64,
    /// Of these, held until the gateway is back.
    pub held: u64,
    /// Sessions wanted and not opened so far.
    pub refused: u64,
    /// Ordinary HTTP requests so far.
    pub requests: u64,
    /// Broken rules of RFC 6455 so far.
    pub violations: u64,
    /// Tasks that failed by a fault of this program so far.
    pub panics: u64,
}

impl Relay {
    /// Starts a relay in the current tokio runtime. Listeners taken over from another process are used in place of those
    /// of the same name in the configuration; all others are bound.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn start(
        config: RelayConfig,
        taken: Vec<Listener>,
        sink: Arc<dyn Sink>,
    ) -> Result<RelayHandle, ListenError> {
        let mut taken = taken;
        let mut listeners = Vec::new();
        for wanted in &config.listeners {
            let inherited =
                taken.iter().position(|l| l.name() == wanted.name).map(|at| taken.swap_remove(at));
            listeners.push(Arc::new(inherited.map_or_else(|| Listener::bind(wanted), Ok)?));
        }
        let shown = listeners.iter().map(|l| l.shown()).collect();
        let shared = Arc::new(Shared::new(config, shown, sink));
        let stop = watch::Sender::new(Stop::No);
        let accepting = listeners.iter().zip(0..).map(|(listener, index)| {
            tokio::spawn(listen::run(Arc::clone(&shared), Arc::clone(listener), index, stop.subscribe()))
        });
        let accepting = Mutex::new(accepting.collect());
        tokio::spawn(sweep::run(Arc::clone(&shared), stop.subscribe()));
        Ok(RelayHandle(Arc::new(Running { shared, stop, listeners: Mutex::new(listeners), accepting })))
    }
}

impl RelayHandle {
    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The configuration it runs by.
    #[must_use]
    pub fn config(&self) -> &RelayConfig {
        &self.shared().config
    }

    /// The listeners it accepts from: none after it has stopped.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<Listener>> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a question about the live sessions.
    #[must_use]
    pub fn list(&self, query: &SessionQuery) -> SessionPage {
        view::list(self.shared(), query, self.shared().clock.both())
    }

    /// One live session.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<SessionView> {
        let record = self.find(id)?;
        Some(view::view(&record, self.shared().clock.both(), self.shared()))
    }

    /// The sessions in running numbers.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        self.shared().counts()
    }

    /// All other running numbers.
    #[must_use]
    pub fn numbers(&self) -> RelayNumbers {
        let n = &self.shared().numbers;
        RelayNumbers {
            connections: self.shared().admission.connections() as u64,
            held: self.shared().gate.held() as u64,
            refused: n.refused.load(Relaxed),
            requests: n.requests.load(Relaxed),
            violations: n.violations.load(Relaxed),
            panics: n.panics.load(Relaxed),
        }
    }

    fn find(&self, id: &SessionId) -> Option<Arc<Record>> {
        self.shared().registry.find(id_number(id)?)
    }

    fn all(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Arc<Record>> {
        let mut found = Vec::new();
        self.shared().registry.walk(|record| {
            if wanted(record) {
                found.push(Arc::clone(record));
            }
        });
        found
    }

    /// Closes one session and waits for its end, at most the order's `wait` and a sweep. Its window does not matter.
    pub async fn close_session(&self, id: &SessionId, order: &CloseOrder) -> Closed {
        let order = CloseOrder { window: Duration::ZERO, ..order.clone() };
        match self.find(id) {
            Some(record) => self.close(vec![record], &order).await,
            None => Closed { gone: 1, ..Closed::default() },
        }
    }

    /// Closes all sessions that an instance has now, and waits for their end. Clients that are held have no session yet:
    /// they are left waiting.
    pub async fn close_instance(&self, instance: &InstanceId, order: &CloseOrder) -> Closed {
        let its = |record: &Record| record.instance.as_ref() == Some(instance) && !held(record);
        self.close(self.all(its), order).await
    }

    /// Closes all sessions there are now, and waits for their end. Clients that are held have no session yet: they are
    /// left waiting.
    pub async fn close_all(&self, order: &CloseOrder) -> Closed {
        self.close(self.all(|record| !held(record)), order).await
    }

    async fn close(&self, records: Vec<Arc<Record>>, order: &CloseOrder) -> Closed {
        let tally = Arc::new(Tally::default());
        let begun = Instant::now();
        for (who, at) in turns(records.len(), order.window, order.seed) {
            if !at.is_zero() {
                sleep_until(begun + at).await;
            }
            let closing = Closing {
                code: order.code,
                reason: CloseReason::new(order.reason.as_bytes()),
                why: Why::Order,
                until: self.shared().clock.now().after(order.wait),
                tallies: vec![Arc::clone(&tally)],
            };
            if !records[who].order(closing) {
                tally.add(crate::order::Ended::Gone);
            }
        }
        tally.full(records.len() as u64).await
    }

    /// Closes all sessions as ordered, and keeps new ones away from the gateway until [`Self::resume`].
    pub async fn drain(&self, order: &CloseOrder, meanwhile: Meanwhile) -> Closed {
        self.shared().gate.set(match meanwhile {
            Meanwhile::Hold => Mode::Hold,
            Meanwhile::Refuse => Mode::Refuse,
        });
        self.close_all(order).await
    }

    /// Lets new connections through to the gateway again, those that are held first.
    pub fn resume(&self) {
        self.shared().gate.set(Mode::Open);
    }

    /// Holds new connections (`true`), or lets those that are held through. Sessions there are already are left alone,
    /// and a drain that refuses new ones goes on.
    pub fn hold(&self, hold: bool) {
        self.shared().gate.holding(hold);
    }

    /// Stops accepting because another process does so from now on, on the same sockets. Waits until no accept is under
    /// way here; no connection is lost.
    pub async fn handed_over(&self) {
        self.stop_accepting(Stop::HandedOver).await;
    }

    async fn stop_accepting(&self, how: Stop) {
        self.0.stop.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = how;
            }
            first
        });
        let accepting = std::mem::take(&mut *self.0.accepting.lock().unwrap_or_else(PoisonError::into_inner));
        for task in accepting {
            // A task that panicked has stopped, too.
            let _ = task.await;
        }
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ends the relay: accepts no more, closes all sessions as ordered, lets requests under way end, and waits for the last
    /// connection, all bounded. Where the listeners were not handed over, their Unix sockets are removed.
    pub async fn shutdown(&self, order: &CloseOrder) -> Closed {
        let shared = self.shared();
        let kept = *self.0.stop.borrow() == Stop::HandedOver;
        if kept {
            // Those that were let in here before somebody else did so are served: the other one knows nothing of them.
            let in_time = sleep(self.config().times.handshake.min(STOP_WAIT));
            tokio::pin!(in_time);
            while shared.admission.handshakes() > 0 {
                tokio::select! {
                    () = &mut in_time => break,
                    () = sleep(STOP_POLL) => {}
                }
            }
        }
        shared.stopping.send_replace(true);
        // Those that still come out of the queue are told to come back.
        shared.gate.set(Mode::Refuse);
        self.stop_accepting(Stop::Closed).await;
        if !kept {
            self.remove_sockets();
        }
        let closed = self.close_all(order).await;
        let gone = async {
            while shared.admission.connections() > 0 {
                sleep(STOP_POLL).await;
            }
        };
        // What is left then has had its time.
        let _ = timeout(STOP_WAIT, gone).await;
        closed
    }

    fn remove_sockets(&self) {
        for listener in &self.config().listeners {
            if let ListenAddress::Unix { path, .. } = &listener.address {
                remove(path);
            }
        }
    }
}

/// Whether a client waits for the gateway: for longer, maybe, than an order does.
fn held(record: &Record) -> bool {
    record.state() == SessionState::Held
}

fn remove(path: &PathBuf) {
    // It may be gone already, with the folder it was in.
    let _ = std::fs::remove_file(path);
}
