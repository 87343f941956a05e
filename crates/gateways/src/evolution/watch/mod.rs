//! The watch over one gateway: asks REST in its own time, listens to events, and carries out orders. All that is decided
//! is decided elsewhere, by pure functions; this is the one place with a clock, a network and a list of instances.
//!
//! One task. Requests and orders are futures it owns, so that stopping it stops them; none of them is more than
//! `AT_ONCE`. What a gateway can make it hold is bounded: instances by the settings, their pasts by [`Trace`], answers by
//! the HTTP client.
//!
//! [`Trace`]: super::trace::Trace

mod asks;
mod hearing;
mod instance;
mod judging;
mod process;
mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mooring_core::cause::Cause;
use mooring_core::id::InstanceId;
use mooring_core::time::Mono;
use mooring_runtime::clock::SystemClock;
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::events::{Events, HEARD, Heard};
use super::name::{id_of, listed};
use super::rest::Rest;
use super::seen::Row;
use super::settings::{EventsMode, Settings};
use super::version::Version;
use crate::adapter::{Adapter, Desk, Said, Word};

use instance::Instance;
use process::Process;
use requests::Done;

/// Most requests under way.
const AT_ONCE: usize = 16;
/// Most requests in a second, over time: what a small gateway answers without being busy with us.
const PER_SECOND: usize = 40;
/// How often what is due is looked for, and time limits are checked.
const TICK: Duration = Duration::from_millis(50);
/// How often every instance is judged without anything having happened.
const SWEEP: Duration = Duration::from_secs(1);
/// The list of instances is read after so many looks.
const LIST_EVERY: u32 = 6;
/// For a name that is not in it, it is read after so many looks.
const STRANGER_EVERY: u32 = 2;
/// It is not read again within this, whatever happens.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// An instance that is missing in the list so many times in a row is gone.
const MISSED: u32 = 2;
/// A state that was not told for so many intervals is not known any more.
const STALE: u32 = 6;
/// `/metrics` that is not served is asked for again after this.
const METRICS_AGAIN: Duration = Duration::from_secs(600);

/// An adapter for one gateway.
pub struct Evolution {
    pub(super) settings: Settings,
    pub(super) rest: Rest,
    pub(super) events: Option<Box<dyn Events>>,
}

impl std::fmt::Debug for Evolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evolution").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Adapter for Evolution {
    fn run(self: Box<Self>, desk: Desk, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (heard, hearing) = mpsc::channel(HEARD);
            let (names, wanted) = watch::channel(Vec::new());
            let listening = self.events.map(|events| events.listen(wanted, heard, stop.clone()));
            let watch = Watch::new(self.settings, self.rest, desk.words, names);
            let watching = watch.run(desk.asks, hearing, stop);
            match listening {
                Some(listening) => drop(tokio::join!(listening, watching)),
                None => watching.await,
            }
        })
    }
}

fn now() -> Mono {
    Mono(u64::try_from(SystemClock::monotonic().as_micros()).unwrap_or(u64::MAX))
}

/// Which events are heard, and since when.
#[derive(Debug, Default)]
struct Listening {
    /// The global namespace was joined.
    global: Option<Mono>,
    /// And something came through it: the gateway does send there.
    proven: bool,
    /// Instances' own namespaces that were joined.
    own: BTreeMap<String, Mono>,
}

struct Watch {
    settings: Settings,
    rest: Arc<Rest>,
    words: mpsc::Sender<Word>,
    /// Whose own namespaces are wanted.
    names: watch::Sender<Vec<String>>,
    version: Option<Version>,
    asked_version: bool,
    process: Process,
    instances: BTreeMap<InstanceId, Instance>,
    listening: Listening,
    /// The key is refused, or there is none.
    locked_out: Option<Cause>,
    tasks: FuturesUnordered<BoxFuture<'static, Done>>,
    next_list: Mono,
    listing: bool,
    listed: Option<Mono>,
    next_metrics: Mono,
    /// `/metrics` is served, and was read then.
    metrics: Option<Mono>,
    next_sweep: Mono,
    storming: Option<(usize, usize)>,
    deprecated: bool,
    closes: u64,
    /// What is to be said, in order.
    out: Vec<Word>,
    warned_full: bool,
    /// A close look is under way.
    looking_closely: bool,
    /// The list is not read for the sake of a name that nobody knows before this.
    next_stranger: Mono,
}

impl Watch {
    fn new(
        settings: Settings,
        rest: Rest,
        words: mpsc::Sender<Word>,
        names: watch::Sender<Vec<String>>,
    ) -> Self {
        let start = now();
        let version = settings.version.as_deref().and_then(Version::parse);
        let locked_out = (!rest.keyed()).then_some(Cause::TokenMissing);
        Self {
            asked_version: version.is_some(),
            version,
            settings,
            rest: Arc::new(rest),
            words,
            names,
            process: Process::default(),
            instances: BTreeMap::new(),
            listening: Listening::default(),
            locked_out,
            tasks: FuturesUnordered::new(),
            next_list: start,
            listing: false,
            listed: None,
            next_metrics: start,
            metrics: None,
            next_sweep: start,
            storming: None,
            deprecated: false,
            closes: 0,
            out: Vec::new(),
            warned_full: false,
            looking_closely: false,
            next_stranger: start,
        }
    }

