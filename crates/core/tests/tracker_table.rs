//! Walks the transition table of the tracker's documentation: every state, every event that concerns it.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::handshake::{Established, HandshakeReport, Refusal, Step};
use mooring_core::id::Incarnation;
use mooring_core::observation::{Close, Observation};
use mooring_core::time::{Mono, Now, Timestamp};
use mooring_core::tracker::{Effects, Event, Tracker, TrackerConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Fresh,
    Away,
    Proving,
    Up,
}

struct Machine {
    tracker: Tracker,
    now: Mono,
    rng: StdRng,
}

impl Machine {
    fn step(&mut self, event: Event) -> Effects {
        let now = Now { mono: self.now, wall: Timestamp(self.now.0 as i64) };
        self.tracker.step(now, event, &mut self.rng)
    }

    fn pass(&mut self, ms: u64) -> Effects {
        self.now = self.now.after(Duration::from_millis(ms));
        self.step(Event::Tick)
    }

    fn reachable(&self) -> Status {
        self.tracker.conditions()[ConditionKind::Reachable.index()].status
    }

    fn beating(&self) -> Status {
        self.tracker.conditions()[ConditionKind::Beating.index()].status
    }

    /// The state as it shows from outside.
    fn state(&self) -> State {
        match (self.tracker.sessions(), self.tracker.dial_at(), self.reachable()) {
            (0, None, _) => State::Fresh,
            (_, Some(_), _) => State::Away,
            (_, None, Status::True) => State::Up,
            (_, None, _) => State::Proving,
        }
    }

    fn into(state: State) -> Self {
        let now = Mono(1_000_000_000);
        let tracker = Tracker::new(TrackerConfig::default(), Now { mono: now, wall: Timestamp(0) });
        let mut m = Self { tracker, now, rng: StdRng::seed_from_u64(3) };
        let path: &[Observation] = match state {
            State::Fresh => &[],
            State::Away => &[Observation::ObserverLag(Duration::ZERO)],
            State::Proving => &[ok()],
            State::Up => &[ok(), Observation::Life { age: Duration::ZERO }],
        };
        for o in path {
            m.step(Event::Observed(o.clone()));
        }
        assert_eq!(m.state(), state);
        m
    }
}

fn ok() -> Observation {
    handshake(Ok(Established::default()))
}

fn handshake(outcome: Result<Established, Refusal>) -> Observation {
    Observation::Handshake(HandshakeReport { steps: Vec::new(), answer: None, outcome, took: Duration::ZERO })
}

fn refused() -> Observation {
    handshake(Err(Refusal { step: Step::Connect, cause: Cause::ConnectionRefused, message: String::new() }))
}

fn closed(by_us: bool) -> Observation {
    let d = Duration::from_secs(7);
    Observation::Closed(Close {
        code: None,
        reason: String::new(),
        by_us,
        age: d,
        silent_for: d,
        error: None,
    })
}

fn died() -> Observation {
    Observation::ProcessExited { code: Some(3), signal: None, expected: false }
}

#[test]
fn the_table() {
    use State::{Away, Fresh, Proving, Up};
    let life = || Observation::Life { age: Duration::ZERO };
    let started = || Observation::ProcessStarted { incarnation: Incarnation(1), pid: 1 };
    // state, event, next state, whether a dial is planned, whether the session is closed, Reachable
    let unknown = Status::Unknown;
    let rows = [
        (Fresh, ok(), Proving, true, false, unknown),
        (Fresh, refused(), Away, true, false, unknown),
        (Fresh, life(), Away, true, false, unknown),
        (Fresh, closed(false), Away, true, false, unknown),
        (Fresh, died(), Away, true, false, Status::False),
        (Away, ok(), Proving, false, false, unknown),
        (Away, refused(), Away, true, false, unknown),
        (Away, life(), Away, false, false, unknown),
        (Away, closed(false), Away, false, false, unknown),
        (Away, Observation::Asked, Away, false, false, unknown),
        (Away, died(), Away, true, false, Status::False),
        (Away, started(), Away, true, false, unknown),
        (Away, Observation::DisturbanceBegan, Away, false, false, unknown),
        (Away, Observation::DisturbanceEnded, Away, true, false, unknown),
        (Proving, life(), Up, false, false, Status::True),
        (Proving, Observation::Answered { rtt: Duration::ZERO }, Up, false, false, Status::True),
        (Proving, Observation::Asked, Proving, false, false, unknown),
        (Proving, refused(), Proving, false, false, unknown),
        (Proving, closed(false), Away, true, false, unknown),
        (Proving, closed(true), Away, true, false, unknown),
        (Proving, died(), Away, true, true, Status::False),
        (Proving, started(), Proving, false, false, unknown),
        (Up, life(), Up, false, false, Status::True),
        (Up, refused(), Up, false, false, Status::True),
        (Up, closed(false), Away, true, false, Status::True),
        (Up, closed(true), Away, true, false, Status::True),
        (Up, died(), Away, true, true, Status::False),
        (Up, started(), Up, false, false, Status::True),
        // The session stays as it is, but has to show anew that it lives: from outside that is Proving.
        (Up, Observation::DisturbanceBegan, Proving, false, false, unknown),
        (Up, Observation::DisturbanceEnded, Up, false, false, Status::True),
        (Up, Observation::ObserverLag(Duration::from_secs(1)), Up, false, false, Status::True),
    ];
    for (from, event, to, dials, closes, reachable) in rows {
        let mut m = Machine::into(from);
        let fx = m.step(Event::Observed(event.clone()));
        let found = (m.state(), fx.dial_at.is_some(), fx.close_session, m.reachable());
        assert_eq!(found, (to, dials, closes, reachable), "{from:?} on {event:?}");
    }
}

