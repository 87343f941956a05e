//! What the timers of a path have against each other, where the pings and the cuts are learnt from real software and the rest
//! is what an operator says.

use std::time::Duration;

use mooring_core::cause::{Cause, Lang};
use mooring_core::diagnosis::Timers;
use mooring_tests::faults::find;
use mooring_tests::faults::judge::{Eyes, exam, judge_exam};

use crate::PLACES;

/// Notes of a scene in which an operator knows this, and what it says else.
async fn notes(id: &str, timers: Timers) -> (Vec<(Cause, bool)>, String, Option<Cause>) {
    let _place = PLACES.acquire().await;
    let fault = find(id);
    let scene = (fault.build)().await;
    let mut exam = exam(&fault, &scene, Eyes::Outermost);
    exam.timers = timers;
    let judged = Box::pin(judge_exam(&exam)).await;
    assert!(scene.dead().is_empty(), "{:?} died of it", scene.dead());
    let notes = &judged.examination.diagnosis.notes;
    let words: Vec<&str> = notes.iter().map(|n| n.what(Lang::En)).collect();
    let told = format!("{}\n{}", words.join("\n"), judged.told());
    (notes.iter().map(|n| (n.cause, n.certain)).collect(), told, judged.verdict())
}

/// `ws` pings each 700 ms, and nginx ends what is silent for two seconds.
#[tokio::test]
async fn a_ping_that_was_heard_is_held_against_what_the_operator_knows() {
    let ms = Duration::from_millis;
    let timers = Timers {
        proxy_idle: vec![("nginx".to_owned(), ms(2_000)), ("the edge".to_owned(), ms(600))],
        client_timeout: Some(ms(500)),
        ..Timers::default()
    };
    let (notes, told, verdict) = notes("L2-nginx", timers).await;
    assert_eq!(verdict, None, "{told}");
    assert_eq!(notes, [(Cause::TimersMisfit, true); 2], "the edge and the client, not nginx\n{told}");
    assert!(told.contains("the edge") && !told.contains("nginx ends"), "{told}");
}

/// `ws` does not ping, and nginx ends what is silent for two seconds, which is measured.
#[tokio::test]
async fn a_limit_that_was_met_is_held_against_a_heartbeat() {
    let timers = Timers { heartbeat: Some(Duration::from_secs(5)), ..Timers::default() };
    let (notes, told, verdict) = notes("L1-nginx", timers).await;
    assert_eq!(verdict, Some(Cause::IdleCut), "{told}");
    assert_eq!(notes, [(Cause::TimersMisfit, true)], "{told}");
    assert!(told.contains("heartbeat comes every 5.0 s") && told.contains("2.0 s"), "{told}");
}
