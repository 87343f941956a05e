//! One plain HTTP request over the steps of a dial: one connection, one answer, no redirects.
//!
//! What a server answers to a plain page tells faults apart that look the same to an upgrade, and Engine.IO's long
//! polling is nothing but such requests. The connection is not kept: the request says `Connection: close`, the answer is
//! read to its end or its bound, and the stream is ended as gently as any other here.
//!
//! Cookies are handed on for who wants to be recognised (a balancer's sticky sessions), and shown to nobody.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use mooring_core::handshake::{HttpAnswer, Refusal, Step, StepRecord};
use mooring_core::limits::{MAX_MESSAGE, clip};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use super::answer::{read_head, send, within};
use super::body::Reading;
use super::record::Recorder;
use super::{Failure, open, refuse_io};
use crate::answer::Head;
use crate::redact::Redactor;
use crate::target::{Target, TargetError};
use crate::transport::{Transport, linger};

/// Most that is ever read of a body, bytes.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Most bytes of a cookie that is handed on.
const MAX_COOKIE: usize = 4096;

/// What to ask.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    cookies: Cookies,
    most: usize,
}

impl Ask {
    /// `GET`, of whose answer at most so many bytes of body are read ([`MAX_BODY`] at the most).
    #[must_use]
    pub fn get(most: usize) -> Self {
        Self {
            method: Method::GET,
            headers: Vec::new(),
            body: None,
            cookies: Cookies::default(),
            most: most.min(MAX_BODY),
        }
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// `POST` of this text.
    #[must_use]
    pub fn post(text: String, most: usize) -> Self {
        let mut ask = Self::get(most).method(Method::POST);
        ask.headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8")));
        ask.body = Some(text.into());
        ask
    }

    /// A header of this request alone, in place of the target's of that name. It is no secret.
    ///
    /// # Errors
    /// When the value cannot be one, or the header belongs to the exchange itself.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, TargetError> {
        if [HOST, CONNECTION, CONTENT_LENGTH, COOKIE].contains(&name) {
            return Err(TargetError::HeaderReserved(name.as_str().to_owned()));
        }
        let value = value.parse().map_err(|_| TargetError::HeaderValue(name.as_str().to_owned()))?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// Shows cookies of an earlier answer.
    #[must_use]
    pub fn cookies(mut self, cookies: &Cookies) -> Self {
        self.cookies = cookies.clone();
        self
    }

    /// The request's bytes. They hold secrets: they are written to the socket and nowhere else.
    fn write(&self, target: &Target) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                out.extend_from_slice(part);
            }
            out.extend_from_slice(b"\r\n");
        };
        let own = |name: &HeaderName| self.headers.iter().any(|(n, _)| n == name);
        line(&[
            self.method.as_str().as_bytes(),
            b" ",
            target.url().request_target().as_bytes(),
            b" HTTP/1.1",
        ]);
        line(&[b"Host: ", target.url().host_header().as_bytes()]);
        line(&[b"Connection: close"]);
        line(&[b"Accept: */*"]);
        if !own(&USER_AGENT) && !target.headers().iter().any(|(name, _)| *name == USER_AGENT) {
            line(&[b"User-Agent: mooring/", env!("CARGO_PKG_VERSION").as_bytes()]);
        }
        if let Some(body) = &self.body {
            line(&[b"Content-Length: ", body.len().to_string().as_bytes()]);
        }
        let configured = target.headers().iter().filter(|(name, _)| !own(name));
        for (name, value) in configured.chain(&self.headers) {
            line(&[name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
        if !self.cookies.0.is_empty() {
            line(&[b"Cookie: ", self.cookies.0.join("; ").as_bytes()]);
        }
        line(&[]);
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }
}

/// Cookies a server set. Their values are shown to nobody but it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies(Vec<String>);

impl Cookies {
    /// Those of an answer that can be sent back as they are.
    fn of(head: &Head) -> Self {
        let sound = |c: &&String| {
            c.len() <= MAX_COOKIE
                && c.find('=').is_some_and(|at| at > 0)
                && c.bytes().all(|b| (0x21..0x7f).contains(&b))
        };
        Self(head.cookies.iter().filter(sound).cloned().collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|c| c.split_once('=').map_or("", |(name, _)| name))
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What became of a request.
#[derive(Clone)]
pub struct Exchange {
    /// Steps in the order taken, up to [`Step::Status`]; the last one not `ok` is where it ended.
    pub steps: Vec<StepRecord>,
    /// Any answer that HTTP knows, whatever its status; or why there is none. Cleaned of our own secrets.
    pub outcome: Result<HttpAnswer, Refusal>,
    /// The body as sent, up to the bound: it may repeat our own secrets, and is for programs, not for evidence.
    pub body: Bytes,
    /// Whether that is all of it.
    pub complete: bool,
    /// Cookies that were set.
    pub cookies: Cookies,
    /// Who answered.
    pub peer: Option<SocketAddr>,
    /// From start to the end of the body.
    pub took: Duration,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("steps", &self.steps)
            .field("outcome", &self.outcome)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("complete", &self.complete)
            .field("cookies", &self.cookies)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

/// What was learnt on the way, whether it led to an answer or not.
#[derive(Default)]
struct Learnt {
    peer: Option<SocketAddr>,
    body: Vec<u8>,
    complete: bool,
    cookies: Cookies,
}

/// Asks once. Never fails: a refusal is part of what is returned.
///
/// Takes at most the target's time limits for name, connection and TLS, twice the one for the answer (head and body each
/// have it), and one second to end the connection gently. Let it run to its end: dropping it half-way closes the socket
/// at once.
pub async fn exchange(target: &Target, ask: &Ask) -> Exchange {
    let started = Instant::now();
    let mut recorder = Recorder::start();
    let mut learnt = Learnt::default();
    let redactor = Redactor::of(target);
    let result = Box::pin(attempt(target, ask, &mut recorder, &mut learnt)).await;
    let (outcome, transport) = match result {
        Ok((mut answer, transport)) => {
            redactor.clean_answer(&mut answer);
            (Ok(answer), Some(transport))
        }
        Err(mut failure) => {
            let message = clip(&redactor.clean(&failure.refusal.message), MAX_MESSAGE);
            let refusal = Refusal { message, ..failure.refusal.clone() };
            recorder.failed(refusal.step, &refusal.message);
            (Err(refusal), failure.transport.take())
        }
    };
    let took = started.elapsed();
    if let Some(transport) = transport {
        linger(transport).await;
    }
    let mut steps = recorder.into_steps();
    for record in steps.iter_mut().filter(|r| r.step >= Step::Status) {
        record.detail = redactor.clean(&record.detail);
    }
    let Learnt { peer, body, complete, cookies } = learnt;
    Exchange { steps, outcome, body: body.into(), complete, cookies, peer, took }
}

async fn attempt(
    target: &Target,
    ask: &Ask,
    recorder: &mut Recorder,
    learnt: &mut Learnt,
) -> Result<(HttpAnswer, Transport), Box<Failure>> {
    let (mut transport, peer) = open(target, recorder).await?;
    learnt.peer = Some(peer);
    let end = Instant::now() + target.timeouts.answer;
    let request = ask.write(target);
    if let Err(error) = within(end, send(&mut transport, &request)).await {
        return Err(Failure::over(refuse_io(&error, Step::Request, recorder), transport));
    }
    recorder.done(Step::Request, &format!("{} {}, {} bytes", ask.method, target.url(), request.len()));
    let (mut head, rest) = match read_head(target, &mut transport, end, recorder).await {
        Ok(read) => read,
        Err(refusal) => return Err(Failure::over(refusal, transport)),
    };
    let status = format!("{} {} {}", head.version, head.answer.status, head.answer.reason);
    recorder.done(Step::Status, status.trim_end());
    let mut body = Reading::of(&head, ask.method == Method::HEAD, ask.most);
    body.feed(&rest);
    let until = Instant::now() + target.timeouts.answer;
    let mut scratch = vec![0; 16 * 1024];
    while !body.done {
        match timeout_at(until, transport.read(&mut scratch)).await {
            Ok(Ok(n)) if n > 0 => body.feed(&scratch[..n]),
            Ok(Ok(_)) => {
                body.ended();
                break;
            }
            // What has come by then is what there is.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    learnt.complete = body.whole;
    learnt.cookies = Cookies::of(&head);
    learnt.body = body.out;
    head.keep_start(&learnt.body, &target.limits);
    Ok((head.answer, transport))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::parse;
    use crate::target::Limits;

    #[test]
    fn the_request_to_the_byte() {
        let target =
            Target::new("ws://a.example:8080/x?y=1").and_then(|t| t.header("Origin", "https://o")).unwrap();
        let ask = Ask::post("1".to_owned(), 9).header(http::header::ORIGIN, "https://p").unwrap();
        let ask = ask.cookies(&Cookies(vec!["a=b".to_owned(), "c=d".to_owned()]));
        let text = String::from_utf8(ask.write(&target)).unwrap();
        let agent = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "POST /x?y=1 HTTP/1.1\r\nHost: a.example:8080\r\nConnection: close\r\nAccept: */*\r\n\
                 User-Agent: mooring/{agent}\r\nContent-Length: 1\r\n\
                 content-type: text/plain;charset=UTF-8\r\norigin: https://p\r\nCookie: a=b; c=d\r\n\r\n1"
            )
        );
        assert!(Ask::get(1).header(COOKIE, "a=b").is_err());
    }

    #[test]
    fn cookies_are_handed_on_and_not_shown() {
        let head = "HTTP/1.1 200 OK\r\nSet-Cookie: route=s3cret; Path=/\r\nset-cookie: bad\r\nSet-Cookie: x y=z\r\n\r\n";
        let head = parse(head.as_bytes(), &Limits::default()).unwrap();
        let cookies = Cookies::of(&head);
        assert_eq!(cookies, Cookies(vec!["route=s3cret".to_owned()]));
        assert_eq!(format!("{cookies:?}"), r#"{"route"}"#);
        assert!(head.answer.headers.is_empty());
    }
}