#[test]
fn what_is_under_repair_is_true_again_only_by_what_is_seen_since() {
    let life = || Event::Observed(Observation::Life { age: Duration::ZERO });
    let both = |m: &Machine| (m.reachable(), m.beating());
    // The old session's life proves nothing while the order is at work, and everything once it is done.
    let mut m = Machine::into(State::Up);
    m.step(Event::Observed(Observation::DisturbanceBegan));
    assert_eq!(both(&m), (Status::Unknown, Status::Unknown));
    assert_eq!(m.tracker.conditions()[0].cause, Some(Cause::UnderRepair));
    m.pass(10);
    m.step(life());
    m.pass(5_000);
    assert_eq!(both(&m), (Status::Unknown, Status::Unknown));
    m.step(Event::Observed(Observation::DisturbanceEnded));
    m.pass(10);
    let ended = m.now;
    m.step(life());
    assert_eq!(both(&m), (Status::True, Status::True));
    assert_eq!(m.tracker.conditions()[0].since, Timestamp(ended.0 as i64));

    // A session opened meanwhile is a witness of its own.
    let mut m = Machine::into(State::Up);
    m.step(Event::Observed(Observation::DisturbanceBegan));
    m.pass(10);
    m.step(Event::Observed(closed(false)));
    m.step(Event::Observed(ok()));
    m.step(life());
    assert_eq!(both(&m), (Status::True, Status::True));

    // What was False stays so until it is refuted.
    let mut m = Machine::into(State::Up);
    m.step(Event::Observed(died()));
    m.step(Event::Observed(Observation::DisturbanceBegan));
    assert_eq!(m.reachable(), Status::False);
}

#[test]
fn a_session_under_repair_asks_for_no_busy_waiting() {
    let mut m = Machine::into(State::Proving);
    m.pass(1);
    m.step(Event::Observed(Observation::DisturbanceBegan));
    let fx = m.pass(3_000);
    let wake = fx.wake_at.expect("the detector or the disturbance's end");
    assert!(wake > m.now.after(Duration::from_millis(100)), "{wake:?} at {:?}", m.now);
}

#[test]
fn time_moves_a_session_on() {
    // Proven by its mere duration.
    let mut m = Machine::into(State::Proving);
    m.pass(999);
    assert_eq!(m.state(), State::Proving);
    m.pass(1);
    assert_eq!((m.state(), m.beating()), (State::Up, Status::Unknown));

    // Silent for too long.
    for state in [State::Proving, State::Up] {
        let mut m = Machine::into(state);
        let fx = m.step(Event::Observed(Observation::Asked));
        let mut wake = fx.wake_at.unwrap();
        let fx = loop {
            m.now = wake;
            let fx = m.step(Event::Tick);
            if fx.close_session {
                break fx;
            }
            wake = fx.wake_at.unwrap();
        };
        assert_eq!((m.state(), m.beating()), (State::Away, Status::False), "from {state:?}");
        assert!(fx.dial_at.is_some());
    }
}

#[test]
fn a_session_that_is_proven_and_found_silent_in_one_step_is_a_fall() {
    let mut m = Machine::into(State::Proving);
    // We slept through the time of its proof, and what it promised is long overdue: both are judged a moment later.
    m.now = m.now.after(Duration::from_secs(600));
    let interval = Duration::from_secs(5);
    m.step(Event::Observed(Observation::Promise { interval, timeout: interval }));
    assert_eq!((m.reachable(), m.beating()), (Status::Unknown, Status::Unknown));
    let fx = m.pass(239);
    assert_eq!((m.reachable(), m.beating()), (Status::True, Status::False));
    assert_eq!(fx.wake_at, Some(m.now.after(Duration::from_secs(300))), "calm is counted from the fall");
}
