//! Claims of other watchers: how they are put together with the canary's own findings, and what holds whatever they say.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::handshake::{Established, HandshakeReport, Refusal, Step};
use mooring_core::id::Incarnation;
use mooring_core::observation::{Claim, Close, Observation};
use mooring_core::session::Source;
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_core::tracker::{Effects, Event, Tracker, TrackerConfig};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

type Held = (Status, Option<Cause>);
const WELL: Held = (Status::True, None);
const NOTHING: Held = (Status::Unknown, Some(Cause::NotYetObserved));
const REPAIR: Held = (Status::Unknown, Some(Cause::UnderRepair));

fn sick(cause: Cause) -> Held {
    (Status::False, Some(cause))
}

struct Machine {
    tracker: Tracker,
    now: Mono,
    rng: StdRng,
}

fn config(dials: bool) -> TrackerConfig {
    TrackerConfig { dials, ..TrackerConfig::default() }
}

impl Machine {
    fn new(dials: bool) -> Self {
        let now = Mono(1_000_000_000);
        let tracker = Tracker::new(config(dials), Now { mono: now, wall: Timestamp(0) });
        Self { tracker, now, rng: StdRng::seed_from_u64(3) }
    }

    fn copy(&self) -> Self {
        Self { tracker: self.tracker.clone(), now: self.now, rng: StdRng::seed_from_u64(3) }
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = Now { mono: self.now, wall: Timestamp(self.now.0 as i64) };
        self.tracker.step(now, event, &mut self.rng)
    }

    fn see(&mut self, observation: Observation) -> Effects {
        self.step(Event::Observed(observation))
    }

    fn claim(&mut self, source: Source, kind: ConditionKind, held: Held) -> Effects {
        self.claim_of(source, kind, held, Duration::ZERO)
    }

    fn claim_of(&mut self, source: Source, kind: ConditionKind, held: Held, age: Duration) -> Effects {
        self.see(Observation::Claim(claim(source, kind, held, age)))
    }

    fn pass(&mut self, ms: u64) -> Effects {
        self.now = self.now.after(Duration::from_millis(ms));
        self.step(Event::Tick)
    }

    fn held(&self, kind: ConditionKind) -> Held {
        let c = &self.tracker.conditions()[kind.index()];
        (c.status, c.cause)
    }

    fn reachable(&self) -> Held {
        self.held(ConditionKind::Reachable)
    }

    /// A canary's session is opened and lives.
    fn up(&mut self) {
        self.see(handshake(Ok(Established::default())));
        self.see(life());
        assert_eq!(self.reachable(), WELL);
    }
}

fn claim(source: Source, kind: ConditionKind, (status, cause): Held, age: Duration) -> Claim {
    let message = format!("{source} says so");
    Claim { source, kind, status, cause, message, evidence: Vec::new(), age }
}

fn handshake(outcome: Result<Established, Refusal>) -> Observation {
    Observation::Handshake(HandshakeReport { steps: Vec::new(), answer: None, outcome, took: Duration::ZERO })
}

fn refused() -> Observation {
    let refusal = Refusal { step: Step::Connect, cause: Cause::ConnectionRefused, message: String::new() };
    handshake(Err(refusal))
}

fn life() -> Observation {
    Observation::Life { age: Duration::ZERO }
}

fn died() -> Observation {
    Observation::ProcessExited { code: Some(3), signal: None, expected: false }
}

fn started() -> Observation {
    Observation::ProcessStarted { incarnation: Incarnation(2), pid: 7 }
}

fn closed() -> Observation {
    let d = Duration::from_secs(7);
    let (reason, error) = (String::new(), None);
    Observation::Closed(Close { code: None, reason, by_us: false, age: d, silent_for: d, error })
}

use ConditionKind::{Beating, Reachable};
use Source::{Kernel, Relay, Report};

#[test]
fn how_opinions_are_put_together() {
    let (lost, cut, half) = (sick(Cause::SessionLost), sick(Cause::IdleCut), sick(Cause::HalfOpen));
    let reset = (Status::Unknown, Some(Cause::MassReset));
    // whether a canary finds it well, relay, kernel, report (in any order), what is shown
    let rows = [
        (false, None, None, None, NOTHING),
        (false, Some(WELL), None, None, WELL),
        (false, Some(WELL), Some(half), None, half),
        (false, Some(lost), Some(half), Some(cut), lost),
        (false, None, Some(half), Some(cut), half),
        (false, Some(NOTHING), Some(reset), None, reset),
        (false, Some(reset), Some(WELL), None, WELL),
        (true, None, None, None, WELL),
        (true, Some(reset), Some(NOTHING), None, WELL),
        (true, Some(WELL), Some(WELL), Some(cut), cut),
    ];
    for (canary, relay, kernel, report, want) in rows {
        let said = [(Relay, relay), (Kernel, kernel), (Report, report)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut m = Machine::new(canary);
            if canary {
                m.up();
            }
            for (source, held) in order.map(|i| said[i]) {
                if let Some(held) = held {
                    m.claim(source, Reachable, held);
                }
            }
            assert_eq!(m.reachable(), want, "canary {canary}, {said:?}");
            // A False of its own is the canary's, whatever the others say.
            if canary {
                m.see(died());
                assert_eq!(m.reachable(), sick(Cause::ProcessExited));
            }
        }
    }
}

