//! H5, H6, H20, H31: Python's servers.

use std::time::Duration;

use crate::raw::{PATIENCE, nobody_died, scene, upgrade};

const MOMENT: Duration = Duration::from_millis(800);

#[tokio::test]
async fn h5_a_stripped_upgrade_is_answered_by_fastapi_with_404() {
    for id in ["H5-nginx", "H5-apache", "H5-haproxy", "H5-outer", "H5-inner", "H5-hypercorn"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        let body = "{\"detail\":\"Not Found\"}";
        assert_eq!((answer.status, answer.text().as_str()), (404, body), "{id}: {answer:?}");
        let direct = upgrade(scene.direct.as_deref().unwrap(), MOMENT).await;
        assert_eq!(direct.status, 101, "{id}: {direct:?}");
        if let Some(inner) = scene.via.first() {
            let expected = if id == "H5-outer" { 101 } else { 404 };
            assert_eq!(upgrade(inner, MOMENT).await.status, expected, "{id}");
            // The box that is named is not the one that is at fault, nor the outermost.
            eprintln!("{id}: server {:?}", answer.header("server"));
        }
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h6_websockets_will_not_have_http_1_0() {
    for id in ["H6", "H6-headers"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!(answer.status, 505, "{id}: {answer:?}");
        assert!(answer.text().contains("unsupported HTTP version: HTTP/1.0"), "{id}: {answer:?}");
        nobody_died(&scene);
    }
}

#[tokio::test]
async fn h20_uvicorn_refuses_with_an_empty_403() {
    for id in ["H20-policy", "H20-path"] {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (403, ""), "{id}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{id}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn h31_a_dependency_refuses_with_json_and_a_broken_one_with_500() {
    let expected = [
        ("H31-401", 401, "{\"detail\":\"Could not validate credentials\"}"),
        ("H31-403", 403, "{\"detail\":\"No permission\"}"),
        ("H31-500", 500, "Internal Server Error"),
    ];
    for (id, status, body) in expected {
        let (_, scene) = scene(id).await;
        let answer = upgrade(&scene.url, PATIENCE).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{id}: {answer:?}");
        nobody_died(&scene);
    }
}
