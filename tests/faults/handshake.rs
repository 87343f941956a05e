//! H1–H3, H7, H8, H11–H13, H30, H34: npm's `ws`, and Express beside it.

use std::time::Duration;

use crate::raw::{PATIENCE, get, nobody_died, scene, took, upgrade, upgrade_with};

const MOMENT: Duration = Duration::from_millis(1_500);

/// The second probe: the same upgrade at the backend.
async fn direct_is_well(scene: &mooring_tests::faults::Scene) {
    let direct = upgrade(scene.direct.as_deref().unwrap(), Duration::from_millis(300)).await;
    assert_eq!(direct.status, 101, "{direct:?}");
    assert!(!direct.ended, "{direct:?}");
}

#[tokio::test]
async fn h1_a_stripped_upgrade_is_answered_by_ws_with_426() {
    for id in ["H1-nginx", "H1-apache", "H1-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (426, "Upgrade Required"), "{id}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain"), "{id}: {answer:?}");
        direct_is_well(&scene).await;
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h2_a_stripped_upgrade_is_answered_by_express_with_404() {
    for id in ["H2-nginx", "H2-apache", "H2-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(
            (answer.status, answer.header("x-powered-by")),
            (404, Some("Express")),
            "{id}: {answer:?}"
        );
        assert!(answer.text().contains("Cannot GET /ws"), "{id}: {answer:?}");
        direct_is_well(&scene).await;
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h2_a_wrong_server_is_answered_by_express_with_404_directly() {
    let (_, alone) = scene("H2-wrong-server").await;
    let answer = upgrade(&alone.url, PATIENCE).await;
    assert_eq!((answer.status, answer.header("x-powered-by")), (404, Some("Express")), "{answer:?}");
    assert_eq!(answer.header("connection"), Some("keep-alive"), "{answer:?}");
    assert!(answer.text().contains("Cannot GET /ws"), "{answer:?}");
    let (_, behind) = scene("H2-wrong-server-nginx").await;
    for url in [&behind.url, behind.direct.as_ref().unwrap()] {
        assert_eq!(upgrade(url, PATIENCE).await.status, 404, "{url}");
    }
}

#[tokio::test]
async fn h3_a_page_is_served_where_an_upgrade_was_asked() {
    let (_, stripped) = scene("H3-nginx").await;
    let answer = upgrade(&stripped.url, PATIENCE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains("the application"), "{answer:?}");
    direct_is_well(&stripped).await;
    let (_, wrong) = scene("H3-wrong-server").await;
    let answer = upgrade(&wrong.url, PATIENCE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn h7_ws_knows_its_path_to_the_slash() {
    for id in ["H7", "H7-slash", "H7-nginx"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, "Bad Request"), "{id}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{id}: {answer:?}");
        if id == "H7-nginx" {
            direct_is_well(&scene).await;
        } else {
            assert_eq!(answer.header("connection"), Some("close"), "{id}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn h8_ws_says_what_is_wrong_with_a_handshake() {
    let expected = [
        ("H8-key", 400, "Missing or invalid Sec-WebSocket-Key header"),
        ("H8-version", 400, "Missing or invalid Sec-WebSocket-Version header"),
        ("H8-upgrade", 400, "Invalid Upgrade header"),
        ("H8-method", 405, "Invalid HTTP method"),
        ("H8-apache", 400, "Missing or invalid Sec-WebSocket-Key header"),
    ];
    for (id, status, body) in expected {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{id}: {answer:?}");
        if id == "H8-version" {
            assert_eq!(answer.header("sec-websocket-version"), Some("13, 8"), "{answer:?}");
        }
        direct_is_well(&scene).await;
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h8_haproxy_says_it_itself() {
    let (_, scene) = scene("H8-haproxy").await;
    let answer = upgrade(&scene.url, PATIENCE).await;
    eprintln!("H8-haproxy: {answer:?}");
    assert_ne!(answer.status, 101, "{answer:?}");
    direct_is_well(&scene).await;
}

#[tokio::test]
async fn h11_a_destroyed_upgrade_ends_without_a_byte_at_once() {
    let (_, direct) = scene("H11").await;
    let answer = upgrade(&direct.url, PATIENCE).await;
    assert!(answer.ended && answer.bytes.is_empty(), "{answer:?}");
    took(&answer, 0, 700);
    nobody_died(&direct);
    let (_, behind) = scene("H11-nginx").await;
    let answer = upgrade(&behind.url, PATIENCE).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    took(&answer, 0, 700);
}

#[tokio::test]
async fn h12_an_ignored_upgrade_is_never_answered_and_proxies_lose_patience() {
    let (_, direct) = scene("H12").await;
    let answer = upgrade(&direct.url, MOMENT).await;
    assert!(!answer.ended && answer.bytes.is_empty(), "{answer:?}");
    assert_eq!(get(&direct.url, "/", "").await.status, 200);
    for (id, status) in [("H12-nginx", 504), ("H12-apache", 502), ("H12-haproxy", 504)] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        took(&answer, 900, 5_000);
        assert_eq!(get(&scene.url, "/", "").await.status, 200, "{id}");
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h13_two_servers_write_http_after_the_101() {
    let (_, first) = scene("H13-first").await;
    let answer = upgrade(&first.url, PATIENCE).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert!(answer.body.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    let (_, second) = scene("H13-second").await;
    let answer = upgrade(&second.url, PATIENCE).await;
    assert_eq!((answer.status, answer.text().as_str()), (400, "Bad Request"), "{answer:?}");
}

#[tokio::test]
async fn h30_is_answered_with_503_and_a_code() {
    let (_, scene) = scene("H30").await;
    let answer = upgrade(&scene.url, PATIENCE).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().contains("\"code\":\"LICENSE_REQUIRED\""), "{answer:?}");
}

#[tokio::test]
async fn h34_no_subprotocol_is_selected() {
    for id in ["H34", "H34-fastapi"] {
        let (_, scene) = scene(id).await;
        let asked = scene.subprotocol.clone().unwrap();
        let lines = format!("Sec-WebSocket-Protocol: {asked}\r\n");
        let answer = upgrade_with(&scene.url, &lines, MOMENT).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None), "{id}: {answer:?}");
    }
    let (_, scene) = scene("H34-websockets").await;
    let answer = upgrade_with(&scene.url, "Sec-WebSocket-Protocol: chat.v1\r\n", MOMENT).await;
    eprintln!("H34-websockets: {answer:?}");
    assert_eq!(answer.header("sec-websocket-protocol"), None, "{answer:?}");
}
