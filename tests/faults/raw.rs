//! One request and all that comes back, by hand.

use std::time::{Duration, Instant};

use mooring_tests::faults::{Fault, Scene, find};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// Longer than any scene takes to answer or to hang up.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status; 0 where none came.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All after the headers, chunks put together.
    pub body: Vec<u8>,
    /// All bytes as they came.
    pub bytes: Vec<u8>,
    /// From the request to the end of the answer, or of the connection.
    pub age: Duration,
    /// Whether the other end ended the connection.
    pub ended: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The frames after a 101: opcode and payload. What is not a whole frame is left out.
    pub fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        let (mut frames, mut rest) = (Vec::new(), self.body.as_slice());
        while let [first, second, more @ ..] = rest {
            let (length, head) = match second & 0x7f {
                126 if more.len() >= 2 => (usize::from(u16::from_be_bytes([more[0], more[1]])), 2),
                127 => break,
                n => (usize::from(n), 0),
            };
            let Some(payload) = more.get(head..head + length) else { break };
            frames.push((first & 0x0f, payload.to_vec()));
            rest = &more[head + length..];
        }
        frames
    }

    /// Code and reason of the Close frame: 1005 for one without a code, `None` where there is none.
    pub fn close(&self) -> Option<(u16, String)> {
        let (_, payload) = self.frames().into_iter().find(|(opcode, _)| *opcode == 8)?;
        Some(match payload.as_slice() {
            [high, low, reason @ ..] => {
                (u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason).into_owned())
            }
            _ => (1005, String::new()),
        })
    }
}

/// Builds one.
pub async fn scene(id: &str) -> (Fault, Scene) {
    let fault = find(id);
    (fault, (fault.build)().await)
}

/// Nothing died, and says so with all logs.
pub fn nobody_died(scene: &Scene) {
    assert!(scene.dead().is_empty(), "{:?} died\n{}", scene.dead(), scene.logs());
}

/// `host:port` and path of an address.
pub fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").unwrap().1;
    let at = rest.find('/').unwrap_or(rest.len());
    (&rest[..at], if at < rest.len() { &rest[at..] } else { "/" })
}

/// Asks an address for an upgrade, and reads for `patience` at most.
pub async fn upgrade(url: &str, patience: Duration) -> Answer {
    upgrade_with(url, "", patience).await
}

/// As [`upgrade`], with more header lines.
pub async fn upgrade_with(url: &str, lines: &str, patience: Duration) -> Answer {
    let (host, path) = parts(url);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    );
    ask(host, &request, patience).await
}

/// A plain request.
pub async fn get(url: &str, path: &str, lines: &str) -> Answer {
    let (host, _) = parts(url);
    ask(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"), PATIENCE).await
}

/// Writes and reads.
pub async fn ask(host: &str, request: &str, patience: Duration) -> Answer {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let start = Instant::now();
    let until = tokio::time::Instant::now() + patience;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Answer::default();
    let mut part = [0; 8_192];
    while !whole(&answer.bytes) {
        match timeout_at(until, stream.read(&mut part)).await {
            Ok(Ok(0) | Err(_)) => {
                answer.ended = true;
                break;
            }
            Ok(Ok(n)) => answer.bytes.extend_from_slice(&part[..n]),
            Err(_) => break,
        }
    }
    answer.age = start.elapsed();
    // Never a reset, here neither.
    let _ = stream.shutdown().await;
    read_head(&mut answer);
    answer
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some((&bytes[..at], &bytes[at + 4..]))
}

fn headers(head: &str) -> impl Iterator<Item = (String, String)> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// Whether an answer that says how long it is, is there. After a 101 there is no such thing.
fn whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    let head = String::from_utf8_lossy(head);
    if head.contains(" 101 ") {
        return false;
    }
    let length = headers(&head).find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok());
    let chunked = headers(&head).any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    length.is_some_and(|length: usize| body.len() >= length) || (chunked && body.ends_with(b"0\r\n\r\n"))
}

fn read_head(answer: &mut Answer) {
    let Some((head, body)) = split(&answer.bytes) else { return };
    let head = String::from_utf8_lossy(head).into_owned();
    let mut words = head.lines().next().unwrap_or_default().splitn(3, ' ').skip(1);
    answer.status = words.next().and_then(|status| status.parse().ok()).unwrap_or_default();
    answer.reason = words.next().unwrap_or_default().to_owned();
    answer.headers = headers(&head).collect();
    let chunked = answer.header("transfer-encoding") == Some("chunked");
    answer.body = if chunked { unchunked(body) } else { body.to_vec() };
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
        let length = std::str::from_utf8(&rest[..at]).ok().and_then(|n| usize::from_str_radix(n, 16).ok());
        let Some(length) = length.filter(|n| *n > 0) else { break };
        let Some(chunk) = rest.get(at + 2..at + 2 + length) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(at + 4 + length..).unwrap_or_default();
    }
    body
}

/// Between these, in milliseconds. The lower bound is the software's; the upper one is for busy machines.
pub fn took(answer: &Answer, least: u64, most: u64) {
    let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
    assert!(
        (least..=most).contains(&answer.age),
        "took {:?}, not {least:?}..{most:?}: {answer:?}",
        answer.age
    );
}
