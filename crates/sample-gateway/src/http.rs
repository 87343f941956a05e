//! The little HTTP/1.1 a WebSocket server needs: read one bounded request head, write one answer, let go.
//!
//! One request per connection (`Connection: close`), which keeps request smuggling and pipelining out of the picture.
//! A framework would bring a hundred times the code and its own idea of what a hung server does.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Most bytes of a request line and its headers.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// A request head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark; empty where there is none.
    pub(crate) query: String,
    /// HTTP/1.1, not 1.0.
    pub(crate) modern: bool,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The values of a header, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a header that must come exactly once; `None` where it is missing or repeated.
    pub(crate) fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The elements of a comma-separated header (RFC 9110 §5.6.1).
    pub(crate) fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|it| it.split(',')).map(str::trim).filter(|it| !it.is_empty())
    }

    /// Whether a comma-separated header holds this token, in any case.
    pub(crate) fn has(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|it| it.eq_ignore_ascii_case(token))
    }
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer went away first, as TCP health checks do. Nothing to answer.
    Gone,
    /// Not HTTP, or no `Host` (RFC 9112 §3.2 asks for a 400).
    Malformed,
    /// Longer than [`MAX_HEAD`], or more headers than are kept.
    TooLarge,
}

/// Reads one request head. `buffer` keeps what was read: on success only the bytes that followed the head, and after a
/// cancellation everything, so that reading can go on later.
pub(crate) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<Request, HeadError> {
    let mut searched = 0;
    loop {
        if let Some(at) = buffer[searched..].windows(4).position(|it| it == b"\r\n\r\n") {
            let end = searched + at + 4;
            if end > MAX_HEAD {
                return Err(HeadError::TooLarge);
            }
            let request = parse(&buffer[..end])?;
            buffer.drain(..end);
            return Ok(request);
        }
        searched = buffer.len().saturating_sub(3);
        if buffer.len() >= MAX_HEAD {
            return Err(HeadError::TooLarge);
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return Err(HeadError::Gone);
        }
    }
}

fn parse(head: &[u8]) -> Result<Request, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HeadError::Malformed),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Malformed),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HeadError::Malformed);
    };
    let headers = parsed
        .headers
        .iter()
        .map(|it| (it.name.to_owned(), String::from_utf8_lossy(it.value).trim().to_owned()))
        .collect();
    let target = origin_form(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        modern: version == 1,
        headers,
    };
    if request.modern && request.only("host").is_none() {
        return Err(HeadError::Malformed);
    }
    Ok(request)
}

/// A server must take `GET http://host/path` as well (RFC 9112 §3.2.2).
fn origin_form(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://").or_else(|| target.strip_prefix("ws://")) else {
        return target;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// An answer that ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// More header lines, each with its line end.
    headers: &'static str,
    content_type: &'static str,
    body: String,
}

impl Answer {
    /// One line of plain text.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, headers: "", content_type: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    /// JSON.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, headers: "", content_type: "application/json", body: format!("{body}\n") }
    }

    /// With more header lines, each ending in CR LF.
    pub(crate) const fn with(mut self, headers: &'static str) -> Self {
        self.headers = headers;
        self
    }

    /// The bytes; the answer to HEAD has the headers of a GET and no body.
    pub(crate) fn render(&self, head_only: bool) -> Vec<u8> {
        let Self { status, headers, content_type, body } = self;
        let (reason, length) = (reason(*status), body.len());
        let mut text = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{headers}\r\n"
        );
        if !head_only {
            text.push_str(body);
        }
        text.into_bytes()
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Writes the last bytes of a connection and reads what the peer still had to say. Closing a socket with unread bytes
/// sends a reset, which can overtake the answer (RFC 9112 §9.6).
pub(crate) async fn finish(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(MAX_HEAD as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<(Request, Vec<u8>), HeadError> {
        let mut buffer = Vec::new();
        read_head(&mut bytes, &mut buffer).await.map(|it| (it, buffer))
    }

    #[tokio::test]
    async fn a_head_and_what_follows_it_are_told_apart() {
        let (request, rest) =
            read(b"GET /ws?a=1 HTTP/1.1\r\nHost: x\r\nConnection: a, Upgrade\r\n\r\nrest").await.unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/ws", "a=1"));
        assert!(request.has("connection", "upgrade"));
        assert!(!request.has("connection", "up"));
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn a_head_may_arrive_byte_by_byte() {
        let (mut near, mut far) = tokio::io::duplex(1);
        let send = async {
            far.write_all(b"GET http://h/there HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        };
        let mut buffer = Vec::new();
        let (request, ()) = tokio::join!(read_head(&mut near, &mut buffer), send);
        assert_eq!(request.unwrap().path, "/there");
    }

    #[tokio::test]
    async fn bounds_and_nonsense() {
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        assert!(matches!(read(long.as_bytes()).await, Err(HeadError::TooLarge)));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: a\r\n".repeat(MAX_HEADERS));
        assert!(matches!(read(many.as_bytes()).await, Err(HeadError::TooLarge)));
        for malformed in
            ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
        {
            assert!(matches!(read(malformed.as_bytes()).await, Err(HeadError::Malformed)), "{malformed:?}");
        }
        assert!(matches!(read(b"GET / HTT").await, Err(HeadError::Gone)));
    }

    #[test]
    fn an_answer_says_its_length() {
        let text = String::from_utf8(Answer::text(404, "no\n").with("A: b\r\n").render(false)).unwrap();
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 3\r\n"), "{text}");
        assert!(text.ends_with("\r\nA: b\r\n\r\nno\n"), "{text}");
        assert!(String::from_utf8(Answer::text(404, "no\n").render(true)).unwrap().ends_with("\r\n\r\n"));
    }
}