    async fn run(
        mut self,
        mut asks: mpsc::Receiver<crate::adapter::Ask>,
        mut hearing: mpsc::Receiver<Heard>,
        stop: CancellationToken,
    ) {
        if !self.rest.keyed() {
            // Nobody lists them for us: those that were named are taken at their word.
            for name in self.settings.allow.clone() {
                if !name.ends_with('*') {
                    self.admit(&name);
                }
            }
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut asking = true;
        let mut listening = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ask = asks.recv(), if asking => match ask {
                    Some(ask) => self.asked(ask),
                    None => asking = false,
                },
                heard = hearing.recv(), if listening => match heard {
                    Some(heard) => self.heard(heard),
                    None => listening = false,
                },
                Some(done) = self.tasks.next(), if !self.tasks.is_empty() => self.done(done),
                _ = tick.tick() => self.tick(),
            }
            for word in std::mem::take(&mut self.out) {
                tokio::select! {
                    () = stop.cancelled() => return,
                    sent = self.words.send(word) => if sent.is_err() { return },
                }
            }
        }
    }

    /// What is due now.
    fn tick(&mut self) {
        let at = now();
        self.advance_orders(at);
        self.request(at);
        if at >= self.next_sweep {
            self.next_sweep = at.after(SWEEP);
            self.compare(at);
            for id in self.instances.keys().cloned().collect::<Vec<_>>() {
                self.judge(&id, at);
            }
        }
    }

    /// The time between two looks at an instance, stretched so that all of them together stay within [`PER_SECOND`].
    fn interval(&self) -> Duration {
        let spread = Duration::from_millis(1_000 * self.instances.len() as u64 / PER_SECOND as u64);
        self.settings.poll_interval.get().max(spread)
    }

    /// That, moved by up to a tenth: watchers that were started together must not ask together for ever.
    fn jittered(&self) -> Duration {
        self.interval().mul_f64(rand::rng().random_range(0.9..1.1))
    }

    fn wanted(&self, name: &str) -> bool {
        let Settings { allow, deny, .. } = &self.settings;
        (allow.is_empty() || listed(name, allow)) && !listed(name, deny)
    }

    /// Takes an instance in, if it is wanted; its id, if it is watched.
    fn admit(&mut self, name: &str) -> Option<InstanceId> {
        let id = id_of(name).filter(|_| self.wanted(name))?;
        if let Some(known) = self.instances.get(&id) {
            if known.name == name {
                return Some(id);
            }
            tracing::warn!(instance.id = %id, "two instances have names that give the same id; one is not watched");
            return None;
        }
        if self.instances.len() >= self.settings.max_instances {
            if !std::mem::replace(&mut self.warned_full, true) {
                let most = self.settings.max_instances;
                tracing::warn!(
                    most,
                    "there are more instances than `max_instances`; the rest is not watched"
                );
            }
            return None;
        }
        // The first looks at many are spread over one interval.
        let at = now();
        let delay = self.interval().mul_f64(rand::rng().random_range(0.0..0.2));
        let mut instance = Instance::new(name, at);
        instance.due = at.after(delay);
        self.instances.insert(id.clone(), instance);
        self.out.push(Word { instance: id.clone(), said: Said::Here });
        Some(id)
    }

    /// The gateway's list was read.
    fn listed(&mut self, at: Mono, rows: Vec<Row>) {
        let mut seen = std::collections::BTreeSet::new();
        for row in rows {
            if let Some(id) = self.admit(&row.name) {
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.trace.stored(at, row);
                }
                seen.insert(id);
            }
        }
        let mut gone = Vec::new();
        for (id, instance) in &mut self.instances {
            instance.missed = if seen.contains(id) { 0 } else { instance.missed + 1 };
            if instance.missed >= MISSED && instance.order.is_none() {
                gone.push(id.clone());
            }
        }
        for id in gone {
            self.instances.remove(&id);
            self.out.push(Word { instance: id, said: Said::Gone });
        }
        self.listed = Some(at);
        self.wanted_namespaces();
    }

    /// Tells the listener whose own namespaces to join.
    fn wanted_namespaces(&self) {
        let wanted = |instance: &&Instance| match self.settings.events {
            EventsMode::Off | EventsMode::Global => false,
            // Without a key, nobody says whose settings are on: each is asked for.
            EventsMode::Auto | EventsMode::Instance => {
                !self.rest.keyed() || instance.trace.row.as_ref().is_some_and(|(_, row)| row.events)
            }
        };
        let names: Vec<String> = self.instances.values().filter(wanted).map(|i| i.name.clone()).collect();
        self.names.send_if_modified(|known| {
            let changed = *known != names;
            if changed {
                *known = names;
            }
            changed
        });
    }

    /// The list is to be read soon.
    fn list_soon(&mut self) {
        let soon = self.listed.map_or(now(), |at| at.after(LIST_PAUSE));
        self.next_list = self.next_list.min(soon);
    }

    /// Something tells of an instance that is not in the list: it may be new. Or it is one that the key may not see, which
    /// would be told of for ever.
    fn stranger(&mut self, name: &str, at: Mono) {
        if self.wanted(name) && at >= self.next_stranger {
            self.next_stranger = at.after(self.interval() * STRANGER_EVERY);
            self.list_soon();
        }
    }

    /// All are to be looked at now: what was missed meanwhile is not known.
    fn look_at_all(&mut self) {
        let at = now();
        for instance in self.instances.values_mut() {
            instance.due = at;
        }
        self.list_soon();
    }
}
