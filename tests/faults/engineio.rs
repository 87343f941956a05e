//! H4, H9, H10, H13, H14, H22–H25: Socket.IO.

use std::time::Duration;

use crate::raw::{PATIENCE, ask, get, nobody_died, parts, scene, took, upgrade};

const MOMENT: Duration = Duration::from_millis(800);
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[tokio::test]
async fn h4_a_stripped_upgrade_is_answered_with_code_3_while_polling_works() {
    for id in ["H4-nginx", "H4-apache", "H4-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        let body = "{\"code\":3,\"message\":\"Bad request\"}";
        assert_eq!((answer.status, answer.text().as_str()), (400, body), "{id}: {answer:?}");
        let polling = get(&scene.url, POLLING, "").await;
        assert_eq!(polling.status, 200, "{id}: {polling:?}");
        assert!(polling.text().starts_with("0{\"sid\""), "{id}: {polling:?}");
        let direct = upgrade(scene.direct.as_deref().unwrap(), MOMENT).await;
        assert_eq!(direct.status, 101, "{id}: {direct:?}");
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h9_the_transport_is_unknown() {
    for id in ["H9", "H9-nginx", "H23-transport"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, "Transport unknown"), "{id}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn h10_a_raw_client_is_hung_up_on_after_a_second() {
    let (_, direct) = scene("H10").await;
    let answer = upgrade(&direct.url, PATIENCE).await;
    assert!(answer.ended && answer.bytes.is_empty(), "{answer:?}");
    took(&answer, 990, 2_000);
    for id in ["H10-nginx", "H10-apache", "H10-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, 502, "{id}: {answer:?}");
        took(&answer, 990, 2_500);
        assert!(get(&scene.url, POLLING, "").await.text().starts_with("0{\"sid\""), "{id}");
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h13_an_old_client_reads_http_after_the_101() {
    let (_, scene) = scene("H13-eio3").await;
    let answer = upgrade(&scene.url, PATIENCE).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert!(answer.body.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    assert!(answer.text().contains("Unsupported protocol version"), "{answer:?}");
    assert!(answer.ended, "{answer:?}");
}

#[tokio::test]
async fn h14_polling_is_accepted_and_closed() {
    let (_, scene) = scene("H14").await;
    let answer = upgrade(&scene.url, PATIENCE).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(answer.close(), Some((1005, String::new())), "{answer:?}");
}

#[tokio::test]
async fn h22_evolution_refuses_in_words() {
    let expected = [
        ("H22-missing", "apiKey is required"),
        ("H22-wrong", "Invalid global token"),
        ("H22-broken", "Authentication error"),
    ];
    for (id, words) in expected {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, words), "{id}: {answer:?}");
        let path = parts(&scene.url).1.replace("transport=websocket", "transport=polling");
        let polling = get(&scene.url, &path, "").await;
        let body = format!("{{\"code\":4,\"message\":\"{words}\"}}");
        assert_eq!((polling.status, polling.text()), (403, body), "{id}: {polling:?}");
    }
}

#[tokio::test]
async fn h23_engineio_says_its_codes() {
    let (_, scene) = scene("ok-socketio").await;
    let expected = [
        ("GET", "EIO=4&transport=telegraph", "{\"code\":0,\"message\":\"Transport unknown\"}"),
        ("GET", "EIO=4&transport=polling&sid=nobody", "{\"code\":1,\"message\":\"Session ID unknown\"}"),
        ("POST", "EIO=4&transport=polling", "{\"code\":2,\"message\":\"Bad handshake method\"}"),
        ("GET", "EIO=4&transport=websocket", "{\"code\":3,\"message\":\"Bad request\"}"),
        ("GET", "EIO=3&transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}"),
    ];
    let (host, _) = parts(&scene.url);
    for (method, query, body) in expected {
        let request =
            format!("{method} /socket.io/?{query} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        let answer = ask(host, &request, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, body), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn h23_requests_in_turn_find_a_stranger() {
    for id in ["H23-sticky-nginx", "H23-sticky-haproxy", "H23-sticky-apache"] {
        let (_, scene) = scene(id).await;
        let hello = get(&scene.url, POLLING, "").await;
        let text = hello.text();
        let sid = text.split('"').nth(3).unwrap();
        let mut unknown = 0;
        for _ in 0..4 {
            let path = format!("{POLLING}&sid={sid}");
            let (host, _) = parts(&scene.url);
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = ask(host, &request, MOMENT).await;
            unknown += u32::from(answer.text().contains("Session ID unknown"));
        }
        assert!((1..4).contains(&unknown), "{id}: {unknown} of 4 unknown");
        // A WebSocket is one connection, and stays where it is.
        assert_eq!(upgrade(&scene.url, MOMENT).await.status, 101, "{id}");
    }
}

#[tokio::test]
async fn h24_the_namespace_is_invalid() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let (_, scene) = scene("H24").await;
    let (host, _) = parts(&scene.url);
    let stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let (mut session, _) = tokio_tungstenite::client_async(&scene.url, stream).await.unwrap();
    let hello = session.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(hello.starts_with("0{"), "{hello}");
    let namespace = scene.namespace.as_deref().unwrap();
    session.send(Message::text(format!("40{namespace},"))).await.unwrap();
    let answer = session.next().await.unwrap().unwrap().into_text().unwrap();
    assert_eq!(answer.as_str(), format!("44{namespace},{{\"message\":\"Invalid namespace\"}}"));
    session.close(None).await.unwrap();
}

#[tokio::test]
async fn h25_the_origin_is_missing_from_the_answer_and_websocket_does_not_care() {
    for id in ["H25-list", "H25-array", "ok-cors"] {
        let (_, scene) = scene(id).await;
        let origin = scene.origin.clone().unwrap();
        let lines = format!("Origin: {origin}\r\n");
        let answer = get(&scene.url, POLLING, &lines).await;
        assert_eq!(answer.status, 200, "{id}: {answer:?}");
        let allowed = answer.header("access-control-allow-origin");
        if id == "ok-cors" {
            assert_eq!(allowed, Some(origin.as_str()), "{answer:?}");
        } else {
            assert_ne!(allowed, Some(origin.as_str()), "{id}: {answer:?}");
            assert_ne!(allowed, Some("*"), "{id}: {answer:?}");
        }
        eprintln!("{id}: allowed {allowed:?}, vary {:?}", answer.header("vary"));
        let answer = crate::raw::upgrade_with(&scene.url, &lines, MOMENT).await;
        assert_eq!(answer.status, 101, "{id}: {answer:?}");
    }
}
