//! `how = "http"`: sends one request and judges the answer by its status.
//!
//! One connection, one request, no redirects: an order must not wander to an address nobody configured. The order's id
//! goes along as `Idempotency-Key`, so that a gateway that knows the header can tell a repetition (there is none from
//! here). The answer's body is read up to a bound and its last part kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mooring_core::limits::MAX_OUTPUT_TAIL;
use mooring_runtime::config::{HumanDuration, Problem, SecretFile};
use mooring_runtime::lifecycle::error_chain as chain;
use mooring_runtime::tls::{ClientTls, ClientTlsConfig};
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use super::{ExecContext, Executor, Job, Outcome, Settings, Surroundings, pause};
use crate::config::{address_of, check_headers, join};

mod status;

pub use status::ExpectStatus;

/// More of an answer's body than this (bytes) is not read.
const MAX_BODY: usize = 256 * 1024;

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// `http://…` or `https://…`.
    pub url: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values are in files, because they are secret; read each time.
    #[serde(default)]
    pub header_files: BTreeMap<String, SecretFile>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The statuses that mean success.
    #[serde(default)]
    pub expect_status: ExpectStatus,
    /// How long all of it may take, above 0s.
    #[serde(default = "ten_seconds")]
    pub time_limit: HumanDuration,
    /// For `https`: whom to trust, and who we are.
    #[serde(default)]
    pub tls: ClientTlsConfig,
}

fn post() -> String {
    "POST".to_owned()
}

fn ten_seconds() -> HumanDuration {
    HumanDuration::from_secs(10)
}

impl Settings for HttpConfig {
    const JOBS: &'static [Job] = &[Job::Reconnect, Job::RestartInstance, Job::RestartGateway];

    fn problems(&self, key: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        if Method::from_bytes(self.method.as_bytes()).is_err() {
            found.push(Problem::new(join(key, "method"), format!("`{}` is not a method", self.method)));
        }
        if let Err(problem) = address_of(&self.url, ["http", "https"]) {
            found.push(Problem::new(join(key, "url"), problem));
        }
        check_headers(&self.headers, &self.header_files, key, &mut found);
        if let Err(problem) = self.expect_status.check() {
            found.push(Problem::new(join(key, "expect_status"), problem));
        }
        if self.time_limit.get().is_zero() {
            found.push(Problem::new(join(key, "time_limit"), "must be above 0s"));
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            found.push(Problem::new(join(key, "tls"), "a client identity needs both `cert` and `key`"));
        }
        found
    }

    fn longest(&self) -> Option<Duration> {
        Some(self.time_limit.get())
    }

    fn build(&self, _around: &Surroundings) -> Result<Arc<dyn Executor>, String> {
        Ok(Arc::new(Call(self.clone())))
    }
}

#[derive(Debug)]
struct Call(HttpConfig);

impl Executor for Call {
    fn name(&self) -> &'static str {
        "http"
    }

    fn run<'a>(&'a self, context: &'a ExecContext, cancel: CancellationToken) -> BoxFuture<'a, Outcome> {
        async move {
            let what = format!("{} {}", self.0.method, without_query(&self.0.url));
            if !pause(context, &cancel).await {
                return Outcome::failed(format!("{what}: given up before it was sent"));
            }
            let limit = self.0.time_limit.get().min(context.time_limit.saturating_sub(context.delay));
            tokio::select! {
                answer = tokio::time::timeout(limit, self.exchange(context)) => match answer {
                    Ok(Ok((status, body))) => self.judge(&what, status, &body),
                    Ok(Err(why)) => Outcome::failed(format!("{what}: {why}")),
                    Err(_) => Outcome::failed(format!(
                        "{what}: no complete answer within {}; it is not known whether it took effect",
                        HumanDuration(limit)
                    )),
                },
                () = cancel.cancelled() => Outcome::failed(format!(
                    "{what}: given up before the answer; it is not known whether it took effect"
                )),
            }
        }
        .boxed()
    }
}

impl Call {
    fn judge(&self, what: &str, status: u16, body: &str) -> Outcome {
        let outcome = if self.0.expect_status.contains(status) {
            Outcome::done(format!("{what}: answered {status}"))
        } else {
            Outcome::failed(format!("{what}: answered {status}, expected {}", self.0.expect_status))
        };
        outcome.with_output(body)
    }

    async fn exchange(&self, context: &ExecContext) -> Result<(u16, String), String> {
        let uri: Uri = self.0.url.parse().map_err(|e| format!("not a URL: {e}"))?;
        let host = uri.host().ok_or("the URL names no host")?.trim_start_matches('[').trim_end_matches(']');
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let request = self.request(&uri, context)?;
        let stream = TcpStream::connect((host, port)).await.map_err(|e| format!("cannot connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if !secure {
            return speak(stream, request).await;
        }
        let tls = ClientTls::load(&self.0.tls).map_err(|e| chain(&e))?;
        let name = tls.server_name().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|e| e.to_string())?;
        let connector = TlsConnector::from(tls.rustls(&[b"http/1.1"]).map_err(|e| chain(&e))?);
        let stream = connector.connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?;
        speak(stream, request).await
    }

    fn request(&self, uri: &Uri, context: &ExecContext) -> Result<Request<Full<Bytes>>, String> {
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let authority = uri.authority().map_or("", |a| a.as_str());
        let mut request = Request::builder()
            .method(self.0.method.as_str())
            .uri(path)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, concat!("mooring-agent/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .header("idempotency-key", context.order.to_string());
        if let Some(traceparent) = &context.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let mut request =
            request.body(Full::new(Bytes::from(self.0.body.clone()))).map_err(|e| e.to_string())?;
        // Inserted, not added: what is configured wins over what was set above.
        for (name, value) in &self.0.headers {
            let value = HeaderValue::from_str(value).map_err(|e| format!("header {name}: {e}"))?;
            request.headers_mut().insert(header_name(name)?, value);
        }
        for (name, file) in &self.0.header_files {
            let secret = file.read().map_err(|e| chain(&e))?;
            let mut value = HeaderValue::from_str(secret.expose_secret())
                .map_err(|_| format!("header {name}: {} holds what no header may", file.path().display()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header_name(name)?, value);
        }
        Ok(request)
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|e| format!("header {name}: {e}"))
}

/// A query may hold a token and is not shown.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(u16, String), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| chain(&e))?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|e| format!("no answer: {}", chain(&e)))?;
        let status = answer.status().as_u16();
        Ok((status, body(answer.into_body()).await))
    };
    // The connection does the reading and writing; it must not outlive the exchange, so it is no task of its own.
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // It may end first, with the answer complete and still to be handed over.
        _ = &mut connection => exchange.await,
    }
}

/// The last part of the body. One that breaks off keeps what had come: the status has decided already.
async fn body(mut body: Incoming) -> String {
    let mut tail = Tail::new(MAX_OUTPUT_TAIL);
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            tail.push(data);
            read += data.len();
        }
        if read > MAX_BODY {
            break;
        }
    }
    tail.text()
}
