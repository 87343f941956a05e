//! The kernel's view of a gateway's connections: read every few seconds, judged, and, where that is allowed, cut.
//!
//! Reading waits for the kernel and walks `/proc`, so it happens on threads that may wait; one lock holds the reader and
//! the judge, for a question asked between two looks is answered by a look of its own. What is wrong with a connection is
//! remembered beside the judge, in words, by the socket's cookie.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mooring_core::backoff::between;
use mooring_core::cause::Cause;
use mooring_core::id::{InstanceId, SessionId};
use mooring_core::session::crowd::Census;
use mooring_core::session::{
    EndedBy, Flow, SessionClose, SessionPage, SessionQuery, SessionState, SessionSummary, SessionView, Source,
};
use mooring_kernel::judge::{Ended, Event, How, Judge, JudgeConfig, Kind, Report};
use mooring_kernel::{
    Ability, Connection, CutError, Namespace, Process, Reader, Refusal, ScanStats, Selector, State, Target,
    capabilities,
};
use mooring_runtime::lifecycle::error_chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::patience::Patience;
use super::tap::{Outside, Tap};
use super::{Closed, Closing, SessionSource, Which};
use crate::clock::{now, time_of_day, until};
use crate::config::{GatewayConfig, KernelSection, ProcessRef};
use crate::executor::ProcessStatus;

/// A gateway's connections.
#[derive(Clone)]
pub struct KernelSource(Arc<Shared>);

struct Shared {
    section: KernelSection,
    /// Ports and far ends; the process is added when it is known.
    selector: Selector,
    process: Option<watch::Receiver<ProcessStatus>>,
    /// The one instance of the gateway; `None`: it has several, and the kernel cannot tell whose a connection is.
    instance: Option<InstanceId>,
    eyes: Mutex<Eyes>,
}

/// What the lock holds.
struct Eyes {
    reader: Option<Reader>,
    namespace: Namespace,
    process: Option<Process>,
    judge: Judge,
    findings: HashMap<u64, (Cause, String)>,
    /// Cut by us, and not yet seen to be gone.
    cut: HashSet<u64>,
    /// Why the last question had no answer.
    trouble: Option<String>,
}

/// One look.
struct Look {
    /// What ended, and whether by us.
    ended: Vec<(Ended, bool)>,
    /// Open: neither being dialled nor being closed.
    open: u64,
    report: Report,
    stats: ScanStats,
    sick: Vec<(Cause, u64)>,
    newest: Option<Duration>,
}

impl fmt::Debug for KernelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelSource").field("selector", &self.0.selector).finish_non_exhaustive()
    }
}

