//! How long a message's body is (RFC 9112 §6.3), where anything that could be read in two ways is an error.

use super::Malformed;
use super::head::{Answer, Headers, Request};

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// After so many bytes, more than zero.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection; answers only.
    UntilClose,
}

/// The Content-Length: all fields and list elements must be the same plain number (RFC 9110 §8.6).
fn length(headers: &Headers) -> Result<Option<u64>, Malformed> {
    let mut found = None;
    for value in headers.all("content-length") {
        let text = std::str::from_utf8(value).map_err(|_| Malformed::Length)?;
        for part in text.split(',').map(str::trim) {
            if part.is_empty() || part.len() > 19 || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Malformed::Length);
            }
            let n = part.parse::<u64>().map_err(|_| Malformed::Length)?;
            if found.is_some_and(|before| before != n) {
                return Err(Malformed::Length);
            }
            found = Some(n);
        }
    }
    Ok(found)
}

/// Whether the body is chunked. `chunked`, once and alone, is the only coding understood.
fn chunked(headers: &Headers) -> Result<bool, Malformed> {
    let mut values = headers.all("transfer-encoding");
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Malformed::Encoding),
    }
}

fn framing(headers: &Headers, one_one: bool) -> Result<(Option<u64>, bool), Malformed> {
    let chunked = chunked(headers)?;
    let length = length(headers)?;
    if chunked && length.is_some() {
        return Err(Malformed::LengthAndEncoding);
    }
    // HTTP/1.0 knows no chunks; who sends them with it is not understood alike by everybody (RFC 9112 §6.1).
    if chunked && !one_one {
        return Err(Malformed::Encoding);
    }
    Ok((length, chunked))
}

fn of(length: Option<u64>, chunked: bool, without: Body) -> Body {
    match (length, chunked) {
        (_, true) => Body::Chunked,
        (Some(0), _) => Body::None,
        (Some(n), _) => Body::Length(n),
        (None, _) => without,
    }
}

impl Request {
    /// How its body ends.
    ///
    /// # Errors
    /// When that could be read in two ways.
    pub(crate) fn body(&self) -> Result<Body, Malformed> {
        let (length, chunked) = framing(&self.headers, self.one_one)?;
        Ok(of(length, chunked, Body::None))
    }
}

impl Answer {
    /// How its body ends, as the answer to a request of this method.
    ///
    /// # Errors
    /// When that could be read in two ways.
    pub(crate) fn body(&self, method: &str) -> Result<Body, Malformed> {
        if self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(Body::None);
        }
        let (length, chunked) = framing(&self.headers, self.one_one)?;
        Ok(if method == "HEAD" { Body::None } else { of(length, chunked, Body::UntilClose) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut h = Headers::default();
        fields.iter().for_each(|(n, v)| h.push(n, *v));
        h
    }

    #[test]
    fn smuggling_has_no_room() {
        use Malformed as M;
        let (cl, te) = ("Content-Length", "Transfer-Encoding");
        type Row<'a> = (&'a [(&'a str, &'a str)], Result<Body, Malformed>);
        let rows: [Row<'_>; 17] = [
            (&[], Ok(Body::None)),
            (&[(cl, "0")], Ok(Body::None)),
            (&[(cl, "5")], Ok(Body::Length(5))),
            (&[(cl, "5"), (cl, "5")], Ok(Body::Length(5))),
            (&[(cl, "5, 5")], Ok(Body::Length(5))),
            (&[(cl, "5"), (cl, "6")], Err(M::Length)),
            (&[(cl, "5, 6")], Err(M::Length)),
            (&[(cl, "+5")], Err(M::Length)),
            (&[(cl, "0x5")], Err(M::Length)),
            (&[(cl, "")], Err(M::Length)),
            (&[(cl, "99999999999999999999")], Err(M::Length)),
            (&[(te, "Chunked")], Ok(Body::Chunked)),
            (&[(te, "chunked"), (cl, "5")], Err(M::LengthAndEncoding)),
            (&[(te, "chunked, chunked")], Err(M::Encoding)),
            (&[(te, "gzip, chunked")], Err(M::Encoding)),
            (&[(te, "chunked"), (te, "identity")], Err(M::Encoding)),
            (&[(te, "\x0bchunked")], Err(M::Encoding)),
        ];
        for (fields, outcome) in rows {
            let request = Request {
                method: "POST".into(),
                target: "/".into(),
                one_one: true,
                headers: headers(fields),
            };
            assert_eq!(request.body(), outcome, "{fields:?}");
        }
        let old = Request {
            method: "POST".into(),
            target: "/".into(),
            one_one: false,
            headers: headers(&[(te, "chunked")]),
        };
        assert_eq!(old.body(), Err(M::Encoding));
    }

    #[test]
    fn answers_without_a_body() {
        let answer = |status, fields: &[(&str, &str)]| Answer {
            status,
            reason: String::new(),
            one_one: true,
            headers: headers(fields),
        };
        let five: &[(&str, &str)] = &[("Content-Length", "5")];
        assert_eq!(answer(200, five).body("GET"), Ok(Body::Length(5)));
        assert_eq!(answer(200, five).body("HEAD"), Ok(Body::None));
        assert_eq!(answer(304, five).body("GET"), Ok(Body::None));
        assert_eq!(answer(204, &[]).body("GET"), Ok(Body::None));
        assert_eq!(answer(103, &[]).body("GET"), Ok(Body::None));
        assert_eq!(answer(200, &[]).body("GET"), Ok(Body::UntilClose));
    }
}