#[test]
fn a_claim_stands_until_the_same_source_says_otherwise_or_withdraws() {
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    m.claim(Relay, Beating, sick(Cause::HeartbeatMissed));
    m.claim(Kernel, Reachable, sick(Cause::HalfOpen));
    m.claim(Kernel, Reachable, NOTHING);
    assert_eq!((m.reachable(), m.held(Beating)), (WELL, sick(Cause::HeartbeatMissed)));
    m.pass(3_600_000);
    assert_eq!(m.reachable(), WELL);
    m.see(Observation::Withdrawn(Kernel));
    assert_eq!(m.reachable(), WELL);
    m.see(Observation::Withdrawn(Relay));
    assert_eq!((m.reachable(), m.held(Beating)), (NOTHING, NOTHING));
    m.claim(Report, ConditionKind::Linked, sick(Cause::LoginRevoked));
    assert_eq!(m.tracker.phase().name(), "NeedsHuman");
    m.see(Observation::Withdrawn(Report));
    let linked = (Status::Unknown, Some(Cause::NotObservable));
    assert_eq!(m.held(ConditionKind::Linked), linked);
}

#[test]
fn sickness_waits_while_it_is_excused_and_is_shown_if_it_still_stands() {
    for dials in [false, true] {
        let mut m = Machine::new(dials);
        if dials {
            m.up();
        }
        m.claim(Relay, Reachable, WELL);
        m.see(Observation::DisturbanceBegan);
        assert_eq!(m.reachable(), REPAIR);
        m.claim(Relay, Reachable, sick(Cause::BackendDown));
        m.claim(Kernel, Beating, sick(Cause::HalfOpen));
        m.pass(20_000);
        assert_eq!((m.reachable(), m.held(Beating)), (REPAIR, REPAIR));
        m.see(Observation::DisturbanceEnded);
        m.claim(Kernel, Beating, WELL);
        m.pass(4_999);
        assert_eq!((m.reachable(), m.held(Beating)), (REPAIR, WELL));
        let fx = m.pass(1);
        assert_eq!(m.reachable(), sick(Cause::BackendDown));
        assert!(fx.changes.iter().any(|c| c.kind == Reachable && c.message == "relay says so"));
    }
}

#[test]
fn an_order_is_not_verified_by_what_was_known_before() {
    let s = Duration::from_secs;
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    m.pass(60_000);
    m.see(Observation::DisturbanceBegan);
    for (age, want) in [(s(30), REPAIR), (s(11), REPAIR), (s(10), REPAIR), (s(9), WELL)] {
        let mut m = m.copy();
        m.pass(10_000);
        m.claim_of(Relay, Reachable, WELL, age);
        assert_eq!(m.reachable(), want, "a fact {age:?} old, the order began 10 s ago");
        let since = m.tracker.conditions()[0].since;
        assert!(want != WELL || since == Timestamp(m.now.0 as i64), "since it was seen");
    }
    m.see(Observation::DisturbanceEnded);
    m.pass(3_600_000);
    assert_eq!(m.reachable(), REPAIR, "nobody has looked since");
    // A second order begins anew.
    m.claim(Relay, Reachable, WELL);
    m.pass(1_000);
    m.see(Observation::DisturbanceBegan);
    assert_eq!(m.reachable(), REPAIR);
}

#[test]
fn falls_are_counted_whoever_found_them() {
    let fall = |m: &mut Machine, source| {
        m.claim(source, Beating, sick(Cause::HeartbeatMissed));
        m.pass(1_000);
        m.claim(source, Beating, WELL);
        m.pass(1_000);
    };
    let stable = |m: &Machine| m.held(ConditionKind::Stable);
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    for source in [Relay, Kernel, Relay] {
        fall(&mut m, source);
        assert_eq!(stable(&m), NOTHING);
    }
    // One incident seen by two is one fall; not to know any more is none.
    let mut two = m.copy();
    for _ in 0..9 {
        two.claim(Relay, Reachable, (Status::Unknown, Some(Cause::MassReset)));
        two.claim(Relay, Reachable, WELL);
    }
    assert_eq!(stable(&two), NOTHING);
    m.claim(Kernel, Reachable, sick(Cause::ConnectionRefused));
    assert_eq!(stable(&m), sick(Cause::Flapping));
    m.claim(Kernel, Reachable, NOTHING);
    m.pass(299_999);
    assert_eq!(stable(&m), sick(Cause::Flapping));
    m.pass(1);
    assert_eq!(stable(&m), WELL);
}

