//! What must hold of a crowd whatever happens, in whatever order.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::limits::{MAX_EVIDENCE, MAX_MESSAGE};
use mooring_core::session::crowd::{Census, Crowd, CrowdConfig, CrowdEvent, Step};
use mooring_core::session::{EndedBy, Source};
use mooring_core::time::Mono;
use proptest::prelude::*;

use crate::support::{End, START, end, ms, secs};

/// An event that owns what it needs.
#[derive(Debug, Clone)]
enum Happening {
    Opened,
    Refused(Cause, String),
    Closed {
        age: Duration,
        silent: Duration,
        by: EndedBy,
        code: Option<u16>,
        cause: Option<Cause>,
        peer: u8,
    },
    Census {
        open: u64,
        sick: Vec<(Cause, u64)>,
        data: Option<Duration>,
        silence: Option<Duration>,
        listening: Option<bool>,
        expected: Option<u64>,
    },
    Lag(Duration),
    Disturbed,
    Settled,
    Tick,
}

impl Happening {
    fn put(&self, crowd: &mut Crowd, now: Mono) -> Step {
        match self {
            Self::Opened => crowd.step(now, CrowdEvent::Opened),
            Self::Refused(cause, message) => crowd.step(now, CrowdEvent::Refused { cause: *cause, message }),
            Self::Closed { age, silent, by, code, cause, peer } => {
                let End(mut close) = end().peer(&format!("192.0.2.{peer}:9"));
                (close.age, close.silent_for, close.by) = (*age, *silent, *by);
                (close.code, close.cause) = (*code, *cause);
                close.message = "é".repeat(600);
                crowd.step(now, CrowdEvent::Closed(&close))
            }
            Self::Census { open, sick, data, silence, listening, expected } => crowd.step(
                now,
                CrowdEvent::Census(Census {
                    open: *open,
                    sick,
                    newest_data_age: *data,
                    longest_silence: *silence,
                    listening: *listening,
                    expected: *expected,
                }),
            ),
            Self::Lag(lag) => crowd.step(now, CrowdEvent::Lag(*lag)),
            Self::Disturbed => crowd.step(now, CrowdEvent::Disturbed),
            Self::Settled => crowd.step(now, CrowdEvent::Settled),
            Self::Tick => crowd.step(now, CrowdEvent::Tick),
        }
    }
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (0_u64..3_000).prop_map(ms),
        2 => (0_u64..400).prop_map(secs),
        2 => Just(secs(60)),
        1 => Just(Duration::MAX),
    ]
}

fn causes() -> impl Strategy<Value = Cause> {
    proptest::sample::select(Cause::all().collect::<Vec<_>>())
}

fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..8, 2 => 0_u64..2_000, 1 => Just(u64::MAX)]
}

fn bad() -> impl Strategy<Value = Happening> {
    let by = proptest::sample::select(EndedBy::ALL.to_vec());
    let codes = proptest::option::of(prop_oneof![Just(1000), Just(1001), Just(1011), any::<u16>()]);
    let cause = proptest::option::of(causes());
    prop_oneof![
        2 => (causes(), (0_usize..700).prop_map(|n| "é".repeat(n))).prop_map(|(cause, words)| Happening::Refused(cause, words)),
        6 => (durations(), durations(), by, codes, cause, 0_u8..4).prop_map(
            |(age, silent, by, code, cause, peer)| Happening::Closed { age, silent, by, code, cause, peer }
        ),
        2 => (counts(), proptest::collection::vec((causes(), counts()), 0..4), any::<Option<bool>>(), any::<Option<u8>>())
            .prop_map(|(open, sick, listening, expected)| Happening::Census {
                open,
                sick,
                data: None,
                silence: None,
                listening,
                expected: expected.map(u64::from),
            }),
    ]
}

fn well() -> impl Strategy<Value = Happening> {
    let option = || proptest::option::of(durations());
    prop_oneof![
        3 => Just(Happening::Opened),
        2 => (counts(), option(), option()).prop_map(|(open, data, silence)| Happening::Census {
            open,
            sick: vec![(Cause::PeerStalled, open)],
            data,
            silence,
            listening: None,
            expected: None,
        }),
    ]
}

fn neutral() -> impl Strategy<Value = Happening> {
    prop_oneof![durations().prop_map(Happening::Lag), Just(Happening::Tick)]
}

fn orders() -> impl Strategy<Value = Happening> {
    prop_oneof![Just(Happening::Disturbed), Just(Happening::Settled)]
}

fn pauses() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), (0_u64..2_000).prop_map(ms), (0_u64..90).prop_map(secs)]
}

