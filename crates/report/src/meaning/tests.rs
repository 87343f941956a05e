//! Lives of instances, told event by event.

use std::sync::Arc;
use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::condition::{ConditionKind, Status};
use mooring_core::id::{GatewayId, InstanceId};
use mooring_core::session::{SessionQuery, SessionState};
use mooring_core::time::{Mono, Now, Timestamp};

use super::{Book, Closed, Event, MeaningConfig, Protocol, Registration, Reported, Step};
use ConditionKind::{Beating, Linked, Reachable};
use Status::{False, True, Unknown};

/// Seconds on both clocks, a thousand and more.
fn at(s: f64) -> Now {
    let micros = ((1000.0 + s) * 1e6) as u64;
    Now { mono: Mono(micros), wall: Timestamp(i64::try_from(micros).unwrap()) }
}

struct World {
    book: Book,
    /// What each condition was last claimed to be.
    claimed: [Option<(Status, Option<Cause>)>; 5],
    now: f64,
}

impl World {
    fn new() -> Self {
        Self { book: Book::new(MeaningConfig::default()), claimed: [None; 5], now: 0.0 }
    }

    /// A Baileys bot, with or without a heartbeat of 10 s that may be 5 s late.
    fn baileys(beats: bool) -> Self {
        let mut world = Self::new();
        let s = Duration::from_secs;
        world.say(
            0.0,
            "",
            Event::Registered(Box::new(Registration {
                protocol: Protocol::Baileys,
                protocol_name: "baileys".to_owned(),
                heartbeat: beats.then(|| (s(10), s(5))),
                pid: 7,
                ..Registration::default()
            })),
        );
        world
    }

    fn absorb(&mut self, step: Step) -> Step {
        for claim in &step.claims {
            self.claimed[claim.kind.index()] = Some((claim.status, claim.cause));
        }
        step
    }

    /// Says something now, that happened `ago` before.
    fn late(&mut self, ago: f64, session: &str, event: Event) -> Step {
        let reported = Reported {
            gateway: GatewayId::new("bots").unwrap(),
            instance: InstanceId::new("a").unwrap(),
            at: at(self.now - ago),
            session: Arc::from(session),
            event,
        };
        let outcome = self.book.take(at(self.now), &reported);
        self.absorb(outcome.step)
    }

    /// Says something at a time; what is due until then is done first.
    fn say(&mut self, when: f64, session: &str, event: Event) -> Step {
        self.wait(when);
        self.late(0.0, session, event)
    }

    /// Lets time pass as a punctual shell does.
    fn wait(&mut self, until: f64) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(due) = self.book.next_check().filter(|due| *due <= at(until).mono) {
            let now = Now { mono: due, wall: at(until).wall };
            for outcome in self.book.tick(now) {
                steps.push(self.absorb(outcome.step));
            }
        }
        self.now = until;
        steps
    }

    fn is(&self, kind: ConditionKind) -> (Status, Option<Cause>) {
        self.claimed[kind.index()].unwrap_or((Unknown, None))
    }
}

fn open() -> Event {
    Event::Open { peer: "wa".to_owned() }
}

fn beat() -> Event {
    Event::Beat { rtt: None }
}

fn closed(code: i32, message: &str) -> Event {
    Event::Closed(Box::new(Closed { code: Some(code), message: message.to_owned(), ..Closed::default() }))
}

#[test]
fn open_is_well_and_closed_is_not() {
    let mut w = World::baileys(false);
    w.say(1.0, "", Event::Connecting);
    assert_eq!(w.is(Linked), (Unknown, None), "connecting says nothing yet");
    w.say(2.0, "", open());
    assert_eq!((w.is(Linked), w.is(Reachable)), ((True, None), (True, None)));
    assert_eq!(w.is(Beating), (Unknown, Some(Cause::NotObservable)), "no heartbeat is promised");
    let step = w.say(62.0, "", closed(428, "Connection Terminated"));
    assert_eq!(w.is(Linked), (False, Some(Cause::ReportedClosed)));
    assert_eq!(w.is(Reachable), (False, Some(Cause::ReportedClosed)));
    assert_eq!(w.is(Beating), (Unknown, Some(Cause::NotYetObserved)));
    let close = &step.closes[0];
    assert_eq!((close.code, close.cause), (Some(428), Some(Cause::ReportedClosed)));
    assert_eq!(close.age, Duration::from_secs(61));
    assert_eq!(close.instance.as_ref().map(InstanceId::as_str), Some("a"));
}