#[test]
fn one_incident_seen_by_two_is_one_fall() {
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    for _ in 0..3 {
        m.claim(Relay, Reachable, sick(Cause::ConnectionRefused));
        m.claim(Kernel, Reachable, sick(Cause::ConnectionRefused));
        m.claim(Kernel, Beating, sick(Cause::HalfOpen));
        m.claim(Kernel, Beating, WELL);
        m.claim(Kernel, Reachable, WELL);
        m.claim(Relay, Reachable, WELL);
    }
    assert_eq!(m.held(ConditionKind::Stable), NOTHING, "three falls, four make it flapping");
}

#[test]
fn instability_that_another_claims_is_no_reason_for_busy_waiting() {
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    m.pass(300_000);
    assert_eq!(m.held(ConditionKind::Stable), WELL);
    let fx = m.claim(Relay, ConditionKind::Stable, sick(Cause::MassReset));
    assert_eq!(m.held(ConditionKind::Stable), sick(Cause::MassReset));
    assert_eq!(fx.wake_at, None);
    m.claim(Relay, ConditionKind::Stable, NOTHING);
    assert_eq!(m.held(ConditionKind::Stable), WELL);
}

#[test]
fn a_fall_at_the_moment_calm_would_be_complete_is_a_fall() {
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    m.now = m.now.after(Duration::from_secs(300));
    m.claim(Relay, Reachable, sick(Cause::ConnectionRefused));
    assert_eq!(m.held(ConditionKind::Stable), NOTHING);
}

#[test]
fn a_process_that_dies_and_starts_without_a_canary() {
    let mut m = Machine::new(false);
    m.claim(Relay, Reachable, WELL);
    m.claim(Relay, Beating, WELL);
    let fx = m.see(died());
    assert_eq!((m.reachable(), fx.dial_at), (sick(Cause::ProcessExited), None));
    // What the relay saw of the old process refutes nothing, then and afterwards.
    m.claim_of(Relay, Reachable, WELL, Duration::from_secs(1));
    assert_eq!(m.reachable(), sick(Cause::ProcessExited));
    m.pass(500);
    let fx = m.see(started());
    assert_eq!((m.reachable(), fx.dial_at), (NOTHING, None));
    // While it boots, refusals are no news.
    m.pass(500);
    m.claim(Relay, Reachable, sick(Cause::ConnectionRefused));
    assert_eq!(m.reachable().0, Status::Unknown);
    let mut booted = m.copy();
    booted.claim(Relay, Reachable, WELL);
    assert_eq!(booted.reachable(), WELL);
    m.pass(14_499);
    assert_eq!(m.reachable().0, Status::Unknown);
    m.pass(1);
    assert_eq!(m.reachable(), sick(Cause::ConnectionRefused));
}

#[test]
fn the_canary_goes_and_comes() {
    let set = |m: &mut Machine, dials| m.step(Event::Reconfigured(Box::new(config(dials))));
    // Off: the session is closed, what it held is gone, the others' claims are shown.
    let mut m = Machine::new(true);
    m.up();
    m.claim(Kernel, Beating, sick(Cause::HalfOpen));
    let fx = set(&mut m, false);
    assert!(fx.close_session && fx.dial_at.is_none() && m.tracker.dial_at().is_none());
    assert_eq!((m.reachable(), m.held(Beating)), (NOTHING, sick(Cause::HalfOpen)));
    // What was under way, arriving late, is nobody's.
    for late in [handshake(Ok(Established::default())), life(), closed(), refused(), refused(), refused()] {
        let fx = m.see(late);
        assert_eq!((m.reachable(), fx.dial_at), (NOTHING, None));
    }
    // On: dialled at once, though nothing else may happen for long.
    let fx = set(&mut m, true);
    let dial = fx.dial_at.expect("a dial");
    assert!(dial.since(m.now) <= Duration::from_millis(200));
    m.up();
    assert_eq!(m.held(Beating), sick(Cause::HalfOpen));
    // That the process died was not the canary's finding.
    m.see(died());
    set(&mut m, false);
    assert_eq!(m.reachable(), sick(Cause::ProcessExited));
    m.see(started());
    assert_eq!(m.reachable(), NOTHING);
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..2_000).prop_map(Duration::from_millis),
        (0_u64..400).prop_map(Duration::from_secs),
        Just(Duration::MAX),
        Just(Duration::ZERO),
    ]
}

