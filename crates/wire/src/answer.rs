//! Reads the HTTP answer to an upgrade request out of bytes: pure, incremental, bounded.
//!
//! The header block is only parsed once its end has arrived (a search that never looks at a byte twice), so a peer that
//! sends one byte at a time costs no more than one that sends all at once. What cannot be HTTP is refused at its first
//! bytes: an SSH or SMTP banner ends in no blank line that could be waited for.

use httparse::{EMPTY_HEADER, Response, Status};
use mooring_core::handshake::HttpAnswer;

use crate::target::Limits;

/// Most that is kept of a body, whatever the limits say: the type's own promise.
const MAX_BODY_START: usize = 256;
/// Headers whose values are credentials or cookies.
const LEFT_OUT: [&str; 6] =
    ["set-cookie", "set-cookie2", "cookie", "authorization", "proxy-authorization", "authentication-info"];

/// A complete header block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) answer: HttpAnswer,
    /// The version as sent, e.g. `HTTP/1.1`.
    pub(crate) version: &'static str,
    /// Whether it is HTTP/1.0, which knows no upgrade.
    pub(crate) old: bool,
    pub(crate) chunked: bool,
    pub(crate) content_length: Option<u64>,
    /// `name=value` of each cookie set; in no evidence.
    pub(crate) cookies: Vec<String>,
}

/// Why bytes are not an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not HTTP; with the reason.
    Malformed(String),
    /// Beyond the limits; with the limit.
    TooLarge(String),
}

/// Finds the end of the header block in a growing buffer.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    scanned: usize,
}

impl Scanner {
    /// The index after the header block's blank line, once it is there. Lines may end in LF alone (RFC 9112 §2.2).
    pub(crate) fn find_end(&mut self, buf: &[u8]) -> Option<usize> {
        let from = self.scanned;
        for i in from..buf.len() {
            if buf[i] != b'\n' {
                continue;
            }
            let before = &buf[..i];
            if before.ends_with(b"\n\r") || before.ends_with(b"\n") {
                return Some(i + 1);
            }
        }
        self.scanned = buf.len();
        None
    }
}

/// Refuses what can no longer become an HTTP/1 answer.
pub(crate) fn check_start(buf: &[u8]) -> Result<(), Unreadable> {
    const START: &[u8] = b"HTTP/1.";
    let n = buf.len().min(START.len());
    if buf[..n] == START[..n] {
        return Ok(());
    }
    // A TLS alert or handshake record (RFC 8446 §5.1) in answer to our plain GET.
    if matches!(buf, [0x15 | 0x16, 0x03, ..] | [0x15]) {
        return Err(Unreadable::Malformed("it answers with TLS: use wss:// in the url".to_owned()));
    }
    let start: String = buf.iter().take(32).flat_map(|b| b.escape_ascii()).map(char::from).collect();
    Err(Unreadable::Malformed(format!("it does not speak HTTP: it begins with `{start}`")))
}

/// Parses a header block (complete, blank line included).
pub(crate) fn parse(block: &[u8], limits: &Limits) -> Result<Head, Unreadable> {
    let mut headers = vec![EMPTY_HEADER; limits.answer_headers];
    let mut response = Response::new(&mut headers);
    match response.parse(block) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => {
            return Err(Unreadable::Malformed("the answer's header block is cut off".to_owned()));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Unreadable::TooLarge(format!(
                "the answer has more than {} headers",
                limits.answer_headers
            )));
        }
        Err(error) => return Err(Unreadable::Malformed(format!("the answer is not valid HTTP: {error}"))),
    }
    let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
    let mut head = Head {
        answer: HttpAnswer {
            status: response.code.unwrap_or(0),
            reason: text(response.reason.unwrap_or("").as_bytes()),
            headers: Vec::with_capacity(response.headers.len()),
            body_start: String::new(),
        },
        version: if response.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" },
        old: response.version == Some(0),
        chunked: false,
        content_length: None,
        cookies: Vec::new(),
    };
    for header in response.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        if name == "set-cookie" {
            let pair = text(header.value).split(';').next().unwrap_or("").trim().to_owned();
            head.cookies.push(pair);
        }
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let value = text(header.value);
        match name.as_str() {
            "transfer-encoding" => head.chunked |= value.to_ascii_lowercase().contains("chunked"),
            "content-length" => head.content_length = value.trim().parse().ok(),
            _ => {}
        }
        head.answer.headers.push((name, value));
    }
    Ok(head)
}

impl Head {
    /// How many bytes of the stream are needed for the start of the body: none where there is no body (RFC 9110 §6.4.1).
    pub(crate) fn body_wanted(&self, limits: &Limits) -> usize {
        let most = limits.body_start.min(MAX_BODY_START);
        match self.answer.status {
            ..=199 | 204 | 304 => 0,
            // Chunk sizes and their line ends come on top.
            _ if self.chunked => most + 64,
            _ => self.content_length.map_or(most, |n| usize::try_from(n).unwrap_or(most).min(most)),
        }
    }

    /// Whether the whole body is there already, so that there is nothing more to wait for.
    pub(crate) fn body_complete(&self, raw: &[u8]) -> bool {
        self.chunked && dechunk(raw).1
    }

