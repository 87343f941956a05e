//! What gateways say of themselves: the reports of all of them, taken in by one task, and each one's sessions as it says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use mooring_core::id::{GatewayId, InstanceId, OrderId};
use mooring_core::order::Action;
use mooring_core::session::{SessionPage, SessionQuery, Source};
use mooring_core::time::Now;
use mooring_report::meaning::{Book, Outcome};
use mooring_report::{GatewayEntry, OrderRequest, Reported};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::tap::{Hookup, Tap};
use super::{Closed, Closing, SessionSource, Which};
use crate::clock::{now, time_of_day};
use crate::config::GatewayConfig;

/// Clients that are asked at a time to end a session.
const AT_ONCE: usize = 64;
/// Longest time between two looks for deadlines.
const TICK: Duration = Duration::from_millis(500);
/// Shortest: many instances have deadlines, and a look at those that are due costs about the same for one and for many.
const LEAST_TICK: Duration = Duration::from_millis(20);

/// An instance that a gateway made known itself, to be watched from now on, or not any more.
#[derive(Debug)]
pub struct Adoption {
    /// Of which gateway.
    pub gateway: GatewayId,
    /// Which.
    pub instance: InstanceId,
    /// Whether it is there; otherwise it is gone.
    pub here: bool,
    /// Answered when it is watched, or with the reason why it is not.
    pub done: oneshot::Sender<Result<(), String>>,
}

impl Adoption {
    /// Asks for an instance to be watched (`here`), or not any more, and waits until that is so. False where it cannot be,
    /// which is logged, and where the agent is ending.
    pub(super) async fn ask(
        to: &mpsc::Sender<Self>,
        gateway: &GatewayId,
        instance: &InstanceId,
        here: bool,
    ) -> bool {
        let (done, adopted) = oneshot::channel();
        let adoption = Self { gateway: gateway.clone(), instance: instance.clone(), here, done };
        if to.send(adoption).await.is_err() {
            return false;
        }
        match adopted.await {
            Ok(Ok(())) => true,
            Ok(Err(why)) => {
                tracing::warn!(%gateway, %instance, why, "an instance that made itself known cannot be watched");
                false
            }
            Err(_) => false,
        }
    }
}

/// One gateway that reports.
struct Reporter {
    book: Mutex<Book>,
    entry: GatewayEntry,
    hookup: Hookup,
}

