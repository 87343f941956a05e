//! The relay between the two ends, step by step: who is away, what is kept, what is answered in whose place.

use super::*;
use crate::onebot11::message::{asked, own_call, told};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const LIFECYCLE: &str = r#"{"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#;
const HEARTBEAT: &str =
    r#"{"post_type":"meta_event","meta_event_type":"heartbeat","interval":5000,"status":{}}"#;

fn at(ms: u64) -> Mono {
    Mono(ms * 1000)
}

fn limits() -> Limits {
    Limits { grace: Duration::from_secs(30), call: Duration::from_secs(55), events: 3, bytes: 1000 }
}

/// A link with what it sent to either end.
struct World {
    link: Link,
    rng: StdRng,
    to_framework: Vec<String>,
    to_implementation: Vec<String>,
    dials: u32,
    closed: u32,
}

impl World {
    fn new() -> Self {
        let redial = Redial::new(Duration::from_secs(2), Duration::from_secs(45));
        Self {
            link: Link::new(limits(), redial),
            rng: StdRng::seed_from_u64(1),
            to_framework: Vec::new(),
            to_implementation: Vec::new(),
            dials: 0,
            closed: 0,
        }
    }

    /// Both ends are there and have settled.
    fn running() -> Self {
        let mut world = Self::new();
        world.arrive(0);
        world.told(1, LIFECYCLE);
        world.open(10);
        world.tick(20_000);
        world.to_framework.clear();
        world
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let text = |frame: Frame| String::from_utf8_lossy(frame.payload.bytes()).into_owned();
        for effect in effects {
            match effect {
                Effect::ToFramework(frame) => self.to_framework.push(text(frame)),
                Effect::ToImplementation(frame) => self.to_implementation.push(text(frame)),
                Effect::Dial => self.dials += 1,
                Effect::CloseFramework(..) => self.closed += 1,
            }
        }
    }

    fn arrive(&mut self, ms: u64) {
        let effects = self.link.arrived(at(ms));
        self.take(effects);
        self.tick(ms);
    }

    fn leave(&mut self, ms: u64) {
        let effects = self.link.left(at(ms));
        self.take(effects);
    }

    fn open(&mut self, ms: u64) {
        let effects = self.link.opened(at(ms));
        self.take(effects);
    }

    fn told(&mut self, ms: u64, text: &str) {
        let effects = self.link.told(at(ms), Frame::own(text.to_owned()), &told(text.as_bytes()));
        self.take(effects);
    }

