//! One request to a gateway's own interface: one connection, one answer, no redirects, everything bounded.
//!
//! An adapter asks seldom (every few seconds) and must not hold a connection open that a gateway's restart would have to
//! wait for; so there is no pool. A redirect is an answer like any other: a key must not wander to an address nobody
//! configured.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mooring_runtime::lifecycle::error_chain;
use mooring_runtime::tls::ClientTls;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most that is read of an answer's body, bytes. A fleet's list of a thousand instances fits.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// Where requests go, and what goes along with each.
#[derive(Debug, Clone)]
pub struct HttpClient {
    base: Uri,
    tls: Option<Arc<ClientTls>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    time_limit: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names lower-cased.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The first value of a header, by lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON, where it is that.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The start of the body as text, at most so many bytes.
    #[must_use]
    pub fn text(&self, most: usize) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(most)]);
        text.trim_end_matches('\u{fffd}').to_owned()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing listens, or nothing can be reached.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// Connected, and the exchange broke off.
    #[error("no answer: {0}")]
    Broken(String),
    /// No complete answer in time: it is not known whether the request took effect.
    #[error("no complete answer within {0:?}")]
    TimedOut(Duration),
    /// The body is longer than [`MAX_BODY`].
    #[error("the answer is longer than {MAX_BODY} bytes")]
    TooLong,
    /// The request cannot be made: this is our own fault.
    #[error("{0}")]
    Unusable(String),
}

impl HttpClient {
    /// A client for `http://host:port[/prefix]` or `https://…`; `tls` is needed for the latter.
    ///
    /// # Errors
    /// In words, when the URL is not one.
    pub fn new(base: &str, tls: Option<Arc<ClientTls>>) -> Result<Self, HttpError> {
        let unusable = |why: String| HttpError::Unusable(why);
        let base: Uri = base.parse().map_err(|e| unusable(format!("`{base}` is not a URL: {e}")))?;
        let scheme = base.scheme_str().unwrap_or_default();
        if base.host().is_none() || !matches!(scheme, "http" | "https") {
            return Err(unusable(format!("`{base}` must be http://host:port or https://host:port")));
        }
        if scheme == "https" && tls.is_none() {
            return Err(unusable("https needs to know whom to trust".to_owned()));
        }
        Ok(Self { base, tls, headers: Vec::new(), time_limit: Duration::from_secs(10) })
    }

    /// Sends a header along with each request. Its value is kept out of every log.
    ///
    /// # Errors
    /// When it cannot be a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        let bad = |e: String| HttpError::Unusable(format!("header {name}: {e}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
        let mut value = HeaderValue::from_str(value).map_err(|e| bad(e.to_string()))?;
        value.set_sensitive(true);
        self.headers.push((key, value));
        Ok(self)
    }

    /// How long one exchange may take, connecting included. Default 10 s.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// `GET` of a path (and query), relative to the base's own path.
    ///
    /// # Errors
    /// When no complete answer came.
    pub async fn get(&self, path: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, path, None).await
    }

    /// Any request, with a JSON body where there is one.
    ///
    /// # Errors
    /// When no complete answer came.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, HttpError> {
        let exchange = Box::pin(self.exchange(method, path, body));
        tokio::time::timeout(self.time_limit, exchange)
            .await
            .unwrap_or(Err(HttpError::TimedOut(self.time_limit)))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, HttpError> {
        let host = self.base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let secure = self.base.scheme_str() == Some("https");
        let port = self.base.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let prefix = self.base.path().trim_end_matches('/');
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(header::HOST, self.base.authority().map_or("", |a| a.as_str()))
            .header(header::USER_AGENT, concat!("mooring-agent/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = request.body(Full::new(bytes)).map_err(|e| HttpError::Unusable(e.to_string()))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let stream = TcpStream::connect((host, port)).await.map_err(|e| HttpError::Connect(e.to_string()))?;
        stream.set_nodelay(true).map_err(|e| HttpError::Connect(e.to_string()))?;
        let Some(tls) = self.tls.as_ref().filter(|_| secure) else { return speak(stream, request).await };
        let bad = |e: String| HttpError::Tls(e);
        let name = tls.server_name().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|e| bad(e.to_string()))?;
        let config = tls.rustls(&[b"http/1.1"]).map_err(|e| bad(error_chain(&e)))?;
        let stream =
            TlsConnector::from(config).connect(name, stream).await.map_err(|e| bad(e.to_string()))?;
        speak(stream, request).await
    }
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |e: hyper::Error| HttpError::Broken(error_chain(&e));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let text = |v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
            body: read(body).await?,
        })
    };
    // The connection does the reading and writing; it must not outlive the exchange, so it is no task of its own.
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // It may end first, with the answer complete and still to be handed over.
        _ = &mut connection => exchange.await,
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, HttpError> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| HttpError::Broken(error_chain(&e)))?;
        if let Some(data) = frame.data_ref() {
            if all.len() + data.len() > MAX_BODY {
                return Err(HttpError::TooLong);
            }
            all.extend_from_slice(data);
        }
    }
    Ok(all.into())
}