impl KernelSource {
    /// A source for a gateway. Nothing is read yet.
    ///
    /// # Errors
    /// In words, when the settings name nothing that could be looked for.
    pub fn new(
        gateway: &GatewayConfig,
        process: Option<watch::Receiver<ProcessStatus>>,
    ) -> Result<Self, String> {
        let section = gateway.kernel.clone().unwrap_or_default();
        let selector = section.selector(gateway)?;
        let judge = JudgeConfig {
            interval: section.every.get(),
            half_open: section.half_open_after.get(),
            peer_stalled: section.stalled_after.get(),
            gateway_stalled: section.stalled_after.get(),
            max_tracks: section.max_connections as usize,
            ..JudgeConfig::default()
        };
        let instances = gateway.instances();
        let instance = match instances.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        };
        let eyes = Eyes {
            reader: None,
            namespace: Namespace::Own,
            process: None,
            judge: Judge::new(judge),
            findings: HashMap::new(),
            cut: HashSet::new(),
            trouble: None,
        };
        let shared = Shared { section, selector, process, instance, eyes: Mutex::new(eyes) };
        Ok(Self(Arc::new(shared)))
    }

    /// Looks every so often until told to stop.
    pub async fn run(self, mut tap: Tap, mut outside: Outside, stop: CancellationToken) {
        let every = self.0.section.every.get();
        if self.0.section.cut
            && let Ok(Ability::No(why)) = self.blocking(|_| Ok(capabilities().destroy)).await
        {
            tracing::warn!(selector = %self.0.selector, why, "connections cannot be cut, as `kernel.cut` would allow");
        }
        let (mut patience, mut first) = (Patience::default(), true);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = tap.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                noise = outside.next() => tap.heard(noise).await,
                _ = ticks.tick() => {
                    if patience.waits() {
                        continue;
                    }
                    match self.blocking(|shared| shared.look()).await {
                        Ok(look) => {
                            if patience.relieved() {
                                tracing::info!(selector = %self.0.selector, "connections are read from the kernel");
                            }
                            self.digest(look, &mut first, &mut tap).await;
                        }
                        Err(why) => {
                            if patience.failed() {
                                tracing::warn!(selector = %self.0.selector, why, "connections cannot be read from the kernel");
                            }
                            tap.withdraw().await;
                        }
                    }
                }
                () = until(wake) => tap.tick().await,
            }
        }
    }

    async fn digest(&self, look: Look, first: &mut bool, tap: &mut Tap) {
        let shared = &self.0;
        let instance = shared.instance.as_ref();
        let Look { ended, open, report, stats, sick, newest } = look;
        if let Some(lag) = report.lag {
            tap.lagged(lag).await;
        }
        // Those that were there when watching began were not opened under our eyes.
        if !std::mem::replace(first, false) {
            for _ in 0..report.opened {
                tap.opened(instance).await;
            }
        }
        for (ended, by_us) in ended {
            if ended.how != How::NeverOpened {
                tap.closed(shared.close(&ended, by_us)).await;
            } else if ended.retransmits > 0 {
                // It was never a session. Refused at once says nothing: that comes and goes between two looks.
                let far = canonical(ended.who.remote);
                let message = format!("{far} did not answer for {:.1} s", ended.age.as_secs_f64());
                tap.refused(instance, Cause::ConnectTimedOut, &message).await;
            }
        }
        if let Some(rtt) = report.rtt.quantile(0.5) {
            tap.round_trip(rtt);
        }
        tap.looked(open, sick.iter().map(|(_, n)| n).sum());
        let serves = !shared.selector_ports().is_empty() && shared.section.remotes.is_empty();
        let census = Census {
            open,
            sick: &sick,
            newest_data_age: newest,
            longest_silence: report.most_silent.first().map(|row| row.silent),
            listening: serves.then_some(!stats.listeners.is_empty()),
            expected: shared.section.expect.map(u64::from),
        };
        tap.census(instance, census).await;
        // Whatever is due by now; the loop's own alarm may not come before the next look.
        tap.tick().await;
    }

    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<R, String> + Send + 'static,
    ) -> Result<R, String> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|_| "reading the kernel's connections panicked (the log says more)".to_owned())?
    }

    async fn cut(&self, closing: Closing) -> Result<Closed, String> {
        if !self.0.section.cut {
            return Err(
                "connections may not be cut on this gateway: allow it with `kernel.cut = true`".to_owned()
            );
        }
        let which = closing.which.clone();
        let targets = self.blocking(move |shared| shared.targets(&which)).await?;
        if matches!(closing.which, Which::One(_)) && targets.is_empty() {
            return Ok(Closed { gone: 1, ..Closed::default() });
        }
        let spread = closing.spread.unwrap_or_default().min(closing.limit);
        let mut closed = Closed::default();
        let part = spread.checked_div(u32::try_from(targets.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let begun = tokio::time::Instant::now();
        for (turn, target) in (0..).zip(targets) {
            if !part.is_zero() {
                // Somewhere in its own part of the time, so that peers do not come back in step.
                let pause = between(Duration::ZERO, part, &mut rand::rng());
                tokio::time::sleep_until(begun + part * turn + pause).await;
            }
            match self.blocking(move |shared| Ok(shared.cut_one(target))).await? {
                Ok(()) => closed.cut += 1,
                // Closed meanwhile, or about to be.
                Err(CutError::Gone(_) | CutError::Refused { refusal: Refusal::State(_), .. }) => {
                    closed.gone += 1;
                }
                Err(error) if closed == Closed::default() => return Err(error_chain(&error)),
                Err(error) => return Err(format!("{closed}, then: {}", error_chain(&error))),
            }
        }
        Ok(closed)
    }
}

impl SessionSource for KernelSource {
    fn source(&self) -> Source {
        Source::Kernel
    }

    fn page(&self, query: &SessionQuery) -> SessionPage {
        let answer = self.0.page(query);
        self.0.eyes().trouble = answer.as_ref().err().cloned();
        answer.unwrap_or_default()
    }

    fn trouble(&self) -> Option<String> {
        self.0.eyes().trouble.clone()
    }

    fn close(&self, closing: Closing) -> BoxFuture<'_, Result<Closed, String>> {
        self.cut(closing).boxed()
    }
}

