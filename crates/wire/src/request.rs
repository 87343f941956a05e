//! The upgrade request (RFC 6455 §4.1), written by hand: what was sent must be known to the byte when an answer is
//! judged. No extension is offered, so that every frame can be read as it is.

use crate::target::Target;

/// The request's bytes. They hold secrets: they are written to the socket and nowhere else.
pub(crate) fn upgrade(target: &Target, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut line = |parts: &[&[u8]]| {
        for part in parts {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[b"GET ", target.url().request_target().as_bytes(), b" HTTP/1.1"]);
    line(&[b"Host: ", target.url().host_header().as_bytes()]);
    line(&[b"Upgrade: websocket"]);
    line(&[b"Connection: Upgrade"]);
    line(&[b"Sec-WebSocket-Key: ", key.as_bytes()]);
    line(&[b"Sec-WebSocket-Version: 13"]);
    if !target.subprotocols().is_empty() {
        line(&[b"Sec-WebSocket-Protocol: ", target.subprotocols().join(", ").as_bytes()]);
    }
    if !target.headers().iter().any(|(name, _)| *name == http::header::USER_AGENT) {
        line(&[b"User-Agent: mooring/", env!("CARGO_PKG_VERSION").as_bytes()]);
    }
    for (name, value) in target.headers() {
        line(&[name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
    line(&[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_bytes() {
        let target = Target::new("ws://a.example:8080/ws?x=1")
            .and_then(|t| t.subprotocol("v2"))
            .and_then(|t| t.subprotocol("v1"))
            .and_then(|t| t.header("X-Self-ID", "7"))
            .and_then(|t| t.header("User-Agent", "probe"))
            .unwrap();
        let text = String::from_utf8(upgrade(&target, "dGhlIHNhbXBsZSBub25jZQ==")).unwrap();
        assert_eq!(
            text,
            "GET /ws?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: v2, v1\r\nx-self-id: 7\r\nuser-agent: probe\r\n\r\n"
        );
    }
}