#[test]
fn a_refusal_does_not_blame_the_wire() {
    for code in [401, 402, 403, 405, 406, 411, 440] {
        let mut w = World::baileys(false);
        w.say(1.0, "", open());
        w.say(2.0, "", closed(code, ""));
        assert_eq!((w.is(Linked).0, w.is(Reachable).0), (False, Unknown), "{code}");
    }
}

#[test]
fn a_qr_code_is_no_outage() {
    let mut w = World::baileys(false);
    w.say(1.0, "s1", Event::Connecting);
    w.say(2.0, "s1", Event::WaitingForLogin);
    assert_eq!(w.is(Linked), (False, Some(Cause::PairingNeeded)));
    assert!(w.wait(600.0).is_empty(), "people take their time");
    w.say(601.0, "s1", closed(408, "QR refs attempts ended"));
    assert_eq!((w.is(Linked), w.is(Reachable).0), ((False, Some(Cause::PairingNeeded)), Unknown));
}

#[test]
fn the_restart_after_pairing_is_no_fault_unless_nothing_follows() {
    let mut w = World::baileys(false);
    w.say(1.0, "s1", Event::WaitingForLogin);
    w.say(2.0, "s1", closed(515, "Stream Errored (restart required)"));
    assert_eq!((w.is(Linked), w.is(Reachable).0), ((Unknown, Some(Cause::RestartExpected)), Unknown));
    w.say(3.0, "s2", Event::Connecting);
    w.say(4.0, "s2", open());
    assert_eq!(w.is(Linked), (True, None));
    w.say(5.0, "s2", closed(515, "Stream Errored (restart required)"));
    let grace = 30.0;
    assert!(w.wait(4.9 + grace).is_empty());
    assert_eq!(w.wait(5.1 + grace).len(), 1);
    assert_eq!((w.is(Linked), w.is(Reachable).0), ((False, Some(Cause::ReportedClosed)), False));
}

#[test]
fn a_401_after_a_restart_is_believed_the_second_time_or_after_a_while() {
    let doubted = || {
        let mut w = World::baileys(false);
        w.say(1.0, "", closed(515, ""));
        w.say(2.0, "", Event::Connecting);
        w.say(3.0, "", closed(401, "Connection Failure"));
        assert_eq!(w.is(Linked), (Unknown, Some(Cause::LoginRevoked)));
        w
    };
    let mut again = doubted();
    again.say(4.0, "", Event::Connecting);
    again.say(5.0, "", closed(401, "Connection Failure"));
    assert_eq!(again.is(Linked), (False, Some(Cause::LoginRevoked)));
    let mut waited = doubted();
    waited.wait(34.0);
    assert_eq!(waited.is(Linked), (False, Some(Cause::LoginRevoked)));
    let mut mistaken = doubted();
    mistaken.say(4.0, "", open());
    assert_eq!(mistaken.is(Linked), (True, None));
}

#[test]
fn connecting_for_too_long_is_stuck_however_many_attempts_it_is() {
    let mut w = World::baileys(false);
    w.say(1.0, "s1", Event::Connecting);
    w.say(20.0, "s2", Event::Connecting);
    w.say(21.0, "s2", Event::Line("the upgrade was answered with HTTP 503, not 101".to_owned()));
    assert!(w.wait(45.9).is_empty());
    let steps = w.wait(46.1);
    assert_eq!(w.is(Linked), (False, Some(Cause::ConnectingStuck)));
    assert_eq!(w.is(Reachable), (False, Some(Cause::ConnectingStuck)));
    assert!(steps[0].claims[0].evidence.iter().any(|(k, v)| k == "log" && v.contains("503")));
    assert!(w.wait(1000.0).is_empty(), "said once");
    w.say(1001.0, "s2", open());
    assert_eq!(w.is(Linked), (True, None));
}

