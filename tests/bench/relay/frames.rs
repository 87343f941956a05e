//! Bytes of handshakes and frames, made once before they are counted (RFC 6455 §1.3, §5.2).

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The masking key of every frame. One is enough: nobody between the ends looks under it, and the server unmasks for real.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Text message.
pub const TEXT: u8 = 0x1;
/// Close frame.
pub const CLOSE: u8 = 0x8;
/// Ping frame.
pub const PING: u8 = 0x9;
/// Pong frame.
pub const PONG: u8 = 0xA;

/// A client's request.
pub fn upgrade(host: &str) -> Vec<u8> {
    format!(
        "GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to a request that has a key, or a page to one that has none.
pub fn answer(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    match key {
        Some(key) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        ),
        None => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n".to_owned(),
    }
    .into_bytes()
}

/// Where a head ends, if it does.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// Adds a frame as a server sends it.
pub fn push_unmasked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    head(out, 0x80 | opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Adds a frame as a client sends it.
pub fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    head(out, 0x80 | opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    let at = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[at..], MASK);
}

fn head(out: &mut Vec<u8>, first: u8, length: usize, mask: u8) {
    out.push(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => out.push(mask | length),
        (_, Ok(length)) => {
            out.push(mask | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A client's frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Framed {
    /// First byte: FIN, reserved bits, opcode.
    pub first: u8,
    /// Where the payload begins.
    pub payload: usize,
    /// Where the frame ends.
    pub end: usize,
    /// Its masking key.
    pub mask: [u8; 4],
}

/// The frame that `bytes` begin with; none while its head is not all there. `end` may lie beyond the bytes.
pub fn masked_frame(bytes: &[u8]) -> Option<Framed> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mask = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Framed { first, payload: at + 4, end: at + 4 + length, mask })
}

/// Masks, and unmasks: eight bytes at a time.
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_is_read_back() {
        for length in [0, 1, 7, 8, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let mut bytes = Vec::new();
            push_masked(&mut bytes, TEXT, &payload);
            let frame = masked_frame(&bytes).unwrap();
            assert_eq!((frame.first, frame.end), (0x81, bytes.len()));
            assert_eq!(masked_frame(&bytes[..frame.payload - 1]), None);
            let mut read = bytes[frame.payload..].to_vec();
            unmask(&mut read, frame.mask);
            assert_eq!(read, payload);
        }
    }

    #[test]
    fn the_handshake_of_the_rfc() {
        let text = String::from_utf8(answer(&upgrade("a"))).unwrap();
        assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
    }
}
