//! The client's side of a connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::config::Network;
use crate::http::answer::Own;
use crate::http::forward::From;
use crate::http::head::{Headers, Request};
use crate::record::Peer;
use crate::shared::Shared;
use crate::stream::Stream;

/// Longest that an answer of our own is offered.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// A client.
pub(super) struct Client {
    pub(super) stream: Stream,
    /// Read and not used yet.
    pub(super) buf: Vec<u8>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
    pub(super) listener: u16,
    pub(super) tls: bool,
    /// What it says of others is believed.
    pub(super) trusted: bool,
}

/// What a client does that should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stirred {
    Talks,
    Gone,
}

impl Client {
    /// Gives an answer of our own and lets the connection go.
    pub(super) async fn answer(mut self, own: &Own, head_only: bool) {
        // Whoever does not take it in time does without.
        let _ = timeout(ANSWER_TIME, self.stream.write_all(&own.bytes(head_only))).await;
        self.stream.linger().await;
    }

    /// Waits until the client sends something or goes.
    pub(super) async fn stirs(&mut self) -> Stirred {
        let mut byte = [0; 1];
        match self.stream.read(&mut byte).await {
            Ok(0) | Err(_) => Stirred::Gone,
            Ok(_) => Stirred::Talks,
        }
    }

    /// Waits until the client goes. What it sends meanwhile is kept, up to so many bytes; more is not read.
    pub(super) async fn gone(&mut self, most: usize) {
        while self.buf.len() < most {
            self.buf.reserve(1024);
            match self.stream.read_buf(&mut self.buf).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    /// What the gateway is told of it.
    pub(super) fn from<'a>(&self, shared: &Shared, host: &'a str) -> From<'a> {
        From {
            address: self.peer.map(|peer| peer.ip()),
            tls: self.tls,
            trusted: self.trusted,
            tell: shared.config.upstream.forwarded,
            host,
        }
    }

    /// Whose session it is: behind trusted proxies, the last address in `X-Forwarded-For` that is none of theirs.
    pub(super) fn origin(&self, shared: &Shared, headers: &Headers) -> Peer {
        if !self.trusted {
            return self.peer.into();
        }
        let said = forwarded_for(headers, &shared.config.trusted).map(|ip| SocketAddr::new(ip, 0));
        said.or(self.peer).into()
    }
}

fn forwarded_for(headers: &Headers, trusted: &[Network]) -> Option<IpAddr> {
    let list: Vec<&str> = headers.list("x-forwarded-for").collect();
    let mut last = None;
    for text in list.into_iter().rev() {
        // What does not parse ends what can be believed.
        let ip: IpAddr = text.parse().ok()?;
        last = Some(ip);
        if !trusted.iter().any(|net| net.contains(ip)) {
            break;
        }
    }
    last
}

/// The Host a request asks for.
pub(super) fn host(request: &Request) -> String {
    request.headers.only("host").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxy_of_ours() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let of = |text: &str| {
            let mut headers = Headers::default();
            headers.push("X-Forwarded-For", text);
            forwarded_for(&headers, &trusted).map(|ip| ip.to_string())
        };
        assert_eq!(of("6.6.6.6, 203.0.113.9, 10.0.0.7").as_deref(), Some("203.0.113.9"));
        assert_eq!(of("10.0.0.8, 10.0.0.7").as_deref(), Some("10.0.0.8"));
        assert_eq!(of("203.0.113.9, unknown"), None);
        assert_eq!(of(""), None);
    }
}
