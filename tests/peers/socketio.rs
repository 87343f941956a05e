//! Socket.IO: long-polling alone, WebSocket alone, and the upgrade from one to the other.

use crate::support::{Script, same};

#[tokio::test]
async fn socketio_polling_websocket_and_upgrade() {
    let server = Script::node("peer-socketio.js", &["serve"]);
    same(&server, &Script::node("peer-socketio.js", &["call"]), 50).await;
}
