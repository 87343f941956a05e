//! Request and answer heads (RFC 9112 §2–§5).
//!
//! `httparse` reads the fields; the rules it leaves to its callers are enforced before: every line ends with CR LF (§2.2
//! allows a lone LF, and that is exactly what smuggling uses), and no CR stands anywhere else. Folded lines and blanks
//! before the colon are refused by `httparse` itself.

use super::Malformed;

/// Most header fields of a head.
const MAX_HEADERS: usize = 128;

/// A header field; the name as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
}

impl Header {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Header fields in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<Header>);

impl Headers {
    /// Every value under this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |h| h.is(name)).map(|h| h.value.as_slice())
    }

    /// The value, if there is exactly one and it is ASCII.
    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|h| h.is(name)).map(|h| h.value.as_slice());
        match (values.next(), values.next()) {
            (Some(value), None) if value.is_ascii() => std::str::from_utf8(value).ok().map(str::trim),
            _ => None,
        }
    }

    /// The elements of a comma-separated list over all fields of this name (RFC 9110 §5.6.1). What is not UTF-8 is left
    /// out.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|v| std::str::from_utf8(v).ok())
            .flat_map(|v| v.split(','))
            .map(str::trim)
            .filter(|t| !t.is_empty())
    }

    /// Whether a list holds this token, in any case.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|t| t.eq_ignore_ascii_case(token))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|h| h.is(name))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|h| !h.is(name));
    }

    pub(crate) fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push(Header { name: name.to_owned(), value: value.into() });
    }

    /// Appends the fields and the empty line as they stand on the wire.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for h in &self.0 {
            out.extend_from_slice(h.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(&h.value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    fn from_parsed(parsed: &[httparse::Header<'_>]) -> Self {
        let field = |h: &httparse::Header<'_>| Header { name: h.name.to_owned(), value: h.value.to_vec() };
        Self(parsed.iter().map(field).collect())
    }
}

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// A path with its query, or `*`.
    pub(crate) target: String,
    /// HTTP/1.1, not 1.0.
    pub(crate) one_one: bool,
    pub(crate) headers: Headers,
}

/// An answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// HTTP/1.1, not 1.0.
    pub(crate) one_one: bool,
    pub(crate) headers: Headers,
}

/// Looks for the end of a head. `seen` says how far earlier calls have looked, so that a head that comes byte by byte is
/// looked at once.
///
/// # Errors
/// Line ends that are not CR LF, and heads over the limit.
pub(crate) fn end(bytes: &[u8], seen: &mut usize, limit: usize) -> Result<Option<usize>, Malformed> {
    let mut at = *seen;
    while let Some(&byte) = bytes.get(at) {
        if at >= limit {
            return Err(Malformed::TooLarge);
        }
        match byte {
            b'\n' if at == 0 || bytes[at - 1] != b'\r' => return Err(Malformed::BareLineEnd),
            b'\n' if at >= 3 && bytes[at - 3..at] == *b"\r\n\r" => {
                *seen = at + 1;
                return Ok(Some(at + 1));
            }
            b'\r' if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => {
                return Err(Malformed::BareLineEnd);
            }
            b'\r' if at + 1 == bytes.len() => break,
            _ => {}
        }
        at += 1;
    }
    *seen = at;
    Ok(None)
}

