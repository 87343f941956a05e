//! The calls as HTTP/1.1 with JSON, and the guard before both forms.
//!
//! One port and one socket serve both: what says that it is gRPC goes on to tonic, everything else is answered here. The
//! JSON is the proto3 JSON of the same messages, taken from their descriptors, so the two forms cannot drift apart. The
//! path gives gateway, instance and order; the body gives the rest.

mod guard;
mod route;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use mooring_proto::json;
use mooring_proto::report_v1 as v1;
use mooring_runtime::auth::TokenSet;
use prost::Message;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::api::Api;
use crate::refusal::Refusal;
use route::{Call, route};

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What `GET /` says.
const HELP: &str = "\
Mooring report API. A gateway reports its instances here, and takes its orders.

  curl --json '{\"registration\":{\"protocol\":\"baileys\"}}' localhost:7613/v1/gateways/-/instances/acct-1:register
  curl --json '{\"events\":[{\"open\":{}}]}' localhost:7613/v1/gateways/-/instances/acct-1:report
  curl 'localhost:7613/v1/gateways/-/orders?wait=30s'
  curl --json '{\"stage\":\"done\"}' localhost:7613/v1/gateways/-/orders/ID:answer

An event is one of: registered, connecting, open, closing, closed, waitingForLogin, beat, line.
`-` is the only gateway that reports; with several, write its id.
";

/// Guards every request and answers those that are not gRPC.
#[derive(Debug, Clone)]
pub(crate) struct HttpLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    tokens: Option<Arc<TokenSet>>,
    max_body: usize,
}

impl HttpLayer {
    pub fn new(api: Api, tokens: Option<Arc<TokenSet>>, max_body: usize) -> Self {
        Self { shared: Arc::new(Shared { api, tokens, max_body }) }
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService { inner, shared: Arc::clone(&self.shared) }
    }
}

/// See [`HttpLayer`].
#[derive(Debug, Clone)]
pub(crate) struct HttpService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for HttpService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        let shared = Arc::clone(&self.shared);
        let admitted = guard::check(&request, shared.tokens.as_deref());
        if let Err(refusal) = admitted {
            let answer = if grpc { tonic::Status::from(refusal).into_http() } else { refused(&refusal) };
            return Box::pin(std::future::ready(Ok(answer)));
        }
        if grpc {
            // The service that was polled is used, its clone is left for the next call (tower's contract).
            let clone = self.inner.clone();
            let mut inner = std::mem::replace(&mut self.inner, clone);
            return Box::pin(async move { inner.call(request).await });
        }
        Box::pin(async move {
            Ok(match shared.answer(request).await {
                Ok(response) => response,
                Err(refusal) => refused(&refusal),
            })
        })
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let call = route(&head.method, head.uri.path(), head.uri.query().unwrap_or_default())?;
        if let Call::Help = call {
            return Ok(page(StatusCode::OK, "text/plain; charset=utf-8", HELP.into()));
        }
        if let Call::Poll(request) = call {
            return json_answer("PollOrdersResponse", &self.api.poll(&request).await?);
        }
        if !is_json(&head.headers) {
            // A browser may send other types across origins without asking; this one it may not.
            return Err(Refusal::new(Code::InvalidArgument, "NOT_JSON", "the body must be JSON")
                .hint("send `content-type: application/json` (curl --json)"));
        }
        let body = self.body(body).await?;
        match call {
            Call::Register { gateway, instance } => {
                let mut request: v1::RegisterRequest = parse("RegisterRequest", &body)?;
                (request.gateway, request.instance) = (gateway, instance);
                json_answer("RegisterResponse", &self.api.register(&request)?)
            }
            Call::Report { gateway, instance } => {
                let mut request: v1::ReportRequest = parse("ReportRequest", &body)?;
                request.gateway = gateway;
                if let Some(instance) = instance {
                    request.instance = instance;
                }
                json_answer("ReportResponse", &self.api.report(&request)?)
            }
            Call::Answer { gateway, order } => {
                let mut request: v1::AnswerOrderRequest = parse("AnswerOrderRequest", &body)?;
                (request.gateway, request.order) = (gateway, order);
                json_answer("AnswerOrderResponse", &self.api.answer(&request)?)
            }
            Call::Help | Call::Poll(_) => Err(route::unknown(&Method::GET)),
        }
    }

    async fn body(&self, body: Body) -> Result<Bytes, Refusal> {
        let max = self.max_body;
        let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max).collect());
        match whole.await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => {
                let message = format!("the body has more than {max} bytes");
                Err(Refusal::new(Code::ResourceExhausted, "TOO_LONG", message).hint("send several requests"))
            }
            Ok(Err(e)) => Err(Refusal::invalid("body", format!("ended early: {e}"))),
            Err(_) => {
                let message = format!("the body took longer than {} s", BODY_TIMEOUT.as_secs());
                Err(Refusal::new(Code::DeadlineExceeded, "TOO_SLOW", message))
            }
        }
    }
}

fn is_json(headers: &http::HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse<M: Message + Default>(name: &str, body: &[u8]) -> Result<M, Refusal> {
    // An empty body is an empty message: there is nothing that must be said to register.
    let body: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    json::from_json(&format!("mooring.report.v1.{name}"), body)
        .map_err(|e| Refusal::invalid("body", crate::check::words(&e.to_string(), 300)))
}

fn json_answer(name: &str, message: &impl Message) -> Result<Response<Body>, Refusal> {
    let value = json::to_json(&format!("mooring.report.v1.{name}"), message)
        .map_err(|e| Refusal::new(Code::Internal, "INTERNAL", e.to_string()))?;
    Ok(page(StatusCode::OK, "application/json", format!("{value}\n")))
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = page(refusal.http(), "application/json", format!("{}\n", refusal.json()));
    if let Some(wait) = refusal.retry_after {
        // Whole seconds, at least one (RFC 9110 §10.2.3).
        let secs = wait.as_secs_f64().ceil().max(1.0);
        if let Ok(value) = HeaderValue::from_str(&format!("{secs}")) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    if refusal.code == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
