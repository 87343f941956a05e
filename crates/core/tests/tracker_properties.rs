//! What must hold of a tracker whatever happens, in whatever order.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::Status;
use mooring_core::handshake::{Established, HandshakeReport, Refusal, Step};
use mooring_core::id::Incarnation;
use mooring_core::limits::{MAX_EVIDENCE, MAX_MESSAGE};
use mooring_core::observation::{Close, Observation};
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_core::tracker::{Effects, Event, Tracker, TrackerConfig};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn at(mono: Mono) -> Now {
    Now { mono, wall: Timestamp(0).after(Duration::from_micros(mono.0)) }
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..2_000).prop_map(Duration::from_millis),
        2 => (0_u64..400).prop_map(Duration::from_secs),
        1 => Just(Duration::MAX),
        1 => Just(Duration::ZERO),
    ]
}

fn causes() -> impl Strategy<Value = Cause> {
    proptest::sample::select(Cause::all().collect::<Vec<_>>())
}

fn handshake(outcome: Result<Established, Refusal>, took: Duration) -> Observation {
    Observation::Handshake(HandshakeReport { steps: Vec::new(), answer: None, outcome, took })
}

fn refused(cause: Cause) -> Observation {
    let refusal = Refusal { step: Step::Connect, cause, message: "x".repeat(2000) };
    handshake(Err(refusal), Duration::from_millis(1))
}

fn observations() -> impl Strategy<Value = Observation> {
    let codes = proptest::option::of(prop_oneof![1000_u16..1016, any::<u16>()]);
    let close = (codes, durations(), durations(), any::<bool>(), "\\PC{0,20}").prop_map(
        |(code, age, silent_for, by_us, reason)| {
            Observation::Closed(Close {
                code,
                error: by_us.then(|| reason.clone()),
                reason,
                by_us,
                age,
                silent_for,
            })
        },
    );
    prop_oneof![
        4 => Just(handshake(Ok(Established::default()), Duration::ZERO)),
        4 => causes().prop_map(refused),
        4 => durations().prop_map(|age| Observation::Life { age }),
        4 => Just(Observation::Asked),
        4 => durations().prop_map(|rtt| Observation::Answered { rtt }),
        1 => (durations(), durations()).prop_map(|(interval, timeout)| Observation::Promise { interval, timeout }),
        4 => close,
        1 => Just(Observation::ProcessStarted { incarnation: Incarnation(1), pid: 1 }),
        1 => (any::<Option<i32>>(), any::<Option<i32>>(), any::<bool>())
            .prop_map(|(code, signal, expected)| Observation::ProcessExited { code, signal, expected }),
        1 => durations().prop_map(Observation::ObserverLag),
        1 => Just(Observation::DisturbanceBegan),
        1 => Just(Observation::DisturbanceEnded),
    ]
}

fn events() -> impl Strategy<Value = Vec<(Duration, Event)>> {
    let event = prop_oneof![
        8 => observations().prop_map(Event::Observed),
        3 => Just(Event::Tick),
        1 => Just(Event::Reconfigured(Box::default())),
    ];
    let pause = prop_oneof![
        Just(Duration::ZERO),
        (0_u64..3000).prop_map(Duration::from_millis),
        (0_u64..700).prop_map(Duration::from_secs)
    ];
    proptest::collection::vec((pause, event), 0..120)
}