impl Shared {
    fn eyes(&self) -> MutexGuard<'_, Eyes> {
        // A scan that panicked half-way leaves tables that the next one sets right.
        self.eyes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn selector_ports(&self) -> &[u16] {
        self.selector.ports()
    }

    /// Which process holds the connections now.
    fn pid(&self) -> Result<Option<u32>, String> {
        Ok(match &self.section.process {
            None => None,
            Some(ProcessRef::Pid(pid)) => Some(*pid),
            Some(ProcessRef::PidFile(file)) => Some(read_pid(file)?),
            Some(ProcessRef::Supervised) => {
                let status = self.process.as_ref().map(|process| process.borrow().pid);
                Some(status.flatten().ok_or("the gateway's process does not run")?)
            }
        })
    }

    /// The reader of the right namespace, and what to look for.
    fn ready<'a>(&self, eyes: &'a mut Eyes) -> Result<(&'a mut Eyes, Selector), String> {
        let mut selector = self.selector.clone();
        match self.pid()? {
            Some(pid) => {
                if eyes.process.is_none_or(|known| known.pid() != pid || !known.is_running()) {
                    let process = Process::of(pid).map_err(|e| error_chain(&e))?.with_descendants();
                    eyes.process = Some(process);
                    eyes.reader = None;
                }
                if let Some(process) = eyes.process {
                    selector = selector.process(process);
                }
            }
            None => eyes.process = None,
        }
        let namespace = match (&self.section.namespace, eyes.process) {
            (Some(path), _) => Namespace::AtPath(path.clone()),
            (None, Some(process)) => Namespace::OfProcess(process.pid()),
            (None, None) => Namespace::Own,
        };
        if eyes.reader.is_none() || eyes.namespace != namespace {
            let reader = Reader::open(namespace.clone()).map_err(|e| error_chain(&e))?;
            eyes.reader = Some(reader.max_connections(self.section.max_connections as usize));
            eyes.namespace = namespace;
        }
        Ok((eyes, selector))
    }

    fn look(&self) -> Result<Look, String> {
        let mut eyes = self.eyes();
        let (eyes, selector) = self.ready(&mut eyes)?;
        let Some(reader) = &mut eyes.reader else { return Err("there is no reader".to_owned()) };
        let mut events = Vec::new();
        let (mut open, mut newest) = (0_u64, None::<Duration>);
        eyes.judge.begin(now().mono);
        let judge = &mut eyes.judge;
        let scanned = reader.scan(&selector, &mut |connection| {
            judge.see(connection, &mut |event| events.push(event));
            if connection.state == State::Established && !connection.orphan {
                open += 1;
                newest = [newest, data_age(connection)].into_iter().flatten().min();
            }
        });
        let complete = scanned.as_ref().is_ok_and(|stats| stats.complete);
        let report = eyes.judge.finish(complete, &mut |event| events.push(event));
        let stats = scanned.map_err(|e| {
            // Of no more use; the next look opens another.
            eyes.reader = None;
            error_chain(&e)
        })?;
        let mut over = Vec::new();
        for event in events {
            match event {
                Event::Raised(finding) => {
                    let said = (cause_of(finding.kind), finding.to_string());
                    eyes.findings.insert(finding.connection.cookie, said);
                }
                Event::Cleared(who, kind) => {
                    if eyes.findings.get(&who.cookie).is_some_and(|(cause, _)| *cause == cause_of(kind)) {
                        eyes.findings.remove(&who.cookie);
                    }
                }
                Event::Ended(ended) => {
                    eyes.findings.remove(&ended.who.cookie);
                    over.push((ended, eyes.cut.remove(&ended.who.cookie)));
                }
            }
        }
        let mut sick: Vec<(Cause, u64)> = Vec::new();
        for kind in Kind::ALL {
            let (cause, n) = (cause_of(kind), report.raised[kind as usize] as u64);
            match sick.iter_mut().find(|(c, _)| *c == cause) {
                Some((_, sum)) => *sum += n,
                None if n > 0 => sick.push((cause, n)),
                None => {}
            }
        }
        Ok(Look { ended: over, open, report, stats, sick, newest })
    }

    fn page(&self, query: &SessionQuery) -> Result<SessionPage, String> {
        let mut eyes = self.eyes();
        let (eyes, selector) = self.ready(&mut eyes)?;
        let Some(reader) = &mut eyes.reader else { return Err("there is no reader".to_owned()) };
        let counted = SessionQuery {
            instance: query.instance.clone(),
            source: query.source,
            ..SessionQuery::default()
        };
        let (mut summary, mut sessions, mut cut_off) = (SessionSummary::default(), Vec::new(), false);
        let (judge, findings) = (&eyes.judge, &eyes.findings);
        let stats = reader
            .scan(&selector, &mut |connection| {
                if connection.state == State::TimeWait || connection.orphan || let_go(connection) {
                    return;
                }
                let view = self.view(connection, judge, findings);
                if counted.wants(&view) {
                    summary.add(&view);
                }
                if query.wants(&view) {
                    sessions.push(view);
                }
                // Twice a page, then the better half: an agent with 100,000 connections makes no list of all of them.
                if sessions.len() >= 2 * mooring_core::session::MAX_PAGE {
                    cut_off |= query.page(&mut sessions);
                }
            })
            .map_err(|e| error_chain(&e))?;
        summary.unwatched += stats.left_out as u64;
        let more = query.page(&mut sessions) || cut_off;
        Ok(SessionPage { sessions, more, summary })
    }

    fn view(&self, c: &Connection, judge: &Judge, findings: &HashMap<u64, (Cause, String)>) -> SessionView {
        let known = judge.view(c.cookie);
        let info = c.info.as_ref();
        let (cause, message) = findings.get(&c.cookie).cloned().unzip();
        SessionView {
            id: id_of(c.cookie),
            source: Source::Kernel,
            at: time_of_day(judge.begun()),
            instance: self.instance.clone(),
            peer: canonical(c.remote),
            local: canonical(c.local),
            state: match c.state {
                State::SynSent | State::SynRecv => SessionState::Opening,
                State::Established => SessionState::Open,
                _ => SessionState::Closing,
            },
            age: known.map(|v| v.age).unwrap_or_default(),
            age_at_least: known.is_none_or(|v| v.age_at_least),
            received: Flow {
                bytes: info.and_then(|i| i.bytes_received),
                messages: None,
                silent: known.map(|v| v.received_silent),
                queued: Some(u64::from(c.rqueue)),
            },
            sent: Flow {
                bytes: info.and_then(|i| i.bytes_acked),
                messages: None,
                silent: known.map(|v| v.sent_silent),
                queued: Some(u64::from(c.wqueue)),
            },
            rtt: info.and_then(|i| i.rtt).map(|us| Duration::from_micros(u64::from(us))),
            retransmits: info.map(|i| u64::from(i.total_retrans)),
            beat: known.and_then(|v| v.received_usual),
            protocol: "tcp".to_owned(),
            cause,
            message: message.unwrap_or_default(),
        }
    }

    fn close(&self, ended: &Ended, by_us: bool) -> SessionClose {
        let (by, cause, message) = match ended.how {
            _ if by_us => (EndedBy::Mooring, None, "cut by order"),
            How::ClosedHere => (EndedBy::Gateway, None, "closed by the gateway"),
            How::ClosedByPeer => (EndedBy::Peer, None, "closed by the peer"),
            How::TimedOut => (EndedBy::Path, Some(Cause::HalfOpen), "given up after unanswered data"),
            // Most of these are peers that closed in good order and a gateway that followed at once.
            How::Vanished => (EndedBy::Unknown, None, "gone between two looks: closed at once, or reset"),
            How::NeverOpened => (EndedBy::Unknown, Some(Cause::SessionLost), "never opened"),
        };
        SessionClose {
            id: id_of(ended.who.cookie),
            source: Source::Kernel,
            instance: self.instance.clone(),
            peer: canonical(ended.who.remote),
            at: now().wall.before(ended.give_or_take),
            age: ended.age,
            silent_for: ended.received_silent.min(ended.sent_silent),
            by,
            code: None,
            cause,
            message: format!("{message}; seen to within {:.1} s", ended.give_or_take.as_secs_f64()),
        }
    }

    fn targets(&self, which: &Which) -> Result<Vec<Target>, String> {
        let wanted = match which {
            Which::One(session) => {
                Some(cookie_of(session).ok_or_else(|| format!("`{session}` is not a connection's id"))?)
            }
            Which::All => None,
            Which::Instance(instance) if self.instance.as_ref() == Some(instance) => None,
            Which::Instance(instance) => {
                return Err(format!(
                    "the kernel cannot tell which connections are `{instance}`'s: the gateway has several instances"
                ));
            }
        };
        let mut eyes = self.eyes();
        let (eyes, selector) = self.ready(&mut eyes)?;
        let Some(reader) = &mut eyes.reader else { return Err("there is no reader".to_owned()) };
        let mut targets = Vec::new();
        reader
            .scan(&selector, &mut |connection| {
                let meant = wanted.is_none_or(|cookie| cookie == connection.cookie);
                // Half closed by the peer, too: a gateway that leaks those is mended by it.
                let open = matches!(connection.state, State::Established | State::CloseWait);
                if meant && open && !connection.orphan {
                    targets.push(Target::from(connection));
                }
            })
            .map_err(|e| error_chain(&e))?;
        Ok(targets)
    }

    fn cut_one(&self, target: Target) -> Result<(), CutError> {
        let mut eyes = self.eyes();
        // The process may be another one by now: what guards the cut is read anew.
        let Ok((eyes, selector)) = self.ready(&mut eyes) else { return Err(CutError::Gone(target)) };
        match &mut eyes.reader {
            Some(reader) => {
                let cut = reader.cut(&target, &selector)?;
                let cookie = cut.connection.cookie;
                // What is not remembered has no end to be told.
                if eyes.judge.view(cookie).is_some() {
                    eyes.cut.insert(cookie);
                }
                Ok(())
            }
            None => Err(CutError::Gone(target)),
        }
    }
}