fn claims() -> impl Strategy<Value = Observation> {
    let sources = proptest::sample::select(vec![Relay, Kernel, Report]);
    let kinds = proptest::sample::select(ConditionKind::ALL.to_vec());
    let causes = proptest::sample::select(Cause::all().collect::<Vec<_>>());
    let status = proptest::sample::select(vec![Status::Unknown, Status::False, Status::True]);
    (sources, kinds, status, proptest::option::of(causes), durations()).prop_map(
        |(source, kind, status, cause, age)| Observation::Claim(claim(source, kind, (status, cause), age)),
    )
}

fn others() -> impl Strategy<Value = Observation> {
    prop_oneof![
        2 => Just(handshake(Ok(Established::default()))),
        2 => Just(refused()),
        2 => durations().prop_map(|age| Observation::Life { age }),
        2 => Just(Observation::Asked),
        2 => Just(closed()),
        1 => Just(died()),
        1 => Just(started()),
        1 => Just(Observation::ProcessExited { code: None, signal: None, expected: true }),
        1 => Just(Observation::DisturbanceBegan),
        1 => Just(Observation::DisturbanceEnded),
        1 => durations().prop_map(Observation::ObserverLag),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Duration, Observation)>> {
    let sources = proptest::sample::select(vec![Relay, Kernel, Report]);
    let one = prop_oneof![5 => claims(), 5 => others(), 1 => sources.prop_map(Observation::Withdrawn)];
    let pause = prop_oneof![
        (0_u64..3_000).prop_map(Duration::from_millis),
        (0_u64..400).prop_map(Duration::from_secs)
    ];
    proptest::collection::vec((pause, one), 0..100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Wake-ups lie in the future, changes are the difference, causes are there: with claims as without.
    #[test]
    fn claims_break_nothing(history in history(), dials: bool) {
        let mut m = Machine::new(dials);
        let mut shown = m.tracker.conditions().clone();
        for (pause, observation) in history {
            m.now = m.now.after(pause);
            let fx = m.see(observation);
            prop_assert!(fx.wake_at.is_none_or(|w| w > m.now));
            for c in &fx.changes {
                prop_assert!(c.status == Status::True || c.cause.is_some());
                shown[c.kind.index()] = c.clone();
            }
            prop_assert_eq!(&shown, m.tracker.conditions());
        }
    }

    #[test]
    fn without_a_canary_nothing_is_ever_dialled_nor_closed(history in history()) {
        let mut m = Machine::new(false);
        for (pause, observation) in history {
            m.now = m.now.after(pause);
            let fx = m.see(observation);
            prop_assert!(fx.dial_at.is_none() && !fx.close_session);
            prop_assert_eq!((m.tracker.dial_at(), m.tracker.sessions()), (None, 0));
        }
    }

    /// Without a canary, no condition is True since an order (or a process) began but by a fact from after that.
    #[test]
    fn what_is_older_than_an_order_never_verifies_it(history in history()) {
        let mut m = Machine::new(false);
        let mut began: Option<Mono> = None;
        let mut facts: [Vec<(Source, Mono)>; 5] = Default::default();
        for (pause, observation) in history {
            m.now = m.now.after(pause);
            match &observation {
                Observation::DisturbanceBegan | Observation::ProcessStarted { .. } => began = Some(m.now),
                Observation::Claim(c) => {
                    let slot = &mut facts[c.kind.index()];
                    slot.retain(|(s, _)| *s != c.source);
                    if c.status == Status::True {
                        slot.push((c.source, m.now.before(c.age)));
                    }
                }
                Observation::Withdrawn(source) => {
                    facts.iter_mut().for_each(|f| f.retain(|(s, _)| s != source));
                }
                _ => {}
            }
            m.see(observation);
            for c in m.tracker.conditions().iter().filter(|c| c.kind != ConditionKind::Stable) {
                let proven = facts[c.kind.index()].iter().any(|(_, of)| began.is_none_or(|b| *of > b));
                prop_assert!(c.status != Status::True || proven, "{c:?} since {began:?} by {facts:?}");
            }
        }
    }

    /// A source that withdraws leaves nothing behind but the falls it made known.
    #[test]
    fn who_withdraws_leaves_no_trace(history in history(), dials: bool) {
        let (mut with, mut without) = (Machine::new(dials), Machine::new(dials));
        for (pause, observation) in history {
            (with.now, without.now) = (with.now.after(pause), without.now.after(pause));
            let by_kernel = matches!(&observation, Observation::Claim(c) if c.source == Kernel);
            let fx = with.see(observation.clone());
            let same = if by_kernel { without.step(Event::Tick) } else { without.see(observation) };
            prop_assert_eq!((fx.dial_at, fx.close_session), (same.dial_at, same.close_session));
        }
        with.see(Observation::Withdrawn(Kernel));
        without.see(Observation::Withdrawn(Kernel));
        for kind in ConditionKind::ALL.into_iter().filter(|k| *k != ConditionKind::Stable) {
            prop_assert_eq!(with.held(kind), without.held(kind));
        }
    }
}
