//! From what a source sees to everybody who needs to know: the trackers (claims), the outbox (numbers and ends), the
//! instruments.
//!
//! One tap per gateway and source, owned by the task that reads the source; what sessions mean is decided by
//! [`Crowd`]s, one per instance (one for the gateway where the source cannot tell instances apart).
//!
//! Bounds: ends are told one by one only as fast as somebody could read them; beyond that they are in
//! the numbers, which are told at most twice a minute.

use std::collections::HashMap;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::observation::{Claim, Observation};
use mooring_core::session::crowd::{Census, Crowd, CrowdConfig, CrowdEvent};
use mooring_core::session::{SessionClose, SessionCounts, Source};
use mooring_core::time::Mono;
use tokio::sync::{broadcast, mpsc};

use crate::clock::now;
use crate::executor::{Sighting, Sightings, tell};
use crate::metrics::{Metrics, SessionLabels};
use crate::outbox::Outgoing;

/// Numbers are told at most this often.
pub const COUNTS_EVERY: Duration = Duration::from_secs(30);

/// An order begins (`true`) or ends on an instance; `None`: on the whole gateway.
pub type Disturbance = (Option<InstanceId>, bool);

/// What a tap is connected to.
#[derive(Debug, Clone)]
pub struct Hookup {
    /// Which gateway.
    pub gateway: GatewayId,
    /// Its handle in the outbox.
    pub handle: u32,
    /// Where numbers and ends go.
    pub outgoing: Outgoing,
    /// Where claims go.
    pub sightings: Sightings,
    /// Instruments.
    pub metrics: Metrics,
    /// Orders that begin and end.
    pub disturbances: broadcast::Sender<Disturbance>,
    /// The process's own lateness.
    pub lag: broadcast::Sender<Duration>,
    /// Whose numbers are the gateway's: the others see the same sessions.
    pub counted_by: Source,
}

/// How fast something may be told: so many at once, and so many a second in the long run.
#[derive(Debug)]
struct Allowance {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Mono,
}

impl Allowance {
    fn new(burst: u32, per_second: f64) -> Self {
        Self { burst: f64::from(burst), per_second, left: f64::from(burst), at: Mono::default() }
    }

    fn take(&mut self, now: Mono) -> bool {
        let refill = now.since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + refill).min(self.burst);
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// The tap.
#[derive(Debug)]
pub struct Tap {
    source: Source,
    /// Sessions are told apart by instance: one that is nobody's says nothing of any.
    apart: bool,
    hookup: Hookup,
    labels: SessionLabels,
    crowds: HashMap<Option<InstanceId>, Crowd>,
    counts: SessionCounts,
    /// What was told last, and when.
    told: Option<(SessionCounts, Mono)>,
    /// Ends with a fault, and ends without.
    faults: Allowance,
    ordinary: Allowance,
}

impl Tap {
    /// A tap of a source that has seen nothing yet.
    #[must_use]
    pub fn new(source: Source, hookup: Hookup) -> Self {
        let labels = SessionLabels::new(&hookup.gateway, source);
        Self {
            source,
            apart: false,
            hookup,
            labels,
            crowds: HashMap::new(),
            counts: SessionCounts::default(),
            told: None,
            faults: Allowance::new(128, 4.0),
            ordinary: Allowance::new(16, 0.5),
        }
    }

    /// Whether sessions are told apart by instance, so that one of none concerns none: whoever asks for a path that does
    /// not exist must not make the instances of others sick.
    #[must_use]
    pub fn apart(self, apart: bool) -> Self {
        Self { apart, ..self }
    }

    /// The gateway's own numbers, to be told when it is time.
    pub fn count(&mut self, counts: SessionCounts) {
        self.counts = counts;
    }

    /// A session was opened.
    pub async fn opened(&mut self, instance: Option<&InstanceId>) {
        self.counts.opened += 1;
        self.counts.open += 1;
        self.hookup.metrics.real_opened(&self.labels);
        self.step(now().mono, instance, CrowdEvent::Opened).await;
    }

    /// A session was refused.
    pub async fn refused(&mut self, instance: Option<&InstanceId>, cause: Cause, message: &str) {
        self.hookup.metrics.real_refused(&self.labels, cause);
        self.step(now().mono, instance, CrowdEvent::Refused { cause, message }).await;
    }

    /// A session waits for a gateway that takes no connections: not refused yet, but the gateway is as it is.
    pub async fn away(&mut self, instance: Option<&InstanceId>, cause: Cause, message: &str) {
        self.step(now().mono, instance, CrowdEvent::Refused { cause, message }).await;
    }

    /// A session was refused for a reason that says nothing of the gateway.
    pub fn refused_by_us(&self, cause: Cause) {
        self.hookup.metrics.real_refused(&self.labels, cause);
    }

    /// Sessions were counted by somebody who misses none. By cause they are counted here.
    pub fn recount(&mut self, counts: &SessionCounts) {
        self.counts.opened = counts.opened;
        self.counts.closed = counts.closed;
    }

