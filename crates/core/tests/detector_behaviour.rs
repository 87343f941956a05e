//! What the failure detector promises, driven by hand.

use std::time::Duration;

use mooring_core::detector::{Basis, Detector, DetectorConfig, Expect, Suspicion, Verdict};
use mooring_core::time::Mono;
use proptest::prelude::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn t(n: u64) -> Mono {
    Mono(n * 1000)
}

/// A detector that has seen `n` pings, one a second, each answered after `rtt` ms; the time is that of the next ping.
fn taught(n: u64, rtt: u64) -> (Detector, u64) {
    let mut d = Detector::new(DetectorConfig::default(), t(0));
    for i in 0..n {
        d.asked(t(i * 1000));
        d.answered(t(i * 1000 + rtt), ms(rtt));
        assert_eq!(d.next_check(), None, "nothing is awaited between questions");
    }
    (d, n * 1000)
}

/// Looks in time, whenever the detector wants, until it is decided.
fn verdict(d: &mut Detector) -> (Mono, Suspicion) {
    loop {
        let look = d.next_check().expect("something is awaited");
        if let Verdict::Suspect(suspicion) = d.check(look) {
            return (look, suspicion);
        }
    }
}

#[test]
fn a_missing_answer_is_suspected_when_due_and_not_before() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    let due = d.next_check().unwrap();
    assert!(due >= t(now + 1000) && due <= t(now + 1200), "{due:?}");
    assert_eq!(d.check(Mono(due.0 - 1)), Verdict::Trust);
    let (look, suspicion) = verdict(&mut d);
    assert_eq!(look, due.after(ms(50)), "a second look, in time");
    assert_eq!(suspicion.basis, Basis::Answers { learnt: true });
    assert_eq!((suspicion.samples, suspicion.last_rtt), (50, Some(ms(20))));
    assert!(suspicion.message().contains("learnt from 50 pings"), "{}", suspicion.message());
    assert_eq!(d.next_check(), None, "said once");
    d.alive(look);
    assert_eq!(d.check(look), Verdict::Trust, "any traffic is life");
}

#[test]
fn before_anything_is_learnt_there_is_more_patience() {
    let (mut d, now) = taught(2, 5);
    d.asked(t(now));
    assert!(d.next_check().unwrap() >= t(now + 3000));
}

#[test]
fn silence_without_a_question_or_promise_is_no_fault() {
    let mut d = Detector::new(DetectorConfig::default(), t(0));
    assert_eq!((d.next_check(), d.check(t(10_000_000))), (None, Verdict::Trust));
}

#[test]
fn a_promise_is_used_as_it_is() {
    let (mut d, now) = taught(50, 20);
    d.promise(ms(25_000), ms(20_000));
    d.alive(t(now));
    d.asked(t(now + 10));
    assert_eq!(d.next_check(), Some(t(now + 45_000)));
    assert_eq!(d.check(t(now + 44_999)), Verdict::Trust);
    let (look, suspicion) = verdict(&mut d);
    assert_eq!((look, suspicion.basis), (t(now + 45_050), Basis::Promise));
}

#[test]
fn older_life_is_no_answer() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    let due = d.next_check();
    d.alive(t(now - 1));
    assert_eq!(d.next_check(), due);
}

#[test]
fn a_measured_lag_widens_the_deadline_and_gives_time_to_read() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    let due = d.next_check().unwrap();
    d.lag(t(now + 10_000), ms(10_000));
    assert_eq!(d.check(t(now + 10_000)), Verdict::Trust);
    let later = d.next_check().unwrap();
    assert_eq!(later, due.after(ms(10_000)));
    assert_eq!(verdict(&mut d).1.observer_lag, ms(10_000));
    // The next question starts afresh.
    d.alive(t(now + 12_000));
    d.asked(t(now + 13_000));
    assert!(d.next_check().unwrap() < t(now + 15_000));
}

#[test]
fn a_late_check_gives_time_to_read_but_not_for_ever() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    let mut late = now + 2000;
    let mut held = 0;
    while d.check(t(late)) == Verdict::Trust {
        held += 1;
        assert!(d.next_check().unwrap() > t(late));
        late += 2000;
    }
    assert_eq!(held, 8);
    // In time after the first hold, the verdict falls at once.
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    assert_eq!(d.check(t(now + 2000)), Verdict::Trust);
    assert!(d.check(d.next_check().unwrap()).suspicion().is_some());
}

#[test]
fn what_ends_our_own_pause_is_not_learnt_from() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    assert_eq!(d.check(t(now + 10_000)), Verdict::Trust);
    d.answered(t(now + 10_001), ms(10_001));
    d.asked(t(now + 11_000));
    assert!(d.next_check().unwrap() < t(now + 12_200));
}

#[test]
fn beats_are_learnt_without_questions() {
    let mut d = Detector::new(DetectorConfig { expect: Expect::Beats, ..Default::default() }, t(0));
    for i in 1..=30 {
        d.alive(t(i * 5000 + (i * 7) % 40));
    }
    let due = d.next_check().unwrap();
    assert!(due > t(31 * 5000 + 900) && due < t(31 * 5000 + 1300), "{due:?}");
    // A beat that is lost teaches lateness, not another period.
    d.alive(t(32 * 5000));
    let due = d.next_check().unwrap();
    assert!(due > t(33 * 5000 + 5000) && due < t(33 * 5000 + 7500), "{due:?}");
    // A burst after a stall teaches no shorter period.
    for _ in 0..5 {
        d.alive(t(36 * 5000));
    }
    assert!(d.next_check().unwrap() > t(37 * 5000));
}

#[test]
fn a_mistake_is_learnt_from_within_the_cap() {
    let (mut d, now) = taught(50, 20);
    d.asked(t(now));
    verdict(&mut d);
    d.mistaken(t(now + 3000));
    d.opened(t(now + 3000));
    d.asked(t(now + 4000));
    let wait = d.next_check().unwrap().since(t(now + 4000));
    assert!(wait > ms(3000) && wait < ms(4500), "{wait:?}");
}

proptest! {
    /// However late answers come, the margin keeps its floor and the wait its cap.
    #[test]
    fn the_wait_is_bounded(rtts in proptest::collection::vec(0_u64..20_000, 8..200)) {
        let config = DetectorConfig::default();
        let mut d = Detector::new(config, t(0));
        let mut now = 0;
        for rtt in &rtts {
            d.asked(t(now));
            now += rtt;
            d.answered(t(now), ms(*rtt));
        }
        d.asked(t(now));
        let wait = d.next_check().unwrap().since(t(now));
        let worst = ms(*rtts.iter().max().unwrap());
        prop_assert!(wait >= config.floor && wait <= worst + config.cap, "{:?}", wait);
    }

    /// A peer that always answers before it is asked about is never suspected.
    #[test]
    fn steady_peers_are_trusted(base in 1_u64..3000, jitter in proptest::collection::vec(0_u64..400, 1..300)) {
        let mut d = Detector::new(DetectorConfig::default(), t(0));
        let mut now = 0;
        for (i, j) in jitter.iter().enumerate() {
            let rtt = base + j;
            d.asked(t(now));
            if let Some(due) = d.next_check().filter(|due| *due <= t(now + rtt)) {
                prop_assert!(d.check(due) == Verdict::Trust || i < 1, "suspected at answer {}", i);
            }
            now += rtt;
            d.answered(t(now), ms(rtt));
            now += 100;
        }
    }
}