    /// Keeps the start of the body.
    pub(crate) fn keep_body(&mut self, raw: &[u8], limits: &Limits) {
        let body = if self.chunked { dechunk(raw).0 } else { raw.to_vec() };
        let wanted = self.body_wanted(limits).min(limits.body_start);
        self.answer.body_start = start_of(&body, wanted);
    }

    /// The same of a body without its transfer coding.
    pub(crate) fn keep_start(&mut self, body: &[u8], limits: &Limits) {
        self.answer.body_start = start_of(body, limits.body_start);
    }
}

fn start_of(body: &[u8], most: usize) -> String {
    let cut = &body[..body.len().min(most).min(MAX_BODY_START)];
    let text = String::from_utf8_lossy(cut);
    // A character cut in two at the end is ours, not the peer's.
    let text = if cut.len() < body.len() { text.trim_end_matches('\u{fffd}') } else { &text };
    text[..text.floor_char_boundary(MAX_BODY_START)].to_owned()
}

/// Removes the chunked coding (RFC 9112 §7.1) as far as it is there; and whether its end is.
fn dechunk(raw: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut rest = raw;
    loop {
        let Some(eol) = rest.iter().position(|&b| b == b'\n') else { return (out, false) };
        let line = String::from_utf8_lossy(&rest[..eol]);
        let size = line.split(';').next().unwrap_or("").trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { return (out, true) };
        rest = &rest[eol + 1..];
        if size == 0 {
            return (out, true);
        }
        out.extend_from_slice(&rest[..rest.len().min(size)]);
        let Some(after) = rest.get(size..) else { return (out, false) };
        let skip = after.iter().take_while(|b| matches!(b, b'\r' | b'\n')).take(2).count();
        rest = &after[skip..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(block: &str) -> Result<Head, Unreadable> {
        parse(block.as_bytes(), &Limits::default())
    }

    #[test]
    fn the_end_is_found_whatever_the_pieces() {
        for (text, end) in [("HTTP/1.1 101 x\r\na: b\r\n\r\nrest", 24), ("HTTP/1.1 101 x\na: b\n\nrest", 21)]
        {
            assert_eq!(Scanner::default().find_end(text.as_bytes()), Some(end));
            let mut scanner = Scanner::default();
            let at = (1..=text.len()).find_map(|n| scanner.find_end(&text.as_bytes()[..n]));
            assert_eq!(at, Some(end));
        }
        assert_eq!(Scanner::default().find_end(b"HTTP/1.1 101 x\r\na: b\r\n"), None);
    }

    #[test]
    fn what_is_not_http_is_refused_at_once() {
        assert_eq!(check_start(b""), Ok(()));
        assert_eq!(check_start(b"HT"), Ok(()));
        assert_eq!(check_start(b"HTTP/1.0 200"), Ok(()));
        for (bytes, needle) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH-2.0"),
            (b"\x15\x03\x03\x00\x02\x02\x32", "wss://"),
            (b"HTTP/2.0 200", "HTTP/2.0"),
            (b"\x00\x1b[31m", "\\x00\\x1b[31m"),
        ] {
            let Err(Unreadable::Malformed(why)) = check_start(bytes) else { panic!("{bytes:?}") };
            assert!(why.contains(needle), "{why}");
        }
    }

    #[test]
    fn heads() {
        let head = parsed(
            "HTTP/1.1 401 Nope\r\nSet-Cookie: sid=1\r\nWWW-Authenticate: Bearer\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.answer.status, head.answer.reason.as_str(), head.old), (401, "Nope", false));
        let names: Vec<_> = head.answer.headers.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(names, ["www-authenticate=Bearer", "x-a=1", "x-a=2"]);
        assert!(parsed("HTTP/1.0 101 Switching\r\n\r\n").unwrap().old);
        assert_eq!(parsed("HTTP/1.1 404\r\n\r\n").unwrap().answer.status, 404);
        assert!(matches!(parsed("HTTP/1.1 xyz\r\n\r\n"), Err(Unreadable::Malformed(_))));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert!(matches!(parsed(&many), Err(Unreadable::TooLarge(_))));
    }

    fn body(headers: &str, raw: &[u8]) -> String {
        let mut head = parsed(&format!("HTTP/1.1 400 Bad Request\r\n{headers}\r\n")).unwrap();
        head.keep_body(raw, &Limits::default());
        head.answer.body_start
    }

    #[test]
    fn bodies_begin_as_they_were_meant() {
        assert_eq!(body("", b"Bad Request"), "Bad Request");
        assert_eq!(body("Content-Length: 3\r\n", b"Bad Request"), "Bad");
        let chunked = "Transfer-Encoding: chunked\r\n";
        assert_eq!(body(chunked, b"3\r\nBad\r\n8;x=y\r\n Request\r\n0\r\n\r\n"), "Bad Request");
        assert_eq!(body(chunked, b"b\r\nBad Req"), "Bad Req");
        assert_eq!(body(chunked, b"ffffffffffffffff\r\nx"), "x");
        assert_eq!(body(chunked, b"zz\r\nx"), "");
        assert_eq!(body("", &[b'x'; 1000]).len(), 256);
        let long = "网".repeat(200);
        assert_eq!(body("", long.as_bytes()), "网".repeat(85));
        assert!(body("", &[0xff; 1000]).len() <= 256);
    }
}