#[test]
fn an_observer_that_slept_looks_again_before_it_says_stuck() {
    let mut w = World::baileys(false);
    w.say(1.0, "", Event::Connecting);
    w.now = 300.0;
    assert!(w.book.tick(at(300.0)).is_empty(), "what arrived meanwhile has not been read yet");
    w.late(290.0, "", open());
    w.wait(400.0);
    assert_eq!(w.is(Linked), (True, None));
}

#[test]
fn a_promised_heartbeat_that_stops_is_missed_and_one_that_returns_is_well() {
    let mut w = World::baileys(true);
    w.say(1.0, "", open());
    assert_eq!(w.is(Beating), (Unknown, Some(Cause::NotYetObserved)));
    for n in 1..=3 {
        w.say(1.0 + 10.0 * f64::from(n), "", beat());
        assert_eq!(w.is(Beating), (True, None));
    }
    assert!(w.wait(45.9).is_empty());
    w.wait(47.0);
    assert_eq!(w.is(Beating), (False, Some(Cause::HeartbeatMissed)));
    assert_eq!((w.is(Linked).0, w.is(Reachable).0), (Unknown, Unknown), "the silent say nothing more");
    w.say(50.0, "", beat());
    assert_eq!((w.is(Beating).0, w.is(Linked).0, w.is(Reachable).0), (True, True, True));
}

#[test]
fn beats_renew_the_age_of_health_and_old_ones_prove_nothing() {
    let mut w = World::baileys(true);
    w.say(1.0, "", open());
    w.now = 14.0;
    let step = w.late(2.0, "", beat());
    assert!(step.claims.iter().all(|c| c.status == True && c.age == Duration::from_secs(2)));
    assert_eq!(step.claims.len(), 3);
    w.now = 60.0;
    let old = w.late(44.0, "", beat());
    assert!(old.claims.iter().all(|c| c.kind != Beating), "older than the promise");
    w.say(61.0, "", closed(428, ""));
    assert!(w.say(62.0, "", beat()).claims.is_empty(), "a beat of a closed instance");
}

#[test]
fn what_is_late_changes_nothing() {
    let mut w = World::baileys(false);
    w.say(1.0, "", open());
    w.say(10.0, "", closed(428, ""));
    w.now = 12.0;
    assert!(w.late(5.0, "", open()).claims.is_empty(), "an open from before the close");
    assert_eq!(w.is(Linked).0, False);
}

#[test]
fn the_end_of_an_old_connection_is_its_own() {
    let mut w = World::baileys(false);
    w.say(1.0, "s1", open());
    w.say(10.0, "s2", open());
    let step = w.say(11.0, "s1", closed(428, ""));
    assert_eq!(step.closes.len(), 1, "told");
    assert!(step.claims.is_empty(), "and of no meaning for the present");
    assert_eq!(w.is(Linked), (True, None));
    w.say(12.0, "s2", closed(428, ""));
    assert_eq!(w.is(Linked).0, False);
    let counts = w.book.counts();
    assert_eq!((counts.opened, counts.closed, counts.open), (2, 2, 0));
    assert_eq!(counts.closed_by_cause, [(Cause::ReportedClosed, 2)]);
}

#[test]
fn another_process_has_nothing_of_the_old_one() {
    let mut w = World::baileys(false);
    w.say(1.0, "", open());
    let other = Registration { pid: 8, protocol: Protocol::Baileys, ..Registration::default() };
    let step = w.say(5.0, "", Event::Registered(Box::new(other.clone())));
    assert_eq!((w.is(Linked).0, step.closes.len()), (Unknown, 1));
    assert_eq!(w.book.counts().open, 0);
    assert_eq!(w.say(6.0, "", Event::Registered(Box::new(other))), Step::default(), "said again");
}

