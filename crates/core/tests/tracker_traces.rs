//! Recorded traces, replayed: each file in `traces/` is what a watcher saw of one real kind of fault, with what the
//! tracker must say of it and when.
//!
//! A line is `+<time since the line before> <what happened>`; `expect …` lines are checked where they stand; `#` begins a
//! comment. The runner wakes the tracker whenever it asked for it, as the agent does, unless the observer is paused.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::handshake::{Established, HandshakeReport, Refusal, Step};
use mooring_core::id::Incarnation;
use mooring_core::observation::{Close, Observation};
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_core::tracker::{Event, Tracker, TrackerConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;

struct World {
    tracker: Tracker,
    now: Mono,
    wake: Option<Mono>,
    rng: StdRng,
    /// The last dial planned, as a delay from when it was planned.
    dial: Option<Duration>,
    /// The tracker asked for the session to be closed since the last `expect close`.
    close: bool,
    /// What changed since the last `expect quiet` or other look at it.
    changed: Vec<String>,
}

impl World {
    fn new() -> Self {
        let now = Mono(1_000_000_000);
        let mut world = Self {
            tracker: Tracker::new(TrackerConfig::default(), wall(now)),
            now,
            wake: None,
            rng: StdRng::seed_from_u64(7),
            dial: None,
            close: false,
            changed: Vec::new(),
        };
        world.step(Event::Tick);
        world
    }

    fn step(&mut self, event: Event) {
        let fx = self.tracker.step(wall(self.now), event, &mut self.rng);
        if let Some(at) = fx.dial_at {
            self.dial = Some(at.since(self.now));
        }
        self.close |= fx.close_session;
        self.wake = fx.wake_at;
        for t in fx.transitions {
            let cause = t.cause.map_or("", Cause::name);
            self.changed.push(format!("{}={} {cause}", t.kind, t.to));
        }
    }

    /// Time goes on; the tracker is woken when it asked for it.
    fn pass(&mut self, d: Duration) {
        let end = self.now.after(d);
        while let Some(wake) = self.wake.filter(|w| *w <= end) {
            // Never back in time: after a sleep the tracker is woken late.
            self.now = wake.max(self.now);
            self.step(Event::Tick);
        }
        self.now = end;
    }

    /// Time goes on while the observer is stopped.
    fn sleep(&mut self, d: Duration) {
        self.now = self.now.after(d);
    }

    fn see(&mut self, observation: Observation) {
        self.step(Event::Observed(observation));
    }

    fn happens(&mut self, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        match words.as_slice() {
            ["handshake", "ok"] => {
                self.see(Observation::Handshake(report(Ok(Established::default()), Duration::ZERO)))
            }
            ["handshake", cause, rest @ ..] => {
                let cause = cause.parse().expect(what);
                let took = field(rest, "took").map_or(Duration::from_millis(1), time);
                let refusal = Refusal { step: Step::Status, cause, message: format!("recorded {cause}") };
                self.see(Observation::Handshake(report(Err(refusal), took)));
            }
            ["life"] => self.see(Observation::Life { age: Duration::ZERO }),
            ["ping"] => self.see(Observation::Asked),
            ["pong", rtt] => self.see(Observation::Answered { rtt: time(rtt) }),
            // So many pings a second apart, each answered after the given time.
            ["pings", n, rtt] => {
                for _ in 0..n.parse::<u32>().expect(what) {
                    self.see(Observation::Asked);
                    self.pass(time(rtt));
                    self.see(Observation::Answered { rtt: time(rtt) });
                    self.pass(Duration::from_secs(1).saturating_sub(time(rtt)));
                }
            }
            ["promise", interval, timeout] => {
                self.see(Observation::Promise { interval: time(interval), timeout: time(timeout) });
            }
            ["closed", code, rest @ ..] => {
                let close = Close {
                    code: (*code != "none").then(|| code.parse().expect(what)),
                    reason: field(rest, "reason").unwrap_or_default().to_owned(),
                    by_us: rest.contains(&"by_us"),
                    age: field(rest, "age").map_or(Duration::from_secs(20), time),
                    silent_for: field(rest, "silent").map_or(Duration::from_millis(300), time),
                    error: None,
                };
                self.see(Observation::Closed(close));
            }
            ["started"] => self.see(Observation::ProcessStarted { incarnation: Incarnation(1), pid: 42 }),
            ["exited", rest @ ..] => {
                let number = |name| field(rest, name).map(|n| n.parse().expect(what));
                let expected = rest.contains(&"expected");
                self.see(Observation::ProcessExited {
                    code: number("code"),
                    signal: number("signal"),
                    expected,
                });
            }
            ["lag", d] => self.see(Observation::ObserverLag(time(d))),
            ["tick"] => self.step(Event::Tick),
            ["disturbance", "began"] => self.see(Observation::DisturbanceBegan),
            ["disturbance", "ended"] => self.see(Observation::DisturbanceEnded),
            [] => {}
            other => panic!("not understood: {other:?}"),
        }
    }

    fn expect(&mut self, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        match words.as_slice() {
            ["quiet"] => assert!(self.changed.is_empty(), "changed: {:?}", self.changed),
            ["close"] => assert!(std::mem::take(&mut self.close), "the session was not closed"),
            ["open"] => assert!(!self.close, "the session was closed"),
            ["phase", phase] => assert_eq!(self.tracker.phase().name(), *phase),
            ["dial", "<=", limit] => {
                let dial = self.dial.expect("no dial was planned");
                assert!(dial <= time(limit), "the dial comes after {dial:?}");
            }
            ["dial", ">=", limit] => {
                let dial = self.dial.expect("no dial was planned");
                assert!(dial >= time(limit), "the dial comes after {dial:?}");
            }
            ["message", ..] => {
                let part = what.trim_start_matches("message").trim();
                let found = self.tracker.conditions().iter().any(|c| c.message.contains(part));
                let all: Vec<_> = self.tracker.conditions().iter().map(|c| &c.message).collect();
                assert!(found, "no message has `{part}`: {all:?}");
            }
            [condition, rest @ ..] if condition.contains('=') => {
                let (kind, status) = condition.split_once('=').expect(what);
                let kind: ConditionKind = kind.parse().expect(what);
                let c = &self.tracker.conditions()[kind.index()];
                assert_eq!(c.status.name(), status, "{c:?}");
                if let [cause] = rest {
                    assert_eq!(c.cause, Some(cause.parse().expect(what)), "{c:?}");
                } else {
                    assert!(status != Status::False.name(), "an expected False names its cause");
                }
            }
            other => panic!("not understood: expect {other:?}"),
        }
        if !matches!(words.first(), Some(&"quiet")) {
            self.changed.clear();
        }
    }
}

fn wall(mono: Mono) -> Now {
    Now { mono, wall: Timestamp(1_700_000_000_000_000).after(Duration::from_micros(mono.0)) }
}

fn report(outcome: Result<Established, Refusal>, took: Duration) -> HandshakeReport {
    HandshakeReport { steps: Vec::new(), answer: None, outcome, took }
}

fn field<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|w| w.strip_prefix(name)?.strip_prefix('='))
}

fn time(text: &str) -> Duration {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).expect(text);
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().expect(text);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        _ => panic!("unit of {text}"),
    };
    Duration::from_secs_f64(number * scale)
}

fn replay(name: &str, text: &str) {
    let mut world = World::new();
    let mut expectations = 0;
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let place = format!("{name}:{}: {line}", i + 1);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if let Some(what) = line.strip_prefix("expect ") {
                expectations += 1;
                world.expect(what);
            } else if let Some(rest) = line.strip_prefix("asleep ") {
                world.sleep(time(rest));
            } else {
                let rest = line.strip_prefix('+').expect("a line begins with +, expect or asleep");
                let (delta, what) = rest.split_once(' ').unwrap_or((rest, ""));
                world.pass(time(delta));
                world.happens(what);
            }
        }));
        assert!(run.is_ok(), "{place}");
    }
    assert!(expectations > 0, "{name} expects nothing");
}

#[test]
fn recorded_traces() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "trace"));
    files.sort();
    assert!(files.len() >= 10, "{} traces", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        replay(&file.file_name().unwrap().to_string_lossy(), &text);
    }
}