    /// A session ended.
    pub async fn closed(&mut self, mut close: SessionClose) {
        let at = now().mono;
        let instance = close.instance.clone();
        if let Some((cause, message)) = self.step(at, instance.as_ref(), CrowdEvent::Closed(&close)).await {
            close.cause = Some(cause);
            close.message = message;
        }
        self.counts.closed += 1;
        self.counts.open = self.counts.open.saturating_sub(1);
        if let Some(cause) = close.cause {
            match self.counts.closed_by_cause.binary_search_by_key(&cause, |(cause, _)| *cause) {
                Ok(place) => self.counts.closed_by_cause[place].1 += 1,
                Err(place) => self.counts.closed_by_cause.insert(place, (cause, 1)),
            }
        }
        self.tell_end(at, close);
    }

    /// An end that was judged and counted elsewhere is told.
    pub fn tell_end(&mut self, at: Mono, close: SessionClose) {
        self.hookup.metrics.real_closed(&self.labels, &close);
        let allowance = if close.cause.is_some() { &mut self.faults } else { &mut self.ordinary };
        if allowance.take(at) {
            self.hookup.outgoing.session_closed(self.hookup.handle, close);
        }
    }

    /// A round trip was measured.
    pub fn round_trip(&self, rtt: Duration) {
        self.hookup.metrics.round_trip(&self.labels, rtt);
    }

    /// Events did not find room.
    pub fn lost(&self, n: u64) {
        self.hookup.metrics.real_events_lost(&self.labels, n);
    }

    /// All sessions were looked at: how many of the gateway are open, and how many sick.
    pub fn looked(&mut self, open: u64, sick: u64) {
        self.counts.open = open;
        self.counts.sick = sick;
        self.hookup.metrics.real_sessions(&self.labels, open, sick);
    }

    /// All sessions of an instance were looked at.
    pub async fn census(&mut self, instance: Option<&InstanceId>, census: Census<'_>) {
        self.step(now().mono, instance, CrowdEvent::Census(census)).await;
    }

    /// The instances of which anything was ever seen.
    #[must_use]
    pub fn instances(&self) -> Vec<Option<InstanceId>> {
        self.crowds.keys().cloned().collect()
    }

    /// An order began or ended.
    pub async fn disturbed(&mut self, (instance, began): Disturbance) {
        let event = if began { CrowdEvent::Disturbed } else { CrowdEvent::Settled };
        let all = self.instances();
        // What cannot be told apart by instance is disturbed with each of them.
        for crowd in all.iter().filter(|crowd| instance.is_none() || crowd.is_none() || **crowd == instance) {
            self.step(now().mono, crowd.as_ref(), event).await;
        }
    }

    /// The agent itself was held up.
    pub async fn lagged(&mut self, lag: Duration) {
        for instance in self.instances() {
            self.step(now().mono, instance.as_ref(), CrowdEvent::Lag(lag)).await;
        }
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        let counts = self.counts_due();
        self.crowds.values().filter_map(Crowd::wake_at).chain(counts).min()
    }

    /// Lets time pass.
    pub async fn tick(&mut self) {
        let at = now().mono;
        let due = |crowd: &Crowd| crowd.wake_at().is_some_and(|due| due <= at);
        let due: Vec<_> = self.crowds.iter().filter(|(_, c)| due(c)).map(|(i, _)| i.clone()).collect();
        for instance in due {
            self.step(at, instance.as_ref(), CrowdEvent::Tick).await;
        }
        if self.counts_due().is_some_and(|due| due <= at) {
            self.told = Some((self.counts.clone(), at));
            self.hookup.outgoing.session_counts(self.hookup.handle, self.counts.clone());
        }
    }

    /// Claims that were made elsewhere.
    pub async fn claim(&self, instance: Option<&InstanceId>, claims: Vec<Claim>) {
        for claim in claims {
            tell(&self.hookup.sightings, instance.cloned(), Observation::Claim(claim)).await;
        }
    }

    /// The source cannot see any more: what it claimed is no more.
    pub async fn withdraw(&mut self) {
        self.crowds.clear();
        tell(&self.hookup.sightings, None, Observation::Withdrawn(self.source)).await;
    }

    fn counts_due(&self) -> Option<Mono> {
        if self.hookup.counted_by != self.source {
            return None;
        }
        match &self.told {
            Some((told, _)) if *told == self.counts => None,
            Some((_, at)) => Some(at.after(COUNTS_EVERY)),
            None if self.counts == SessionCounts::default() => None,
            None => Some(Mono::default()),
        }
    }

