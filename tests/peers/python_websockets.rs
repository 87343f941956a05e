//! PyPI's `websockets`, as server and as client.

use crate::support::{Script, same};

#[tokio::test]
async fn websockets_to_websockets() {
    let server = Script::python("peer_websockets.py", &["serve"]);
    same(&server, &Script::python("peer_websockets.py", &["call"]), 80).await;
}

#[tokio::test]
async fn websockets_to_ws() {
    let server = Script::node("peer-ws.js", &["serve"]);
    same(&server, &Script::python("peer_websockets.py", &["call"]), 80).await;
}
