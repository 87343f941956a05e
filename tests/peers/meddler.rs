//! That the comparison sees a difference: a relay that changes one byte of one direction is found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Script, Server, difference};

/// A TCP relay that changes a Close frame of 4000 into one of 4001, from the server to the client.
async fn meddler(upstream: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let changed = Arc::new(AtomicU64::new(0));
        while let Ok((client, _)) = listener.accept().await {
            let gateway = TcpStream::connect(&upstream).await.expect("the server accepts");
            let (from_client, to_client) = client.into_split();
            let (from_gateway, to_gateway) = gateway.into_split();
            tokio::spawn(pass(from_client, to_gateway, |_| ()));
            let changed = Arc::clone(&changed);
            tokio::spawn(pass(from_gateway, to_client, move |bytes| {
                // 88 7d 0f a0: FIN and Close, 125 bytes, code 4000.
                if let Some(at) = bytes.windows(4).position(|w| w == [0x88, 0x7d, 0x0f, 0xa0]) {
                    bytes[at + 3] = 0xa1;
                    changed.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
    });
    address
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut change: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        change(&mut buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn one_changed_close_code_is_seen() {
    let (server, client) = (Script::node("peer-ws.js", &["serve"]), Script::node("peer-ws.js", &["call-ws"]));
    let direct = Server::start(&server).await;
    let said = client.call(&direct.address).await;
    drop(direct);
    let meddled = Server::start(&server).await;
    let meddled_said = client.call(&meddler(meddled.address.clone()).await).await;
    let found = difference(&said, &meddled_said).expect("a difference");
    assert!(found.contains("closed 4000") && found.contains("4001"), "{found}");
}