fn history() -> impl Strategy<Value = Vec<(Duration, Happening)>> {
    let one = prop_oneof![6 => bad(), 4 => well(), 1 => neutral(), 1 => orders()];
    proptest::collection::vec((pauses(), one), 0..150)
}

fn crowd() -> Crowd {
    Crowd::new(Source::Kernel, CrowdConfig::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(history in history()) {
        let mut crowd = crowd();
        let mut now = START;
        let mut said = [(Status::Unknown, None); 5];
        let mut order: Option<Mono> = None;
        for (pause, happening) in history {
            now = now.after(pause);
            if matches!(happening, Happening::Disturbed) {
                order = Some(now);
            }
            let step = happening.put(&mut crowd, now);
            for claim in &step.claims {
                prop_assert_eq!(claim.source, Source::Kernel);
                prop_assert!(claim.message.len() <= MAX_MESSAGE && claim.evidence.len() <= MAX_EVIDENCE);
                prop_assert_eq!(claim.status == Status::True, claim.cause.is_none(), "a cause for all but True");
                prop_assert!(claim.status == Status::True || !claim.message.is_empty() || claim.kind == ConditionKind::Stable);
                // What is said is news, or health again.
                let held = (claim.status, claim.cause);
                let slot = &mut said[claim.kind.index()];
                prop_assert!(*slot != held || claim.status == Status::True, "{claim:?}");
                *slot = held;
                if claim.status == Status::True {
                    let fact = now.before(claim.age);
                    prop_assert!(order.is_none_or(|began| fact >= began), "a fact from before the order");
                }
            }
            if let Some((_, words)) = &step.cause {
                let told = matches!(happening, Happening::Closed { by, .. } if by != EndedBy::Mooring);
                prop_assert!(told && words.len() <= MAX_MESSAGE);
            }
            prop_assert!(crowd.wake_at().is_none_or(|at| at > now), "{:?} at {now:?}", crowd.wake_at());
        }
    }

    /// To be woken is to learn sooner, never something else.
    #[test]
    fn ticks_change_nothing_but_the_time_it_is_said(history in history()) {
        let run = |ticks: bool| {
            let mut crowd = crowd();
            let mut now = START;
            let mut said = [(Status::Unknown, Some(Cause::NotYetObserved)); 5];
            let mut causes = Vec::new();
            for (pause, happening) in &history {
                let next = now.after(*pause);
                let mut note = |step: Step| {
                    for claim in step.claims {
                        said[claim.kind.index()] = (claim.status, claim.cause);
                    }
                    causes.extend(step.cause);
                };
                while ticks && let Some(at) = crowd.wake_at().filter(|at| *at < next) {
                    note(crowd.step(at, CrowdEvent::Tick));
                }
                now = next;
                note(happening.put(&mut crowd, now));
            }
            (said, causes, crowd.limit())
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn nobody_fails_and_nobody_is_sick(history in proptest::collection::vec((pauses(), prop_oneof![well(), neutral()]), 0..150)) {
        let mut crowd = crowd();
        let mut now = START;
        for (pause, happening) in history {
            now = now.after(pause);
            for claim in happening.put(&mut crowd, now).claims {
                prop_assert!(claim.status != Status::False, "{claim:?}");
            }
        }
    }

    #[test]
    fn nothing_is_well_without_a_sign_of_health(history in proptest::collection::vec((pauses(), prop_oneof![6 => bad(), 1 => neutral(), 1 => orders()]), 0..150)) {
        let mut crowd = crowd();
        let mut now = START;
        for (pause, mut happening) in history {
            now = now.after(pause);
            // Sessions that are merely open have stayed, and that is a sign after drops.
            if let Happening::Census { open, .. } = &mut happening {
                *open = 0;
            }
            for claim in happening.put(&mut crowd, now).claims {
                prop_assert!(claim.status != Status::True, "{claim:?}");
            }
        }
    }

    #[test]
    fn what_ends_during_an_order_makes_nothing_sick(history in proptest::collection::vec((0_u64..2_000, prop_oneof![6 => bad(), 3 => well()]), 0..100)) {
        let mut crowd = crowd();
        let mut now = START;
        crowd.step(now, CrowdEvent::Disturbed);
        for (pause, happening) in history {
            now = now.after(ms(pause));
            let step = happening.put(&mut crowd, now);
            prop_assert_eq!(step.cause, None);
            prop_assert!(step.claims.iter().all(|c| c.status != Status::False), "{:?}", step.claims);
        }
    }
}

#[test]
fn a_crowd_is_small() {
    let size = size_of::<Crowd>();
    assert!(size < 1_024, "{size} bytes");
}