fn cause_of(kind: Kind) -> Cause {
    match kind {
        Kind::HalfOpen => Cause::HalfOpen,
        Kind::PeerStalled => Cause::PeerStalled,
        Kind::GatewayStalled => Cause::GatewayStalled,
        Kind::PeerSilent | Kind::GatewaySilent => Cause::SilentBeyondHabit,
        Kind::NotClosed => Cause::NotClosed,
    }
}

/// The id of a connection: the kernel's own name of the socket, unique until the machine is restarted.
fn id_of(cookie: u64) -> SessionId {
    SessionId::new(format!("k{cookie:x}"))
        .unwrap_or_else(|_| unreachable!("a letter and hex digits are a name"))
}

fn cookie_of(session: &SessionId) -> Option<u64> {
    u64::from_str_radix(session.as_str().strip_prefix('k')?, 16).ok()
}

/// Whether nobody holds it any more: closed here, and the kernel waits for the peer to close as well. One that is open and
/// held by nobody waits to be accepted.
fn let_go(c: &Connection) -> bool {
    c.inode == 0 && !matches!(c.state, State::Established | State::CloseWait)
}

/// v4-mapped addresses as the v4 addresses they are.
fn canonical(end: std::net::SocketAddr) -> String {
    std::net::SocketAddr::new(end.ip().to_canonical(), end.port()).to_string()
}

/// Time since the last data in either direction.
fn data_age(c: &Connection) -> Option<Duration> {
    let info = c.info.as_ref()?;
    let received = info.bytes_received.filter(|n| *n > 0).map(|_| info.last_data_recv);
    let sent = info.bytes_acked.filter(|n| *n > 0).map(|_| info.last_data_sent);
    let least = match (received, sent) {
        (Some(a), Some(b)) => a.min(b),
        (one, other) => one.or(other)?,
    };
    Some(Duration::from_millis(u64::from(least)))
}

fn read_pid(file: &Path) -> Result<u32, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    text.trim().parse().map_err(|_| format!("{} holds no process id", PathBuf::from(file).display()))
}