    fn call(&mut self, ms: u64, echo: &str) {
        let text = format!(r#"{{"action":"get_x","echo":{echo}}}"#);
        let effects = self.link.asked(at(ms), Frame::own(text.clone()), asked(text.as_bytes()));
        self.take(effects);
    }

    fn tick(&mut self, ms: u64) {
        let effects = self.link.tick(at(ms));
        self.take(effects);
    }

    fn lose(&mut self, ms: u64) {
        self.link.lost(at(ms), false, &mut self.rng);
    }
}

fn event(n: u32) -> String {
    format!(r#"{{"post_type":"message","n":{n}}}"#)
}

#[test]
fn the_framework_restarts_and_hears_the_lifecycle_and_then_what_it_missed() {
    let mut world = World::running();
    world.lose(30_000);
    world.told(30_100, HEARTBEAT);
    for n in 1..=4 {
        world.told(30_200, &event(n));
    }
    assert_eq!(world.to_framework, Vec::<String>::new());
    world.tick(40_000);
    assert_eq!((world.dials, world.link.framework()), (2, Framework::Dialling));
    world.open(40_010);
    assert_eq!(world.to_framework, [LIFECYCLE]);
    // What comes now queues behind what was kept.
    world.told(40_020, &event(5));
    world.told(40_021, HEARTBEAT);
    assert_eq!(world.to_framework, [LIFECYCLE, HEARTBEAT]);
    let due = world.link.next_check().unwrap();
    assert_eq!(due, at(40_010).after(QUIET), "it asked nothing the first time either");
    world.tick(40_600);
    assert_eq!(world.to_framework[2..], [event(3), event(4), event(5)], "the oldest are dropped");
    let counts = world.link.counts();
    assert_eq!((counts.dropped, counts.replayed), (2, 3));
    world.told(41_000, &event(6));
    assert_eq!(world.to_framework.last(), Some(&event(6)));
}

#[test]
fn a_framework_that_asks_first_is_told_when_it_was_answered() {
    let mut world = World::new();
    world.arrive(0);
    world.told(1, LIFECYCLE);
    world.told(2, &event(1));
    world.open(10);
    world.tick(1_000);
    assert_eq!(world.to_framework, [LIFECYCLE], "whether it asks is not known yet");
    world.call(1_100, "1");
    world.tick(3_000);
    assert_eq!(world.to_framework.len(), 1, "its call is not answered yet");
    world.told(3_100, r#"{"status":"ok","retcode":0,"echo":1}"#);
    world.tick(3_200);
    assert_eq!(world.to_framework.len(), 2, "the answer alone");
    world.tick(3_700);
    assert_eq!(world.to_framework[2..], [event(1)]);
    // One that takes the connection and drops it has lost nothing.
    world.lose(4_000);
    world.told(4_001, &event(2));
    world.tick(10_000);
    world.open(10_001);
    world.tick(13_000);
    world.lose(13_001);
    world.tick(20_000);
    world.open(20_001);
    world.tick(20_002);
    world.tick(25_001);
    assert_eq!(world.to_framework.last(), Some(&event(2)));
}

#[test]
fn the_implementation_restarts_and_calls_get_an_answer_meanwhile() {
    let mut world = World::running();
    world.call(30_000, "7");
    assert_eq!(world.to_implementation.len(), 1);
    world.leave(30_100);
    world.call(30_200, r#"{"seq":8}"#);
    assert_eq!(world.to_framework.len(), 2);
    for (answer, echo) in world.to_framework.iter().zip(["7", r#"{"seq":8}"#]) {
        let want = Told::Answer { echo: Some(echo.to_owned()), retcode: Some(1503) };
        assert_eq!(told(answer.as_bytes()), want, "{answer}");
    }
    world.arrive(35_000);
    world.tick(90_000);
    assert_eq!(
        (world.closed, world.link.framework()),
        (0, Framework::Up),
        "it is not held against it any more"
    );
    // An answer of the one before is nobody's.
    world.told(90_001, r#"{"status":"ok","retcode":0,"echo":7}"#);
    assert_eq!((world.to_framework.len(), world.link.counts().stale), (2, 1));
}

#[test]
fn the_framework_is_let_go_when_the_grace_is_over() {
    let mut world = World::running();
    world.leave(30_000);
    world.tick(59_999);
    assert_eq!(world.closed, 0);
    world.tick(60_000);
    assert_eq!((world.closed, world.link.framework(), world.link.next_check()), (1, Framework::Idle, None));
    world.arrive(70_000);
    assert_eq!(world.dials, 2);
}

#[test]
fn a_call_that_is_not_answered_gets_a_failure_before_yunzai_hangs_up() {
    let mut world = World::running();
    world.call(30_000, r#""yz-1""#);
    assert_eq!(world.link.next_check(), Some(at(85_000)));
    world.tick(85_000);
    let want = Told::Answer { echo: Some(r#""yz-1""#.to_owned()), retcode: Some(1504) };
    assert_eq!(told(world.to_framework[0].as_bytes()), want);
    world.told(86_000, r#"{"status":"ok","retcode":0,"echo":"yz-1"}"#);
    assert_eq!(world.to_framework.len(), 1, "too late");
}

#[test]
fn answers_go_to_the_process_that_asked() {
    let mut world = World::running();
    world.call(30_000, "1");
    world.lose(30_001);
    world.tick(40_000);
    world.open(40_001);
    world.to_framework.clear();
    world.call(40_002, "1");
    let answer = |n: u32| format!(r#"{{"status":"ok","retcode":0,"data":{n},"echo":1}}"#);
    world.told(40_003, &answer(1));
    assert_eq!(world.to_framework, Vec::<String>::new());
    world.told(40_004, &answer(2));
    assert_eq!(world.to_framework, [answer(2)]);
}

#[test]
fn nothing_of_ours_is_awaited_by_anybody() {
    let mut world = World::running();
    let (_, echo) = own_call("get_status", &serde_json::json!({}), 3);
    world.told(30_000, &format!(r#"{{"status":"ok","retcode":0,"data":{{}},"echo":{echo}}}"#));
    assert_eq!(world.to_framework, Vec::<String>::new(), "even if it were put in");
}

#[derive(Debug, Clone)]
enum Act {
    Arrive,
    Leave,
    Open,
    Refuse,
    Lose,
    Event(u16),
    Call(u8),
    Answer(u8),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Arrive),
        Just(Act::Leave),
        Just(Act::Open),
        Just(Act::Refuse),
        Just(Act::Lose),
        (0_u16..2000).prop_map(Act::Event),
        (0_u8..4).prop_map(Act::Call),
        (0_u8..4).prop_map(Act::Answer),
        (0_u32..70_000).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever happens: bounds are kept, each call over a connection is answered at most once, and nothing is sent to an
    /// end that is not there.
    #[test]
    fn bounds_and_balance(acts in proptest::collection::vec(act(), 0..80)) {
        let mut world = World::new();
        let mut now = 0;
        let mut open_calls = [0_u32; 4];
        for act in acts {
            now += 1;
            world.to_framework.clear();
            world.to_implementation.clear();
            let up = world.link.framework() == Framework::Up;
            match act {
                Act::Arrive => world.arrive(now),
                Act::Leave if world.link.implementation() => world.leave(now),
                Act::Open if world.link.framework() == Framework::Dialling => {
                    open_calls = [0; 4];
                    world.open(now);
                }
                Act::Refuse if world.link.framework() == Framework::Dialling => {
                    world.link.refused(at(now), true, &mut world.rng);
                }
                Act::Lose if up => world.lose(now),
                Act::Event(size) => world.told(now, &format!(r#"{{"post_type":"message","x":"{}"}}"#, "x".repeat(size.into()))),
                Act::Call(n) if up => {
                    open_calls[usize::from(n)] += 1;
                    world.call(now, &n.to_string());
                }
                Act::Answer(n) => world.told(now, &format!(r#"{{"status":"ok","retcode":0,"echo":{n}}}"#)),
                Act::Wait(ms) => {
                    now += u64::from(ms);
                    world.tick(now);
                }
                _ => {}
            }
            let still_up = world.link.framework() == Framework::Up;
            for text in &world.to_framework {
                prop_assert!(up || still_up, "{text}");
                if let Told::Answer { echo: Some(echo), .. } = told(text.as_bytes()) {
                    let n: usize = echo.parse().unwrap();
                    prop_assert!(open_calls[n] > 0, "{text} was not asked");
                    open_calls[n] -= 1;
                }
            }
            prop_assert!(world.to_implementation.is_empty() || world.link.implementation());
            prop_assert!(world.link.kept.len() <= 3 && world.link.kept_bytes <= 1000);
            let bytes: usize = world.link.kept.iter().map(|p| p.bytes().len()).sum();
            prop_assert_eq!(bytes, world.link.kept_bytes);
            // What is due is done by a tick, so that the shell never spins.
            world.tick(now);
            prop_assert!(world.link.next_check().is_none_or(|due| due > at(now)), "{:?}", world.link);
        }
    }
}
