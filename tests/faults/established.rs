//! L1–L8, L10–L12, L14: what becomes of sessions.

use std::time::Duration;

use mooring_tests::faults::{ClientView, Scene, Side};

use crate::raw::{PATIENCE, nobody_died, scene, took, upgrade};

#[tokio::test]
async fn l1_silence_is_cut_without_a_close_after_the_same_time_again() {
    for id in ["L1-nginx", "L1-apache", "L1-haproxy"] {
        let (_, scene) = scene(id).await;
        for _ in 0..2 {
            let answer = upgrade(&scene.url, PATIENCE).await;
            assert_eq!((answer.status, answer.ended), (101, true), "{id}: {answer:?}");
            assert_eq!(answer.close(), None, "{id}: {answer:?}");
            eprintln!("{id}: {:?}", answer.age);
            took(&answer, 1_900, 4_000);
        }
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn l2_pings_of_the_server_keep_it() {
    for id in ["L2-nginx", "L2-apache", "L2-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, Duration::from_secs(5)).await;
        assert_eq!((answer.status, answer.ended), (101, false), "{id}: {answer:?}");
        let pings = answer.frames().iter().filter(|(opcode, _)| *opcode == 9).count();
        assert!(pings >= 4, "{id}: {pings} pings");
        nobody_died(&scene);
    }
}

fn client(scene: &Scene) -> &ClientView {
    scene.seen.iter().find(|v| v.side == Side::Client).unwrap()
}

fn server(scene: &Scene) -> &ClientView {
    scene.seen.iter().find(|v| v.side == Side::Server).unwrap()
}

fn aged(view: &ClientView, least: u64, most: u64) {
    let range = Duration::from_millis(least)..=Duration::from_millis(most);
    assert!(range.contains(&view.age), "{view:?}");
}

#[tokio::test]
async fn l3_pings_that_nobody_answers_end_it_with_1011_after_twice_the_interval() {
    for id in ["L3-uvicorn", "L3-websockets"] {
        let (_, scene) = scene(id).await;
        let view = client(&scene);
        eprintln!("{id}: {view:?}");
        assert_eq!((view.code, view.reason.as_str()), (Some(1011), "keepalive ping timeout"), "{id}");
        assert_eq!((view.heard_pings > 0, view.sent_pong), (true, 0), "{id}: {view:?}");
        aged(view, 1_900, 4_500);
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn l4_to_l6_engineio_ends_what_is_no_client_of_its_own() {
    let (_, unanswered) = scene("L4").await;
    let view = client(&unanswered);
    eprintln!("L4: {:#?}", unanswered.seen);
    assert_eq!((view.code, view.heard_pings, view.sent_pong), (Some(1005), 1, 0), "{view:?}");
    assert!(view.sent_connect, "{view:?}");
    aged(view, 1_450, 3_500);
    assert_eq!(server(&unanswered).reason, "ping timeout", "{:?}", unanswered.seen);

    let (_, unconnected) = scene("L5").await;
    let view = client(&unconnected);
    eprintln!("L5: {:#?}", unconnected.seen);
    assert_eq!(view.code, Some(1005), "{view:?}");
    assert!(!view.sent_connect && view.sent_pong == view.heard_pings && view.sent_pong > 0, "{view:?}");
    aged(view, 1_450, 3_500);
    assert_eq!(view.promise, Some((Duration::from_secs(1), Duration::from_millis(500))), "{view:?}");

    let (_, foreign) = scene("L6").await;
    let view = client(&foreign);
    eprintln!("L6: {:#?}", foreign.seen);
    assert_eq!((view.code, view.sent_text), (Some(1005), 1), "{view:?}");
    aged(view, 290, 1_200);
    for scene in [&unanswered, &unconnected, &foreign] {
        nobody_died(scene);
    }
}

/// The longest between the ends of what ended together.
fn spread(views: &[ClientView]) -> Duration {
    let at = |pick: fn(std::vec::IntoIter<Duration>) -> Option<Duration>| {
        pick(views.iter().map(|v| v.at).collect::<Vec<_>>().into_iter()).unwrap()
    };
    at(Iterator::max).saturating_sub(at(Iterator::min))
}

#[tokio::test]
async fn l7_a_restart_in_good_order_says_1012_to_all() {
    for id in ["L7-uvicorn", "L7-nginx"] {
        let (_, scene) = scene(id).await;
        assert!(scene.seen.iter().all(|v| v.code == Some(1012)), "{id}: {:#?}", scene.seen);
        assert!(spread(&scene.seen) < Duration::from_millis(500), "{id}: {:#?}", scene.seen);
        // And so to whoever holds one now, through the proxy, too.
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, 101, "{id}: {answer:?}");
        eprintln!("{id}: {:?} after {:?}", answer.close(), answer.age);
        assert_eq!(answer.close().map(|(code, _)| code), Some(1012), "{id}: {answer:?}");
        back(&scene).await;
        nobody_died(&scene);
    }
}

/// Waits until it serves again.
async fn back(scene: &Scene) {
    let (host, _) = crate::raw::parts(&scene.url);
    mooring_tests::wait::until("the gateway to be back", || async {
        let Ok(_) = tokio::net::TcpStream::connect(host).await else { return Err("refused".to_owned()) };
        let answer = upgrade(&scene.url, Duration::from_millis(200)).await;
        if answer.status == 101 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

#[tokio::test]
async fn l8_a_killed_process_ends_all_in_one_moment_without_a_close() {
    let (_, scene) = scene("L8").await;
    assert!(scene.seen.len() > 1 && scene.seen.iter().all(|v| v.code.is_none()), "{:#?}", scene.seen);
    eprintln!("L8: spread {:?}", spread(&scene.seen));
    assert!(spread(&scene.seen) < Duration::from_millis(200), "{:#?}", scene.seen);
    let answer = upgrade(&scene.url, PATIENCE).await;
    assert_eq!((answer.status, answer.ended, answer.close()), (101, true, None), "{answer:?}");
    back(&scene).await;
    nobody_died(&scene);
}

#[tokio::test]
async fn l10_too_much_is_answered_with_1009() {
    for id in ["L10-ws", "L10-socketio"] {
        let (_, scene) = scene(id).await;
        let view = client(&scene);
        eprintln!("{id}: {:#?}", scene.seen);
        assert_eq!((view.code, view.sent_largest), (Some(1009), 2_000), "{id}: {:#?}", scene.seen);
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn l11_and_l12_nothing_comes_and_nobody_hangs_up() {
    for id in ["L11", "L12"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, Duration::from_secs(4)).await;
        assert_eq!((answer.status, answer.ended), (101, false), "{id}: {answer:?}");
        nobody_died(&scene);
    }
    // Behind a proxy, its idle limit ends what is frozen.
    let (_, scene) = scene("L12-nginx").await;
    let answer = upgrade(&scene.url, PATIENCE).await;
    assert_eq!((answer.status, answer.ended, answer.close()), (101, true, None), "{answer:?}");
    took(&answer, 1_900, 4_000);
    nobody_died(&scene);
}

#[tokio::test]
async fn l14_many_are_refused_in_one_second() {
    let (_, scene) = scene("L14").await;
    assert!(scene.seen.len() > 1 && scene.seen.iter().all(|v| v.code == Some(405)), "{:#?}", scene.seen);
    assert!(spread(&scene.seen) < Duration::from_secs(1), "{:#?}", scene.seen);
}
