//! npm's `ws`, as server and as client, and REST on the same port.

use crate::support::{Script, same};

#[tokio::test]
async fn ws_to_ws_with_rest() {
    let (server, client) = (Script::node("peer-ws.js", &["serve"]), Script::node("peer-ws.js", &["call"]));
    same(&server, &client, 390).await;
}

#[tokio::test]
async fn ws_to_websockets() {
    let server = Script::python("peer_websockets.py", &["serve"]);
    same(&server, &Script::node("peer-ws.js", &["call-ws"]), 380).await;
}