#[test]
fn the_third_bad_session_needs_a_human_and_a_connection_that_held_forgives() {
    // A stream error comes after a login each time: that one succeeded says nothing.
    let mut w = World::baileys(false);
    let mut bad = |opened: f64, closed_at: f64| {
        w.say(opened, "", open());
        w.say(closed_at, "", closed(500, "Stream Errored (ack)"));
        (w.is(Linked).1, w.is(Reachable).0)
    };
    let again = (Some(Cause::ReportedClosed), False);
    let human = (Some(Cause::BadSession), Unknown);
    assert_eq!([bad(1.0, 2.0), bad(3.0, 4.0), bad(5.0, 6.0)], [again, again, human]);
    assert_eq!([bad(10.0, 80.0), bad(81.0, 82.0), bad(83.0, 84.0)], [again, again, human]);
}

#[test]
fn the_fifth_takeover_in_half_a_minute_is_a_war() {
    let mut w = World::baileys(false);
    let causes = [1.0, 7.0, 13.0, 19.0, 25.0].map(|when| {
        w.say(when, "", open());
        w.say(when + 1.0, "", closed(440, "Stream Errored (conflict)"));
        assert_eq!((w.is(Linked).0, w.is(Reachable).0), (False, Unknown), "a wire is not to blame");
        w.is(Linked).1
    });
    let replaced = Some(Cause::SessionReplaced);
    assert_eq!(causes, [replaced, replaced, replaced, replaced, Some(Cause::TakeoverWar)]);
}

#[test]
fn a_service_that_is_unavailable_says_so() {
    let mut w = World::baileys(false);
    w.say(1.0, "", open());
    w.say(2.0, "", closed(503, "Stream Errored (unknown)"));
    assert_eq!(w.is(Linked), (False, Some(Cause::ServiceUnavailable)));
    assert_eq!(w.is(Reachable).0, False);
}

/// A gateway with bots that are refused one after the other, `every` seconds apart; what each is told in the end.
fn refused(bots: usize, refused: usize, every: f64) -> Vec<(Option<Cause>, String)> {
    let mut book = Book::new(MeaningConfig::default());
    let mut told = vec![(None, String::new()); bots];
    let name = |n: usize| InstanceId::new(format!("b{n:03}")).unwrap();
    let mut say = |book: &mut Book, when: f64, n: usize, event: Event| {
        let reported = Reported {
            gateway: GatewayId::new("bots").unwrap(),
            instance: name(n),
            at: at(when),
            session: Arc::default(),
            event,
        };
        let mut outcomes = vec![book.take(at(when), &reported)];
        while book.next_check().is_some_and(|due| due <= at(when).mono) {
            outcomes.extend(book.tick(at(when)));
        }
        for outcome in outcomes {
            let n: usize = outcome.instance.as_str()[1..].parse().unwrap();
            for claim in outcome.step.claims.iter().filter(|claim| claim.kind == Linked) {
                told[n] = (claim.cause, claim.message.clone());
            }
        }
    };
    let baileys = Registration { protocol: Protocol::Baileys, ..Registration::default() };
    for n in 0..bots {
        say(&mut book, 0.0, n, Event::Registered(Box::new(baileys.clone())));
        say(&mut book, 1.0, n, open());
    }
    for n in 0..refused {
        say(
            &mut book,
            10.0 + every * f64::from(u32::try_from(n).unwrap()),
            n,
            closed(405, "Connection Failure"),
        );
    }
    let counts = book.counts();
    assert_eq!(counts.closed, u64::try_from(refused).unwrap());
    told
}

