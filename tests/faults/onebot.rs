//! H12, H14–H21, L9, L13: OneBot frameworks.

use std::time::Duration;

use mooring_tests::faults::Scene;

use crate::raw::{Answer, PATIENCE, nobody_died, scene, took, upgrade_with};

/// Longer than a framework takes to say no after it said yes, and no longer.
const MOMENT: Duration = Duration::from_millis(1_500);

async fn dial(scene: &Scene, patience: Duration) -> Answer {
    let lines: String = scene.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = upgrade_with(&scene.url, &lines, patience).await;
    nobody_died(scene);
    answer
}

#[tokio::test]
async fn what_is_well_is_accepted_and_held() {
    for id in ["ok-nonebot", "ok-aiocqhttp", "ok-koishi", "ok-karin", "ok-yunzai"] {
        let (_, scene) = scene(id).await;
        let answer = dial(&scene, MOMENT).await;
        assert_eq!((answer.status, answer.ended), (101, false), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn h12_yunzai_parks_upgrades_while_it_boots() {
    let (_, scene) = scene("H12-yunzai").await;
    let answer = dial(&scene, MOMENT).await;
    assert!(!answer.ended && answer.bytes.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn h14_to_h17_some_accept_before_they_refuse() {
    for (id, code, reason) in [
        ("H14-koishi", 1005, ""),
        ("H15-koishi-id", 1008, "invalid x-self-id"),
        ("H15-koishi-role", 1008, "invalid x-client-role"),
        ("H16-karin-missing", 3002, ""),
        ("H16-karin-wrong", 3001, ""),
        ("H16-karin-path", 1005, ""),
    ] {
        let (_, scene) = scene(id).await;
        // They wait for our Close, which does not come: what counts is that theirs is there, and by when.
        let soon = dial(&scene, MOMENT).await;
        let there = if id == "H16-karin-path" {
            assert_eq!((soon.status, soon.close()), (101, None), "{id}: only after 3 s: {soon:?}");
            dial(&scene, 4 * MOMENT).await
        } else {
            soon
        };
        assert_eq!((there.status, there.close()), (101, Some((code, reason.to_owned()))), "{id}: {there:?}");
    }
    let (_, scene) = scene("H17").await;
    let answer = dial(&scene, PATIENCE).await;
    assert_eq!((answer.status, answer.close(), answer.ended), (101, None, true), "{answer:?}");
    took(&answer, 0, 1_000);
}

#[tokio::test]
async fn h18_and_h19_yunzai_says_a_status_and_nothing_else() {
    for (id, bytes) in [
        ("H18-path", "HTTP/1.1 404 Not Found\r\n\r\n"),
        ("H18-case", "HTTP/1.1 404 Not Found\r\n\r\n"),
        ("H18-query", "HTTP/1.1 404 Not Found\r\n\r\n"),
        ("H19-missing", "HTTP/1.1 401 Unauthorized\r\n\r\n"),
        ("H19-wrong", "HTTP/1.1 401 Unauthorized\r\n\r\n"),
    ] {
        let (_, scene) = scene(id).await;
        let answer = dial(&scene, PATIENCE).await;
        assert_eq!(String::from_utf8_lossy(&answer.bytes), bytes, "{id}");
        assert!(answer.ended, "{id}");
    }
}

#[tokio::test]
async fn h20_and_l13_nonebot_says_the_same_for_six_faults() {
    for id in ["path", "id", "missing", "wrong", "taken"]
        .map(|it| format!("H20-nonebot-{it}"))
        .iter()
        .map(String::as_str)
        .chain(["L13"])
    {
        let (_, scene) = scene(id).await;
        let answer = dial(&scene, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (403, ""), "{id}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{id}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn h21_aiocqhttp_has_a_status_for_each() {
    for (id, status) in
        [("H21-id", 400), ("H21-role", 400), ("H21-missing", 401), ("H21-wrong", 403), ("H21-path", 404)]
    {
        let (_, scene) = scene(id).await;
        let answer = dial(&scene, PATIENCE).await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        assert_eq!(answer.header("server"), Some("hypercorn-h11"), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn l9_a_connection_that_beats_is_dropped_for_want_of_an_answer() {
    let (_, scene) = scene("L9").await;
    let view = scene.seen.first().unwrap();
    assert_eq!(view.code, None, "{view:?}");
    assert!((2_000..5_000).contains(&view.age.as_millis()) && view.sent_text > 3, "{view:?}");
    nobody_died(&scene);
}
