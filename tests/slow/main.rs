//! The doctor before what the software's own timers do to a session: 40 to 60 seconds that nobody has set. `cargo xtask
//! slow`, some four minutes, all at once; the same rows run with short timers in `tests/doctor`.

use std::time::Duration;

use mooring_core::diagnosis::{LinkSaw, Probe};
use mooring_core::observation::Close;
use mooring_tests::faults::judge::{Eyes, Judged, judge};
use mooring_tests::faults::{self, Fault};

/// What was said of a row, with what ended the first session that ended.
async fn examined(id: &str) -> (Fault, Judged) {
    let fault = faults::slow().into_iter().find(|f| f.id == id).expect("a row");
    let scene = (fault.build)().await;
    let judged = Box::pin(judge(&fault, &scene, Eyes::All)).await;
    let told = judged.told();
    println!("{id}: {:?} after {:.0?}\n{told}", judged.verdict(), judged.examination.took);
    assert!(scene.dead().is_empty(), "{id}: {:?} died of being examined\n{}", scene.dead(), scene.logs());
    assert_eq!(judged.verdict(), fault.cause, "{id}\n{told}\n{}", scene.logs());
    assert_eq!(judged.examination.diagnosis.notes, [], "{id}: nobody gave a timer\n{told}");
    (fault, judged)
}

fn closes(judged: &Judged, probe: Probe) -> Vec<Close> {
    let findings = &judged.examination.case.findings;
    findings.iter().filter(|f| f.probe == probe).filter_map(|f| f.saw.close.clone()).collect()
}

fn links(judged: &Judged) -> Vec<LinkSaw> {
    let findings = &judged.examination.case.findings;
    findings.iter().filter(|f| f.probe == Probe::HoldSilent).filter_map(|f| f.saw.link.clone()).collect()
}

/// Timers fire a little late and never early; on a machine that is busy, seconds late.
fn about(seconds: u64, time: Duration) -> bool {
    (seconds * 1_000 - 200..seconds * 1_000 + 5_000)
        .contains(&u64::try_from(time.as_millis()).expect("minutes"))
}

async fn cut_after_a_minute(id: &str) {
    let (_, judged) = examined(id).await;
    let cut = closes(&judged, Probe::HoldSilent);
    assert!(cut.len() == 2 && cut.iter().all(|c| c.code.is_none() && about(60, c.silent_for)), "{cut:?}");
    assert!(closes(&judged, Probe::HoldPinging).is_empty(), "pings hold it");
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn nginx_cuts_after_a_minute() {
    cut_after_a_minute("slow-L1-nginx").await;
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn apache_cuts_after_a_minute() {
    cut_after_a_minute("slow-L1-apache").await;
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn socket_io_s_own_ping_outlives_nginx() {
    let (_, judged) = examined("slow-L2-nginx").await;
    assert!(judged.examination.diagnosis.healthy(), "{}", judged.told());
    let held = links(&judged);
    assert!(
        held.iter().all(|l| l.pings >= 3 && l.ping_interval.is_some_and(|every| about(25, every))),
        "{held:?}"
    );
    assert!(!held.is_empty());
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn uvicorn_gives_a_mute_client_forty_seconds() {
    let (_, judged) = examined("slow-L3").await;
    let close = closes(&judged, Probe::Told);
    assert!(close.iter().any(|c| c.code == Some(1011) && about(40, c.age)), "{close:?}");
}

async fn forty_five(id: &str) {
    let (_, judged) = examined(id).await;
    let close = closes(&judged, Probe::Told);
    assert!(close.iter().any(|c| c.code == Some(1005) && about(45, c.age)), "{close:?}");
    let held = links(&judged);
    assert!(held.iter().all(|l| about(25, l.ping_interval.unwrap_or_default())), "{held:?}");
    assert!(
        !held.is_empty() && closes(&judged, Probe::HoldSilent).is_empty(),
        "who answers and connects stays"
    );
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn engine_io_gives_a_mute_client_forty_five_seconds() {
    forty_five("slow-L4").await;
}

#[tokio::test]
#[ignore = "minutes: cargo xtask slow"]
async fn socket_io_gives_a_client_forty_five_seconds_to_connect() {
    forty_five("slow-L5").await;
}