#[test]
fn a_version_refused_for_many_at_once_is_told_to_all_of_them() {
    let causes = |told: &[(Option<Cause>, String)]| told.iter().map(|(cause, _)| *cause).collect::<Vec<_>>();
    assert_eq!(causes(&refused(3, 1, 0.0)), [Some(Cause::ClientOutdated), None, None]);
    let many = refused(10, 3, 5.0);
    let all = Some(Cause::UpstreamDeprecated);
    assert_eq!(causes(&many)[..4], [all, all, all, None]);
    assert!(many[0].1.starts_with("3 of 10 instances were refused (405) within 60 s"), "{}", many[0].1);
    assert_eq!(causes(&refused(10, 3, 31.0))[..3], [Some(Cause::ClientOutdated); 3], "not at once");
    assert_eq!(causes(&refused(20, 3, 1.0))[..3], [Some(Cause::ClientOutdated); 3], "not many");
    assert_eq!(causes(&refused(100, 10, 1.0))[..10], [Some(Cause::UpstreamDeprecated); 10]);
}

#[test]
fn who_has_moved_on_is_not_told_what_happens_to_others() {
    let mut book = Book::new(MeaningConfig::default());
    let mut say = |when: f64, who: &str, event: Event| {
        let reported = Reported {
            gateway: GatewayId::new("bots").unwrap(),
            instance: InstanceId::new(who).unwrap(),
            at: at(when),
            session: Arc::default(),
            event,
        };
        book.take(at(when), &reported);
        book.tick(at(when)).into_iter().map(|outcome| outcome.instance.to_string()).collect::<Vec<_>>()
    };
    let baileys = Registration { protocol: Protocol::Baileys, ..Registration::default() };
    for who in ["a", "b", "c"] {
        say(0.0, who, Event::Registered(Box::new(baileys.clone())));
    }
    say(1.0, "a", closed(405, ""));
    say(2.0, "b", closed(405, ""));
    say(3.0, "b", open());
    assert_eq!(say(4.0, "c", closed(405, "")), ["a"]);
}

#[test]
fn sessions_are_listed_worst_first_with_their_numbers() {
    let mut w = World::baileys(true);
    w.say(1.0, "own-name", open());
    w.say(11.0, "", Event::Beat { rtt: Some(Duration::from_millis(40)) });
    w.wait(14.0);
    let query = SessionQuery { limit: 10, ..SessionQuery::default() };
    let page = w.book.sessions(at(14.0), &query);
    let view = &page.sessions[0];
    assert_eq!((view.id.as_str(), view.state, view.local.as_str()), ("p1", SessionState::Open, "pid 7"));
    assert_eq!((view.age.as_secs(), view.silent().as_secs(), view.at), (13, 3, at(14.0).wall));
    assert_eq!((view.rtt, view.beat), (Some(Duration::from_millis(40)), Some(Duration::from_secs(10))));
    assert_eq!((page.summary.open, page.more), (1, false));
    let (instance, name) = w.book.session(&view.id).unwrap();
    assert_eq!((instance.as_str(), &*name), ("a", "own-name"));
    w.wait(60.0);
    let sick = SessionQuery { sick: true, ..query };
    assert_eq!(w.book.sessions(at(60.0), &sick).sessions[0].cause, Some(Cause::HeartbeatMissed));
    assert_eq!((w.book.counts().open, w.book.counts().sick), (1, 1));
}

#[test]
fn a_silence_that_was_not_told_makes_no_pattern() {
    let mut w = World::new();
    for n in 0..3 {
        let start = f64::from(n) * 100.0;
        w.say(start, "", open());
        let end = Closed { close_code: Some(1006), ..Closed::default() };
        w.say(start + 60.0, "", Event::Closed(Box::new(end)));
    }
    assert_eq!(w.is(Linked).1, Some(Cause::SessionLost));
}

#[test]
fn forgotten_is_forgotten() {
    let mut w = World::baileys(true);
    w.say(1.0, "", open());
    w.book.forget(&InstanceId::new("a").unwrap());
    assert_eq!((w.book.next_check(), w.book.instances().count()), (None, 0));
}