    async fn step(
        &mut self,
        at: Mono,
        instance: Option<&InstanceId>,
        event: CrowdEvent<'_>,
    ) -> Option<(Cause, String)> {
        let source = self.source;
        let key = instance.cloned();
        if key.is_none() && self.apart {
            return None;
        }
        let crowd = self.crowds.entry(key).or_insert_with(|| Crowd::new(source, CrowdConfig::default()));
        let step = crowd.step(at, event);
        for claim in step.claims {
            let sighting = Sighting { instance: instance.cloned(), observation: Observation::Claim(claim) };
            if self.hookup.sightings.try_send(sighting.clone()).is_err() {
                tell(&self.hookup.sightings, sighting.instance, sighting.observation).await;
            }
        }
        step.cause
    }
}

/// What disturbs a tap from outside, as one stream of events.
#[derive(Debug)]
pub struct Outside {
    disturbances: broadcast::Receiver<Disturbance>,
    lag: broadcast::Receiver<Duration>,
}

impl Outside {
    /// What the hookup hears from now on.
    #[must_use]
    pub fn of(hookup: &Hookup) -> Self {
        Self { disturbances: hookup.disturbances.subscribe(), lag: hookup.lag.subscribe() }
    }

    /// The next thing; never ends.
    pub async fn next(&mut self) -> Noise {
        loop {
            tokio::select! {
                disturbance = self.disturbances.recv() => match disturbance {
                    Ok(disturbance) => return Noise::Disturbance(disturbance),
                    // Some were missed: as if all had been disturbed.
                    Err(broadcast::error::RecvError::Lagged(_)) => return Noise::Disturbance((None, true)),
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                },
                Ok(lag) = self.lag.recv() => return Noise::Lag(lag),
            }
        }
    }
}

/// What a tap hears from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noise {
    /// An order began or ended.
    Disturbance(Disturbance),
    /// The agent was held up.
    Lag(Duration),
}

impl Tap {
    /// Takes what was heard from outside.
    pub async fn heard(&mut self, noise: Noise) {
        match noise {
            Noise::Disturbance(disturbance) => self.disturbed(disturbance).await,
            Noise::Lag(lag) => self.lagged(lag).await,
        }
    }
}

/// A channel of sightings that nobody reads: for what has no trackers.
#[must_use]
pub fn nobody() -> Sightings {
    mpsc::channel(1).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_core::id::SessionId;
    use mooring_core::session::EndedBy;
    use mooring_core::time::Timestamp;

    fn hookup(source: Source) -> (Hookup, mpsc::Receiver<Sighting>) {
        let (sightings, seen) = mpsc::channel(64);
        let outgoing = Outgoing::new();
        let hookup = Hookup {
            gateway: GatewayId::new("chat").unwrap(),
            handle: 1,
            outgoing,
            sightings,
            metrics: Metrics::new(),
            disturbances: broadcast::channel(4).0,
            lag: broadcast::channel(4).0,
            counted_by: source,
        };
        (hookup, seen)
    }

    fn close(n: u32, cause: Option<Cause>) -> SessionClose {
        SessionClose {
            id: SessionId::new(format!("r{n}")).unwrap(),
            source: Source::Relay,
            instance: None,
            peer: "192.0.2.1:5".to_owned(),
            at: Timestamp(1),
            age: Duration::from_secs(60),
            silent_for: Duration::from_secs(1),
            by: EndedBy::Peer,
            code: Some(1000),
            cause,
            message: String::new(),
        }
    }

    #[tokio::test]
    async fn a_flood_of_ends_is_counted_and_not_told_one_by_one() {
        let (hookup, _seen) = hookup(Source::Relay);
        let outgoing = hookup.outgoing.clone();
        let mut tap = Tap::new(Source::Relay, hookup);
        for n in 0..5_000 {
            tap.opened(None).await;
            tap.closed(close(n, None)).await;
        }
        assert!(outgoing.usage().pending < 64, "{:?}", outgoing.usage());
        tap.tick().await;
        assert_eq!((tap.counts.opened, tap.counts.closed, tap.counts.open), (5_000, 5_000, 0));
        assert!(tap.counts.closed_by_cause.is_empty());
    }

    #[tokio::test]
    async fn numbers_are_told_once_and_then_only_when_they_change() {
        let (hookup, _seen) = hookup(Source::Kernel);
        let mut tap = Tap::new(Source::Kernel, hookup);
        assert_eq!(tap.counts_due(), None);
        tap.looked(3, 1);
        assert_eq!(tap.counts_due(), Some(Mono::default()));
        tap.tick().await;
        assert_eq!(tap.counts_due(), None);
        tap.looked(4, 1);
        assert!(tap.counts_due() >= Some(now().mono.after(COUNTS_EVERY - Duration::from_secs(5))));
    }

    #[tokio::test]
    async fn what_a_session_shows_reaches_the_trackers() {
        let (hookup, mut seen) = hookup(Source::Relay);
        let mut tap = Tap::new(Source::Relay, hookup);
        let instance = InstanceId::new("acct-1").unwrap();
        for _ in 0..2 {
            tap.refused(Some(&instance), Cause::ConnectionRefused, "nothing listens").await;
        }
        let sighting = seen.recv().await.unwrap();
        assert_eq!(sighting.instance, Some(instance));
        let Observation::Claim(claim) = sighting.observation else { panic!("a claim") };
        assert_eq!(claim.cause, Some(Cause::ConnectionRefused));
    }
}
