//! Who is calling: bearer tokens at the door, and what handlers learn about the caller.
//!
//! One layer around the whole API checks the token, so that no method can be forgotten. Health checks are exempt: the
//! probes of orchestrators carry no secrets, and "is it up" is none. Reflection is not: it describes the API to those
//! who may use it, and grpcurl sends the same headers there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mooring_core::cause::Lang;
use mooring_runtime::auth::{Principal, TokenSet};
use mooring_runtime::listener::{Peer, PeerInfo};
use tonic::Request;
use tonic::body::Body;
use tower::{Layer, Service};

use super::status;

/// Paths below this need no token.
const EXEMPT: &str = "/grpc.health.v1.Health/";

/// Checks the token of every call. Without a set everyone who can connect may call.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    tokens: Option<Arc<TokenSet>>,
}

impl AuthLayer {
    /// A layer for these tokens.
    #[must_use]
    pub fn new(tokens: Option<Arc<TokenSet>>) -> Self {
        Self { tokens }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { tokens: self.tokens.clone(), inner }
    }
}

/// See [`AuthLayer`].
#[derive(Debug, Clone)]
pub struct Auth<S> {
    tokens: Option<Arc<TokenSet>>,
    inner: S,
}

impl<S> Service<http::Request<Body>> for Auth<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(tokens) = &self.tokens
            && !request.uri().path().starts_with(EXEMPT)
        {
            let header = request.headers().get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
            match tokens.check(header) {
                Ok(principal) => drop(request.extensions_mut().insert(principal)),
                Err(denied) => {
                    let refused = status::unauthenticated(&denied).into_http();
                    return Box::pin(std::future::ready(Ok(refused)));
                }
            }
        }
        Box::pin(self.inner.call(request))
    }
}

/// Who is calling, and in which language they want to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal's name. Where no tokens are configured: `local`, or `anonymous@{address}`.
    pub name: String,
    /// From `accept-language`; English unless Chinese comes first.
    pub lang: Lang,
}

impl Caller {
    /// The caller of a request.
    #[must_use]
    pub fn of<T>(request: &Request<T>) -> Self {
        let name = match (request.extensions().get::<Principal>(), request.extensions().get::<PeerInfo>()) {
            (Some(principal), _) => principal.name().to_owned(),
            (None, Some(PeerInfo { peer: Peer::Tcp(address), .. })) if !address.ip().is_loopback() => {
                format!("anonymous@{}", address.ip())
            }
            (None, _) => "local".to_owned(),
        };
        let language = request.metadata().get("accept-language").and_then(|v| v.to_str().ok());
        Self { name, lang: language.map_or(Lang::En, preferred) }
    }
}

/// The language that an `accept-language` prefers among ours (RFC 9110, section 12.5.4: a list with weights).
fn preferred(header: &str) -> Lang {
    let mut best: Option<(u32, Lang)> = None;
    for item in header.split(',').take(16) {
        let (tag, weight) = match item.split_once(';') {
            Some((tag, rest)) => (tag, weight(rest)),
            None => (item, 1_000),
        };
        let tag = tag.trim().to_ascii_lowercase();
        let lang = match tag.as_str() {
            t if t.starts_with("zh") => Lang::ZhCn,
            t if t.starts_with("en") || t == "*" => Lang::En,
            _ => continue,
        };
        if weight > 0 && best.is_none_or(|(w, _)| weight > w) {
            best = Some((weight, lang));
        }
    }
    best.map_or(Lang::En, |(_, lang)| lang)
}

/// `q=0.8` in thousandths; what cannot be read counts as nothing.
fn weight(parameter: &str) -> u32 {
    let Some(q) = parameter.trim().strip_prefix("q=") else { return 0 };
    match q.trim().split_once('.') {
        None => u32::from(q.trim() == "1") * 1_000,
        Some(("1", _)) => 1_000,
        Some(("0", digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let digits: String = digits.chars().chain("000".chars()).take(3).collect();
            digits.parse().unwrap_or(0)
        }
        Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_greatest_weight_wins() {
        for (header, want) in [
            ("zh-CN", Lang::ZhCn),
            ("zh-Hans;q=0.9, en;q=0.8", Lang::ZhCn),
            ("en, zh-CN;q=0.9", Lang::En),
            ("de, zh;q=0.5, en;q=0.25", Lang::ZhCn),
            ("zh;q=0, en;q=0.1", Lang::En),
            ("de", Lang::En),
            ("", Lang::En),
            ("zh;q=x", Lang::En),
            (";;;,,,q=", Lang::En),
        ] {
            assert_eq!(preferred(header), want, "{header}");
        }
    }

    #[test]
    fn without_tokens_the_caller_is_where_the_call_comes_from() {
        let mut request = Request::new(());
        assert_eq!(Caller::of(&request).name, "local");
        let peer = Peer::Tcp("192.0.2.7:99".parse().unwrap());
        request.extensions_mut().insert(PeerInfo { peer, tls: false, certificates: None });
        assert_eq!(Caller::of(&request).name, "anonymous@192.0.2.7");
        request.extensions_mut().insert(Principal::new("alice"));
        assert_eq!(Caller::of(&request).name, "alice");
    }
}
