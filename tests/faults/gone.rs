//! H26–H29: proxies that answer in the gateway's place.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::raw::{PATIENCE, get, nobody_died, parts, scene, took, upgrade};

#[tokio::test]
async fn h26_each_proxy_says_in_its_own_way_that_nobody_is_there() {
    for (id, status, least, most) in
        [("H26-nginx", 502, 0, 1_500), ("H26-apache", 503, 0, 1_500), ("H26-haproxy", 503, 2_500, 7_000)]
    {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        eprintln!("{id}: {:?}", answer.age);
        took(&answer, least, most);
        let direct = TcpStream::connect(parts(scene.direct.as_deref().unwrap()).0).await;
        assert_eq!(direct.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused, "{id}");
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h27_each_proxy_loses_patience_with_one_that_hangs() {
    for (id, status) in [("H27-nginx", 504), ("H27-apache", 502), ("H27-haproxy", 504)] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        took(&answer, 900, 5_000);
        if id == "H27-apache" {
            assert!(answer.text().contains("Proxy Error"), "{answer:?}");
        }
        let direct = upgrade(scene.direct.as_deref().unwrap(), Duration::from_millis(800)).await;
        assert!(!direct.ended && direct.bytes.is_empty(), "{id}: {direct:?}");
        nobody_died(&scene);
    }
    let (_, scene) = scene("H27").await;
    let answer = upgrade(&scene.url, Duration::from_millis(800)).await;
    assert!(!answer.ended && answer.bytes.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn h28_an_upgrade_is_redirected() {
    for id in ["H28-nginx", "H28-apache", "H28-haproxy"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, 301, "{id}: {answer:?}");
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("https://") && location.ends_with("/ws"), "{id}: {location}");
    }
}

#[tokio::test]
async fn h29_the_index_page_is_served_for_any_path() {
    let (_, broken) = scene("H29").await;
    let answer = upgrade(&broken.url, PATIENCE).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html")), "{answer:?}");
    assert!(answer.text().contains("<div id=\"root\">"), "{answer:?}");
    assert_eq!(get(&broken.url, "/no-such-thing", "").await.text(), answer.text());
    let direct = upgrade(broken.direct.as_deref().unwrap(), Duration::from_millis(500)).await;
    assert_eq!(direct.status, 101, "{direct:?}");
}