impl Request {
    /// Reads a head that [`end`] has found whole.
    ///
    /// # Errors
    /// When it is not one.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(n)) if n == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyHeaders),
            _ => return Err(Malformed::NotHttp),
        }
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Malformed::NotHttp);
        };
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            one_one: version == 1,
            headers: Headers::from_parsed(parsed.headers),
        };
        request.check_host()?;
        Ok(request)
    }

    /// One Host, and a target that is a path (RFC 9112 §3.2). The absolute form, which every server must accept, is
    /// turned into the usual one: its authority wins over the Host field.
    fn check_host(&mut self) -> Result<(), Malformed> {
        let hosts = self.headers.all("host").count();
        if hosts > 1 || (hosts == 0 && self.one_one) {
            return Err(Malformed::Host);
        }
        if self.method == "CONNECT" {
            // It asks for a tunnel to the target (RFC 9110 §9.3.6), which is not offered.
            return Err(Malformed::Target);
        }
        if self.target.starts_with('/') || (self.target == "*" && self.method == "OPTIONS") {
            return Ok(());
        }
        let scheme = self.target.find("://").ok_or(Malformed::Target)?;
        if !matches!(self.target[..scheme].to_ascii_lowercase().as_str(), "http" | "https" | "ws" | "wss") {
            return Err(Malformed::Target);
        }
        let rest = &self.target[scheme + 3..];
        let slash = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        if authority.is_empty() || authority.contains('@') {
            return Err(Malformed::Target);
        }
        let authority = authority.to_owned();
        self.target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self.headers.remove("host");
        self.headers.push("Host", authority);
        Ok(())
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        self.headers.write(out);
    }
}

impl Answer {
    /// Reads a head that [`end`] has found whole.
    ///
    /// # Errors
    /// When it is not one.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(n)) if n == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyHeaders),
            _ => return Err(Malformed::NotHttp),
        }
        let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
            return Err(Malformed::NotHttp);
        };
        Ok(Self {
            status,
            reason: parsed.reason.unwrap_or_default().to_owned(),
            one_one: version == 1,
            headers: Headers::from_parsed(parsed.headers),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", self.status, self.reason).as_bytes());
        self.headers.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Request, Malformed> {
        let mut seen = 0;
        let n = end(text, &mut seen, 1 << 14)?.ok_or(Malformed::Cut)?;
        Request::parse(&text[..n])
    }

    #[test]
    fn strictness() {
        use Malformed as M;
        let rows: [(&[u8], Result<&str, Malformed>); 17] = [
            (b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", Ok("/a?b")),
            (b"GET / HTTP/1.0\r\n\r\n", Ok("/")),
            (b"GET http://y:1/p?q HTTP/1.1\r\nHost: x\r\n\r\n", Ok("/p?q")),
            (b"GET http://y?q HTTP/1.1\r\nHost: x\r\n\r\n", Ok("/?q")),
            (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Ok("*")),
            (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", Err(M::Target)),
            (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", Err(M::Target)),
            (b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", Err(M::Target)),
            (b"GET http://u@y/ HTTP/1.1\r\nHost: x\r\n\r\n", Err(M::Target)),
            (b"GET / HTTP/1.1\r\n\r\n", Err(M::Host)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n", Err(M::Host)),
            (b"GET / HTTP/1.1\nHost: x\n\n", Err(M::BareLineEnd)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", Err(M::BareLineEnd)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", Err(M::BareLineEnd)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", Err(M::NotHttp)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", Err(M::NotHttp)),
            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", Err(M::NotHttp)),
        ];
        for (text, outcome) in rows {
            let got = read(text);
            let shown = String::from_utf8_lossy(text);
            assert_eq!(got.as_ref().map(|r| r.target.as_str()).map_err(|e| *e), outcome, "{shown}");
        }
        assert_eq!(
            read(b"GET http://y:1/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().headers.only("host"),
            Some("y:1")
        );
    }

    #[test]
    fn a_head_may_come_byte_by_byte() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let mut seen = 0;
        for n in 0..text.len() - 4 {
            assert_eq!(end(&text[..n], &mut seen, 99), Ok(None), "{n}");
        }
        assert_eq!(end(text, &mut seen, 99), Ok(Some(text.len() - 4)));
        assert_eq!(end(&[b'a'; 100], &mut 0, 99), Err(Malformed::TooLarge));
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text = b"POST /x HTTP/1.1\r\nHost: a\r\nX-Caf\x65: \xe9\r\n\r\n";
        let mut out = Vec::new();
        read(text).unwrap().write(&mut out);
        assert_eq!(out, text);
    }
}