impl Reporter {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All gateways that report, and the way to them. Cheap to clone.
#[derive(Clone)]
pub struct Reporting {
    reporters: Arc<Mutex<BTreeMap<GatewayId, Arc<Reporter>>>>,
    directory: mooring_report::Directory,
    orders: mpsc::Sender<OrderRequest>,
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("gateways", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Reporting {
    /// With the API's directory and its way for orders; and the task that takes reports in. `adopt` is where instances
    /// are asked to be watched.
    #[must_use]
    pub fn new(
        directory: mooring_report::Directory,
        orders: mpsc::Sender<OrderRequest>,
        reports: mpsc::Receiver<Reported>,
        adopt: mpsc::Sender<Adoption>,
    ) -> (Self, Pump) {
        let reporting = Self { reporters: Arc::default(), directory, orders };
        let pump = Pump {
            reporting: reporting.clone(),
            reports,
            adopt,
            taps: HashMap::new(),
            known: HashSet::new(),
        };
        (reporting, pump)
    }

    /// Where orders go.
    #[must_use]
    pub fn orders(&self) -> mpsc::Sender<OrderRequest> {
        self.orders.clone()
    }

    /// A gateway may report from now on.
    #[must_use]
    pub fn enter(&self, gateway: &GatewayConfig, hookup: Hookup) -> Arc<dyn SessionSource> {
        let report = gateway.report.unwrap_or_default();
        let entry = GatewayEntry {
            id: gateway.id.clone(),
            instances: gateway.instances().into_iter().map(|i| i.id).collect(),
            report,
        };
        let before = self.lock().get(&gateway.id).cloned().filter(|known| known.entry.report == report);
        // What was said goes on to hold: nobody would say it again.
        let empty = || Book::new(report.meaning());
        let mut book =
            before.as_ref().map_or_else(empty, |known| std::mem::replace(&mut *known.book(), empty()));
        for gone in before.iter().flat_map(|known| &known.entry.instances) {
            if !entry.instances.contains(gone) {
                book.forget(gone);
            }
        }
        let reporter = Reporter { book: Mutex::new(book), entry, hookup };
        let reporter = Arc::new(reporter);
        self.lock().insert(gateway.id.clone(), Arc::clone(&reporter));
        self.tell_directory();
        Arc::new(ReportSource { gateway: gateway.id.clone(), reporter, orders: self.orders.clone() })
    }

    /// A gateway may not report any more.
    pub fn leave(&self, gateway: &GatewayId) {
        if self.lock().remove(gateway).is_some() {
            self.tell_directory();
        }
    }

    fn tell_directory(&self) {
        let entries = self.lock().values().map(|reporter| reporter.entry.clone()).collect();
        self.directory.replace(entries, now().mono);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GatewayId, Arc<Reporter>>> {
        self.reporters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that takes reports in.
pub struct Pump {
    reporting: Reporting,
    reports: mpsc::Receiver<Reported>,
    adopt: mpsc::Sender<Adoption>,
    taps: HashMap<GatewayId, (Arc<Reporter>, Tap)>,
    known: HashSet<(GatewayId, InstanceId)>,
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("reporting", &self.reporting).finish_non_exhaustive()
    }
}

impl Pump {
    /// Takes reports in until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut due = tokio::time::Instant::now();
        loop {
            tokio::select! {
                // What was said before what follows from silence.
                biased;
                () = stop.cancelled() => return,
                reported = self.reports.recv() => match reported {
                    Some(reported) => self.take(reported).await,
                    // The API ends first when the agent does; who ends before being told to has failed.
                    None => return stop.cancelled().await,
                },
                () = tokio::time::sleep_until(due) => {
                    self.tick().await;
                    due = self.next_tick();
                }
            }
        }
    }

    /// The earliest deadline of any gateway, within [`TICK`]. What is reported until then has none that is sooner: the
    /// shortest that can be promised is longer. A detector that is asked late takes that for a pause of the agent's own.
    fn next_tick(&self) -> tokio::time::Instant {
        let reporters = self.reporting.lock();
        let dues = reporters.values().filter_map(|reporter| reporter.book().next_check());
        let now = tokio::time::Instant::now();
        dues.min().map_or(now + TICK, |due| crate::clock::instant(due).clamp(now + LEAST_TICK, now + TICK))
    }

    /// The gateway as it is configured now, with a tap of its own.
    fn tap(&mut self, gateway: &GatewayId) -> Option<&mut (Arc<Reporter>, Tap)> {
        let current = self.reporting.lock().get(gateway).cloned();
        let Some(current) = current else {
            self.taps.remove(gateway);
            return None;
        };
        let stale = self.taps.get(gateway).is_none_or(|(known, _)| !Arc::ptr_eq(known, &current));
        if stale {
            self.known.retain(|(of, _)| of != gateway);
            let tap = Tap::new(Source::Report, current.hookup.clone());
            self.taps.insert(gateway.clone(), (current, tap));
        }
        self.taps.get_mut(gateway)
    }

    async fn take(&mut self, reported: Reported) {
        let gateway = reported.gateway.clone();
        // A reload may have taken it away between the report and now.
        let Some((reporter, _)) = self.tap(&gateway) else { return };
        let outcome = reporter.book().take(now(), &reported);
        self.deliver(&gateway, outcome).await;
    }

    async fn tick(&mut self) {
        let gateways: Vec<GatewayId> = self.reporting.lock().keys().cloned().collect();
        for gateway in gateways {
            let Some((reporter, _)) = self.tap(&gateway) else { continue };
            let outcomes = reporter.book().tick(now());
            for outcome in outcomes {
                self.deliver(&gateway, outcome).await;
            }
            let Some((reporter, tap)) = self.tap(&gateway) else { continue };
            let counts = reporter.book().counts();
            tap.looked(counts.open, counts.sick);
            tap.count(counts);
            tap.tick().await;
        }
    }

    async fn deliver(&mut self, gateway: &GatewayId, outcome: Outcome) {
        let Outcome { instance, step } = outcome;
        if !self.watched(gateway, &instance).await {
            return;
        }
        let Some((_, tap)) = self.tap(gateway) else { return };
        for close in step.closes {
            tap.tell_end(now().mono, close);
        }
        tap.claim(Some(&instance), step.claims).await;
    }

    /// Sees to it that an instance has a tracker before anything is said of it.
    async fn watched(&mut self, gateway: &GatewayId, instance: &InstanceId) -> bool {
        let key = (gateway.clone(), instance.clone());
        if self.known.contains(&key) {
            return true;
        }
        let adopted = Adoption::ask(&self.adopt, gateway, instance, true).await;
        if adopted {
            self.known.insert(key);
        }
        adopted
    }
}

/// The sessions of one gateway, as it says.
struct ReportSource {
    gateway: GatewayId,
    reporter: Arc<Reporter>,
    orders: mpsc::Sender<OrderRequest>,
}

impl fmt::Debug for ReportSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportSource").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

impl ReportSource {
    /// Which of its instances are meant, each with the gateway's own name of the session, if one is meant.
    fn meant(&self, which: &Which) -> Result<Vec<(InstanceId, String)>, String> {
        let book = self.reporter.book();
        Ok(match which {
            Which::One(session) => {
                book.session(session).map(|(i, name)| (i.clone(), name.to_string())).into_iter().collect()
            }
            Which::Instance(instance) => vec![(instance.clone(), String::new())],
            Which::All => book.instances().map(|(i, _)| (i.clone(), String::new())).collect(),
        })
    }

    async fn ask(&self, instance: InstanceId, session: String, limit: Duration) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let request = OrderRequest {
            id: OrderId(Uuid::now_v7()),
            gateway: self.gateway.clone(),
            action: Action::Reconnect,
            instance: Some(instance),
            session,
            delay: None,
            reason: "its session is to be closed".to_owned(),
            time_limit: limit,
            reply,
        };
        let gone = || "the report API has stopped".to_owned();
        self.orders.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map(|_| ())
    }

    async fn end(&self, closing: Closing) -> Result<Closed, String> {
        let meant = self.meant(&closing.which)?;
        if meant.is_empty() {
            return Ok(Closed {
                gone: u64::from(matches!(closing.which, Which::One(_))),
                ..Closed::default()
            });
        }
        let spread = closing.spread.unwrap_or_default().min(closing.limit);
        let part = spread.checked_div(u32::try_from(meant.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let begun = tokio::time::Instant::now();
        let asked = (0..).zip(meant).map(|(turn, (instance, session))| async move {
            tokio::time::sleep_until(begun + part * turn).await;
            self.ask(instance, session, closing.limit).await
        });
        // One client that does not answer keeps no other from being asked.
        let answers: Vec<Result<(), String>> =
            futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        let closed = Closed { properly: (answers.len() - failed) as u64, ..Closed::default() };
        match answers.into_iter().find_map(Result::err) {
            Some(why) if closed.properly == 0 => Err(why),
            Some(why) => Err(format!("{closed}, {failed} not: {why}")),
            None => Ok(closed),
        }
    }
}

impl SessionSource for ReportSource {
    fn source(&self) -> Source {
        Source::Report
    }

    fn page(&self, query: &SessionQuery) -> SessionPage {
        let mono = now().mono;
        self.reporter.book().sessions(Now { mono, wall: time_of_day(mono) }, query)
    }

    fn close(&self, closing: Closing) -> BoxFuture<'_, Result<Closed, String>> {
        self.end(closing).boxed()
    }
}