fn failing(event: &Event) -> bool {
    match event {
        Event::Observed(Observation::Handshake(h)) => h.outcome.is_err(),
        // An unanswered question and a broken promise are evidence by being followed by nothing.
        Event::Observed(
            Observation::Closed(_)
            | Observation::ProcessExited { .. }
            | Observation::Asked
            | Observation::Promise { .. },
        ) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(events in events(), seed: u64) {
        let mut now = Mono(5_000_000);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tracker = Tracker::new(TrackerConfig::default(), at(now));
        let mut shown = tracker.conditions().clone();
        let mut failed = false;
        let mut up_since: Option<Mono> = None;
        for (pause, event) in events {
            now = now.after(pause);
            failed |= failing(&event);
            let before = tracker.failures();
            let fx = tracker.step(at(now), event.clone(), &mut rng);

            prop_assert!(fx.wake_at.is_none_or(|w| w > now), "wake-ups lie in the future");
            prop_assert!(fx.dial_at.is_none_or(|d| d >= now), "dials do not lie in the past");
            prop_assert!(!(fx.close_session && fx.dial_at.is_none()), "a session that is dropped is redialled");
            for t in &fx.transitions {
                prop_assert!(t.to != Status::False || failed, "False without a failing observation: {t:?}");
                prop_assert!(t.to == Status::True || t.cause.is_some(), "no cause: {t:?}");
            }
            // The changes are exactly the difference, and within bounds.
            for change in &fx.changes {
                shown[change.kind.index()] = change.clone();
                prop_assert!(change.message.len() <= MAX_MESSAGE && change.evidence.len() <= MAX_EVIDENCE);
            }
            prop_assert_eq!(&shown, tracker.conditions());
            // The backoff's counter is cleared by ten minutes of an open session alone.
            if tracker.failures() < before {
                let stable = up_since.is_some_and(|up| now.since(up) >= Duration::from_secs(600));
                prop_assert!(stable, "cleared by {event:?}, up since {up_since:?}, now {now:?}");
            }
            if tracker.conditions()[0].status != Status::True || tracker.dial_at().is_some() {
                up_since = None;
            } else {
                up_since.get_or_insert(now);
            }
        }
    }

    #[test]
    fn same_seed_and_events_same_effects(events in events(), seed: u64) {
        let run = || -> Vec<Effects> {
            let mut now = Mono(0);
            let mut rng = StdRng::seed_from_u64(seed);
            let mut tracker = Tracker::new(TrackerConfig::default(), at(now));
            let step = |(pause, event): &(Duration, Event)| {
                now = now.after(*pause);
                tracker.step(at(now), event.clone(), &mut rng)
            };
            events.iter().map(step).collect()
        };
        prop_assert_eq!(run(), run());
    }

    /// The process's death and the end of its session are reported by two watchers, in either order.
    #[test]
    fn death_and_close_commute(events in events(), signal in 1_i32..32, seed: u64) {
        let death = Observation::ProcessExited { code: None, signal: Some(signal), expected: false };
        let close = Observation::Closed(Close {
            code: None,
            reason: String::new(),
            by_us: false,
            age: Duration::from_secs(20),
            silent_for: Duration::from_millis(10),
            error: None,
        });
        let run = |last: [&Observation; 2]| {
            let mut now = Mono(0);
            let mut rng = StdRng::seed_from_u64(seed);
            let mut tracker = Tracker::new(TrackerConfig::default(), at(now));
            for (pause, event) in &events {
                now = now.after(*pause);
                tracker.step(at(now), event.clone(), &mut rng);
            }
            for observation in last {
                tracker.step(at(now), Event::Observed(observation.clone()), &mut rng);
            }
            tracker.conditions().clone().map(|c| (c.status, c.cause))
        };
        prop_assert_eq!(run([&death, &close])[..2].to_vec(), run([&close, &death])[..2].to_vec());
    }
}

/// Carries out what a tracker asks for against a gateway that behaves as `dial` says, and notes the times of all dials.
fn live(
    span: Duration,
    seed: u64,
    mut dial: impl FnMut(u64) -> (Observation, Option<Duration>),
) -> (Vec<Mono>, Tracker) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut now = Mono(0);
    let mut tracker = Tracker::new(TrackerConfig::default(), at(now));
    let mut dials = Vec::new();
    let mut dial_at = None;
    let mut closes_at: Option<(Mono, Duration)> = None;
    let mut fx = tracker.step(at(now), Event::Tick, &mut rng);
    loop {
        dial_at = fx.dial_at.or(dial_at);
        let due = [dial_at, fx.wake_at, closes_at.map(|c| c.0)].into_iter().flatten().min();
        let Some(next) = due.filter(|n| n.since(Mono(0)) < span) else { return (dials, tracker) };
        now = now.max(next);
        let event = if dial_at == Some(next) {
            dial_at = None;
            let (outcome, lives) = dial(dials.len() as u64);
            dials.push(now);
            closes_at = lives.map(|age| (now.after(age), age));
            Event::Observed(outcome)
        } else if let Some((_, age)) = closes_at.filter(|c| c.0 == next) {
            closes_at = None;
            let close =
                Close { code: None, reason: String::new(), by_us: false, age, silent_for: age, error: None };
            Event::Observed(Observation::Closed(close))
        } else {
            Event::Tick
        };
        fx = tracker.step(at(now), event, &mut rng);
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_gateway_that_refuses_for_an_hour_is_not_hammered() {
    for seed in 0..20 {
        let (dials, tracker) = live(HOUR, seed, |_| (refused(Cause::ConnectionRefused), None));
        // Full jitter under a cap of 30 s dials every 15 s on the average.
        assert!((150..350).contains(&dials.len()), "seed {seed}: {} dials", dials.len());
        assert_eq!(tracker.phase().name(), "Down");
        let known = dials[1].since(Mono(0));
        assert!(known < Duration::from_millis(500), "seed {seed}: the second look comes after {known:?}");
    }
}

#[test]
fn a_gateway_that_accepts_and_drops_is_not_hammered_either() {
    for seed in 0..20 {
        for age in [1, 1200] {
            let age = Duration::from_millis(age);
            let (dials, tracker) =
                live(HOUR, seed, |_| (handshake(Ok(Established::default()), Duration::ZERO), Some(age)));
            assert!(dials.len() < 350, "seed {seed}: {} dials", dials.len());
            assert!(tracker.failures() > 100, "connecting cleared the counter");
            assert_eq!(tracker.conditions()[0].status, Status::False);
        }
    }
}

#[test]
fn what_only_a_human_can_mend_is_dialled_slowly() {
    let (dials, tracker) = live(HOUR, 1, |_| (refused(Cause::WrongPath), None));
    assert!(dials.len() <= 3 + 3600 / 15, "{} dials", dials.len());
    for pair in dials[2..].windows(2) {
        assert!(pair[1].since(pair[0]) >= Duration::from_secs(15));
    }
    assert_eq!(tracker.phase().name(), "NeedsHuman");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever mixture of outcomes and disturbances: never two dials closer together than the floor.
    #[test]
    fn never_a_hot_loop(outcomes in proptest::collection::vec((causes(), any::<bool>(), 0_u64..6000), 1..40), seed: u64) {
        let (dials, _) = live(Duration::from_secs(300), seed, |n| {
            let (cause, ok, age) = outcomes[n as usize % outcomes.len()];
            if ok {
                (handshake(Ok(Established::default()), Duration::ZERO), Some(Duration::from_millis(age)))
            } else {
                (refused(cause), None)
            }
        });
        for pair in dials.windows(2) {
            prop_assert!(pair[1].since(pair[0]) >= Duration::from_millis(50), "{:?}", pair);
        }
    }

    #[test]
    fn a_storm_of_orders_is_no_storm_of_dials(gaps in proptest::collection::vec(0_u64..40, 10..200), seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut now = Mono(0);
        let mut tracker = Tracker::new(TrackerConfig::default(), at(now));
        let mut dial_at: Option<Mono> = None;
        let mut dials: Vec<Mono> = Vec::new();
        for (i, gap) in gaps.iter().enumerate() {
            now = now.after(Duration::from_millis(*gap));
            let mut events = vec![match i % 3 {
                0 => Observation::DisturbanceBegan,
                1 => Observation::DisturbanceEnded,
                _ => Observation::ProcessStarted { incarnation: Incarnation(1), pid: 1 },
            }];
            if dial_at.is_some_and(|d| d <= now) {
                dials.push(now);
                events.insert(0, refused(Cause::ConnectionRefused));
                dial_at = None;
            }
            for event in events {
                let fx = tracker.step(at(now), Event::Observed(event), &mut rng);
                dial_at = fx.dial_at.or(dial_at);
            }
        }
        for pair in dials.windows(2) {
            prop_assert!(pair[1].since(pair[0]) >= Duration::from_millis(50), "{:?}", pair);
        }
    }
}
